"""Joining by falling weight instead of closure: what is one is weighed anew as a whole before anything else joins it."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hub.identity.match.model import Model
from hub.identity.match.profile import Profile, joined, score, weights
from hub.identity.match.vetoes import Different, apart, grounds, is_by_circumstance, over_limit, veto


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
            elif not self.refused(a, b) and not self.torn(i, j, -weight):
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

    def torn(self, i: int, j: int, weight: float) -> str:
        """Why not, where one of two that no key ties is about as like to a third, which the other cannot be; else ""."""
        settings, a, b = self.model.settings, self.profiles[i], self.profiles[j]
        if self.at < settings.auto or not is_by_circumstance(weights(self.model, a, b)):
            return ""
        least = max(weight - settings.margin, settings.auto)
        is_torn = any(
            apart(self.model, self.profiles[third], other, middle)
            for at, middle, other, known in ((i, a, b, j), (j, b, a, i))
            for third, w in self.near[at].items()
            if third != known and w >= least
        )
        return "another entity is as likely" if is_torn else ""

    def _join(self, i: int, j: int) -> None:
        new = self.next
        self.next += 1
        self.profiles[new] = joined(self.profiles.pop(i), self.profiles.pop(j))
        mine, theirs = self.near.pop(i), self.near.pop(j)
        del mine[j], theirs[i]
        for other in sorted(mine.keys() | theirs.keys()):
            around = self.near[other]
            self.edge(new, other, max(w for w in (around.pop(i, None), around.pop(j, None)) if w is not None), False)
