"""Peak memory of a hub process that reads 10,000 and 100,000 contacts of a CRM, and then as many mails of a mailbox.

    python -m benchmarks.evidence.memory [--small 10000] [--large 100000] [--mail]

The vendor's stand-in runs in a process of its own. Target: below 200 MB, and the larger run at most 1.3 times the
smaller one (P13 of the performance targets). Linux: VmHWM of /proc. About 5 minutes.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.checks import Figure, show
from tests.e2e.clocks import HurryingClock, OneTransport
from tests.e2e.world import World, letters
from tests.faults.nursery import ROOT

MODULE = "benchmarks.evidence.memory"
CRM, MAIL = "hubspot", "mail_sam"


def serve(folder: Path, count: int, kind: str) -> None:
    """Fill a stand-in, write hub.toml, say so, and serve until stdin ends."""
    is_crm = kind == CRM
    streams = ("contacts",) if is_crm else ()
    world = World(
        folder, [] if is_crm else ["sam@ourco.example"], ["ourco.example"], crm_streams=streams, has_crm=is_crm
    )
    if is_crm:
        world.hubspot.control("generate", {"contacts": count})
    else:
        for first in range(0, count, 1000):
            world.deliver(letters(min(1000, count - first), first=first))
    with world.served():
        print("ready", flush=True)
        sys.stdin.read()


async def sync(folder: Path, kind: str) -> None:
    """One sync in this process; prints what it was and the peak of its memory in MB."""
    from hub import settings
    from hub.engine import Engine

    transport = OneTransport()
    clock = HurryingClock()
    engine = Engine.open(settings.load(folder / "hub.toml"), clock=clock, transport=transport, patience_s=3600)
    base, began, cpu = peak_mb(), time.monotonic(), time.process_time()
    result = await engine.sync(kind)
    books = result.streams[0].books
    print(json.dumps({
        "status": result.status, "new": books.counts["new"], "base": base, "peak": peak_mb(),
        "wall": time.monotonic() - began, "cpu": time.process_time() - cpu,
    }))  # fmt: skip
    await transport.really_close()
    engine.close()


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024


def measured(count: int, kind: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", MODULE, "--folder", folder, "--kind", kind]
        server = subprocess.Popen(
            [*command, "--serve", str(count)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            if server.stdout is None or server.stdout.readline().strip() != "ready":
                raise SystemExit("the stand-in did not start")
            done = subprocess.run([*command, "--sync"], cwd=ROOT, check=True, capture_output=True, text=True)
        finally:
            server.communicate()
    found: dict[str, Any] = json.loads(done.stdout)
    if found["status"] != "healthy" or found["new"] != count:
        raise SystemExit(f"{count} {kind}: {found}")
    print(
        f"{kind}, {count} records: peak {found['peak']:.0f} MB (at the start {found['base']:.0f} MB), "
        f"{found['wall']:.0f} s, CPU {found['cpu'] / count * 1e6:.0f} us a record",
        flush=True,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--mail", action="store_true", help="mails too (slower: the stand-in parses each)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", default=CRM, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sync", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.folder, options.serve, options.kind)
        return 0
    if options.sync:
        asyncio.run(sync(options.folder, options.kind))
        return 0
    figures = []
    for kind in (CRM, MAIL) if options.mail else (CRM,):
        small, large = measured(options.small, kind), measured(options.large, kind)
        ratio = large["peak"] / small["peak"]
        figures += [
            Figure(f"{kind}: peak below 200 MB", large["peak"] < 200, True, f"{large['peak']:.0f} MB"),
            Figure(f"{kind}: ratio to the smaller run at most 1.3", ratio <= 1.3, True, f"{ratio:.2f}"),
        ]
    return 0 if show(figures, title="memory") else 1


if __name__ == "__main__":
    sys.exit(main())
