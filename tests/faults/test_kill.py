"""kill -9 where it hurts most; the next start goes on, and the end is that of a run nobody disturbed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import company
from tests.e2e.clocks import HurryingClock
from tests.e2e.world import World
from tests.faults.killing import Point, survive
from tests.faults.nursery import Nursery

BATCH = "/batch/gmail/v1"
UPSERT = "/crm/v3/objects/{}/batch/upsert"
POINTS = (
    Point(("gmail", "answered", "POST", BATCH), 2, later_s=0.02),  # while a page is being stored
    Point(("hubspot", "answered", "POST", UPSERT.format("contacts")), 1, later_s=0.003),  # while the answer is noted
    Point(("hubspot", "done", "POST", UPSERT.format("emails")), 1),  # written there, the answer never read
)
STREAMS = ("owners", "contacts", "companies", "emails")


@pytest.fixture(scope="module")
def world_of() -> Callable[[Path], World]:
    made = company.built()

    def build(folder: Path) -> World:
        return company.world(folder, made, [made.mailboxes[0]], newest=60, clock=HurryingClock(), crm_streams=STREAMS)

    return build


def test_killed_anywhere_the_next_start_reaches_the_same_end(world_of: Callable[[Path], World], tmp_path: Path) -> None:
    calm, killed = world_of(tmp_path / "calm"), world_of(tmp_path / "killed")
    with Nursery() as nursery:
        with calm.served():
            target, _ = survive(calm, (), nursery=nursery)
        with killed.served():
            found, watch = survive(killed, POINTS, nursery=nursery)
    assert target.starts == 1
    assert target.wrong == []
    assert [str(p) for p in watch.points] == []
    assert len(found.killed) == len(POINTS)
    assert found.state == target.state
    assert found.wrong == []
    before, after = calm.hubspot.state(), killed.hubspot.state()
    assert after["duplicates"] == {}
    assert after["objects"] == before["objects"]
    assert after["associations"] == before["associations"]
