"""Claims, slots and the end of a run, without Prefect."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from opentelemetry import trace
from spans import Tracer

from hub.flows.contract import EngineLike, SyncResultLike
from hub.flows.dispatch import Dispatcher, Outcome
from hub.flows.server import client_environment, find_place

pytestmark = pytest.mark.anyio


class Result:
    def __init__(self, status: str = "ok", exit_code: int = 0) -> None:
        self.status, self.exit_code, self.lines = status, exit_code, [f"ended {status}"]


class Engine:
    def __init__(self, *due: str, result: Result | Exception | None = None) -> None:
        self.names = list(due)
        self.result = result or Result()
        self.go = asyncio.Event()
        self.begun: list[str] = []

    def due(self, now: datetime) -> list[str]:
        assert now.tzinfo is not None
        return list(self.names)

    async def sync(self, connection: str) -> SyncResultLike:
        self.begun.append(connection)
        await self.go.wait()
        self.names.remove(connection)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def schedule_report(self, since: datetime) -> dict[str, int]:
        return {}


def begun(dispatcher: Dispatcher, *names: str) -> list[asyncio.Task[Outcome]]:
    return [asyncio.create_task(dispatcher.run(name)) for name in names]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_span_says_how_a_sync_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = Tracer()
    monkeypatch.setattr(trace, "get_tracer", lambda _: tracer)
    for result, is_error in ((Result(), False), (Result("degraded", 3), True)):
        engine = Engine("a", result=result)
        engine.go.set()
        dispatcher = Dispatcher(engine, 1)
        dispatcher.claim()
        await dispatcher.run("a")
        span = tracer.spans.pop()
        assert (span.name, span.told["hub.status"], span.is_error) == ("sync a", result.status, is_error)


async def test_the_small_engine_is_an_engine() -> None:
    engine: EngineLike = Engine()
    assert engine.due(datetime.now().astimezone()) == []


async def test_no_more_than_the_slots_and_never_the_same_twice() -> None:
    engine = Engine("a", "b", "c")
    dispatcher = Dispatcher(engine, 2)
    assert dispatcher.claim() == ["a", "b"]
    assert dispatcher.claim() == []  # full
    tasks = begun(dispatcher, "a", "b")
    await settle()
    assert dispatcher.running == ("a", "b")
    assert not dispatcher.has_work()  # though all three are still due
    engine.go.set()
    assert [(await task).kind for task in tasks] == ["done", "done"]
    assert dispatcher.claim() == ["c"]


async def test_a_claim_that_never_started_goes_back_and_one_that_runs_does_not() -> None:
    engine = Engine("a")
    dispatcher = Dispatcher(engine, 1)
    assert dispatcher.claim() == ["a"]
    dispatcher.release("a")
    assert dispatcher.claim() == ["a"]
    (task,) = begun(dispatcher, "a")
    await settle()
    dispatcher.release("a")
    assert dispatcher.running == ("a",)
    assert dispatcher.claim() == []
    engine.go.set()
    await task


async def test_what_stays_due_after_a_failure_waits_for_the_next_tick() -> None:
    dispatcher = Dispatcher(Engine("a", "b"), 4)
    assert dispatcher.claim(already={"a"}) == ["b"]


@pytest.mark.parametrize(
    ("result", "kind", "says"),
    [
        (Result("ok"), "done", "ok; ended ok"),
        (Result("needs re-authentication", 4), "failed", "needs re-authentication"),
        (RuntimeError("our own fault"), "failed", "RuntimeError: our own fault"),
    ],
)
async def test_every_end_becomes_an_outcome(result: Result | Exception, kind: str, says: str) -> None:
    engine = Engine("a", result=result)
    engine.go.set()
    dispatcher = Dispatcher(engine, 1)
    dispatcher.claim()
    outcome = await dispatcher.run("a")
    assert outcome.kind == kind
    assert says in outcome.message
    assert dispatcher.running == ()


async def test_the_end_waits_for_what_runs_and_starts_nothing() -> None:
    engine = Engine("a", "b")
    dispatcher = Dispatcher(engine, 2)
    dispatcher.claim()
    (task,) = begun(dispatcher, "a")  # "b" is claimed and waits for Prefect
    await settle()
    end = asyncio.create_task(dispatcher.drain(30, asyncio.Event()))
    await settle()
    assert dispatcher.claim() == []
    assert (await dispatcher.run("b")).kind == "cancelled"
    engine.go.set()
    assert await end == []
    assert (await task).kind == "done"
    assert engine.begun == ["a"]


@pytest.mark.parametrize("hurried", [False, True])
async def test_after_the_grace_or_a_second_signal_the_rest_is_cancelled(hurried: bool) -> None:
    dispatcher = Dispatcher(Engine("a"), 1)
    dispatcher.claim()
    (task,) = begun(dispatcher, "a")
    await settle()
    hurry = asyncio.Event()
    if hurried:
        hurry.set()
    assert await dispatcher.drain(30 if hurried else 0, hurry) == ["a"]
    assert (await task).kind == "cancelled"


def test_importing_the_room_is_cheap() -> None:
    seen = subprocess.run(
        [sys.executable, "-c", "import hub.flows, sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"prefect", "httpx", "sqlalchemy", "pydantic"} & set(seen)


def test_loopback_calls_avoid_the_proxy_and_nothing_phones_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("no_proxy", "NO_PROXY", "PREFECT_HOME", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # remembered, so that it is put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "true")
    monkeypatch.setenv("PREFECT_API_KEY", "somebody's cloud key")
    monkeypatch.setenv("PREFECT_SERVER_LOGGING_LEVEL", "DEBUG")
    client_environment(tmp_path)
    assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1"
    place = find_place(tmp_path)
    seen = place.environment({**os.environ, "PREFECT_SERVER_ANALYTICS_ENABLED": "true"})
    assert seen["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert seen["DO_NOT_TRACK"] == "1"
    assert seen["PREFECT_SERVER_LOGGING_LEVEL"] == "DEBUG"  # a user may tune what we do not promise
    assert "PREFECT_API_KEY" not in seen
    assert seen["PREFECT_API_URL"] == f"http://127.0.0.1:{place.port}/api"


def test_the_port_and_the_pool_stay_unless_somebody_sits_on_the_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hub.flows.server.PORT_WAIT_S", 0.0)
    place = find_place(tmp_path)
    assert find_place(tmp_path) == place
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", place.port))
        stranger.listen()
        moved = find_place(tmp_path)
    assert moved.port != place.port
    assert moved.pool == place.pool
    (tmp_path / "prefect" / "serve.json").write_text("cut sho")
    assert find_place(tmp_path).pool != place.pool  # a torn file costs a new name, not a start
