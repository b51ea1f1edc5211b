"""Many records at once: candidates by keys, the same weights, and joining in falling order instead of closure."""

import heapq
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hub.identity.match import keys
from hub.identity.match.bulk import bulk
from hub.identity.match.joining import Clustering as Clustering
from hub.identity.match.model import Model, Settings
from hub.identity.match.online import Line, waterfall
from hub.identity.match.profile import Profile, score, weights
from hub.identity.match.record import Record
from hub.identity.match.table import Blocks, Table
from hub.identity.match.vetoes import TWO_IDS, Different, veto


def candidates(keyed: Iterable[Iterable[str]], most: int) -> "array[int]":
    """Pairs i < j of indexes into `keyed` that share a key, as i * count + j, ascending; a key that more than `most` have says
    nothing. No index has a key twice.
    """
    hashes, ends = array("q"), array("q")
    for found in keyed:
        hashes.extend(map(hash, found))
        ends.append(len(hashes))
    blocks, n, pairs = Blocks(hashes, ends, most), len(ends), array("q")
    for i in range(n):
        base = i * n
        pairs.extend([base + j for j in blocks.after(i)])
    return pairs


def batch(
    records: Sequence[Record], settings: Settings, model: Model | None = None
) -> tuple[list[list[str]], Model, list[tuple[float, int, int]]]:
    """Clusters of record ids, the model (learnt from these records unless given), and the pairs likelier than not.

    Pairs are (weight, i, j) with indexes into the records sorted by id. The order of `records` plays no part.
    """
    table = Table(records)
    table.sort()
    clusters, model, pairs = bulk(table, settings, model)
    return clusters, model, list(pairs)


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
        if weight >= settings.review and (why := _why_asked(work, i, j, weight)):
            reviews.append(_proposal(model, records, a, b, weight, why))
    return Outcome(sorted(joins, key=rank), sorted(reviews, key=rank))


def rank(proposal: Proposal) -> tuple[float, str, str]:
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


def _why_asked(work: Clustering, i: int, j: int, weight: float) -> str:
    """ "" where there is nothing to ask: what contradicts each other, and a tool's own two that are not surely one."""
    a, b = work.profiles[i], work.profiles[j]
    reason, is_sure = veto(a, b, work.different), weight >= work.model.settings.auto
    if reason:
        return reason if reason == TWO_IDS and is_sure else ""
    if not is_sure:
        return "not sure enough"
    return work.refused(a, b) or work.torn(i, j, weight) or "more records than are joined without asking"


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
