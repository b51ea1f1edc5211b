"""Mailchimp's records in the hub's words: pure, no calls."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.api import Consent, Entity, Identifier, Interaction, Person, RawRecord, RecordRejected, Unmapped
from hub_mailchimp import MailchimpSettings
from hub_mailchimp.mapping import Mapper

SENT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MAPPER = Mapper(MailchimpSettings.model_validate({"api_key": "k-us1", "merge_fields": {"first_name": "FNAME"}}))


def member(**fields: Any) -> list[Entity]:
    row = {
        "id": "md5", "contact_id": "c1", "email_address": "Ada@Example.org", "status": "subscribed", "list_id": "a1",
        "last_changed": "2026-03-02T10:00:00+00:00", "timestamp_opt": "2025-01-01T00:00:00+00:00", "ip_opt": "198.51.100.7",
        "merge_fields": {"FNAME": "Ada"}, "source": "Hosted Signup Form", **fields,
    }  # fmt: skip
    return list(MAPPER.entities("members", RawRecord("a1/c1", json.dumps(row).encode())))


def consent(**fields: Any) -> Consent | None:
    return next((e for e in member(**fields) if isinstance(e, Consent)), None)


def person(**fields: Any) -> Person:
    return next(e for e in member(**fields) if isinstance(e, Person))


def event(action: str, seconds: int = 86_400, ip: str = "", stream: str = "activity", **fields: Any) -> Interaction:
    at = (SENT + timedelta(seconds=seconds)).isoformat()
    row = {
        "email_id": "md5",
        "email_address": "ada@example.org",
        "event": {"action": action, "timestamp": at, "ip": ip, **fields},
    }
    campaign = {"id": "c", "subject_line": "News", "list_name": "Newsletter", "send_time": SENT.isoformat()}
    raw = RawRecord("c/md5/x", json.dumps({"campaign": campaign, "row": row}).encode())
    return next(e for e in MAPPER.entities(stream, raw) if isinstance(e, Interaction))


def test_a_person_with_everything() -> None:
    merged = {
        "FNAME": "Ada", "COMPANY": "Pine Wharf", "IHUBKEY": "k1", "SCORE": 7, "EMPTY": "",
        "ADDRESS": {"addr1": "1 Quay", "addr2": "", "city": "Whitby", "zip": "YO21", "country": "GB"},
    }  # fmt: skip
    found = person(merge_fields=merged, full_name="Ada Lovelace", tags=[{"id": 2, "name": "Met"}, {"id": 1, "name": "B"}],
                   sms_phone_number="+441632960001", vip=True, language="en")  # fmt: skip
    assert found.name == "Ada Lovelace"
    assert found.fields == {
        "first_name": "Ada", "company": "Pine Wharf", "score": "7", "address": "1 Quay, YO21, Whitby, GB", "vip": "yes",
        "email_status": "subscribed", "language": "en", "tags": "B; Met", "mobile": "+441632960001",
    }  # fmt: skip
    assert found.identifiers == (
        Identifier("mailchimp:members", "a1/c1"), Identifier("email", "Ada@Example.org"),
        Identifier("mailchimp:hash", "md5"), Identifier("phone", "+441632960001"), Identifier("hub-key", "k1"),
    )  # fmt: skip


@pytest.mark.parametrize("merged", [None, "", {}, {"ADDRESS": ""}, {"ADDRESS": None}])
def test_merge_fields_that_are_not_there(merged: Any) -> None:
    """Null or "" as other connectors have met them."""
    assert person(merge_fields=merged).fields == {"email_status": "subscribed"}


def test_a_contact_known_by_phone_only() -> None:
    found = member(email_address="", sms_phone_number="+441632960001", status="unsubscribed")
    assert [type(e) for e in found] == [Person], "nothing is said of an address that is not there"
    assert Identifier("phone", "+441632960001") in found[0].identifiers  # type: ignore[union-attr]


@pytest.mark.parametrize("status", ["archived", "cleaned", "pending", "transactional", ""])
def test_only_what_the_person_said_is_consent(status: str) -> None:
    assert consent(status=status) is None


def test_opted_in_with_proof_only() -> None:
    found = consent()
    assert found is not None
    assert (found.state, found.at) == ("opted_in", datetime(2025, 1, 1, tzinfo=UTC))
    assert "198.51" not in found.evidence
    assert consent(ip_opt="") is None, "an imported list is no evidence"
    assert consent(timestamp_opt="") is None


def test_opted_out_at_the_last_change() -> None:
    found = consent(status="unsubscribed", unsubscribe_reason="N/A (Unsubscribed by admin)")
    assert found is not None
    assert (found.state, found.at) == ("opted_out", datetime(2026, 3, 2, 10, tzinfo=UTC))
    assert "by admin" in found.evidence


@pytest.mark.parametrize(
    ("action", "seconds", "ip", "signals"),
    [
        ("open", 86_400, "198.51.100.9", ("uncertain",)),
        ("open", 86_400, "17.58.0.1", ("uncertain", "machine")),
        ("open", 86_400, "66.249.84.118", ("uncertain", "proxy")),
        ("open", 5, "198.51.100.9", ("uncertain", "machine")),
        ("click", 5, "198.51.100.9", ("uncertain", "machine")),
        ("click", 86_400, "17.58.0.1", ()),
        ("open", 86_400, "not an address", ("uncertain",)),
        ("bounce", 5, "", ()),
    ],
)
def test_how_far_an_event_is_to_be_believed(action: str, seconds: int, ip: str, signals: tuple[str, ...]) -> None:
    assert event(action, seconds, ip).signals == signals


def test_the_audience_is_a_label_and_no_mail_is_called_bulk() -> None:
    """The capture policy leaves bulk mail out; a campaign we sent belongs on the timeline."""
    found = event("open")
    assert found.labels == ("Newsletter",)
    assert "bulk" not in found.signals
    assert event("click", url="https://pinewharf.example/").url == "https://pinewharf.example/"


def test_an_erased_recipient_is_known_by_the_hash() -> None:
    campaign = {"id": "c", "send_time": SENT.isoformat()}
    row = {"email_id": "md5", "email_address": "", "timestamp": SENT.isoformat()}
    raw = RawRecord("c/md5/unsubscribe", json.dumps({"campaign": campaign, "row": row}).encode())
    (found,) = MAPPER.entities("unsubscribes", raw)
    assert isinstance(found, Interaction)
    assert found.participants[0].identifier == Identifier("mailchimp:hash", "md5")


@pytest.mark.parametrize("stream", ["audiences", "campaigns"])
def test_reference_streams_carry_nothing(stream: str) -> None:
    (found,) = MAPPER.entities(stream, RawRecord("a1", b'{"id": "a1"}'))
    assert isinstance(found, Unmapped)


@pytest.mark.parametrize("stream", ["members", "sends", "activity", "unsubscribes"])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"campaign": 1}', b'\xff{"a"', b'{"email_address": {"Zeisig": 1}}']
)
def test_broken_records_are_rejected_without_their_content(stream: str, body: bytes) -> None:
    with pytest.raises(RecordRejected) as caught:
        list(MAPPER.entities(stream, RawRecord("x", body)))
    assert "Zeisig" not in str(caught.value)


def test_times_without_a_zone_and_unknown_actions_are_rejected() -> None:
    for broken in ({"last_changed": "2026-03-02 10:00:00"}, {"last_changed": "yesterday, by ada@example.org"}):
        with pytest.raises(RecordRejected) as caught:
            member(**broken)
        assert "ada@" not in str(caught.value)
    with pytest.raises(RecordRejected):
        event("forwarded")
