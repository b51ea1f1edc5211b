"""A small real engine, and one `serve` with a real Prefect server for all tests of a file."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.flows import serve

FAR = timedelta(days=365)


@dataclass
class Result:
    status: str = "ok"
    exit_code: int = 0
    lines: list[str] = field(default_factory=list)


@dataclass
class Run:
    """One call of `sync`: what happened and whether it overlapped another of the same connection."""

    connection: str
    ended: str = ""
    doubled: bool = False


class SmallEngine:
    """Connections that fall due when a test says so. Leases are a set; every run is written down."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.next_at: dict[str, datetime] = {}
        self.answers: dict[str, Callable[[], Result]] = {}
        self.holds: dict[str, threading.Event] = {}
        self.leased: set[str] = set()
        self.runs: list[Run] = []
        self.most_at_once = 0

    def fall_due(self, *connections: str, answer: Callable[[], Result] = Result, hold: bool = False) -> None:
        """Make each due now, once. `hold`: the sync waits until `holds[connection]` is set."""
        with self.changed:
            for connection in connections:
                self.answers[connection] = answer
                if hold:
                    self.holds[connection] = threading.Event()
                self.next_at[connection] = datetime.now(UTC)

    def due(self, now: datetime) -> list[str]:
        with self.changed:
            return [name for name, at in self.next_at.items() if at <= now and name not in self.leased]

    async def sync(self, connection: str) -> Result:
        run = Run(connection)
        with self.changed:
            run.doubled = connection in self.leased
            self.leased.add(connection)
            self.runs.append(run)
            self.most_at_once = max(self.most_at_once, len(self.leased))
            self.changed.notify_all()
        logging.getLogger("hub.engine").info("pulling %s", connection)
        run.ended = "cancelled"
        try:
            if hold := self.holds.get(connection):
                await asyncio.to_thread(hold.wait, 60)
            result = self.answers[connection]()
            run.ended = result.status
            return result
        finally:
            with self.changed:
                self.leased.discard(connection)
                self.next_at[connection] = datetime.now(UTC) + FAR
                self.changed.notify_all()

    def schedule_report(self, since: datetime) -> dict[str, int]:
        return {"due": 0, "run": len(self.runs), "missed": 0, "doubled": sum(run.doubled for run in self.runs)}

    def of(self, connection: str) -> list[Run]:
        return [run for run in self.runs if run.connection == connection]

    def wait_for(self, claim: Callable[[], object], timeout_s: float = 90) -> None:
        with self.changed:
            assert self.changed.wait_for(claim, timeout_s), "the engine was not called in time"

    def wait_ended(self, connection: str, timeout_s: float = 90) -> None:
        self.wait_for(
            lambda: any(run.ended and run.connection not in self.leased for run in self.of(connection)), timeout_s
        )


class Serving:
    """`serve` on a thread of its own, with a tick of one second."""

    def __init__(self, data_dir: Path, engine: SmallEngine, **options: Any) -> None:
        self.data_dir = data_dir
        self.engine = engine
        self.options = {"tick_seconds": 1, "concurrency": 4, "grace_seconds": 20, **options}
        self.url = ""
        self.error: BaseException | None = None

    def start(self) -> Serving:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

        def came_up(url: str) -> None:
            self.url = url
            ready.set()

        def main() -> None:
            try:
                work = serve(self.engine, data_dir=self.data_dir, stop=self._stop, on_ready=came_up, **self.options)
                self._loop.run_until_complete(work)
            except BaseException as exc:
                self.error = exc
            finally:
                self._loop.close()
                ready.set()

        self._thread = threading.Thread(target=main)
        self._thread.start()
        assert ready.wait(190), "serve did not get ready"  # longer than it gives itself
        if self.error:
            raise self.error
        return self

    def ask_stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        self.ask_stop()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def ask(self, path: str, **body: Any) -> Any:
        """POST to Prefect's own REST API."""
        return httpx.post(self.url + path, json=body, timeout=30).raise_for_status().json()

    def flow_runs(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", flow_runs={"name": {"any_": [name]}})
        return found

    def wait_state(self, name: str, state: str, timeout_s: float = 60) -> dict[str, Any]:
        """The newest run called `name`, once it is in `state` (Prefect's record trails the sync)."""
        deadline = time.monotonic() + timeout_s
        found: list[dict[str, Any]] = []
        while time.monotonic() < deadline:
            try:
                found = self.flow_runs(name)
            except httpx.HTTPError:
                found = []  # the server is away: that is part of the tests
            for run in found:
                if run["state_type"] == state:
                    return run
            time.sleep(0.2)
        raise AssertionError(f"no run {name} in state {state}: {[run['state_type'] for run in found]}")


@pytest.fixture(scope="module")  # no longer: it looks for work every second, at the cost of all that comes after
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    hub_log = logging.getLogger("hub")
    level = hub_log.level
    hub_log.setLevel(logging.INFO)  # the caller of `serve` says how much is logged
    running = Serving(tmp_path_factory.mktemp("hub"), SmallEngine()).start()
    yield running
    running.stop()
    hub_log.setLevel(level)
