"""How fast the inbox acknowledges: `python tests/inbox/measure.py [--seconds 6] [--lines 32] [--folder DIR]`.

Signed calls of 1 kB over keep-alive lines on loopback, the server in a process of its own, each row committed before
its answer. Prints, per database: acknowledgements a second, latency, CPU of the server per call,
and the same for a server that verifies and parses but stores nothing; their ratio is what durability costs.
`--folder` decides which disk SQLite writes to. PostgreSQL is measured where it is installed, as the tests start it:
without flushing, so that its figures show the hub's share and not the disk's.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.api import Clock
from hub.inbox import create_app, serving
from hub.inbox.group_commit import GroupCommit
from hub.store import Store
from hub.store import tables as t
from hub.testing.databases import PostgresCluster, postgresql_programs

sys.path.append(str(Path(__file__).parents[1] / "support"))

from ringing import Ringing, connector, signed


async def _nothing(self: GroupCommit, rows: object) -> None:
    """Stands in for the database."""


def run_server(url: str, is_kept: bool) -> None:
    if not is_kept:
        GroupCommit.put = _nothing  # type: ignore[method-assign]
    clock = Clock()
    made = connector(Ringing, "box", clock)
    app = create_app(lambda name: made if name == "box" else None, Store.open(url), clock)
    with serving(app, "127.0.0.1", 0) as at:
        print(at, flush=True)
        threading.Event().wait()


def body(event: int) -> bytes:
    """A call of about a kilobyte that names one record; JSON does not mind the space."""
    return json.dumps([["mail", f"m{event % 5000}", f"e{event}"]]).encode().ljust(1000)


async def line(port: int, number: int, until: float, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    clock, sent = Clock(), 0
    while time.perf_counter() < until:
        content = body(number * 10_000_000 + sent)
        sent += 1
        headers = "".join(f"{k}: {v}\r\n" for k, v in signed("box", content, clock.now()).items())
        head = f"POST /hooks/box HTTP/1.1\r\nHost: hub.example\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        took.append(time.perf_counter() - began)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer)
    writer.close()


async def load(port: int, lines: int, seconds: float) -> list[float]:
    took: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(line(port, n, until, took) for n in range(lines)))
    return took


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, is_kept: bool, lines: int, seconds: float) -> dict[str, Any]:
    program = [sys.executable, __file__, "--serve", url, *(() if is_kept else ("--no-store",))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rpartition(":")[2])
            asyncio.run(load(port, lines, 0.5))
            before = cpu_s(server.pid)
            took = sorted(asyncio.run(load(port, lines, seconds)))
            spent = cpu_s(server.pid) - before
        finally:
            server.kill()
    n = len(took)
    return {
        "per_second": round(n / seconds), "p50_ms": round(took[n // 2] * 1000, 1),
        "p99_ms": round(took[n * 99 // 100] * 1000, 1), "max_ms": round(took[-1] * 1000, 1),
        "server_cpu_us": round(spent / n * 1e6), "calls": n,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--lines", type=int, default=32)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--serve")
    parser.add_argument("--no-store", action="store_true")
    args = parser.parse_args()
    if args.serve:
        return run_server(args.serve, not args.no_store)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=args.folder))
        urls = {"sqlite": f"sqlite:///{folder}/hub.db"}
        if postgresql_programs() is not None:
            cluster = stack.enter_context(PostgresCluster())
            cluster.sql("create database inbox")
            urls["postgresql"] = cluster.url("inbox")
        for name, url in urls.items():
            Store.open(url).close()
            bare = measure(url, False, args.lines, args.seconds / 2)
            kept = measure(url, True, args.lines, args.seconds)
            store = Store.open(url)
            with store.read() as c:
                rows = c.execute(sa.select(sa.func.count()).select_from(t.notice)).scalar_one()
            store.close()
            assert rows >= kept["calls"], "an answer without a row"
            ratio = round(kept["server_cpu_us"] / bare["server_cpu_us"], 2)
            print(
                json.dumps({"database": name, "lines": args.lines, **kept, "without_store": bare, "cpu_ratio": ratio})
            )


if __name__ == "__main__":
    main()
