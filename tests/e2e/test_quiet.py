"""A hub that has settled stays quiet; `python -m benchmarks.evidence.quiet` does a hundred cycles."""

from pathlib import Path

import pytest

from tests.e2e import company, quiet
from tests.e2e.world import World

pytestmark = pytest.mark.anyio


async def test_cycles_without_edits_write_nothing(tmp_path: Path) -> None:
    made = company.built()
    found = await quiet.cycles(
        tmp_path, 6, mailboxes=[made.mailboxes[0]], newest=40, crm_streams=("contacts", "companies", "emails")
    )
    assert found.rounds == 2
    assert (found.writes, found.changes, found.not_well, len(found.states)) == (0, 0, 0, 1)


async def test_a_day_of_idle_syncs_stays_within_the_budget(tmp_path: Path) -> None:
    """What a sync reserves of the vendor's daily limit and does not use must be there for the next one."""
    world = World(tmp_path, [], ["ourco.example"], crm_streams=("companies",))
    async with world.up():
        statuses = []
        for _ in range(26):
            world.clock.advance(minutes=5)  # type: ignore[attr-defined]
            statuses.append((await world.sync("hubspot", census=False)).status)
    assert statuses == ["healthy"] * 26
