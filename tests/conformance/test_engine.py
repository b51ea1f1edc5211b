"""The clauses through the real engine, for the bundled connectors and the worked example."""

import importlib
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from through_engine import RIGS, Hub

from hub import settings as config
from hub.engine import push
from hub.plugins import load
from hub.store import tables as t
from hub.testing import Rig
from hub.testing.suite_privacy import CANARY, DOMAIN

pytestmark = pytest.mark.anyio
Make = Callable[..., Hub]

SOURCES = ["gmail", "hubspot-contacts", "mailfile", "bulletin-messages"]
ACCOUNTS = ["gmail", "hubspot-contacts", "bulletin-messages"]  # for what concerns all of an account's streams at once


# Settled after two; the evidence scripts run a hundred.
CYCLES = 8


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where the machine has a folder there: it is the commits that take the time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as made:
        yield Path(made)


@pytest.fixture
async def make(folder: Path) -> AsyncIterator[Make]:
    made: list[Hub] = []

    def build(name: str, **sections: Any) -> Hub:
        made.append(Hub(name, folder, **sections))
        return made[-1]

    yield build
    for one in made:
        await one.close()


def advanced(hub: Hub, seconds: float = 0) -> None:
    hub.clock.advance(seconds or hub.rig.interval_s)


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_w1_a_missing_permission_costs_its_stream_only(make: Make, name: str) -> None:
    hub = make(name)
    hub.rig.populate(3)
    assert (await hub.sync()).status == "healthy"
    scope = hub.rig.deny_scope()
    manifest = hub.engine.connector("it").manifest
    others = [s.name for s in manifest.streams if scope not in s.needs and s.name != hub.rig.stream][:1]
    advanced(hub)
    result = await hub.sync(hub.rig.stream, *others)
    assert [r.status for r in result.streams] == ["degraded", *("healthy" for _ in others)]
    assert result.exit_code == 3
    assert [cause for cause, _ in hub.open_issues()] == ["permission"]
    assert hub.live() == hub.rig.existing()
    hub.rig.restore()
    assert (await hub.sync()).status == "healthy"
    assert hub.open_issues() == []


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("name", SOURCES)
async def test_w2_a_backfill_killed_at_every_page_ends_complete(
    make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = make(name)
    hub.rig.populate(hub.rig.many)
    pull = importlib.import_module("hub.engine.pull")
    take = pull.take
    deaths = 0

    def dying(*args: Any) -> Any:
        """Before the page is stored, then after the next one is, and so on."""
        nonlocal deaths
        deaths += 1
        if deaths % 2:
            raise Killed
        take(*args)
        raise Killed

    monkeypatch.setattr(pull, "take", dying)
    for _ in range(30):
        try:
            await hub.sync()
        except Killed:
            hub.restart()
            if deaths > 5:
                break
    monkeypatch.setattr(pull, "take", take)
    hub.rig.add()
    advanced(hub)
    result = await hub.sync()
    advanced(hub)
    result = await hub.sync()
    assert result.status == "healthy"
    assert hub.live() == hub.rig.existing()


@pytest.mark.parametrize("name", SOURCES)
async def test_w3_equal_late_and_changed_rows_are_neither_lost_nor_doubled(make: Make, name: str) -> None:
    hub = make(name)
    ids = hub.rig.populate(20)
    for _ in range(3):
        await hub.sync()
        hub.rig.add()
    hub.rig.add_late()
    hub.rig.change(ids[4])
    advanced(hub)
    result = await hub.sync()
    assert hub.live() == hub.rig.existing()
    assert result.streams[0].books.is_balanced
    advanced(hub)
    result = await hub.sync(census=True)
    assert (result.status, result.exit_code) == ("healthy", 0)
    counts = result.streams[0].books.counts
    assert not counts["new"] + counts["updated"] + counts["deleted"], "nothing changed any more"


@pytest.mark.parametrize("name", RIGS)
async def test_w4_deletions_arrive_and_vanished_records_are_held(make: Make, name: str) -> None:
    hub = make(name)
    ids = hub.rig.populate(40)
    await hub.sync()
    advanced(hub)
    hub.rig.delete(ids[3])
    advanced(hub, max(hub.rig.sweep_s, 90_000))
    result = await hub.sync(census=True)
    assert hub.live() == hub.rig.existing()
    held = hub.live()
    hub.rig.vanish(set(sorted(held)[:13]))
    advanced(hub, 90_000)
    result = await hub.sync(census=True)
    assert hub.live() == held, "nothing is removed before somebody says so"
    assert (result.status, result.exit_code) == ("degraded", 5)
    (hold_id,) = (row[0] for row in hub.rows(sa.select(t.hold.c.id).where(t.hold.c.resolved_at.is_(None))))
    hub.rig.restore()
    await hub.engine.release_hold(hold_id, False)
    advanced(hub, 90_000)
    result = await hub.sync(census=True)
    assert (result.status, hub.live()) == ("healthy", hub.rig.existing())


@pytest.mark.parametrize("name", ["hubspot-contacts", "bulletin-people"])
async def test_w5_merged_records_are_one_party_with_both_histories(make: Make, name: str) -> None:
    hub = make(name)
    ids = hub.rig.populate(8)
    await hub.sync()
    parties = len(hub.rows(sa.select(t.party.c.id).where(t.party.c.kind == "person")))
    emails = sa.select(t.identifier.c.value, t.identifier.c.party_id).where(t.identifier.c.scheme == "email")
    before = dict(hub.rows(emails))
    advanced(hub)
    hub.rig.merge(ids[2], ids[5])
    advanced(hub, hub.rig.sweep_s)
    result = await hub.sync()
    assert result.status == "healthy"
    assert hub.live() == hub.rig.existing()
    after = dict(hub.rows(emails))
    assert set(after) == set(before), "no address is lost"
    assert len(set(after.values())) == len(set(before.values())) - 1, "two became one"
    observed = hub.rows(sa.select(t.observation.c.party_id).distinct())
    assert len(observed) <= parties


@pytest.mark.parametrize("name", SOURCES)
async def test_w9_the_census_names_what_the_feed_hides(make: Make, name: str) -> None:
    hub = make(name)
    hub.rig.populate(20)
    await hub.sync()
    advanced(hub)
    hidden = set(hub.rig.add_hidden(3))
    advanced(hub)
    await hub.sync()
    assert not hub.live() & hidden
    result = await hub.sync(census=True)
    assert result.exit_code == 5
    (missing,) = hub.rows(sa.select(t.census.c.missing).order_by(t.census.c.id.desc()).limit(1))
    assert all(external_id in missing[0] for external_id in hidden)
    assert ("census gap", 1) in hub.open_issues()
    assert hub.live() == hub.rig.existing()


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_w10_a_spent_day_waits_and_says_until_when(make: Make, name: str) -> None:
    hub = make(name)
    hub.rig.populate(5)
    await hub.engine.check("it")
    hub.rig.spend_day()
    result = await hub.sync()
    assert (result.status, result.exit_code) == ("waiting-until", 3)
    (until,) = hub.rows(sa.select(t.stream.c.waiting_until).where(t.stream.c.name == hub.rig.stream))
    now = hub.clock.now().timestamp()
    assert 0 < until[0] / 1e6 - now <= 26 * 3600
    emulator = hub.rig.emulator
    assert emulator is not None
    emulator.requests.clear()
    assert (await hub.sync()).status == "waiting-until"
    assert emulator.requests == []
    hub.rig.restore()
    advanced(hub, until[0] / 1e6 - now + 1)
    assert (await hub.sync()).status == "healthy"
    assert hub.live() == hub.rig.existing()


@pytest.mark.parametrize("name", SOURCES)
async def test_w11_one_of_a_hundred_is_set_aside_with_the_reason(make: Make, name: str) -> None:
    hub = make(name)
    ids = hub.rig.populate(100)
    bad = hub.rig.poison(ids[41]) or ids[41]
    result = await hub.sync()
    counts = result.streams[0].books.counts
    assert (counts["new"], counts["failed"]) == (99, 1)
    assert (result.status, result.exit_code) == ("healthy", 3)
    joined = sa.select(t.record.c.external_id, t.quarantine.c.reason).join(t.record)
    ((external_id, reason),) = hub.rows(joined)
    assert external_id == bad
    assert reason


@pytest.mark.parametrize("name", RIGS)
async def test_w12_private_records_are_found_nowhere(make: Make, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hub = make(name, capture=config.Capture(block_domains=(DOMAIN,)))
    hub.rig.populate(5)
    hidden = set(hub.rig.private(CANARY, DOMAIN))
    result = await hub.sync(census=True)
    counts = result.streams[0].books.counts
    assert counts["private"] + counts["excluded"] == len(hidden)
    assert counts["new"] == 5
    stored = hub.everything_stored()
    assert CANARY.encode() not in stored
    assert DOMAIN.encode() not in stored
    assert CANARY not in caplog.text
    assert CANARY not in repr(result.to_dict())


@pytest.mark.parametrize("name", SOURCES)
async def test_w12_what_no_rule_could_judge_stays_in_quarantine(
    make: Make, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its raw form is kept, as the admin's guide says, and nothing of it is told anywhere else."""
    caplog.set_level(logging.DEBUG)
    hub = make(name, capture=config.Capture(block_domains=(DOMAIN,)))
    hub.rig.populate(5)
    hidden = [hub.rig.poison(i) or i for i in hub.rig.private(CANARY, DOMAIN)]
    result = await hub.sync()
    held = [row[0] for row in hub.rows(sa.select(t.record.c.external_id).join(t.quarantine))]
    assert sorted(held) == sorted(hidden)
    told = [*hub.rows(sa.select(t.quarantine.c.reason)), *hub.rows(sa.select(t.issue.c.detail)), *result.lines]
    told += hub.rows(sa.select(t.interaction.c.subject, t.interaction.c.snippet))
    told += [*hub.rows(sa.select(t.party.c.name)), *hub.rows(sa.select(t.statement.c.value))]
    assert CANARY not in repr(told)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("name", SOURCES)
async def test_w12_with_keep_failed_off_not_even_quarantine_holds_it(make: Make, name: str) -> None:
    hub = make(name, capture=config.Capture(block_domains=(DOMAIN,), keep_failed=False))
    hub.rig.populate(5)
    for external_id in hub.rig.private(CANARY, DOMAIN):
        hub.rig.poison(external_id)
    await hub.sync()
    assert CANARY.encode() not in hub.everything_stored()


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_w13_one_issue_per_cause_however_often_it_strikes(make: Make, name: str) -> None:
    hub = make(name)
    hub.rig.populate(3)
    await hub.sync()
    hub.rig.revoke()
    emulator = hub.rig.emulator
    assert emulator is not None
    for times in (1, 2, 3):
        advanced(hub)
        emulator.requests.clear()
        result = await hub.sync()
        assert (result.status, result.exit_code) == ("needs-reconnect", 4)
        assert len(emulator.requests) <= 4
        assert hub.open_issues() == [("sign-in", times)]
    assert hub.live() == hub.rig.existing()


# Writing: mail in, the CRM as the system of record


def two_way(make: Make) -> tuple[Hub, Rig]:
    hub = make("gmail", system_of_record=config.SystemOfRecord(connection="crm", brake_percent=100))
    return hub, hub.add("crm", "hubspot-emails")


async def applied(hub: Hub) -> push.PushResult:
    plan = push.plan(hub.engine)
    push.approve(hub.engine, plan.id, "a person")
    return await push.apply(hub.engine, plan.id)


async def test_w6_n_interactions_are_exactly_n_though_answers_get_lost(make: Make) -> None:
    hub, crm = two_way(make)
    hub.rig.populate(12)
    await hub.sync()
    await hub.engine.check("crm")
    assert crm.emulator is not None
    crm.emulator.faults.add("drop_answer", method="POST", every=3)
    result = await applied(hub)
    assert result.applied.is_complete
    assert not result.applied.failures
    crm.restore()
    shown = crm.emulator.state()
    assert shown["objects"]["emails"] == 12
    assert shown["duplicates"] == {}
    assert set(crm.written().values()) == {1}


async def test_w6_killed_between_the_write_and_the_note_of_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = importlib.import_module("hub.outbox.apply")
    hub, crm = two_way(make)
    hub.rig.populate(6)
    await hub.sync()
    await hub.engine.check("crm")
    record = outbox._record

    def die(*args: Any) -> None:
        raise Killed

    plan = push.plan(hub.engine)
    push.approve(hub.engine, plan.id, "a person")
    for _ in range(3):
        monkeypatch.setattr(outbox, "_record", die)
        with pytest.raises(Killed):
            await push.apply(hub.engine, plan.id)
        hub.restart()
    monkeypatch.setattr(outbox, "_record", record)
    result = await push.apply(hub.engine, plan.id)
    assert result.applied.is_complete
    assert crm.emulator is not None
    assert crm.emulator.state()["objects"]["emails"] == 6
    assert set(crm.written().values()) == {1}


async def test_w7_cycles_of_pull_and_push_are_quiet(make: Make) -> None:
    hub, crm = two_way(make)
    hub.rig.populate(4)
    await hub.sync()
    await hub.sync(of="crm")
    await applied(hub)
    for _ in range(2):
        advanced(hub)
        await hub.sync()
        await hub.sync(of="crm")
    state = crm.remote_state()
    for cycle in range(CYCLES):
        advanced(hub)
        mail = await hub.sync()
        back = await hub.sync(of="crm")
        for result in (mail, back):
            assert result.status == "healthy", (cycle, result.lines)
            for stream in result.streams:
                counts = stream.books.counts
                assert not counts["new"] + counts["updated"] + counts["deleted"], (cycle, result.lines)
        assert push.plan(hub.engine).changes == 0, cycle
    assert crm.remote_state() == state


async def test_w12_nothing_private_reaches_the_system_of_record(make: Make) -> None:
    hub, crm = two_way(make)
    hub.sections["capture"] = config.Capture(block_domains=(DOMAIN,))
    hub.rig.populate(3)
    hub.rig.private(CANARY, DOMAIN)
    await hub.sync()
    await hub.engine.check("crm")
    await applied(hub)
    written = repr(crm.remote_state())
    assert CANARY not in written
    assert DOMAIN not in written
    assert "Matter 1" in written


def test_the_stand_knows_every_bundled_connector() -> None:
    assert {name.partition("-")[0] for name in RIGS} == {*load().connectors, "bulletin"}
