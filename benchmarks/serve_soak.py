"""Soak test of `serve`: what was due, what ran, what Prefect costs. Kills Prefect's server once, half-way.

    python benchmarks/serve_soak.py --minutes 15 --connections 5 --period 60

Prints runs due, run, missed and doubled (the engine's own report), the runs that Prefect's API knows, and CPU seconds:
the hub's own threads (syncs), Prefect's client threads in this process, Prefect's server process. Start-up is counted
apart. Reads /proc, so Linux only. `--engine package.module:factory` measures another engine; the factory is called with
(connections, period in seconds, data folder) and returns an `EngineLike`. Exit code 1 when a run was missed or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.flows import EngineLike, serve

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Result:
    status: str = "ok"
    exit_code: int = 0
    lines: list[str] = field(default_factory=list)


class BurningEngine:
    """Connections with a fixed period, spread evenly over it; each sync burns a little CPU in small pieces."""

    def __init__(self, connections: int, period_s: float, burn_s: float) -> None:
        self.period_s = period_s
        self.burn_s = burn_s
        began = datetime.now(UTC)
        self.first = {
            f"connection-{n + 1}": began + timedelta(seconds=period_s * n / connections) for n in range(connections)
        }
        self.next_at = dict(self.first)
        self.leased: set[str] = set()
        self.runs: list[tuple[str, datetime, int, float]] = []  # connection, slot's time, slot, seconds late
        self.overlaps = 0

    def slot(self, connection: str, at: datetime) -> int:
        """How many periods after its first due time; -1 before it."""
        return int((at - self.first[connection]).total_seconds() // self.period_s)

    def due(self, now: datetime) -> list[str]:
        ready = [name for name, at in self.next_at.items() if at <= now and name not in self.leased]
        return sorted(ready, key=self.next_at.__getitem__)

    async def sync(self, connection: str) -> Result:
        self.overlaps += connection in self.leased
        self.leased.add(connection)
        now = datetime.now(UTC)
        slot = self.slot(connection, now)
        slot_at = self.first[connection] + timedelta(seconds=self.period_s * slot)
        self.runs.append((connection, slot_at, slot, (now - self.next_at[connection]).total_seconds()))
        try:
            until = time.thread_time() + self.burn_s
            while time.thread_time() < until:
                sum(range(20_000))
                await asyncio.sleep(0)
        finally:
            self.leased.discard(connection)
            self.next_at[connection] = slot_at + timedelta(seconds=self.period_s)
        return Result(lines=[f"burnt {self.burn_s:.3f} s"])

    def schedule_report(self, since: datetime) -> dict[str, int]:
        """A slot counts as due from its time on, as missed once the next one came without a run in it."""
        now = datetime.now(UTC)
        ran = Counter((connection, slot) for connection, at, slot, _ in self.runs if at >= since)
        due = {
            (name, slot)
            for name, first in self.first.items()
            for slot in range(self.slot(name, now) + 1)
            if first + timedelta(seconds=self.period_s * slot) >= since
        }
        doubled = sum(count - 1 for count in ran.values()) + self.overlaps
        return {"due": len(due), "run": sum(ran.values()), "missed": len(due - set(ran)), "doubled": doubled}

    def latest_s(self, since: datetime) -> float:
        """Seconds between due and start of the run that was kept waiting longest."""
        return max((late for _, at, _, late in self.runs if at >= since), default=0.0)


@dataclass
class Cpu:
    """CPU seconds so far."""

    sync_threads: float
    prefect_client: float
    prefect_server: float

    def since(self, other: Cpu) -> Cpu:
        return Cpu(*(round(mine - theirs, 2) for mine, theirs in zip(self.all(), other.all(), strict=True)))

    def all(self) -> tuple[float, float, float]:
        return self.sync_threads, self.prefect_client, self.prefect_server


def stat(path: Path) -> tuple[int, float]:
    """Parent's pid and CPU seconds from a /proc stat file."""
    fields = path.read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def children() -> dict[int, float]:
    """Prefect's server: our living child processes that serve it, and their CPU seconds."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (seen := stat(entry / "stat"))[0] == os.getpid():
                if b"hub.flows" not in (entry / "cmdline").read_bytes():
                    continue  # tools that an engine brought along
                found[int(entry.name)] = seen[1]
        except OSError:
            continue  # it ended while we looked
    return found


def cpu() -> Cpu:
    """The main thread and its asyncio helpers run the syncs; every other thread of this process is Prefect's."""
    syncs = 0.0
    for thread in threading.enumerate():
        if thread is threading.main_thread() or thread.name.startswith("asyncio_"):
            try:
                syncs += stat(Path(f"/proc/self/task/{thread.native_id}/stat"))[1]
            except OSError:
                continue
    times = os.times()
    gone = times.children_user + times.children_system  # servers that ended
    return Cpu(syncs, times.user + times.system - syncs, gone + sum(children().values()))


def count_runs(url: str, pool_tag: str) -> dict[str, int]:
    """Runs by name and state that Prefect's API shows for the subflows of this hub."""
    import httpx

    seen: Counter[str] = Counter()
    while True:
        body = {
            "flows": {"name": {"any_": ["interaction-hub-sync"]}},
            "flow_runs": {"tags": {"all_": [pool_tag]}},
            "limit": 200,
            "offset": seen.total(),
        }
        page = httpx.post(f"{url}/flow_runs/filter", json=body, timeout=60).raise_for_status().json()
        seen.update(f"{run['name']} {run['state_type'].lower()}" for run in page)
        if len(page) < 200:
            return dict(sorted(seen.items()))


async def soak(options: argparse.Namespace, data_dir: Path) -> dict[str, Any]:
    engine: EngineLike
    if options.engine:
        module, _, factory = options.engine.partition(":")
        engine = getattr(importlib.import_module(module), factory)(options.connections, options.period, data_dir)
    else:
        engine = BurningEngine(options.connections, options.period, options.burn_ms / 1000)
    stop, ready = asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    def came_up(url: str) -> None:
        urls.append(url)
        ready.set()  # again after each restart of the server

    begun = time.monotonic()
    serving = asyncio.create_task(
        serve(
            engine, data_dir=data_dir, tick_seconds=options.tick, concurrency=options.concurrency, stop=stop,
            on_ready=came_up,
        )
    )  # fmt: skip
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving  # raises why it did not start
    report: dict[str, Any] = {"ready_after_s": round(time.monotonic() - begun, 1), "kills": 0}
    since, at_start = datetime.now(UTC), cpu()
    half = options.minutes * 30
    await asyncio.sleep(half)
    before_kill = cpu()
    if not options.no_kill:
        ready.clear()
        for pid in children():
            os.kill(pid, signal.SIGKILL)
            report["kills"] += 1
        killed = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(ready.wait(), half)
        report["schedule_back_after_s"] = round(time.monotonic() - killed, 1)
        await asyncio.sleep(max(0.0, half - (time.monotonic() - killed)))
    else:
        await asyncio.sleep(half)
    for _ in range(30):  # what fell due in the last moment gets its chance
        if not engine.due(datetime.now(UTC)):
            break
        await asyncio.sleep(options.tick / 10)
    report["schedule"] = engine.schedule_report(since)
    if isinstance(engine, BurningEngine):
        report["latest_start_s"] = round(engine.latest_s(since), 1)
    at_end = cpu()
    await asyncio.sleep(5)  # Prefect's record trails the syncs
    pool = json.loads((data_dir / "prefect" / "serve.json").read_text())["pool"]
    report["prefect_runs"] = await asyncio.to_thread(count_runs, urls[0], pool)
    report["cpu_start_s"] = asdict(at_start.since(Cpu(0, 0, 0)))
    report["cpu_until_kill_s"] = asdict(before_kill.since(at_start))
    report["cpu_whole_s"] = asdict(at_end.since(at_start))
    stop.set()
    await serving
    report["processes_left"] = len(children())
    return report


def show(report: dict[str, Any], minutes: float) -> None:
    counts = report["schedule"]
    print(f"ready after {report['ready_after_s']} s; server killed {report['kills']}x", end="")
    print(f", schedule back after {report['schedule_back_after_s']} s" if report["kills"] else "")
    print("runs: " + ", ".join(f"{counts.get(key, 0)} {key}" for key in ("due", "run", "missed", "doubled")), end="")
    print(f"; latest start {report['latest_start_s']} s after due" if "latest_start_s" in report else "")
    print("in Prefect: " + (", ".join(f"{name} x{count}" for name, count in report["prefect_runs"].items()) or "none"))
    print(f"{'CPU seconds':<34}{'syncs':>9}{'client':>9}{'server':>9}{'Prefect/run':>13}")
    runs = max(1, counts.get("run", 0))
    for label, key in (
        ("start-up", "cpu_start_s"),
        (f"first {minutes / 2:g} min", "cpu_until_kill_s"),
        ("all, with the kill", "cpu_whole_s"),
    ):
        used = report[key]
        prefect = used["prefect_client"] + used["prefect_server"]
        each = f"{prefect / runs:>13.2f}" if key == "cpu_whole_s" else f"{'':>13}"
        row = (used["sync_threads"], used["prefect_client"], used["prefect_server"])
        print(f"{label:<34}" + "".join(f"{value:>9.2f}" for value in row) + each)
    print(f"processes left: {report['processes_left']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--connections", type=int, default=5)
    parser.add_argument("--period", type=float, default=60, help="seconds between two runs of a connection")
    parser.add_argument("--tick", type=float, default=10, help="seconds between two looks at what is due")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--burn-ms", type=float, default=200, help="CPU of one default sync, in milliseconds")
    parser.add_argument("--engine", help="package.module:factory of another engine")
    parser.add_argument("--data-dir", type=Path, help="kept; default is a temporary folder")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    if options.data_dir:
        options.data_dir.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(soak(options, options.data_dir))
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = asyncio.run(soak(options, Path(folder)))
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report, options.minutes)
    return 1 if report["schedule"].get("missed") or report["schedule"].get("doubled") else 0


if __name__ == "__main__":
    sys.exit(main())
