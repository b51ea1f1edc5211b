"""What is known of an entity: its records' values, each with the number of records that say so; and how two compare."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.identity.match.fields import FIELDS, STRONG
from hub.identity.match.model import Model
from hub.identity.match.record import Record

_MOST = 8  # values of a field that speak for an entity: the commonest


@dataclass(slots=True)
class Profile:
    """values: field -> value -> records. holders: see `Record.holder`."""

    values: dict[str, dict[str, int]] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    holders: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, record: Record) -> "Profile":
        held = frozenset({record.holder}) if record.holder else frozenset[str]()
        return cls(
            {f: dict.fromkeys(v, 1) for f, v in record.fields.items()}, [record.id], held, frozenset(record.mailboxes)
        )


def joined(a: Profile, b: Profile) -> Profile:
    values = {f: dict(v) for f, v in a.values.items()}
    for name, found in b.values.items():
        mine = values.setdefault(name, {})
        for value, n in found.items():
            mine[value] = mine.get(value, 0) + n
        if len(mine) > _MOST and name not in STRONG:
            values[name] = dict(sorted(mine.items(), key=lambda i: (-i[1], i[0]))[:_MOST])
    return Profile(values, a.records + b.records, a.holders | b.holders, a.mailboxes | b.mailboxes)


def weights(model: Model, a: Profile, b: Profile) -> dict[str, float]:
    """Bits by field. Of several values on a side it is the mean odds over all pairs: one agreement among many counts less."""
    found = {}
    for name, mine in a.values.items():
        theirs = b.values.get(name)
        if theirs is None:
            continue
        found[name] = _one(model, name, mine, theirs)
    return found


def _one(model: Model, name: str, mine: dict[str, int], theirs: dict[str, int]) -> float:
    if len(mine) == 1 and len(theirs) == 1:
        (x,), (y,) = mine, theirs
        return model.pair(name, x, y)
    odds = total = 0.0
    for x, n in mine.items():
        for y, k in theirs.items():
            odds += n * k * 2.0 ** model.pair(name, x, y)
            total += n * k
    return math.log2(odds / total)


def score(model: Model, a: Profile, b: Profile, floor: float = -math.inf) -> float:
    """The weight of both being one entity, in bits; below `floor` it may be any number below it."""
    mine, theirs = a.values, b.values
    found: dict[str, float] = {}
    best, different = model.prior, []
    for name in FIELDS:
        if name in mine and name in theirs:
            if mine[name].keys().isdisjoint(theirs[name]):
                best += model.unequal[name]
                different.append(name)
            else:
                weight = found[name] = _one(model, name, mine[name], theirs[name])
                best += weight
    for name in different:
        if best < floor:
            return best
        weight = found[name] = _one(model, name, mine[name], theirs[name])
        best += weight - model.unequal[name]
    return model.total(found) if best >= floor else best


def profiles(records: Iterable[Record]) -> list[Profile]:
    return [Profile.of(r) for r in records]
