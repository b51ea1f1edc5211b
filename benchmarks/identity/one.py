"""`python -m benchmarks.identity.one SET`: one set in a process of its own, so that its memory and time are its own."""

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import fields
from random import Random
from typing import Any

from benchmarks.identity import score
from benchmarks.identity.peak import Peak
from benchmarks.identity.sets import SETS, SIZES, Labelled, labels, tabled, written
from hub.identity.match.bulk import bulk, clustered
from hub.identity.match.crew import cores
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.online import Memory
from hub.identity.match.record import Record
from hub.identity.match.table import Table

HAZARDS = ("role", "shared_mailbox", "switchboard", "family_phone", "namesake")


class _Learnt(Counts):
    """Counters of a base that was learnt from: the records that come are in them."""

    def add(self, record: Record, times: int = 1) -> None:
        pass


def measured(labelled: Labelled, settings: Settings, tabled: Callable[[], Table]) -> tuple[dict[str, Any], Model]:
    """Figures of the batch path: all that is likelier than not, and only what is joined without asking."""
    began, wall = _cpu_s(), time.perf_counter()
    table = tabled()
    ready = _cpu_s(), time.perf_counter()
    found, model, scored = bulk(table, settings)
    done = _cpu_s(), time.perf_counter()
    truth, true = labelled.truth, score.true_pairs(labelled.truth)
    automatic = clustered(table, model, scored, settings.auto)
    ids = table.ids
    pairs = [(w, truth[ids[i]] == truth[ids[j]]) for w, i, j in scored]
    said = {
        "records": len(ids), "settings": settings.hash, "cores": cores(),
        "batch_cpu_s": done[0] - began, "batch_wall_s": done[1] - wall,
        "ready_cpu_s": ready[0] - began, "ready_wall_s": ready[1] - wall,
        "all": _figures(score.clusters(found, truth)), "auto": _figures(score.clusters(automatic, truth)),
        "recall_at_999": score.recall_at(pairs, true, 0.999), "recall_at_99": score.recall_at(pairs, true, 0.99),
        "best_pairs_f1": score.best_f1(pairs, true)[0],
    }  # fmt: skip
    if labelled.hazards:
        said["false_joins"] = score.false_joins(automatic, truth, labelled.hazards, HAZARDS)
    return said, model


def _cpu_s() -> float:
    """Of this process and of those that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


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
    if options.set in SIZES:  # from what was given to clusters; of the others only the batch is measured
        with written(SIZES[options.set]) as path, Peak() as peak:
            said, model = measured(labels(path), settings, lambda: tabled(path))
    else:
        labelled = SETS[options.set]()
        table = Table(labelled.records)
        table.sort()
        with Peak() as peak:
            said, model = measured(labelled, settings, lambda: table)
    said["peak_mb"] = peak.mb
    if options.shuffles:
        said |= shuffled(SETS[options.set](), settings, model, options.shuffles)
    print(json.dumps(said | {"cpu_s": time.process_time() - began}))


if __name__ == "__main__":
    main()
