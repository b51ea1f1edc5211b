"""Associations of pushed objects: only the missing ones, many to a call, the fate of each known; and those to take away."""

from collections.abc import Iterable, Sequence

from hub.api import Conflict, Gone, HubError, Link, RecordRejected, ScopeError
from hub_hubspot.client import LINK_WRITE_LIMIT, Client
from hub_hubspot.items import Item
from hub_hubspot.lookup import LookUp
from hub_hubspot.objects import LINKED, PUSHED


class Linker:
    """Associations of pushed objects of one type, gathered into calls of up to 2,000 pairs."""

    def __init__(self, client: Client, lookup: LookUp, kind: str) -> None:
        self.client = client
        self.lookup = lookup
        self.kind = kind
        self._waiting: dict[str, dict[tuple[str, str], list[tuple[Item, Link]]]] = {}
        self._ids: dict[tuple[str, str], str] = {}

    async def add(self, items: Sequence[Item]) -> None:
        """Queue the associations that are missing; what is there already is not ours to undo."""
        await self._resolve([link for i in items for link in i.change.links if not link.remote_id])
        existing = [i for i in items if i.current is not None and i.change.links]
        held: dict[tuple[str, str], set[str]] = {}
        for target in {LINKED[link.kind] for i in existing for link in i.change.links}:
            try:
                linked = await self.client.links(self.kind, target, [i.remote_id for i in existing])
            except ScopeError as exc:
                _tell(existing, exc)
                continue
            held |= {(own, target): set(ids) for own, ids in linked.items()}
        for item in items:
            for link in dict.fromkeys(item.change.links):
                target = LINKED[link.kind]
                remote = link.remote_id or self._ids.get((target, link.key), "")
                if not remote:
                    item.errors.append(f"not linked to {link.kind} {link.key}: it is not at HubSpot")
                elif remote in held.get((item.remote_id, target), ()):
                    if item.outcome == "created":  # by an attempt whose answer was lost: so was this
                        item.links.append(Link(link.kind, link.key, remote))
                else:
                    pair = (item.remote_id, remote)
                    self._waiting.setdefault(target, {}).setdefault(pair, []).append((item, link))
        for target in list(self._waiting):
            while len(self._waiting[target]) >= LINK_WRITE_LIMIT:
                await self._write(target, list(self._waiting[target])[:LINK_WRITE_LIMIT])

    async def flush(self) -> None:
        for target, waiting in self._waiting.items():
            await self._write(target, list(waiting))

    async def part(self, items: Sequence[Item]) -> None:
        """Take away what the changes name, where it stands."""
        for target in sorted({LINKED[link.kind] for i in items for link in i.change.unlinks}):
            over = [(i, x) for i in items for x in i.change.unlinks if LINKED[x.kind] == target]
            try:
                held = await self.client.links(self.kind, target, [i.remote_id for i, _ in over])
                over = [(i, x) for i, x in over if x.remote_id in held[i.remote_id]]
                await self.client.unlink(self.kind, target, [(i.remote_id, x.remote_id) for i, x in over])
            except ScopeError as exc:
                _tell([i for i, _ in over], exc)
            else:
                for item, link in over:
                    item.unlinked.append(link)

    async def _resolve(self, links: Sequence[Link]) -> None:
        """Ids of linked objects the hub knows only by key."""
        wanted: dict[str, list[str]] = {}
        for link in links:
            if (LINKED[link.kind], link.key) not in self._ids:
                wanted.setdefault(link.kind, []).append(link.key)
        for kind, keys in wanted.items():
            for found in await self.lookup.find(kind, keys) if kind in PUSHED else ():
                self._ids[LINKED[kind], found.key] = found.remote_id

    async def _write(self, target: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Write pairs; each one's fate goes to the items that wanted it. A refused call is halved."""
        if not pairs:
            return
        try:
            answer = await self.client.link(self.kind, target, pairs)
        except ScopeError as exc:
            for pair in pairs:
                _tell([i for i, _ in self._waiting[target].pop(pair)], exc)
            return
        except (RecordRejected, Gone, Conflict) as exc:
            if len(pairs) > 1:
                half = len(pairs) // 2
                await self._write(target, pairs[:half])
                await self._write(target, pairs[half:])
                return
            _tell([i for i, _ in self._waiting[target].pop(pairs[0])], exc)
            return
        done = answer.pairs() if answer.errors else set(pairs)
        words = "; ".join(dict.fromkeys(p.words() for p in answer.errors)) or "HubSpot gave no reason"
        for pair in pairs:
            for item, link in self._waiting[target].pop(pair):
                if pair in done:
                    item.links.append(link if link.remote_id else Link(kind=link.kind, key=link.key, remote_id=pair[1]))
                else:
                    item.errors.append(f"not linked to {link.kind} {link.key}: {words}")


def _tell(items: Iterable[Item], error: HubError) -> None:
    for item in items:
        item.errors.append(f"not linked: {error.message}")
