"""Many records at once: candidates by keys, the same weights, and joining in falling order instead of closure."""

import heapq
import math
from collections.abc import Sequence

from hub.identity.match import keys
from hub.identity.match.learn import learn
from hub.identity.match.model import Model, Settings
from hub.identity.match.profile import Profile, joined, profiles, score, weights
from hub.identity.match.record import Record
from hub.identity.match.vetoes import Different, grounds, over_limit, veto


def candidates(records: Sequence[Record], settings: Settings) -> list[tuple[int, int]]:
    """Pairs of indexes (i < j) of records that share a key; a key that too many share says nothing."""
    blocks: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        for key in keys.of(record):
            blocks.setdefault(key, []).append(i)
    n, found = len(records), set[int]()
    for block in blocks.values():
        if 1 < len(block) <= settings.block:
            for at, i in enumerate(block):
                base = i * n
                found.update([base + j for j in block[at + 1 :]])
    held = [r.holder for r in records]
    pairs = (divmod(p, n) for p in sorted(found))
    return [(i, j) for i, j in pairs if not (held[i] and held[i] == held[j])]


_FLOOR = -12.0  # bits: weaker pairs are no neighbours


class Clustering:
    """Joins profiles by falling weight, the joined one weighed anew; vetoes and limits are asked before each join."""

    def __init__(self, model: Model, start: Sequence[Profile], at: float, different: Different = frozenset()) -> None:
        self.model, self.at, self.different = model, at, different
        self.profiles: dict[int, Profile] = dict(enumerate(start))
        self.near: dict[int, dict[int, float]] = {i: {} for i in self.profiles}
        self.heap: list[tuple[float, int, int, bool]] = []
        self.next = len(self.profiles)

    def edge(self, i: int, j: int, weight: float, is_fresh: bool = True) -> None:
        """Two neighbours. Not fresh: the weight is that of a part of one, and weighed again when its turn comes."""
        self.near[i][j] = self.near[j][i] = weight
        if weight >= self.at:
            heapq.heappush(self.heap, (-weight, i, j, is_fresh))

    def run(self) -> list[list[str]]:
        """Clusters of record ids, all sorted."""
        while self.heap:
            _, i, j, is_fresh = heapq.heappop(self.heap)
            if i not in self.profiles or j not in self.profiles:
                continue
            a, b = self.profiles[i], self.profiles[j]
            if not is_fresh:
                self.edge(i, j, self._weight(a, b))
            elif not self._refused(a, b):
                self._join(i, j)
        return sorted(sorted(p.records) for p in self.profiles.values())

    def _weight(self, a: Profile, b: Profile) -> float:
        """The weight of both; what would have many records needs more than what has few."""
        many = len(a.records) + len(b.records) - self.model.settings.ask_above
        return score(self.model, a, b, self.at) - max(many, 0)

    def _refused(self, a: Profile, b: Profile) -> str:
        """Why not, in words; "" if nothing stands against it."""
        reason = veto(a, b, self.different) or over_limit(a, b, self.model.settings)
        if not reason and self.at >= self.model.settings.auto:
            found = weights(self.model, a, b)
            reason = grounds(found, a, b, self.model.total(found) >= 2 * self.model.settings.auto)
        return reason

    def _join(self, i: int, j: int) -> None:
        new = self.next
        self.next += 1
        self.profiles[new] = joined(self.profiles.pop(i), self.profiles.pop(j))
        mine, theirs = self.near.pop(i), self.near.pop(j)
        self.near[new] = {}
        for other in sorted((mine.keys() | theirs.keys()) - {i, j}):
            around = self.near[other]
            self.edge(new, other, max(around.pop(i, -math.inf), around.pop(j, -math.inf)), is_fresh=False)


def batch(
    records: Sequence[Record], settings: Settings, model: Model | None = None
) -> tuple[list[list[str]], Model, list[tuple[float, int, int]]]:
    """Clusters of record ids, the model (learnt from these records unless given), and the scored pairs.

    Pairs are (weight, i, j) with indexes into the records sorted by id. The order of `records` plays no part.
    """
    ordered = sorted(records, key=lambda r: r.id)
    start = profiles(ordered)
    pairs = candidates(ordered, settings)
    model = model or learn(settings, ordered, start, pairs)
    work = Clustering(model, start, settings.review)
    scored = []
    for i, j in pairs:
        weight = score(model, start[i], start[j], _FLOOR)
        if weight > _FLOOR:
            work.edge(i, j, weight)
            scored.append((weight, i, j))
    return work.run(), model, scored
