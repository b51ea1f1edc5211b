"""What is known of an entity: its records' values, each with the number of records that say so; and how two compare."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from hub.identity.match.fields import FIELDS, SPOKEN_FOR, STRONG
from hub.identity.match.model import Model, implied
from hub.identity.match.record import Record

_TURN = {name: i for i, name in enumerate(FIELDS)}
_MOST = 8  # values of a field that speak for an entity: the commonest


@dataclass(slots=True)
class Profile:
    """values: field -> value -> records. holders: see `Record.holder`."""

    values: dict[str, dict[str, int]] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    holders: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()

    @classmethod
    def whole(cls, records: Iterable[Record]) -> "Profile":
        """What these records of one entity say together."""
        values: dict[str, dict[str, int]] = {}
        held, mailboxes, names = set[str](), set[str](), list[str]()
        for record in records:
            names.append(record.id)
            if record.holder:
                held.add(record.holder)
            mailboxes.update(record.mailboxes)
            for name, said in record.fields.items():
                mine = values.get(name)
                if mine is None:
                    values[name] = dict.fromkeys(said, 1)
                    continue
                for value in said:
                    mine[value] = mine.get(value, 0) + 1
        for name, mine in values.items():
            if len(mine) > _MOST and name not in STRONG:
                values[name] = _commonest(mine)
        return cls(values, names, frozenset(held), frozenset(mailboxes))

    @classmethod
    def of(cls, record: Record) -> "Profile":
        held = frozenset({record.holder}) if record.holder else frozenset[str]()
        return cls(
            {f: _once(tuple(v)) for f, v in record.fields.items()}, [record.id], held, frozenset(record.mailboxes)
        )


@lru_cache(maxsize=100_000)
def _once(values: tuple[str, ...]) -> dict[str, int]:
    """Each said by one record. Many records say the same: they share this, so nothing of a profile is changed in place."""
    return dict.fromkeys(values, 1)


def _commonest(values: dict[str, int]) -> dict[str, int]:
    return dict(sorted(values.items(), key=lambda i: (-i[1], i[0]))[:_MOST])


def joined(a: Profile, b: Profile) -> Profile:
    values = {f: dict(v) for f, v in a.values.items()}
    for name, found in b.values.items():
        mine = values.setdefault(name, {})
        for value, n in found.items():
            mine[value] = mine.get(value, 0) + n
        if len(mine) > _MOST and name not in STRONG:
            values[name] = _commonest(mine)
    return Profile(values, a.records + b.records, a.holders | b.holders, a.mailboxes | b.mailboxes)


def weights(model: Model, a: Profile, b: Profile) -> dict[str, float]:
    """Bits by field. Of several values on a side it is the mean odds over all pairs: one agreement among many counts less."""
    found = {}
    for name, mine in a.values.items():
        theirs = b.values.get(name)
        if theirs is None:
            continue
        found[name] = between(model, name, mine, theirs)
    return found


def weigh(model: Model, name: str, a: Profile, b: Profile) -> float:
    """The bits of one field that both have."""
    return between(model, name, a.values[name], b.values[name])


def between(model: Model, name: str, mine: dict[str, int], theirs: dict[str, int]) -> float:
    """The bits of one field's values, each with its records."""
    if len(mine) == 1 and len(theirs) == 1:
        (x,), (y,) = mine, theirs
        return model.pair(name, x, y)
    # fsum: the same sum in whatever order the values came
    odds = math.fsum(n * k * 2.0 ** model.pair(name, x, y) for x, n in mine.items() for y, k in theirs.items())
    return math.log2(odds / (sum(mine.values()) * sum(theirs.values())))


def score(model: Model, a: Profile, b: Profile, floor: float = -math.inf) -> float:
    """The weight of both being one entity, in bits; below `floor` it may be any number below it."""
    found: dict[str, float] = {}
    best, different = model.prior, []
    theirs = b.values
    for name, left in a.values.items():
        right = theirs.get(name)
        if right is None or (name in SPOKEN_FOR and _is_spoken_for(name, a, b)):
            continue
        if left.keys().isdisjoint(right):
            best += model.unequal[name]
            different.append((_TURN[name], name, left, right))
        else:
            weight = found[name] = between(model, name, left, right)
            best += weight
    different.sort()
    for _, name, left, right in different:
        if best < floor:
            return best
        if implied(name, found):
            best -= model.unequal[name]
            continue
        weight = found[name] = between(model, name, left, right)
        best += weight - model.unequal[name]
    return model.total(found) if best >= floor else best


def likely(model: Model, a: Profile, b: Profile, floor: float) -> dict[str, float] | None:
    """`weights`; None where both weigh less than `floor`, whatever single field were left out: only what speaks for it counts."""
    found: dict[str, float] = {}
    best, different = model.prior, []
    theirs = b.values
    for name, left in a.values.items():
        right = theirs.get(name)
        if right is None:
            continue
        if left.keys().isdisjoint(right):
            best += model.unequal[name]
            different.append((_TURN[name], name, left, right))
        else:
            weight = found[name] = between(model, name, left, right)
            best += max(weight, 0.0)
    different.sort()
    for _, name, left, right in different:
        if best < floor:
            return None
        weight = found[name] = between(model, name, left, right)
        best += max(weight, 0.0) - model.unequal[name]
    return found if at_most(model, found) >= floor else None


def at_most(model: Model, weights: Mapping[str, float]) -> float:
    """The weight of what speaks for it alone."""
    return model.prior + sum(w for w in weights.values() if w > 0)


def _is_spoken_for(name: str, a: Profile, b: Profile) -> bool:
    return any(f in a.values and f in b.values for f in SPOKEN_FOR[name])


def common(a: Profile, b: Profile) -> list[str]:
    """The fields that both have, without those that another one of them speaks for."""
    return [f for f in FIELDS if f in a.values and f in b.values and not (f in SPOKEN_FOR and _is_spoken_for(f, a, b))]
