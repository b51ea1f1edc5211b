"""calendar-query's time-range: does an object have anything between two instants? Source: RFC 4791 section 9.9."""

import warnings
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]


def instant(text: str | None) -> datetime | None:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if text else None


@lru_cache(maxsize=4096)
def _events(text: str) -> Any:
    """The parsed object; None when it cannot be parsed, which matches no time."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return icalendar.Calendar.from_ical(text)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def holds_events(text: str) -> bool:
    return "BEGIN:VEVENT" in text.upper()


def overlaps(text: str, start: datetime | None, end: datetime | None) -> bool:
    """True where an event, or one of its repetitions, overlaps [start, end)."""
    calendar = _events(text)
    if calendar is None:
        return False
    first, last = start or datetime(1900, 1, 1, tzinfo=UTC), end or datetime(2200, 1, 1, tzinfo=UTC)
    try:
        events = calendar.walk("VEVENT")
        if len(events) == 1 and not any(k in events[0] for k in ("RRULE", "RDATE", "RECURRENCE-ID")):
            begins = _aware(events[0]["DTSTART"].dt)
            ends = _aware(events[0]["DTEND"].dt) if "DTEND" in events[0] else begins
            return begins < last and (ends > first or begins >= first)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if end is None:  # the rest of time: whatever comes next will do
                return next(iter(recurring_ical_events.of(calendar).after(first)), None) is not None
            return bool(recurring_ical_events.of(calendar).between(first, last))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return False


def _aware(moment: Any) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
