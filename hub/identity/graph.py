"""Who belongs together, from evidence and verdicts alone. Pure: the same words give the same groups, in whatever order.

Nodes are identifiers. Words join or part them. First of all what people said is read by itself, newest first: a word that
contradicts a newer one is void. Then evidence joins, the strongest first: what a tool itself says, what a rule reads off a
record or an address, what the model weighed; a word that would join what a person parted, two ids of one tool, people of
other names on one address, or more than the limits, is refused with its reason. Last, whoever a person called the same
is joined as evidence made him, whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hub.identity.match.fields import company_level, compare_names
from hub.identity.match.vetoes import is_conflict

COMPANY = "company "  # before the name of an organization among names
HUMAN, TOOL, RULE, MODEL = "human", "tool", "rule", "model"
_ORDER = {HUMAN: 0, TOOL: 1, RULE: 2, MODEL: 3}
DIFFERENT = "a person said they are different"
TWO_IDS = "two ids of one tool"
OTHER_NAMES = "other names on one address"
NOW_ANOTHERS = "another record lists it now"
ONCE_LISTED = "once-listed"  # the rule of what a record listed before: it counts where nobody lists it today


@dataclass(frozen=True, slots=True)
class Node:
    """id: of the identifier. tool: the scheme of a tool's id, "" for an address. names: keys of what its record is called.

    called: what mail calls an address: that may be anything, and tells only its spellings apart.
    """

    id: int
    scheme: str
    value: str
    tool: str = ""
    names: tuple[str, ...] = ()
    called: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[str, int, str]:
        """Sorts ids as their tool counts them; the same whatever came first to us."""
        return (self.scheme, len(self.value), self.value)


@dataclass(frozen=True, slots=True)
class Word:
    """One reason to hold two nodes the same, or different. at: microseconds; decision: its row, 0 for evidence as it stands."""

    left: int
    right: int
    kind: str
    rule: str
    verdict: Literal["same", "different"] = "same"
    weight: float = 0.0
    at: int = 0
    decision: int = 0
    record: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one entity. A tool may say and a person may decide what exceeds them."""

    addresses: int = 10
    records: int = 100


@dataclass(slots=True)
class Parts:
    """groups: node ids, sorted. used: the words that join them. refused: (word, reason)."""

    groups: list[list[int]] = field(default_factory=list)
    used: list[Word] = field(default_factory=list)
    refused: list[tuple[Word, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """said: numbers of what people's words alone make of its members."""

    members: list[int]
    tools: set[str]
    names: set[str]
    addresses: int
    records: int
    said: set[int]


def parts(nodes: Sequence[Node], words: Iterable[Word], limits: Limits | None = None) -> Parts:
    """Groups of nodes. Words about nodes that are not given are left out."""
    known = {n.id for n in nodes}
    given = [w for w in words if w.left in known and w.right in known]
    said = _Said(sorted((w for w in given if w.kind == HUMAN), key=lambda w: (-w.at, -w.decision)))
    work = _Work(nodes, limits or Limits(), said)
    work.join(w for w in given if w.kind != HUMAN)
    work.join(said.same)
    return work.done()


class _Said:
    """What people said, without any evidence. same: their words that stand."""

    def __init__(self, newest_first: Iterable[Word]) -> None:
        self.same: list[Word] = []
        self._group: dict[int, set[int]] = {}
        self._apart: list[tuple[int, int]] = []
        for word in newest_first:
            a, b = self._of(word.left), self._of(word.right)
            if word.verdict == "different":
                if a is not b:
                    self._apart.append((word.left, word.right))
            elif a is b or not any(self._between(x, y, a, b) for x, y in self._apart):
                self.same.append(word)
                if a is not b:
                    a |= b
                    self._group.update(dict.fromkeys(b, a))
        self.apart: dict[int, set[int]] = {}
        for x, y in self._apart:
            self.apart.setdefault(self.number(x), set()).add(self.number(y))
            self.apart.setdefault(self.number(y), set()).add(self.number(x))

    def _of(self, node: int) -> set[int]:
        return self._group.setdefault(node, {node})

    def _between(self, x: int, y: int, a: set[int], b: set[int]) -> bool:
        return (x in a and y in b) or (x in b and y in a)

    def number(self, node: int) -> int:
        return min(self._group.get(node, {node}))


class _Work:
    def __init__(self, nodes: Sequence[Node], limits: Limits, said: _Said) -> None:
        self.limits, self.said = limits, said
        self.nodes = {n.id: n for n in nodes}
        self.group_of = {
            n.id: _Group(
                [n.id], {n.tool} if n.tool else set(), set(n.names), int(n.scheme == "email"), int(bool(n.tool)),
                {said.number(n.id)},
            )
            for n in nodes
        }  # fmt: skip
        self.out = Parts()

    def join(self, words: Iterable[Word]) -> None:
        for word in sorted(words, key=self._rank):
            a, b = self.group_of[word.left], self.group_of[word.right]
            if a is b:
                self.out.used.append(word)
            elif reason := self._reason(word, a, b):
                self.out.refused.append((word, reason))
            else:
                self.out.used.append(word)
                self._join(a, b)

    def done(self) -> Parts:
        groups = {id(g): g for g in self.group_of.values()}
        self.out.groups = sorted(sorted(g.members) for g in groups.values())
        return self.out

    def _rank(self, word: Word) -> tuple[object, ...]:
        ends = sorted((self.nodes[word.left].order, self.nodes[word.right].order))
        if word.kind == HUMAN:
            return (0, -word.at, -word.decision, ends)
        return (_ORDER[word.kind], -word.weight, 0, ends)

    def _reason(self, word: Word, a: _Group, b: _Group) -> str:
        if any(not b.said.isdisjoint(self.said.apart.get(one, ())) for one in a.said):
            return DIFFERENT
        if word.kind in (HUMAN, TOOL):
            return ""
        if a.tools & b.tools:
            return TWO_IDS
        mine, theirs = self.nodes[word.left].called, self.nodes[word.right].called
        if word.kind == RULE and mine and theirs and conflict(set(mine), set(theirs)):
            return OTHER_NAMES
        if a.names and b.names and (most_conflict if word.kind == MODEL else conflict)(a.names, b.names):
            return OTHER_NAMES
        if word.rule == ONCE_LISTED and a.records and b.records:
            return NOW_ANOTHERS
        if a.addresses + b.addresses > self.limits.addresses and a.addresses and b.addresses:
            return f"more than {self.limits.addresses} addresses"
        return f"more than {self.limits.records} records" if a.records + b.records > self.limits.records else ""

    def _join(self, a: _Group, b: _Group) -> None:
        if len(a.members) < len(b.members):
            a, b = b, a
        a.members += b.members
        a.tools |= b.tools
        a.names |= b.names
        a.addresses += b.addresses
        a.records += b.records
        a.said |= b.said
        for n in b.members:
            self.group_of[n] = a


def conflict(mine: set[str], theirs: set[str]) -> bool:
    """Whether a name of the one cannot be a name of whoever has one of the other's."""
    return any(_differ(x, y) for x in mine for y in theirs)


def most_conflict(mine: set[str], theirs: set[str]) -> bool:
    """Whether half of their names or more cannot be one's: of what was weighed, one slip in a name is no other person."""
    return 2 * sum(_differ(x, y) for x in mine for y in theirs) >= len(mine) * len(theirs) > 0


def _differ(x: str, y: str) -> bool:
    if x.startswith(COMPANY) or y.startswith(COMPANY):
        return company_level(x.removeprefix(COMPANY), y.removeprefix(COMPANY)) == "other"
    return all(map(is_conflict, compare_names(x, y)))
