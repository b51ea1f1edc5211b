"""Which of many candidates are likely, of records kept as columns: what `profile.score` gives, refused as early as can be.

What a pair can weigh at most is known before its values are compared: equal values are equal numbers, and what is not
equal weighs at most `Model.unequal`. Compared first, of all candidates at once, is what is compared cheaply and refuses most.
"""

from array import array
from collections.abc import Sequence

from hub.identity.match.beside import BIT, Field, field
from hub.identity.match.fields import FIELDS, IMPLIED, SPOKEN_FOR
from hub.identity.match.model import Model
from hub.identity.match.profile import score
from hub.identity.match.table import HOLDER, NAMED, NOTHING, Table

_SPOKEN_FOR = [(BIT[name], sum(BIT[f] for f in by)) for name, by in SPOKEN_FOR.items()]
_FIRST = ("name", "email", "phone")
_ORDER = (*_FIRST, *(f for f in FIELDS if f not in _FIRST))
_ODD = 16  # bits that the fields take
_NEARLY = 1e-6  # sums in another order differ by less


class _Kind(dict[int, tuple[float, int, int]]):
    """Beside one kind of record, by what another one says (see `_presence`): what both can weigh at most where no values are
    equal, which fields are compared, and in which of them one of the two says more than one thing.
    """

    def __init__(self, model: Model, mine: int) -> None:
        super().__init__()
        self.model, self.mine = model, mine

    def __missing__(self, theirs: int) -> tuple[float, int, int]:
        both = compared = self.mine & theirs & (1 << _ODD) - 1
        for bit, by in _SPOKEN_FOR:
            if both & by:
                compared &= ~bit
        most = self.model.prior + sum(self.model.unequal[f] for f in NAMED if compared & BIT[f])
        self[theirs] = found = most, compared, compared & (self.mine | theirs) >> _ODD
        return found


class Weigher:
    """For one model, which does not change meanwhile. Pairs that weigh less than `floor` are not told."""

    def __init__(self, table: Table, model: Model, floor: float) -> None:
        self.table, self.model, self.floor = table, model, floor
        self._says = _presence(table)
        self._fields = [field(name, table.columns[name], model) for name in _ORDER]
        self._kinds: dict[int, tuple[_Kind, list[Field], int]] = {}

    def likely(self, i: int, others: Sequence[int]) -> list[tuple[float, int]]:
        """(weight, j) of those that weigh `floor` or more with record i; two records of one holder are never one."""
        holders = self.table.columns[HOLDER].of
        if (holder := holders[i]) != NOTHING:
            others = [j for j in others if holders[j] != holder]
        if not others:
            return []
        says, low = self._says, self.floor - _NEARLY
        kind, fields, spoken_for = self._kind(says[i])
        # By candidate, what equal values add to the bounds of all fields, and what those weigh less that were compared.
        gains = changes = [0.0] * len(others)
        sides = []
        for f in fields:
            of, told = f.column.of, None
            x = of[i]
            if x >= 0 and not f.bit & spoken_for:
                theirs, bound = [*map(of.__getitem__, others)], f.bound
                if x in theirs:
                    gain = f.equal[x] - bound
                    gains = [g + gain if y == x else g for g, y in zip(gains, theirs, strict=True)]
                told = f.against(x, theirs)
                if told is not None:
                    changes = [c + weight - bound for c, weight in zip(changes, told, strict=True)]
            sides.append((f.bit, of, x, f, told))
        mores: dict[int, float] = {}  # what several values may weigh above `bound`, one of them being equal
        found = []
        for at, (j, gain, change, other) in enumerate(
            zip(others, gains, changes, map(says.__getitem__, others), strict=True)
        ):
            best, compared, several = kind[other]
            best += gain
            if several:
                more = mores.get(several)
                if more is None:
                    more = sum(max(f.equal[x] - f.bound, 0.0) for bit, _, x, f, _ in sides if several & bit)
                    mores[several] = more
                best += more
            if best < low:
                continue
            best += change
            if best < low:
                continue
            weights: dict[str, float] = {}
            for bit, of, x, f, told in sides:
                if not compared & bit:
                    continue
                y = of[j]
                if x < 0 or y < 0:
                    weight = f.several(x, y)
                    best += weight - max(f.equal[x], f.bound)
                elif x == y:
                    weight = f.equal[x]
                elif told is not None:
                    weight = told[at]
                else:
                    weight = f.weigh(x, y)
                    best += weight - f.bound
                if best < low:
                    break
                weights[f.name] = weight
            else:
                weight = self._sum(weights, i, j)
                if weight >= self.floor:
                    found.append((weight, j))
        return found

    def _kind(self, mine: int) -> tuple[_Kind, list[Field], int]:
        """For a record that says this: what others may weigh beside it, the fields it has, and those of them that are not compared
        with what has the ones that speak for them.
        """
        found = self._kinds.get(mine)
        if found is None:
            fields = [f for f in self._fields if mine & f.bit]
            found = self._kinds[mine] = (
                _Kind(self.model, mine),
                fields,
                sum(bit for bit, by in _SPOKEN_FOR if mine & by),
            )
        return found

    def _sum(self, weights: dict[str, float], i: int, j: int) -> float:
        """Where a weight is not what is usual (rare names that are nearly equal, an employer that nearly all have), that of `score`."""
        name = self.table.columns["name"].of
        is_usual = name[i] == name[j] or weights.get("name", 0.0) <= self.model.unequal["name"]
        for spoken in IMPLIED:
            is_usual = is_usual and weights.get(spoken, 0.0) >= 0
        if is_usual:
            return self.model.total(weights)
        return score(self.model, self.table[i], self.table[j], self.floor)


def _presence(table: Table) -> "array[int]":
    """By record: which fields it has, as bits, and `_ODD` bits above those in which of them it says more than one thing."""
    says = array("I", bytes(4 * len(table)))
    for name, bit in BIT.items():
        column = table.columns[name]
        if column.values or column.several:
            odd = bit | bit << _ODD
            says = array(
                "I", [s if n == NOTHING else s | (bit if n >= 0 else odd) for s, n in zip(says, column.of, strict=True)]
            )
    return says
