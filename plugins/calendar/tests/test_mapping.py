"""One event in, one meeting out: texts, channels, people, names, and what is refused without telling."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.api import Identifier, Interaction, Participation, RawRecord, RecordRejected, Unmapped
from hub_calendar.mapping import to_entities

ME = "sales@example.com"
BASE = {
    "id": "e1", "iCalUID": "uid1@example.com", "summary": " Review ", "status": "confirmed", "etag": '"1"',
    "start": {"dateTime": "2026-03-10T12:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-03-10T13:00:00+01:00", "timeZone": "Europe/Berlin"},
    "updated": "2026-03-01T10:00:00.123Z", "htmlLink": "https://calendar.google.com/event?eid=1",
}  # fmt: skip


def mapped(**fields: Any) -> Any:
    body = {k: v for k, v in {**BASE, **fields}.items() if v is not None}
    (entity,) = to_entities(RawRecord(f"{ME}/e1", json.dumps(body).encode()), "drop")
    return entity


def test_the_plain_things() -> None:
    m = mapped()
    assert isinstance(m, Interaction)
    assert (m.kind, m.channel, m.subject, m.status, m.zone) == (
        "meeting",
        "calendar",
        "Review",
        "confirmed",
        "Europe/Berlin",
    )
    assert m.occurred_at == datetime(2026, 3, 10, 11, tzinfo=UTC)
    assert m.ended_at == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert m.changed_at == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert m.url == BASE["htmlLink"]
    assert m.dedup_keys == ("ical:uid1@example.com/20260310T110000Z", "ical:uid1@example.com")


def test_one_name_in_every_zone() -> None:
    """The same start, written as three calendars would show it."""
    starts = ("2026-03-10T12:00:00+01:00", "2026-03-10T11:00:00Z", "2026-03-10T20:00:00+09:00")
    assert len({mapped(start={"dateTime": s}).dedup_keys for s in starts}) == 1


def test_an_invitation_to_one_occurrence_alone_is_called_as_the_series_calls_it() -> None:
    alone = mapped(originalStartTime={"dateTime": "2026-03-09T12:00:00+01:00"})
    of_series = mapped(originalStartTime={"dateTime": "2026-03-09T11:00:00Z"}, recurringEventId="master")
    assert alone.dedup_keys == of_series.dedup_keys == ("ical:uid1@example.com/20260309T110000Z",)


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"hangoutLink": "https://meet.example/a"}, "video"),
        ({"conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": "https://v.example"}]}}, "video"),
        ({"conferenceData": {"entryPoints": [{"entryPointType": "phone", "uri": "tel:+1"}]}}, "phone"),
        ({"location": "https://zoom.example/j/1"}, "video"),
        ({"location": "12 High Street"}, "in_person"),
        ({"location": "  "}, "calendar"),
    ],
)
def test_the_channel_is_where_people_meet(fields: dict[str, Any], channel: str) -> None:
    assert mapped(**fields).channel == channel


def test_texts() -> None:
    m = mapped(description="<p>First<br>second</p>&nbsp;", location="Room 7", hangoutLink="https://meet.example/a")
    assert m.text == "First\nsecond"
    assert m.body == "First\nsecond\n\nRoom 7\nhttps://meet.example/a"
    plain = mapped(description="a < b, 1 > 0\n  indented")
    assert (plain.text, plain.body) == ("a < b, 1 > 0\n  indented", "")


def test_people_are_named_once_and_things_never() -> None:
    guests = [
        {"email": ME, "self": True, "organizer": True, "displayName": "Sales", "responseStatus": "accepted"},
        {"email": "Ann@Customer.example", "displayName": "Ann", "responseStatus": "needsAction"},
        {"email": "ann@customer.example"},
        {"email": "room@example.com", "resource": True, "responseStatus": "accepted"},
        {"email": "x@resource.calendar.google.com"},
        {"displayName": "nobody we can name"},
    ]
    m = mapped(organizer={"email": ME, "self": True}, attendees=guests, attendeesOmitted=True)
    assert m.participants == (
        Participation(identifier=Identifier("email", ME), role="organizer", name="Sales", answer="accepted"),
        Participation(
            identifier=Identifier("email", "Ann@Customer.example"), role="attendee", name="Ann", answer="unanswered"
        ),
    )
    assert m.signals == ("organizers-copy", "attendees-omitted")
    assert mapped(sequence=2).signals == ("revision:2",)
    team = mapped(organizer={"email": "c_1@group.calendar.google.com"}, attendees=guests[1:2])
    assert [p.role for p in team.participants] == ["attendee"]


def test_files_are_named() -> None:
    (file,) = mapped(
        attachments=[{"fileUrl": "https://d.example/1", "title": "Plan", "mimeType": "text/plain"}]
    ).attachments
    assert (file.external_id, file.filename, file.media_type) == ("https://d.example/1", "Plan", "text/plain")


def test_odd_ends() -> None:
    assert mapped(end=None).ended_at is None
    assert mapped(end={"dateTime": "2026-03-10T10:00:00+01:00"}).ended_at is None, "before its start"
    same = mapped(start={"date": "2026-03-10"}, end={"date": "2026-03-10"})
    assert (same.all_day.isoformat(), same.ended_at) == ("2026-03-10", None)


def test_local_times_without_an_offset_take_their_zone() -> None:
    m = mapped(start={"dateTime": "2026-07-01T12:00:00", "timeZone": "Europe/Berlin"}, end=None)
    assert m.occurred_at == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_what_carries_nothing() -> None:
    (entity,) = to_entities(RawRecord(f"{ME}/e1", b'{"id":"e1","status":"cancelled"}'), "drop")
    assert entity == Unmapped(f"{ME}/e1", "deleted")
    assert isinstance(mapped(eventType="birthday"), Unmapped)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": {"dateTime": 17}}, {"start": {}}, {"start": None}, {"start": {"date": "Zeisig"}}, {"attendees": "Zeisig"},
        {"start": {"dateTime": "Zeisig"}}, {"start": {"dateTime": "2026-03-10T12:00:00", "timeZone": "Zeisig/../x"}},
        {"start": {"dateTime": "2026-03-10T12:00:00"}}, {"updated": "Zeisig"}, {"end": {"dateTime": "9999-12-31T23:59:59-12:00"}},
        {"start": {"dateTime": "0001-01-01T00:00:00+14:00"}}, {"summary": {"Zeisig": 1}},
    ],
)  # fmt: skip
def test_broken_events_are_refused_without_telling(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordRejected) as caught:
        mapped(**fields)
    assert caught.value.external_id == f"{ME}/e1"
    assert "Zeisig" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"id": 1}', b"[" * 5000])
def test_what_is_no_event_at_all(body: bytes) -> None:
    with pytest.raises(RecordRejected):
        list(to_entities(RawRecord(f"{ME}/e1", body), "busy"))
