"""MCP with its own client: tools and shapes, permissions, hostile mail, a real socket, a real process."""

import hashlib
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from asking import HIDDEN, HOSTILE, KAY, READER, STEP, call, estate, talk, viewer
from databases import on_sqlite
from estates import kept
from injected import ATTACKS
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from world import World

from hub import inbox
from hub.access import Door, Viewer, accounts, ledger, roles, tokens
from hub.mcp import create_app, create_server
from hub.mcp.server import NAMES
from hub.mcp.untrusted import address, clean, marked
from hub.service import Desk
from hub.store import Store
from hub.store import tables as t


@pytest.fixture
def world(kept_store: Store) -> World:
    """Only looked at: built once a database."""
    return kept(kept_store, "mcp", estate)


def test_tools_are_few_one_of_them_proposes_and_their_words_do_not_change(world: World) -> None:
    async def ask(client: Client) -> Any:
        return (await client.list_tools()).tools, (await client.list_prompts()).prompts

    server = create_server(lambda: Desk(world.engine, READER))
    listed, prompts = talk(server, ask)
    assert {x.name for x in listed} == {
        "search",
        "fetch",
        "brief",
        "timeline",
        "explain",
        "status",
        "coverage",
        "report",
        "propose_next_step",
    }
    assert {x.name for x in listed} | {"draft_note"} == NAMES
    assert [x.name for x in listed if not x.annotations.read_only_hint] == ["propose_next_step"]
    assert not any(x.annotations.destructive_hint or x.annotations.open_world_hint for x in listed)
    assert [p.name for p in prompts] == ["draft_note"]
    said = [[x.name, x.description, x.input_schema] for x in sorted(listed, key=lambda x: x.name)]
    told = hashlib.sha256(json.dumps([server.instructions, said], sort_keys=True).encode()).hexdigest()[:16]
    assert told == DESCRIPTIONS, (
        "what a tool says of itself is part of the contract: look at the change, then write it down"
    )


def test_search_and_fetch_have_the_shapes_that_assistants_expect(world: World) -> None:
    found = call(world, "search", query="kay")
    assert set(found) == {"results"}
    assert set(found["results"][0]) == {"id", "title", "url", "untrusted_content"}
    one = call(world, "fetch", id=found["results"][0]["id"])
    entry = call(world, "timeline", customer=KAY, limit=1)["entries"][0]
    told = call(world, "fetch", id=entry["id"])
    for document in (one, told):
        assert set(document) == {"id", "title", "text", "url", "metadata", "untrusted_content"}
        assert all(document[name] for name in ("id", "title", "text", "url")), "what has no address is not cited"
    assert "> Responsible: Sam" in one["text"] or "> Responsible: nobody known" in one["text"]
    assert told["text"].split("\n")[1:] == [f"> <{KAY}>", "> ", "> About m1", "> ", "> When do we meet?"]
    assert told["metadata"]["content"]["sender"] == f"<{KAY}>"


def test_a_customer_is_told_in_full(world: World) -> None:
    told = call(world, "brief", customer=KAY)
    assert told["untrusted_content"] is told["last"]["content"]["untrusted_content"] is True
    assert told["version"] == call(world, "fetch", id=told["party"]["public_id"])["metadata"]["version"]
    assert told["relationship"]["interactions"] == len(HOSTILE) + 1
    assert told["coverage"]["percent"] == 100.0
    page = call(world, "timeline", customer=KAY, limit=5)
    rest = call(world, "timeline", customer=KAY, limit=50, before=page["next"])
    assert len({e["id"] for e in page["entries"] + rest["entries"]}) == len(HOSTILE) + 1
    assert rest["next"] is None
    assert call(world, "explain", entry=page["entries"][0]["id"])["sources"][0]["connection"] == "a"
    assert call(world, "coverage")["percent"] == 100.0
    assert call(world, "status")["balanced"] is True


def test_reports_are_those_of_every_door(world: World) -> None:
    names = [r["name"] for r in call(world, "report")["reports"]]
    assert names[0] == "volume"
    for name in names:
        told = call(world, "report", name=name)
        assert (told["report"], told["untrusted_content"]) == (name, True)
    assert call(world, "report", name="silent-deals", parameters={"days": "30"})["parameters"]["days"] == 30
    with pytest.raises(AssertionError, match=r"days does not fit: a whole number"):
        call(world, "report", name="silent-deals", parameters={"days": "x"})
    with pytest.raises(AssertionError, match="there is no report 'nothing'; there are: volume"):
        call(world, "report", name="nothing")


def test_what_strangers_wrote_is_marked_visible_and_cut(world: World) -> None:
    entries = call(world, "timeline", customer=KAY, limit=50)["entries"]
    texts = [call(world, "fetch", id=e["id"])["metadata"]["content"] for e in entries]
    assert all(x["untrusted_content"] is True and x["source"] == "a" for x in texts)
    whole = json.dumps([entries, texts], ensure_ascii=False)
    assert not any(0xE0000 <= ord(ch) <= 0xE007F or ch in "\u202e\u200b\ufeff\u2060\x1b\x00" for ch in whole)
    assert not any(sign in whole for sign in ("https://", "](", "www.evil"))
    assert max(len(x["text"]) for x in texts) <= 4_000
    assert [x["is_cut"] for x in texts].count(True) == 1


def test_nothing_an_assistant_can_say_writes(world: World) -> None:
    """No tool but the one that proposes adds a row anywhere but in the ledger, and others there are not."""
    everything = Viewer.local("tester")
    server = create_server(lambda: Desk(world.engine, everything))
    watched = [x for x in t.metadata.sorted_tables if x.name not in {"access_event"}]

    def rows() -> dict[str, int]:
        with world.store.read() as c:
            return {x.name: c.execute(sa.select(sa.func.count()).select_from(x)).scalar_one() for x in watched}

    async def ask(client: Client) -> list[Any]:
        answers = []
        for tool in ("merge", "apply", "approve", "perform", "propose", "sync", "send", "write"):
            with pytest.raises(MCPError, match="there is no such tool"):
                await client.call_tool(tool, {"plan": 1, "what": ["a", "b"]})
        for tool in (await client.list_tools()).tools:
            for text in (*HOSTILE[:5], "'; drop table party; --", "../../etc/passwd"):
                given = {
                    name: text for name, of in tool.input_schema["properties"].items() if of.get("type") == "string"
                }
                answers.append(await client.call_tool(tool.name, given))
        return answers

    before = rows()
    answers = talk(server, ask)
    assert rows() == before
    assert "Traceback" not in json.dumps([c.text for a in answers for c in a.content])


@pytest.mark.parametrize(
    ("tool", "given", "permission"),
    [
        ("search", {"query": "kay"}, roles.CUSTOMERS_READ), ("brief", {"customer": KAY}, roles.CUSTOMERS_READ),
        ("timeline", {"customer": KAY}, roles.CUSTOMERS_READ), ("explain", {"entry": "x"}, roles.CUSTOMERS_READ),
        ("fetch", {"id": "x"}, roles.CUSTOMERS_READ), ("status", {}, roles.HEALTH_READ), ("coverage", {}, roles.HEALTH_READ),
        ("report", {}, roles.REPORTS_READ), ("propose_next_step", STEP, roles.PLANS_PROPOSE),
    ],
)  # fmt: skip
def test_permissions_are_those_of_every_door(world: World, tool: str, given: dict[str, Any], permission: str) -> None:
    with pytest.raises(AssertionError, match=permission):
        call(world, tool, viewer(*(roles.ALL - {permission})), **given)


def test_without_the_right_to_texts_there_are_none(world: World) -> None:
    entries = call(world, "timeline", viewer(roles.CUSTOMERS_READ), customer=KAY, limit=50)["entries"]
    told = [call(world, "fetch", viewer(roles.CUSTOMERS_READ), id=e["id"]) for e in entries[:2]]
    assert "meet" not in json.dumps([entries, told])


def test_who_is_meant_must_be_clear(world: World) -> None:
    with pytest.raises(AssertionError, match="nobody matches 'nobody at all'"):
        call(world, "brief", customer="nobody at all")
    with pytest.raises(
        AssertionError, match="could be several: search tells who they are, ask again with the id of one"
    ):
        call(world, "brief", customer="example")


def test_every_call_is_written_down(world: World) -> None:
    call(world, "status", replace(READER, actor="u7", via="token abc"))
    with world.store.read() as c:
        newest = ledger.events(c, 1)[0]
    assert (newest.act, newest.actor, newest.detail) == ("tool-called", "u7", {"tool": "status", "via": "token abc"})


@pytest.mark.parametrize("text", [*HOSTILE, *(a.text for a in ATTACKS if a.text), *(a.html for a in ATTACKS if a.html)])
def test_clean_text_is_what_a_person_would_see(text: str) -> None:
    shown = clean(text, 100)
    assert len(shown) <= 100
    assert clean(shown, 100) == shown
    shown.encode()
    assert marked(text, "a", "b", 100)["is_cut"] == (len(text) > 100)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://tool.example/e/7?x=1#y", True), ("http://tool.example", True), ("javascript:alert(1)", False), ("", False),
        ("https://evil.example/](x)\n![y]", False), ("https://evil.example/" + "a" * 600, False), ("https://ev\u202eil.example", False),
        (None, False), ("data:text/html,x", False), ('https://x.example/"onclick=', False),
    ],
)  # fmt: skip
def test_only_plain_addresses_are_shown(url: str | None, shown: bool) -> None:
    assert address(url) == (url if shown else "")


def test_a_note_is_drafted_from_data(world: World) -> None:
    async def ask(client: Client) -> Any:
        return await client.get_prompt("draft_note", {"transcript": f"We agreed.{HIDDEN} See https://x.example"})

    told = talk(create_server(lambda: Desk(world.engine, READER)), ask).messages[0].content.text
    assert told.endswith("\n\n> We agreed. See https[:]//x.example")


# --- over a socket, and in a process ----------------------------------------------------------------------------------


@on_sqlite
def test_over_http_a_token_opens_it_and_foreign_hosts_and_origins_do_not(store: Store) -> None:
    world = estate(store)
    now, local = world.engine.clock.now(), Viewer.local("tester")
    with store.write() as c:
        made, _ = accounts.create(c, local, "ana@ourco.example", "Ana", ["viewer"], now)
        text, token = tokens.create(c, local, made.id, "assistant", ["customers.read"], now)
    apps: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await apps["mcp"](scope, receive, send)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    apps["mcp"] = create_app(world.engine, Door(store, world.engine.clock), url)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    kinds = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
    bearer = {**kinds, "authorization": f"Bearer {text}"}
    with inbox.serving(app, "127.0.0.1", port), httpx.Client(base_url=url) as client:
        assert client.post("/mcp", json=asked, headers=kinds).status_code == 401
        assert client.post("/mcp", json=asked, headers={**kinds, "authorization": "Bearer x"}).status_code == 401
        assert client.post("/mcp", json=asked, headers={**bearer, "host": "evil.example"}).status_code == 421
        assert client.post("/mcp", json=asked, headers={**bearer, "origin": "https://evil.example"}).status_code == 403
        found = client.post("/mcp", json=asked, headers=bearer)
        assert {x["name"] for x in found.json()["result"]["tools"]} >= {"brief", "search"}
        brief = {**asked, "method": "tools/call", "params": {"name": "brief", "arguments": {"customer": KAY}}}
        told = client.post("/mcp", json=brief, headers=bearer).json()["result"]
        assert told["structuredContent"]["relationship"]["interactions"] == len(HOSTILE) + 1
        refused = {**asked, "method": "tools/call", "params": {"name": "status", "arguments": {}}}
        assert "health.read" in client.post("/mcp", json=refused, headers=bearer).text
        with store.write() as c:
            tokens.revoke(c, local, token.id, now)
        assert client.post("/mcp", json=brief, headers=bearer).status_code == 401


def test_an_assistant_starts_it_as_a_program(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'hub.db'}").close()
    run = "import sys; from hub.cli import main; sys.exit(main(sys.argv[1:]))"
    program = StdioServerParameters(
        command=sys.executable,
        args=["-c", run, "mcp", "--data-dir", str(tmp_path)],
        env=dict(os.environ),
        cwd=tmp_path,
    )

    async def ask(client: Client) -> Any:
        refused = await client.call_tool("brief", {"customer": "anybody"})
        return refused.content[0].text, (await client.call_tool("coverage", {})).structured_content

    told, counted = talk(program, ask)
    assert "nobody matches 'anybody'" in told
    assert counted["percent"] is None


DESCRIPTIONS = "c10b05d723935f82"
