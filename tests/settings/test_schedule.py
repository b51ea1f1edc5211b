"""Spans, windows and cron lines: what they mean on a wall clock, summer time included."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.settings import Refused, Schedule, parse_cron, parse_span
from hub.settings.schedule import parse_since, span_text, start_of

LISBON = ZoneInfo("Europe/Lisbon")
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("30 seconds", 30, "30 seconds"), ("1 second", 1, "1 second"), ("5 minutes", 300, "5 minutes"),
        ("1 minute", 60, "1 minute"), (" 2 Hours ", 7200, "2 hours"), ("120 minutes", 7200, "2 hours"),
        ("7 days", 604800, "7 days"), ("90seconds", 90, "90 seconds"),
    ],
)  # fmt: skip
def test_spans(text: str, seconds: int, shown: str) -> None:
    assert parse_span(text) == timedelta(seconds=seconds)
    assert span_text(parse_span(text)) == shown
    assert parse_span(span_text(parse_span(text))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "wrong", ["", "5", "minutes", "five minutes", "-5 minutes", "0 days", "5 weeks", "5 m", "1.5 hours", 5, None, True]
)
def test_not_spans(wrong: object) -> None:
    with pytest.raises(Refused, match="must be a span of time"):
        parse_span(wrong)


def test_windows() -> None:
    now = at("2026-11-21 12:00")
    assert start_of(parse_since("90 days"), now) == at("2026-08-23 12:00")
    assert start_of(parse_since("2026-01-31"), now) == at("2026-01-31")
    assert start_of(parse_since(date(2026, 1, 31)), now) == at("2026-01-31")
    assert start_of(None, now) is None


@pytest.mark.parametrize(
    ("line", "after", "due"),
    [
        ("* * * * *", "2026-11-21 12:00:30", "2026-11-21 12:01"),
        ("*/15 * * * *", "2026-11-21 12:00", "2026-11-21 12:15"),
        ("5/20 * * * *", "2026-11-21 12:26", "2026-11-21 12:45"),
        ("0 6 * * *", "2026-11-21 06:00", "2026-11-22 06:00"),
        ("30 8-18/5 * * *", "2026-11-21 08:31", "2026-11-21 13:30"),
        ("0 9 * * mon-fri", "2026-11-20 09:00", "2026-11-23 09:00"),
        ("0 9 * * 7", "2026-11-21 10:00", "2026-11-22 09:00"),
        ("0 9 * * 5-7", "2026-11-22 10:00", "2026-11-27 09:00"),
        ("0 0 1,15 * *", "2026-11-02 00:00", "2026-11-15 00:00"),
        ("0 0 31 * *", "2026-11-01 00:00", "2026-12-31 00:00"),
        ("0 0 29 feb *", "2096-03-01 00:00", "2104-02-29 00:00"),
        ("0 0 13 * fri", "2026-11-21 00:00", "2026-11-27 00:00"),
        ("0 0 13 * fri", "2026-12-12 00:00", "2026-12-13 00:00"),
        ("0 0 1 JAN *", "2026-11-21 00:00", "2027-01-01 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
    ],
)
def test_cron_in_utc(line: str, after: str, due: str) -> None:
    assert parse_cron(line).next_after(at(after), UTC) == at(due)


def test_cron_follows_the_wall_clock() -> None:
    six = parse_cron("0 6 * * *")
    assert six.next_after(at("2026-03-28 12:00"), LISBON) == at("2026-03-29 05:00")
    assert six.next_after(at("2026-03-27 12:00"), LISBON) == at("2026-03-28 06:00")


def test_a_wall_time_that_is_skipped_runs_later() -> None:
    due = parse_cron("30 2 * * *").next_after(at("2026-03-28 12:00"), BERLIN)
    assert due == at("2026-03-29 01:30")
    assert due.astimezone(BERLIN).strftime("%H:%M") == "03:30"


def test_a_wall_time_that_comes_twice_runs_once() -> None:
    half_past_two = parse_cron("30 2 * * *")
    first = half_past_two.next_after(at("2026-10-24 12:00"), BERLIN)
    assert first == at("2026-10-25 00:30")
    assert half_past_two.next_after(first, BERLIN) == at("2026-10-26 01:30")


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_frequent_runs_keep_their_pace_through_the_change(day: str) -> None:
    every_ten = parse_cron("*/10 * * * *")
    now = at(f"{day} 00:00")
    for _ in range(24):
        due = every_ten.next_after(now, BERLIN)
        assert due - now == timedelta(minutes=10)
        now = due


@pytest.mark.parametrize(
    "wrong",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
        "5-1 * * * *", "*/0 * * * *", "*/x * * * *", "1, * * * *", "a * * * *", "* * * * someday", "0 0 30 2 *",
        "0 0 31 4,6,9,11 *", "@daily", "-1 * * * *", 5, None,
    ],
)  # fmt: skip
def test_not_cron(wrong: object) -> None:
    with pytest.raises(Refused):
        parse_cron(wrong)


def test_a_schedule_is_one_of_two() -> None:
    every = Schedule(every=timedelta(minutes=5))
    assert every.next_after(at("2026-11-21 12:00")) == at("2026-11-21 12:05")
    daily = Schedule(cron=parse_cron("0 6 * * *"))
    assert daily.next_after(at("2026-11-21 12:00"), LISBON) == at("2026-11-22 06:00")
    assert (str(every), str(daily)) == ("every 5 minutes", "0 6 * * *")
