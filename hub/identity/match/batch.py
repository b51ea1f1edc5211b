"""Many records at once: candidates by keys, the same weights, and joining in falling order instead of closure."""

import heapq
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hub.identity.match import keys
from hub.identity.match.learn import learn
from hub.identity.match.model import Model, Settings
from hub.identity.match.online import Line, waterfall
from hub.identity.match.profile import Profile, joined, score, weights
from hub.identity.match.record import Record
from hub.identity.match.vetoes import TWO_IDS, Different, grounds, over_limit, veto

_AT_ONCE = 2_000_000  # keys looked at in one go: bounds the memory that finding candidates takes
_BUCKETS = 64


def candidates(keyed: Iterable[Iterable[str]], most: int) -> "array[int]":
    """Pairs i < j of indexes into `keyed` that share a key, as i * count + j, ascending; a key that more than `most` have says
    nothing. Keys are looked at by a part of their hashes at a time.
    """
    hashes, ends = array("q"), array("q")
    for found in keyed:
        hashes.extend([hash(key) for key in found])
        ends.append(len(hashes))
    n, turns = len(ends), 1 + len(hashes) // _AT_ONCE
    buckets = [array("q") for _ in range(_BUCKETS)]
    for turn in range(turns):
        for block in _blocks(hashes, ends, turn, turns, most):
            for at, i in enumerate(block):
                base = i * n
                buckets[i * _BUCKETS // n].extend([base + j for j in block[at + 1 :]])
    pairs = array("q")
    for at, bucket in enumerate(buckets):
        pairs.extend(sorted(set(bucket)))
        buckets[at] = array("q")
    return pairs


def _blocks(hashes: "array[int]", ends: "array[int]", turn: int, turns: int, most: int) -> Iterator[list[int]]:
    first: dict[int, int] = {}
    blocks: dict[int, list[int]] = {}
    begin = 0
    for i, end in enumerate(ends):
        for key in hashes[begin:end]:
            if turns > 1 and key % turns != turn:
                continue
            if key not in first:
                first[key] = i
            elif key in blocks:
                blocks[key].append(i)
            else:
                blocks[key] = [first[key], i]
        begin = end
    return (block for block in blocks.values() if len(block) <= most)


@dataclass(slots=True)
class Join:
    """Two clusters that were joined, as they were: what is known of each, and the weight of both."""

    left: Profile
    right: Profile
    weight: float


class Clustering:
    """Joins profiles by falling weight, the joined one weighed anew; vetoes and limits are asked before each join."""

    def __init__(self, model: Model, start: Sequence[Profile], at: float, different: Different = frozenset()) -> None:
        self.model, self.at, self.different = model, at, different
        self.profiles: dict[int, Profile] = dict(enumerate(start))
        self.near: dict[int, dict[int, float]] = {}  # only what has neighbours
        self.heap: list[tuple[float, int, int, bool]] = []
        self.next = len(self.profiles)

    def edge(self, i: int, j: int, weight: float, is_fresh: bool = True) -> None:
        """Two neighbours. Not fresh: the weight is that of a part of one, and weighed again when its turn comes: the whole
        may be likelier than any part of it.
        """
        self.near.setdefault(i, {})[j] = self.near.setdefault(j, {})[i] = weight
        if weight >= self.at or not is_fresh:
            heapq.heappush(self.heap, (-weight, i, j, is_fresh))

    def run(self) -> list[list[str]]:
        """Clusters of record ids, all sorted."""
        for _ in self.joins():
            pass
        return sorted(sorted(p.records) for p in self.profiles.values())

    def joins(self) -> Iterator[Join]:
        """Each join as it is made."""
        while self.heap:
            weight, i, j, is_fresh = heapq.heappop(self.heap)
            if i not in self.profiles or j not in self.profiles:
                continue
            a, b = self.profiles[i], self.profiles[j]
            if not is_fresh:
                self.edge(i, j, self.weight(a, b))
            elif not self.refused(a, b):
                self._join(i, j)
                yield Join(a, b, -weight)

    def weight(self, a: Profile, b: Profile) -> float:
        """The weight of both; what would have many records needs more than what has few."""
        many = len(a.records) + len(b.records) - self.model.settings.ask_above
        return score(self.model, a, b, self.at) - max(many, 0)

    def refused(self, a: Profile, b: Profile) -> str:
        """Why not, in words; "" if nothing stands against it."""
        reason = veto(a, b, self.different) or over_limit(a, b, self.model.settings)
        if not reason and self.at >= self.model.settings.auto:
            reason = grounds(self.model, weights(self.model, a, b), a, b)
        return reason

    def _join(self, i: int, j: int) -> None:
        new = self.next
        self.next += 1
        self.profiles[new] = joined(self.profiles.pop(i), self.profiles.pop(j))
        mine, theirs = self.near.pop(i), self.near.pop(j)
        del mine[j], theirs[i]
        for other in sorted(mine.keys() | theirs.keys()):
            around = self.near[other]
            self.edge(new, other, max(w for w in (around.pop(i, None), around.pop(j, None)) if w is not None), False)


def batch(
    records: Sequence[Record], settings: Settings, model: Model | None = None
) -> tuple[list[list[str]], Model, list[tuple[float, int, int]]]:
    """Clusters of record ids, the model (learnt from these records unless given), and the pairs likelier than not.

    Pairs are (weight, i, j) with indexes into the records sorted by id. The order of `records` plays no part.
    """
    ordered = sorted(records, key=lambda r: r.id)
    start = [Profile.of(r) for r in ordered]
    pairs = candidates(map(keys.of, ordered), settings.block)
    model = model or learn(settings, ordered, start, pairs)
    work = Clustering(model, start, settings.review)
    scored = []
    for code in pairs:
        i, j = divmod(code, len(ordered))
        if start[i].holders & start[j].holders:
            continue
        weight = score(model, start[i], start[j], settings.review)
        if weight >= settings.review:
            work.edge(i, j, weight)
            scored.append((weight, i, j))
    del start, pairs  # joining needs the room
    return work.run(), model, scored


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two components are one, or may be. left, right: the record of each that agrees best with the other's (left < right).

    why: what it needs a person for; "" for a join. lines: field by field, of the whole components.
    """

    left: str
    right: str
    weight: float
    why: str = ""
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """joins: in falling order. reviews: one for each pair of the components that there are after them, likeliest first."""

    joins: list[Proposal] = field(default_factory=list)
    reviews: list[Proposal] = field(default_factory=list)


def audit(
    groups: Iterable[Profile], records: Mapping[str, Record], model: Model, different: Different = frozenset()
) -> Outcome:
    """What the components that there are should become: what is joined without asking, and what a person is to be asked.

    groups: what is known of each component; no record in two of them. records: all of theirs, by id. The model's counters know
    their values. The order of `groups` plays no part. Each component is weighed with at most `Settings.neighbours` others.
    """
    settings = model.settings
    ordered = sorted(groups, key=lambda g: min(g.records))
    keyed = ({key for ident in g.records for key in keys.of(records[ident])} for g in ordered)
    work = Clustering(model, ordered, settings.auto, different)
    for i, others in _by_first(candidates(keyed, settings.block), len(ordered)):
        weighed = ((score(model, ordered[i], ordered[j], settings.review), -j) for j in others)
        for weight, j in heapq.nlargest(settings.neighbours, (w for w in weighed if w[0] >= settings.review)):
            work.edge(i, -j, weight)
    joins = [_proposal(model, records, j.left, j.right, j.weight) for j in work.joins()]
    reviews = []
    for i, j in sorted((i, j) for i, around in work.near.items() for j in around if i < j):
        a, b = work.profiles[i], work.profiles[j]
        weight = score(model, a, b, settings.review)
        if weight >= settings.review and (why := _why_asked(work, a, b, weight)):
            reviews.append(_proposal(model, records, a, b, weight, why))
    return Outcome(sorted(joins, key=_rank), sorted(reviews, key=_rank))


def _rank(proposal: Proposal) -> tuple[float, str, str]:
    return -proposal.weight, proposal.left, proposal.right


def _by_first(pairs: "array[int]", n: int) -> Iterator[tuple[int, list[int]]]:
    """i and all j of ascending codes i * n + j."""
    at = 0
    while at < len(pairs):
        i, others = pairs[at] // n, []
        while at < len(pairs) and pairs[at] // n == i:
            others.append(pairs[at] % n)
            at += 1
        yield i, others


def _why_asked(work: Clustering, a: Profile, b: Profile, weight: float) -> str:
    """ "" where there is nothing to ask: what contradicts each other, and a tool's own two that are not surely one."""
    reason, is_sure = veto(a, b, work.different), weight >= work.model.settings.auto
    if reason:
        return reason if reason == TWO_IDS and is_sure else ""
    if not is_sure:
        return "not sure enough"
    return work.refused(a, b) or "more records than are joined without asking"


def _proposal(
    model: Model, records: Mapping[str, Record], a: Profile, b: Profile, weight: float, why: str = ""
) -> Proposal:
    if min(b.records) < min(a.records):
        a, b = b, a
    mine, theirs = ([(i, Profile.of(records[i])) for i in sorted(p.records)] for p in (a, b))
    left, right = mine[0][0], theirs[0][0]
    best = float("-inf")
    for x, one in mine:
        for y, other in theirs:
            if (found := score(model, one, other, best)) > best:
                left, right, best = x, y, found
    if right < left:
        left, right, a, b = right, left, b, a
    return Proposal(left, right, weight, why, tuple(waterfall(model, a, b, weights(model, a, b))))
