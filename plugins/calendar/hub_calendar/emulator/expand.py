"""Recurrence: which occurrences a series has, worked out as Google does on its servers.

The expansion itself is left to icalendar and recurring-ical-events. A series that came out of an iCalendar file is
expanded from its own components (their zones, EXDATEs, RECURRENCE-IDs and ranges); one made through the API from
its `recurrence` lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

EARLIEST = date(1900, 1, 1)
Moment = date | datetime


@dataclass(frozen=True)
class Occurrence:
    """One occurrence. original: where the rule puts it; component: what a file says of it."""

    stamp: str
    original: Moment
    start: Moment
    end: Moment
    component: icalendar.Event


def when(moment: Moment, zone: str) -> dict[str, str]:
    """An EventDateTime. Floating times take the calendar's zone; unknown zones are given as UTC."""
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    name = getattr(moment.tzinfo, "key", "") or "UTC"
    local = moment if name != "UTC" else moment.astimezone(UTC)
    text = local.isoformat(timespec="seconds")
    return {"dateTime": text.replace("+00:00", "Z"), "timeZone": name}


def moment(value: dict[str, Any]) -> Moment:
    """The way back from an EventDateTime, in its own zone where it names one. Raises ValueError, KeyError."""
    if "date" in value:
        return date.fromisoformat(value["date"])
    at = datetime.fromisoformat(value["dateTime"].replace("Z", "+00:00"))
    if zone := value.get("timeZone"):
        return at.replace(tzinfo=ZoneInfo(zone)) if at.tzinfo is None else at.astimezone(ZoneInfo(zone))
    return at


def instant(value: Moment, zone: str = "UTC") -> datetime:
    """UTC; a date at the midnight of `zone` that begins it."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=ZoneInfo(zone))
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(zone))
    return value.astimezone(UTC)


def stamp_of(value: Moment, zone: str = "UTC") -> str:
    """The part of an instance's id after the underscore."""
    if not isinstance(value, datetime):
        return value.strftime("%Y%m%d")
    return instant(value, zone).strftime("%Y%m%dT%H%M%SZ")


def series(data: dict[str, Any]) -> list[icalendar.Event]:
    """The components of a series made through the API. Raises ValueError for lines that cannot be read."""
    first, last = moment(data["start"]), moment(data["end"])
    event = icalendar.Event()
    event.add("uid", data.get("iCalUID", "x"))
    event.add("dtstart", first)
    event.add("dtend", last)
    head = event.to_ical().decode().rstrip().removesuffix("END:VEVENT")
    text = head + "\r\n".join(data["recurrence"]) + "\r\nEND:VEVENT\r\n"
    parsed = icalendar.Event.from_ical(text)
    if not isinstance(parsed, icalendar.Event) or parsed.errors:
        raise ValueError("recurrence")
    return [parsed]


def occurrences(
    events: Sequence[icalendar.Event], zones: Sequence[icalendar.Timezone], until: datetime, zone: str
) -> dict[str, Occurrence]:
    """By stamp, up to `until`. Two that claim one original start (RANGE=THISANDFUTURE) are told apart by their own."""
    whole = icalendar.Calendar()
    for part in (*zones, *events):
        whole.add_component(part)
    found: dict[str, Occurrence] = {}
    for component in recurring_ical_events.of(whole).between(EARLIEST, until + timedelta(seconds=1)):
        start, end = component.start, component.end
        named = component.get("RECURRENCE-ID")
        original = named.dt if named is not None else start
        stamp = stamp_of(original, zone)
        if stamp in found:
            original, stamp = start, stamp_of(start, zone)
        found[stamp] = Occurrence(stamp, original, start, end, component)
    return found
