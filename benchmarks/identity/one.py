"""`python -m benchmarks.identity.one SET`: one set in a process of its own, so that its memory and time are its own."""

import argparse
import json
import resource
import time
from dataclasses import fields
from random import Random
from typing import Any

from benchmarks.identity import score
from benchmarks.identity.sets import SETS, Labelled
from hub.identity.match.batch import Clustering, batch
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.online import Memory
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record

HAZARDS = ("role", "shared_mailbox", "switchboard", "family_phone", "namesake")


class _Learnt(Counts):
    """Counters of a base that was learnt from: the records that come are in them."""

    def add(self, record: Record, times: int = 1) -> None:
        pass


def measured(labelled: Labelled, settings: Settings) -> tuple[dict[str, Any], Model]:
    """Figures of the batch path: all that is likelier than not, and only what is joined without asking."""
    began = time.process_time()
    found, model, scored = batch(labelled.records, settings)
    spent = time.process_time() - began
    ordered = sorted(labelled.records, key=lambda r: r.id)
    truth, true = labelled.truth, score.true_pairs(labelled.truth)
    pairs = [(w, truth[ordered[i].id] == truth[ordered[j].id]) for w, i, j in scored]
    sure = Clustering(model, [Profile.of(r) for r in ordered], settings.auto)
    for weight, i, j in scored:
        sure.edge(i, j, weight)
    automatic = sure.run()
    said = {
        "records": len(ordered), "batch_cpu_s": spent, "settings": settings.hash,
        "all": _figures(score.clusters(found, truth)), "auto": _figures(score.clusters(automatic, truth)),
        "recall_at_999": score.recall_at(pairs, true, 0.999), "recall_at_99": score.recall_at(pairs, true, 0.99),
        "best_pairs_f1": score.best_f1(pairs, true)[0],
    }  # fmt: skip
    if labelled.hazards:
        said["false_joins"] = score.false_joins(automatic, truth, labelled.hazards, HAZARDS)
    return said, model


def _figures(f: score.Figures) -> dict[str, float]:
    return {"p": f.precision, "r": f.recall, "f1": f.f1, "largest": f.largest, "largest_true": f.largest_true}


def shuffled(labelled: Labelled, settings: Settings, learnt: Model, times: int) -> dict[str, Any]:
    """The online path, `times` orders: agreement of each with the first, and its figures; weights and counters as learnt."""
    clusterings, figures, spent = [], [], 0.0
    for turn in range(times):
        records = sorted(labelled.records, key=lambda r: r.id)
        Random(turn).shuffle(records)
        began = time.process_time()
        entity_of = _online(records, settings, learnt)
        spent += time.process_time() - began
        groups: dict[str, list[str]] = {}
        for ident, entity in entity_of.items():
            groups.setdefault(entity, []).append(ident)
        numbers = {entity: n for n, entity in enumerate(sorted(groups))}
        clusterings.append({ident: numbers[entity] for ident, entity in entity_of.items()})
        figures.append(score.clusters(list(groups.values()), labelled.truth))
    return {
        "online_f1": min(f.f1 for f in figures), "online_p": min(f.precision for f in figures),
        "ari": min(score.rand(clusterings[0], c) for c in clusterings),
        "online_rec_s": times * len(labelled.records) / spent,
    }  # fmt: skip


def _online(records: list[Record], settings: Settings, learnt: Model) -> dict[str, str]:
    memory = Memory(
        Model.of(learnt.state(), settings, _Learnt(**{f.name: getattr(learnt.counts, f.name) for f in fields(Counts)}))
    )
    for record in records:
        memory.take(record)
    return memory.entity_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--shuffles", type=int, default=0)
    options = parser.parse_args()
    began, settings = time.process_time(), Settings()
    labelled = SETS[options.set]()
    said, model = measured(labelled, settings)
    said["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.shuffles:
        said |= shuffled(labelled, settings, model, options.shuffles)
    print(json.dumps(said | {"cpu_s": time.process_time() - began}))


if __name__ == "__main__":
    main()
