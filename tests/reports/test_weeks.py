"""Weeks as zones have them: clocks that change, midnights that are skipped, years that end in the middle of a week."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hub.reports.definition import BadParameter, zone_of
from hub.reports.weeks import begins, weeks
from hub.store import instant

HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 23), 167),  # clocks go forward on Sunday 29 March
        ("Europe/Berlin", date(2026, 10, 19), 169),  # and back on Sunday 25 October
        ("America/New_York", date(2026, 3, 2), 167),
        ("America/New_York", date(2026, 10, 26), 169),
        ("Australia/Lord_Howe", date(2026, 3, 30), 168.5),  # by half an hour
        ("Asia/Kathmandu", date(2026, 3, 23), 168),
        ("UTC", date(2026, 3, 23), 168),
    ],
)
def test_a_week_has_as_many_hours_as_its_clocks_say(zone: str, first: date, hours: float) -> None:
    (week,) = weeks(first + timedelta(days=3), first + timedelta(days=6), ZoneInfo(zone))
    assert week.monday == first
    assert (week.end - week.begin) / HOUR == hours
    assert instant(week.begin).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime(
        first.year, first.month, first.day
    )


def test_weeks_follow_each_other_without_gap_or_overlap() -> None:
    zone = ZoneInfo("America/Santiago")
    found = weeks(date(2024, 1, 1), date(2026, 12, 31), zone)
    assert [a.end for a in found[:-1]] == [b.begin for b in found[1:]]
    assert len(found) == len({w.name for w in found}) == 157


def test_iso_names_at_the_turn_of_the_year() -> None:
    names = [w.name for w in weeks(date(2026, 12, 27), date(2027, 1, 4), ZoneInfo("UTC"))]
    assert names == ["2026-W52", "2026-W53", "2027-W01"]
    assert weeks(date(2026, 1, 9), date(2026, 1, 4), ZoneInfo("UTC")) == []


def test_a_day_whose_midnight_is_skipped_begins_with_its_first_instant() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # from 24:00 on 23 April 2026 straight to 01:00
    assert instant(begins(date(2026, 4, 24), cairo)) == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert instant(begins(date(2026, 4, 24), cairo)).astimezone(cairo).hour == 1


@pytest.mark.parametrize("name", ["Nowhere/City", "../../etc/passwd", "/etc/localtime", "Europe\x00", "", "Europe"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadParameter, match="Europe/Berlin"):
        zone_of(name)
