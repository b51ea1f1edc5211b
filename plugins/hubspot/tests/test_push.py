"""Writing to a portal: exactly once, one bad row alone, undone without a trace. Real HTTP against the emulator."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from hub.api import (
    Change,
    FakeClock,
    Identifier,
    Interaction,
    JournalEntry,
    Link,
    Organization,
    Participation,
    Person,
    Pull,
    Receipt,
    ScopeError,
    Services,
    Task,
    Transient,
    Window,
)
from hub_hubspot import HubSpot, HubSpotSettings
from hub_hubspot.emulator import HubSpotEmulator
from hub_hubspot.emulator.stage import Stage

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
KINDS = ("emails", "calls", "meetings", "notes", "communications", "tasks", "contacts", "companies")
TLS = httpx.create_ssl_context()  # never used on loopback, and dear to make once per connector


def services(clock: FakeClock) -> Services:
    return Services(clock=clock, jitter=lambda: 0.5, transport=httpx.AsyncHTTPTransport(verify=TLS))


class Portal:
    """A portal with a connector; `with_key`: our unique property exists, as after `check`."""

    def __init__(self, stage: Stage, with_key: bool = True) -> None:
        site = stage.open()
        self.emulator: HubSpotEmulator = site.emulator
        self.clock: FakeClock = site.clock
        self.faults = site.emulator.faults
        settings = HubSpotSettings.model_validate({"token": "test-token", "base_url": str(site.client.base_url)})
        self.hubspot = HubSpot(settings, services(self.clock))
        if with_key:
            for kind in KINDS:
                body = {"name": "ihub_key", "label": "Key", "type": "string", "fieldType": "text", "groupName": "g"}
                site.call("POST", f"/crm/v3/properties/{kind}", 201, {**body, "hasUniqueValue": True})
            self.emulator.requests.clear()

    def contacts(self, count: int, **properties: str) -> list[str]:
        rows = [{"properties": {"email": f"c{n}@example.com", **properties}} for n in range(count)]
        return self.emulator.seed({"contacts": rows})["contacts"]

    def held(self, kind: str) -> list[dict[str, Any]]:
        return list(self.emulator.control("dump", {"type": kind}))

    def requests(self) -> int:
        return self.hubspot.http.requests


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
async def portal(stage: Stage) -> AsyncIterator[Portal]:
    portal = Portal(stage)
    yield portal
    await portal.hubspot.aclose()


@pytest.fixture
async def bare(stage: Stage) -> AsyncIterator[Portal]:
    """A portal where our property does not exist."""
    portal = Portal(stage, with_key=False)
    yield portal
    await portal.hubspot.aclose()


def message(n: int, *contacts: str, **fields: Any) -> Change:
    given: dict[str, Any] = {
        "external_id": str(n), "kind": "message", "channel": "email", "occurred_at": AT + timedelta(minutes=n),
        "direction": "inbound", "subject": f"Question {n}", "text": f"Hello {n},\n1 < 2 & 3",
        "participants": (
            Participation(identifier=Identifier("email", "ada@example.com"), role="from", name="Ada King"),
            Participation(identifier=Identifier("email", "team@example.org"), role="to"),
        ),
    }  # fmt: skip
    links = tuple(Link(kind="person", key=f"p-{c}", remote_id=c) for c in contacts)
    return Change(key=f"i-{n}", kind="interaction", op="upsert", entity=Interaction(**{**given, **fields}), links=links)


def person(key: str, email: str = "", name: str = "", **fields: str) -> Change:
    identifiers = (Identifier("email", email),) if email else ()
    entity = Person(external_id=key, identifiers=identifiers, name=name, fields=fields)
    return Change(key=key, kind="person", op="upsert", entity=entity)


def outcomes(receipts: list[Receipt]) -> Counter[str]:
    return Counter(r.outcome for r in receipts)


# Plain pushes


async def test_each_interaction_lands_once_with_its_contacts(portal: Portal) -> None:
    ada, ben = portal.contacts(2)
    receipts = await portal.hubspot.push([message(1, ada, ben), message(2, ada)])
    assert outcomes(receipts) == {"created": 2}
    assert [r.key for r in receipts] == ["i-1", "i-2"]
    first, second = portal.held("emails")
    assert first["associations"] == {"contacts": [ada, ben]}
    assert second["associations"] == {"contacts": [ada]}
    held = first["properties"]
    assert held["ihub_key"] == "i-1"
    assert held["hs_email_direction"] == "INCOMING_EMAIL"
    assert held["hs_email_text"] == "Hello 1,\n1 < 2 & 3"
    assert held["hs_email_from_email"] == "ada@example.com"
    assert held["hs_email_to_email"] == "team@example.org"
    assert held["hs_timestamp"] == "2026-03-02T10:31:00Z"
    assert [link.remote_id for link in receipts[0].links] == [ada, ben]


async def test_pushing_again_changes_nothing(portal: Portal) -> None:
    (ada,) = portal.contacts(1)
    changes = [message(n, ada) for n in range(3)]
    known = {r.key: r.remote_id for r in await portal.hubspot.push(changes)}
    again = [
        Change(
            key=c.key, kind=c.kind, op=c.op, entity=c.entity, remote_id=known[c.key], links=c.links
        ) for c in changes
    ]  # fmt: skip
    writes = [p for _, p, _ in portal.emulator.requests if not p.endswith("read")]
    assert outcomes(await portal.hubspot.push(again)) == {"unchanged": 3}
    assert [p for _, p, _ in portal.emulator.requests if not p.endswith("read")] == writes


@pytest.mark.parametrize(
    ("fields", "kind", "expected"),
    [
        ({"kind": "call", "channel": "phone", "ended_at": AT + timedelta(minutes=6), "direction": "outbound"},
         "calls", {"hs_call_duration": "300000", "hs_call_direction": "OUTBOUND", "hs_call_status": "COMPLETED"}),
        ({"kind": "meeting", "channel": "video", "ended_at": AT + timedelta(minutes=31)},
         "meetings", {"hs_meeting_title": "Question 1", "hs_meeting_end_time": "2026-03-02T11:01:00Z"}),
        ({"kind": "note", "channel": "system", "subject": ""},
         "notes", {"hs_note_body": "Hello 1,<br>1 &lt; 2 &amp; 3"}),
        ({"channel": "sms"}, "communications", {"hs_communication_channel_type": "SMS"}),
        ({"channel": "chat", "labels": ("whatsapp",)}, "communications",
         {"hs_communication_channel_type": "WHATS_APP"}),
        ({"channel": "social"}, "communications", {"hs_communication_channel_type": "LINKEDIN_MESSAGE"}),
        ({"channel": "social", "labels": ("mastodon",)}, "notes",
         {"hs_note_body": "Message (Social media, inbound): Question 1<br><br>Hello 1,<br>1 &lt; 2 &amp; 3"}),
        ({"kind": "survey_response", "channel": "web", "direction": None}, "notes",
         {"hs_note_body": "Survey response (Web): Question 1<br><br>Hello 1,<br>1 &lt; 2 &amp; 3"}),
    ],
)  # fmt: skip
async def test_each_kind_becomes_its_own_object(
    portal: Portal, fields: dict[str, Any], kind: str, expected: dict[str, str]
) -> None:
    (ada,) = portal.contacts(1)
    receipts = await portal.hubspot.push([message(1, ada, **fields)])
    assert [r.outcome for r in receipts] == ["created"], receipts
    held = portal.held(kind)[0]
    assert {name: held["properties"][name] for name in expected} == expected
    assert held["associations"] == {"contacts": [ada]}


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland", "America/Santiago"])
async def test_days_are_the_days_of_who_looks_at_the_portal(portal: Portal, zone: str) -> None:
    """West and east of Greenwich, and where a day begins at one because the clocks change at midnight (6 September)."""
    portal.emulator.zone = zone
    spans = {
        1: (date(2026, 9, 6), None),
        2: (date(2026, 9, 5), date(2026, 9, 7)),
        3: (date(2026, 4, 4), date(2026, 4, 5)),
    }
    changes = [
        message(n, kind="meeting", channel="calendar", occurred_at=None, all_day=first, all_day_last=last)
        for n, (first, last) in spans.items()
    ]
    made = await portal.hubspot.push(changes)
    assert outcomes(made) == {"created": 3}
    again = [msgspec.structs.replace(c, remote_id=r.remote_id) for c, r in zip(changes, made, strict=True)]
    assert outcomes(await portal.hubspot.push(again)) == {"unchanged": 3}
    assert [path for _, path, _ in portal.emulator.requests if "account-info" in path] == ["/account-info/v3/details"]
    shown = {}
    for held in (h["properties"] for h in portal.held("meetings")):
        times = ("hs_timestamp", "hs_meeting_start_time", "hs_meeting_end_time")
        instants = [datetime.fromisoformat(held[t]) for t in times]
        at, start, end = (i.astimezone(ZoneInfo(zone)) for i in instants)
        minute = timedelta(minutes=1)
        assert at == start
        assert (instants[1] - minute).astimezone(ZoneInfo(zone)).date() < start.date(), "the day's first minute"
        assert (end.hour, end.minute) == (23, 59)
        shown[held["hs_meeting_title"]] = (start.date(), end.date())
    assert shown == {f"Question {n}": (first, last or first) for n, (first, last) in spans.items()}


async def test_days_of_a_portal_that_keeps_its_zone_to_itself_are_utc(portal: Portal) -> None:
    portal.faults.add("status", path="account-info", status=404)
    day = message(1, kind="meeting", channel="calendar", occurred_at=None, all_day=date(2026, 9, 6))
    assert outcomes(await portal.hubspot.push([day])) == {"created": 1}
    assert portal.held("meetings")[0]["properties"]["hs_meeting_start_time"] == "2026-09-06T00:00:00Z"
    await portal.hubspot.push([day])
    assert len([path for _, path, _ in portal.emulator.requests if "account-info" in path]) == 1, "asked once"
    assert portal.hubspot.time_zone == "", "and not taken for a portal in London when the daily limit is spent"


async def test_a_task_keeps_its_due_date_and_needs_none(portal: Portal) -> None:
    tasks = [
        Task(external_id="t1", title="Call back", due_at=AT, owner=Identifier("hubspot:owners", "70001")),
        Task(external_id="t2", title="Think", is_done=True, changed_at=AT),
    ]
    portal.emulator.seed({}, owners=[{"email": "ines@example.org", "id": 70001}])
    changes = [Change(key=t.external_id, kind="task", op="upsert", entity=t) for t in tasks]
    assert outcomes(await portal.hubspot.push(changes)) == {"created": 2}
    held = [h["properties"] for h in portal.held("tasks")]
    assert [h["hs_timestamp"] for h in held] == ["2026-03-02T10:30:00Z"] * 2
    assert [h["hs_task_status"] for h in held] == ["NOT_STARTED", "COMPLETED"]
    assert held[0]["hubspot_owner_id"] == "70001"


async def test_named_associations_go_others_stay_and_undo_brings_them_back(portal: Portal) -> None:
    ada, ben, cleo = portal.contacts(3)
    (first,) = await portal.hubspot.push([message(1, ada, ben)])
    (mail,) = portal.held("emails")
    portal.emulator.control("associate", {"type": "emails", "id": mail["id"], "to": "contacts", "to_id": cleo})
    over = tuple(Link(kind="person", key=f"p-{c}", remote_id=c) for c in (ben, "987654"))
    parting = msgspec.structs.replace(message(1, ada), remote_id=first.remote_id, unlinks=over)
    (receipt,) = await portal.hubspot.push([parting])
    assert portal.held("emails")[0]["associations"] == {"contacts": [ada, cleo]}
    assert (receipt.links, receipt.unlinked, receipt.error) == ((), over[:1], "")
    assert (await portal.hubspot.push([parting]))[0].unlinked == ()
    (undone,) = await portal.hubspot.undo([JournalEntry(change=parting, receipt=receipt)])
    assert (undone.outcome, undone.error) == ("updated", "")
    assert sorted(portal.held("emails")[0]["associations"]["contacts"]) == [ada, ben, cleo]
    portal.emulator.control("erase", {"type": "contacts", "id": ben})
    (undone,) = await portal.hubspot.undo([JournalEntry(change=parting, receipt=receipt)])
    assert (undone.outcome, "is not valid" in undone.error) == ("failed", True)


async def test_a_link_known_only_by_key_is_resolved(portal: Portal) -> None:
    firm = Organization(external_id="o", name="Pine", identifiers=(Identifier("domain", "pine.example"),))
    await portal.hubspot.push([Change(key="o-1", kind="organization", op="upsert", entity=firm)])
    links = (Link(kind="organization", key="o-1"), Link(kind="person", key="p-nobody"))
    change = message(1)
    receipts = await portal.hubspot.push(
        [Change(key="i-1", kind="interaction", op="upsert", entity=change.entity, links=links)]
    )
    assert portal.held("emails")[0]["associations"] == {"companies": ["1001"]}
    assert receipts[0].outcome == "created"
    assert "p-nobody" in receipts[0].error
    assert [link.remote_id for link in receipts[0].links] == ["1001"]


async def test_a_link_to_a_missing_contact_does_not_sink_the_others(portal: Portal) -> None:
    (ada,) = portal.contacts(1)
    receipts = await portal.hubspot.push([message(1, ada, "987654"), message(2, ada)])
    assert outcomes(receipts) == {"created": 2}
    assert "CONTACT=987654 is not valid" in receipts[0].error
    assert receipts[1].error == ""
    assert [h["associations"] for h in portal.held("emails")] == [{"contacts": [ada]}] * 2


async def test_a_thousand_engagements_take_few_requests(portal: Portal) -> None:
    contacts = portal.contacts(50)
    changes = [message(n, contacts[n % 50], contacts[(n + 1) % 50]) for n in range(1000)]
    receipts = await portal.hubspot.push(changes)
    assert outcomes(receipts) == {"created": 1000}
    assert portal.requests() <= 22
    assert portal.emulator.state()["associations"] == 2000


async def test_long_texts_are_cut_with_a_word(portal: Portal) -> None:
    texts = [message(1, text="é" * 70_000), message(2, text="<" * 70_000, kind="note", channel="system")]
    assert outcomes(await portal.hubspot.push(texts)) == {"created": 2}
    body = portal.held("emails")[0]["properties"]["hs_email_text"]
    note = portal.held("notes")[0]["properties"]["hs_note_body"]
    assert len(body) <= 65_536
    assert len(note) <= 65_536
    assert "cut here" in body
    assert "cut here" in note


# People and companies that are there already


async def test_an_existing_contact_is_adopted_and_not_doubled(portal: Portal) -> None:
    (ada,) = portal.contacts(1, firstname="Ada", jobtitle="Head of Tides")
    receipts = await portal.hubspot.push([person("p-1", "C0@Example.com", first_name="Augusta")])
    assert [(r.outcome, r.remote_id) for r in receipts] == [("updated", ada)]
    assert receipts[0].before == {"firstname": "Ada", "ihub_key": None}
    held = portal.held("contacts")
    assert len(held) == 1
    assert held[0]["properties"]["firstname"] == "Augusta"
    assert held[0]["properties"]["jobtitle"] == "Head of Tides"
    assert held[0]["properties"]["ihub_key"] == "p-1"


async def test_a_contact_known_by_id_only_gets_our_key(portal: Portal) -> None:
    (ada,) = portal.contacts(1)
    change = person("p-1", name="Ada King")
    change = Change(key="p-1", kind="person", op="upsert", entity=change.entity, remote_id=ada)
    receipts = await portal.hubspot.push([change])
    assert [(r.outcome, r.remote_id) for r in receipts] == [("updated", ada)]
    assert portal.held("contacts")[0]["properties"]["email"] == "c0@example.com"
    gone = Change(key="p-2", kind="person", op="upsert", entity=change.entity, remote_id="5555")
    assert "gone" in (await portal.hubspot.push([gone]))[0].error


async def test_two_keys_never_share_a_contact(portal: Portal) -> None:
    portal.emulator.seed(
        {"contacts": [{"properties": {"email": "a@example.com", "hs_additional_emails": "b@example.com"}}]}
    )
    portal.emulator.portal.shelves["contacts"].unique["email"]["b@example.com"] = 1001
    receipts = await portal.hubspot.push([person("p-a", "a@example.com"), person("p-b", "b@example.com")])
    assert [r.outcome for r in receipts] == ["updated", "failed"]
    assert "p-a" in receipts[1].error
    again = await portal.hubspot.push([person("p-b", "b@example.com")])
    assert again[0].outcome == "failed"


async def test_a_duplicate_met_in_the_act_is_adopted(portal: Portal) -> None:
    """The address was taken between our look-up and our write: 409 with the existing id."""
    (ada,) = portal.contacts(1)
    portal.faults.add("vanish", path="contacts/batch/read", times=2)
    receipts = await portal.hubspot.push([person("p-1", "c0@example.com", name="Ada King")])
    assert [(r.outcome, r.remote_id) for r in receipts] == [("updated", ada)]
    assert len(portal.held("contacts")) == 1


# What goes wrong


async def test_one_bad_row_does_not_sink_its_batch(portal: Portal) -> None:
    changes = [person(f"p-{n}", f"p{n}@example.com", name=f"P {n}") for n in range(100)]
    changes[41] = person("p-41", "not an address")
    receipts = await portal.hubspot.push(changes)
    assert outcomes(receipts) == {"created": 99, "failed": 1}
    assert receipts[41].outcome == "failed"
    assert "not an address is invalid" in receipts[41].error
    assert portal.requests() <= 4


async def test_a_batch_refused_as_a_whole_is_halved_down_to_the_row(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portal that ignores objectWriteTraceId refuses all of a batch for one row."""
    from hub_hubspot.emulator.answers import inputs_of

    def strip(body: dict[str, Any], top: int) -> list[dict[str, Any]]:
        return [{k: v for k, v in i.items() if k != "objectWriteTraceId"} for i in inputs_of(body, top)]

    monkeypatch.setattr("hub_hubspot.emulator.answers.inputs_of", strip)
    changes = [person(f"p-{n}", f"p{n}@example.com") for n in range(32)]
    changes[7] = person("p-7", "not an address")
    receipts = await portal.hubspot.push(changes)
    assert outcomes(receipts) == {"created": 31, "failed": 1}
    assert receipts[7].outcome == "failed"
    assert portal.requests() <= 2 + 2 * 6


async def test_a_missing_scope_fails_its_own_objects_only(portal: Portal) -> None:
    portal.faults.add("deny_scope", scope="sales-email-read")
    receipts = await portal.hubspot.push([message(1), message(2, kind="call", channel="phone")])
    assert [r.outcome for r in receipts] == ["failed", "created"]
    assert "sales-email-read" in receipts[0].error
    with pytest.raises(ScopeError):
        await portal.hubspot.push([message(1)])


async def test_an_interaction_without_a_time_fails_alone(portal: Portal) -> None:
    receipts = await portal.hubspot.push([message(1, occurred_at=None), message(2)])
    assert [r.outcome for r in receipts] == ["failed", "created"]


@pytest.mark.parametrize("path", ["upsert", "associate"])
async def test_a_lost_answer_is_never_a_second_object(portal: Portal, path: str) -> None:
    (ada,) = portal.contacts(1)
    portal.faults.add("drop_answer", path=path, every=3, skip=-1)
    changes = [message(n, ada) for n in range(250)]
    receipts = await portal.hubspot.push(changes)
    assert outcomes(receipts) == {"created": 250}
    assert portal.emulator.state()["objects"]["emails"] == 250
    assert portal.emulator.state()["duplicates"] == {}
    assert portal.emulator.state()["associations"] == 250


async def test_after_an_outage_find_and_push_again_end_with_one_of_each(portal: Portal) -> None:
    portal.contacts(1)
    portal.faults.add("drop_answer", path="upsert")  # each attempt is carried out and its answer lost
    changes = [message(n, "1001") for n in range(20)]
    with pytest.raises(Transient) as caught:
        await portal.hubspot.push(changes)
    assert caught.value.is_unknown
    portal.faults.clear()
    found = await portal.hubspot.find("interaction", [c.key for c in changes] + ["i-unknown"])
    assert {f.key for f in found} == {c.key for c in changes}
    receipts = await portal.hubspot.push(changes)
    assert outcomes(receipts) == {"created": 20}
    assert portal.emulator.state()["objects"]["emails"] == 20
    assert portal.emulator.state()["associations"] == 20


async def test_a_changed_object_is_a_conflict(portal: Portal) -> None:
    first = (await portal.hubspot.push([message(1)]))[0]
    portal.clock.advance(60)
    portal.emulator.control("touch", {"type": "emails", "id": first.remote_id, "properties": {}})
    later = message(1, subject="Other")
    change = Change(
        key="i-1", kind="interaction", op="upsert", entity=later.entity, remote_id=first.remote_id,
        expected_version=first.version,
    )  # fmt: skip
    receipt = (await portal.hubspot.push([change]))[0]
    assert receipt.outcome == "failed"
    assert receipt.error.startswith("conflict")


# Portals without upsert, or without our property


@pytest.mark.parametrize("refusal", [400, 404])
async def test_without_upsert_objects_are_created_once_by_key(portal: Portal, refusal: int) -> None:
    portal.emulator.control("flags", {"engagement_upsert": False, "upsert_refusal": refusal})
    (ada,) = portal.contacts(1)
    portal.faults.add("drop_answer", path="batch/create", times=1)
    changes = [message(n, ada) for n in range(30)]
    assert outcomes(await portal.hubspot.push(changes)) == {"created": 30}
    assert portal.emulator.state()["objects"]["emails"] == 30
    assert portal.emulator.state()["associations"] == 30


async def test_without_our_property_the_marker_in_the_text_keeps_it_once(bare: Portal) -> None:
    ada, ben = bare.contacts(2)
    bare.faults.add("drop_answer", path="batch/create", times=1)
    changes = [message(n, ada if n % 2 else ben) for n in range(30)]
    changes += [message(n, ada, kind="note", channel="system") for n in range(30, 40)]
    assert outcomes(await bare.hubspot.push(changes)) == {"created": 40}
    assert bare.emulator.state()["objects"]["emails"] == 30
    assert bare.emulator.state()["objects"]["notes"] == 10
    assert bare.emulator.state()["associations"] == 40
    assert bare.held("emails")[0]["properties"]["hs_email_text"].endswith("[ihub:i-0]")
    assert outcomes(await bare.hubspot.push(changes)) == {"created": 40}  # found, not made: nothing was written
    assert bare.emulator.state()["objects"]["emails"] == 30


async def test_without_our_property_companies_are_refused_and_people_go_by_address(bare: Portal) -> None:
    (ada,) = bare.contacts(1)
    firm = Change(key="o", kind="organization", op="upsert", entity=Organization(external_id="o", name="Pine"))
    receipts = await bare.hubspot.push([firm])
    assert receipts[0].outcome == "failed"
    assert "crm.schemas.companies.write" in receipts[0].error
    people = [person("p-0", "c0@example.com", name="Ada King"), person("p-1", "new@example.com"), person("p-2")]
    receipts = await bare.hubspot.push(people)
    assert [r.outcome for r in receipts] == ["updated", "created", "failed"]
    assert receipts[0].remote_id == ada
    assert len(bare.held("contacts")) == 2


# Echo, delete, undo


@pytest.mark.parametrize("with_key", [True, False])
async def test_what_we_wrote_comes_back_with_our_key(stage: Stage, with_key: bool) -> None:
    here = Portal(stage, with_key)
    (ada,) = here.contacts(1)
    written = {
        "emails": message(1, ada),
        "calls": message(2, ada, kind="call", channel="phone"),
        "communications": message(3, ada, channel="sms"),
    }
    assert outcomes(await here.hubspot.push(list(written.values()))) == {"created": 3}
    for stream, change in written.items():
        read = [page async for page in here.hubspot.pull(Pull(stream, None, Window()))]
        found = [e for p in read for r in p.records for e in here.hubspot.to_canonical(stream, r)]
        assert [e.dedup_keys for e in found if isinstance(e, Interaction)] == [(f"hub-key:{change.key}",)]
        assert isinstance(found[0], Interaction)
        assert isinstance(change.entity, Interaction)
        assert found[0].text == change.entity.text
        assert found[0].occurred_at == change.entity.occurred_at
    await here.hubspot.aclose()


async def test_delete_archives_by_key_and_says_what_was_there(portal: Portal) -> None:
    (ada,) = portal.contacts(1)
    made = await portal.hubspot.push([message(1, ada), message(2, ada, kind="note", channel="system")])
    changes = [Change(key=r.key, kind="interaction", op="delete", remote_id=r.remote_id) for r in made]
    changes.append(Change(key="i-9", kind="interaction", op="delete", remote_id="1001"))
    receipts = await portal.hubspot.push(changes)
    assert [r.outcome for r in receipts] == ["deleted", "deleted", "unchanged"]
    assert receipts[0].before is not None
    assert receipts[0].before["hs_email_subject"] == "Question 1"
    assert portal.emulator.state()["objects"]["emails"] == portal.emulator.state()["objects"]["notes"] == 0


async def test_undo_restores_every_value_and_association(portal: Portal) -> None:
    ada, ben = portal.contacts(2, firstname="Ada")
    firm = portal.emulator.seed({"companies": [{"properties": {"name": "Pine"}}]})["companies"][0]
    before = {kind: portal.held(kind) for kind in ("contacts", "companies", "emails")}
    given = person("p-1", "c0@example.com", name="Augusta King", phone="+44 1632 960001")
    linked = Change(
        key="p-1", kind="person", op="upsert", entity=given.entity,
        links=(Link(kind="organization", key="o", remote_id=firm),),
    )  # fmt: skip
    batches = [[linked], [message(1, ada, ben), message(2, ada)], [person("p-1", "c0@example.com", name="A. K.")]]
    entries = [
        JournalEntry(change=change, receipt=receipt)
        for changes in batches
        for change, receipt in zip(changes, await portal.hubspot.push(changes), strict=True)
    ]
    assert portal.held("contacts") != before["contacts"]
    for _ in range(2):
        receipts = await portal.hubspot.undo(entries)
        assert [r.outcome for r in receipts] == ["updated", "deleted", "deleted", "updated"]
        after = {kind: portal.held(kind) for kind in ("contacts", "companies", "emails")}
        for rows in (*before.values(), *after.values()):
            for row in rows:
                row["properties"].pop("lastmodifieddate", None)
        assert after == before


async def test_undo_of_a_deletion_says_what_a_person_can_do(portal: Portal) -> None:
    made = await portal.hubspot.push([message(1)])
    delete = Change(key="i-1", kind="interaction", op="delete", remote_id=made[0].remote_id)
    entry = JournalEntry(change=delete, receipt=(await portal.hubspot.push([delete]))[0])
    receipt = (await portal.hubspot.undo([entry]))[0]
    assert receipt.outcome == "failed"
    assert "recycle bin" in receipt.error


# Merging


def absorb(stays: str, other: str, kind: str = "person") -> Change:
    return Change(key=f"p1/{other}", kind=kind, op="merge", remote_id=stays, absorbs=other)


@pytest.mark.parametrize("mints_new_id", [False, True])
async def test_two_contacts_are_merged_once(portal: Portal, mints_new_id: bool) -> None:
    """After a lost answer, too: where the one that went leads to is looked up before anything is sent."""
    portal.emulator.control("flags", {"merge_mints_new_id": mints_new_id})
    one, other = portal.contacts(2)
    [first] = await portal.hubspot.push([absorb(one, other)])
    [again] = await portal.hubspot.push([absorb(one, other)])
    [left] = portal.held("contacts")
    assert (first.outcome, first.remote_id, again.outcome, again.remote_id) == (
        "merged",
        left["id"],
        "merged",
        left["id"],
    )
    assert (left["id"] == one) is not mints_new_id
    assert left["properties"]["email"] == "c0@example.com"
    assert left["properties"]["hs_additional_emails"] == "c1@example.com"
    assert sum(path.endswith("/merge") for _, path, _ in portal.emulator.requests) == 1


async def test_companies_are_merged_and_the_further_stage_of_contacts_stays(portal: Portal) -> None:
    names = [{"properties": {"name": name}} for name in ("Kestrel", "Kestrel GmbH")]
    one, other = portal.emulator.seed({"companies": names})["companies"]
    [receipt] = await portal.hubspot.push([absorb(one, other, "organization")])
    assert (receipt.outcome, [c["id"] for c in portal.held("companies")]) == ("merged", [one])
    stays, goes = (
        portal.contacts(1)
        + portal.emulator.seed(
            {"contacts": [{"properties": {"email": "x@example.com", "lifecyclestage": "customer"}}]}
        )["contacts"]
    )
    await portal.hubspot.push([absorb(stays, goes)])
    assert portal.held("contacts")[0]["properties"]["lifecyclestage"] == "customer"


async def test_what_cannot_be_merged_is_refused_in_hubspots_words(portal: Portal) -> None:
    one, other, third, gone = portal.contacts(4)
    portal.emulator.control("delete", {"type": "contacts", "ids": [gone]})
    portal.emulator.control("merge", {"type": "contacts", "primary": third, "other": other})
    many = [{"properties": {"email": f"m{n}@example.com"}} for n in range(249)]
    for of in portal.emulator.seed({"contacts": many})["contacts"]:
        portal.emulator.control("merge", {"type": "contacts", "primary": one, "other": of})
    cases = {
        gone: "not at HubSpot any more",
        other: f"was merged into {third} meanwhile",
        third: "more than 250 identities",
    }
    for absorbs, words in cases.items():
        [receipt] = await portal.hubspot.push([absorb(one, absorbs)])
        assert (receipt.outcome, words in receipt.error) == ("failed", True), receipt.error
    assert {c["id"] for c in portal.held("contacts")} >= {one, third}
