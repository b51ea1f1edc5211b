"""Many records as columns of numbers: what a million of them say, in some hundred bytes each.

Every value is kept once and named by its number, so that equal values are equal numbers, what a pair of values weighs is
worked out once, and a part of the records made in another process is taken in by numbers.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, chain

from hub.identity.match import keys
from hub.identity.match.fields import FIELDS, name_parts
from hub.identity.match.model import Counts
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record

NAMED = tuple(sorted(FIELDS))
NOTHING = -1
_NOBODY: frozenset[str] = frozenset()
HOLDER, MAILBOXES = "holder", "mailboxes"  # columns beside the fields


def _digest(key: str) -> bytes:
    """The same in every process; as a number, eight bytes in the machine's order."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class Column:
    """What each record says of one thing. of: the number of its value, NOTHING, or -2 - the number of its several values."""

    def __init__(self) -> None:
        self.of = array("i")
        self.values: list[str] = []
        self.several: list[tuple[str, ...]] = []
        self._numbers: dict[str | tuple[str, ...], int] = {}

    def put(self, i: int, found: tuple[str, ...]) -> None:
        """What record i says, which is behind all that said something."""
        self.reach(i)
        if len(found) == 1:
            number = self._number(found[0])
        else:
            number = self._several(found) if found else NOTHING
        self.of.append(number)

    def reach(self, end: int) -> None:
        """The records that are left up to `end` say nothing."""
        if end > len(self.of):
            self.of.extend([NOTHING] * (end - len(self.of)))

    def _number(self, value: str) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def _several(self, found: tuple[str, ...]) -> int:
        number = self._numbers.setdefault(found, -2 - len(self.several))
        if number == -2 - len(self.several):
            self.several.append(found)
        return number

    def extend(self, other: "Column") -> None:
        if not other.values and not other.several:
            self.of.extend(other.of)
            return
        ours, numbers, values = [], self._numbers, self.values
        for value in other.values:
            number = numbers.get(value)
            if number is None:
                number = numbers[value] = len(values)
                values.append(value)
            ours.append(number)
        # Python's negative indexes: what is at -1 is NOTHING, at -2 - k the k-th of several
        ours += [self._several(v) for v in reversed(other.several)]
        ours.append(NOTHING)
        self.of.extend(map(ours.__getitem__, other.of))

    def at(self, i: int) -> tuple[str, ...]:
        return self.said(self.of[i])

    def said(self, number: int) -> tuple[str, ...]:
        if number >= 0:
            return (self.values[number],)
        return () if number == NOTHING else self.several[-2 - number]

    def close(self) -> None:
        """No more values will come."""
        self._numbers = {}

    def sort(self, order: Sequence[int]) -> None:
        if self.values or self.several:
            self.of = array("i", map(self.of.__getitem__, order))

    def counts(self) -> Counter[str]:
        """How many records say each value."""
        found: Counter[str] = Counter()
        for number, n in Counter(self.of).items():
            if number >= 0:
                found[self.values[number]] += n
            elif number != NOTHING:
                for value in self.several[-2 - number]:
                    found[value] += n
        return found

    def __getstate__(self) -> tuple[bytes, list[str], list[tuple[str, ...]]]:
        return self.of.tobytes(), self.values, self.several

    def __setstate__(self, state: tuple[bytes, list[str], list[tuple[str, ...]]]) -> None:
        self.of, self.values, self.several, self._numbers = array("i", state[0]), state[1], state[2], {}


class Pool(Sequence[str]):
    """Values as often as they are said, in order; each kept once."""

    def __init__(self, counts: Counter[str]) -> None:
        self._values = sorted(counts)
        self._ends = list(accumulate(counts[v] for v in self._values))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, at: int) -> str:  # type: ignore[override]  # no slices
        return self._values[bisect_right(self._ends, at)]


class Table(Sequence[Profile]):
    """Records by their place; after `sort`, in the order of their ids. keys: hashes, those of record i end at ends[i]."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.ids: list[str] = []
        self.columns = {name: Column() for name in (*NAMED, HOLDER, MAILBOXES)}
        self.keys, self.ends = array("q"), array("q")
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        i, columns = len(self.ids), self.columns
        self.ids.append(record.id)
        for name, found in record.fields.items():
            columns[name].put(i, found)
        if record.holder:
            columns[HOLDER].put(i, (record.holder,))
        if record.mailboxes:
            columns[MAILBOXES].put(i, record.mailboxes)
        self.keys.frombytes(b"".join([_digest(key) for key in keys.of(record)]))
        self.ends.append(len(self.keys))

    def extend(self, other: "Table") -> None:
        """Take in records that were made into columns elsewhere."""
        for name, column in self.columns.items():
            column.reach(len(self.ids))
            column.extend(other.columns[name])
        self.ids += other.ids
        before = len(self.keys)
        self.keys.extend(other.keys)
        self.ends.extend(before + end for end in other.ends)

    def sort(self) -> None:
        """Put the records in the order of their ids; none can be added afterwards."""
        for column in self.columns.values():
            column.reach(len(self.ids))
            column.close()
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        if all(i == at for i, at in enumerate(order)):
            return
        begins, hashes, ends = [0, *self.ends], array("q"), array("q")
        for i in order:
            hashes.extend(self.keys[begins[i] : begins[i + 1]])
            ends.append(len(hashes))
        self.ids = [self.ids[i] for i in order]
        self.keys, self.ends = hashes, ends
        for column in self.columns.values():
            column.sort(order)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Profile:  # type: ignore[override]  # no slices
        """What is known of one record; no two calls give the same object, and nobody changes it."""
        values = {}
        for name in NAMED:
            column = self.columns[name]
            number = column.of[i]
            if number >= 0:
                values[name] = {column.values[number]: 1}
            elif number != NOTHING:
                values[name] = dict.fromkeys(column.several[-2 - number], 1)
        held, boxes = self.columns[HOLDER].of[i], self.columns[MAILBOXES].of[i]
        return Profile(
            values,
            [self.ids[i]],
            _NOBODY if held == NOTHING else frozenset(self.columns[HOLDER].said(held)),
            _NOBODY if boxes == NOTHING else frozenset(self.columns[MAILBOXES].said(boxes)),
        )

    def counts(self) -> Counts:
        """The running counters of all."""
        found = Counts(len(self))
        for name in NAMED:
            for part, counts in _by_part(name, self.columns[name].counts()):
                if counts:
                    found.values[part] = counts
                    found.totals[part] = counts.total()
        return found

    def pools(self) -> Iterator[tuple[str, Pool]]:
        """Of each field, in the order of `FIELDS`."""
        for name in FIELDS:
            yield name, Pool(self.columns[name].counts())


def _by_part(name: str, counts: Counter[str]) -> Iterator[tuple[str, Counter[str]]]:
    if name != "name":
        yield name, counts
        return
    found: dict[str, Counter[str]] = {"given": Counter(), "family": Counter(), "middle": Counter()}
    for value, n in counts.items():
        given, middle, family = name_parts(value)
        for part, word in chain((("given", given), ("family", family)), (("middle", m) for m in middle)):
            if word:
                found[part][word] += n
    yield from found.items()


class Blocks:
    """Who shares a key with whom; a key that more than `most` have says nothing."""

    _AT_ONCE = 2_000_000  # keys looked at in one go: bounds the memory that this takes

    def __init__(self, hashes: "array[int]", ends: "array[int]", most: int) -> None:
        turns = 1 + len(hashes) // self._AT_ONCE
        numbers: dict[int, int] = {}
        sizes = array("i")
        for turn in range(turns):
            for key, n in Counter(hashes if turns == 1 else (h for h in hashes if h % turns == turn)).items():
                if 1 < n <= most:
                    numbers[key] = len(sizes)
                    sizes.append(n)
        self._until = array("i", accumulate(sizes))  # where each block ends among the members
        self._members = array("i", bytes(4 * sum(sizes)))
        self._of, self._first = array("i"), array("i", [0])  # the blocks of record i are _of[_first[i]:_first[i + 1]]
        self._next = array("i")  # and where the records behind it begin in each
        free = array("i", (end - n for end, n in zip(self._until, sizes, strict=True)))
        begin = 0
        for i, end in enumerate(ends):
            for number in map(numbers.get, hashes[begin:end]):
                if number is not None:
                    at = free[number]
                    self._members[at] = i
                    free[number] = at + 1
                    self._of.append(number)
                    self._next.append(at + 1)
            self._first.append(len(self._of))
            begin = end

    def after(self, i: int) -> list[int]:
        """The records behind i that share a key with it, in order."""
        found: set[int] = set()
        members, until = self._members, self._until
        first, last = self._first[i], self._first[i + 1]
        for at, number in zip(self._next[first:last], self._of[first:last], strict=True):
            found.update(members[at : until[number]])
        return sorted(found)
