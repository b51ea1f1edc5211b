"""`python -m benchmarks.identity.parity SET`: the same model run by us and by Splink, in one environment that has both."""

import argparse
import json
import sys
import time

from benchmarks.identity import invented
from benchmarks.identity.sets import SETS
from hub.identity.batch_splink import pairs, settings, unlike
from hub.identity.match.batch import batch
from hub.identity.match.model import Settings
from hub.identity.match.record import Record, prepare


def made_up(n: int) -> list[Record]:
    """Our own invented people, as they are compared."""
    names = {"first_name": "first_name", "last_name": "last_name", "full_name": "display_name", "email": "email", "phone": "phone",
             "company": "company", "city": "city"}  # fmt: skip
    rows = invented.rows(n)
    return [prepare(r["rid"], {ours: r[theirs] for ours, theirs in names.items()}, region="DE") for r in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=["invented", *SETS])
    parser.add_argument("--records", type=int, default=4000, help="of invented people")
    parser.add_argument("--packages", default="", help="where Splink is, if not among ours")
    options = parser.parse_args()
    sys.path += [options.packages] if options.packages else []
    given = made_up(options.records) if options.set == "invented" else SETS[options.set]().records
    records = sorted(given, key=lambda r: r.id)
    began = time.monotonic()
    _, model, scored = batch(records, Settings())
    ours_s, began = time.monotonic() - began, time.monotonic()
    ours = {(records[i].id, records[j].id): weight for weight, i, j in scored}
    theirs = {(a, b): weight for weight, a, b in pairs(records, model, model.settings.review)}
    theirs_s = time.monotonic() - began
    by_id = {r.id: r for r in records}
    at = model.settings.auto
    links, others = ({p for p, w in found.items() if w >= at} for found in (ours, theirs))
    either, both = links | others, links & others
    covered = {p for p in either if not unlike(by_id[p[0]], by_id[p[1]])}
    gaps = [abs(ours[p] - theirs[p]) for p in both & covered]
    print(json.dumps({
        "records": len(records), "settings": model.settings.hash, "links": len(links), "equal": len(both) / max(len(either), 1),
        "covered": len(covered), "covered_equal": len(both & covered) / max(len(covered), 1),
        "within_tenth_bit": sum(g < 0.1 for g in gaps) / max(len(gaps), 1), "ours_s": ours_s, "splink_s": theirs_s,
        "file_kb": len(json.dumps(settings(model))) / 1000,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
