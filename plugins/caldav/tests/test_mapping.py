"""What an event says becomes an interaction; what must not be told is not."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hub.api import Interaction, RawRecord, RecordRejected, Unmapped
from hub_caldav.ics import Layout, meetings, times_only
from hub_caldav.mapping import to_entities

UNTIL = Layout(datetime(2026, 9, 1, tzinfo=UTC), 1000, "UTC")
Make = Callable[..., str]


def one(text: str, name: str = "/c/a.ics", zone: str = "UTC", private: str = "reduce") -> Interaction:
    [entity] = to_entities(RawRecord(name, text.encode()), zone, private)
    assert isinstance(entity, Interaction), entity
    return entity


def laid_out(text: str, layout: Layout = UNTIL) -> dict[str, Interaction]:
    given = meetings("/c/s.ics", text.encode(), layout)
    return {m.record.external_id.partition("#")[2]: one(m.record.body.decode(), m.record.external_id) for m in given}


def test_a_meeting_with_people(make_event: Make) -> None:
    found = one(make_event(
        "u1@example.org", "DTSTART;TZID=Europe/Berlin:20260310T100000", "DURATION:PT45M", "SUMMARY:Plan\\, first",
        "DESCRIPTION:Words\\nand more", "LOCATION:Room 3", "STATUS:TENTATIVE", "CATEGORIES:Sales,Key account",
        "LAST-MODIFIED:20260301T080000Z", "URL:https://meet.example/1",
        'ORGANIZER;CN="Doe, Ann":mailto:ann@example.com', "ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:ann@example.com",
        "ATTENDEE;CN=Bob;PARTSTAT=DECLINED:mailto:bob@example.org", "ATTENDEE;CUTYPE=ROOM;CN=Room 3:mailto:room3@example.com",
        "ATTENDEE;CUTYPE=RESOURCE:mailto:beamer@example.com", "ATTENDEE;CN=Carl;EMAIL=carl@example.org:/principals/carl/",
        "ATTENDEE;CN=Dora:urn:uuid:1", "ATTENDEE:eve@example.org", "ATTENDEE;CUTYPE=GROUP:mailto:all@example.com",
        "ATTENDEE:invalid:nomail",
    ))  # fmt: skip
    assert (found.kind, found.channel, found.status, found.zone) == (
        "meeting",
        "in_person",
        "tentative",
        "Europe/Berlin",
    )
    assert found.occurred_at == datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert found.ended_at == datetime(2026, 3, 10, 9, 45, tzinfo=UTC)
    assert (found.subject, found.text) == ("Plan, first", "Words\nand more\n\nLocation: Room 3")
    assert [(p.role, p.identifier.scheme, p.identifier.value, p.name) for p in found.participants] == [
        ("organizer", "email", "ann@example.com", "Doe, Ann"),
        ("attendee", "email", "bob@example.org", "Bob"),
        ("attendee", "email", "carl@example.org", "Carl"),
        ("attendee", "name", "Dora", ""),
        ("attendee", "email", "eve@example.org", ""),
        ("attendee", "email", "all@example.com", ""),
    ]
    assert [p.answer for p in found.participants] == ["accepted", "declined", "", "", "", ""]
    assert found.signals == ("list:all@example.com",)
    assert found.labels == ("Sales", "Key account")
    assert found.dedup_keys == ("ical:u1@example.org/20260310T090000Z", "ical:u1@example.org")
    assert found.thread_refs == ("ical-uid:u1@example.org",)
    assert found.changed_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert found.url == "https://meet.example/1"


@pytest.mark.parametrize(
    ("lines", "channel"),
    [
        ((), "calendar"), (("LOCATION:Room 3",), "in_person"), (("LOCATION:https://meet.example/1",), "video"),
        (("CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO:https://v.example/1",), "video"),
        (("CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+1-555",), "phone"), (("X-GOOGLE-CONFERENCE:https://v.example/1",), "video"),
    ],
)  # fmt: skip
def test_how_people_met(make_event: Make, lines: tuple[str, ...], channel: str) -> None:
    assert one(make_event("c@example.org", "DTSTART:20260310T090000Z", *lines)).channel == channel


def test_all_day_stays_a_day(make_event: Make) -> None:
    found = one(make_event("d@example.org", "DTSTART;VALUE=DATE:20260310", "DTEND;VALUE=DATE:20260312"))
    assert (found.all_day, found.occurred_at, found.ended_at, found.zone) == (date(2026, 3, 10), None, None, "")
    assert found.all_day_last == date(2026, 3, 11), "DTEND is the day after the last"
    assert found.dedup_keys == ("ical:d@example.org/20260310", "ical:d@example.org")


VTIMEZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
END:STANDARD
END:VTIMEZONE"""


@pytest.mark.parametrize(
    ("line", "before", "zone", "expected", "name"),
    [
        ("DTSTART:20260310T090000Z", "", "Asia/Tokyo", 9, "UTC"),
        ("DTSTART:20260310T090000", "", "UTC", 9, ""),
        ("DTSTART:20260310T090000", "", "Europe/Berlin", 8, ""),
        ("DTSTART:20260310T090000", "X-WR-TIMEZONE:America/New_York", "UTC", 13, ""),
        ("DTSTART;TZID=W. Europe Standard Time:20260310T090000", "", "UTC", 8, "Europe/Berlin"),
        ("DTSTART;TZID=/vendor.example/20260101/Europe/Berlin:20260310T090000", "", "UTC", 8, "Europe/Berlin"),
        (
            "DTSTART;TZID=Customized Time Zone:20260310T090000",
            VTIMEZONE.format(name="Customized Time Zone", offset="+0300"), "UTC", 6, "Customized Time Zone",
        ),
    ],
)  # fmt: skip
def test_zones_of_every_kind(make_event: Make, line: str, before: str, zone: str, expected: int, name: str) -> None:
    found = one(make_event("z@example.org", line, before=before.replace("\n", "\r\n")), zone=zone)
    assert found.occurred_at == datetime(2026, 3, 10, expected, tzinfo=UTC)
    assert found.zone == name


def test_zones_of_one_name_and_different_rules_do_not_mix(make_event: Make) -> None:
    """Many programs call theirs "Customized Time Zone"; whichever was read first must not decide for the others."""
    line, hours = "DTSTART;TZID=Customized Time Zone:20260310T090000", []
    for offset in ("+0300", "-0500", "+0300"):
        before = VTIMEZONE.format(name="Customized Time Zone", offset=offset)
        at = one(make_event("z@example.org", line, before=before)).occurred_at
        assert at is not None
        hours.append(at.hour)
    assert hours == [6, 14, 6]


def test_a_series_with_a_moved_a_cancelled_and_a_taken_out_meeting(make_event: Make) -> None:
    text = make_event(
        "s@example.org", "DTSTART;TZID=Europe/Berlin:20260316T100000", "DTEND;TZID=Europe/Berlin:20260316T110000",
        "RRULE:FREQ=WEEKLY;COUNT=5", "EXDATE;TZID=Europe/Berlin:20260323T100000", "SUMMARY:Weekly",
        "END:VEVENT", "BEGIN:VEVENT", "UID:s@example.org", "RECURRENCE-ID;TZID=Europe/Berlin:20260330T100000",
        "DTSTART;TZID=Europe/Berlin:20260331T150000", "DTEND;TZID=Europe/Berlin:20260331T153000", "SUMMARY:Moved",
        "END:VEVENT", "BEGIN:VEVENT", "UID:s@example.org", "RECURRENCE-ID:20260406T080000Z",
        "DTSTART:20260406T080000Z", "STATUS:CANCELLED", "SUMMARY:Weekly",
    )  # fmt: skip
    found = laid_out(text)
    # Ten o'clock in Berlin is nine, and after the change of clocks eight, in UTC.
    assert {k: (v.occurred_at, v.subject, v.status) for k, v in found.items()} == {
        "20260316T090000Z": (datetime(2026, 3, 16, 9, tzinfo=UTC), "Weekly", "confirmed"),
        "20260330T080000Z": (datetime(2026, 3, 31, 13, tzinfo=UTC), "Moved", "confirmed"),
        "20260406T080000Z": (datetime(2026, 4, 6, 8, tzinfo=UTC), "Weekly", "cancelled"),
        "20260413T080000Z": (datetime(2026, 4, 13, 8, tzinfo=UTC), "Weekly", "confirmed"),
    }
    moved = found["20260330T080000Z"]
    assert moved.dedup_keys == ("ical:s@example.org/20260330T080000Z",)
    assert moved.ended_at == datetime(2026, 3, 31, 13, 30, tzinfo=UTC)
    assert len({v.thread_refs for v in found.values()}) == 1
    assert b"Moved" not in meetings("/c/s.ics", text.encode(), UNTIL)[0].record.body
    assert "Weekly" not in times_only(text.encode())
    assert [m.record.external_id for m in meetings("/c/s.ics", times_only(text.encode()).encode(), UNTIL)] == [
        f"/c/s.ics#{k}" for k in sorted(found, key=lambda k: found[k].occurred_at or UNTIL.until)
    ]


def test_this_and_future_meetings_move_together(make_event: Make) -> None:
    found = laid_out(make_event(
        "t@example.org", "DTSTART:20260301T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4", "END:VEVENT",
        "BEGIN:VEVENT", "UID:t@example.org", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260303T090000Z",
        "DTSTART:20260303T110000Z", "DURATION:PT2H",
    ))  # fmt: skip
    assert {k: v.occurred_at.hour for k, v in found.items() if v.occurred_at} == {
        "20260301T090000Z": 9, "20260302T090000Z": 9, "20260303T090000Z": 11, "20260304T090000Z": 11,
    }  # fmt: skip


def test_this_and_future_told_in_another_zone_and_across_a_change_of_clocks(make_event: Make) -> None:
    found = laid_out(make_event(
        "t@example.org", "DTSTART;TZID=Europe/Berlin:20260316T100000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=4",
        "END:VEVENT", "BEGIN:VEVENT", "UID:t@example.org", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260323T090000Z",
        "DTSTART;TZID=Europe/Berlin:20260323T120000", "DURATION:PT1H",
    ))  # fmt: skip
    assert {k: v.occurred_at.hour for k, v in found.items() if v.occurred_at} == {
        "20260316T090000Z": 9, "20260323T090000Z": 11, "20260330T080000Z": 10, "20260406T080000Z": 10,
    }  # fmt: skip


def test_an_all_day_series_is_of_days(make_event: Make) -> None:
    found = laid_out(make_event("y@example.org", "DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=MONTHLY;COUNT=2"))
    assert {k: v.all_day for k, v in found.items()} == {"20240229": date(2024, 2, 29), "20240329": date(2024, 3, 29)}


def test_an_endless_series_gives_the_newest_up_to_the_horizon(make_event: Make) -> None:
    text = make_event("e@example.org", "DTSTART:19990101T090000Z", "RRULE:FREQ=DAILY")
    found = laid_out(text, newest(most=30))
    assert len(found) == 30
    assert max(found) == "20260831T090000Z"
    assert min(found) == "20260802T090000Z"


def newest(most: int) -> Layout:
    return Layout(UNTIL.until, most, "UTC")


def test_an_invitation_to_one_meeting_of_a_series_stands_alone(make_event: Make) -> None:
    found = laid_out(make_event("i@example.org", "RECURRENCE-ID:20260303T090000Z", "DTSTART:20260303T100000Z"))
    assert {k: v.dedup_keys for k, v in found.items()} == {"20260303T090000Z": ("ical:i@example.org/20260303T090000Z",)}


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY", "FREQ=MINUTELY;INTERVAL=5", "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,1,2,3;BYSECOND=0,1,2,3,4,5",
        "FREQ=NONSENSE", "BYDAY=MO", "FREQ=DAILY;BYMONTH=x",
    ],
)  # fmt: skip
def test_a_rule_nobody_can_mean_costs_one_record(make_event: Make, rule: str) -> None:
    text = make_event("r@example.org", "DTSTART:20200101T090000Z", f"RRULE:{rule}", "SUMMARY:Zeisig")
    [only] = meetings("/c/r.ics", text.encode(), UNTIL)
    with pytest.raises(RecordRejected) as refused:
        list(to_entities(only.record, "UTC", "reduce"))
    assert "Zeisig" not in str(refused.value)


@pytest.mark.parametrize("freq", ["DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY"])
def test_a_rule_that_never_matches_is_its_first_meeting(make_event: Make, freq: str) -> None:
    text = make_event("n@example.org", "DTSTART:20260101T090000Z", f"RRULE:FREQ={freq};BYMONTH=2;BYMONTHDAY=30")
    assert list(laid_out(text)) == ["20260101T090000Z"]


CANARY = "Zeisig-7731"


@pytest.mark.parametrize("cls", ["PRIVATE", "CONFIDENTIAL", "private"])
def test_private_events_tell_when_and_nothing_else(make_event: Make, cls: str) -> None:
    text = make_event(
        f"{CANARY}@example.org", "DTSTART:20260310T090000Z", "DURATION:PT1H", f"CLASS:{cls}", f"SUMMARY:{CANARY}",
        f"DESCRIPTION:{CANARY}", f"LOCATION:{CANARY}", f"CATEGORIES:{CANARY}", f"ORGANIZER:mailto:{CANARY}@example.org",
        f"ATTENDEE;CN={CANARY}:mailto:a@example.org", f"URL:https://{CANARY}.example/", f"ATTACH:https://{CANARY}.example/f",
        f"X-INTERACTION-HUB-KEY:{CANARY}", f"COMMENT:{CANARY}",
    )  # fmt: skip
    found = one(text)
    assert CANARY not in msgspec.json.encode(found).decode()
    assert "private" in found.signals
    assert found.occurred_at == datetime(2026, 3, 10, 9, tzinfo=UTC)
    [dropped] = to_entities(RawRecord("/c/p.ics", text.encode()), "UTC", "drop")
    assert dropped == Unmapped(external_id="/c/p.ics", reason="private")


@pytest.mark.parametrize(
    "lines",
    [
        ("SUMMARY:no start",), ("DTSTART:yesterday",), ("DTSTART:99991231T235959Z", "DTEND:garbage"),
        ("DTSTART:20260310T090000Z", "DURATION:garbage"), ("DTSTART:20260310T090000Z", "LAST-MODIFIED:garbage"),
    ],
)  # fmt: skip
def test_a_broken_event_is_refused_without_its_words(make_event: Make, lines: tuple[str, ...]) -> None:
    text = make_event("b@example.org", *lines, f"DESCRIPTION:{CANARY}")
    with pytest.raises(RecordRejected) as refused:
        one(text)
    assert CANARY not in repr(refused.value)


def test_folding_inside_a_character_and_bare_line_ends(make_event: Make) -> None:
    raw = make_event("f@example.org", "DTSTART:20260310T090000Z", "SUMMARY:Gr\u00fc\u00dfe").encode()
    at = raw.index(b"\xbc")
    folded = raw[:at] + b"\r\n " + raw[at:]
    [entity] = to_entities(RawRecord("/c/f.ics", folded), "UTC", "reduce")
    assert isinstance(entity, Interaction)
    assert entity.subject == "Gr\u00fc\u00dfe"
    [entity] = to_entities(RawRecord("/c/f.ics", raw.replace(b"\r\n", b"\n")), "UTC", "reduce")
    assert isinstance(entity, Interaction)
    assert entity.subject == "Gr\u00fc\u00dfe"


def test_an_object_with_several_uids_gives_each(make_event: Make) -> None:
    text = make_event("a@example.org", "DTSTART:20260310T090000Z", "END:VEVENT", "BEGIN:VEVENT", "UID:b@example.org",
                      "DTSTART:20260311T090000Z", "RRULE:FREQ=DAILY;COUNT=2")  # fmt: skip
    names = [m.record.external_id for m in meetings("/c/m.ics", text.encode(), UNTIL)]
    assert len(set(names)) == 3
    assert all(n.startswith("/c/m.ics#") for n in names)
    moments = [
        one(m.record.body.decode(), m.record.external_id).occurred_at
        for m in meetings("/c/m.ics", text.encode(), UNTIL)
    ]
    assert [m.day for m in moments if m] == [10, 11, 12]


# fmt: off
ZONES = [
    "Europe/Berlin", "Europe/London", "Europe/Lisbon", "Europe/Athens", "Europe/Helsinki", "Europe/Dublin",
    "Europe/Chisinau", "Europe/Istanbul", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Anchorage", "America/Halifax", "America/St_Johns", "America/Havana",
    "America/Santiago", "America/Asuncion", "America/Sao_Paulo", "America/Caracas", "America/Nuuk",
    "America/Mexico_City", "Africa/Cairo", "Africa/Casablanca", "Africa/Johannesburg", "Asia/Jerusalem",
    "Asia/Beirut", "Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Shanghai", "Asia/Amman",
    "Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Apia", "Pacific/Norfolk",
]
# fmt: on


def edges(zone: str) -> list[datetime]:
    """The two changes of clocks next after 2026-01-01, to the minute; two plain instants where there are none."""
    found: list[datetime] = []
    local = ZoneInfo(zone)

    def offset(at: datetime) -> timedelta | None:
        return at.astimezone(local).utcoffset()

    for day in (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(400)):
        if offset(day) != offset(day + timedelta(days=1)):
            halves = [day + timedelta(minutes=30 * n) for n in range(49)]
            found += [b for a, b in pairwise(halves) if offset(a) != offset(b)]
    return (found or [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])[:2]


@pytest.mark.parametrize("zone", ZONES)
def test_no_meeting_shifts_at_a_change_of_clocks(make_event: Make, zone: str) -> None:
    """Written by the clock on the wall, read as an instant: around both edges of each of 40 zones."""
    assert len(ZONES) == 40
    local = ZoneInfo(zone)
    for edge in edges(zone):
        for minutes in (-1440, -1, 0, 90):
            at = edge + timedelta(minutes=minutes)
            wall = at.astimezone(local)
            if wall.fold or wall.replace(fold=0).astimezone(UTC) != at:
                continue  # the hour that comes twice cannot be written by the clock on the wall; see the push for it
            found = one(make_event("z@example.org", f"DTSTART;TZID={zone}:{wall:%Y%m%dT%H%M%S}", "DURATION:PT30M"))
            assert (found.occurred_at, found.zone) == (at, zone)
            assert found.ended_at is not None
