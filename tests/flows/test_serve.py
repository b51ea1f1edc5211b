"""`serve` against a real Prefect server: real schedules, a killed server, a clean end."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.flows import ServeError

from .conftest import Result, Serving, SmallEngine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]  # a first start of Prefect may take most of it


def test_a_scheduled_run_calls_the_engine(serving: Serving) -> None:
    serving.engine.fall_due("scheduled")
    serving.engine.wait_ended("scheduled")
    run = serving.wait_state("scheduled", "COMPLETED")
    (parent,) = serving.ask("/flow_runs/filter", task_runs={"id": {"any_": [run["parent_task_run_id"]]}})
    assert parent["auto_scheduled"] is True  # Prefect's scheduler made it; nobody triggered it
    assert parent["expected_start_time"] <= parent["start_time"]


def test_each_connection_is_a_run_of_its_own_with_its_own_logs(serving: Serving) -> None:
    serving.engine.fall_due("north", "south", answer=lambda: Result("ok", 0, ["12 new"]))
    for name in ("north", "south"):
        run = serving.wait_state(name, "COMPLETED")
        assert run["parameters"] == {"connection": name}
        assert "12 new" in run["state"]["message"]
        said = logs(serving, run)
        assert f"pulling {name}" in said  # from the logger "hub.engine", inside the engine's own task
        assert not any("pulling" in line and name not in line for line in said)


def test_what_fails_is_told_and_stops_nothing_else(serving: Serving) -> None:
    def broken() -> Result:
        raise RuntimeError("our own fault")

    serving.engine.fall_due("revoked", answer=lambda: Result("needs re-authentication", 4, ["sign in again"]))
    serving.engine.fall_due("broken", answer=broken)
    serving.engine.fall_due("healthy")
    assert "sign in again" in serving.wait_state("revoked", "FAILED")["state"]["message"]
    assert "our own fault" in serving.wait_state("broken", "FAILED")["state"]["message"]
    serving.wait_state("healthy", "COMPLETED")
    assert all(len(serving.engine.of(name)) == 1 for name in ("revoked", "broken", "healthy"))


def test_a_long_sync_does_not_hold_up_later_ticks(serving: Serving) -> None:
    serving.engine.fall_due("long", hold=True)
    serving.engine.wait_for(lambda: serving.engine.of("long"))
    serving.engine.fall_due("short")
    serving.wait_state("short", "COMPLETED")
    serving.engine.holds["long"].set()
    serving.wait_state("long", "COMPLETED")
    assert len(serving.engine.of("long")) == 1


def test_cancelling_in_prefect_does_not_touch_the_sync(serving: Serving) -> None:
    serving.engine.fall_due("cancelled there", hold=True)
    run = serving.wait_state("cancelled there", "RUNNING")
    serving.ask(f"/flow_runs/{run['id']}/set_state", state={"type": "CANCELLED"}, force=True)
    serving.engine.fall_due("next one")
    serving.wait_state("next one", "COMPLETED")
    serving.engine.holds["cancelled there"].set()
    serving.engine.wait_ended("cancelled there")
    assert [run.ended for run in serving.engine.of("cancelled there")] == ["ok"]


def test_the_server_is_killed_in_the_middle(serving: Serving) -> None:
    engine = serving.engine
    engine.fall_due("survivor", "outlasts", hold=True)
    engine.wait_for(lambda: engine.of("survivor") and engine.of("outlasts"))
    serving.wait_state("outlasts", "RUNNING")
    (pid,) = server_pids(serving.data_dir)
    os.kill(pid, signal.SIGKILL)
    engine.holds["survivor"].set()
    engine.wait_ended("survivor")  # while there is no server
    assert engine.of("survivor")[0].ended == "ok"
    engine.fall_due("after")
    engine.wait_ended("after")  # the server came back and its schedule runs again
    (again,) = server_pids(serving.data_dir)
    assert again != pid
    engine.holds["outlasts"].set()
    for name in ("survivor", "outlasts", "after"):
        serving.wait_state(name, "COMPLETED")  # also those that ended while Prefect was away
        assert [(run.ended, run.doubled) for run in engine.of(name)] == [("ok", False)]


def test_offline_and_silent(serving: Serving) -> None:
    settings = httpx.get(serving.url + "/admin/settings", timeout=30).json()
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["api"]["host"] == "127.0.0.1"
    assert settings["home"] == str(serving.data_dir / "prefect")
    (pid,) = server_pids(serving.data_dir)
    environ = Path(f"/proc/{pid}/environ")
    if environ.exists():
        assert b"DO_NOT_TRACK=1" in environ.read_bytes().split(b"\0")
    assert os.environ["DO_NOT_TRACK"] == "1"
    with sqlite3.connect(f"file:{serving.data_dir}/prefect/prefect.db?mode=ro", uri=True) as prefect_db:
        (sessions,) = prefect_db.execute(
            "select count(*) from configuration where key = 'TELEMETRY_SESSION'"
        ).fetchone()
    prefect_db.close()
    assert sessions == 0  # Prefect's telemetry writes this row before its first heartbeat
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(serving.url + "/flow_runs/filter", headers=asked, timeout=30)
    assert "access-control-allow-origin" not in answer.headers


def test_one_serve_a_folder(serving: Serving) -> None:
    with pytest.raises(ServeError, match="already running"):
        Serving(serving.data_dir, SmallEngine()).start()


def test_a_clean_end_and_a_second_beginning(serving: Serving) -> None:
    engine, port = serving.engine, httpx.URL(serving.url).port
    pool = json.loads((serving.data_dir / "prefect" / "serve.json").read_text())["pool"]
    flow = serving.ask("/flows/", name="removed-connection")["id"]
    stale = serving.ask("/deployments/", name="stale", flow_id=flow, work_pool_name=pool)["id"]
    dead = serving.ask("/flow_runs/", flow_id=flow, name="dead", tags=[pool], state={"type": "RUNNING"})["id"]
    engine.fall_due("last", hold=True)
    engine.wait_for(lambda: engine.of("last"))

    serving.ask_stop()
    engine.fall_due("too late")
    engine.holds["last"].set()
    serving.stop()

    assert serving.error is None
    assert [run.ended for run in engine.of("last")] == ["ok"]  # finished within the grace period
    assert not server_pids(serving.data_dir)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port or 0)) != 0

    serving.start()
    assert httpx.URL(serving.url).port == port
    engine.wait_ended("too late")  # still due: nothing was lost between the two
    assert httpx.get(f"{serving.url}/deployments/{stale}", timeout=30).status_code == 404
    assert httpx.get(f"{serving.url}/flow_runs/{dead}", timeout=30).json()["state_type"] == "CRASHED"


@pytest.fixture
def outside(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """The session's server, used by other hubs as one that was already there."""
    monkeypatch.setenv("PREFECT_API_URL", serving.url)
    return serving


def test_a_server_that_is_already_there_is_used(outside: Serving, tmp_path: Path) -> None:
    other = Serving(tmp_path, SmallEngine()).start()
    try:
        assert other.url == outside.url
        assert not server_pids(tmp_path)
        other.engine.fall_due("elsewhere")
        other.engine.wait_ended("elsewhere")
        assert not outside.engine.of("elsewhere")
    finally:
        other.stop()
    pool = json.loads((tmp_path / "prefect" / "serve.json").read_text())["pool"]
    (deployment,) = outside.ask("/deployments/filter", deployments={"name": {"any_": [pool]}})
    assert deployment["paused"] is True  # no pile of late runs while that hub is away


def test_sigterm_finishes_what_runs(outside: Serving, tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, pathlib, sys
        from hub.flows import serve
        class Result: status, exit_code, lines = "ok", 0, []
        class Engine:
            begun = False
            def due(self, now): return [] if self.begun else ["slow"]
            async def sync(self, connection):
                self.begun = True
                print("begun", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
                print("finished", flush=True)
                return Result()
        asyncio.run(serve(Engine(), data_dir=pathlib.Path(sys.argv[1]), tick_seconds=1))
        print("ended", flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as hub:
        assert hub.stdin
        assert hub.stdout
        assert hub.stdout.readline() == "begun\n"
        hub.send_signal(signal.SIGTERM)
        rest, _ = hub.communicate("go\n", timeout=60)
    assert rest.split() == ["finished", "ended"]
    assert hub.returncode == 0


def test_the_server_ends_with_a_hub_that_was_killed() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "hub.flows.server_process", "127.0.0.1", "0"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert server.stdin
    server.stdin.close()  # what the kernel does for a process that got `kill -9`
    assert server.wait(30) != 0


def logs(serving: Serving, run: dict[str, Any]) -> list[str]:
    """Messages on the run's page. Prefect sends them in batches, so the caller's own lines may need a moment."""
    import time

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = serving.ask("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
        if found:
            return [line["message"] for line in found]
        time.sleep(0.2)
    return []


def server_pids(data_dir: Path) -> list[int]:
    """Processes whose working folder is this hub's Prefect home."""
    home = (data_dir / "prefect").resolve()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve(strict=True) == home:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
