"""`python -m benchmarks.identity.peer_goldenmatch TABLE.csv SET`, in goldenmatch's own environment: its figures on one set.

As it configures itself, twice: from the columns alone, and with its probabilistic model; the better one counts.
"""

import csv
import json
import resource
import sys
import time
from typing import Any

import goldenmatch
import pyarrow

from benchmarks.identity import score


def clusters(frame: pyarrow.Table, ids: list[str], config: Any) -> list[list[str]]:
    found = goldenmatch.dedupe_df(frame, config=config, confidence_required=False, allow_red_config=True)
    groups = [[ids[n] for n in c["members"]] for c in found.clusters.values() if len(c["members"]) > 1]
    grouped = {i for g in groups for i in g}
    return groups + [[i] for i in ids if i not in grouped]


def main() -> None:
    path = sys.argv[1]
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = {r["id"]: r["truth"] for r in rows}
    frame = pyarrow.Table.from_pylist(
        [{k: v or None for k, v in r.items() if k not in ("id", "truth", "table")} for r in rows]
    )
    began, found = time.process_time(), {}
    for name, config in (("columns", None), ("probabilistic", goldenmatch.auto_configure_probabilistic_df(frame))):
        found[name] = score.clusters(clusters(frame, list(truth), config), truth)
    best = max(found.values(), key=lambda f: f.f1)
    print(json.dumps({
        "records": len(truth), "f1": best.f1, "p": best.precision, "r": best.recall, "largest": best.largest,
        "each": {name: f.f1 for name, f in found.items()}, "cpu_s": time.process_time() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
