"""The HubSpot connector reading a portal, over real HTTP against the emulator."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from hub.api import (
    AuthError,
    ContractBroken,
    CursorExpired,
    FakeClock,
    Gone,
    Interaction,
    Page,
    Person,
    Pull,
    RateLimited,
    RawRecord,
    RecordRejected,
    Redirect,
    ScopeError,
    Services,
    Tombstone,
    Transient,
    Window,
)
from hub_hubspot import HubSpot, HubSpotSettings
from hub_hubspot.emulator.stage import Site, Stage
from hub_hubspot.objects import OBJECTS
from hub_hubspot.pull import Cursor, Reader

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
DIALECTS = ("v3", "2026-03", "2026-09")
TLS = httpx.create_ssl_context()  # never used on loopback, and dear to make once per connector


def services(clock: FakeClock) -> Services:
    return Services(clock=clock, jitter=lambda: 0.5, transport=httpx.AsyncHTTPTransport(verify=TLS))


class World:
    """A served portal, a clock it shares with the connector, and what a hub would have stored."""

    def __init__(self, site: Site) -> None:
        self.emulator, self.clock = site.emulator, site.clock
        self.url = str(site.client.base_url)
        self.faults = site.emulator.faults
        self.stored: dict[str, bytes] = {}
        self.made: list[HubSpot] = []

    def connect(self, **settings: Any) -> HubSpot:
        given = {"token": "test-token", "base_url": self.url, **settings}
        made = HubSpot(HubSpotSettings(**given), services(self.clock))
        self.made.append(made)
        return made

    def held(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {i: self.stored[i] for i in ids if i in self.stored}

    async def sync(
        self, hubspot: HubSpot, stream: str, cursor: str | None, window: Window | None = None
    ) -> tuple[list[str], str, int]:
        """(ids of the records given, the last cursor, requests made); the bodies are stored."""
        before, ids, last = hubspot.http.requests, [], cursor or ""
        async for page in hubspot.pull(Pull(stream, cursor, window or Window(), self.held)):
            for record in page.records:
                self.stored[record.external_id] = record.body
                ids.append(record.external_id)
            last = page.cursor
        return ids, last, hubspot.http.requests - before

    def control(self, command: str, **args: Any) -> Any:
        return self.emulator.control(command, args)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
async def world(stage: Stage) -> AsyncIterator[World]:
    world = World(stage.open())
    yield world
    for made in world.made:
        await made.aclose()


async def pages(hubspot: HubSpot, stream: str, cursor: str | None = None) -> list[Page]:
    return [page async for page in hubspot.pull(Pull(stream, cursor, Window()))]


def entities(hubspot: HubSpot, world: World, stream: str) -> list[Any]:
    return [e for i, b in world.stored.items() for e in hubspot.to_canonical(stream, RawRecord(i, b))]


# Backfill


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_backfill_reads_everything_with_associations_in_each_dialect(world: World, dialect: str) -> None:
    world.control("generate", contacts=120, emails=230)
    hubspot = world.connect(api_version=dialect)
    found = await pages(hubspot, "emails")
    assert sum(len(p.records) for p in found) == 230
    assert all(p.is_full for p in found)
    assert [p.is_last for p in found] == [False] * (len(found) - 1) + [True]
    body = msgspec.json.decode(found[0].records[0].body)
    assert set(body) == {"object", "associations"}
    assert body["associations"] == {"contacts": ["1001"], "companies": [], "tickets": []}
    assert "associations" not in body["object"]
    assert (await hubspot.check()).account_id == "4242424"


async def test_backfill_resumes_behind_any_page(world: World) -> None:
    world.control("generate", contacts=330)
    world.control("delete", type="contacts", ids=[1001, 1002])
    hubspot = world.connect()
    whole = await pages(hubspot, "contacts")
    everything = {r.external_id for p in whole for r in p.records}
    assert len(everything) == 330
    for n in range(len(whole) - 1):
        before = {r.external_id for p in whole[: n + 1] for r in p.records}
        after = {r.external_id for p in await pages(hubspot, "contacts", whole[n].cursor) for r in p.records}
        assert before | after == everything


async def test_the_vendors_object_is_kept_byte_for_byte(world: World) -> None:
    world.emulator.seed({"contacts": [{"properties": {"email": "ada@example.com", "firstname": "Ada \u00e9"}}]})
    hubspot = world.connect()
    record = (await pages(hubspot, "contacts"))[0].records[0]
    reader = Reader(hubspot.client, hubspot.settings, world.clock, OBJECTS["contacts"])
    params = {"limit": 1, "properties": ",".join(reader.properties)}
    answer = await hubspot.http.request("GET", "crm/v3/objects/contacts", params=params)
    verbatim = answer.body.removeprefix(b'{"results":[').removesuffix(b"]}")
    assert record.body == b'{"object":' + verbatim + b',"associations":{"companies":[]}}'


async def test_backfill_of_a_window_leaves_other_interactions_out(world: World) -> None:
    world.control("generate", emails=300)  # one a minute up to now
    hubspot = world.connect()
    window = Window(since=NOW - timedelta(minutes=60), until=NOW - timedelta(minutes=30))
    ids, cursor, _ = await world.sync(hubspot, "emails", None, window)
    assert len(ids) == 30
    estimate = await hubspot.estimate("emails", window)
    assert estimate is not None
    assert estimate.records == 30
    assert (await world.sync(hubspot, "emails", cursor, window))[0] == []


async def test_owners_are_our_own_people_and_deactivated_ones_stay(world: World) -> None:
    world.emulator.seed({}, owners=[{"email": "ines@example.org"}, {"email": "old@example.org", "archived": True}])
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "owners", None)
    people = entities(hubspot, world, "owners")
    assert [(p.is_own, p.fields.get("account")) for p in people] == [(True, None), (True, "deactivated")]
    assert (await world.sync(hubspot, "owners", cursor))[2] == 1


async def test_more_associations_than_fit_inline_are_read_in_full(world: World) -> None:
    world.control("generate", contacts=130, notes=1)
    for contact in range(1001, 1131):
        world.control("associate", type="notes", id=1001, to="contacts", to_id=contact)
    page = (await pages(world.connect(), "notes"))[0]
    assert len(msgspec.json.decode(page.records[0].body)["associations"]["contacts"]) == 130


# Incremental


async def test_incremental_and_backfill_end_with_the_same_records(world: World) -> None:
    world.control("generate", contacts=50, companies=5, emails=250)
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "emails", None)
    for minutes in range(5):
        world.clock.advance(60)
        world.control("generate", emails=7)
        world.control("touch", type="emails", ids=[1001 + minutes], properties={"hs_email_subject": f"v{minutes}"})
        _, cursor, _ = await world.sync(hubspot, "emails", cursor)
    incremental, world.stored = world.stored, {}
    await world.sync(hubspot, "emails", None)
    assert len(world.stored) == 285
    assert incremental == world.stored


async def test_many_rows_with_one_timestamp_pass_under_a_small_cap(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub_hubspot.emulator.search.CAP", 200)  # an offset past the first page is refused
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "notes", None)
    world.clock.advance(60)
    world.emulator.seed({"notes": [{"properties": {"hs_note_body": "x", "hs_timestamp": "2026-11-21"}}] * 650})
    ids, cursor, _ = await world.sync(hubspot, "notes", cursor)
    assert len(ids) == len(set(ids)) == 650


async def test_an_idle_stream_costs_one_request(world: World) -> None:
    world.control("generate", contacts=20, emails=40)
    hubspot = world.connect()
    for stream in (s.name for s in hubspot.manifest.streams):
        world.stored.clear()
        _, cursor, _ = await world.sync(hubspot, stream, None)
        world.clock.advance(300)
        ids, _, requests = await world.sync(hubspot, stream, cursor)
        assert requests == 1, stream
        assert ids == [] or stream == "owners"


async def test_after_a_large_change_an_idle_stream_costs_one_request_too(world: World) -> None:
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "notes", None)
    notes = [{"properties": {"hs_note_body": "x", "hs_timestamp": "2026-11-21"}}] * 900
    world.emulator.seed({"notes": notes})
    world.clock.advance(10)
    ids, cursor, _ = await world.sync(hubspot, "notes", cursor)
    assert len(ids) == 900
    for _ in range(5):
        world.clock.advance(60)
        ids, cursor, requests = await world.sync(hubspot, "notes", cursor)
        assert (ids, requests) == ([], 1)
    world.control("touch", type="notes", ids=[1500], properties={"hs_note_body": "new"})
    world.clock.advance(60)
    ids, cursor, _ = await world.sync(hubspot, "notes", cursor)
    assert ids == ["1500"]
    world.clock.advance(1000)  # the lookback is over: all of it is read once more, and then never again
    ids, cursor, requests = await world.sync(hubspot, "notes", cursor)
    assert (ids, requests) == ([], 5)
    ids, cursor, requests = await world.sync(hubspot, "notes", cursor)
    assert (ids, requests) == ([], 1)


async def test_rows_the_index_shows_late_are_not_lost(world: World) -> None:
    hubspot = world.connect()
    world.control("flags", search_lag_s=600)
    _, cursor, _ = await world.sync(hubspot, "contacts", None)
    made = []
    for _ in range(12):
        world.clock.advance(120)
        made.append(await _create(hubspot, "contacts", {"firstname": "Late"}))
        _, cursor, _ = await world.sync(hubspot, "contacts", cursor)
    for _ in range(6):
        world.clock.advance(120)
        _, cursor, _ = await world.sync(hubspot, "contacts", cursor)
    assert set(made) == set(world.stored)


async def _create(hubspot: HubSpot, kind: str, properties: dict[str, str]) -> str:
    answer = await hubspot.http.json("POST", f"crm/v3/objects/{kind}", json={"properties": properties}, safe=False)
    return str(answer["id"])


async def test_a_changed_record_is_read_with_its_associations(world: World) -> None:
    world.control("generate", contacts=3, emails=3)
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "emails", None)
    world.clock.advance(60)
    world.control("associate", type="emails", id=1001, to="contacts", to_id=1003)
    world.control("touch", type="emails", ids=[1001])
    ids, _, _ = await world.sync(hubspot, "emails", cursor)
    assert ids == ["1001"]
    assert msgspec.json.decode(world.stored["1001"])["associations"]["contacts"] == ["1001", "1003"]


async def test_an_association_changed_later_is_found_by_the_sweep(world: World) -> None:
    world.control("generate", contacts=3, emails=3)
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "emails", None)
    world.control("associate", type="emails", id=1002, to="contacts", to_id=1003)
    world.clock.advance(600)
    ids, cursor, _ = await world.sync(hubspot, "emails", cursor)
    assert ids == []
    world.clock.advance(3600)
    ids, cursor, _ = await world.sync(hubspot, "emails", cursor)
    assert ids == ["1002"]
    assert msgspec.json.decode(world.stored["1002"])["associations"]["contacts"] == ["1002", "1003"]


async def test_archived_records_become_tombstones(world: World) -> None:
    world.control("generate", notes=4)
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "notes", None)
    world.control("delete", type="notes", ids=[1002])
    world.clock.advance(3700)
    ids, cursor, _ = await world.sync(hubspot, "notes", cursor)
    assert ids == ["1002"]
    gone = [e for e in entities(hubspot, world, "notes") if isinstance(e, Tombstone)]
    assert [(g.external_id, g.changed_at) for g in gone] == [("1002", NOW)]
    world.clock.advance(3700)
    assert (await world.sync(hubspot, "notes", cursor))[0] == []


@pytest.mark.parametrize("mints_new_id", [False, True])
async def test_merged_contacts_become_redirects(world: World, mints_new_id: bool) -> None:
    world.emulator.seed({"contacts": [{"properties": {"email": f"p{n}@example.com"}} for n in range(3)]})
    hubspot = world.connect()
    _, cursor, _ = await world.sync(hubspot, "contacts", None)
    world.clock.advance(60)
    survivor = world.control("merge", type="contacts", primary=1001, other=1002, mints_new_id=mints_new_id)["id"]
    ids, _, _ = await world.sync(hubspot, "contacts", cursor)
    assert ids == [survivor]
    found = entities(hubspot, world, "contacts")
    redirects = {(r.external_id, r.into) for r in found if isinstance(r, Redirect)}
    expected = {("1002", survivor)} | ({("1001", survivor)} if mints_new_id else set())
    assert redirects == expected
    merged = next(p for p in found if isinstance(p, Person) and p.external_id == survivor)
    assert {i.value for i in merged.identifiers if i.scheme == "email"} == {"p0@example.com", "p1@example.com"}


# What goes wrong


async def test_a_page_loop_stops_the_stream_before_the_cursor_moves(world: World) -> None:
    world.control("generate", contacts=350)
    hubspot = world.connect()
    world.faults.add("page_loop")
    seen: list[Page] = []

    async def read() -> None:
        async for page in hubspot.pull(Pull("contacts", None, Window())):
            seen.append(page)

    with pytest.raises(ContractBroken, match="page loop"):
        await read()
    world.faults.clear()
    rest = await pages(hubspot, "contacts", seen[-1].cursor)
    assert len({r.external_id for p in [*seen, *rest] for r in p.records}) == 350


async def test_a_list_that_begins_again_behind_its_end_is_over(world: World) -> None:
    """Recorded: an `after` far beyond the last id gives page one again."""
    world.control("generate", contacts=150)
    hubspot = world.connect()
    first = (await pages(hubspot, "contacts"))[0]
    cursor = msgspec.json.decode(first.cursor, type=Cursor)
    far = msgspec.structs.replace(cursor, after="99999999", last=1150)
    rest = await pages(hubspot, "contacts", far.encode())
    assert rest[-1].is_last
    assert not [r for p in rest for r in p.records]


async def test_an_unreadable_cursor_is_an_expired_one(world: World) -> None:
    with pytest.raises(CursorExpired):
        await pages(world.connect(), "contacts", "not a cursor")


@pytest.mark.parametrize("fault", ["truncate", "html", "reset"])
async def test_a_broken_answer_never_becomes_a_page(world: World, fault: str) -> None:
    world.control("generate", contacts=10)
    hubspot = world.connect()
    world.faults.add(fault, path="objects/contacts")
    with pytest.raises((Transient, ContractBroken)):
        await pages(hubspot, "contacts")


async def test_a_missing_scope_stops_its_own_stream_and_no_other(world: World) -> None:
    world.control("generate", contacts=3, companies=2, emails=2)
    world.control("associate", type="contacts", id=1001, to="companies", to_id=1001)
    hubspot = world.connect()
    world.faults.add("deny_scope", scope="crm.objects.companies.read")
    with pytest.raises(ScopeError, match=r"crm\.objects\.companies\.read"):
        await pages(hubspot, "companies")
    assert sum(len(p.records) for p in await pages(hubspot, "contacts")) == 3
    matrix = await hubspot.check()
    denied = {(p.stream, p.action): p.scope for p in matrix.permissions if not p.is_granted}
    assert denied[("companies", "read")] == "crm.objects.companies.read"
    assert ("contacts", "read") not in denied


async def test_check_names_each_missing_scope_and_makes_the_unique_property(world: World) -> None:
    hubspot = world.connect()
    world.faults.add("deny_scope", scopes=["sales-email-read", "crm.schemas.companies.write"])
    matrix = await hubspot.check()
    denied = {p.stream: p.scope for p in matrix.permissions if not p.is_granted}
    assert denied == {
        "emails": "sales-email-read",
        "emails:ihub_key": "sales-email-read",
        "companies:ihub_key": "crm.schemas.companies.write",
    }
    assert "upsert:contacts" in matrix.capabilities
    assert "upsert:companies" not in matrix.capabilities
    assert hubspot.time_zone == "Europe/Berlin"


async def test_check_says_when_a_portal_takes_no_upsert(world: World) -> None:
    world.control("flags", engagement_upsert=False)
    matrix = await world.connect().check()
    assert "unique-key:emails" in matrix.capabilities
    assert "upsert:emails" not in matrix.capabilities
    assert "upsert:contacts" in matrix.capabilities


async def test_check_without_write_scopes_is_a_reading_connection(world: World) -> None:
    reading = ["contacts.read", "companies.read", "deals.read", "owners.read"]
    scopes = [f"crm.objects.{s}" for s in reading] + ["tickets", "sales-email-read"]
    world.control("token", value="reader", scopes=scopes)
    matrix = await world.connect(token="reader").check()
    assert all(p.is_granted for p in matrix.permissions if p.action == "read")
    assert not any(p.is_granted for p in matrix.permissions if p.action == "write")
    assert matrix.capabilities == ()


async def test_a_refused_token_is_an_auth_error(world: World) -> None:
    with pytest.raises(AuthError):
        await world.connect(token="wrong").check()


async def test_oauth_refreshes_by_the_clock(world: World) -> None:
    hubspot = world.connect(
        token="", client_id="test-client", client_secret="test-secret", refresh_token="test-refresh"
    )
    await pages(hubspot, "contacts")
    world.clock.advance(1750)
    await pages(hubspot, "contacts")
    assert world.emulator.state()["refreshes"] == 2


async def test_a_rolling_limit_is_waited_for(world: World) -> None:
    world.control("generate", contacts=400)
    world.faults.add("quota", times=2, policy="TEN_SECONDLY_ROLLING")
    ids, _, _ = await world.sync(world.connect(), "contacts", None)
    assert len(ids) == 400
    assert sum(world.clock.slept) >= 20


async def test_the_daily_limit_waits_for_the_portals_midnight(world: World) -> None:
    hubspot = world.connect(time_zone="America/New_York")
    world.faults.add("quota", policy="DAILY")
    with pytest.raises(RateLimited) as caught:
        await pages(hubspot, "contacts")
    assert caught.value.until == datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


async def test_the_days_calls_are_counted_in_the_portals_day(world: World) -> None:
    """UTC's midnight is four in the afternoon there: what the day has left is no more than before."""
    world.emulator.zone = world.emulator.gate.zone = "America/Los_Angeles"
    lent, given = services(world.clock), {"token": "test-token", "base_url": world.url}
    world.made = [HubSpot(HubSpotSettings(**given, daily=0), lent)]
    await world.made[0].check()
    hubspot = HubSpot(HubSpotSettings(**given, daily=40), lent)  # knows of the zone what `check` found
    world.made.append(hubspot)
    world.control("flags", daily=40 + len(world.emulator.requests))
    for _ in range(38):
        await hubspot.client.owners()
    world.clock.advance(16 * 3600)
    with pytest.raises(RateLimited) as caught:
        await hubspot.client.owners()
    assert caught.value.until == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    world.clock.advance(7 * 3600)
    for _ in range(38):
        await hubspot.client.owners()
    assert not [status for _, _, status in world.emulator.requests if status == 429]


async def test_the_vendors_headers_hold_back_before_it_refuses(world: World) -> None:
    world.control("flags", rate_per_10s=8)
    world.control("generate", contacts=1500)
    ids, _, _ = await world.sync(world.connect(), "contacts", None)
    assert len(ids) == 1500
    assert not [status for _, _, status in world.emulator.requests if status == 429]


async def test_a_locked_or_moving_portal_is_waited_for(world: World) -> None:
    hubspot = world.connect()
    world.faults.add("status", status=423, times=1)
    world.faults.add("status", status=477, times=1, headers={"Retry-After": "7"}, body={})
    await pages(hubspot, "contacts")
    assert [round(s) for s in world.clock.slept if s >= 2] == [2, 7]


async def test_an_html_page_for_a_missing_object_is_gone(world: World) -> None:
    with pytest.raises(Gone):
        await world.connect().http.json("GET", "crm/v3/objects/tickets/999999")


async def test_a_poisoned_record_is_rejected_alone(world: World) -> None:
    world.control("generate", emails=5)
    hubspot = world.connect()
    world.faults.add("poison", ids=["1003"], how="enum")
    await world.sync(hubspot, "emails", None)
    good, bad = [], []
    for id_, body in world.stored.items():
        try:
            good += list(hubspot.to_canonical("emails", RawRecord(id_, body)))
        except RecordRejected as exc:
            bad.append((id_, exc.message))
    assert len(good) == 4
    assert bad[0][0] == "1003"
    assert "hs_email_direction" in bad[0][1]
    assert all(isinstance(g, Interaction) for g in good)


# Census and fetch


async def test_the_census_names_what_lists_and_searches_hide(world: World) -> None:
    world.control("generate", contacts=10, emails=40)
    hubspot = world.connect()
    world.faults.add("hide", path="emails", ids=["1005", "1017"])
    await world.sync(hubspot, "emails", None)
    assert len(world.stored) == 38
    census = await hubspot.census("emails", Window())
    assert census is not None
    assert census.ids is not None
    assert census.ids - set(world.stored) == {"1005", "1017"}
    hour = await hubspot.census("emails", Window(since=NOW - timedelta(minutes=10)))
    assert hour is not None
    assert hour.count == 10


async def test_fetch_gives_what_exists_with_associations(world: World) -> None:
    world.control("generate", contacts=2, emails=2)
    hubspot = world.connect()
    found = await hubspot.fetch("emails", ["1001", "999"])
    assert [r.external_id for r in found] == ["1001"]
    await world.sync(hubspot, "emails", None)
    assert found[0].body == world.stored["1001"]
