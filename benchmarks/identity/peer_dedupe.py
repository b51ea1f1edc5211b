"""`python -m benchmarks.identity.peer_dedupe TABLE.csv SET`, in dedupe's own environment: its figures on one set.

It learns from questions: a hundred of its own choosing, answered from the truth.
"""

import csv
import json
import random
import resource
import sys
import time

import dedupe

from benchmarks.identity import score

LABELS = 100


def main() -> None:
    random.seed(1)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = {r["id"]: r["truth"] for r in rows}
    columns = [c for c in rows[0] if c not in ("id", "truth", "table") and any(r[c] for r in rows)]
    data = {r["id"]: {c: r[c] or None for c in columns} | {"truth": r["truth"]} for r in rows}
    began = time.process_time()
    deduper = dedupe.Dedupe([dedupe.variables.String(c, has_missing=True) for c in columns], num_cores=1)
    deduper.prepare_training(data, sample_size=15_000)
    answers: dict[str, list[object]] = {"match": [], "distinct": []}
    for _ in range(LABELS):
        for pair in deduper.uncertain_pairs():
            answers["match" if pair[0]["truth"] == pair[1]["truth"] else "distinct"].append(pair)
        deduper.mark_pairs(answers)
        answers = {"match": [], "distinct": []}
    deduper.train(index_predicates=False)
    found = [list(ids) for ids, _ in deduper.partition(data, 0.5)]
    figures = score.clusters(found, truth)
    print(json.dumps({
        "records": len(truth), "labels": LABELS, "f1": figures.f1, "p": figures.precision, "r": figures.recall,
        "largest": figures.largest, "cpu_s": time.process_time() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
