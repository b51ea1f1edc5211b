"""Fields written back to records a portal has, and opt-outs: exactly what was named, once, and undone."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from hub.api import (
    Change,
    Consent,
    FakeClock,
    Identifier,
    JournalEntry,
    Organization,
    Person,
    Pull,
    RawRecord,
    Receipt,
    ScopeError,
    Services,
    Window,
)
from hub_hubspot import HubSpot, HubSpotSettings
from hub_hubspot.emulator import HubSpotEmulator
from hub_hubspot.emulator.stage import Stage

pytestmark = pytest.mark.anyio
TLS = httpx.create_ssl_context()
RENEWAL = {"name": "renewal_date", "label": "Renewal", "type": "date", "fieldType": "date", "groupName": "g"}


class Portal:
    """A portal, with one property of its own, and connectors to it."""

    def __init__(self, stage: Stage) -> None:
        self.site = stage.open()
        self.emulator: HubSpotEmulator = self.site.emulator
        self.clock: FakeClock = self.site.clock
        self.site.call("POST", "/crm/v3/properties/contacts", 201, RENEWAL)
        self.emulator.requests.clear()
        self.made: list[HubSpot] = []

    def connect(self, **settings: Any) -> HubSpot:
        given = {"token": "test-token", "base_url": str(self.site.client.base_url), **settings}
        transport = httpx.AsyncHTTPTransport(verify=TLS)
        services = Services(clock=self.clock, jitter=lambda: 0.5, transport=transport)
        self.made.append(HubSpot(HubSpotSettings.model_validate(given), services))
        return self.made[-1]

    def contact(self, **properties: str) -> str:
        rows = [{"properties": {"email": "ada@example.com", "firstname": "Ada", **properties}}]
        return self.emulator.seed({"contacts": rows})["contacts"][0]

    def held(self, id_: str) -> dict[str, str]:
        found = self.emulator.find("contacts", id_)
        assert found is not None
        return {k: v for k, v in found.items() if not k.startswith(("hs_", "create", "lastmod", "lifecycle"))}

    def writes(self) -> list[str]:
        """Paths that change something, since the last asking."""
        found = [p for m, p, _ in self.emulator.requests if m != "GET" and not p.endswith(("/read", "/search"))]
        self.emulator.requests.clear()
        return found


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
async def portal(stage: Stage) -> AsyncIterator[Portal]:
    found = Portal(stage)
    yield found
    for connector in found.made:
        await connector.aclose()


def fields(remote_id: str, key: str = "p-1", **named: str) -> Change:
    entity = Person(external_id=key, fields=named)
    return Change(key=key, kind="person", op="upsert", entity=entity, remote_id=remote_id)


def opt_out(address: str = "ada@example.com", state: Any = "opted_out", channel: Any = "email") -> Change:
    who = Identifier("email", address)
    at = datetime.fromisoformat("2026-03-02T10:30:00+00:00")
    entity = Consent(external_id=address, identifier=who, channel=channel, state=state, at=at, evidence="a form")
    return Change(key=f"out:{address}", kind="consent", op="upsert", entity=entity)


async def only(connector: HubSpot, change: Change) -> Receipt:
    (receipt,) = await connector.push([change])
    return receipt


async def entities(connector: HubSpot, id_: str) -> list[Any]:
    return list(connector.to_canonical("contacts", (await connector.fetch("contacts", [id_]))[0]))


async def test_only_what_is_named_changes_and_a_blank_empties(portal: Portal) -> None:
    id_ = portal.contact(phone="1", jobtitle="Analyst", city="Bath")
    hubspot, before = portal.connect(), portal.held(id_)
    change = fields(id_, phone="+44 1632 960001", job_title="", address="1 High Street")
    receipt = await only(hubspot, change)
    assert (receipt.outcome, receipt.remote_id) == ("updated", id_)
    assert receipt.before == {"phone": "1", "jobtitle": "Analyst", "address": None}
    changed = {k: v for k, v in before.items() if k != "jobtitle"}
    assert portal.held(id_) == {**changed, "phone": "+44 1632 960001", "address": "1 High Street"}
    assert len(portal.writes()) == 1, "no key of ours, no name, no address besides"
    assert (await only(hubspot, change)).outcome == "unchanged"
    assert portal.writes() == []
    entry = JournalEntry(change=change, receipt=receipt)
    for _ in range(2):
        assert [r.outcome for r in await hubspot.undo([entry])] == ["updated"]
        assert portal.held(id_) == before


async def test_two_records_of_one_person_are_each_meant_by_their_id(portal: Portal) -> None:
    first, second = portal.contact(), portal.contact(email="ada@example.org")
    hubspot = portal.connect()
    await hubspot.check()
    portal.emulator.control("touch", {"type": "contacts", "ids": [second], "properties": {"ihub_key": "p-1"}})
    assert (await only(hubspot, fields(first, city="Bath"))).remote_id == first
    assert (portal.held(first)["city"], portal.held(second).get("city")) == ("Bath", None)
    assert "ihub_key" not in portal.held(first)


async def test_an_unknown_field_is_refused_by_name_and_the_others_of_the_batch_go_on(portal: Portal) -> None:
    id_, hubspot = portal.contact(), portal.connect()
    receipts = await hubspot.push([fields(id_, shoe_size="7", city="Bath"), fields(id_, "p-2", city="York")])
    assert [r.outcome for r in receipts] == ["failed", "updated"]
    assert "shoe_size" in receipts[0].error
    assert (await only(hubspot, fields(id_, lifecycle_stage="lead"))).outcome == "failed"
    # No batch takes an id twice.
    twice = await hubspot.push([fields(id_, city="Ely"), fields(id_, "p-2", country="UK")])
    assert [r.outcome for r in twice] == ["updated", "updated"]
    assert (portal.held(id_)["city"], portal.held(id_)["country"]) == ("Ely", "UK")


async def test_what_is_gone_fails_and_what_was_merged_is_followed(portal: Portal) -> None:
    gone, loser, winner = portal.contact(), portal.contact(email="b@example.com"), portal.contact(email="c@example.com")
    hubspot, count = portal.connect(), len(portal.emulator.control("dump", {"type": "contacts"}))
    portal.emulator.control("delete", {"type": "contacts", "ids": [gone]})
    args = {"type": "contacts", "primary": winner, "other": loser, "mints_new_id": True}
    survivor = str(portal.emulator.control("merge", args)["id"])
    receipts = await hubspot.push([fields(gone, city="Bath"), fields(loser, "p-2", city="Bath")])
    assert (receipts[0].outcome, receipts[0].error[:5]) == ("failed", "gone:")
    assert (receipts[1].outcome, receipts[1].remote_id) == ("updated", survivor)
    assert portal.held(survivor)["city"] == "Bath"
    assert len(portal.emulator.control("dump", {"type": "contacts"})) == count - 2
    stale = Change(key="p-2", kind="person", op="upsert", entity=Person(external_id="p-2", fields={"city": "Ely"}),
                   remote_id=survivor, expected_version="2020-01-01T00:00:00.000Z")  # fmt: skip
    assert "conflict" in (await only(hubspot, stale)).error


async def test_an_own_property_is_read_and_written_and_never_made(portal: Portal) -> None:
    id_ = portal.contact(renewal_date="2026-12-01")
    hubspot = portal.connect(person_fields={"last_meeting": "renewal_date", "nick": "nick_name"})
    assert {"last_meeting", "nick", "phone"} <= hubspot.writable("person")
    assert not {"lifecycle_stage", "language"} & hubspot.writable("person")
    assert hubspot.writable("interaction") == frozenset()
    (person,) = await entities(hubspot, id_)
    assert person.fields["last_meeting"] == "2026-12-01"
    change = fields(id_, last_meeting="2027-01-31")
    assert (await only(hubspot, change)).outcome == "updated"
    assert portal.held(id_)["renewal_date"] == "2027-01-31"
    assert (await only(hubspot, change)).outcome == "unchanged"
    refused = await only(hubspot, fields(id_, nick="Countess"))
    assert (refused.outcome, "nick_name" in refused.error) == ("failed", True)
    denied = {p.stream: p.detail for p in (await hubspot.check()).permissions if not p.is_granted}
    assert list(denied) == ["contacts:nick_name"]
    assert "create it there" in denied["contacts:nick_name"]
    portal.site.call("GET", "/crm/v3/properties/contacts/nick_name", 404)


async def test_a_day_in_a_property_for_times_is_a_day(portal: Portal) -> None:
    portal.site.call("POST", "/crm/v3/properties/contacts", 201, {**RENEWAL, "name": "met", "type": "datetime"})
    id_, hubspot = portal.contact(), portal.connect(person_fields={"last_meeting": "met"})
    change = fields(id_, last_meeting="2027-01-31")
    assert [(await only(hubspot, change)).outcome for _ in range(2)] == ["updated", "unchanged"]
    (person,) = await entities(hubspot, id_)
    assert person.fields["last_meeting"] == "2027-01-31"


@pytest.mark.parametrize("named", [{"key": "ihub_key"}, {"mail": "email"}, {"a": "city", "b": "city"}, {"A b": "city"}])
def test_properties_of_the_hub_and_doubles_cannot_be_named(named: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HubSpotSettings.model_validate({"token": "t", "person_fields": named})


async def test_a_company_is_written_by_its_id(portal: Portal) -> None:
    (id_,) = portal.emulator.seed({"companies": [{"properties": {"name": "Pine", "domain": "pine.example"}}]})[
        "companies"
    ]
    entity = Organization(external_id="o-1", fields={"description": "Boards", "phone": "1"})
    change = Change(key="o-1", kind="organization", op="upsert", entity=entity, remote_id=id_)
    assert (await only(portal.connect(), change)).outcome == "updated"
    held = portal.emulator.find("companies", id_)
    assert held is not None
    assert (held["name"], held["description"], held["phone"]) == ("Pine", "Boards", "1")


async def test_every_read_asks_for_every_field(portal: Portal) -> None:
    """A property left out of one kind of answer would look as if it had been emptied."""
    id_ = portal.contact(renewal_date="2026-12-01", jobtitle="Analyst", address="1 High Street")
    hubspot = portal.connect(person_fields={"renewal": "renewal_date"})
    cursor: str | None = None
    for _ in range(2):  # the list, then the search; `entities` reads singly
        records: dict[str, RawRecord] = {}
        async for page in hubspot.pull(Pull("contacts", cursor, Window())):
            cursor, records = page.cursor, records | {r.external_id: r for r in page.records}
        (person, *_) = hubspot.to_canonical("contacts", records[id_])
        assert [person] == await entities(hubspot, id_)
        assert isinstance(person, Person)
        assert set(person.fields) == {"first_name", "job_title", "address", "renewal", "lifecycle_stage"}
        portal.emulator.control("touch", {"type": "contacts", "ids": [id_], "properties": {"firstname": "Augusta"}})
        portal.clock.advance(60)


@pytest.mark.parametrize("api_version", ["v3", "2026-03"])
async def test_an_opt_out_leaves_all_mail_once_and_for_good(portal: Portal, api_version: str) -> None:
    id_, hubspot = portal.contact(), portal.connect(api_version=api_version)
    assert [type(e) for e in await entities(hubspot, id_)] == [Person]
    portal.emulator.faults.add("drop_answer", method="POST", path="unsubscribe-all", times=1)
    receipt = await only(hubspot, opt_out("Ada@example.com"))
    assert (receipt.outcome, receipt.remote_id) == ("updated", id_)
    assert portal.emulator.preferences.statuses["ada@example.com", "EMAIL"][0][0] == "UNSUBSCRIBED"
    _, said = await entities(hubspot, id_)
    assert (said.state, said.identifier.value, said.channel) == ("opted_out", "ada@example.com", "email")
    assert "hs_email_optout" in said.evidence
    portal.writes()
    assert (await only(hubspot, opt_out())).outcome == "unchanged"
    (undone,) = await hubspot.undo([JournalEntry(change=opt_out("Ada@example.com"), receipt=receipt)])
    assert (undone.outcome, "never taken back" in undone.error) == ("unchanged", True)
    assert portal.writes() == []
    assert await hubspot.find("consent", ["out:ada@example.com"]) == []


@pytest.mark.parametrize("state", ["opted_in", "unknown"])
async def test_nothing_but_an_opt_out_is_ever_sent(portal: Portal, state: str) -> None:
    portal.contact()
    hubspot = portal.connect()
    portal.emulator.requests.clear()
    receipt = await only(hubspot, opt_out(state=state))
    assert (receipt.outcome, portal.emulator.requests) == ("failed", [])


async def test_who_is_no_contact_gets_no_mail_and_another_channel_has_no_place(portal: Portal) -> None:
    portal.contact()
    for change in (opt_out("nobody@example.com"), opt_out(channel="sms")):
        assert (await only(portal.connect(), change)).outcome == "unchanged"
    assert portal.emulator.preferences.statuses == {}


async def test_without_the_scope_check_says_so_and_no_outcome_is_invented(portal: Portal) -> None:
    portal.contact()
    hubspot = portal.connect()
    portal.emulator.faults.add("deny_scope", scope="communication_preferences.read_write")
    denied = [(p.stream, p.scope) for p in (await hubspot.check()).permissions if not p.is_granted]
    assert denied == [("consent", "communication_preferences.read_write")]
    with pytest.raises(ScopeError):
        await hubspot.push([opt_out()])
