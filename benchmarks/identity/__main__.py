"""`python -m benchmarks.identity [ROW...]`: who is who, row by row: our figure, the floor, the moonshot, the peer's figure.

Each measurement runs in a process of its own. What cannot be measured here says so, and does not hide the others.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

from benchmarks.identity import rows
from benchmarks.identity.machine import speed
from benchmarks.identity.rows import HASH, Line, Options, Runs
from benchmarks.measure import busyness


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("row", nargs="*", type=int, help=f"{', '.join(map(str, rows.ROWS))}; all if left out")
    parser.add_argument("--quick", action="store_true", help="small sizes and no peer but Splink: below two minutes")
    parser.add_argument("--large", action="store_true", help="also a million records: hours, and gigabytes")
    parser.add_argument("--peers", choices=("none", "splink", "all"), default="splink", help="which to run beside ours")
    parser.add_argument("--no-install", action="store_true", help="run only peers that are installed already")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    given = parser.parse_args()
    if unknown := set(given.row) - set(rows.ROWS):
        parser.error(f"there is no row {min(unknown)}: {', '.join(map(str, rows.ROWS))}")
    runs = Runs(Options(given.quick, given.large, given.peers, not given.no_install))
    before, found = f"{busyness()}; {speed()}", list[Line]()
    if not given.json:
        print(f"one configuration for every row: {HASH} (hub/identity/match, all of it: settings, rules and lists)")
        print(f"{missing()}\n" if missing() else "")
    for number in given.row or rows.ROWS:
        for line in measured(rows.ROWS[number], number, runs):
            found.append(line)
            if not given.json:
                show(line)
    if given.json:
        print(
            json.dumps(
                {"before": before, "after": f"{busyness()}; {speed()}", "rows": [asdict(x) for x in found]}, indent=2
            )
        )
        return 0
    print(summary(found))
    print(f"before: {before}\nafter:  {busyness()}; {speed()}")
    return 0


def missing() -> str:
    """What is not measured for want of data."""
    said = []
    if not os.environ.get("HUB_IDENTITY_DATA"):
        said.append("HUB_IDENTITY_DATA is not set: rows 1-6 and 10 and the labelled part of 20 cannot be measured.")
    if not os.environ.get("HUB_IDENTITY_GENERATOR"):
        said.append(
            "HUB_IDENTITY_GENERATOR is not set: rows 11-13 and 16 cannot be measured; others use our own invented people."
        )
    return "\n".join(said)


def measured(row: Callable[[Runs], Iterator[Line]], number: int, runs: Runs) -> Iterator[Line]:
    print(f"measuring: row {number}", file=sys.stderr, flush=True)
    try:
        yield from row(runs)
    except RuntimeError as exc:
        reason = str(exc).strip().splitlines() or [""]
        yield Line(number, (row.__doc__ or "").rstrip("."), "-", verdict="not measured", detail=[reason[-1]])


def show(line: Line) -> None:
    aims = " · ".join(
        f"{name} {value}" for name, value in (("floor", line.floor), ("moonshot", line.moonshot)) if value
    )
    print(f"{line.number:>2} {line.what:<46} {line.figure:>22}  {line.verdict:<12} {aims} [{HASH}]", flush=True)
    for text in ([f"peer: {line.peer}"] if line.peer else []) + line.detail:
        print(f"       {text}", flush=True)


def summary(found: list[Line]) -> str:
    count = {v: sum(x.verdict == v for x in found) for v in ("moonshot", "floor", "MISSED", "not measured")}
    judged = count["moonshot"] + count["floor"] + count["MISSED"]
    return (
        f"\n{judged} figures judged: moonshot met {count['moonshot']}, floor met {count['moonshot'] + count['floor']}, "
        f"missed {count['MISSED']}; {count['not measured']} not measured"
    )


if __name__ == "__main__":
    sys.exit(main())
