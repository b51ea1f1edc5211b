"""One value of a field beside many others, by their numbers: what `Model.fresh` gives, told from little where that is enough."""

from array import array
from collections.abc import Sequence

from rapidfuzz.distance import OSA

from hub.identity.match.alike import by_ear, is_nickname
from hub.identity.match.fields import name_parts
from hub.identity.match.model import Model
from hub.identity.match.profile import between
from hub.identity.match.strings import near
from hub.identity.match.table import NAMED, NOTHING, Column

BIT = {name: 1 << at for at, name in enumerate(NAMED)}
_REMEMBERED = 1_000_000  # pairs of words of names
_FARTHEST = 3  # letters between two addresses of which one may be a slip of the other
_A_SLIP, _TWO_SLIPS = 2, 4  # letters that only one of two words has, at most
_MORE = -2  # beside NOTHING, in place of a word's number: there are words between first and last name


class _Equal(dict[int, float]):
    """What a value weighs with itself, by its number; of several values, the most that one of them does."""

    def __init__(self, model: Model, name: str, column: Column) -> None:
        super().__init__()
        self.model, self.name, self.column = model, name, column

    def __missing__(self, x: int) -> float:
        if len(self) >= _REMEMBERED // 10:
            self.clear()
        self[x] = found = max([self.model.fresh(self.name, v, v) for v in self.column.said(x)])
        return found


class Field:
    """The values of one field. bound: what two that are not equal weigh at most."""

    def __init__(self, name: str, column: Column, model: Model) -> None:
        self.name, self.bit, self.column, self.model, self.bound = name, BIT[name], column, model, model.unequal[name]
        self.equal = _Equal(model, name, column)
        self._found: dict[int, float] = {}

    def against(self, x: int, others: Sequence[int]) -> list[float] | None:
        """What the value with this number weighs with each of others, `bound` for itself and where there is no single one;
        None for fields whose values are compared one by one, when all else still allows the pair.
        """
        return None

    def weigh(self, x: int, y: int) -> float:
        pair = x * len(self.column.values) + y if x < y else y * len(self.column.values) + x
        found = self._found.get(pair)
        if found is None:
            if len(self._found) >= _REMEMBERED // 5:
                self._found.clear()
            found = self._found[pair] = self.compared(x, y)
        return found

    def compared(self, x: int, y: int) -> float:
        mine, theirs = self.column.values[x], self.column.values[y]
        return self.model.fresh(self.name, *((mine, theirs) if mine <= theirs else (theirs, mine)))

    def several(self, x: int, y: int) -> float:
        """Where one of the two says more than one thing."""
        mine, theirs = (dict.fromkeys(self.column.said(number), 1) for number in (x, y))
        return between(self.model, self.name, mine, theirs)


class _Emails(Field):
    """Of two addresses most are different people's, which is told by how many letters they have in common."""

    def __init__(self, name: str, column: Column, model: Model) -> None:
        super().__init__(name, column, model)
        self._mailbox, self._other = _locals(column), model.of_level(name, "other")

    def against(self, x: int, others: Sequence[int]) -> list[float] | None:
        values, mailbox, distance = self.column.values, self._mailbox, OSA.distance
        mine, local, other, bound = values[x], mailbox[x], self._other, self.bound
        return [
            bound if y < 0 or y == x
            else other if mailbox[y] != local and distance(mine, values[y], score_cutoff=_FARTHEST) > _FARTHEST
            else self.compared(x, y)
            for y in others
        ]  # fmt: skip


class _Phones(Field):
    """Numbers, of which both say their country or neither does, and which are no slip of each other, are different lines."""

    def against(self, x: int, others: Sequence[int]) -> list[float] | None:
        values, bound, distance = self.column.values, self.bound, OSA.distance
        mine, begin, other = values[x], values[x][:1], self.model.of_level(self.name, "other")
        return [
            bound if y < 0 or y == x
            else other if values[y][:1] == begin and distance(mine, values[y], score_cutoff=1) > 1
            else self.compared(x, y)
            for y in others
        ]  # fmt: skip


class _Row(dict[int, float]):
    """What one word of a name weighs with others, by their numbers."""

    def __init__(self, names: "_Names", part: str, word: int) -> None:
        super().__init__()
        self.names, self.part, self.word = names, part, word

    def __missing__(self, other: int) -> float:
        names = self.names
        names.made += 1
        found = self[other] = names.of_words(self.part, self.word, other)
        return found


class _Names(Field):
    """Names by their words, of which there are far fewer than names, and which are mostly far apart.

    Which letters a word has tells that: a slip changes at most two of them, and the beginning of a word has no others.
    """

    def __init__(self, name: str, column: Column, model: Model) -> None:
        super().__init__(name, column, model)
        numbers: dict[str, int] = {"": NOTHING}
        self._given, self._family = array("i"), array("i")  # by name; _MORE where it has words between
        for value in column.values:
            given, middle, family = name_parts.__wrapped__(value)
            for side, word in ((self._given, given), (self._family, family)):
                side.append(_MORE if middle else numbers.setdefault(word, len(numbers) - 1))
        self.words = [word for word in numbers if word]
        self._letters = [_letters(word) for word in self.words]
        ears: dict[str, int] = {}
        self._ears = array("i", [ears.setdefault(by_ear(word), len(ears)) for word in self.words])
        self._other = {part: model.of_level(part, "other") for part in ("given", "family")}
        self.made = 0  # pairs that are remembered
        self._rows: dict[str, dict[int, _Row]] = {"given": {}, "family": {}}

    def of_words(self, part: str, word: int, other: int) -> float:
        mine, theirs = self._letters[word], self._letters[other]
        apart = mine ^ theirs
        if apart & mine and apart & theirs and apart.bit_count() > _TWO_SLIPS and self._ears[word] != self._ears[other]:
            if part == "family" or not is_nickname(self.words[word], self.words[other]):
                return self._other[part]
        return self.model.word(part, self.words[word], self.words[other])[1]

    def against(self, x: int, others: Sequence[int]) -> list[float] | None:
        if self.made > _REMEMBERED:
            for rows in self._rows.values():
                rows.clear()
            self.made = 0
        given_of, family_of, letters, ears = self._given, self._family, self._letters, self._ears
        given, family, other_family, compared = given_of[x], family_of[x], self._other["family"], self.compared
        if given == _MORE:
            return [compared(x, y) if x != y >= 0 else self.bound for y in others]
        givens, given_letters, given_ear = self._word("given", given)
        families, family_letters, family_ear = self._word("family", family)
        found = []
        for y in others:
            if y == x or y < 0:
                found.append(self.bound)
                continue
            first, last = given_of[y], family_of[y]
            if first == _MORE:
                found.append(compared(x, y))
                continue
            weight = givens[first] if given >= 0 <= first else 0.0
            theirs = letters[last] if last >= 0 else 0
            if family >= 0 <= last:
                apart = family_letters ^ theirs
                is_far = apart.bit_count() > _TWO_SLIPS and apart & theirs and apart & family_letters
                weight += other_family if is_far and ears[last] != family_ear else families[last]
            if first != given and last != family:  # the first name of one may be the last name of the other
                is_swapped = (
                    given >= 0 <= last
                    and ((given_letters ^ theirs).bit_count() <= _A_SLIP or ears[last] == given_ear)
                    and self._is_a_slip(given, last)
                ) or (
                    family >= 0 <= first
                    and ((family_letters ^ letters[first]).bit_count() <= _A_SLIP or ears[first] == family_ear)
                    and self._is_a_slip(family, first)
                )
                if is_swapped:
                    weight = compared(x, y)
            found.append(weight)
        return found

    def _is_a_slip(self, word: int, other: int) -> bool:
        return self._ears[word] == self._ears[other] or near(self.words[word], self.words[other]) < 2

    def _word(self, part: str, word: int) -> tuple[dict[int, float], int, int]:
        """What a word weighs with others, its letters and how it sounds."""
        if word < 0:
            return {}, 0, NOTHING
        rows = self._rows[part]
        found = rows.get(word)
        if found is None:
            found = rows[word] = _Row(self, part, word)
        return found, self._letters[word], self._ears[word]


def _letters(word: str) -> int:
    """Which letters it has, as bits; of some alphabets several letters share one."""
    found = 0
    for ch in set(word):
        found |= 1 << (ord(ch) & 31)
    return found


def _locals(column: Column) -> "array[int]":
    """By address, the number of what stands before its @, where digits are in it; another one for each of the others, of
    which none is an address's own at two hosts.
    """
    numbers: dict[str, int] = {}
    found = array("i")
    for n, value in enumerate(column.values):
        local = value.rpartition("@")[0]
        is_plain = local.isalpha() or not any(map(str.isdigit, local))
        found.append(-n - 1 if is_plain else numbers.setdefault(local, len(numbers)))
    return found


_OF: dict[str, type[Field]] = {"name": _Names, "email": _Emails, "phone": _Phones}


def field(name: str, column: Column, model: Model) -> Field:
    return _OF.get(name, Field)(name, column, model)
