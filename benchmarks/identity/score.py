"""Pairwise precision, recall and F1 of clusters; the automatic recall; agreement of two clusterings."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class Figures:
    precision: float
    recall: float
    largest: int
    largest_true: int

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def _pairs(sizes: Iterable[int]) -> int:
    return sum(n * (n - 1) // 2 for n in sizes)


def clusters(found: Sequence[Sequence[str]], truth: Mapping[str, str]) -> Figures:
    """Over all true pairs, those that were never candidates included."""
    both = _pairs(n for group in found for n in Counter(truth[r] for r in group).values())
    made = _pairs(len(group) for group in found)
    true = Counter(truth.values())
    return Figures(both / made if made else 1.0, both / _pairs(true.values()), max(map(len, found)), max(true.values()))


def false_joins(
    found: Sequence[Sequence[str]], truth: Mapping[str, str], hazards: Mapping[str, Set[str]], names: Iterable[str]
) -> dict[str, int]:
    """By hazard: pairs of two entities in one cluster of which one record carries it (a pair may carry several)."""
    wrong = Counter[str]()
    for group in found:
        for x, y in combinations(group, 2) if len({truth[r] for r in group}) > 1 else ():
            if truth[x] != truth[y]:
                wrong.update((hazards.get(x, frozenset()) | hazards.get(y, frozenset())) & set(names))
    return {name: wrong[name] for name in names}


def recall_at(scored: Iterable[tuple[float, bool]], true: int, precision: float) -> float:
    """The most true pairs above a weight at which the pairs above it are at least this precise (equal weights together)."""
    ordered = sorted(scored, key=lambda s: -s[0])
    right = best = 0
    for n, (weight, is_true) in enumerate(ordered, 1):
        right += is_true
        ends = n == len(ordered) or ordered[n][0] != weight
        if ends and right >= precision * n:
            best = right
    return best / true


def best_f1(scored: Iterable[tuple[float, bool]], true: int) -> tuple[float, float]:
    """The best F1 of pairs at any one weight, and that weight: a figure that needs the truth."""
    right, best = 0, (0.0, 0.0)
    for n, (weight, is_true) in enumerate(sorted(scored, key=lambda s: -s[0]), 1):
        right += is_true
        best = max(best, (2 * right / (n + true), weight))
    return best


def rand(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Adjusted Rand index of two clusterings (record -> cluster): 1 where they are the same."""
    both = _pairs(Counter((a[r], b[r]) for r in a).values())
    mine, theirs, everything = (
        _pairs(Counter(a.values()).values()),
        _pairs(Counter(b.values()).values()),
        _pairs([len(a)]),
    )
    chance = mine * theirs / everything if everything else 0.0
    most = (mine + theirs) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def true_pairs(truth: Mapping[str, str]) -> int:
    return _pairs(Counter(truth.values()).values())
