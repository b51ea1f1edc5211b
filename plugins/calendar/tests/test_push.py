"""Writing meetings: ids, etags, people who work on what we wrote, and taking it back."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from hub.api import (
    Change,
    ConfigError,
    Identifier,
    Interaction,
    JournalEntry,
    Participation,
    Person,
    Transient,
)
from hub_calendar.outbound import event_id

pytestmark = pytest.mark.anyio

ME = "sales@example.com"
AT = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)


def who(email: str, role: Any = "attendee", name: str = "") -> Participation:
    return Participation(identifier=Identifier("email", email), role=role, name=name)


def meeting(**changed: Any) -> Interaction:
    given = {
        "external_id": "i1", "kind": "meeting", "channel": "video", "subject": "Demo", "text": "What we show.",
        "occurred_at": AT, "ended_at": AT + timedelta(hours=1), "zone": "Europe/Berlin",
        "participants": (who(ME, "organizer"), who("ann@customer.example", name="Ann"), who("ben@customer.example")),
    }  # fmt: skip
    return Interaction(**{**given, **changed})


def change(key: str = "k1", **changed: Any) -> Change:
    top = {k: changed.pop(k) for k in ("op", "remote_id", "expected_version") if k in changed}
    return Change(key=key, kind="interaction", entity=meeting(**changed), **{"op": "upsert", **top})


@pytest.fixture
def connector(stand: Any) -> Any:
    return stand.connect(push_calendar="primary")


def there(stand: Any, key: str = "k1") -> Any:
    return stand.google.calendars[ME].events[event_id(key)]


async def test_a_meeting_is_written_once_and_as_it_was_meant(stand: Any, connector: Any, model: Any) -> None:
    (made,) = await connector.push([change()])
    assert (made.outcome, made.remote_id) == ("created", f"{ME}/{event_id('k1')}")
    data = there(stand).data
    assert data["start"] == {"dateTime": "2026-03-12T10:00:00+01:00", "timeZone": "Europe/Berlin"}
    assert data["extendedProperties"] == {"private": {"interaction-hub-key": "k1"}}
    assert [g["email"] for g in data["attendees"]] == ["ann@customer.example", "ben@customer.example"]
    (again,) = await connector.push([change()])
    assert (again.outcome, again.version) == ("unchanged", made.version)
    await stand.sync(connector, model)
    (back,) = stand.meetings(connector, model).values()
    assert "hub-key:k1" in back.dedup_keys
    (found,) = await connector.find("interaction", ["k1", "never"])
    assert (found.key, found.remote_id, found.version) == ("k1", made.remote_id, made.version)


@pytest.mark.parametrize("mode", ["none", "externalOnly", "all"])
async def test_nobody_is_invited_unless_asked(stand: Any, mode: str) -> None:
    connector = stand.connect(push_calendar="primary", **({} if mode == "none" else {"invitations": mode}))
    (made,) = await connector.push([change()])
    (changed,) = await connector.push([change(subject="Other")])
    await connector.undo([JournalEntry(change=change(), receipt=made)])
    await connector.push([change(op="delete", remote_id=made.remote_id)])
    writes = [r for r in stand.sent if r.method not in {"GET"} and "/events" in r.url.path]
    assert len(writes) >= 3
    assert {r.url.params["sendUpdates"] for r in writes} == {mode}
    assert bool(stand.google.invitations) == (mode != "none")
    assert changed.outcome == "updated"


async def test_only_what_differs_is_patched_under_the_etag(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    person = {"email": "cleo@customer.example", "responseStatus": "accepted"}
    guests = [{**g, "responseStatus": "declined"} for g in there(stand).data["attendees"]]
    stand.google.change_event(
        ME, event_id("k1"), attendees=[*guests, person], location="Room 7", description="<b>What we show.</b>"
    )
    stand.sent.clear()
    new = change(
        remote_id=made.remote_id, occurred_at=AT + timedelta(days=1), ended_at=AT + timedelta(days=1, hours=1),
        participants=(who("ann@customer.example"), who("dan@customer.example")),
    )  # fmt: skip
    (done,) = await connector.push([new])
    assert done.outcome == "updated"
    (patch,) = [r for r in stand.sent if r.method == "PATCH"]
    assert patch.headers["if-match"]
    data = there(stand).data
    assert {g["email"]: g["responseStatus"] for g in data["attendees"]} == {
        "ann@customer.example": "declined", "ben@customer.example": "declined", "cleo@customer.example": "accepted",
        "dan@customer.example": "needsAction",
    }  # fmt: skip
    assert (data["location"], data["description"]) == ("Room 7", "<b>What we show.</b>")
    assert set(done.before) == {"start", "end", "attendees"}
    (undone,) = await connector.undo([JournalEntry(change=new, receipt=done)])
    assert undone.outcome == "updated"
    data = there(stand).data
    assert data["start"]["dateTime"] == "2026-03-12T10:00:00+01:00"
    assert len(data["attendees"]) == 3
    (undone,) = await connector.undo([JournalEntry(change=new, receipt=done)])
    assert undone.outcome == "unchanged"


async def test_who_was_faster_is_read_again(stand: Any, connector: Any) -> None:
    await connector.push([change()])
    refusal = {"error": {"code": 412, "message": "x", "errors": [{"domain": "global", "reason": "conditionNotMet"}]}}
    stand.google.faults.add("status", method="PATCH", status=412, body=refusal, times=2)
    (done,) = await connector.push([change(subject="Other")])
    assert done.outcome == "updated"
    stand.google.faults.add("status", method="PATCH", status=412, body=refusal)
    (failed,) = await connector.push([change(subject="Third")])
    assert (failed.outcome, "again and again" in failed.error) == ("failed", True)
    stand.google.faults.clear()
    (stale,) = await connector.push([change(subject="Third", expected_version='"1"')])
    assert (stale.outcome, there(stand).data["summary"]) == ("failed", "Other")


async def test_a_lost_answer_is_looked_up(stand: Any, connector: Any) -> None:
    stand.google.faults.add("drop_answer", method="POST", path="/events", times=1)
    (made,) = await connector.push([change()])
    assert made.outcome == "created"
    stand.google.faults.add("drop_answer", method="PATCH", times=1)
    (done,) = await connector.push([change(subject="Other")])
    assert (done.outcome, done.before) == ("updated", {"summary": "Demo"})
    assert [r.method for r in stand.sent].count("PATCH") == 1
    stand.google.faults.add("reset", method="POST", path="/events", times=1)
    with pytest.raises(Transient):
        await connector.push([change("k2")])
    assert (await connector.push([change("k2")]))[0].outcome == "created"


async def test_what_a_person_deleted_stays_deleted(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    stand.google.delete_event(ME, event_id("k1"))
    (failed,) = await connector.push([change(remote_id=made.remote_id)])
    assert (failed.outcome, "by a person" in failed.error) == ("failed", True)
    assert await connector.find("interaction", ["k1"]) == []


async def test_an_undone_meeting_can_be_written_again_although_its_id_is_used_up(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    entry = JournalEntry(change=change(), receipt=made)
    assert [r.outcome for r in await connector.undo([entry])] == ["deleted"]
    assert [r.outcome for r in await connector.undo([entry])] == ["unchanged"]
    (again,) = await connector.push([change()])
    assert (again.outcome, there(stand).data["status"]) == ("created", "confirmed")


async def test_undo_leaves_what_a_person_worked_on(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    answered = [{**g, "responseStatus": "accepted"} for g in there(stand).data["attendees"]]
    stand.google.change_event(ME, event_id("k1"), summary="Demo, second try", attendees=answered)
    (kept,) = await connector.undo([JournalEntry(change=change(), receipt=made)])
    assert (kept.outcome, "edited by a person" in kept.error) == ("failed", True)
    stand.google.change_event(ME, event_id("k1"), summary="Demo")
    (gone,) = await connector.undo([JournalEntry(change=change(), receipt=made)])
    assert gone.outcome == "deleted", "answers of guests are no edits"


@pytest.mark.parametrize("off", [{"op": "delete"}, {"status": "cancelled"}])
async def test_deleting_and_its_undo(stand: Any, connector: Any, off: dict[str, Any]) -> None:
    (made,) = await connector.push([change()])
    gone = change(remote_id=made.remote_id, **off)
    (done,) = await connector.push([gone])
    assert done.outcome == "deleted"
    assert [r.outcome for r in await connector.push([gone])] == ["unchanged"]
    (back,) = await connector.undo([JournalEntry(change=gone, receipt=done)])
    assert (back.outcome, there(stand).data["status"], there(stand).data["summary"]) == ("created", "confirmed", "Demo")
    assert [r.outcome for r in await connector.undo([JournalEntry(change=gone, receipt=done)])] == ["unchanged"]


async def test_somebody_elses_event_is_never_touched(stand: Any, connector: Any) -> None:
    name = stand.add(AT, id=event_id("k1"))
    (failed,) = await connector.push([change()])
    (kept,) = await connector.push([change(op="delete", remote_id=name)])
    assert [failed.outcome, kept.outcome] == ["failed", "failed"]
    assert there(stand).version == 1
    boss = stand.add(AT, "boss@example.com", attendees=[{"email": ME}])
    (refused,) = await connector.push([change("k2", remote_id=f"{ME}/{boss.rpartition('/')[2]}", subject="Mine now")])
    assert (refused.outcome, "organizer" in refused.error) == ("failed", True)


async def test_an_event_of_a_person_is_changed_when_told_and_never_becomes_ours(stand: Any, connector: Any) -> None:
    name = stand.add(AT, summary="By hand", location="Room 7")
    told = change(remote_id=name, subject="By the book")
    (done,) = await connector.push([told])
    data = stand.google.calendars[ME].events[name.rpartition("/")[2]].data
    assert (done.outcome, data["summary"], data["location"]) == ("updated", "By the book", "Room 7")
    assert "extendedProperties" not in data
    assert [r.outcome for r in await connector.push([told])] == ["unchanged"]
    (kept,) = await connector.push([change(op="delete", remote_id=name)])
    assert kept.outcome == "failed"
    (undone,) = await connector.undo([JournalEntry(change=told, receipt=done)])
    data = stand.google.calendars[ME].events[name.rpartition("/")[2]].data
    assert (undone.outcome, data["summary"]) == ("updated", "By hand")
    assert not data.get("attendees")


async def test_a_meeting_the_calendar_has_already_is_not_doubled(stand: Any, connector: Any, model: Any) -> None:
    boss = stand.connect("boss@example.com")
    stand.add(AT, "boss@example.com", attendees=[{"email": ME}])
    await stand.sync(boss, model)
    (seen,) = stand.meetings(boss, model).values()
    (done,) = await connector.push([Change(key="k1", kind="interaction", op="upsert", entity=seen)])
    assert (done.outcome, done.remote_id) == ("unchanged", f"{ME}/{seen.external_id.rpartition('/')[2]}")
    other = replace(seen, dedup_keys=("ical:other@example.com/20260312T090000Z",))
    (done,) = await connector.push([Change(key="k1", kind="interaction", op="upsert", entity=other)])
    assert done.outcome == "created"


async def test_days_and_meetings_without_an_end(stand: Any, connector: Any) -> None:
    days = change(
        "d", occurred_at=None, all_day=date(2026, 3, 28), all_day_last=date(2026, 3, 30), ended_at=None, zone=""
    )
    await connector.push([days, change("open", ended_at=None, zone="Mars/Olympus")])
    assert there(stand, "d").data["start"] == {"date": "2026-03-28"}
    assert there(stand, "d").data["end"] == {"date": "2026-03-31"}
    assert there(stand, "open").data["end"] == {"dateTime": "2026-03-12T09:30:00Z", "timeZone": "UTC"}
    assert [r.outcome for r in await connector.push([days])] == ["unchanged"]
    (timed,) = await connector.push([change("d")])
    assert (timed.outcome, "date" in there(stand, "d").data["start"]) == ("updated", False)
    (back,) = await connector.undo([JournalEntry(change=change("d"), receipt=timed)])
    assert (back.outcome, there(stand, "d").data["end"]) == ("updated", {"date": "2026-03-31"})


async def test_blank_fields_overwrite_nothing(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    (kept,) = await connector.push([change(subject="", text="", participants=(), remote_id=made.remote_id)])
    assert kept.outcome == "unchanged"


async def test_only_the_calendar_named_is_written_to(stand: Any, connector: Any) -> None:
    team = "c_team@group.calendar.google.com"
    stand.google.add_calendar(team, {ME: "owner"})
    name = stand.add(AT, team)
    (refused,) = await connector.push([change(remote_id=name)])
    assert (refused.outcome, "push_calendar" in refused.error) == ("failed", True)


async def test_a_delete_is_guarded_by_the_etag(stand: Any, connector: Any) -> None:
    (made,) = await connector.push([change()])
    refusal = {"error": {"code": 412, "message": "x", "errors": [{"domain": "global", "reason": "conditionNotMet"}]}}
    stand.google.faults.add("status", method="DELETE", status=412, body=refusal, times=1)
    (kept,) = await connector.push([change(op="delete", remote_id=made.remote_id)])
    assert kept.outcome == "failed"
    stand.google.faults.add("drop_answer", method="DELETE", times=1)
    (gone,) = await connector.push([change(op="delete", remote_id=made.remote_id)])
    assert gone.outcome == "deleted"
    assert all(r.headers["if-match"] for r in stand.sent if r.method == "DELETE")


async def test_what_is_no_meeting_is_refused_alone(connector: Any) -> None:
    person = Change(key="p", kind="interaction", op="upsert", entity=Person(external_id="p"))
    bad = [change("m", kind="message"), person, change("t", occurred_at=None), change("k" * 1025)]
    receipts = await connector.push([*bad, change()])
    assert [r.outcome for r in receipts] == ["failed"] * 4 + ["created"]


async def test_nothing_is_written_without_a_calendar_to_write_to(stand: Any) -> None:
    with pytest.raises(ConfigError, match="push_calendar"):
        await stand.connect().push([change()])
    with pytest.raises(ConfigError, match="takes no task"):
        await stand.connect(push_calendar="primary").find("task", ["k"])
