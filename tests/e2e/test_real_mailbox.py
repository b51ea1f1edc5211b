"""The first part of the real support mailbox, end to end; `python -m benchmarks.evidence.mailbox` does the whole."""

from pathlib import Path

import pytest

from benchmarks.evidence import mailbox, sources
from tests.e2e import checks, real

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_data,
    pytest.mark.skipif(real.paths() is None, reason="the real data sets are not beside this checkout"),
]
MESSAGES = 150


async def test_the_facts_come_out_and_the_crm_holds_each_engagement_once(tmp_path: Path) -> None:
    target = real.facts_of(sources.first_of(real.mail_set(), tmp_path / "set.tar.gz", MESSAGES))
    world = real.world(tmp_path / "hub")
    assert real.fill(world, MESSAGES) == MESSAGES
    mail = next(iter(world.mailboxes))
    async with world.up():
        await world.sync("hubspot")
        result = await world.sync(mail)
        assert (result.status, result.exit_code) == ("healthy", 0)
        own = world.engine.own()
        with world.engine.store.read() as c:
            figures = checks.facts(c, own, target, mail)
            before, wrong = checks.timeline(c), checks.invariants(c)
        figures += await mailbox.pushed(world, MESSAGES)
        figures += await mailbox.again(world, mail, before)
    assert wrong == []
    assert [f for f in figures if not f.is_right] == []


async def test_a_mail_file_and_the_account_are_one_timeline(tmp_path: Path) -> None:
    figures = await sources.compared(tmp_path, 60)
    assert [f for f in figures if not f.is_right] == []
