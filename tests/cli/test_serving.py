"""`ihub emulate`, and the doors of `serve` that need no Prefect server."""

import argparse
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.cli.output import Screen, as_json
from hub.cli.serving import run_emulate


def _emulating(**given: Any) -> dict[str, Any]:
    """Start the command in a thread, ask its server something, stop it; what it printed and answered."""
    out, stop = io.StringIO(), threading.Event()
    args = argparse.Namespace(**{"name": "gmail", "port": 0, "load": None, "mailbox": None} | given)
    screen = Screen(is_json=True, out=out, err=io.StringIO())
    thread = threading.Thread(target=run_emulate, args=(args, screen, stop))
    ready = threading.Event()
    emit = screen.emit

    def told(document: Any) -> None:
        emit(document)
        ready.set()

    screen.emit = told  # type: ignore[method-assign]
    thread.start()
    assert ready.wait(20)
    document = json.loads(out.getvalue())
    document["state"] = httpx.get(f"{document['url']}/_emulator/state").json()
    stop.set()
    thread.join(20)
    return document


def test_emulate_serves_a_filled_mailbox(mbox: Path) -> None:
    found = _emulating(mailbox="ana@ourco.example", load=str(mbox))
    assert found["settings"]["base_url"] == found["url"] + "/"
    assert found["settings"]["token_url"] == found["url"] + "/token"
    assert found["loaded"]["refresh_token"].startswith("1//")
    assert found["loaded"]["loaded"] > 20
    assert "ana@ourco.example" in found["state"]["mailboxes"]


def test_emulate_takes_a_seed_in_json(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(as_json({"objects": {"contacts": [{"properties": {"email": "ana@kestrel.example"}}]}}))
    found = _emulating(name="hubspot", load=str(seed))
    assert found["state"]["objects"]["contacts"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], 'there is no emulator called "nope"'),
        (["gmail", "--load", "nowhere"], "does not exist"),
        (["gmail", "--load", "x.mbox"], "needs --mailbox ADDR"),
        (["gmail", "--mailbox", "a@b.example", "--load", "x.mbox"], "no messages found"),
        (["hubspot", "--mailbox", "a@b.example"], "does not take --mailbox"),
        (["hubspot", "--load", "bad.json"], "not a JSON file"),
        (["gmail", "--port", "70000"], "between 0 and 65535"),
    ],
)
def test_emulate_refuses_with_the_reason(empty, words: list[str], message: str) -> None:
    Path("x.mbox").write_text("")
    Path("bad.json").write_text("{")
    assert message in " ".join(empty("emulate", *words, code=2).err.split())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the base leaves its socket open
def test_a_port_that_is_taken(empty, shared_servers) -> None:
    port = shared_servers.gmail.url.rpartition(":")[2]
    assert "cannot be used" in empty("emulate", "gmail", "--port", port, code=2).err


def test_serve_hands_the_engine_to_the_schedule_and_reports(synced, monkeypatch) -> None:
    seen: dict[str, Any] = {}

    async def serve(engine: Any, **given: Any) -> None:
        seen.update(given, due=engine.names())
        given["on_ready"]("http://127.0.0.1:1/api")

    monkeypatch.setattr("hub.flows.serve", serve)
    shown = synced("serve", "--tick", "2", "--concurrency", "3")
    assert "Running 2 connections on schedule" in shown.out
    assert "every 5 minutes" in shown.out
    assert "Stopped. Runs:" in shown.out
    assert seen["tick_seconds"] == 2
    assert seen["concurrency"] == 3
    assert seen["due"] == ["mail", "crm"]
    assert seen["data_dir"].is_dir()
    assert set(synced("serve", "--json").json) == {"since", "due", "run", "missed", "doubled"}


def test_serve_answers_people_and_programs_where_the_settings_give_a_port(synced, monkeypatch) -> None:
    seen: dict[str, Any] = {}

    async def serve(engine: Any, **given: Any) -> None:
        given["on_ready"]("http://127.0.0.1:1/api")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            seen["ready"] = (await client.get("/readyz")).text
            seen["asked"] = (await client.get("/api/v1/health")).status_code
            seen["page"] = (await client.get("/health")).headers["location"]

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HUB_WEB__PORT", str(port))
    monkeypatch.setattr("hub.flows.serve", serve)
    shown = synced("serve").out
    assert shown.startswith(f"Web: http://127.0.0.1:{port}\nRunning 2 connections on schedule")
    assert f"REST: http://127.0.0.1:{port}/api/v1\nMCP: http://127.0.0.1:{port}/mcp\n" in shown
    assert seen == {"ready": "ok", "asked": 401, "page": "/sign-in?next=%2Fhealth"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ModuleNotFoundError("no", name="prefect"), 2, "interaction-hub[prefect]"),
        (ValueError("tick_seconds must be at least 1"), 2, "--tick: tick_seconds must be at least 1"),
    ],
)
def test_serve_that_cannot_start(synced, monkeypatch, error: Exception, code: int, message: str) -> None:
    async def serve(engine: Any, **given: Any) -> None:
        raise error

    monkeypatch.setattr("hub.flows.serve", serve)
    assert message in " ".join(synced("serve", code=code).err.split())


def test_serve_whose_server_fails_is_exit_1(synced, monkeypatch) -> None:
    from hub import flows

    async def serve(engine: Any, **given: Any) -> None:
        raise flows.ServeError("another serve is already running")

    monkeypatch.setattr("hub.flows.serve", serve)
    assert "another serve is already running" in synced("serve", code=1).err
