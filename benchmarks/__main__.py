"""`python -m benchmarks [CASE...]`: measure, and print name, figure, target and whether it is met."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks.cases import CASES, QUICK, Sizes
from benchmarks.measure import Row, busyness


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("case", nargs="*", choices=[[], *CASES], help=f"{', '.join(CASES)}; all if left out")
    parser.add_argument("--quick", action="store_true", help="small sizes, one pair: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    begun, rows = busyness(), []
    for row in measured(options.case or list(CASES), sizes):
        rows.append(row)
        if not options.json:
            show(row)
    ended = busyness()
    if options.json:
        print(json.dumps({"before": begun, "after": ended, "rows": [asdict(r) for r in rows]}, indent=2))
        return 0
    missed = sum(row.is_met is False for row in rows)
    print(f"\nbefore: {begun}\nafter:  {ended}\n{missed} of {sum(r.is_met is not None for r in rows)} targets missed")
    return 0


def measured(names: list[str], sizes: Sizes) -> Iterator[Row]:
    for name in names:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            yield from CASES[name](sizes)
        except RuntimeError as exc:  # one case that cannot run must not hide the others
            yield Row("", f"{name}: not measured", "failed", detail=str(exc).splitlines()[:3])


def show(row: Row) -> None:
    met = {True: "met", False: "missed", None: ""}[row.is_met]
    print(f"{row.name:<4} {row.what:<62} {row.figure:>24}  {row.target:<16} {met}", flush=True)
    for line in row.detail:
        print(f"       {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
