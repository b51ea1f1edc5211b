"""HubSpot's objects to canonical entities: plain functions of a record, no HTTP."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.api import (
    Deal,
    Entity,
    Identifier,
    Interaction,
    Organization,
    Person,
    RawRecord,
    RecordRejected,
    Redirect,
    Task,
    Ticket,
    Tombstone,
)
from hub_hubspot import HubSpotSettings
from hub_hubspot.mapping import Mapper
from hub_hubspot.texts import cut, cut_rich, instant, plain, rich, split_marker, split_name

AT = "2026-03-02T10:30:00Z"
WHEN = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
SETTINGS = HubSpotSettings.model_validate({"token": "t", "portal_id": "4242"})


def raw(properties: Any, associations: dict[str, list[str]] | None = None, **top: Any) -> RawRecord:
    body = {"id": "7", "properties": properties, "createdAt": AT, "updatedAt": AT, "archived": False, **top}
    return RawRecord("7", json.dumps({"object": body, "associations": associations or {}}).encode())


def mapped(stream: str, properties: Any, associations: dict[str, list[str]] | None = None, **top: Any) -> list[Entity]:
    return list(Mapper(SETTINGS).entities(stream, raw(properties, associations, **top)))


def one(stream: str, properties: Any, associations: dict[str, list[str]] | None = None, **top: Any) -> Any:
    (entity,) = mapped(stream, properties, associations, **top)
    return entity


def test_a_contact_with_everything() -> None:
    person, *redirects = mapped(
        "contacts",
        {
            "email": "ada@example.com", "hs_additional_emails": "a.king@example.org; ada@example.com",
            "firstname": "Ada", "lastname": "King", "phone": "+44 1632 960001", "mobilephone": "+44 1632 960002",
            "jobtitle": "Analyst", "company": "Pine", "lifecyclestage": "customer", "hubspot_owner_id": "70001",
            "associatedcompanyid": "12", "hs_merged_object_ids": "3;4", "ihub_key": "p-1",
        },
        {"companies": ["11", "12"]},
    )  # fmt: skip
    assert person == Person(
        external_id="7",
        identifiers=(
            Identifier("hubspot:contacts", "7"),
            Identifier("hub-key", "p-1"),
            Identifier("email", "ada@example.com"),
            Identifier("email", "a.king@example.org"),
            Identifier("phone", "+44 1632 960001"),
            Identifier("phone", "+44 1632 960002"),
        ),
        name="Ada King",
        fields={
            "first_name": "Ada", "last_name": "King", "job_title": "Analyst", "company": "Pine",
            "lifecycle_stage": "customer", "phone": "+44 1632 960001", "mobile": "+44 1632 960002",
        },
        organizations=(Identifier("hubspot:companies", "12"), Identifier("hubspot:companies", "11")),
        owner=Identifier("hubspot:owners", "70001"),
        changed_at=WHEN,
        url="https://app.hubspot.com/contacts/4242/record/0-1/7",
    )  # fmt: skip
    assert redirects == [Redirect(external_id="3", into="7"), Redirect(external_id="4", into="7")]


def test_a_contact_with_nothing_is_still_a_person() -> None:
    person = one("contacts", {"email": None, "firstname": None, "hs_object_id": "7"})
    assert isinstance(person, Person)
    assert person.identifiers == (Identifier("hubspot:contacts", "7"),)
    assert person.name == ""


def test_a_company() -> None:
    company = one("companies", {"name": "Pine", "domain": "pine.example", "hs_additional_domains": "pine.org;"})
    assert isinstance(company, Organization)
    assert company.identifiers[1:] == (Identifier("domain", "pine.example"), Identifier("domain", "pine.org"))
    assert company.parent is None
    branch = one("companies", {"name": "Pine North", "hs_parent_company_id": "12"})
    assert isinstance(branch, Organization)
    assert branch.parent == Identifier("hubspot:companies", "12")


def test_an_owner_is_one_of_us() -> None:
    body = {"id": "70001", "email": "ines@example.org", "firstName": "Ines", "lastName": "", "archived": False}
    (person,) = Mapper(SETTINGS).entities("owners", RawRecord("70001", json.dumps(body).encode()))
    assert isinstance(person, Person)
    assert person.is_own
    assert person.identifiers == (Identifier("hubspot:owners", "70001"), Identifier("email", "ines@example.org"))


def test_deal_ticket_and_task() -> None:
    links = {"contacts": ["1"], "companies": ["2"]}
    about = (Identifier("hubspot:contacts", "1"), Identifier("hubspot:companies", "2"))
    deal = one("deals", {"dealname": "D", "hs_is_closed": "true", "amount": "12.50", "closedate": AT}, links)
    assert isinstance(deal, Deal)
    assert (deal.is_closed, deal.amount, deal.closes_at, deal.about) == (True, "12.50", WHEN, about)
    ticket = one("tickets", {"subject": "T", "hs_ticket_priority": "HIGH", "closed_date": "1772447400000"}, links)
    assert isinstance(ticket, Ticket)
    assert (ticket.severity, ticket.closed_at, ticket.is_closed) == ("high", WHEN, True)
    assert ticket.thread_refs == ("hubspot-ticket:7",)
    task = one("tasks", {"hs_task_subject": "S", "hs_task_status": "COMPLETED", "hs_timestamp": AT}, links)
    assert isinstance(task, Task)
    assert (task.is_done, task.due_at, task.about) == (True, WHEN, about)


HEADERS = {
    "from": {"email": "ada@example.com", "firstName": "Ada", "lastName": None},
    "to": [{"email": "team@example.org"}], "cc": [{"email": "c@example.net"}, {"email": None}], "bcc": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("INCOMING_EMAIL", "inbound"), ("EMAIL", "outbound"), ("FORWARDED_EMAIL", None), (None, None)],
)
def test_an_email(direction: str | None, expected: str | None) -> None:
    email = one(
        "emails",
        {
            "hs_timestamp": AT, "hs_email_direction": direction, "hs_email_status": "SENT", "hs_email_subject": "Hi",
            "hs_email_text": "Words", "hs_email_headers": json.dumps(HEADERS),
            "hs_email_message_id": "<Id-1@mail.example>", "hs_email_thread_id": "t9", "ihub_key": "i-1",
        },
        {"contacts": ["1"], "companies": ["2"], "tickets": ["3"]},
    )  # fmt: skip
    assert isinstance(email, Interaction)
    assert (email.kind, email.channel, email.direction, email.occurred_at) == ("message", "email", expected, WHEN)
    assert [(p.role, p.identifier.value) for p in email.participants] == [
        ("from", "ada@example.com"), ("to", "team@example.org"), ("cc", "c@example.net"), ("about", "1"),
        ("about", "2"),
    ]  # fmt: skip
    assert email.participants[0].name == "Ada"
    assert email.dedup_keys == ("message-id:Id-1@mail.example", "hub-key:i-1")
    assert email.thread_refs == ("message-id:Id-1@mail.example", "hubspot-thread:t9", "hubspot-ticket:3")
    assert (email.text, email.status) == ("Words", "sent")


def test_an_email_without_header_property_uses_the_plain_addresses() -> None:
    properties = {
        "hs_timestamp": AT,
        "hs_email_from_email": "a@example.com",
        "hs_email_to_email": "b@example.com;c@example.com",
    }
    email = one("emails", {**properties, "hs_email_html": "<style>x{}</style><p>Good&nbsp;day</p><p>Ada</p>"})
    assert [p.identifier.value for p in email.participants] == ["a@example.com", "b@example.com", "c@example.com"]
    assert email.text.split() == ["Good", "day", "Ada"]


def test_a_call() -> None:
    call = one(
        "calls",
        {
            "hs_timestamp": AT, "hs_call_title": "Intro", "hs_call_direction": "INBOUND", "hs_call_duration": "90000",
            "hs_call_from_number": "+44 1632 960001", "hs_call_status": "COMPLETED", "hubspot_owner_id": "70001",
            "hs_call_disposition": "f240bbac-87c9-4f6e-bf70-924b57d47db7", "hs_call_body": "A <b>good</b><br>talk",
        },
        {"contacts": ["1"]},
    )  # fmt: skip
    assert (call.kind, call.channel, call.direction) == ("call", "phone", "inbound")
    assert call.ended_at == datetime(2026, 3, 2, 10, 31, 30, tzinfo=UTC)
    assert [(p.role, p.identifier.scheme) for p in call.participants] == [
        ("from", "phone"), ("about", "hubspot:contacts"), ("agent", "hubspot:owners"),
    ]  # fmt: skip
    assert (call.labels, call.text, call.status) == (("connected",), "A good\ntalk", "completed")


@pytest.mark.parametrize(
    ("place", "channel"),
    [
        ({"hs_meeting_external_url": "https://meet.example/1"}, "video"),
        ({"hs_meeting_location": "Quay Street"}, "in_person"),
        ({}, "calendar"),
    ],
)
def test_a_meeting(place: dict[str, str], channel: str) -> None:
    times = {"hs_timestamp": AT, "hs_meeting_start_time": AT, "hs_meeting_end_time": "2026-03-02T11:00:00Z"}
    meeting = one("meetings", {**times, **place, "hs_meeting_outcome": "NO_SHOW"}, {"contacts": ["1"]})
    assert (meeting.channel, meeting.status) == (channel, "no_show")
    assert (meeting.ended_at - meeting.occurred_at).total_seconds() == 1800
    assert meeting.participants[0].role == "attendee"


def test_a_note_and_a_communication() -> None:
    note = one("notes", {"hs_timestamp": AT, "hs_note_body": "<div>a &lt; b</div><div>c</div>"})
    assert (note.kind, note.direction, note.text) == ("note", "internal", "a < b\nc")
    sms = one("communications", {"hs_timestamp": AT, "hs_communication_channel_type": "WHATS_APP"})
    assert (sms.kind, sms.channel, sms.labels) == ("message", "chat", ("whatsapp",))


def test_an_archived_object_is_a_tombstone() -> None:
    found = one("notes", {}, archived=True, archivedAt=AT)
    assert found == Tombstone(external_id="7", changed_at=WHEN)


@pytest.mark.parametrize(
    ("stream", "properties", "name", "value"),
    [
        ("emails", {"hs_timestamp": AT, "hs_email_direction": "SIDEWAYS"}, "hs_email_direction", "SIDEWAYS"),
        ("emails", {"hs_timestamp": AT, "hs_email_status": "EATEN"}, "hs_email_status", "EATEN"),
        ("emails", {"hs_timestamp": AT, "hs_email_headers": "{"}, "hs_email_headers", "{"),
        ("calls", {"hs_timestamp": AT, "hs_call_direction": "UP"}, "hs_call_direction", "UP"),
        ("calls", {"hs_timestamp": AT, "hs_call_duration": "long"}, "hs_call_duration", "long"),
        ("meetings", {"hs_timestamp": AT, "hs_meeting_outcome": "EPIC"}, "hs_meeting_outcome", "EPIC"),
        ("tasks", {"hs_timestamp": AT, "hs_task_status": "MAYBE"}, "hs_task_status", "MAYBE"),
        ("communications", {"hs_timestamp": AT, "hs_communication_channel_type": "FAX"},
         "hs_communication_channel_type", "FAX"),
        ("notes", {"hs_timestamp": "yesterday-ish"}, "hs_timestamp", "yesterday-ish"),
        ("notes", {}, "hs_timestamp", "missing"),
    ],
)  # fmt: skip
def test_an_unknown_value_is_named(stream: str, properties: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        mapped(stream, properties)
    assert name in caught.value.message
    assert value in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"object":{}}', b'{"object":{"id":"1","properties":["x"]}}', b"\xff\xfe",
        b'{"object":{"id":"1","properties":{"email":{"a":1}}}}', b"[" * 5000,
        b'{"object":{"id":"1","properties":{"hs_timestamp":"99999999999999999999"}}}',
        b'{"object":{"id":"1","properties":{"hs_timestamp":"9999-12-31T00:00:00Z","hs_call_duration":"9e18"}}}',
    ],
)  # fmt: skip
def test_a_broken_record_is_rejected_and_nothing_else(body: bytes) -> None:
    for stream in ("contacts", "calls", "owners"):
        try:
            list(Mapper(SETTINGS).entities(stream, RawRecord("1", body)))
        except RecordRejected:
            continue


def test_texts() -> None:
    assert plain("a < b") == "a < b"
    assert plain(rich("a < b & c\nd  <x>")) == "a < b & c\nd  <x>"
    assert split_marker("Hello\n\n[ihub:i-1]") == ("Hello", "i-1")
    assert split_marker("[ihub:x] first") == ("[ihub:x] first", "")
    assert split_name("Ada Lovelace King") == ("Ada Lovelace", "King")
    assert split_name("Ada") == ("Ada", "")
    assert len(cut("x" * 100, 80, "[tail]")) == 80
    assert cut("x" * 100, 80, "[tail]").endswith("[tail]")
    assert len(cut_rich("<" * 1000, 500, "[t]")) <= 500
    assert instant("1772447400000") == instant(AT) == WHEN
    assert instant("") is None
