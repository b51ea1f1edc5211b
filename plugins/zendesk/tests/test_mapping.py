"""From Zendesk's rows to canonical entities: pure, total, and without content in its errors."""

import json
from typing import Any

import pytest

from hub.api import Entity, Identifier, Interaction, Organization, Person, RawRecord, RecordRejected, Ticket, Unmapped
from hub_zendesk import ZendeskSettings
from hub_zendesk.mapping import Mapper

SETTINGS = ZendeskSettings.model_validate(
    {"subdomain": "team", "client_id": "c", "client_secret": "s", "user_fields": {"level": "customer_level"}}
)
AT = "2026-03-01T10:00:00Z"


def mapped(stream: str, body: Any, name: str = "1") -> list[Entity]:
    return list(Mapper(SETTINGS).entities(stream, RawRecord(name, json.dumps(body).encode())))


def comment(ticket: dict[str, Any] | None = None, **more: Any) -> Interaction:
    body = {
        "ticket": {"id": 7, "subject": "Printer", "requester_id": 20, **(ticket or {})},
        "comment": {"id": 70, "created_at": AT, "author_id": 20, "body": "It burns.", **more},
    }
    (found,) = mapped("comments", body, "7-70")
    assert isinstance(found, Interaction)
    return found


def roles(i: Interaction) -> list[tuple[str, str, str]]:
    return [(p.role, p.identifier.scheme, p.identifier.value) for p in i.participants]


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("email", ("email", "message")), ("web", ("helpdesk", "comment")), ("api", ("helpdesk", "comment")),
        ("chat", ("chat", "message")), ("native_messaging", ("chat", "message")), ("voice", ("phone", "call")),
        ("sms", ("sms", "message")), ("facebook", ("social", "message")), ("side_conversation", ("helpdesk", "comment")),
        ("a_new_one", ("helpdesk", "comment")), (None, ("helpdesk", "comment")),
    ],
)  # fmt: skip
def test_each_way_in_has_its_channel(channel: str | None, expected: tuple[str, str]) -> None:
    found = comment(via={"channel": channel, "source": {"from": {}, "to": {}, "rel": None}})
    assert (found.channel, found.kind) == expected


def test_who_wrote_whom_and_which_way() -> None:
    asked = comment()
    assert (asked.direction, roles(asked)) == ("inbound", [("from", "zendesk:users", "20")])
    answered = comment(author_id=5)
    assert (answered.direction, roles(answered)) == (
        None,
        [("from", "zendesk:users", "5"), ("to", "zendesk:users", "20")],
    )
    note = comment(author_id=5, public=False, via={"channel": "email"})
    assert (note.kind, note.channel, note.direction) == ("note", "helpdesk", "internal")
    assert roles(note) == [("author", "zendesk:users", "5"), ("about", "zendesk:users", "20")]
    assert comment({"organization_id": 9}).participants[-1].identifier == Identifier("zendesk:organizations", "9")
    assert comment(author_id=-1).participants[0].identifier.value == "20"  # Zendesk itself is nobody


def test_a_voice_comment_is_a_call_with_its_recording() -> None:
    data = {
        "from": "+15550100", "to": "+15550199", "call_duration": 95, "started_at": "2026-03-01T09:58:00Z",
        "recording_url": "https://team.zendesk.com/r/1",
    }  # fmt: skip
    call = comment(type="VoiceComment", via={"channel": "voice"}, data=data)
    assert (call.kind, call.channel) == ("call", "phone")
    assert call.occurred_at is not None
    assert call.ended_at is not None
    assert (call.ended_at - call.occurred_at).total_seconds() == 95
    assert ("from", "phone", "+15550100") in roles(call)
    assert [a.filename for a in call.attachments] == ["recording"]


def test_attachments_labels_and_links() -> None:
    files = [{"id": 3, "file_name": "crash.log", "content_type": "text/plain", "size": 2532, "thumbnails": []}]
    found = comment({"tags": ["vip", "printer"]}, attachments=files)
    assert [(a.external_id, a.filename, a.media_type, a.size) for a in found.attachments] == [
        ("3", "crash.log", "text/plain", 2532)
    ]
    assert found.labels == ("vip", "printer")
    assert found.thread_refs == ("zendesk-ticket:7",)
    assert found.url == "https://team.zendesk.com/agent/tickets/7"
    assert found.subject == "Printer"


def test_a_merge_notice_is_the_systems() -> None:
    source = {"from": {"ticket_ids": [3]}, "to": {}, "rel": "merge"}
    found = comment(author_id=5, via={"channel": "web", "source": source})
    assert (found.channel, found.signals) == ("system", ("auto",))


def test_our_marker_becomes_our_key_and_leaves_the_text() -> None:
    found = comment(body="Message (e-mail)\n\nHello.\n\n[ihub:key-1]", public=False, author_id=1)
    assert found.dedup_keys == ("hub-key:key-1",)
    assert found.text == "Message (e-mail)\n\nHello."


def ticket(**more: Any) -> dict[str, Any]:
    base = {"id": 7, "created_at": AT, "updated_at": AT, "status": "open", "subject": "Printer", "requester_id": 20}
    return {"ticket": {**base, **more}}


def test_a_ticket_has_status_severity_and_owner() -> None:
    (found,) = mapped("tickets", ticket(priority="urgent", assignee_id=5, organization_id=9))
    assert isinstance(found, Ticket)
    assert (found.title, found.state, found.severity, found.is_closed) == ("Printer", "open", "urgent", False)
    assert found.owner == Identifier("zendesk:users", "5")
    assert found.about == (Identifier("zendesk:users", "20"), Identifier("zendesk:organizations", "9"))
    assert found.thread_refs == ("zendesk-ticket:7",)
    states = [mapped("tickets", ticket(status=s))[0] for s in ("new", "pending", "hold", "solved", "closed")]
    assert [s.is_closed for s in states if isinstance(s, Ticket)] == [False, False, False, True, True]


def test_a_private_ticket_leaves_nothing_behind() -> None:
    (found,) = mapped("tickets", ticket(subject="Zeisig", tags=["vip", "private"]))
    assert found == Unmapped(external_id="7", reason="tagged private")


@pytest.mark.parametrize(
    ("stream", "body"),
    [
        ("tickets", ticket(status="asleep")), ("tickets", ticket(priority="whenever")), ("tickets", {"ticket": []}),
        ("tickets", ticket(created_at="soon")), ("comments", {"ticket": {"id": 7}, "comment": {"id": "Zeisig"}}),
        ("comments", {"ticket": {"id": 7}, "comment": {"id": 1, "created_at": "Zeisig"}}), ("users", {"id": "Zeisig"}),
        ("organizations", [1]), ("satisfaction_ratings", {"id": 1, "score": {"Zeisig": 1}}), ("metric_events", "Zeisig"),
    ],
)  # fmt: skip
def test_a_broken_record_is_rejected_without_telling_what_is_in_it(stream: str, body: Any) -> None:
    with pytest.raises(RecordRejected) as caught:
        mapped(stream, body)
    assert "Zeisig" not in str(caught.value)
    assert caught.value.stream == stream


def test_people_and_companies() -> None:
    row = {
        "id": 20, "name": "Ada Bee", "email": "ada@example.org", "phone": "+15550100", "role": "end-user", "active": True,
        "external_id": "ihub:person-1", "organization_id": 9, "updated_at": AT, "user_fields": {"customer_level": "gold", "vip": True},
    }  # fmt: skip
    (ada,) = mapped("users", row)
    assert isinstance(ada, Person)
    assert ada.identifiers == (
        Identifier("zendesk:users", "20"), Identifier("hub-key", "person-1"), Identifier("email", "ada@example.org"),
        Identifier("phone", "+15550100"),
    )  # fmt: skip
    assert ada.fields == {"phone": "+15550100", "level": "gold", "vip": "true"}
    assert ada.organizations == (Identifier("zendesk:organizations", "9"),)
    assert not ada.is_own
    agent = mapped("users", {**row, "role": "agent", "external_id": "crm-7"})[0]
    assert isinstance(agent, Person)
    assert agent.is_own
    assert Identifier("hub-key", "crm-7") not in agent.identifiers
    (pine,) = mapped("organizations", {"id": 9, "name": "Pine", "domain_names": ["pine.example"], "updated_at": AT})
    assert isinstance(pine, Organization)
    assert pine.identifiers == (Identifier("zendesk:organizations", "9"), Identifier("domain", "pine.example"))


def test_what_was_never_answered_is_no_rating() -> None:
    row = {"id": 1, "score": "unoffered", "created_at": AT, "ticket_id": 7, "requester_id": 20}
    assert isinstance(mapped("satisfaction_ratings", row)[0], Unmapped)
    (bad,) = mapped("satisfaction_ratings", {**row, "score": "bad", "comment": "Slow", "reason": "Took too long"})
    assert isinstance(bad, Interaction)
    assert (bad.direction, bad.status, bad.text) == ("inbound", "bad", "Slow\nTook too long")
