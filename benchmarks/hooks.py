"""Webhooks out: ten thousand events to a receiver that fails three calls in ten, and what noting changes costs a page.

    python -m benchmarks.hooks [--events 10000] [--quick]

The receiver is a process of its own on loopback; CPU is this process's. Time is injected: what is due in a day is due now.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub import hooks
from hub.api import FakeClock
from hub.store import Secrets, Store, add, marks, micros, tell
from hub.store import tables as t
from hub.store import tables_hooks as h

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
CUSTOMERS = 700


def receive(pipe: Pipe, share: float) -> None:
    """Serve; fail this share of the calls, chosen by a hash of event and try. Sends its port, then what it took, in order."""
    tries: Counter[int] = Counter()
    took: list[tuple[int, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            n = event["n"]
            tries[n] += 1
            is_good = random.Random(f"{n}/{tries[n]}").random() >= share or tries[n] == 10
            if is_good:
                took.append((n, event["keys"]))
            self.send_response(200 if is_good else 503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        pipe.send(server.server_port)
        server.timeout = 0.05
        while not pipe.poll():
            server.handle_request()
        pipe.send((took, sum(tries.values())))


def deliver(folder: Path, count: int, share: float) -> dict[str, Any]:
    """What came of `count` events."""
    store, clock = Store.open(f"sqlite:///{folder}/deliver.db"), FakeClock(START)
    endpoints = hooks.Endpoints(store, Secrets(store, [Fernet.generate_key().decode()]), clock, allow_loopback=True)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs, share), daemon=True)
    process.start()
    endpoints.add(f"http://127.0.0.1:{ours.recv()}/in", ["contact.*"])
    rng = random.Random(7)
    with store.write() as c:
        events = [
            (n, [f"p{k}" for k in rng.sample(range(CUSTOMERS), rng.choice((1, 1, 1, 2, 3)))])
            for n in range(1, count + 1)
        ]
        add(c, h.event, [
            {
                "id": n, "public_id": f"evt_{n}", "audience": "", "type": "hub.contact.updated.v1", "subject": keys[0],
                "at": micros(START), "lanes": json.dumps(keys), "body": json.dumps({"n": n, "keys": keys}),
            }
            for n, keys in events
        ])  # fmt: skip
        hooks.line.enqueue(c, hooks.endpoints(c)[0].id, events, micros(START))

    async def work() -> int:
        rounds = 0
        async with hooks.Courier(store, endpoints, clock, hooks.Sender(clock, allow_loopback=True)) as courier:
            while (at := await courier.deliver()) is not None:
                clock.advance(max((at - clock.now()).total_seconds(), 0) + 1)
                rounds += 1
        return rounds

    began, wall = time.process_time(), time.monotonic()
    rounds = asyncio.run(work())
    cpu, wall = time.process_time() - began, time.monotonic() - wall
    ours.send("end")
    took, calls = ours.recv()
    process.join()
    last: dict[str, int] = {}
    disorder = 0
    for n, keys in took:
        disorder += any(last.get(k, 0) > n for k in keys)
        last.update(dict.fromkeys(keys, n))
    with store.read() as c:
        states = hooks.counts(c, hooks.endpoints(c)[0])
    store.close()
    return {
        "events": count, "calls": calls, "failed calls": f"{(calls - len(took)) / calls:.0%}", "taken": len({n for n, _ in took}),
        "taken twice": len(took) - len({n for n, _ in took}), "out of order": disorder, "states": states, "rounds": rounds,
        "CPU ms a call": round(cpu / calls * 1000, 2), "CPU s": round(cpu, 1), "wall s": round(wall, 1),
    }  # fmt: skip


def noting(folder: Path, rows: int) -> dict[str, float]:
    """CPU microseconds a row to change entries, with nobody listening, before there were webhooks, and with everything noted."""
    store = Store.open(f"sqlite:///{folder}/noting.db")
    blank = {
        "kind": "message", "channel": "email", "direction": "inbound", "occurred_at": 1, "rank": b"", "hash": b"",
        "changed_at": 1, "subject": "",
    }  # fmt: skip
    with store.write() as c:
        add(c, t.interaction, [{"id": n, "public_id": f"i{n}", **blank} for n in range(1, rows + 1)])
    change = (
        sa.update(t.interaction).where(t.interaction.c.id == sa.bindparam("row")).values(subject=sa.bindparam("told"))
    )
    found: dict[str, float] = {}
    for name, groups in (
        ("nobody listens", ()),
        ("somebody wants deals", ("item",)),
        ("everything is noted", marks.GROUPS),
    ):
        marks.arm(store, groups)
        found[name] = statistics.median(_costs(store, change, rows))
    marks.arm(store, ())
    store.close()
    return {name: round(us, 2) for name, us in found.items()}


def _costs(store: Store, change: Any, rows: int) -> Sequence[float]:
    costs = []
    for turn in range(5):
        told = [{"row": n, "told": f"subject {turn}"} for n in range(1, rows + 1)]
        began = time.process_time()
        with store.write() as c:
            tell(c, change, told)
        costs.append((time.process_time() - began) / rows * 1e6)
        with store.write() as c:
            c.execute(sa.delete(h.mark))
    return costs


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("--events", type=int, default=10_000, metavar="N")
    p.add_argument("--quick", action="store_true", help="a tenth of it")
    args = p.parse_args()
    count = args.events // 10 if args.quick else args.events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, found in (
            ("delivered", deliver(folder, count, 0.3)),
            ("a row changed, CPU us", noting(folder, count)),
        ):
            print(title)
            for key, value in found.items():
                print(f"  {key:<22}{value}")


if __name__ == "__main__":
    main()
