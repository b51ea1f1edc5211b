"""Days and ISO weeks as a time zone has them, in the store's microseconds."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from hub.store import micros

_WEEK = timedelta(days=7)


def begins(day: date, zone: tzinfo) -> int:
    """The instant at which the day begins there; where clocks skip midnight, the first instant of the day."""
    return micros(datetime.combine(day, time(), zone).astimezone(UTC))


class Week(NamedTuple):
    """begin (included) and end (not) in microseconds; name "2026-W47"; `monday` of that calendar."""

    name: str
    monday: date
    begin: int
    end: int


def weeks(first: date, last: date, zone: tzinfo) -> list[Week]:
    """The ISO weeks that hold `first` to `last`, both included; [] when they are the wrong way round."""
    monday = first - timedelta(days=first.weekday())
    found = []
    while monday <= last:
        year, number, _ = monday.isocalendar()
        after = monday + _WEEK
        found.append(Week(f"{year}-W{number:02d}", monday, begins(monday, zone), begins(after, zone)))
        monday = after
    return found
