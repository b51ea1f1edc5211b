"""kill -9 between what is kept and the call, and between the call and its receipt: the CRM merges once, all the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hub import outbox
from tests.e2e.clocks import HurryingClock
from tests.e2e.world import World
from tests.faults.killing import Point, survive
from tests.faults.nursery import Nursery

CONTACTS = "/crm/v3/objects/contacts"
POINTS = (
    Point(("hubspot", "done", "GET", f"{CONTACTS}/*")),  # what they were is kept; the call has not left
    Point(("hubspot", "done", "POST", f"{CONTACTS}/merge")),  # merged there, the answer never read
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HUB_CONNECTIONS__HUBSPOT__MERGE_DUPLICATES", "true")
    made = World(tmp_path, [], ["ourco.example"], clock=HurryingClock(), crm_streams=("contacts",))
    name = {"firstname": "Ana", "lastname": "Kestrel"}
    people = [{"properties": {"email": f"ana{n}@kestrel.example", **name}} for n in range(2)]
    made.hubspot.seed({"contacts": people})
    return made


def test_merged_once_whenever_the_process_is_killed(world: World) -> None:
    kept: list[tuple[bool, str]] = []
    with world.served(), Nursery("tests.faults.merge_driver") as nursery:
        watch_snapshot(world, lambda has, state: kept.append((has, state)))
        found, watch = survive(world, POINTS, nursery=nursery)
    assert ([str(p) for p in watch.points], len(found.killed), found.starts) == ([], len(POINTS), len(POINTS) + 1)
    assert found.wrong == []
    assert watch.seen["hubspot", "asked", "POST", f"{CONTACTS}/merge"] == 1
    assert kept == [(True, "sent")]
    assert world.hubspot.state()["absorbed"] == {"contacts": 1}
    engine = world.another()
    with engine.store.read() as c:
        [one] = outbox.snapshots(c, 1)
    engine.close()
    assert one["absorbs"]["record"]["object"]["properties"]["email"] == "ana1@kestrel.example"


def watch_snapshot(world: World, told: Callable[[bool, str], None]) -> None:
    """Tell, at the moment the call arrives, whether the snapshot is stored and how the change stands."""

    def hook(vendor: str, when: str, method: str, path: str) -> None:
        if (when, path) == ("asked", f"{CONTACTS}/merge"):
            engine = world.another()
            with engine.store.read() as c:
                [pair] = outbox.pairs(c, 1)
            engine.close()
            told(pair["has_snapshot"], pair["state"])

    world.hooks.append(hook)
