"""The CRM fails in the middle of an apply: each change ends up there once, whatever was lost on the way."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.engine import push
from hub.store import tables as t
from tests.e2e import checks
from tests.e2e.world import World, letters

pytestmark = pytest.mark.anyio
STREAMS = ("contacts",)


@dataclass(frozen=True)
class Row:
    """rules: faults during the apply. status, code: of that apply. flags: switches of the emulator."""

    name: str
    rules: tuple[dict[str, Any], ...]
    status: str
    code: int
    flags: dict[str, Any] = field(default_factory=dict)


LOST = {"kind": "drop_answer", "method": "POST", "every": 3}
ROWS = (
    Row("one answer of three lost after the commit", (LOST,), "healthy", 0),
    Row(
        "the same, where the CRM knows no upsert and its search lags",
        (LOST,),
        "healthy",
        0,
        {"engagement_upsert": False, "search_lag_s": 30},
    ),
    Row("one answer of three cut short", ({"kind": "truncate", "method": "POST", "every": 3},), "healthy", 0),
    Row("a bad hour", ({"kind": "status", "status": 502, "every": 2},), "healthy", 0),
    Row("HTML with status 200", ({"kind": "html", "path": "upsert", "skip": 1},), "degraded", 1),
    Row("daily limit", ({"kind": "quota", "skip": 5, "policy": "DAILY"},), "waiting-until", 3),
    Row("token revoked", ({"kind": "revoke_token", "skip": 6},), "needs-reconnect", 4),
    Row("may not write", ({"kind": "deny_scope", "scope": "crm.objects.companies.write"},), "degraded", 1),
    Row("gone for good", ({"kind": "reset", "skip": 7},), "degraded", 1),
)
_calm: list[tuple[str, dict[str, Any]]] = []


def built(folder: Path) -> World:
    world = World(folder, ["sam@ourco.example"], ["ourco.example"], crm_streams=STREAMS)
    world.deliver(letters(45))
    contacts = [{"properties": {"email": f"person{n}@firm{n % 7}.example", "firstname": "Known"}} for n in range(3)]
    world.hubspot.seed({"contacts": contacts})
    return world


async def calm(folder: Path) -> tuple[str, dict[str, Any]]:
    """State of the hub and the CRM where nothing went wrong."""
    if not _calm:
        world = built(folder)
        async with world.up():
            await world.sync_all()
            await world.push()
            _calm.append((world.digest(), counted(world)))
    return _calm[0]


def counted(world: World) -> dict[str, Any]:
    state = world.hubspot.state()
    return {k: state[k] for k in ("objects", "duplicates", "associations")}


@pytest.mark.parametrize("row", ROWS, ids=[r.name for r in ROWS])
async def test_each_change_arrives_once(row: Row, tmp_path: Path) -> None:
    target = await calm(tmp_path / "calm")
    world = built(tmp_path / "hub")
    async with world.up():
        world.hubspot.control("flags", row.flags)
        await world.sync_all()
        plan = push.plan(world.engine)
        push.approve(world.engine, plan.id, "a test")
        for rule in row.rules:
            world.hubspot.faults.add(**rule)
        result = await push.apply(world.engine, plan.id)
        struck = [rule["hit"] for rule in world.hubspot.faults.state()]
        world.hubspot.faults.clear()
        assert (result.status, result.exit_code) == (row.status, row.code), result
        assert all(struck) or row.name == "may not write"
        assert told(world) or row.code == 0
        world.clock.advance(hours=25)  # type: ignore[attr-defined]
        world.restart()
        await drained(world)
        with world.engine.store.read() as c:
            assert checks.invariants(c) == []
            assert unknown(c) == 0
        assert (world.digest(), counted(world)) == target
        assert_once(world.dump("emails"))


async def drained(world: World) -> None:
    """Apply again and again until nothing is due; two rounds must do."""
    for _ in range(2):
        result = await world.push()
        assert result is None or result.exit_code == 0, result
    assert push.plan(world.engine).changes == 0


def told(world: World) -> str:
    """What the push's run says of itself."""
    with world.engine.store.read() as c:
        query = sa.select(t.run.c.status).where(t.run.c.kind == "push").order_by(t.run.c.id.desc())
        status: str = c.execute(query.limit(1)).scalar_one()
    return status if status != "healthy" else ""


def unknown(c: sa.Connection) -> int:
    """Changes whose outcome nobody knows."""
    query = sa.select(sa.func.count()).select_from(t.change).where(t.change.c.state == "sent")
    return int(c.execute(query).scalar_one())


def assert_once(objects: Iterable[dict[str, Any]]) -> None:
    keys = [o["properties"]["ihub_key"] for o in objects]
    assert len(keys) == len(set(keys))
