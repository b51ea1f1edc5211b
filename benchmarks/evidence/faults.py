"""Every fault of the table, one by one: what the hub said, and that nothing was lost once it was over.

python -m benchmarks.evidence.faults [--only TEXT]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import scenarios


async def run(folder: Path, only: str) -> bool:
    targets = {name: await scenarios.undisturbed(folder / name, name) for name in (scenarios.MAIL, scenarios.CRM)}
    print(f"{'fault':<50} {'status/exit code':<18} {'target':<18} {'open issue':<24} {'whole again':<16}")
    is_right = True
    for n, s in enumerate(scenarios.SCENARIOS):
        if only not in f"{s.connection}: {s.name}":
            continue
        began = time.monotonic()
        outcome = await scenarios.play(folder / str(n), s, targets[s.connection])
        said = f"{outcome.faulted.status}/{outcome.faulted.exit_code}"
        issues = ", ".join(sorted(set(outcome.issues))) or "-"
        state = "at once" if outcome.is_at_once else "with the census" if outcome.is_whole else "NEVER"
        name, target, took = f"{s.connection}: {s.name}", f"{s.status}/{s.code}", time.monotonic() - began
        print(f"{name:<50} {said:<18} {target:<18} {issues:<24} {state:<16} {took:.1f} s")
        for problem in outcome.problems:
            is_right = False
            print(f"    WRONG: {problem}")
        sys.stdout.flush()
    return is_right


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", default="", help="rows whose name has this text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(run(Path(folder), options.only)) else 1


if __name__ == "__main__":
    sys.exit(main())
