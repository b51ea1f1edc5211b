"""A hub that has settled stays quiet; `python -m benchmarks.evidence.quiet` does a hundred cycles."""

from pathlib import Path

import pytest

from tests.e2e import company, quiet

pytestmark = pytest.mark.anyio


async def test_cycles_without_edits_write_nothing(tmp_path: Path) -> None:
    made = company.built()
    found = await quiet.cycles(
        tmp_path, 10, mailboxes=[made.mailboxes[0]], newest=40, crm_streams=("contacts", "companies", "emails")
    )
    assert found.rounds == 2
    assert (found.writes, found.changes, found.not_well, len(found.states)) == (0, 0, 0, 1)
