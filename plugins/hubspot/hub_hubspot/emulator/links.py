"""Associations: which object is linked to which, by which association types. Kept in both directions."""

from collections import defaultdict
from collections.abc import Iterator

from hub_hubspot.emulator.tables import DEFAULT_LINK, LINK_TYPES, PRIMARY_LINK, TYPES

Pair = tuple[str, str]


class Links:
    """All associations of a portal. Ids are integers; the caller knows which objects are alive."""

    def __init__(self) -> None:
        self._by_pair: dict[Pair, dict[int, dict[int, set[int]]]] = defaultdict(dict)

    def of(self, source: str, source_id: int, target: str) -> dict[int, set[int]]:
        """Linked ids with their association type ids, in the order of linking."""
        return self._by_pair[source, target].get(source_id, {})

    def add(self, source: str, source_id: int, target: str, target_id: int, types: set[int]) -> bool:
        """Link both ways. The first company becomes the primary one. True when the pair was not linked before."""
        is_new = target_id not in self.of(source, source_id, target)
        types = set(types) or {DEFAULT_LINK[source, target]}
        if is_new:
            types |= {DEFAULT_LINK[source, target]} | self._primary(source, source_id, target, target_id)
        for type_id in types:
            self._put(source, source_id, target, target_id, type_id)
            self._put(target, target_id, source, source_id, LINK_TYPES[type_id].inverse)
        return is_new

    def _primary(self, source: str, source_id: int, target: str, target_id: int) -> set[int]:
        """The "Primary" type as seen from `source`, when the record beside the company has no primary one yet."""
        if target == "companies" and (primary := PRIMARY_LINK.get((source, target))):
            held = self.of(source, source_id, target).values()
            return set() if any(primary in types for types in held) else {primary}
        if source == "companies" and (primary := PRIMARY_LINK.get((target, source))):
            held = self.of(target, target_id, source).values()
            return set() if any(primary in types for types in held) else {LINK_TYPES[primary].inverse}
        return set()

    def _put(self, source: str, source_id: int, target: str, target_id: int, type_id: int) -> None:
        self._by_pair[source, target].setdefault(source_id, {}).setdefault(target_id, set()).add(type_id)

    def remove(self, source: str, source_id: int, target: str, target_id: int, types: set[int] | None = None) -> bool:
        """Unlink both ways, or take away only `types`. True when the pair is not linked any more because of it."""
        held = self.of(source, source_id, target).get(target_id)
        if held is None:
            return False
        gone = set(held) if types is None else held & types
        self._drop(source, source_id, target, target_id, gone)
        self._drop(target, target_id, source, source_id, {LINK_TYPES[t].inverse for t in gone})
        return target_id not in self.of(source, source_id, target)

    def _drop(self, source: str, source_id: int, target: str, target_id: int, types: set[int]) -> None:
        mine = self._by_pair[source, target].get(source_id, {})
        if target_id in mine:
            mine[target_id] -= types
            if not mine[target_id]:
                del mine[target_id]
        if not mine:
            self._by_pair[source, target].pop(source_id, None)

    def everything(self, source: str, source_id: int) -> Iterator[tuple[str, int, set[int]]]:
        """(target type, target id, type ids) of one object; safe to change links while iterating."""
        for target in TYPES:
            for target_id, types in list(self.of(source, source_id, target.plural).items()):
                yield target.plural, target_id, set(types)

    def move(self, source: str, old_id: int, new_id: int) -> None:
        """Hand all links of one object to another of the same type."""
        for target, target_id, types in list(self.everything(source, old_id)):
            self.remove(source, old_id, target, target_id)
            if (target, target_id) != (source, new_id):
                self.add(source, new_id, target, target_id, types)

    def drop_all(self, source: str, source_id: int) -> None:
        for target, target_id, _ in list(self.everything(source, source_id)):
            self.remove(source, source_id, target, target_id)

    def count(self) -> int:
        """Linked pairs, each counted once."""
        return sum(len(m) for by_id in self._by_pair.values() for m in by_id.values()) // 2
