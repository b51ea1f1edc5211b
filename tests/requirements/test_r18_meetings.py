"""R18: one meeting per iCalUID and original start across all calendars; moved, cancelled and split series."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

pytestmark = pytest.mark.anyio

NEW_YORK = ZoneInfo("America/New_York")
TEAM = ("ada", "ben", "cleo", "dan", "eve")
GUESTS = ("gus@customer.example", "hal@partner.example")


def days(text: str) -> list[date]:
    """ "97-09: 2 3 4; 98-01: 7" as dates."""
    found = []
    for part in text.split(";"):
        month, _, numbers = part.partition(":")
        year, number = month.strip().split("-")
        found += [date((1900 if int(year) > 50 else 2000) + int(year), int(number), int(d)) for d in numbers.split()]
    return found


# Series of RFC 5545, 3.8.5, with the days it says come out. All begin on the first of them, at nine in New York.
SERIES = {
    "daily": (["RRULE:FREQ=DAILY;COUNT=10"], "97-09: 2 3 4 5 6 7 8 9 10 11"),
    "weekly over the change of clocks": (
        ["RRULE:FREQ=WEEKLY;UNTIL=19971224T000000Z"],
        "97-09: 2 9 16 23 30; 97-10: 7 14 21 28; 97-11: 4 11 18 25; 97-12: 2 9 16 23",
    ),
    "every other week on two days": (
        ["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH"], "97-09: 2 4 16 18 30; 97-10: 2 14 16",
    ),
    "weeks that begin on Monday": (["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO"], "97-08: 5 10 19 24"),
    "first Friday": (
        ["RRULE:FREQ=MONTHLY;COUNT=10;BYDAY=1FR"],
        "97-09: 5; 97-10: 3; 97-11: 7; 97-12: 5; 98-01: 2; 98-02: 6; 98-03: 6; 98-04: 3; 98-05: 1; 98-06: 5",
    ),
    "third day from the end": (
        ["RRULE:FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=6"], "97-09: 28; 97-10: 29; 97-11: 28; 97-12: 29; 98-01: 29; 98-02: 26",
    ),
    "third of three days": (
        ["RRULE:FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3"], "97-09: 4; 97-10: 7; 97-11: 6",
    ),
    "with a day left out and one more": (
        [
            "RRULE:FREQ=DAILY;COUNT=5", "EXDATE;TZID=America/New_York:19970904T090000",
            "RDATE;TZID=America/New_York:19971001T090000",
        ],
        "97-09: 2 3 5 6; 97-10: 1",
    ),
    "whole days, two months a year": (
        ["RRULE:FREQ=YEARLY;COUNT=6;BYMONTH=6,7"], "97-06: 10; 97-07: 10; 98-06: 10; 98-07: 10; 99-06: 10; 99-07: 10",
    ),
}  # fmt: skip
WHOLE_DAYS = "whole days, two months a year"
SPLIT = ("daily", "weekly over the change of clocks", "first Friday")


def nine(day: date, hour: int = 9) -> datetime:
    return datetime.combine(day, time(hour), NEW_YORK)


def times(start: date, is_day: bool, hour: int = 9) -> dict[str, Any]:
    if is_day:
        return {"start": {"date": start.isoformat()}, "end": {"date": (start + timedelta(days=1)).isoformat()}}
    at = nine(start, hour)
    ends = at + timedelta(hours=1)
    return {
        name: {"dateTime": t.isoformat(), "timeZone": "America/New_York"} for name, t in (("start", at), ("end", ends))
    }


def stamp(day: date, is_day: bool, hour: int = 9) -> str:
    """An occurrence's original start as ids and names carry it."""
    return f"{day:%Y%m%d}" if is_day else f"{nine(day, hour).astimezone(UTC):%Y%m%dT%H%M%SZ}"


async def test_one_meeting_on_twenty_calendars_is_one_interaction(stand: Any) -> None:
    """R18, R20: 20 of ours and 20 guests: 1 interaction, 20 sources, on 20 of 20 guests' timelines."""
    team = [stand.person(f"p{n}") for n in range(20)]
    guests = [f"guest{n}@company{n % 6}.example" for n in range(20)]
    attendees = [{"email": a} for a in (*team, *guests)]
    stand.google.add_event(team[0], {"summary": "Kick-off", "attendees": attendees, **times(date(2026, 3, 12), False)})
    await stand.sync()
    (public_id,) = stand.meetings()
    assert stand.meetings()[public_id]["sources"] == 20
    assert [g for g in guests if stand.timeline(g) != {public_id}] == []
    assert [f"company{n}.example" for n in range(6) if stand.timeline(f"company{n}.example") != {public_id}] == []
    stand.google.change_event(team[0], "ev000001", **times(date(2026, 3, 13), False, 15))
    await stand.sync()
    assert list(stand.meetings()) == [public_id]
    moved = stand.meetings()[public_id]
    assert (moved["at"], moved["sources"]) == (nine(date(2026, 3, 13), 15), 20)


@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
async def test_a_moved_meeting_has_moved_as_soon_as_the_organizers_calendar_says_so(stand: Any) -> None:
    """R18: a colleague's calendar that is read later, or cannot be read any more, does not hold the old time."""
    ada, ben = stand.person("ada"), stand.person("ben")
    attendees = [{"email": a} for a in (ada, ben, GUESTS[0])]
    stand.google.add_event(ada, {"id": "talk1", "attendees": attendees, **times(date(2026, 3, 12), False)})
    await stand.sync()
    stand.google.change_event(ada, "talk1", **times(date(2026, 3, 13), False, 15))
    await stand.sync(["ada"])
    assert [m["at"] for m in stand.meetings().values()] == [nine(date(2026, 3, 13), 15)]


async def test_series_on_five_calendars(stand: Any) -> None:
    """R18: 9 series of RFC 5545 x 5 calendars, then moved, cancelled, split and left: 0 multiplied, 0 lost."""
    team = [stand.person(name) for name in TEAM]
    attendees = [{"email": a} for a in (*team, *GUESTS)]
    wanted: dict[str, tuple[datetime, str, str, int]] = {}  # name -> start, status, subject, sources
    masters: dict[str, str] = {}
    for n, (name, (rules, text)) in enumerate(SERIES.items()):
        is_day, listed = name == WHOLE_DAYS, days(text)
        event = {"id": f"series{n}", "summary": name, "recurrence": rules, "attendees": attendees}
        masters[name] = stand.google.add_event(team[n % 5], {**event, **times(listed[0], is_day)})
        for day in listed:
            at = datetime.combine(day, time(), UTC) if is_day else nine(day)
            wanted[f"ical:series{n}@google.com/{stamp(day, is_day)}"] = (at, "confirmed", name, 5)
    await stand.sync()
    assert found(stand) == wanted

    for n, (name, (_, text)) in enumerate(SERIES.items()):
        owner, is_day, listed = team[n % 5], name == WHOLE_DAYS, days(text)
        moved, off = stamp(listed[1], is_day), stamp(listed[2], is_day)
        later = listed[1] + timedelta(days=3)
        stand.google.change_event(owner, f"{masters[name]}_{moved}", **times(later, is_day, 15))
        at = datetime.combine(later, time(), UTC) if is_day else nine(later, 15)
        wanted[f"ical:series{n}@google.com/{moved}"] = (at, "confirmed", name, 5)
        stand.google.delete_event(owner, f"{masters[name]}_{off}")
        gone = wanted[f"ical:series{n}@google.com/{off}"]
        wanted[f"ical:series{n}@google.com/{off}"] = (gone[0], "cancelled", name, 5)
    for name in SPLIT:  # "this and following" from the fifth on, at two from now on
        n, (rules, text) = list(SERIES).index(name), SERIES[name]
        owner, listed, following = team[n % 5], days(text), days(text)[4:]
        until = f"{nine(listed[4]).astimezone(UTC) - timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
        kept = ";".join(p for p in rules[0].split(";") if not p.startswith(("COUNT", "UNTIL")))
        stand.google.change_event(owner, masters[name], recurrence=[f"{kept};UNTIL={until}"])
        event = {
            "id": f"series{n}_R{stamp(listed[4], False)[:-1].lower()}", "summary": f"{name}, later",
            "recurrence": [f"{kept};COUNT={len(following)}"], "attendees": attendees, **times(following[0], False, 14),
        }  # fmt: skip
        stand.google.add_event(owner, event)
        for day in following:
            del wanted[f"ical:series{n}@google.com/{stamp(day, False)}"]
            key = f"ical:{event['id']}@google.com/{stamp(day, False, 14)}"
            wanted[key] = (nine(day, 14), "confirmed", f"{name}, later", 5)
    await stand.sync(TEAM[::-1])
    assert found(stand) == wanted
    for guest in GUESTS:
        assert stand.timeline(guest) == set(stand.meetings())

    name = (
        "third of three days"  # one of the five takes it off their calendar: the meeting is still one, of four copies
    )
    n = list(SERIES).index(name)
    stand.google.delete_event(team[(n + 1) % 5], masters[name])
    for key in [k for k in wanted if k.startswith(f"ical:series{n}@")]:
        wanted[key] = (*wanted[key][:3], 4)
    await stand.sync(TEAM[2:] + TEAM[:2])
    assert found(stand) == wanted
    stand.google.delete_event(team[n % 5], masters[name])  # the organizer calls all of it off
    wanted = {k: v for k, v in wanted.items() if not k.startswith(f"ical:series{n}@")}
    await stand.sync()
    assert found(stand) == wanted
    for guest in GUESTS:
        assert stand.timeline(guest) == set(stand.meetings())


def found(stand: Any) -> dict[str, tuple[datetime, str, str, int]]:
    meetings = stand.meetings().values()
    by_key = {m["key"]: (m["at"], m["status"], m["subject"], m["sources"]) for m in meetings}
    assert len(by_key) == len(meetings), "one interaction per name"
    return by_key
