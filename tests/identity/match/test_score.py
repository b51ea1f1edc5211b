"""The scorer of the measurements, against counting by hand."""

from itertools import combinations

import pytest

from benchmarks.identity import score

TRUTH = {"a": "1", "b": "1", "c": "1", "d": "2", "e": "2", "f": "3"}


def test_pairs_of_clusters() -> None:
    found = [["a", "b", "d"], ["c", "e"], ["f"]]
    made = {frozenset(p) for group in found for p in combinations(group, 2)}
    true = {frozenset(p) for p in combinations(TRUTH, 2) if TRUTH[p[0]] == TRUTH[p[1]]}
    figures = score.clusters(found, TRUTH)
    assert figures.precision == len(made & true) / len(made) == 0.25
    assert figures.recall == len(made & true) / len(true) == 0.25
    assert (figures.largest, figures.largest_true) == (3, 3)


def test_recall_at_a_precision_takes_equal_weights_together() -> None:
    scored = [(9.0, True), (8.0, True), (8.0, False), (7.0, True)]
    assert score.recall_at(scored, 4, 0.99) == 0.25
    assert score.recall_at(scored, 4, 0.66) == 0.75


def test_agreement_of_two_clusterings() -> None:
    a = {"a": 0, "b": 0, "c": 1, "d": 1}
    assert score.rand(a, {"a": 5, "b": 5, "c": 2, "d": 2}) == 1.0
    assert score.rand(a, {"a": 0, "b": 1, "c": 0, "d": 1}) == pytest.approx(-0.5)
