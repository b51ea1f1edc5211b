"""A hundred cycles of syncing both directions with nobody editing: nothing may be written anywhere.

    python -m benchmarks.evidence.quiet [--cycles 100]

The made-up company: four mailboxes and the CRM; seven minutes between cycles by the vendors' and the hub's clock, so
that sweeps, merges and association checks come by as well.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e import quiet
from tests.e2e.checks import Figure, show


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cycles", type=int, default=100)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(quiet.cycles(Path(folder), options.cycles))
    print(f"{options.cycles} cycles in {time.monotonic() - began:.0f} s, {found.requests} requests")
    figures = [
        Figure("rounds until settled", found.rounds, 2),
        Figure("writes sent after that", found.writes, 0),
        Figure("changes planned after that", found.changes, 0),
        Figure("records that were not unchanged", found.seen, 0),
        Figure("syncs that were not well", found.not_well, 0),
        Figure("distinct states", len(found.states), 1),
    ]
    return 0 if show(figures, title="nobody edits") else 1


if __name__ == "__main__":
    sys.exit(main())
