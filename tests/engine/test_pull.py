"""Pulling with a made-up vendor: to the end, on from any page, through expiry, holds, trouble and bad records."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Killed, Vendor
from databases import on_sqlite
from world import START, US, World, crash_in_commit, mail, who

from hub import status as st
from hub.api import (
    Attachment,
    AuthError,
    ConfigError,
    Consent,
    ContractBroken,
    Gap,
    Identifier,
    Participation,
    Person,
    RateLimited,
    RawRecord,
    ScopeError,
    Task,
    Transient,
)
from hub.landing import open_holds
from hub.store import LeaseLost, Store, acquire, instant, micros
from hub.store import tables as t


def filled(n: int = 7, **more: Any) -> Vendor:
    vendor = Vendor(**more)
    for i in range(n):
        vendor.mail(mail(f"m{i:02}", minute=i))
    return vendor


def stream(world: World, name: str = "mail") -> dict[str, Any]:
    with world.store.read() as c:
        query = sa.select(t.stream).join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        return dict(c.execute(query.where(t.connection.c.name == "a", t.stream.c.name == name)).mappings().one())


def causes(world: World) -> set[str]:
    return {cause for (cause,) in world.all(sa.select(t.issue.c.cause).where(t.issue.c.closed_at.is_(None)))}


def dispositions(world: World) -> dict[str, str]:
    return dict(world.all(sa.select(t.record.c.external_id, t.record.c.disposition)))


# --- the plain way ------------------------------------------------------------------------------------------------


@on_sqlite
def test_everything_arrives_and_the_next_run_has_nothing_to_do(store: Store) -> None:
    vendor = filled()
    world = World(store, {"a": vendor})
    first = world.sync(streams=["mail", "parties"])
    assert (first.status, first.exit_code) == (st.HEALTHY, st.OK)
    assert first.streams[0].books.counts == {"new": 7}
    assert len(world.timeline()) == 7
    before, vendor.requests = world.timeline(), 0
    second = world.sync(census=False, streams=["mail", "parties"])
    assert second.streams[0].books.seen == 0
    assert vendor.requests == 2  # one per stream
    assert world.timeline() == before
    world.check()


@on_sqlite
def test_new_changed_and_deleted_mail_follows(store: Store) -> None:
    vendor = filled(3)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.mail(mail("m03", minute=9))
    vendor.mail(mail("m00", text="Edited"))
    vendor.delete("mail", "m01")
    result = world.sync()
    assert result.streams[0].books.counts == {"new": 1, "updated": 1, "deleted": 1}
    assert sorted(e["text"] for e in world.timeline().values()) == ["Edited", "Text of m02", "Text of m03"]
    world.check()


def test_run_rows_hold_the_books(store: Store) -> None:
    world = World(store, {"a": filled(4)})
    world.sync()
    [(seen, status, books, ended)] = world.all(
        sa.select(t.run.c.seen, t.run.c.status, t.run.c.books, t.run.c.ended_at.is_not(None)).where(t.run.c.seen > 0)
    )
    assert (seen, status, ended) == (4, "healthy", True)
    assert json.loads(books)["new"] == 4


def test_only_mail_of_the_wanted_window_is_read_and_an_earlier_start_reads_more(store: Store) -> None:
    vendor = filled(2)
    vendor.mail(mail("old", minute=-60 * 24 * 300))
    vendor.mail(mail("older", minute=-60 * 24 * 800))
    world = World(store, {"a": vendor}, a={"since": (START - timedelta(days=100)).date().isoformat()})
    world.sync()
    assert sorted(dispositions(world)) == ["m00", "m01"]
    world = world.restart(a={"since": (START - timedelta(days=400)).date().isoformat()})
    world.sync()
    assert sorted(dispositions(world)) == ["m00", "m01", "old"]
    world = world.restart()
    world.sync()
    assert len(world.timeline()) == 4
    world.check()


def test_each_page_commits_its_cursor_with_its_records(store: Store) -> None:
    vendor = filled(7)
    world = World(store, {"a": vendor})
    vendor.trouble = [None, Killed("between pages")]
    with pytest.raises(Killed):
        world.sync()
    assert len(dispositions(world)) == 3
    assert json.loads(stream(world)["cursor"])["after"] == "m02"
    world = world.restart()
    assert world.sync().streams[0].books.seen == 4
    assert len(world.timeline()) == 7
    world.check()


def test_a_crash_in_any_commit_changes_nothing_in_the_end(emptied: Callable[[], Store], store: Store) -> None:
    for nth in range(1, 16) if store.is_sqlite else (2, 6, 11):
        vendor = filled(5)
        world = World(emptied(), {"a": vendor})
        try:
            with crash_in_commit(store, nth):
                world.sync()
                vendor.delete("mail", "m01")
                vendor.mail(mail("m02", text="Edited"))
                world.sync()
        except Killed:
            world = world.restart()
            if "m01" in vendor.feeds["mail"].records:
                world.sync()
                world = world.restart()
                vendor.delete("mail", "m01")
                vendor.mail(mail("m02", text="Edited"))
        world.sync()
        texts = sorted(e["text"] for e in world.timeline().values())
        assert texts == ["Edited", "Text of m00", "Text of m03", "Text of m04"], nth
        assert stream(world)["status"] == st.HEALTHY
        world.check()


def test_one_worker_per_connection(store: Store) -> None:
    world = World(store, {"a": filled()})
    assert acquire(store, "connection:a", "elsewhere:1:x", world.clock.now(), timedelta(minutes=1))
    result = world.sync()
    assert "another worker" in result.detail
    assert world.timeline() == {}
    world.clock.advance(61)
    world.sync()
    assert len(world.timeline()) == 7


def test_a_worker_that_lost_its_lease_keeps_nothing(store: Store) -> None:
    world = World(store, {"a": filled()})
    stale = world.run("a")
    world.clock.advance(3601)
    world.sync()
    before = world.timeline()
    with pytest.raises(LeaseLost):
        world.take(stale, RawRecord("m00", b'{"entities": []}'))
    assert world.timeline() == before


def test_a_worker_that_lost_its_lease_deletes_nothing_and_moves_no_cursor(store: Store) -> None:
    from hub.engine.pull import _save, confirm_gone

    vendor = filled(2)
    world = World(store, {"a": vendor})
    stale = world.run("a")
    world.clock.advance(3601)
    world.sync()
    before, cursor = world.timeline(), stream(world)["cursor"]
    rid = world.one(sa.select(t.record.c.id).where(t.record.c.external_id == "m00"))
    vendor.feeds["mail"].records.pop("m00")
    with pytest.raises(LeaseLost):
        asyncio.run(confirm_gone(stale, world.clock, [(rid, "m00")]))
    with pytest.raises(LeaseLost):
        _save(stale, world.clock, {"cursor": "stale"})
    assert world.timeline() == before
    assert stream(world)["cursor"] == cursor


# --- bad records --------------------------------------------------------------------------------------------------


def test_a_bad_record_costs_itself_and_is_mended_when_it_changes(store: Store) -> None:
    vendor = filled(2)
    vendor.put_raw("mail", "m10", reject="no date at all")
    vendor.put_raw("mail", "m11", bug=True)
    vendor.feeds["mail"].put("m12", b"{not json")
    world = World(store, {"a": vendor})
    result = world.sync()
    assert result.streams[0].books.counts == {"new": 2, "failed": 3}
    reasons = dict(world.all(sa.select(t.record.c.external_id, t.quarantine.c.reason).join(t.record)))
    assert reasons["m10"] == "no date at all"
    assert "ZeroDivisionError" in reasons["m11"]
    assert "bug of the connector" in reasons["m11"]
    assert world.one(sa.select(sa.func.count()).select_from(t.raw)) == 5  # the raw forms are kept
    for ext in ("m10", "m11", "m12"):
        vendor.mail(mail(ext))
    assert world.sync().streams[0].books.counts == {"updated": 3}
    assert world.all(sa.select(t.quarantine)) == []
    assert len(world.timeline()) == 5


@on_sqlite
def test_a_record_tells_of_one_interaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store, {"a": Vendor()})
    run = world.run("a")
    both = [mail("m1"), mail("m2")]
    monkeypatch.setattr(run.connector, "to_canonical", lambda stream, raw: both)
    assert world.take(run, RawRecord("m1", b"1")).counts == {"failed": 1}
    assert world.timeline() == {}


@on_sqlite
@pytest.mark.parametrize("order", [1, -1])
def test_of_a_blocked_person_nothing_is_kept_whatever_the_record_says(
    store: Store, monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    world = World(store, {"a": Vendor()}, capture={"block_domains": ("kestrel.example",)})
    run = world.run("a", "parties")
    address = Identifier("email", "ana@kestrel.example")
    told = [
        Person(external_id="7", identifiers=(Identifier("acorn:contacts", "7"), address)),
        Consent(external_id="7", identifier=address, channel="email", state="opted_out", at=START),
    ]
    monkeypatch.setattr(run.connector, "to_canonical", lambda stream, raw: told[::order])
    assert world.take(run, RawRecord("7", b"ana@kestrel.example")).counts == {"excluded": 1}
    with store.read() as c:
        for table in t.metadata.sorted_tables:
            assert "ana@kestrel" not in str(c.execute(sa.select(table)).all()), table.name


def test_nor_what_names_a_blocked_person_by_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store, {"a": Vendor(), "b": Vendor()}, capture={"block_domains": ("kestrel.example",)})
    number = Identifier("acorn:contacts", "7")
    blocked = Person(external_id="7", identifiers=(number, Identifier("email", "ana@kestrel.example")))
    other = Person(external_id="8", identifiers=(Identifier("acorn:contacts", "8"),), name="Bo")
    told: dict[str, Any] = {
        "7": blocked,
        "8": other,
        "t7": Task(external_id="t7", title="Canary", about=(number,)),
        "t8": Task(external_id="t8", title="Fine", about=(Identifier("acorn:contacts", "8"),)),
        "m7": mail("m7", participants=(Participation(identifier=number, role="from", name="Canary"),)),
    }
    for name, streams in (("a", ("parties", "mail")), ("b", ("mail",))):  # at another account 7 is somebody else
        for stream in streams:
            run = world.run(name, stream)
            monkeypatch.setattr(run.connector, "to_canonical", lambda _, raw: [told[raw.external_id]])
            ids = ("7", "8") if stream == "parties" else ("t7", "t8", "m7")
            books = world.take(run, *(RawRecord(i, b"Canary" if i.endswith("7") else b"-") for i in ids))
            assert books.counts["excluded"] == {"parties": 1, "mail": 2 if name == "a" else 0}[stream]
            assert set(books.rules) <= {"excluded:block_domain"}
        if name == "a":
            with store.read() as c:
                kept = [str(c.execute(sa.select(table)).all()) for table in t.metadata.sorted_tables]
            assert "Canary" not in "".join(kept)
            assert "Fine" in "".join(kept)


@pytest.mark.parametrize("what", ["subject", "text", "name", "address", "key", "attachment", "reference"])
@pytest.mark.parametrize("poison", ["nul\x00nul", "lone\ud800surrogate", "\U0001f600" * 3000])
def test_odd_characters_cost_at_most_their_record(
    store: Store, monkeypatch: pytest.MonkeyPatch, what: str, poison: str
) -> None:
    many: dict[str, dict[str, Any]] = {
        "subject": {"subject": poison},
        "text": {"text": poison},
        "name": {"participants": (who("ana@kestrel.example", "from", poison),)},
        "address": {"sender": f"{poison}@x.example"},
        "key": {"dedup_keys": (f"message-id:{poison}",)},
        "reference": {"thread_refs": (poison,)},
        "attachment": {"attachments": (Attachment(external_id=poison, filename=poison, media_type=poison),)},
    }
    world = World(store, {"a": Vendor()})
    run = world.run("a")
    letters = {"m1": mail("m1"), "bad": mail("bad", minute=1, **many[what]), "m2": mail("m2")}
    monkeypatch.setattr(run.connector, "to_canonical", lambda stream, raw: [letters[raw.external_id]])
    books = world.take(run, RawRecord("m1", b"1"), RawRecord("bad", b"2"), RawRecord("m2", b"3"))
    assert books.counts["new"] >= 2
    assert {"m1", "m2"} <= {ext for e in world.timeline().values() for _, _, ext, _ in e["sources"]}
    world.check()


@on_sqlite
def test_a_record_that_can_no_longer_be_mapped_keeps_its_place_on_the_timeline(store: Store) -> None:
    vendor = filled(2)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.put_raw("mail", "m00", bug=True)
    world.sync()
    assert dispositions(world)["m00"] == "failed"
    assert len(world.timeline()) == 2
    world.check()


def test_a_record_named_twice_in_a_page_ends_as_its_last_form(store: Store) -> None:
    from acorn import body

    world = World(store, {"a": Vendor()})
    run = world.run("a")
    old, new = (RawRecord("m1", body(mail("m1", text=x))) for x in ("old", "new"))
    world.take(run, old, new)
    assert [e["text"] for e in world.timeline().values()] == ["new"]
    world.take(run, old, new, old)
    assert [e["text"] for e in world.timeline().values()] == ["old"]
    world.take(run, new, old)
    assert [e["text"] for e in world.timeline().values()] == ["old"]
    world.take(run, old, old)
    world.check()


@on_sqlite
def test_ids_named_and_not_given(store: Store) -> None:
    world = World(store, {"a": filled(2)})
    world.sync()
    run = world.run("a")
    books = world.take(
        run, gaps=(Gap("x1", "too large"), Gap("x2", "forbidden"), Gap("x3", "gone"), Gap("m00", "forbidden"))
    )
    assert books.counts == {"failed": 3, "deleted": 1}
    assert dispositions(world) == {"m00": "new", "m01": "new", "x1": "failed", "x2": "failed"}
    assert len(world.timeline()) == 2
    world.take(run, gaps=(Gap("m01", "gone"),))
    assert len(world.timeline()) == 1
    world.check()


def test_a_record_we_let_go_of_and_the_listing_names_again_comes_back_whole(store: Store) -> None:
    world = World(store, {"a": filled(2)})
    world.sync()
    run = world.run("a")
    world.take(run, gone=("m00",))
    world.take(run, also_seen=("m00", "m01", "never held"), is_full=True)
    gone = world.all(
        sa.select(t.record.c.disposition, t.record.c.gone_at.is_not(None)).where(t.record.c.external_id == "m00")
    )
    assert gone in ([("deleted", True)], [("new", False)])
    assert len(world.timeline()) == (1 if gone[0][1] else 2)


@on_sqlite
def test_what_a_full_listing_names_but_does_not_give_is_not_taken_for_missing(store: Store) -> None:
    vendor = filled(2)
    world = World(store, {"a": vendor})
    world.sync()
    run = world.run("a")
    run.sweep = 2
    world.take(run, gaps=(Gap("m00", "forbidden"),), also_seen=("m01",), is_full=True)
    from hub.landing import unseen

    with world.store.read() as c:
        assert unseen(c, run.stream_id, 2, None) == []


# --- deletions and the brake --------------------------------------------------------------------------------------


@on_sqlite
def test_an_expired_cursor_reads_everything_again_and_finds_what_was_deleted_meanwhile(store: Store) -> None:
    vendor = filled(8)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.delete("mail", "m03")
    vendor.mail(mail("m20", minute=20))
    vendor.expire()
    result = world.sync()
    assert result.status == st.HEALTHY
    books = result.streams[0].books
    assert (books.counts["new"], books.counts["deleted"], books.counts["unchanged"]) == (1, 1, 7)
    assert len(world.timeline()) == 8
    assert vendor.fetches[:1] == ["m03"]  # asked for by name before it was taken for gone
    world.check()


@on_sqlite
def test_a_cursor_that_keeps_expiring_does_not_read_everything_all_day(store: Store) -> None:
    vendor = filled(4)
    world = World(store, {"a": vendor})
    world.sync()
    for status in (st.HEALTHY, st.DEGRADED, st.DEGRADED):
        vendor.mail(mail("m00", text=status))
        vendor.expire()
        result = world.sync("a", census=False)
        assert result.status == status
    assert "cursor keeps expiring" in causes(world)
    world.clock.advance(86400 * 1.1)
    vendor.mail(mail("m01", text="later"))
    vendor.expire()
    assert world.sync().status == st.HEALTHY
    assert causes(world) == set()
    world.check()


@on_sqlite
def test_records_hidden_from_a_listing_but_there_when_asked_for_stay(store: Store) -> None:
    vendor = filled(12)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.feeds["mail"].hidden = {"m05"}
    vendor.mail(mail("m06", text="x"))
    vendor.expire()
    assert world.sync("a", census=False).status == st.HEALTHY
    assert "m05" in vendor.fetches
    assert len(world.timeline()) == 12


@on_sqlite
def test_when_a_third_vanishes_nothing_is_removed_until_a_person_says_so(store: Store) -> None:
    vendor = filled(20)
    world = World(store, {"a": vendor})
    world.sync()
    for i in range(7):
        vendor.feeds["mail"].records.pop(f"m{i:02}")
    vendor.mail(mail("m19", text="x"))
    vendor.expire()
    result = world.sync("a", census=False)
    assert (result.status, result.exit_code) == (st.DEGRADED, st.DRIFT)
    assert "7 of 20" in result.detail or "7 of 20" in result.lines[0]
    assert len(world.timeline()) == 20
    assert world.sync("a", census=False).status == st.DEGRADED  # still waiting
    with store.read() as c:
        [hold] = open_holds(c)
    assert asyncio.run(world.engine.release_hold(hold["id"], True)) == 7  # type: ignore[arg-type]
    assert len(world.timeline()) == 13
    assert world.sync("a", census=False).status == st.HEALTHY
    with pytest.raises(ConfigError, match="no open hold"):
        asyncio.run(world.engine.release_hold(hold["id"], True))  # type: ignore[arg-type]
    world.check()


def test_a_rejected_hold_keeps_everything_and_released_records_that_still_answer_stay(store: Store) -> None:
    vendor = filled(20)
    world = World(store, {"a": vendor})
    world.sync()
    kept = {f"m{i:02}": vendor.feeds["mail"].records.pop(f"m{i:02}") for i in range(8)}
    vendor.mail(mail("m19", text="x"))
    vendor.expire()
    world.sync("a", census=False)
    with store.read() as c:
        [hold] = open_holds(c)
    vendor.feeds["mail"].records |= kept  # the vendor's bad moment is over
    assert asyncio.run(world.engine.release_hold(hold["id"], True)) == 0  # type: ignore[arg-type]
    assert len(world.timeline()) == 20


@on_sqlite
def test_a_half_finished_listing_deletes_nothing(store: Store) -> None:
    vendor = filled(9)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.mail(mail("m00", text="x"))
    vendor.delete("mail", "m08")
    vendor.expire()
    vendor.trouble = [None, Transient("cut off")]
    assert world.sync("a", census=False).status == st.DEGRADED
    assert len(world.timeline()) == 9
    world = world.restart()
    assert world.sync("a", census=False).status == st.HEALTHY
    assert len(world.timeline()) == 8
    world.check()


@on_sqlite
def test_a_record_deleted_and_made_again(store: Store) -> None:
    vendor = filled(2)
    world = World(store, {"a": vendor})
    world.sync()
    before = world.timeline()
    vendor.delete("mail", "m00")
    world.sync()
    vendor.mail(mail("m00"))
    world.sync()
    assert world.timeline() == before
    vendor.delete("mail", "m00")
    vendor.mail(mail("m00"))
    world.sync()
    assert world.timeline() == before
    world.check()


# --- census -------------------------------------------------------------------------------------------------------


def test_the_census_finds_what_the_change_feed_hid_and_fetches_it(store: Store) -> None:
    vendor = filled(3)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.feeds["mail"].hidden = {"m50"}
    vendor.mail(mail("m50", minute=50))
    world.clock.advance(86400 * 1.1)
    result = world.sync()
    assert result.exit_code == st.DRIFT
    assert len(world.timeline()) == 4
    assert causes(world) == {"census gap"}
    assert world.sync(census=True).status == st.HEALTHY
    assert causes(world) == set()


def test_the_census_is_taken_once_a_day_unless_asked_for(store: Store) -> None:
    world = World(store, {"a": filled(2)})
    taken = sa.select(sa.func.count()).select_from(t.census)
    world.sync()
    world.sync()
    assert world.one(taken) == 1
    world.sync(census=True)
    world.sync(census=False)
    assert world.one(taken) == 2
    world.clock.advance(86400 * 1.1)
    world.sync()
    assert world.one(taken) == 3


# --- trouble ------------------------------------------------------------------------------------------------------

TROUBLE: list[tuple[BaseException, str, int, str]] = [
    (Transient("the vendor has a problem", status=503), st.DEGRADED, st.PARTLY, "unreachable"),
    (RateLimited("slow down", retry_after_s=3600), st.WAITING, st.PARTLY, ""),
    (ScopeError("mail.read is missing"), st.DEGRADED, st.PARTLY, "permission"),
    (AuthError("revoked"), st.RECONNECT, st.REAUTH, "sign-in"),
    (ContractBroken("an HTML page"), st.BROKEN, st.PARTLY, "unknown answer"),
    (ConfigError("mailbox is wrong"), st.BROKEN, st.PARTLY, "ConfigError"),
]


@pytest.mark.parametrize(("error", "status", "code", "cause"), TROUBLE, ids=[type(x[0]).__name__ for x in TROUBLE])
def test_trouble_has_a_status_an_exit_code_and_one_issue(
    store: Store, error: BaseException, status: str, code: int, cause: str
) -> None:
    vendor = filled(5)
    world = World(store, {"a": vendor})
    for _ in range(2):
        vendor.trouble = [None, error]
        result = world.sync("a", streams=["mail", "parties"])
        assert (result.status, result.exit_code) == (status, code)
        assert result.streams[0].status == status
        world = world.restart()
    assert stream(world)["status"] == status
    assert stream(world)["last_good_at"] is None
    assert len(dispositions(world)) == 5 or len(dispositions(world)) == 3  # what came before the trouble is kept
    assert causes(world) == ({cause} if cause else set())
    if status == st.WAITING:
        assert instant(stream(world)["waiting_until"]) > world.clock.now() + timedelta(minutes=58)
    assert world.sync("a").status == st.HEALTHY
    assert len(world.timeline()) == 5
    assert causes(world) == set()
    assert stream(world)["waiting_until"] is None
    assert stream(world)["last_good_at"] is not None


@on_sqlite
def test_a_missing_scope_stops_its_stream_only(store: Store) -> None:
    vendor = filled(2)
    vendor.put("parties", "1", Person(external_id="1", name="Ana"))
    vendor.trouble = [ScopeError("mail.read is missing")]
    world = World(store, {"a": vendor})
    result = world.sync()
    assert [s.status for s in result.streams] == [st.DEGRADED, st.HEALTHY]
    assert dispositions(world) == {"1": "new"}


def test_a_refused_sign_in_at_the_check_touches_nothing(store: Store) -> None:
    vendor = filled(2, check_error=AuthError("revoked"))
    world = World(store, {"a": vendor})
    result = world.sync()
    assert (result.status, result.exit_code) == (st.RECONNECT, st.REAUTH)
    assert vendor.requests == 0
    assert causes(world) == {"sign-in"}
    vendor.check_error = None
    assert world.sync().status == st.HEALTHY
    assert causes(world) == set()


@on_sqlite
def test_a_bug_of_the_connector_costs_its_stream_and_is_told(store: Store) -> None:
    vendor = filled(2, trouble=[ZeroDivisionError("a bug")])
    vendor.put("parties", "1", Person(external_id="1", name="Ana"))
    world = World(store, {"a": vendor})
    result = world.sync()
    assert [s.status for s in result.streams] == [st.BROKEN, st.HEALTHY]
    assert "ZeroDivisionError" in result.streams[0].detail
    assert causes(world) == {"bug in the connector"}
    assert world.sync().status == st.HEALTHY
    assert causes(world) == set()


@on_sqlite
def test_wrong_names_are_answered_not_raised(store: Store) -> None:
    world = World(store, {"a": filled(1)})
    result = asyncio.run(world.engine.sync("b"))
    assert (result.status, result.exit_code) == (st.BROKEN, st.USAGE)
    assert "'b'" in result.detail
    result = asyncio.run(world.engine.sync("a", streams=["male"]))
    assert (result.status, result.exit_code) == (st.BROKEN, st.USAGE)
    assert "male" in result.detail
    assert "mail" in result.detail


# --- policy changes -----------------------------------------------------------------------------------------------


def test_a_stricter_policy_takes_away_what_is_there_and_a_milder_one_brings_it_back(store: Store) -> None:
    vendor = filled(2)
    vendor.mail(mail("m50", f"kim@{US}", [f"sam@{US}"], minute=50))
    world = World(store, {"a": vendor})
    result = world.sync()
    assert result.streams[0].books.rules == {"excluded:internal": 1}
    plain = world.timeline()
    world = world.restart(capture={"block_domains": ("kestrel.example",)})
    result = world.sync()
    assert result.streams[0].books.counts["excluded"] == 3
    assert world.timeline() == {}
    for table in (t.raw, t.body, t.link):
        assert world.all(sa.select(table)) == []
    world = world.restart(capture={"internal": "keep"})
    world.sync()
    assert len(world.timeline()) == 3
    world = world.restart()
    world.sync()
    assert world.timeline() == plain
    assert dispositions(world)["m50"] == "excluded"
    world.check()


def test_envelopes_only(store: Store) -> None:
    vendor = filled(1)
    world = World(store, {"a": vendor})
    world.sync()
    full = world.timeline()
    world = world.restart(capture={"metadata_only": True})
    world.sync()
    [entry] = world.timeline().values()
    assert (entry["subject"], entry["text"]) == ("", "")
    assert entry["people"]
    assert world.all(sa.select(t.raw)) == []
    assert world.one(sa.select(t.interaction.c.is_metadata_only))
    world = world.restart()
    world.sync()
    assert world.timeline() == full
    assert not world.one(sa.select(t.interaction.c.is_metadata_only))


def test_a_new_own_domain_turns_direction_and_parties(store: Store) -> None:
    vendor = Vendor()
    vendor.mail(mail("m1", "kim@ourco2.example", ["ana@kestrel.example"]))
    world = World(store, {"a": vendor})
    world.sync()
    assert [e["direction"] for e in world.timeline().values()] == ["inbound"]
    world = world.restart(own={"domains": [US, "ourco2.example"]})
    world.sync()
    fresh = [e["direction"] for e in world.timeline().values()]
    assert fresh == ["outbound"]
    kinds = {
        name[0] for e in world.timeline().values() for name, *_ in e["links"] if "email:kim@ourco2.example" in name[2]
    }
    assert kinds == {"own"}


@on_sqlite
def test_judging_again_while_a_listing_is_under_way_hides_no_deletion(store: Store) -> None:
    vendor = filled(9)
    world = World(store, {"a": vendor})
    world.sync()
    vendor.mail(mail("m00", text="x"))
    vendor.delete("mail", "m08")
    vendor.expire()
    vendor.trouble = [None, Transient("cut off")]
    world.sync("a", census=False)
    world = world.restart(capture={"internal": "keep"})
    world.sync("a", census=False)
    assert len(world.timeline()) == 8


# --- items --------------------------------------------------------------------------------------------------------


def test_merged_contacts_are_one_person_and_the_absorbed_record_is_gone(store: Store) -> None:
    from hub.api import Identifier, Redirect

    vendor = filled(1)
    vendor.put(
        "parties",
        "1",
        Person(
            external_id="1", identifiers=(Identifier("acorn:contacts", "1"), Identifier("email", "ana@kestrel.example"))
        ),
    )
    vendor.put(
        "parties",
        "2",
        Person(
            external_id="2", identifiers=(Identifier("acorn:contacts", "2"), Identifier("email", "ana@home.example"))
        ),
    )
    world = World(store, {"a": vendor})
    world.sync()
    survivor = Person(
        external_id="1", identifiers=(Identifier("acorn:contacts", "1"), Identifier("email", "ana@kestrel.example"))
    )
    vendor.put("parties", "1", survivor, Redirect(external_id="2", into="1"))
    world.sync()
    owners = dict(world.all(sa.select(t.identifier.c.value, t.identifier.c.party_id)))
    assert owners["1"] == owners["2"] == owners["ana@home.example"]
    assert dispositions(world)["2"] == "deleted"
    world.check()


def test_due_says_which_connections_are_due(store: Store) -> None:
    world = World(store, {"a": filled(1), "b": Vendor()}, b={"enabled": False})
    assert world.engine.due(world.clock.now()) == ["a"]
    world.sync("a")
    assert world.engine.due(world.clock.now()) == []
    world.clock.advance(400)
    assert world.engine.due(world.clock.now()) == ["a"]
    assert acquire(store, "connection:a", "elsewhere:1:x", world.clock.now(), timedelta(minutes=1))
    assert world.engine.due(world.clock.now()) == []
    assert micros(world.clock.now()) > micros(START)
