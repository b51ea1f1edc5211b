"""The measurement of names: the same pairs in the same halves each time, and figures that can be worked out by hand."""

from pathlib import Path

import pytest

from benchmarks.identity import names as bench

ROWS = [
    ("Person", "Ana Berg", "Berg, Ana", "true"), ("Person", "Ana Berg", "Otto Maier", "false"),
    ("Person", "Ana Berg", "Anna Berg", "false"), ("Company", "Kestrel AG", "Kestrel Aktiengesellschaft", "true"),
    ("Vessel", "Kestrel", "Kestrel 2", "true"),
]  # fmt: skip


def test_figures_are_those_of_the_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names").mkdir()
    text = "schema,name1,name2,is_match\n" + "".join(f'{s},"{a}","{b}",{m}\n' for s, a, b, m in ROWS)
    (tmp_path / "names" / "name_pairs_nomenklatura.csv").write_text(text, "utf-8")
    monkeypatch.setenv("HUB_IDENTITY_DATA", str(tmp_path))
    monkeypatch.setattr(bench, "STRANGERS", 10)
    persons, organizations = bench.KINDS
    said = bench.measured(persons)
    assert (said["pairs"], said["f1"], said["threshold"]) == (3, 1.0, 1.0)
    assert said["f1_at_half"] == pytest.approx(2 / 3)  # Ana and Anna are above it, too
    shown = bench.lines(persons, said)
    assert shown[0].startswith("persons        F1 1.0000  moonshot")
    assert bench.measured(organizations)["pairs"] == 1


def test_pairs_of_one_score_are_taken_all_or_none() -> None:
    assert bench._best_f1([(0.9, True), (0.5, True), (0.5, False), (0.5, False), (0.1, False)]) == (2 / 3, 0.9)


def test_a_pair_is_in_the_same_half_whichever_way_round() -> None:
    pairs = [(f"a{n}", f"b{n}") for n in range(64)]
    halves = [bench.Pair(a, b, True).is_held_out for a, b in pairs]
    assert halves == [bench.Pair(b, a, False).is_held_out for a, b in pairs]
    assert 16 < sum(halves) < 48
