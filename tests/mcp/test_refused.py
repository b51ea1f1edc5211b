"""What an assistant is refused, what it may propose, and how often it may ask."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from asking import KAY, READER, STEP, call, estate, talk, viewer
from databases import on_sqlite
from estates import kept
from mcp import Client
from mcp.shared.exceptions import MCPError
from world import World, mail

from hub.access import ledger, roles
from hub.api import Identifier, Person
from hub.mcp import create_server
from hub.service import Desk
from hub.store import Store
from hub.store import tables as t


@pytest.fixture
def world(kept_store: Store) -> World:
    """Only looked at: built once a database."""
    return kept(kept_store, "mcp", estate)


@pytest.mark.parametrize(
    ("tool", "given", "named"),
    [
        ("status", {}, "status"), ("brief", {"customer": "nobody at all"}, "brief"), ("timeline", {"limit": "many"}, "timeline"),
        ("my password", {}, "one there is not"),
    ],
)  # fmt: skip
def test_what_is_refused_is_written_down_too(world: World, tool: str, given: dict[str, Any], named: str) -> None:
    who = replace(viewer(roles.CUSTOMERS_READ), actor="u8")
    with pytest.raises(AssertionError):
        call(world, tool, who, **given)
    with world.store.read() as c:
        refused, called = ledger.events(c, 2)
    assert [(e.act, e.actor, e.detail["tool"]) for e in (called, refused)] == [
        ("tool-called", "u8", named), ("tool-refused", "u8", named),
    ]  # fmt: skip


@on_sqlite
def test_nobody_calls_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.mcp.watch.MOST", 5)
    server = create_server(lambda: Desk(world.engine, replace(READER, actor="u9")))

    async def ask(client: Client) -> Any:
        for _ in range(5):
            await client.get_prompt("draft_note", {"transcript": "x"})
        with pytest.raises(MCPError, match="more than 5 calls in a minute"):
            await client.call_tool("status", {})
        world.clock.advance(60)
        return await client.call_tool("status", {})

    assert not talk(server, ask).is_error


def test_a_next_step_is_proposed_and_no_more(store: Store) -> None:
    world = World(store, {"a": Vendor(), "sor": Vendor()}, sor="sor")
    kay = Person(external_id="p1", identifiers=(Identifier("email", KAY),), name="Kay [x](https://evil.example)")
    world.vendors["sor"].put("parties", "p1", kay)
    world.vendors["a"].mail(mail("m1", KAY))
    world.sync()
    who = viewer(roles.CUSTOMERS_READ, roles.PLANS_PROPOSE)
    given = STEP | {
        "what": "Call\n back https://evil.example",
        "expected_version": call(world, "brief", who, customer=KAY)["version"],
    }
    made = call(world, "propose_next_step", who, **given)
    assert made["effect"]["title"] == "Call back https[:]//evil.example"
    assert made["effect"]["about"]["name"] == "Kay [x] (https[:]//evil.example)"
    assert call(world, "propose_next_step", who, **given) == made
    assert set(made) == {"untrusted_content", "plan", "status", "destination", "effect", "next"}
    for more, says in (
        ({"expected_version": "other", "idempotency_key": "key-0002"}, f"its version is {given['expected_version']}"),
        ({"due": "2026-13-40"}, "due is no day and no instant"), ({"what": "\u200b"}, "what does not fit"),
        ({"idempotency_key": "short"}, "at least 8 characters"), ({"what": "Other"}, "stands for another proposal"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=says):
            call(world, "propose_next_step", who, **given | more)
    assert world.all(sa.select(t.plan.c.kind, t.plan.c.status)) == [("step", "draft")]
    assert world.vendors["sor"].pushes == 0
