"""Reading: tokens, etags, series that change, calendars that come and go, and servers that answer oddly."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.api import (
    ConfigError,
    ContractBroken,
    CursorExpired,
    HubError,
    Pull,
    ScopeError,
    Window,
)
from hub_caldav import xml
from hub_caldav.cursor import parse_cursor
from hub_caldav.pull import horizon_of

pytestmark = pytest.mark.anyio

Make = Callable[..., str]
STYLES = pytest.mark.parametrize("style", ["radicale", "xandikos", "plain"])


def weekly(make_event: Make, *more: str, count: int = 4) -> str:
    return make_event(
        "s@example.org", "DTSTART:20260302T090000Z", "DURATION:PT1H", f"RRULE:FREQ=WEEKLY;COUNT={count}", *more
    )


@STYLES
async def test_a_series_that_is_edited_gives_up_what_it_lost(
    make_bench: Callable[..., Any], make_event: Make, style: str
) -> None:
    bench = make_bench(style=style)
    href = bench.server.put(weekly(make_event), "s.ics")
    bench.connect()
    await bench.sync()
    days = [f"{href}#202603{d:02}T090000Z" for d in (2, 9, 16, 23)]
    assert sorted(bench.landed.bodies) == days

    moved = (
        "END:VEVENT",
        "BEGIN:VEVENT",
        "UID:s@example.org",
        "RECURRENCE-ID:20260309T090000Z",
        "DTSTART:20260310T120000Z",
    )
    bench.server.put(weekly(make_event, *moved), "s.ics")
    await bench.sync()
    assert bench.landed.rewritten == [days[1]]
    assert {i for i, e in bench.entities().items() if e.occurred_at and e.occurred_at.day == 10} == {days[1]}

    bench.server.put(weekly(make_event, "EXDATE:20260316T090000Z", count=3), "s.ics")
    [page] = [p for p in await bench.sync() if p.gone]
    assert sorted(page.gone) == days[2:]
    assert sorted(bench.landed.bodies) == days[:2]

    single = make_event("s@example.org", "DTSTART:20260302T090000Z")
    bench.server.put(single, "s.ics")
    await bench.sync()
    assert set(bench.landed.bodies) == {href}
    bench.server.put(weekly(make_event), "s.ics")
    await bench.sync()
    assert sorted(bench.landed.bodies) == days

    bench.server.remove(href)
    await bench.sync()
    assert bench.landed.bodies == {}


@STYLES
async def test_a_quiet_account_costs_one_request(make_bench: Callable[..., Any], make_event: Make, style: str) -> None:
    bench = make_bench(style=style)
    bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    bench.connect()
    await bench.sync()
    bench.asked()
    assert await bench.sync() == []
    assert bench.asked() == ["PROPFIND"]


async def test_an_endless_series_goes_on_as_time_passes(bench: Any, make_event: Make) -> None:
    href = bench.server.put(make_event("e@example.org", "DTSTART:20260310T090000Z", "RRULE:FREQ=DAILY"), "e.ics")
    connector = bench.connect(days_ahead=30)
    await bench.sync()
    assert max(bench.landed.bodies) == f"{href}#20260430T090000Z"
    held = dict(bench.landed.bodies)
    bench.clock.advance(timedelta(days=40).total_seconds())
    await bench.sync()
    assert max(bench.landed.bodies) == f"{href}#20260531T090000Z"
    assert held.items() <= bench.landed.bodies.items()
    bench.asked()
    assert await bench.sync() == []
    assert bench.asked() == ["PROPFIND"]
    counted = await connector.census("events", Window())
    assert counted is not None
    assert counted.ids == set(bench.landed.bodies)


async def test_the_cap_takes_nothing_away_that_was_read(bench: Any, make_event: Make) -> None:
    text = make_event("e@example.org", "DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY", "SUMMARY:one")
    bench.server.put(text, "e.ics")
    connector = bench.connect(days_ahead=0, most_occurrences=10)
    await bench.sync()
    first = set(bench.landed.bodies)
    assert len(first) == 10
    bench.clock.advance(timedelta(days=31).total_seconds())
    bench.server.put(text.replace("SUMMARY:one", "SUMMARY:two"), "e.ics")
    pages = await bench.sync()
    assert not [g for p in pages for g in p.gone]
    assert first < set(bench.landed.bodies)
    oldest = min(first)
    assert [r.external_id for r in await connector.fetch("events", [oldest])] == [oldest]


async def test_a_window_keeps_out_what_lies_before_it(bench: Any, make_event: Make) -> None:
    now = bench.clock.now()
    old = bench.server.put(make_event("old@example.org", "DTSTART:20200101T090000Z"))
    new = bench.server.put(make_event("new@example.org", "DTSTART:20260310T090000Z"))
    bench.server.put(weekly(make_event), "s.ics")
    bench.connect()
    bench.again(Window(since=now - timedelta(days=3)))
    await bench.sync()
    assert new in bench.landed.bodies
    assert old not in bench.landed.bodies
    assert sorted(i.rpartition("#")[2] for i in bench.landed.bodies if "#" in i) == [
        "20260309T090000Z",
        "20260316T090000Z",
        "20260323T090000Z",
    ]
    bench.server.put(make_event("old@example.org", "DTSTART:20200101T100000Z"))
    await bench.sync()
    assert old not in bench.landed.bodies


async def test_changes_that_come_in_parts_are_all_read(bench: Any, make_event: Make) -> None:
    bench.connect()
    await bench.sync()
    bench.server.most_changes = 7
    hrefs = {bench.server.put(make_event(f"p{n}@example.org", "DTSTART:20260310T090000Z")) for n in range(30)}
    await bench.sync()
    assert set(bench.landed.bodies) == hrefs


@pytest.mark.parametrize("status", [400, 409, 415])
async def test_any_refusal_of_a_token_is_a_forgotten_token(bench: Any, make_event: Make, status: int) -> None:
    bench.connect()
    kept = bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    await bench.sync()
    bench.server.put(make_event("b@example.org", "DTSTART:20260310T090000Z"))
    bench.server.faults.add("status", status=status, method="REPORT", times=1)
    pages = await bench.sync()
    assert pages[-1].is_last
    assert kept in bench.landed.bodies
    assert len(bench.landed.bodies) == 2


async def test_a_server_that_only_claims_to_know_sync_collection_is_followed_by_etags(
    bench: Any, make_event: Make
) -> None:
    bench.server.faults.add("status", status=500, method="REPORT", times=5)
    a = bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    b = bench.server.put(make_event("b@example.org", "DTSTART:20260310T090000Z"))
    bench.connect()
    await bench.sync()
    assert set(bench.landed.bodies) == {a, b}
    place = next(iter(parse_cursor(bench.landed.cursor).places.values()))
    assert (place.token, len(place.etags)) == ("", 2)
    bench.server.remove(a)
    pages = await bench.sync()
    assert pages[-1].is_last
    assert set(bench.landed.bodies) == {b}


async def test_calendars_come_and_go(bench: Any, make_event: Make) -> None:
    bench.server.add_calendar("home", "Home")
    bench.server.add_calendar("tasks", "Tasks", ("VTODO",))
    work = bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    home = bench.server.put(make_event("b@example.org", "DTSTART:20260310T090000Z"), calendar="home")
    connector = bench.connect()
    await bench.sync()
    assert set(bench.landed.bodies) == {work, home}
    bench.server.add_calendar("new", "New")
    new = bench.server.put(make_event("c@example.org", "DTSTART:20260310T090000Z"), calendar="new")
    await bench.sync()
    assert set(bench.landed.bodies) == {work, home, new}
    del bench.server.calendars["home"]
    pages = await bench.sync()
    assert pages[-1].is_last
    assert set(bench.landed.bodies) == {work, new}
    assert await bench.sync() == []
    only = bench.connect(calendars=["New"])
    bench.again()
    await bench.sync(only)
    assert set(bench.landed.bodies) == {new}
    assert connector.manifest.stream("events").deletes == "confirmed"


async def test_one_meeting_on_twenty_calendars_has_one_name(bench: Any, make_event: Make) -> None:
    """Each attendee's copy, one of them in another zone's words: twenty records of each meeting, found under one key."""
    copies = (
        weekly(make_event),
        weekly(make_event).replace("DTSTART:20260302T090000Z", "DTSTART;TZID=Africa/Abidjan:20260302T090000"),
    )
    for n in range(20):
        bench.server.add_calendar(f"c{n}")
        bench.server.put(copies[n % 2], f"{n}.ics", calendar=f"c{n}")
    bench.connect()
    await bench.sync()
    assert len(bench.landed.bodies) == 80
    keys = {e.dedup_keys for e in bench.entities().values()}
    assert keys == {(f"ical:s@example.org/202603{d:02}T090000Z",) for d in (2, 9, 16, 23)}


async def test_a_calendar_taken_out_of_the_settings_leaves(bench: Any, make_event: Make) -> None:
    bench.server.add_calendar("home", "Home")
    work = bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    home = bench.server.put(make_event("b@example.org", "DTSTART:20260310T090000Z"), calendar="home")
    bench.connect(calendars=["Work", "Home"])
    await bench.sync()
    assert set(bench.landed.bodies) == {work, home}
    bench.connect(calendars=["Work"])
    await bench.sync()
    assert set(bench.landed.bodies) == {work}


async def test_a_listing_that_was_cut_off_is_made_up_for(make_bench: Callable[..., Any], make_event: Make) -> None:
    """Without sync-collection: killed before the listing of what is left, the next pull still owes it."""
    bench = make_bench(style="plain")
    hrefs = [bench.server.put(make_event(f"{n}@example.org", "DTSTART:20260310T090000Z")) for n in range(3)]
    connector = bench.connect()
    await bench.sync()
    bench.server.remove(hrefs[0])
    await bench.landed.pull(connector, stop=1)
    assert set(bench.landed.bodies) == set(hrefs)
    assert parse_cursor(bench.landed.cursor).owes_names
    await bench.sync()
    assert set(bench.landed.bodies) == set(hrefs[1:])


async def test_a_character_xml_does_not_allow_costs_one_record(bench: Any, make_event: Make) -> None:
    hrefs = [
        bench.server.put(make_event(f"{n}@example.org", "DTSTART:20260310T090000Z", "SUMMARY:x")) for n in range(5)
    ]
    bench.server.faults.add("poison", ids=[hrefs[2]], how="control")
    bench.connect()
    await bench.sync()
    assert set(bench.landed.bodies) == set(hrefs)
    assert bench.asked().count("GET") == 5


async def test_a_page_for_people_changes_nothing(bench: Any, make_event: Make) -> None:
    bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    bench.connect()
    await bench.sync()
    before = (dict(bench.landed.bodies), bench.landed.cursor)
    bench.server.put(make_event("b@example.org", "DTSTART:20260310T090000Z"))
    bench.server.faults.add("html")
    with pytest.raises(ContractBroken):
        await bench.sync()
    assert (bench.landed.bodies, bench.landed.cursor) == before


async def test_rights_taken_from_a_calendar_stop_the_stream(bench: Any, make_event: Make) -> None:
    bench.server.put(make_event("a@example.org", "DTSTART:20260310T090000Z"))
    bench.connect()
    await bench.sync()
    bench.server.calendars["work"].privileges = ()
    with pytest.raises(ScopeError):
        await bench.sync()


async def test_a_census_that_is_cut_short_is_taken_in_parts(bench: Any, make_event: Make) -> None:
    hrefs = {bench.server.put(make_event(f"{n}@example.org", f"DTSTART:202603{n + 1:02}T090000Z")) for n in range(20)}
    bench.server.most_matches = 6
    connector = bench.connect()
    counted = await connector.census("events", Window())
    assert counted is not None
    assert counted.ids == hrefs
    start = bench.clock.now().replace(day=5, hour=0)
    part = await connector.census("events", Window(since=start, until=start + timedelta(days=3)))
    assert part is not None
    assert part.count == 3


@pytest.mark.parametrize("cursor", ["", "nonsense", "Xk~0{6@", '{"home": ""}'])
async def test_a_cursor_that_is_none_of_ours_is_expired(bench: Any, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        async for _ in bench.connect().pull(Pull("events", cursor, Window())):
            pass


async def test_discovery_follows_a_redirect_on_the_same_host_only(bench: Any, make_bench: Callable[..., Any]) -> None:
    found = await bench.connect(base_url=f"{bench.url}/.well-known/caldav").check()
    assert all(p.is_granted for p in found.permissions)
    assert found.own_identities == ("anna@example.com",)
    assert found.account_id == "/anna/"
    bench.server.faults.add("status", status=301, headers={"location": "https://elsewhere.example/"}, times=1)
    with pytest.raises(ConfigError, match="set base_url to that host"):
        await bench.connect().check()


async def test_an_address_without_caldav_is_a_wrong_setting(bench: Any) -> None:
    bench.server.faults.add("status", status=404)
    with pytest.raises(ConfigError, match="base_url"):
        await bench.connect().check()


async def test_a_calendar_the_settings_misname_is_told(bench: Any) -> None:
    matrix = await bench.connect(calendars=["Wrok"]).check()
    assert [(p.is_granted, "Wrok" in p.detail) for p in matrix.permissions] == [(False, True)]


def test_a_document_type_is_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><multistatus xmlns="DAV:">&b;</multistatus>'
    with pytest.raises(HubError, match="document type"):
        xml.multistatus(bomb)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a%40b/c%20d.ics", "/a@b/c d.ics"),
        ("https://dav.example/x/y.ics", "/x/y.ics"),
        ("/x/%C3%BC.ics", "/x/\u00fc.ics"),
    ],
)
def test_one_address_has_one_spelling(one: str, other: str) -> None:
    assert xml.path_of(one) == xml.path_of(other)


def test_the_horizon_is_the_first_of_a_month() -> None:
    at = datetime(2026, 12, 10, tzinfo=UTC)
    assert [horizon_of(at, d) for d in (0, 21, 22, 365)] == ["20270101", "20270101", "20270201", "20280101"]
