"""`python -m benchmarks.identity.taught SET`: what answers to the review queue change, by themselves and in the weights.

An oracle answers the audit's own questions in the queue's order (weight x records touched): the first 30, then, of what is
asked after an audit that knows those, up to 100. Beside what the answers join themselves stands what the weights learnt from
them join alone, with the answers left out.
"""

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from benchmarks.identity import score
from benchmarks.identity.sets import SETS, Labelled
from hub.identity.audit import LEAST, model_for
from hub.identity.match import batch
from hub.identity.match.learn import Answer
from hub.identity.match.model import Model, Settings
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record

STEPS = (30, 100)
Told = tuple[str, str, bool]  # two records, and whether they are one


class _Groups:
    """Record -> the group it belongs to."""

    def __init__(self, ids: Iterable[str], told: Iterable[Told] = ()) -> None:
        self._first = {i: i for i in ids}
        for a, b, is_same in told:
            if is_same:
                self.join(a, b)

    def of(self, ident: str) -> str:
        while self._first[ident] != ident:
            ident = self._first[ident]
        return ident

    def join(self, a: str, b: str) -> None:
        low, high = sorted((self.of(a), self.of(b)))
        self._first[high] = low

    def all(self) -> list[list[str]]:
        found: dict[str, list[str]] = {}
        for ident in self._first:
            found.setdefault(self.of(ident), []).append(ident)
        return list(found.values())


class Base:
    """A labelled set, or the records of a share of its entities."""

    def __init__(self, labelled: Labelled, share: float, seed: int) -> None:
        entities = sorted(set(labelled.truth.values()))
        kept = set(Random(seed).sample(entities, round(len(entities) * share)))
        self.records = {r.id: r for r in labelled.records if labelled.truth[r.id] in kept}
        self.truth = {i: labelled.truth[i] for i in self.records}

    def model(self, told: Sequence[Told] = ()) -> Model:
        said = [Answer(Profile.of(self.records[a]), Profile.of(self.records[b]), same) for a, b, same in told]
        return model_for(self.records.values(), said)

    def audit(self, model: Model, told: Sequence[Told] = ()) -> tuple[_Groups, list[batch.Proposal]]:
        """What an audit that knows these answers joins, and what it asks, in the queue's order."""
        groups = _Groups(self.records, told)
        known = [_known(self.records[i] for i in group) for group in groups.all()]
        apart = {frozenset((a, b)) for a, b, is_same in told if not is_same}
        outcome = batch.audit(known, self.records, model, apart)
        for join in outcome.joins:
            groups.join(join.left, join.right)
        size = {i: len(group) for group in groups.all() for i in group}
        rank = {id(p): -p.weight * (size[p.left] + size[p.right]) for p in outcome.reviews}
        return groups, sorted(outcome.reviews, key=lambda p: (rank[id(p)], p.left, p.right))

    def answer(self, asked: Iterable[batch.Proposal]) -> list[Told]:
        return [(p.left, p.right, self.truth[p.left] == self.truth[p.right]) for p in asked]

    def figures(self, groups: _Groups) -> dict[str, float]:
        found = score.clusters(groups.all(), self.truth)
        return {"p": found.precision, "r": found.recall, "f1": found.f1}


def _known(records: Iterable[Record]) -> Profile:
    return Profile.whole(sorted(records, key=lambda r: r.id))


def needed(base: Base, model: Model, asked: Sequence[batch.Proposal], f1: float) -> int | None:
    """How many of the first night's questions must be answered until what is joined is this good; None: all do not do."""
    groups = base.audit(model)[0]
    for n, (a, b, is_same) in enumerate([*base.answer(asked), ("", "", False)]):
        if base.figures(groups)["f1"] >= f1:
            return n
        if is_same:
            groups.join(a, b)
    return None


def measured(base: Base, aim: float) -> dict[str, Any]:
    plain = base.model()
    groups, queue = base.audit(plain)
    said: dict[str, Any] = {
        "records": len(base.records), "is_learnt": len(base.records) >= LEAST, "questions": len(queue), "none": base.figures(groups),
        "needed": needed(base, plain, queue, aim), "steps": [],
    }  # fmt: skip
    told: list[Told] = []
    for step in STEPS:
        told += base.answer(queue[: step - len(told)])
        taught = base.model(told)
        groups, queue = base.audit(taught, told)
        said["steps"].append({
            "answers": len(told), "same": sum(t[2] for t in told), "with": base.figures(groups),
            "untaught": base.figures(base.audit(plain, told)[0]), "weights_alone": base.figures(base.audit(taught)[0]),
        })  # fmt: skip
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--share", type=float, default=0.9, help="of the entities, another draw for each seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--aim", type=float, default=0.953, help="F1 to be reached by answers")
    options = parser.parse_args()
    began, labelled = time.process_time(), SETS[options.set]()
    runs = [measured(Base(labelled, options.share, seed), options.aim) for seed in range(options.seeds)]
    print(json.dumps({"settings": Settings().hash, "runs": runs, "cpu_s": time.process_time() - began}))


if __name__ == "__main__":
    main()
