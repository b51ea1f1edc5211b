"""Two workers on one connection: one works, the other says so; a stalled one that wakes up late writes nothing."""

import asyncio
import threading
from pathlib import Path

import pytest

from hub.engine import push
from tests.e2e import checks
from tests.e2e.world import TickingClock, World, letters

pytestmark = pytest.mark.anyio
MAIL = "mail_sam"


class Gate:
    """Holds the nth request to a vendor back until it is let go, as a stalled process would leave it."""

    def __init__(self, path: str, nth: int) -> None:
        self.path, self.left = path, nth
        self.is_held = threading.Event()
        self.go = threading.Event()

    def __call__(self, vendor: str, when: str, method: str, path: str) -> None:
        if when == "asked" and self.path in path and not self.is_held.is_set():
            self.left -= 1
            if not self.left:
                self.is_held.set()


def world_of(folder: Path) -> World:
    world = World(folder, ["sam@ourco.example"], ["ourco.example"], crm_streams=("contacts", "companies", "emails"))
    world.deliver(letters(130))
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


async def test_a_worker_that_stalls_amid_a_pull_is_replaced_and_writes_nothing_more(tmp_path: Path) -> None:
    calm = world_of(tmp_path / "calm")
    async with calm.up():
        await calm.sync(MAIL)
        target = calm.digest()
    world = world_of(tmp_path / "hub")
    async with world.up():
        stalled = asyncio.create_task(world.sync(MAIL))
        world.gmail.lock.acquire()  # no answer comes any more, at any place
        try:
            await asyncio.sleep(0.05)
        finally:
            world.gmail.lock.release()
        late = TickingClock(world.clock.now())
        late.advance(minutes=5)
        other = world.another(late)
        taken = await other.sync(MAIL)
        first = await stalled
        assert {first.status, taken.status} <= {"healthy", "degraded", "catching-up"}
        assert world.digest() == target
        other.close()
