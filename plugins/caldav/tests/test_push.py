"""Writing: once, only what changed, nobody invited, and nothing of a person's is overwritten."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hub.api import Change, ConfigError, Identifier, Interaction, JournalEntry, Participation, Receipt

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 20, 9, tzinfo=UTC)
PEOPLE = (("organizer", "team@example.com", "Team"), ("attendee", "bob@example.org", 'Bob "B", Doe'))


def meeting(**more: Any) -> Interaction:
    people = tuple(Participation(identifier=Identifier("email", a), role=r, name=n) for r, a, n in PEOPLE)  # type: ignore[arg-type]
    given = {"occurred_at": AT, "ended_at": AT + timedelta(hours=1), "participants": people, "subject": "Plan", **more}
    return Interaction(external_id="i1", kind="meeting", channel="calendar", **given)


def change(entity: Interaction | None, key: str = "hub-1", **more: Any) -> Change:
    return Change(key=key, kind="interaction", op="upsert" if entity else "delete", entity=entity, **more)


@pytest.fixture
def writing(bench: Any) -> Any:
    bench.connect(push_calendar="Work")
    return bench


async def push(bench: Any, *changes: Change) -> list[Receipt]:
    receipts: list[Receipt] = await bench.made[-1].push(list(changes))
    return receipts


def text(bench: Any, name: str = "hub-1.ics") -> str:
    return str(bench.server.calendars["work"].objects[name].text).replace("\r\n ", "")


async def test_what_is_written_carries_our_key_and_invites_nobody(writing: Any) -> None:
    [made] = await push(writing, change(meeting(text="Words")))
    assert (made.outcome, made.remote_id) == ("created", "/anna/work/hub-1.ics")
    written = text(writing)
    assert "X-INTERACTION-HUB-KEY:hub-1" in written
    assert "UID:hub-1@interaction-hub.invalid" in written
    assert written.count("SCHEDULE-AGENT=CLIENT") == 2
    assert "METHOD" not in written
    assert "DTSTART:20260320T090000Z" in written
    puts = [c for c in writing.recorder.calls if c[0] == "PUT"]
    assert len(puts) == 1


async def test_the_same_again_is_no_write_and_a_change_is_one(writing: Any) -> None:
    await push(writing, change(meeting()))
    state = writing.server.state()
    assert [r.outcome for r in await push(writing, change(meeting()))] == ["unchanged"]
    assert writing.server.state() == state
    [updated] = await push(writing, change(meeting(subject="Other")))
    assert updated.outcome == "updated"
    assert updated.before is not None
    assert "SUMMARY:Plan" in updated.before["ics"]
    assert "SEQUENCE:1" in text(writing)
    assert [r.outcome for r in await push(writing, change(meeting(subject="Other")))] == ["unchanged"]


@pytest.mark.parametrize("every", [1, 2])
async def test_lost_answers_make_no_second_object(writing: Any, every: int) -> None:
    changes = [change(meeting(subject=f"Plan {n}"), f"hub-{n}") for n in range(6)]
    writing.server.faults.add("drop_answer", method="PUT", every=every, times=4)
    assert {r.outcome for r in await push(writing, *changes)} == {"created"}
    assert len(writing.server.calendars["work"].objects) == 6
    writing.server.faults.clear()
    later = [change(meeting(subject=f"Later {n}"), f"hub-{n}") for n in range(6)]
    writing.server.faults.add("drop_answer", method="PUT", every=every, times=4)
    receipts = await push(writing, *later)
    assert {r.outcome for r in receipts} == {"updated"}
    writing.server.faults.clear()
    assert [r.outcome for r in await push(writing, *later)] == ["unchanged"] * 6


async def test_what_others_added_to_our_event_stays(writing: Any) -> None:
    await push(writing, change(meeting()))
    edited = (
        writing.server.calendars["work"]
        .objects["hub-1.ics"]
        .text.replace(
            "END:VEVENT",
            "X-COLOUR:red\r\nLOCATION:Room 3\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\nEND:VEVENT",
        )
    )
    writing.server.put(edited, "hub-1.ics")
    assert [r.outcome for r in await push(writing, change(meeting()))] == ["unchanged"]
    await push(writing, change(meeting(subject="Other")))
    assert all(part in text(writing) for part in ("X-COLOUR:red", "LOCATION:Room 3", "BEGIN:VALARM", "SUMMARY:Other"))


async def test_a_version_that_moved_on_is_a_conflict(writing: Any) -> None:
    [made] = await push(writing, change(meeting()))
    writing.server.put(text(writing).replace("SUMMARY:Plan", "SUMMARY:By hand"), "hub-1.ics")
    [refused] = await push(writing, change(meeting(subject="Other"), expected_version=made.version))
    assert refused.outcome == "failed"
    assert "SUMMARY:By hand" in text(writing)


async def test_an_object_of_somebody_else_at_our_address_is_left_alone(
    writing: Any, make_event: Callable[..., str]
) -> None:
    writing.server.put(make_event("x@example.org", "DTSTART:20260310T090000Z"), "hub-1.ics")
    state = writing.server.state()
    [refused] = await push(writing, change(meeting()))
    assert refused.outcome == "failed"
    [refused] = await push(writing, change(None))
    assert refused.outcome == "failed"
    assert writing.server.state() == state
    assert await writing.made[-1].find("interaction", ["hub-1"]) == []


async def test_an_event_a_person_deleted_is_not_made_again(writing: Any) -> None:
    [made] = await push(writing, change(meeting()))
    writing.server.remove(made.remote_id)
    [refused] = await push(writing, change(meeting(), remote_id=made.remote_id))
    assert (refused.outcome, "deleted by a person" in refused.error) == ("failed", True)


async def test_a_server_that_rewrites_and_gives_no_etag_settles(writing: Any) -> None:
    writing.server.rewrites = True
    [made] = await push(writing, change(meeting()))
    assert made.version
    assert [r.outcome for r in await push(writing, change(meeting()))] == ["unchanged"]
    [back] = await writing.made[-1].undo([JournalEntry(change=change(meeting()), receipt=made)])
    assert back.outcome == "deleted"


async def test_undo_puts_back_what_was_and_spares_what_a_person_did(writing: Any) -> None:
    first = change(meeting())
    [made] = await push(writing, first)
    second = change(meeting(subject="Other"))
    [updated] = await push(writing, second)
    connector = writing.made[-1]
    entry = JournalEntry(change=second, receipt=updated)
    assert [r.outcome for r in await connector.undo([entry])] == ["updated"]
    assert "SUMMARY:Plan" in text(writing)
    assert [r.outcome for r in await connector.undo([entry])] == ["unchanged"]
    [updated] = await push(writing, second)
    writing.server.put(text(writing).replace("SUMMARY:Other", "SUMMARY:By hand"), "hub-1.ics")
    [refused] = await connector.undo([JournalEntry(change=second, receipt=updated)])
    assert refused.outcome == "failed"
    [refused] = await connector.undo([JournalEntry(change=first, receipt=made)])
    assert (refused.outcome, "SUMMARY:By hand" in text(writing)) == ("failed", True)


async def test_a_deletion_can_be_taken_back(writing: Any) -> None:
    await push(writing, change(meeting()))
    before, gone = text(writing), change(None)
    [deleted] = await push(writing, gone)
    assert deleted.outcome == "deleted"
    assert [r.outcome for r in await push(writing, gone)] == ["unchanged"]
    entry = JournalEntry(change=gone, receipt=deleted)
    assert [r.outcome for r in await writing.made[-1].undo([entry])] == ["created"]
    assert text(writing) == before
    assert [r.outcome for r in await writing.made[-1].undo([entry])] == ["unchanged"]


async def test_days_keys_and_odd_texts(writing: Any) -> None:
    day = meeting(occurred_at=None, ended_at=None, all_day=date(2026, 3, 29), subject="A\x07b;c,d\\e")
    [made] = await push(writing, change(day, "hub/odd key \u00fc"))
    name = made.remote_id.rpartition("/")[2]
    assert (len(name), "DTSTART;VALUE=DATE:20260329" in text(writing, name)) == (68, True)
    await writing.sync()
    [echo] = writing.entities().values()
    assert (echo.all_day, echo.subject) == (date(2026, 3, 29), "A b;c,d\\e")
    assert echo.dedup_keys[0] == "hub-key:hub/odd key \u00fc"
    assert [r.outcome for r in await push(writing, change(day, "hub/odd key \u00fc"))] == ["unchanged"]


@pytest.mark.parametrize(
    "entity",
    [meeting(occurred_at=None, ended_at=None), msgspec.structs.replace(meeting(), kind="message")],
    ids=["no time", "no meeting"],
)
async def test_what_cannot_be_an_event_is_refused_alone(writing: Any, entity: Interaction) -> None:
    receipts = await push(writing, change(entity, "hub-bad"), change(meeting(), "hub-good"))
    assert [r.outcome for r in receipts] == ["failed", "created"]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham"]
)
async def test_a_meeting_in_the_hour_that_comes_twice_does_not_shift(writing: Any, zone: str) -> None:
    """Around every change of clocks of the year, there and back again."""
    local, hours = ZoneInfo(zone), [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(24 * 365)]
    near = [h for h in hours if len({(h + timedelta(hours=d)).astimezone(local).utcoffset() for d in (-1, 0, 1)}) > 1]
    changes = [change(meeting(occurred_at=at, ended_at=at), f"hub-{n}") for n, at in enumerate(near or hours[:2])]
    await push(writing, *changes)
    await writing.sync()
    found = {e.dedup_keys[0].removeprefix("hub-key:"): e.occurred_at for e in writing.entities().values()}
    assert found == {c.key: c.entity.occurred_at for c in changes if isinstance(c.entity, Interaction)}


async def test_writing_is_off_until_a_calendar_is_named_and_allowed(bench: Any) -> None:
    with pytest.raises(ConfigError, match="push_calendar"):
        await bench.connect().push([change(meeting())])
    with pytest.raises(ConfigError, match="no calendar"):
        await bench.connect(push_calendar="Nowhere").push([change(meeting())])
    bench.server.faults.add("deny_scope", scope="DAV:write")
    matrix = await bench.connect(push_calendar="Work").check()
    assert [(p.action, p.is_granted, p.scope) for p in matrix.permissions] == [
        ("read", True, "DAV:read"), ("write", False, "DAV:write"),
    ]  # fmt: skip
    state = bench.server.state()
    bench.server.faults.clear()
    assert all(p.is_granted for p in (await bench.connect(push_calendar="Work").check()).permissions)
    assert bench.server.state() == state
