"""When a connection runs: "5 minutes", or a five-field cron line read on a wall clock.

Spans are `timedelta`; instants are aware UTC.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from hub.settings.words import Refused, did_you_mean

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_SPAN = re.compile(r"(\d{1,6})\s*([a-z]+)", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_SEARCH_DAYS = 8 * 366 + 31  # 29 February can be eight years away


def parse_span(value: object) -> timedelta:
    """A span from text such as "5 minutes" or "1 day". Raises Refused."""
    if isinstance(value, timedelta) and value > timedelta(0):
        return value
    must = 'must be a span of time such as "30 seconds", "5 minutes", "2 hours" or "1 day"'
    if isinstance(value, int) and not isinstance(value, bool):
        raise Refused(must, fix=f'say the unit: "{value} minutes"')
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise Refused(must, example="5 minutes")
    unit = found[2].lower().removesuffix("s")
    if unit not in UNITS:
        near = did_you_mean(unit, UNITS)
        raise Refused(must, suggestion=f"{found[1]} {near}s" if near else "", example="5 minutes")
    return timedelta(seconds=int(found[1]) * UNITS[unit])


def span_text(span: timedelta) -> str:
    """The span as a person writes it, in the largest unit that fits: 300 s is "5 minutes"."""
    seconds = int(span.total_seconds())
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    raise AssertionError("every whole number of seconds divides by one second")


def parse_since(value: object) -> date | timedelta:
    """A backfill window's start: a date, or a span back from now. Raises Refused."""
    if isinstance(value, timedelta) or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    try:
        return parse_span(value)
    except Refused as exc:
        must = 'must be a date such as 2025-01-31, or a span such as "90 days"'
        raise Refused(must, exc.fix, exc.suggestion, example="90 days") from None


def start_of(since: date | timedelta | None, now: datetime) -> datetime | None:
    """The instant a window opens at: midnight UTC of a date, or `now` minus a span; None is open."""
    if since is None:
        return None
    if isinstance(since, timedelta):
        return now - since
    return datetime(since.year, since.month, since.day, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """A five-field cron line: minute, hour, day of month, month, day of week (0 and 7 are Sunday).

    As in cron itself, when both day fields are restricted either one is enough.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either_day: bool

    def __str__(self) -> str:
        return self.text

    def next_after(self, after: datetime, zone: tzinfo) -> datetime:
        """The first instant later than `after`, in UTC.

        A wall time skipped by summer time runs as much later as the clock jumped; one that comes twice runs
        the first time only, except where every hour is due, which then goes on through both.
        """
        day = after.astimezone(zone).date()
        folds = (0, 1) if len(self.hours) == 24 else (0,)
        for _ in range(_SEARCH_DAYS):
            if self._has_day(day):
                midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
                due = (
                    midnight.replace(hour=hour, minute=minute, fold=fold).astimezone(UTC)
                    for hour in self.hours
                    for minute in self.minutes
                    for fold in folds
                )
                if first := min((at for at in due if at > after), default=None):
                    return first
            day += timedelta(days=1)
        raise AssertionError(f"cron line {self.text!r} never comes, which parsing should have refused")

    def _has_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.is_either_day else in_month and in_week


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is due: each `every`, or at the times of `cron`. Exactly one is set."""

    every: timedelta | None = None
    cron: Cron | None = None

    def __str__(self) -> str:
        return str(self.cron) if self.cron else f"every {span_text(self.every or timedelta())}"

    def next_after(self, last: datetime, zone: tzinfo = UTC) -> datetime:
        """When the run after the one that started at `last` is due (aware UTC). `zone`: cron's wall clock."""
        if self.cron:
            return self.cron.next_after(last, zone)
        return last.astimezone(UTC) + (self.every or timedelta())


def parse_cron(value: object) -> Cron:
    """A Cron from its text. Raises Refused, naming the field that is wrong."""
    if isinstance(value, Cron):
        return value
    must, example = "must be five fields: minute, hour, day of month, month, day of week", "*/15 8-18 * * mon-fri"
    if not isinstance(value, str):
        raise Refused(must, example=example)
    fields = value.split()
    if len(fields) != 5:
        raise Refused(must, example=example)
    minutes = _field(fields[0], "minute", 0, 59)
    hours = _field(fields[1], "hour", 0, 23)
    days = _field(fields[2], "day of month", 1, 31)
    months = _field(fields[3], "month", 1, 12, {name: i for i, name in enumerate(_MONTHS, 1)})
    weekdays = _field(fields[4], "day of week", 0, 7, {name: i for i, name in enumerate(_DAYS)})
    weekdays = frozenset(day % 7 for day in weekdays)
    is_either = not fields[2].startswith("*") and not fields[4].startswith("*")
    if not is_either and min(days) > max(monthrange(2024, month)[1] for month in months):
        raise Refused("must name a day that exists: no such month has that day")
    return Cron(" ".join(fields), minutes, hours, days, months, weekdays, is_either)


def _field(text: str, name: str, low: int, high: int, words: dict[str, int] | None = None) -> frozenset[int]:
    values: set[int] = set()
    wrong = f'has a wrong {name} field "{text}"'
    for part in text.lower().split(","):
        span, _, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        try:
            if span == "*":
                first, last = low, high
            else:
                first = _number(first_text, words)
                last = _number(last_text, words) if dash else (high if step_text else first)
            step = int(step_text) if "/" in part else 1
        except ValueError:
            names = f" or names such as {next(iter(words))}" if words else ""
            raise Refused(f"{wrong}: use numbers{names}, with * , - and /") from None
        if not (low <= first <= last <= high) or step < 1:
            raise Refused(f"{wrong}: values go from {low} to {high}, small to large")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, words: dict[str, int] | None) -> int:
    return words[text] if words and text in words else int(text)
