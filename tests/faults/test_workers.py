"""Two workers on one connection: one works, the other says so; a stalled one that wakes up late writes nothing."""

import asyncio
from pathlib import Path

import httpx
import pytest

from hub import reports
from hub.engine import Engine, push
from tests.e2e import checks
from tests.e2e.clocks import OneTransport, TickingClock
from tests.e2e.world import World, letters

pytestmark = pytest.mark.anyio
MAIL = "mail_sam"


class Stalling(OneTransport):
    """Holds the nth request to a path back until it is let go: a process that was suspended, or lost its network."""

    def __init__(self, path: str, nth: int) -> None:
        super().__init__()
        self._path, self._left = path, nth
        self.is_held, self.go = asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._path in request.url.path:
            self._left -= 1
            if not self._left:
                self.is_held.set()
                await self.go.wait()
        return await super().handle_async_request(request)


def world_of(folder: Path) -> World:
    world = World(folder, ["sam@ourco.example"], ["ourco.example"], crm_streams=("contacts",))
    world.deliver(letters(110))
    return world


async def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    async with world.up():
        other = world.another()
        results = await asyncio.gather(*(e.sync(name) for name in (MAIL, "hubspot") for e in (world.engine, other)))
        busy = [r for r in results if r.detail == "another worker is on it"]
        assert sorted(r.connection for r in busy) == ["hubspot", MAIL]
        assert {(r.status, r.exit_code) for r in busy} == {("catching-up", 0)}
        assert all(r.exit_code == 0 for r in results)
        plan = push.plan(world.engine)
        push.approve(world.engine, plan.id, "a test")
        first, second = await asyncio.gather(*(push.apply(e, plan.id) for e in (world.engine, other)))
        assert {first.detail, second.detail} == {"", "another worker is applying"}
        assert sum(sum(r.applied.done.values()) for r in (first, second)) == plan.changes
        assert world.hubspot.state()["duplicates"] == {}
        with world.engine.store.read() as c:
            assert checks.invariants(c) == []
        other.close()


async def test_a_worker_that_stalls_amid_a_pull_is_replaced_and_keeps_nothing_more(tmp_path: Path) -> None:
    calm = world_of(tmp_path / "calm")
    async with calm.up():
        await calm.sync(MAIL)
        target = calm.digest()
    world = world_of(tmp_path / "hub")
    async with world.up():
        wire = Stalling("/batch", 2)
        asleep = world.another(transport=wire)
        task = asyncio.create_task(asleep.sync(MAIL))
        await wire.is_held.wait()
        awake = world.another(later(world))
        assert (await awake.sync(MAIL)).status == "healthy"
        assert world.digest() == target
        wire.go.set()
        result = await task
        assert (result.status, result.exit_code) == ("degraded", 3)
        assert "taken over" in result.detail
        assert world.digest() == target
        with awake.store.read() as c:
            assert checks.invariants(c) == []
            assert health(awake) == "healthy"
        await wire.really_close()
        asleep.close()
        awake.close()


@pytest.mark.parametrize("has_upsert", [True, False], ids=["upsert", "create"])
async def test_a_worker_that_stalls_amid_an_apply_is_replaced_and_writes_nothing_twice(
    tmp_path: Path, has_upsert: bool
) -> None:
    world = world_of(tmp_path)
    async with world.up():
        world.hubspot.control("flags", {"engagement_upsert": has_upsert})
        await world.sync_all()
        plan = push.plan(world.engine)
        push.approve(world.engine, plan.id, "a test")
        wire = Stalling(f"/emails/batch/{'upsert' if has_upsert else 'create'}", 1)
        asleep, awake = world.another(transport=wire), world.another(later(world))
        task = asyncio.create_task(push.apply(asleep, plan.id))
        await wire.is_held.wait()
        applied = await push.apply(awake, plan.id)
        assert (applied.status, applied.exit_code) == ("healthy", 0)
        state = world.digest()
        wire.go.set()
        late = await task
        assert (late.status, late.exit_code) == ("degraded", 1)
        assert "taken over" in late.detail
        assert world.digest() == state
        assert world.hubspot.state()["duplicates"] == {}
        assert world.hubspot.state()["objects"]["emails"] == plan.counts["interaction"]["create"]
        assert push.plan(world.engine).changes == 0
        await wire.really_close()
        asleep.close()
        awake.close()


def later(world: World) -> TickingClock:
    """The time of a second worker, when the first one's lease has run out."""
    clock = TickingClock(world.clock.now())
    clock.advance(minutes=5)
    return clock


def health(engine: Engine) -> str:
    with engine.store.read() as c:
        status: str = reports.health(c, [MAIL], engine.clock.now())["status"]
    return status
