"""A message as stored, and the interaction it is. Pure.

A stored body is one line of JSON with what IMAP knows beside the message (folder, marks, INTERNALDATE), then the message
byte for byte. Whether mail has been read is a fact about the reader, not about the interaction: it is left out, or
records would change all day.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from hub.api import Entity, Interaction, RawRecord, RecordRejected, Window
from hub.api.mail import date, parse_mime, to_interaction

KEY_HEADER = "X-Interaction-Hub-Key"
SENT = "\\sent"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
# What mail programs note for themselves about their user's doings.
_NOISE = {
    "\\seen", "\\recent", "\\deleted", "\\answered", "\\draft", "$forwarded", "$mdnsent", "$submitted", "$submitpending",
    "$notjunk", "notjunk", "nonjunk", "$hasattachment", "$hasnoattachment", "$x-me-annot-1", "$autojunk", "$readreceipt",
}  # fmt: skip


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """What IMAP holds beside a message. folder: its path; received: INTERNALDATE in ISO 8601, "" for none.

    marks: flags and keywords worth telling, sorted. problem: why there is no message behind it.
    """

    folder: str
    received: str = ""
    marks: tuple[str, ...] = ()
    problem: str = ""


_ENVELOPE = msgspec.json.Decoder(Envelope)


def marks_of(flags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({flag for flag in flags if flag.lower() not in _NOISE}))


def wrap(folder: str, received: datetime | None, flags: tuple[str, ...], data: bytes) -> bytes:
    at = received.astimezone(UTC).isoformat() if received else ""
    return msgspec.json.encode(Envelope(folder, at, marks_of(flags))) + b"\n" + data


def without_message(folder: str, problem: str) -> bytes:
    """The body of a message that exists and cannot be had: the mapping rejects it with these words."""
    return msgspec.json.encode(Envelope(folder, problem=problem)) + b"\n"


def unwrap(body: bytes) -> tuple[Envelope, bytes]:
    """Raises ValueError for what `wrap` did not make."""
    head, found, data = body.partition(b"\n")
    try:
        envelope = _ENVELOPE.decode(head)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise ValueError("no envelope") from exc
    if not found:
        raise ValueError("no message")
    return envelope, data


def relabelled(body: bytes, folder: str, flags: tuple[str, ...]) -> bytes | None:
    """A stored body with today's folder name and marks; None when nothing changed. Raises ValueError as `unwrap`."""
    envelope, data = unwrap(body)
    if envelope.problem:
        raise ValueError("no message")
    now = Envelope(folder, envelope.received, marks_of(flags))
    return None if now == envelope else msgspec.json.encode(now) + b"\n" + data


def to_entities(raw: RawRecord) -> Iterator[Entity]:
    """One Interaction. Raises RecordRejected for what is no mail."""
    try:
        envelope, data = unwrap(raw.body)
    except ValueError as exc:
        raise RecordRejected(
            "not a record of this connector", connector="imap", stream="mail", external_id=raw.external_id
        ) from exc
    try:
        if envelope.problem:
            raise RecordRejected(envelope.problem)
        mail = parse_mime(data)
        received = datetime.fromisoformat(envelope.received) if envelope.received else None
        labels = (envelope.folder, *(_label(mark) for mark in envelope.marks))
        found = to_interaction(mail, external_id=raw.external_id, labels=labels, received_at=received)
    except RecordRejected as exc:
        exc.connector, exc.stream, exc.external_id = "imap", "mail", raw.external_id
        raise
    key = mail.get(KEY_HEADER).strip()
    yield _ours(found, key) if key else found


def _label(mark: str) -> str:
    """A system flag by its name alone; a keyword as the user gave it."""
    return mark.lstrip("\\$") if mark.startswith(("\\", "$")) else mark


def _ours(found: Interaction, key: str) -> Interaction:
    return msgspec.structs.replace(found, dedup_keys=(*found.dedup_keys, f"hub-key:{key}"))


def occurred(date_header: str, received: datetime | None) -> datetime:
    """When a message occurred, by the rule of the mapping; the beginning of time for one without any date."""
    return date(date_header) or (received.astimezone(UTC) if received else _EARLIEST)


def is_within(at: datetime, window: Window) -> bool:
    return (window.since is None or at >= window.since) and (window.until is None or at < window.until)
