"""What is done about notices: named records fetched, streams pulled, the rest left to polling."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from acorn import Killed, Vendor
from ringing import Bell, Ringing, served, stored
from world import US, World, crash_in_commit, mail

from hub import inbox
from hub.api import Manifest, Notice, RateLimited, RawRecord, Transient
from hub.engine import doorbell
from hub.inbox.notices import FIRST_WAIT, KEEP, TRIES
from hub.plugins import Registry
from hub.store import Store, acquire, release
from hub.store import tables as t

STREAMS = ("mail", "parties", "letters")


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def bell(store: Store, vendor: Vendor) -> Bell:
    """A mailbox of five messages, read to the end."""
    for n in range(5):
        vendor.mail(mail(f"m{n}"))
    bell = Bell(store, {"box": vendor})
    bell.world.sync(census=False)
    return bell


def rang(bell: Bell, *ids: str, stream: str = "mail", name: str = "box") -> None:
    """As if the inbox had taken a call."""
    now = bell.world.clock.now()
    with bell.world.store.write() as c:
        inbox.keep(c, inbox.rows_of(name, [Notice(stream, x) for x in ids], STREAMS, now))


def answer(bell: Bell) -> list[Any]:
    results = asyncio.run(doorbell.answer_all(bell.engine))
    for result in results:
        assert all(s.books.is_balanced for s in result.streams)
    bell.world.check()
    return results


def due(bell: Bell) -> list[tuple[str, str]]:
    return [(stream, x) for _, stream, x, is_done in stored(bell.world.store) if not is_done]


def subjects(bell: Bell) -> set[str]:
    return {entry["subject"] for entry in bell.world.timeline().values()}


def polled(bell: Bell, store: Callable[[], Store]) -> dict[str, Any]:
    """The timeline of a hub that never heard a bell."""
    world = World(store(), bell.world.vendors)
    world.sync()
    return world.timeline()


def test_named_records_are_fetched_and_no_others(bell: Bell, vendor: Vendor) -> None:
    vendor.mail(mail("m1", subject="Changed"))
    vendor.mail(mail("m9", subject="Brand new"))
    vendor.mail(mail("m2", subject="Changed, and nobody rang"))
    pages = vendor.requests
    rang(bell, "m1", "m9", "m1")
    (result,) = answer(bell)
    assert (vendor.fetches, vendor.requests) == (["m1", "m9"], pages)
    assert {"Changed", "Brand new", "About m2"} < subjects(bell)
    assert (result.status, result.exit_code, due(bell)) == ("healthy", 0, [])
    assert result.lines == ["box/mail: healthy: 2 seen = 1 updated + 1 new"]
    assert answer(bell) == [], "nothing is looked at twice"
    assert vendor.fetches == ["m1", "m9"]


def test_what_was_looked_at_is_quiet_when_polling_finds_it_again(bell: Bell, vendor: Vendor) -> None:
    vendor.mail(mail("m9"))
    rang(bell, "m9")
    answer(bell)
    counts = bell.world.sync(census=False).streams[0].books.counts
    assert (counts["new"], counts["updated"], counts["unchanged"]) == (0, 0, 1)


def test_a_record_that_is_no_longer_there_is_let_go(bell: Bell, vendor: Vendor) -> None:
    vendor.delete("mail", "m3")
    rang(bell, "m3", "never-seen")
    answer(bell)
    assert "About m3" not in subjects(bell)
    assert len(subjects(bell)) == 4
    assert due(bell) == []


def test_very_many_that_are_not_there_are_left_to_the_poll(store: Store, vendor: Vendor) -> None:
    for n in range(20):
        vendor.mail(mail(f"m{n:02}"))
    bell = Bell(store, {"box": vendor})
    bell.world.sync()
    ids = [f"m{n:02}" for n in range(10)]
    for x in ids:
        vendor.delete("mail", x)
    rang(bell, *ids)
    answer(bell)
    assert len(subjects(bell)) == 20
    assert due(bell) == []
    bell.world.sync()
    assert len(subjects(bell)) == 10


def test_a_stream_whose_deletions_cannot_be_known_keeps_what_is_not_given(bell: Bell, vendor: Vendor) -> None:
    class Vague(Ringing):
        streams = tuple(replace(s, deletes="undetectable") for s in Ringing.manifest.streams)
        manifest: ClassVar[Manifest] = replace(Ringing.manifest, streams=streams)

    bell.engine.registry = Registry(connectors={"acorn": Vague})
    vendor.delete("mail", "m3")
    rang(bell, "m3")
    answer(bell)
    assert len(subjects(bell)) == 5


def test_a_named_stream_is_pulled_from_its_cursor(bell: Bell, vendor: Vendor) -> None:
    vendor.mail(mail("m7"))
    vendor.delete("mail", "m0")
    rang(bell, "")
    (result,) = answer(bell)
    assert result.lines == ["box/mail: healthy: 2 seen = 1 new + 1 deleted"]
    assert {"About m7"} < subjects(bell)
    assert (vendor.fetches, due(bell)) == ([], [])


def test_a_tool_that_gives_no_single_records_is_pulled(bell: Bell, vendor: Vendor) -> None:
    vendor.can_fetch = False
    vendor.mail(mail("m7"))
    rang(bell, "m7")
    answer(bell)
    assert {"About m7"} < subjects(bell)
    assert due(bell) == []


def test_what_lies_before_the_window_stays_out_as_it_does_when_polling(store: Store, vendor: Vendor) -> None:
    vendor.mail(mail("now"))
    bell = Bell(store, {"box": vendor}, box={"since": "10 days"})
    bell.world.sync()
    vendor.mail(mail("old", minute=-60 * 24 * 30))
    vendor.mail(mail("now", minute=-60 * 24 * 30, subject="Moved out of sight"))
    vendor.put_raw("mail", "bad", reject="unreadable")
    rang(bell, "old", "now", "bad")
    (result,) = answer(bell)
    assert result.streams[0].books.counts["failed"] == 1
    seen = bell.world.timeline()
    bell.world.sync()
    assert seen == bell.world.timeline()
    assert subjects(bell) == {"About now"}


def test_before_the_first_reading_there_is_nothing_to_do(store: Store, vendor: Vendor) -> None:
    """The reading to come begins after whatever the notice was about."""
    vendor.mail(mail("m1"))
    bell = Bell(store, {"box": vendor})
    rang(bell, "m1", "")
    assert [r.streams for r in answer(bell)] == [[]]
    assert (due(bell), vendor.requests, vendor.fetches) == ([], 0, [])


def test_during_a_backfill_records_are_fetched_and_are_not_taken_for_missing_at_its_end(
    store: Store, vendor: Vendor
) -> None:
    for n in range(30):
        vendor.mail(mail(f"m{n:02}"))
    bell = Bell(store, {"box": vendor})
    vendor.trouble = [None, None, Killed("between pages")]
    with pytest.raises(Killed):
        bell.world.sync()
    bell.restart()
    for n in range(12):  # sorted before everything: the enumeration is past them already
        vendor.mail(mail(f"a{n:02}"))
    rang(bell, *[f"a{n:02}" for n in range(12)], "")
    answer(bell)
    assert len(subjects(bell)) == 6 + 12, "the stream is being read anyway"
    assert due(bell) == []
    fetched = len(vendor.fetches)
    result = bell.world.sync(census=False)
    assert (result.status, len(subjects(bell)), len(vendor.fetches)) == ("healthy", 42, fetched)


def test_streams_that_are_not_wanted_are_not_looked_at(store: Store, vendor: Vendor) -> None:
    vendor.mail(mail("m1"))
    bell = Bell(store, {"box": vendor}, box={"streams": ["mail"]})
    bell.world.sync()
    rang(bell, "p1", "", stream="parties")
    answer(bell)
    assert (due(bell), vendor.fetches) == ([], [])


def test_a_connection_being_synced_is_left_for_later(bell: Bell, vendor: Vendor) -> None:
    rang(bell, "m1")
    fence = acquire(bell.world.store, "connection:box", "another", bell.world.clock.now(), timedelta(minutes=1))
    assert fence is not None
    assert answer(bell) == []
    assert (due(bell), vendor.fetches) == ([("mail", "m1")], [])
    release(bell.world.store, "connection:box", fence)
    answer(bell)
    assert (due(bell), vendor.fetches) == ([], ["m1"])


def test_a_poll_that_has_come_due_goes_first_but_not_for_ever(bell: Bell, vendor: Vendor) -> None:
    rang(bell, "m1")
    next_at = bell.world.one(sa.select(t.connection.c.next_at))
    bell.world.clock.advance((next_at - int(bell.world.clock.now().timestamp() * 1e6)) / 1e6 + 1)
    assert answer(bell) == []
    assert due(bell) == [("mail", "m1")]
    bell.world.clock.advance(61)
    answer(bell)
    assert vendor.fetches == ["m1"]


def test_paused_and_forgotten_connections_are_let_go(bell: Bell, vendor: Vendor) -> None:
    rang(bell, "m1")
    rang(bell, "m1", name="gone")
    with bell.world.store.write() as c:
        c.execute(sa.update(t.connection).values(is_paused=True))
    assert answer(bell) == []
    assert (due(bell), vendor.fetches) == ([], [])
    assert bell.world.all(sa.select(t.connection.c.name)) == [("box",)]


class Failing(Ringing):
    """Its fetch raises what a test says."""

    trouble: ClassVar[list[Exception]] = []
    asked: ClassVar[list[list[str]]] = []

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        self.asked.append(list(external_ids))
        if self.trouble:
            raise self.trouble[0]
        return await super().fetch(stream, external_ids)


@pytest.fixture
def failing(bell: Bell, monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    monkeypatch.setattr(Failing, "trouble", [Transient("the vendor is away")])
    monkeypatch.setattr(Failing, "asked", [])
    bell.engine.registry = Registry(connectors={"acorn": Failing})
    return Failing


def test_a_failure_waits_longer_each_time_and_is_left_to_the_poll_in_the_end(
    bell: Bell, failing: type[Failing], caplog: pytest.LogCaptureFixture
) -> None:
    rang(bell, "m1")
    for n in range(TRIES):
        (result,) = answer(bell)
        assert (result.status, result.streams[0].detail) == ("degraded", "the vendor is away")
        if n + 1 < TRIES:
            rang(bell, f"x{n}")
            assert answer(bell) == [], "what comes in meanwhile waits with the rest"
            bell.world.clock.advance(FIRST_WAIT.total_seconds() * 2**n)
            bell.world.sync(census=False)
    assert [asked[0] for asked in failing.asked] == ["m1"] * TRIES
    assert due(bell) == []
    assert "left to the next poll" in caplog.text
    assert bell.world.all(sa.select(t.issue.c.cause)) == [], "the poll reports what it meets itself"


def test_a_limit_is_waited_out(bell: Bell, failing: type[Failing]) -> None:
    until = bell.world.clock.now() + timedelta(hours=2)
    failing.trouble[:] = [RateLimited("slow down", until=until)]
    rang(bell, "m1")
    assert answer(bell)[0].status == "waiting-until"
    for _ in range(3):
        bell.world.clock.advance(1800)
        answer(bell)
    assert len(failing.asked) == 1
    failing.trouble.clear()
    bell.world.clock.advance(1801)
    answer(bell)
    assert (len(failing.asked), due(bell)) == (2, [])


def test_a_connectors_bug_costs_one_stream_its_early_look(
    bell: Bell, failing: type[Failing], vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    failing.trouble[:] = [ZeroDivisionError("a bug")]
    rang(bell, "m1")
    (result,) = answer(bell)
    assert result.streams[0].detail == "ZeroDivisionError in the connector: a bug"
    assert "a bug in the connector" in caplog.text
    assert bell.world.sync(census=False).status == "healthy"


def test_a_pull_that_fails_is_tried_again(bell: Bell, vendor: Vendor) -> None:
    rang(bell, "")
    vendor.mail(mail("m8"))
    vendor.trouble = [Transient("away")]
    assert answer(bell)[0].status == "degraded"
    assert due(bell) == [("mail", "")]
    bell.world.clock.advance(11)
    assert answer(bell)[0].status == "healthy"
    assert due(bell) == []
    assert {"About m8"} < subjects(bell)


@pytest.mark.parametrize("nth", range(1, 9))
def test_killed_anywhere_it_is_done_again(bell: Bell, vendor: Vendor, emptied: Callable[[], Store], nth: int) -> None:
    vendor.mail(mail("m1", subject="Changed"))
    vendor.mail(mail("m9"))
    vendor.delete("mail", "m2")
    rang(bell, "m1", "m2", "m9", "m9")
    with crash_in_commit(bell.world.store, nth):
        try:
            asyncio.run(doorbell.answer_all(bell.engine))
        except Killed:
            pass
    bell.restart()
    bell.world.check()
    answer(bell)
    assert due(bell) == []
    seen = bell.world.timeline()
    assert seen == polled(bell, emptied)


def test_what_a_bell_brought_goes_on_to_the_system_of_record(store: Store) -> None:
    vendors = {"box": Vendor(), "crm": Vendor()}
    vendors["box"].mail(mail("m1"))
    bell = Bell(store, vendors, sor="crm", system_of_record={"approve": "auto"})
    bell.world.sync("box")
    assert len(vendors["crm"].held("interaction")) == 1
    vendors["box"].mail(mail("m2"))
    rang(bell, "m2")
    (result,) = answer(bell)
    assert len(vendors["crm"].held("interaction")) == 2
    assert any("created" in said for said in result.lines)
    pushes = vendors["crm"].pushes
    rang(bell, "m2")
    answer(bell)
    assert vendors["crm"].pushes == pushes, "what is known already causes nothing"


def test_old_notices_are_forgotten_done_or_not(bell: Bell) -> None:
    rang(bell, "m1")
    answer(bell)
    rang(bell, "m2")
    bell.world.clock.advance(KEEP.total_seconds() - 60)
    rang(bell, "m3")
    for seconds, left in ((0, 3), (120, 1), (KEEP.total_seconds(), 0)):
        bell.world.clock.advance(seconds)
        with bell.world.store.write() as c:
            inbox.prune(c, bell.world.clock.now())
        assert len(stored(bell.world.store)) == left


@pytest.mark.anyio
async def test_attending_from_the_ring_to_the_timeline(
    bell: Bell, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way: a call over HTTP, the bell, the look; trouble with the database does not end it."""
    caplog.set_level(logging.ERROR)
    rings, loop = asyncio.Event(), asyncio.get_running_loop()
    looked = asyncio.Event()
    answered = doorbell.answer

    async def watched(engine: Any, name: str) -> Any:
        result = await answered(engine, name)
        looked.set()
        return result

    monkeypatch.setattr(doorbell, "answer", watched)
    real, times = doorbell._rung, [0]

    def sometimes(engine: Any) -> list[str]:
        times[0] += 1
        if times[0] == 1:
            raise sa.exc.OperationalError("select", {}, Exception("away"))
        return real(engine)

    monkeypatch.setattr(doorbell, "_rung", sometimes)
    attending = asyncio.create_task(doorbell.attend(bell.engine, rings, every_s=0.02, settle_s=0))
    vendor.mail(mail("m9", sender=f"kim@{US}", to=["ana@kestrel.example"]))
    with served(bell.app(ring=lambda: loop.call_soon_threadsafe(rings.set))) as url:
        assert await asyncio.to_thread(bell.ring, url, "box", ("mail", "m9", "e1")) == 200
        await asyncio.wait_for(looked.wait(), 20)
    attending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attending
    assert {"About m9"} < subjects(bell)
    assert "could not be answered" in caplog.text
