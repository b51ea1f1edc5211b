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
    target = await scenarios.undisturbed(folder / "undisturbed")
    print(f"{'fault':<54} {'status/exit code':<20} {'target':<20} {'open issue':<24} {'same state after'}")
    is_right = True
    for n, s in enumerate(scenarios.SCENARIOS):
        if only not in f"{s.connection}: {s.name}":
            continue
        began = time.monotonic()
        outcome = await scenarios.play(folder / str(n), s, target)
        said = f"{outcome.faulted.status}/{outcome.faulted.exit_code}"
        issues = ", ".join(outcome.issues) or "-"
        state = "yes" if outcome.is_whole else "NO"
        took = time.monotonic() - began
        print(
            f"{s.connection + ': ' + s.name:<54} {said:<20} {f'{s.status}/{s.code}':<20} {issues:<24} {state} ({took:.1f} s)"
        )
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
