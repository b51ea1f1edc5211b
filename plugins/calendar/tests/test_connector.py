"""Reading calendars: series, private events, zones, expired tokens, many calendars with one meeting, the doorbell."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace

from hub.api import (
    AuthError,
    Change,
    ConfigError,
    ContractBroken,
    CursorExpired,
    Identifier,
    Participation,
    Pull,
    Unmapped,
    WebhookRejected,
    WebhookRequest,
    Window,
)
from hub_calendar import CalendarSettings
from hub_calendar.settings import READ_SCOPE, WRITE_SCOPE

pytestmark = pytest.mark.anyio

ME = "sales@example.com"
AT = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
CANARY = "Zeisig-7731-canary"
HOOK = "https://hub.example.com/hooks/calendar"
EVERYTHING = Window()
BELL = {"webhook_url": HOOK, "webhook_secret": "a secret for the bell"}


def weekly(stand: Any, count: int = 4, **more: Any) -> str:
    """Mondays at nine in Berlin from 9 March 2026 on; the master's id."""
    stand.connect()
    event = {
        "id": "weekly0", "summary": "Weekly", "recurrence": [f"RRULE:FREQ=WEEKLY;COUNT={count}"],
        "start": {"dateTime": "2026-03-09T09:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-09T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "attendees": [{"email": ME}, {"email": "ann@customer.example", "responseStatus": "accepted"}], **more,
    }  # fmt: skip
    return str(stand.google.add_event(ME, event))


# -- one meeting, many calendars


async def test_one_meeting_on_twenty_calendars_is_one_meeting(stand: Any, make_model: Any) -> None:
    team = [f"person{n}@example.com" for n in range(20)]
    for address in team:
        stand.google.add_account(address)
    guests = [
        *({"email": a, "displayName": a[:7].title(), "responseStatus": "accepted"} for a in team),
        *({"email": f"guest{n}@customer.example", "responseStatus": "tentative"} for n in range(19)),
        {"email": "guest19@customer.example", "responseStatus": "declined"},
        {"email": "room@resource.calendar.google.com", "resource": True, "responseStatus": "accepted"},
        {"email": "beamer@example.com", "resource": True},
    ]
    stand.add(AT, team[0], attendees=guests, summary="Kick-off")
    zone = {"timeZone": "Europe/Berlin"}
    series = {
        "summary": "Series", "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"], "attendees": guests,
        "start": {"dateTime": "2026-03-28T09:00:00+01:00", **zone}, "end": {"dateTime": "2026-03-28T10:00:00+01:00", **zone},
    }  # fmt: skip
    master = stand.google.add_event(team[0], series)
    second = f"{master}_20260329T070000Z"
    stand.google.change_event(
        team[0], second, start={"dateTime": "2026-03-30T15:00:00Z"}, end={"dateTime": "2026-03-30T16:00:00Z"}
    )
    stand.google.delete_event(team[0], f"{master}_20260330T070000Z")
    names: dict[str, set[tuple[str, ...]]] = {}
    for address in team:
        connector, model = stand.connect(address), make_model()
        await stand.sync(connector, model)
        for name, meeting in stand.meetings(connector, model).items():
            assert name.startswith(f"{address}/")
            names.setdefault(name.partition("/")[2], set()).add(meeting.dedup_keys)
            people = {p.identifier.value for p in meeting.participants}
            assert people == {g["email"] for g in guests if "resource" not in g}
            assert (meeting.status == "cancelled") == name.endswith("_20260330T070000Z")
            assert {p.identifier.value: p.answer for p in meeting.participants}[
                "guest19@customer.example"
            ] == "declined"
            assert not [s for s in meeting.signals if "room@" in s or "beamer@" in s]
    assert len(names) == 4, "one meeting and three occurrences, one moved and one cancelled"
    assert all(len(keys) == 1 for keys in names.values()), "the same names on all twenty calendars"
    assert names[second] == {(f"ical:{master}@google.com/20260329T070000Z",)}
    every = [k for keys in names.values() for k in next(iter(keys))]
    assert len(every) == len(set(every))


async def test_two_calendars_of_one_connection_keep_their_copies_apart(stand: Any, model: Any) -> None:
    connector = stand.connect(calendars=["primary", "ann@example.com"])
    stand.google.add_account("ann@example.com")
    stand.google.calendars["ann@example.com"].roles[ME] = "reader"
    stand.add(AT, "ann@example.com", attendees=[{"email": ME}])
    await stand.sync(connector, model)
    (one, other) = stand.meetings(connector, model).values()
    assert one.external_id != other.external_id
    assert one.dedup_keys == other.dedup_keys


# -- series


async def test_occurrences_keep_their_names_when_moved(stand: Any, model: Any) -> None:
    master = weekly(stand)
    connector = stand.connect()
    await stand.sync(connector, model)
    before = stand.meetings(connector, model)
    assert sorted(m.occurred_at for m in before.values()) == [
        datetime(2026, 3, 9, 8, tzinfo=UTC), datetime(2026, 3, 16, 8, tzinfo=UTC),
        datetime(2026, 3, 23, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC),
    ]  # fmt: skip
    moved = f"{ME}/{master}_20260316T080000Z"
    new = {"start": {"dateTime": "2026-03-18T12:00:00Z"}, "end": {"dateTime": "2026-03-18T13:00:00Z"}}
    stand.change(moved, **new)
    await stand.sync(connector, model)
    after = stand.meetings(connector, model)
    assert (model.added, model.changed, model.gone) == ([], [moved], [])
    assert after[moved].occurred_at == datetime(2026, 3, 18, 12, tzinfo=UTC)
    assert after[moved].dedup_keys == before[moved].dedup_keys == (f"ical:{master}@google.com/20260316T080000Z",)
    assert after[moved].thread_refs == (f"ical-uid:{master}@google.com",)


async def test_a_cancelled_occurrence_is_not_deleted(stand: Any, model: Any, make_model: Any) -> None:
    master = weekly(stand)
    connector = stand.connect()
    await stand.sync(connector, model)
    off = f"{ME}/{master}_20260323T080000Z"
    stand.delete(off)
    await stand.sync(connector, model)
    meeting = stand.meetings(connector, model)[off]
    assert (meeting.status, meeting.subject, model.gone) == ("cancelled", "Weekly", [])
    assert meeting.occurred_at == datetime(2026, 3, 23, 8, tzinfo=UTC)
    assert len(meeting.participants) == 2
    # Who never saw it, or asks for it alone, gets it as its series has it: Google gives four fields only.
    other = make_model()
    await stand.sync(connector, other)
    assert stand.meetings(connector, other)[off].status == "cancelled"
    (fetched,) = await connector.fetch("events", [off])
    (again,) = connector.to_canonical("events", fetched)
    assert (again.subject, again.ended_at - again.occurred_at) == ("Weekly", timedelta(hours=1))
    assert (await connector.census("events", Window())).ids == frozenset(model.bodies)


async def test_a_deleted_series_takes_its_occurrences_along(stand: Any, model: Any) -> None:
    master = weekly(stand)
    connector = stand.connect()
    stand.delete(f"{ME}/{master}_20260323T080000Z")
    await stand.sync(connector, model)
    assert len(model.bodies) == 4
    stand.delete(f"{ME}/{master}")
    await stand.sync(connector, model)
    assert model.bodies == {}
    assert await connector.fetch("events", model.gone) == []


async def test_this_and_following_ends_one_series_and_begins_another(stand: Any, model: Any) -> None:
    master = weekly(stand, count=6)
    connector = stand.connect()
    await stand.sync(connector, model)
    stand.change(f"{ME}/{master}", recurrence=["RRULE:FREQ=WEEKLY;UNTIL=20260322T225959Z"])
    weekly(stand, count=4, id=f"{master}_R20260323T080000", start={"dateTime": "2026-03-23T14:00:00+01:00",
           "timeZone": "Europe/Berlin"}, end={"dateTime": "2026-03-23T15:00:00+01:00", "timeZone": "Europe/Berlin"})  # fmt: skip
    await stand.sync(connector, model)
    found = stand.meetings(connector, model).values()
    assert len(model.gone) == 4, "cut off, not cancelled"
    assert {m.status for m in found} == {"confirmed"}
    assert len(found) == 2 + 4


async def test_a_deleted_meeting_is_deleted(stand: Any, model: Any) -> None:
    name, connector = stand.add(AT), stand.connect()
    await stand.sync(connector, model)
    stand.delete(name)
    pages = await stand.sync(connector, model)
    assert [list(p.gone) for p in pages] == [[name]]
    assert model.bodies == {}


async def test_endless_series_are_kept_to_the_horizon_which_moves(stand: Any, model: Any) -> None:
    weekly(stand, recurrence=["RRULE:FREQ=DAILY"])
    single = stand.add(AT + timedelta(days=300))
    connector = stand.connect(horizon_days=30)
    await stand.sync(connector, model)
    assert single in model.bodies, "only series are cut"
    assert len(model.bodies) == 1 + 31
    assert (await connector.census("events", Window())).ids == frozenset(model.bodies)
    stand.clock.advance(10 * 86_400)
    await stand.sync(connector, model)
    assert (len(model.added), model.changed, len(model.bodies)) == (10, [], 42)
    assert (await connector.census("events", Window())).ids == frozenset(model.bodies)
    stand.change(f"{ME}/weekly0", summary="Other")
    await stand.sync(connector, model)
    assert (len(model.added), len(model.changed)) == (0, 41)


# -- what the feed does


async def test_an_expired_token_is_said_and_a_full_sync_finds_what_was_deleted_meanwhile(
    stand: Any, model: Any
) -> None:
    names = [stand.add(AT + timedelta(days=n)) for n in range(5)]
    connector = stand.connect()
    await stand.sync(connector, model)
    stand.google.calendars[ME].events.pop(names[1].rpartition("/")[2])  # no trace is left of it
    stand.google.control("forget", {})
    with pytest.raises(CursorExpired):
        await stand.sync(connector, model)
    assert set(model.bodies) == set(names), "nothing was lost by the error"
    model.restart()
    pages = await stand.sync(connector, model)
    assert set(model.bodies) == set(names) - {names[1]}
    assert pages[-1].is_last
    await stand.sync(connector, model)


async def test_empty_pages_are_not_the_end_and_loops_are_found(stand: Any, model: Any) -> None:
    names = {stand.add(AT + timedelta(hours=n)) for n in range(5)}
    connector = stand.connect(page_size=2)
    stand.google.empty_pages = 2
    assert len(await stand.sync(connector, model)) == 5
    assert set(model.bodies) == names
    stand.google.faults.add("page_loop")
    model.restart()
    with pytest.raises(ContractBroken, match="same page token"):
        await stand.sync(connector, model)


async def test_every_list_asks_alike_and_never_for_an_order(stand: Any, model: Any) -> None:
    stand.add(AT)
    connector = stand.connect()
    await stand.sync(connector, model, Window(since=AT - timedelta(days=1)))
    await stand.sync(connector, model, Window(since=AT - timedelta(days=1)))
    asked = [dict(r.url.params.multi_items()) for r in stand.sent if r.url.path.endswith("/events")]
    assert asked[1].pop("syncToken")
    assert asked[0] == asked[1]
    assert set(asked[0]) == {"singleEvents", "showDeleted", "eventTypes", "maxResults"}


async def test_other_settings_make_an_old_cursor_worthless(stand: Any, model: Any) -> None:
    stand.add(AT)
    await stand.sync(stand.connect(), model)
    for changed in (
        {"private": "busy"},
        {"horizon_days": 10},
        {"calendars": ["primary", "c@group.calendar.google.com"]},
    ):
        with pytest.raises(CursorExpired):
            await stand.sync(stand.connect(**changed), model)
    model.cursor = "{"
    with pytest.raises(CursorExpired):
        await stand.sync(stand.connect(), model)


async def test_a_page_token_that_is_too_old_begins_the_list_again(stand: Any, model: Any) -> None:
    names = {stand.add(AT + timedelta(hours=n)) for n in range(6)}
    connector = stand.connect(page_size=2)
    async for page in connector.pull(Pull("events", None, EVERYTHING, model.held)):
        model.store(page)
        break
    model.cursor = json.dumps({**json.loads(model.cursor), "page": "no longer known"})
    pages = await stand.sync(connector, model)
    assert (set(model.bodies), [p.is_last for p in pages]) == (names, [False, False, True])
    model.cursor = json.dumps({**json.loads(model.cursor), "tokens": {ME: "no longer known"}})
    with pytest.raises(CursorExpired):
        await stand.sync(connector, model)


async def test_a_calendar_that_is_gone_deletes_nothing(stand: Any, model: Any) -> None:
    team = "c_team@group.calendar.google.com"
    stand.connect()
    stand.google.add_calendar(team, {ME: "reader"})
    name = stand.add(AT, team)
    connector = stand.connect(calendars=[team])
    await stand.sync(connector, model)
    del stand.google.calendars[team].roles[ME]
    with pytest.raises(ConfigError, match="no longer shared"):
        await stand.sync(connector, model)
    with pytest.raises(ConfigError, match="not shared"):
        await connector.check()
    assert set(model.bodies) == {name}


async def test_what_moves_out_of_the_window_is_still_told_to_who_holds_it(stand: Any, model: Any) -> None:
    window = Window(since=AT, until=AT + timedelta(days=2))
    name, _ = stand.add(AT), stand.add(AT + timedelta(days=3))
    connector = stand.connect()
    await stand.sync(connector, model, window)
    assert set(model.bodies) == {name}
    stand.change(name, start={"dateTime": "2026-05-01T10:00:00Z"}, end={"dateTime": "2026-05-01T11:00:00Z"})
    await stand.sync(connector, model, window)
    assert stand.meetings(connector, model)[name].occurred_at == datetime(2026, 5, 1, 10, tzinfo=UTC)


async def test_entries_that_are_no_meetings_are_not_read(stand: Any, model: Any) -> None:
    name = stand.add(AT)
    for kind in ("birthday", "focusTime", "outOfOffice", "workingLocation"):
        other = stand.add(AT, eventType=kind)
    connector = stand.connect()
    await stand.sync(connector, model)
    assert set(model.bodies) == {name}
    (record,) = await connector.fetch("events", [other])
    (entity,) = connector.to_canonical("events", record)
    assert isinstance(entity, Unmapped)


# -- private things


@pytest.mark.parametrize("visibility", ["private", "confidential", "a mark nobody knows yet"])
@pytest.mark.parametrize("mode", ["drop", "busy"])
async def test_of_private_events_only_times_come_in(stand: Any, model: Any, mode: str, visibility: str) -> None:
    said = {
        "summary": CANARY, "description": CANARY, "location": CANARY, "visibility": visibility,
        "attendees": [{"email": f"{CANARY}@clinic.example", "displayName": CANARY}],
        "attachments": [{"fileUrl": f"https://files.example/{CANARY}", "title": CANARY}],
        "extendedProperties": {"private": {"note": CANARY}}, "iCalUID": f"{CANARY}@clinic.example",
    }  # fmt: skip
    name = stand.add(AT, **said)
    weekly(stand, **said)
    stand.delete(f"{ME}/weekly0_20260316T080000Z")
    connector = stand.connect(private=mode)
    await stand.sync(connector, model)
    assert len(model.bodies) == 5
    entities = stand.meetings(connector, model)
    assert CANARY not in repr(entities)
    assert CANARY.encode() not in b"".join(model.bodies.values())
    fetched = await connector.fetch("events", sorted(model.bodies))
    assert len(fetched) == 5
    assert CANARY.encode() not in b"".join(r.body for r in fetched)
    meeting = entities[name]
    assert (meeting.occurred_at, meeting.ended_at) == (AT, AT + timedelta(minutes=30))
    if mode == "drop":
        assert (meeting.subject, meeting.participants, meeting.signals) == ("", (), ("private",))
    else:
        owner = Participation(identifier=Identifier("email", ME), role="attendee")
        assert (meeting.subject, meeting.participants, meeting.signals) == ("Busy", (owner,), ())
    # An old record that was stored whole maps no differently.
    stand.google.add_account("open@example.com")
    whole = json.dumps({**said, "id": "x", "start": {"dateTime": "2026-03-12T09:00:00Z"}}).encode()
    (entity,) = connector.to_canonical("events", type(fetched[0])(f"{ME}/x", whole))
    assert CANARY not in repr(entity)


async def test_an_event_that_becomes_private_loses_what_was_held(stand: Any, model: Any) -> None:
    name, connector = stand.add(AT, summary=CANARY), stand.connect()
    await stand.sync(connector, model)
    stand.change(name, visibility="private")
    await stand.sync(connector, model)
    assert CANARY.encode() not in model.bodies[name]
    assert stand.meetings(connector, model)[name].signals == ("private",)


# -- days and zones


async def test_days_are_days(stand: Any, model: Any) -> None:
    connector = stand.connect()
    stand.google.calendars[ME].zone = "Pacific/Auckland"
    one = stand.google.add_event(ME, {"start": {"date": "2026-03-12"}, "end": {"date": "2026-03-13"}})
    three = stand.google.add_event(ME, {"start": {"date": "2026-03-12"}, "end": {"date": "2026-03-15"}})
    rule = {"start": {"date": "2026-03-27"}, "end": {"date": "2026-03-28"}, "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]}
    master = stand.google.add_event(ME, rule)
    await stand.sync(connector, model)
    found = {name.rpartition("/")[2]: m for name, m in stand.meetings(connector, model).items()}
    assert (found[one].all_day, found[one].occurred_at, found[one].ended_at) == (date(2026, 3, 12), None, None)
    assert found[one].dedup_keys[0] == f"ical:{one}@google.com/20260312"
    assert (found[three].all_day_last, found[three].ended_at) == (date(2026, 3, 14), None)
    days = [found[f"{master}_202603{d}"].all_day for d in (27, 28, 29, 30)]
    assert days == [date(2026, 3, d) for d in (27, 28, 29, 30)]


def edges(zone: str, year: int = 2026) -> list[datetime]:
    """The instants of a year at which the zone's offset changes, in UTC."""
    info, found = ZoneInfo(zone), []
    day = datetime(year, 1, 1, tzinfo=UTC)
    while day.year == year:
        offsets = [(day + timedelta(minutes=30 * n)).astimezone(info).utcoffset() for n in (0, 48)]
        if offsets[0] != offsets[1]:
            halves = (day + timedelta(minutes=30 * n) for n in range(1, 49))
            found.append(next(at for at in halves if at.astimezone(info).utcoffset() == offsets[1]))
        day += timedelta(days=1)
    return found


def zones_with_summer_time(n: int) -> dict[str, list[datetime]]:
    names = sorted(z for z in available_timezones() if "/" in z and not z.startswith(("Etc/", "posix/", "right/")))
    found = {}
    for zone in names[:: len(names) // 200]:
        if len(changes := edges(zone)) == 2:
            found[zone] = changes
        if len(found) == n:
            return found
    raise AssertionError(f"only {len(found)} of {n} zones have summer time")


async def test_forty_zones_go_round_at_both_edges_without_a_shift(stand: Any, model: Any) -> None:
    """Google -> hub -> Google -> hub: the same instant, the same zone and the same wall clock, across and after."""
    zones = zones_with_summer_time(40)
    source, target = stand.connect(), stand.connect("copy@example.com", push_calendar="primary")
    shown = {}
    for zone, changes in zones.items():
        for edge in changes:
            for minutes in (-30, 30):
                at = edge + timedelta(minutes=minutes)
                local = at.astimezone(ZoneInfo(zone))
                ends = (at + timedelta(minutes=45)).astimezone(ZoneInfo(zone))
                times = [{"dateTime": t.isoformat(), "timeZone": zone} for t in (local, ends)]
                event_id = stand.google.add_event(ME, {"summary": zone, "start": times[0], "end": times[1]})
                shown[event_id] = (at, local.replace(tzinfo=None), zone)
    await stand.sync(source, model)
    read = {name.rpartition("/")[2]: m for name, m in stand.meetings(source, model).items()}
    changes_ = [
        Change(key=i, kind="interaction", op="upsert", entity=replace(m, external_id=i, dedup_keys=()))
        for i, m in read.items()
    ]
    receipts = await target.push(changes_)
    assert {r.outcome for r in receipts} == {"created"}
    other = type(model)()
    await stand.sync(target, other)
    back = {m.dedup_keys[-1].removeprefix("hub-key:"): m for m in stand.meetings(target, other).values()}
    shifted = 0
    for key, meeting in back.items():
        at, wall, zone = shown[key]
        assert meeting.occurred_at is not None
        local = meeting.occurred_at.astimezone(ZoneInfo(meeting.zone)).replace(tzinfo=None)
        shifted += (meeting.occurred_at, local, meeting.zone) != (at, wall, zone)
        shifted += meeting.ended_at != at + timedelta(minutes=45)
    assert (len(back), shifted) == (40 * 2 * 2, 0)
    assert {r.outcome for r in await target.push(changes_[:8])} == {"unchanged"}


# -- getting in


async def test_check_names_what_is_shared_too_little(stand: Any) -> None:
    stand.connect()
    stand.google.add_account("boss@example.com")
    stand.google.calendars["boss@example.com"].roles[ME] = "freeBusyReader"
    rows = (await stand.connect(calendars=["primary", "boss@example.com"]).check()).permissions
    assert [r.is_granted for r in rows] == [True, False]
    assert "See all event details" in rows[1].detail
    rows = (await stand.connect(push_calendar="boss@example.com").check()).permissions
    assert [(r.action, r.is_granted) for r in rows] == [("read", True), ("write", False)]
    stand.google.calendars["boss@example.com"].roles[ME] = "reader"
    with pytest.raises(ConfigError, match="not for boss"):
        await stand.connect(account="boss@example.com", refresh_token=f"1//refresh-{ME}").check()


async def test_a_service_account_signs_in_for_the_person(stand: Any, model: Any) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    robot = "hub@project.iam.example"
    stand.google.oauth.add_service_account(robot, public.decode(), [READ_SCOPE])
    file = json.dumps({"client_email": robot, "private_key": private.decode()})
    name = stand.add(AT)
    await stand.sync(stand.connect(service_account_key=file), model)
    assert set(model.bodies) == {name}
    stand.tokens.put(f"calendar:{ME}", {})
    with pytest.raises(AuthError):  # the domain's admin delegated reading only
        await stand.connect(service_account_key=file, push_calendar="primary").check()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"account": "nobody"}, "account"),
        ({"client_id": ""}, "client_id"),
        ({"calendars": []}, "calendars"),
        ({"token_url": "https://elsewhere.example/token"}, "token_url"),
        ({"base_url": "http://www.googleapis.com"}, "base_url"),
        ({"webhook_url": "http://hub.example.com/"}, "webhook_url"),
        ({"webhook_url": "https://hub.example.com/", "webhook_secret": "short"}, "webhook_secret"),
        ({"service_account_key": "{}", "client_id": ""}, "service_account_key"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        CalendarSettings(**{"account": ME, "client_id": "c", "refresh_token": "very secret", **given})
    assert "very secret" not in str(caught.value)


def test_the_scopes_are_the_least() -> None:
    given = {"account": ME, "client_id": "c", "refresh_token": "t"}
    assert CalendarSettings(**given).scopes() == (READ_SCOPE,)
    assert CalendarSettings(**given, push_calendar="primary").scopes() == (WRITE_SCOPE,)


async def test_no_sixty_seconds_hold_more_than_google_allows(stand: Any) -> None:
    """Google's minute slides: what was spent at the end of one must not be spent again at the beginning of the next."""
    name, connector = stand.add(AT), stand.connect(queries_per_minute=80)
    stand.google.quota.per_minute = 80
    began = stand.clock.now()
    for _ in range(200):
        await connector.fetch("events", [name])
    took = (stand.clock.now() - began).total_seconds()
    assert stand.google.quota.refusals == 0
    assert 120 < took < 240
    stand.google.quota.per_minute = 20
    for _ in range(30):
        await connector.fetch("events", [name])
    assert stand.google.quota.refusals > 1, "and if it refuses all the same, with 403 and with 429, it is waited out"


# -- the doorbell


def messages(stand: Any) -> list[WebhookRequest]:
    waiting = stand.google.control("messages", {})["messages"]
    return [WebhookRequest("POST", m["url"], m["headers"], b"") for m in waiting]


async def test_channels_are_made_renewed_and_stopped(stand: Any, model: Any) -> None:
    name, connector = stand.add(AT), stand.connect(**BELL)
    await stand.sync(connector, model)
    (first,) = stand.google.channels
    (hello,) = messages(stand)
    connector.verify_webhook(hello)
    assert list(connector.parse_webhook(hello)) == [], "`sync` only says that the channel stands"
    await stand.sync(connector, model)
    assert list(stand.google.channels) == [first]
    stand.change(name, summary="Other")
    (call,) = messages(stand)
    connector.verify_webhook(call)
    (notice,) = connector.parse_webhook(call)
    assert (notice.stream, notice.external_id) == ("events", "")
    assert notice.dedup_id.startswith(first)
    stand.clock.advance(6.5 * 86_400)
    await stand.sync(stand.connect(**BELL), model)
    (second,) = stand.google.channels
    assert second != first, "the old one was stopped"
    with pytest.raises(WebhookRejected):
        stand.connect().verify_webhook(call)
    await connector._channels.stop()
    assert stand.google.channels == {}


async def test_a_channel_that_cannot_be_made_stops_nothing(stand: Any, model: Any) -> None:
    name, connector = stand.add(AT), stand.connect(**BELL)
    refusal = {"error": {"code": 400, "message": "WebHook callback must be HTTPS", "errors": []}}
    stand.google.faults.add("status", path="/watch", status=400, body=refusal)
    await stand.sync(connector, model)
    assert set(model.bodies) == {name}
    assert stand.google.channels == {}
    stand.google.faults.clear()
    stand.google.faults.add("status", path="/watch", status=503)
    await stand.sync(connector, model)
