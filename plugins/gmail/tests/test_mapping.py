"""A Gmail message to an interaction: tables of records, no HTTP."""

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from hub.api import Identifier, Interaction, RawRecord, RecordRejected, Unmapped
from hub_gmail.mapping import to_entities

ID = "18c0ffee00000001"


def b64(text: str | bytes, *, padded: bool = False) -> str:
    data = base64.urlsafe_b64encode(text if isinstance(text, bytes) else text.encode()).decode()
    return data if padded else data.rstrip("=")


def leaf(kind: str, text: str | bytes, part_id: str = "", charset: str = "utf-8", **more: Any) -> dict[str, Any]:
    headers = [{"name": "Content-Type", "value": f'{kind}; charset="{charset}"'}]
    data = text if isinstance(text, bytes) else text.encode(charset)
    part = {"partId": part_id, "mimeType": kind, "filename": "", "headers": headers}
    return {**part, "body": {"size": len(data), "data": b64(data)}, **more}


def tree(kind: str, *parts: dict[str, Any], part_id: str = "") -> dict[str, Any]:
    headers = [{"name": "Content-Type", "value": f'{kind}; boundary="b"'}]
    return {"partId": part_id, "mimeType": kind, "filename": "", "headers": headers, "body": {"size": 0},
            "parts": list(parts)}  # fmt: skip


def message(part: dict[str, Any], headers: dict[str, str] | None = None, **fields: Any) -> RawRecord:
    given = headers if headers is not None else {
        "From": "Ada Example <ada@example.com>", "To": "sales@example.org", "Subject": "Offer",
        "Message-ID": "<m1@example.com>", "Date": "Mon, 02 Mar 2026 10:00:00 +0100",
    }  # fmt: skip
    named = [{"name": n, "value": v} for n, v in given.items()]
    body = {
        "id": ID, "threadId": "18c0ffee000000aa", "labelIds": ["INBOX", "UNREAD", "Label_7"], "snippet": "Hello",
        "historyId": "42", "internalDate": "1772442005000", "sizeEstimate": 100,
        "payload": {**part, "headers": [*named, *part["headers"]]},
    }  # fmt: skip
    return RawRecord(ID, msgspec.json.encode({**body, **fields}), "42")


def one(raw: RawRecord) -> Interaction:
    (entity,) = to_entities(raw)
    assert isinstance(entity, Interaction)
    return entity


def test_a_plain_message_carries_everything_the_timeline_needs() -> None:
    found = one(message(leaf("text/plain", "Hello there")))
    assert (found.external_id, found.kind, found.channel) == (ID, "message", "email")
    assert found.subject == "Offer"
    assert found.text == "Hello there"
    assert found.occurred_at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert found.dedup_keys == ("message-id:m1@example.com",) or "m1@example.com" in found.dedup_keys[0]
    assert "gmail-thread:18c0ffee000000aa" in found.thread_refs
    assert found.url.endswith(f"#all/{ID}")
    roles = {(p.role, p.identifier): p.name for p in found.participants}
    assert roles["from", Identifier("email", "ada@example.com")] == "Ada Example"
    assert ("to", Identifier("email", "sales@example.org")) in roles


def test_labels_are_names_or_ids_and_reading_mail_changes_nothing() -> None:
    assert one(message(leaf("text/plain", "x"))).labels == ("INBOX", "Label_7")
    plain, read = message(leaf("text/plain", "x")), message(leaf("text/plain", "x"), labelIds=["INBOX", "Label_7"])
    assert one(plain) == one(read)


def test_direction_is_not_guessed_from_labels() -> None:
    """A mail to oneself is SENT and INBOX at once."""
    found = one(message(leaf("text/plain", "x"), labelIds=["SENT", "INBOX", "UNREAD"]))
    assert found.direction is None
    assert found.labels == ("SENT", "INBOX")


@pytest.mark.parametrize(("label", "reason"), [("DRAFT", "draft"), ("CHAT", "chat")])
def test_drafts_and_chats_are_understood_and_left_out(label: str, reason: str) -> None:
    assert list(to_entities(message(leaf("text/plain", "x"), labelIds=[label]))) == [
        Unmapped(external_id=ID, reason=reason)
    ]


@pytest.mark.parametrize("name", ["Message-ID", "Message-Id", "message-id", "MESSAGE-ID"])
def test_header_names_come_in_any_case(name: str) -> None:
    found = one(message(leaf("text/plain", "x"), {"From": "a@example.com", name: "<x@example.com>"}))
    assert len(found.dedup_keys) == 1


def test_without_message_id_and_date_the_message_still_has_its_place() -> None:
    found = one(message(leaf("text/plain", "x"), {"From": "a@example.com"}))
    assert found.dedup_keys == ()
    assert found.occurred_at == datetime(2026, 3, 2, 9, 0, 5, tzinfo=UTC)
    assert found.thread_refs == ("gmail-thread:18c0ffee000000aa",)


TEXTS = [
    ("plain of an alternative",
     tree("multipart/alternative", leaf("text/plain", "Plain", "0"), leaf("text/html", "<p>Rich</p>", "1")), "Plain"),
    ("only html", leaf("text/html", "<p>Only <b>rich</b></p>"), "Only rich"),
    ("mixed with a footer of the list",
     tree("multipart/mixed", leaf("text/plain", "Body", "0"), leaf("text/plain", "Footer", "1")), "Body\nFooter"),
    ("nested",
     tree("multipart/mixed",
          tree("multipart/alternative", leaf("text/plain", "Deep", "0.0"), leaf("text/html", "<p>Deep</p>", "0.1"),
               part_id="0")), "Deep"),
    ("latin-1 bytes under their own name", leaf("text/plain", "Grüße", charset="iso-8859-1"), "Grüße"),
    ("utf-8 bytes under the sender's old charset",
     leaf("text/plain", "日本語".encode(), charset="iso-2022-jp"), "日本語"),
    ("bytes that are still iso-2022-jp", leaf("text/plain", "日本語", charset="iso-2022-jp"), "日本語"),
    ("unknown charset", leaf("text/plain", "Grüße".encode(), charset="x-nobody"), "Grüße"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "text"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
def test_texts(payload: dict[str, Any], text: str) -> None:
    assert one(message(payload)).text == text


@pytest.mark.parametrize("text", ["a", "ab", "abc", "abcd", "a?>~", "\x00\xff\xfe"])
@pytest.mark.parametrize("padded", [False, True])
def test_base64url_with_and_without_padding(text: str, padded: bool) -> None:
    part = leaf("text/plain", "")
    part["body"] = {"size": 9, "data": b64(text, padded=padded)}
    assert one(message(part)).text == one(message(leaf("text/plain", text))).text


def test_attachments_are_named_by_their_part() -> None:
    pdf = leaf("application/pdf", "", "1", filename="offer.pdf", body={"size": 12345, "attachmentId": "ANGjdJ" * 60})
    found = one(message(tree("multipart/mixed", leaf("text/plain", "See", "0"), pdf)))
    assert found.text == "See"
    (file,) = found.attachments
    assert (file.external_id, file.filename, file.media_type, file.size) == ("1", "offer.pdf", "application/pdf", 12345)
    moved = leaf("application/pdf", "", "1", filename="offer.pdf", body={"size": 12345, "attachmentId": "other"})
    assert one(message(tree("multipart/mixed", leaf("text/plain", "See", "0"), moved))) == found


def test_an_enclosed_message_lends_no_words() -> None:
    inner = tree("message/rfc822", leaf("text/plain", "Inner words", "1.0"), part_id="1")
    found = one(message(tree("multipart/mixed", leaf("text/plain", "Outer", "0"), inner)))
    assert found.text == "Outer"


def test_a_text_that_gmail_hands_out_as_attachment_leaves_its_snippet_and_a_mark() -> None:
    long = leaf("text/plain", "", body={"size": 9_000_000, "attachmentId": "x"})
    found = one(message(long, snippet="The first words"))
    assert found.text == "The first words"
    assert "incomplete" in found.signals


def test_numbers_may_come_as_numbers() -> None:
    assert one(message(leaf("text/plain", "x"), internalDate=1772442005000, historyId=42)).external_id == ID


def _without(name: str) -> bytes:
    body = msgspec.json.decode(message(leaf("text/plain", "x")).body)
    del body[name]
    return msgspec.json.encode(body)


X = leaf("text/plain", "x")
BROKEN = [
    ("cut short", message(X).body[:-20], "not a Gmail message"),
    ("a page", b"<!doctype html><h1>Maintenance</h1>", "not a Gmail message"),
    ("empty", b"", "not a Gmail message"),
    ("no payload", _without("payload"), "no payload"),
    ("another message", message(X, id="other").body, "another message"),
    ("headers of a wrong type", message(X, payload={"headers": "none"}).body, "$.payload.headers"),
    ("minimal instead of full", message(X, payload={"body": {"size": 0}}).body, "without headers"),
    ("bad base64", message(leaf("text/plain", "x", body={"size": 3, "data": "a"})).body, "base64url"),
    ("not even ascii", message(leaf("text/plain", "x", body={"size": 3, "data": "é"})).body, "base64url"),
    ("no time", message(X, internalDate="9" * 18).body, "not a time"),
    ("not utf-8", b'{"id": "\xff"}', "not a Gmail message"),
    ("nested beyond reason", b'{"id":"' + ID.encode() + b'","payload":' + b'{"parts":[' * 20_000, "not a Gmail"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "why"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_records_say_what_is_wrong(body: bytes, why: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        list(to_entities(RawRecord(ID, body)))
    assert why in caught.value.message
    assert caught.value.external_id == ID
    assert len(caught.value.message) <= 300


def test_thousands_of_parts_are_bounded() -> None:
    many = tree("multipart/mixed", *(leaf("text/plain", f"{n}", str(n)) for n in range(3000)))
    found = one(message(many))
    assert "incomplete" in found.signals
