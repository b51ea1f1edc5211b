"""A Mail to the canonical Interaction: the same message gives the same result whichever tool it came through."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from hub.api.canonical import Identifier, Interaction, Participation, Role
from hub.api.errors import RecordRejected
from hub.api.mail.body import html_to_text
from hub.api.mail.headers import (
    MAX_ADDRESSES,
    addresses,
    date_and_zone,
    decoded,
    is_forward_subject,
    message_id,
    message_ids,
)  # fmt: skip
from hub.api.mail.message import MAX_TEXT_CHARS, Mail
from hub.api.mail.sender import list_addresses, true_sender
from hub.api.mail.trim import split_reply

_IDENTIFYING = ("from", "date", "message-id", "to", "subject", "received", "mime-version", "content-type")
_RECIPIENTS: tuple[Role, ...] = ("to", "cc", "bcc")
_BULK_PRECEDENCE = {"bulk", "list", "junk"}
_BULK_HEADERS = ("list-unsubscribe", "list-id", "feedback-id", "list-unsubscribe-post", "x-campaign-id")
_SUPPRESS = re.compile(r"\b(?:all|oof|autoreply|dr|rn|nrn)\b", re.I)


def to_interaction(
    mail: Mail,
    *,
    external_id: str,
    labels: Sequence[str] = (),
    thread_refs: Sequence[str] = (),
    received_at: datetime | None = None,
    url: str = "",
) -> Interaction:
    """The interaction a message is.

    received_at: when the source took the message in (aware UTC), used where the Date header is missing or out of
    range. thread_refs: the source's own thread names ("gmail-thread:..."), added to those of the headers.
    signals: "list:<address>", "bulk", "auto", "bounce", "rewritten-from", "undated", "incomplete" (a budget cut
    something off).
    Raises: RecordRejected when no header says that this is a message.
    """
    if not any(mail.get_all(name) for name in _IDENTIFYING):
        raise RecordRejected("none of the headers of a mail message", external_id=external_id)
    lists = list_addresses(mail)
    sender = true_sender(mail, lists)
    signals = [f"list:{address}" for address in lists]
    if sender.is_rewritten:
        signals.append("rewritten-from")
    people = _participants(mail, sender.address, sender.name)
    at, zone = occurred_at(mail, received_at)
    signals.extend(_signals(mail))
    if at is None:
        signals.append("undated")
    if len(people) >= MAX_ADDRESSES or any(d.startswith("too ") for d in mail.defects):
        signals.append("incomplete")
    own_id = message_id(mail.get("message-id"))
    subject = decoded(mail.get("subject"))
    text, body = texts(mail, is_forward_subject(subject))
    return Interaction(
        external_id=external_id,
        kind="message",
        channel="email",
        occurred_at=at,
        zone=zone,
        participants=people,
        subject=subject,
        text=text,
        body=body,
        dedup_keys=(f"message-id:{own_id}",) if own_id else (),
        thread_refs=_thread_refs(mail, own_id, thread_refs),
        labels=tuple(labels),
        signals=tuple(signals),
        attachments=mail.attachments,
        url=url,
    )


def texts(mail: Mail, is_forward: bool = False) -> tuple[str, str]:
    """(new part, full body) of a message; the body is "" where it equals the new part."""
    full = mail.text.strip() or html_to_text(mail.html).strip()
    full = full[:MAX_TEXT_CHARS]
    new = split_reply(full, is_forward=is_forward).new
    return new, "" if new == full else full


def _participants(mail: Mail, sender: str, name: str) -> tuple[Participation, ...]:
    """The sender, then to, cc and bcc; each address once per role, lower case."""
    found: dict[tuple[Role, str], str] = {}
    if sender:
        found["from", sender] = name
    for role in _RECIPIENTS:
        values = mail.get_all(role)
        if not values:
            continue
        for shown, address in addresses(values, MAX_ADDRESSES - len(found)):
            key = (role, address.lower())
            if not found.get(key):
                found[key] = shown
    return tuple(
        Participation(identifier=Identifier("email", address), role=role, name=shown)
        for (role, address), shown in found.items()
    )


def occurred_at(mail: Mail, received_at: datetime | None = None) -> tuple[datetime | None, str]:
    """When a message was sent (aware UTC) and the sender's offset: the Date header, else `received_at`, else the
    newest usable Received header; (None, "") when none is usable."""
    at, zone = date_and_zone(mail.get("date"))
    if at is not None:
        return at, zone
    if received_at is not None:
        return received_at, ""
    stamps = (date_and_zone(v.rpartition(";")[2])[0] for v in mail.get_all("received")[:50])
    return max((s for s in stamps if s is not None), default=None), ""


def _thread_refs(mail: Mail, own_id: str, given: Iterable[str]) -> tuple[str, ...]:
    ids = [own_id] if own_id else []
    for name in ("references", "in-reply-to"):
        for value in mail.get_all(name):
            ids.extend(message_ids(value))
    return tuple(dict.fromkeys([*(f"message-id:{i}" for i in ids), *given]))


def _signals(mail: Mail) -> list[str]:
    found = []
    precedence = mail.get("precedence").strip().lower()
    if precedence in _BULK_PRECEDENCE or any(mail.get_all(h) for h in _BULK_HEADERS):
        found.append("bulk")
    kind = mail.get("content-type").lower()
    is_report = kind.lstrip().startswith("multipart/report")
    submitted = mail.get("auto-submitted").split(";")[0].strip().lower()
    if (
        (submitted and submitted != "no")
        or is_report
        or precedence == "auto_reply"
        or mail.get("return-path").strip() == "<>"
        or _SUPPRESS.search(mail.get("x-auto-response-suppress"))
        or mail.get_all("x-autoreply")
        or mail.get_all("x-autorespond")
    ):
        found.append("auto")
    if (is_report and "delivery-status" in kind) or mail.get_all("x-failed-recipients"):
        found.append("bounce")
    return found
