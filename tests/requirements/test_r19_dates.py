"""R19: an all-day event is a date and never an instant; the source's zone and UTC are stored; nothing shifts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
import sqlalchemy as sa

from hub.engine import push
from hub.store import tables as t

pytestmark = pytest.mark.anyio

YEAR = 2026
GUEST = "gus@customer.example"
PORTAL = "Europe/Berlin"  # where the stand-in for HubSpot is
HALF_HOUR = timedelta(minutes=30)


def edges(zone: str) -> list[datetime]:
    """The instants of the year at which the zone's offset changes, in UTC."""
    info, found = ZoneInfo(zone), []
    day = datetime(YEAR, 1, 1, tzinfo=UTC)
    while day.year == YEAR:
        before, after = day.astimezone(info).utcoffset(), (day + timedelta(days=1)).astimezone(info).utcoffset()
        if before != after:
            halves = (day + n * HALF_HOUR for n in range(1, 49))
            found.append(next(at for at in halves if at.astimezone(info).utcoffset() == after))
        day += timedelta(days=1)
    return found


def zones(n: int) -> dict[str, list[datetime]]:
    """n zones that change their clocks twice in the year, spread over the globe, with the two instants."""
    names = sorted(z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix/", "right/")))
    found = {}
    for zone in names[:: len(names) // 200]:
        if len(changes := edges(zone)) == 2:
            found[zone] = changes
        if len(found) == n:
            return found
    raise AssertionError(f"only {len(found)} of {n} zones have summer time")


@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)  # instants are whole numbers on either database
async def test_forty_zones_at_both_edges_reach_the_system_of_record_unshifted(stand: Any) -> None:
    """R19: 40 zones x 2 edges x (2 instants around the edge + 3 whole days), source -> hub -> HubSpot -> hub: 0 shifts."""
    me, timed, whole = stand.person("ada"), {}, {}
    calendars = []
    for zone, changes in zones(40).items():
        calendar = f"{zone.lower().replace('/', '.')}@group.calendar.google.com"
        calendars.append(calendar)
        stand.google.add_calendar(calendar, {me: "owner"}, zone=zone)
        info = ZoneInfo(zone)
        for edge in changes:
            for at in (edge - HALF_HOUR, edge + HALF_HOUR):
                ends = at + timedelta(minutes=45)
                times = [{"dateTime": x.astimezone(info).isoformat(), "timeZone": zone} for x in (at, ends)]
                title = f"{zone} {at:%m-%d %H:%M}"
                timed[title] = at, ends, zone
                add(stand, calendar, title, *times)
            first = edge.astimezone(info).date()
            for day in (first + timedelta(days=n) for n in (-1, 0, 1)):
                title = f"{zone} {day}"
                whole[title] = day
                add(stand, calendar, title, *({"date": d.isoformat()} for d in (day, day + timedelta(days=1))))
    assert (len(timed), len(whole)) == (40 * 2 * 2, 40 * 2 * 3)
    own = stand.connections["ada"]
    stand.connections["ada"] = own.model_copy(update={"settings": {**own.settings, "calendars": calendars}})
    stand.portal()
    await stand.sync()
    assert held_wrong(stand, timed, whole) == []

    await stand.engine().check("crm")
    result = await stand.apply()
    assert result.applied is not None
    assert not result.applied.failures
    written = {
        r["properties"]["hs_meeting_title"]: r["properties"]
        for r in stand.hubspot.control("dump", {"type": "meetings"})
    }
    assert set(written) == {*timed, *whole}
    shifted = [
        title for title, (at, ends, _) in timed.items()
        if (instant(written[title]["hs_meeting_start_time"]), instant(written[title]["hs_meeting_end_time"])) != (at, ends)
    ]  # fmt: skip
    for title, day in whole.items():  # as who looks at the portal sees them
        times = (instant(written[title][f"hs_meeting_{name}_time"]) for name in ("start", "end"))
        if [at.astimezone(ZoneInfo(PORTAL)).date() for at in times] != [day, day]:
            shifted.append(title)
    assert shifted == []

    await stand.sync(["crm"], "meetings")
    await stand.sync()
    assert held_wrong(stand, timed, whole) == []
    assert push.plan(stand.engine()).changes == 0, "and quiet"


def add(stand: Any, calendar: str, title: str, start: dict[str, str], end: dict[str, str]) -> None:
    stand.google.add_event(calendar, {"summary": title, "start": start, "end": end, "attendees": [{"email": GUEST}]})


def held_wrong(
    stand: Any, timed: dict[str, tuple[datetime, datetime, str]], whole: dict[str, date]
) -> list[tuple[Any, ...]]:
    """Interactions whose instants, zone or day are not the source's, or that should not be there; [] when all are right."""
    i = t.interaction.c
    query = sa.select(i.subject, i.occurred_at, i.ended_at, i.zone, i.all_day).where(i.gone_at.is_(None))
    wrong = []
    rows = stand.rows(query)
    for title, at, ended, zone, day in rows:
        if title in timed:
            start, ends, its = timed[title]
            wall = instant(at).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            right = (start, ends, its, start.astimezone(ZoneInfo(its)).replace(tzinfo=None), None)
            is_right = (instant(at), instant(ended), zone, wall, day) == right
        else:
            is_right = (day, ended) == (whole[title].isoformat(), None) and instant(at).date() == whole[title]
        if not is_right:
            wrong.append((title, at, ended, zone, day))
    assert len(rows) == len(timed) + len(whole)
    return wrong


def instant(value: str | int) -> datetime:
    """A stored instant (microseconds), or one as HubSpot gives it (ISO 8601)."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1e6, UTC)
    return datetime.fromisoformat(value)
