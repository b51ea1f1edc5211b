"""`python -m benchmarks.identity.names`: how well two ways to write a name are told from two names, and how fast.

Labelled pairs are in `names/name_pairs_nomenklatura.csv` below HUB_IDENTITY_DATA. The weights were chosen on the half of them whose
hash is even; the other half was only ever counted. Beside us: string similarity of rapidfuzz in the same run, and the figures of
nomenklatura on the same pairs, which takes six minutes to install and is not run here.
"""

import argparse
import csv
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from rapidfuzz import fuzz

from benchmarks.identity.sets import folder
from benchmarks.measure import busyness
from hub.identity.match import alike, companies, names
from hub.identity.match.strings import fold

Score = Callable[[str, str], float]


@dataclass(frozen=True)
class Pair:
    a: str
    b: str
    is_same: bool

    @property
    def is_held_out(self) -> bool:
        return bool(hashlib.sha256("\0".join(sorted((self.a, self.b))).encode()).digest()[0] & 1)


@dataclass(frozen=True)
class Kind:
    """schemas: of the labelled pairs. floor, moonshot: best F1 and pairs a second."""

    title: str
    schemas: frozenset[str]
    score: Score
    floor: float
    moonshot: float
    peers: str


KINDS = (
    Kind("persons", frozenset({"Person"}), names.similarity, 0.74, 0.82, "nomenklatura logic-v2 .756, logic-v1 .706, at 2-2.5k pairs/s"),
    Kind(
        "organizations", frozenset({"Company", "Organization", "LegalEntity"}), companies.similarity, 0.87, 0.92,
        "nomenklatura logic-v1 .891, logic-v2 .867, at 2-2.5k pairs/s",
    ),
)  # fmt: skip
FLOOR_S, MOONSHOT_S = 20_000, 50_000
STRANGERS, TIMES = 50_000, 20


def pairs(schemas: frozenset[str]) -> list[Pair]:
    with (folder() / "names" / "name_pairs_nomenklatura.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["schema"] in schemas]
    return [Pair(row["name1"], row["name2"], row["is_match"] == "true") for row in rows]


def measured(kind: Kind) -> dict[str, Any]:
    """F1 at the best threshold and at 0.5; pairs per CPU second the first time, again, and of names that have nothing in common."""
    given = pairs(kind.schemas)
    _forget()
    began = time.process_time()
    scored = [(kind.score(p.a, p.b), p.is_same) for p in given]
    first = len(given) / (time.process_time() - began)
    halves = [[s for s, p in zip(scored, given, strict=True) if p.is_held_out is held] for held in (False, True)]
    found = [_best_f1(part) for part in (scored, *halves)]
    fuzzy: dict[str, Score] = {"WRatio": fuzz.WRatio, "token_set_ratio": fuzz.token_set_ratio}
    return {
        "pairs": len(given), "f1": found[0][0], "threshold": found[0][1], "worked_on": found[1][0], "held_out": found[2][0],
        "f1_at_half": _f1_at(scored, 0.5), "first_s": first, "again_s": _speed(kind.score, given),
        "strangers_s": _speed(kind.score, _strangers(given), 1),
        "rapidfuzz": {title: _plain(given, score) for title, score in fuzzy.items()},
    }  # fmt: skip


def _forget() -> None:
    for cache in (names._read, names.split, companies._read, alike.word_cost, alike.by_ear, fold):
        cache.cache_clear()


def _speed(score: Score, given: Sequence[Pair], times: int = TIMES) -> float:
    began = time.process_time()
    for _ in range(times):
        for pair in given:
            score(pair.a, pair.b)
    return times * len(given) / (time.process_time() - began)


def _strangers(given: Sequence[Pair]) -> list[Pair]:
    draw, known = Random(1), [name for pair in given for name in (pair.a, pair.b)]
    return [Pair(draw.choice(known), draw.choice(known), False) for _ in range(STRANGERS)]


def _best_f1(scored: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """The best F1 at any one threshold, and the threshold. Many pairs have the same score: they are taken all or none."""
    return max(((_f1_at(scored, at), at) for at in {score for score, _ in scored}), default=(0.0, 0.0))


def _f1_at(scored: Sequence[tuple[float, bool]], threshold: float) -> float:
    chosen = [same for score, same in scored if score >= threshold]
    return 2 * sum(chosen) / ((len(chosen) + sum(same for _, same in scored)) or 1)


def _plain(given: Sequence[Pair], score: Score) -> tuple[float, float]:
    """Best F1 and pairs per CPU second of a string similarity, on folded names."""
    folded = [Pair(fold(p.a), fold(p.b), p.is_same) for p in given]
    return _best_f1([(score(p.a, p.b), p.is_same) for p in folded])[0], _speed(score, folded)


def lines(kind: Kind, said: dict[str, Any]) -> list[str]:
    fuzzy = ", ".join(f"{title} {f1:.3f} at {speed / 1000:.0f}k/s" for title, (f1, speed) in said["rapidfuzz"].items())
    return [
        (
            f"{kind.title:<14} F1 {said['f1']:.4f}  {_verdict(said['f1'], kind.floor, kind.moonshot):<9}"
            f"floor {kind.floor} · moonshot {kind.moonshot} · {kind.peers}"
        ),
        (
            f"    half worked on {said['worked_on']:.4f}, held out {said['held_out']:.4f}; "
            f"at 0.5: {said['f1_at_half']:.4f}; best at {said['threshold']:.2f}; {said['pairs']} pairs"
        ),
        (
            f"    {said['again_s']:,.0f} pairs/s {_verdict(said['again_s'], FLOOR_S, MOONSHOT_S)} "
            f"(floor {FLOOR_S:,} · moonshot {MOONSHOT_S:,}); names never seen {said['first_s']:,.0f}, "
            f"strangers {said['strangers_s']:,.0f}"
        ),
        f"    rapidfuzz in the same run, folded names: {fuzzy}",
    ]


def _verdict(figure: float, floor: float, moonshot: float) -> str:
    return "moonshot " if figure >= moonshot else "floor " if figure >= floor else "MISSED "


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity.names", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    options = parser.parse_args()
    before, found = busyness(), {kind.title: measured(kind) for kind in KINDS}
    if options.json:
        print(json.dumps({"before": before, "after": busyness(), "kinds": found}, indent=2))
        return 0
    for kind in KINDS:
        print("\n".join(lines(kind, found[kind.title])))
    print(f"\nbefore: {before}\nafter:  {busyness()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
