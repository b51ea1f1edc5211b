"""Which of many candidates are likely, of records kept as columns: what `profile.score` gives, refused as early as can be.

What a pair can weigh at most is known before its values are compared: equal values are equal numbers, and what is not
equal weighs at most `Model.unequal`. Compared first is what is compared cheaply and refuses most.
"""

from array import array
from collections.abc import Callable, Iterable

from rapidfuzz.distance import OSA

from hub.identity.match.alike import by_ear
from hub.identity.match.fields import FIELDS, IMPLIED, SPOKEN_FOR, name_parts
from hub.identity.match.model import Model
from hub.identity.match.profile import between, score
from hub.identity.match.strings import near
from hub.identity.match.table import HOLDER, NAMED, NOTHING, Column, Table

_BIT = {name: 1 << at for at, name in enumerate(NAMED)}
_SPOKEN_FOR = [(_BIT[name], sum(_BIT[f] for f in by)) for name, by in SPOKEN_FOR.items()]
_FIRST = ("name", "email", "phone")
_ORDER = (*_FIRST, *(f for f in FIELDS if f not in _FIRST))
_REMEMBERED = 1_000_000  # pairs of words of names
_NEARLY = 1e-6  # sums in another order differ by less
_FARTHEST = 3  # letters between two addresses of which one may be a slip of the other

# What one record says in a field: its name and bit, the numbers of what all records say and of what this one does, what values that
# are not equal weigh at most, what this one weighs with itself, and the weight with another by its number.
_Side = tuple[str, int, "array[int]", int, float, float, Callable[[int], float]]


class _Most(dict[int, tuple[float, int]]):
    """Of the fields that two have: what they can say at most where no values are equal, and which of them are compared."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def __missing__(self, both: int) -> tuple[float, int]:
        compared = both
        for bit, by in _SPOKEN_FOR:
            if both & by:
                compared &= ~bit
        most = self.model.prior + sum(self.model.unequal[f] for f in NAMED if compared & _BIT[f])
        self[both] = found = most, compared
        return found


class Weigher:
    """For one model, which does not change meanwhile. Pairs that weigh less than `floor` are not told."""

    def __init__(self, table: Table, model: Model, floor: float) -> None:
        self.table, self.model, self.floor = table, model, floor
        self._has, self._odd = _presence(table)
        self._most = _Most(model)
        self._mailbox = _locals(table.columns["email"])
        self._names = _Names(table.columns["name"], model)
        comparing = {"name": self._names.comparing, "email": self._emails, "phone": self._phones}
        self._fields = [
            (name, _BIT[name], table.columns[name], model.unequal[name], comparing.get(name, self._others))
            for name in _ORDER
        ]
        self._equal: dict[str, dict[int, float]] = {name: {} for name in _ORDER}  # what a value weighs with itself

    def likely(self, i: int, others: Iterable[int]) -> list[tuple[float, int]]:
        """(weight, j) of those that weigh `floor` or more with record i; two records of one holder are never one."""
        has, odd, most, low = self._has, self._odd, self._most, self.floor - _NEARLY
        mine, odd_mine = has[i], odd[i]
        sides = self._sides(i)
        spoken_for = sum(bit for bit, by in _SPOKEN_FOR if mine & by)
        gains = [(of, x, equal - bound) for _, bit, of, x, bound, equal, _ in sides if x >= 0 and not bit & spoken_for]
        mores: dict[int, float] = {}  # what several values may weigh above `bound`, one of them being equal
        holders = self.table.columns[HOLDER].of
        holder, found = holders[i], []
        for j in others:
            if holder != NOTHING and holders[j] == holder:
                continue
            best, compared = most[mine & has[j]]
            for of, x, gain in gains:
                if of[j] == x:
                    best += gain
            if several := compared & (odd_mine | odd[j]):
                more = mores.get(several)
                if more is None:
                    more = mores[several] = sum(max(s[5] - s[4], 0.0) for s in sides if several & s[1])
                best += more
            if best < low:
                continue
            weights: dict[str, float] = {}
            for name, bit, of, x, bound, equal, compare in sides:
                if not compared & bit:
                    continue
                y = of[j]
                if x == y >= 0:
                    weights[name] = equal
                    continue
                if x >= 0 <= y:
                    weight = compare(y)
                else:
                    weight = self._several(name, x, y)
                    best -= max(equal - bound, 0.0)
                weights[name] = weight
                best += weight - bound
                if best < low:
                    break
            else:
                weight = self._sum(weights, i, j)
                if weight >= self.floor:
                    found.append((weight, j))
        return found

    def _sum(self, weights: dict[str, float], i: int, j: int) -> float:
        """Where a weight is not what is usual (rare names that are nearly equal, an employer that nearly all have), that of `score`."""
        name = self.table.columns["name"].of
        is_usual = name[i] == name[j] or weights.get("name", 0.0) <= self.model.unequal["name"]
        if is_usual and all(weights.get(name, 0.0) >= 0 for name in IMPLIED):
            return self.model.total(weights)
        return score(self.model, self.table[i], self.table[j], self.floor)

    def _sides(self, i: int) -> list[_Side]:
        found = []
        has = self._has[i]
        for name, bit, column, bound, comparing in self._fields:
            if has & bit:
                x, equals = column.of[i], self._equal[name]
                equal = equals.get(x)
                if equal is None:
                    if len(equals) >= _REMEMBERED // 10:
                        equals.clear()
                    equal = equals[x] = max(
                        self.model.fresh(name, v, v) for v in column.said(x)
                    )  # of several, the most
                found.append((name, bit, column.of, x, bound, equal, comparing(name, column, x) if x >= 0 else _never))
        return found

    def _several(self, name: str, x: int, y: int) -> float:
        column = self.table.columns[name]
        return between(self.model, name, dict.fromkeys(column.said(x), 1), dict.fromkeys(column.said(y), 1))

    def _emails(self, name: str, column: Column, x: int) -> Callable[[int], float]:
        values, mailbox, mine = column.values, self._mailbox, column.values[x]
        local, other, distance, fresh = mailbox[x], self.model.of_level(name, "other"), OSA.distance, self.model.fresh

        def compare(y: int) -> float:
            theirs = values[y]
            if mailbox[y] != local and distance(mine, theirs, score_cutoff=_FARTHEST) > _FARTHEST:
                return other
            return fresh(name, *((mine, theirs) if mine <= theirs else (theirs, mine)))

        return compare

    def _phones(self, name: str, column: Column, x: int) -> Callable[[int], float]:
        values, mine, other = column.values, column.values[x], self.model.of_level(name, "other")
        begin, distance, fresh = mine[:1], OSA.distance, self.model.fresh

        def compare(y: int) -> float:
            theirs = values[y]
            if theirs[:1] == begin and distance(mine, theirs, score_cutoff=1) > 1:
                return other
            return fresh(name, *((mine, theirs) if mine <= theirs else (theirs, mine)))

        return compare

    def _others(self, name: str, column: Column, x: int) -> Callable[[int], float]:
        values, mine, pair = column.values, column.values[x], self.model.pair
        return lambda y: pair(name, mine, values[y])


def _never(_: int) -> float:
    raise AssertionError("several values are compared together")


class _Row(dict[int, float]):
    """What one word weighs with others, by their numbers."""

    def __init__(self, names: "_Names", weigh: Callable[[str, str], float], value: str) -> None:
        super().__init__()
        self.names, self.weigh, self.value, self.values_of = names, weigh, value, names.words

    def __missing__(self, other: int) -> float:
        self.names.made += 1
        found = self[other] = self.weigh(self.value, self.values_of[other])
        return found


def _is_near(a: str, b: str) -> bool:
    return near(a, b) < 2


def _is_near_or_sounds_so(a: str, b: str) -> bool:
    return _is_near(a, b) or by_ear(a) == by_ear(b)


class _Names:
    """Names by their words, each pair of which is compared once: there are far fewer words than names."""

    def __init__(self, column: Column, model: Model) -> None:
        self._values, self._model = column.values, model
        numbers: dict[str, int] = {}
        self._given, self._family = array("i"), array("i")  # by name; NOTHING where it is not of these two words alone
        for value in column.values:
            given, middle, family = name_parts.__wrapped__(value)
            is_plain = given and family and not middle
            for side, word in ((self._given, given), (self._family, family)):
                side.append(numbers.setdefault(word, len(numbers)) if is_plain else NOTHING)
        self.words = list(numbers)
        self.made = 0  # pairs that are remembered
        self._weigh = (
            self._as_given,
            self._as_family,
            _is_near,
            _is_near_or_sounds_so,
        )  # sent to other processes: no lambdas
        self._rows: tuple[dict[int, _Row], ...] = ({}, {}, {}, {})

    def _as_given(self, a: str, b: str) -> float:
        return self._model.word("given", a, b)[1]

    def _as_family(self, a: str, b: str) -> float:
        return self._model.word("family", a, b)[1]

    def comparing(self, _: str, column: Column, x: int) -> Callable[[int], float]:
        given_of, family_of = self._given, self._family
        if self.made > _REMEMBERED:
            for rows in self._rows:
                rows.clear()
            self.made = 0
        given, family = given_of[x], family_of[x]
        value, values, fresh = self._values[x], self._values, self._model.fresh

        def whole(y: int) -> float:
            theirs = values[y]
            return fresh("name", *((value, theirs) if value <= theirs else (theirs, value)))

        if given == NOTHING:
            return whole
        givens, given_as_family = self._row(0, given), self._row(2, given)
        families, family_as_given = self._row(1, family), self._row(3, family)

        def compare(y: int) -> float:
            first, last = given_of[y], family_of[y]
            if first == given:
                return givens[first] + families[last]
            if first in (NOTHING, family) or last == given:
                return whole(y)
            if last != family and (given_as_family[last] or family_as_given[first]):
                return whole(y)
            return givens[first] + families[last]

        return compare

    def _row(self, which: int, word: int) -> _Row:
        rows = self._rows[which]
        found = rows.get(word)
        if found is None:
            found = rows[word] = _Row(self, self._weigh[which], self.words[word])
        return found


def _presence(table: Table) -> "tuple[array[int], array[int]]":
    """By record: which fields it has, and in which of them it says more than one thing."""
    has, odd = array("H", bytes(2 * len(table))), array("H", bytes(2 * len(table)))
    for name, bit in _BIT.items():
        for i, number in enumerate(table.columns[name].of):
            if number != NOTHING:
                has[i] |= bit
                if number < 0:
                    odd[i] |= bit
    return has, odd


def _locals(column: Column) -> "array[int]":
    """By address, the number of what stands before its @."""
    numbers: dict[str, int] = {}
    return array("i", (numbers.setdefault(v.rpartition("@")[0], len(numbers)) for v in column.values))
