"""A Gmail message (`format=full`) becomes an interaction. Pure; Gmail has split the MIME, so this is cheap.

Source: Gmail API v1, `Message` and `MessagePart`.
"""

import binascii
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from hub.api import Entity, RawRecord, RecordRejected, Unmapped
from hub.api.mail import Mail, assemble, part_from_headers, safe_filename, to_interaction
from hub.api.mail import Part as MimePart
from hub_gmail.wire import MESSAGE, Message, Part

WEB = "https://mail.google.com/mail/u/0/#all/"
NOT_MAIL = {"DRAFT": "draft", "CHAT": "chat"}
TEXTS = {"text/plain", "text/html"}
MAX_PARTS = 1_000
# Read or unread is a fact about the reader, not about the interaction; it would change records all day.
NOISE = "UNREAD"

_URLSAFE = bytes.maketrans(b"-_", b"+/")


def to_entities(raw: RawRecord) -> Iterator[Entity]:
    """One Interaction, or Unmapped for drafts and chats. Raises RecordRejected saying what is broken."""
    try:
        message = MESSAGE.decode(raw.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _rejected(raw, f"not a Gmail message: {exc}") from exc
    if message.id != raw.external_id:
        raise _rejected(raw, "the answer is about another message")
    for label in message.labelIds:
        if label in NOT_MAIL:
            yield Unmapped(external_id=message.id, reason=NOT_MAIL[label])
            return
    if message.payload is None or not message.payload.headers:
        raise _rejected(raw, "no payload: the message came without headers")
    try:
        mail = _mail(message.payload, message.snippet)
        received_at = _instant(message)
    except ValueError as exc:
        raise _rejected(raw, str(exc)) from exc
    yield to_interaction(
        mail,
        external_id=message.id,
        labels=tuple(message.hubLabelNames.get(label, label) for label in message.labelIds if label != NOISE),
        thread_refs=(f"gmail-thread:{message.threadId}",) if message.threadId else (),
        received_at=received_at,
        url=WEB + message.id,
    )


def _mail(top: Part, snippet: str) -> Mail:
    """The tree of parts as the mail toolkit takes it, so that a message reads the same from here and from a file."""
    headers = [(h.name, h.value) for h in top.headers]
    defects: list[str] = []
    root = _part(top, headers, snippet, defects)
    waiting = [(top, root)]
    count = 1
    while waiting:
        given, built = waiting.pop()
        for child in given.parts:
            count += 1
            if count > MAX_PARTS:
                defects.append(f"too many parts: the first {MAX_PARTS} kept")
                return assemble(headers, root, defects)
            part = _part(child, [(h.name, h.value) for h in child.headers], "", defects)
            built.children.append(part)
            waiting.append((child, part))
    return assemble(headers, root, defects)


def _part(given: Part, headers: list[tuple[str, str]], snippet: str, defects: list[str]) -> MimePart:
    """Named by partId: Gmail's attachmentId differs from one reading to the next."""
    part = part_from_headers(given.partId, headers)
    if given.mimeType:
        part.media_type = given.mimeType.lower()
    if given.filename:
        part.filename = safe_filename(given.filename)
    body = given.body
    if body is None:
        return part
    part.size = body.size
    if part.media_type in TEXTS and not part.is_attachment:
        if body.data:
            part.content = _base64url(body.data, given.partId)
            if not part.content.isascii() and _is_utf8(part.content):
                # Gmail re-codes texts to UTF-8 and leaves the sender's charset in the header.
                part.params["charset"] = "utf-8"
        elif body.attachmentId:
            # Gmail hands very long texts out as attachments; what it shows of them is the snippet.
            defects.append(f"too long a text: part {given.partId or '0'} of {body.size} bytes is not in the answer")
            part.content = snippet.encode()
    return part


def _base64url(data: str, part_id: str) -> bytes:
    """Gmail leaves the padding out more often than not."""
    try:
        return binascii.a2b_base64(data.encode("ascii").translate(_URLSAFE) + b"=" * (-len(data) % 4))
    except ValueError as exc:  # binascii.Error and UnicodeEncodeError are both
        raise ValueError(f"the body of part {part_id or '0'} is not base64url") from exc


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _instant(message: Message) -> datetime | None:
    """internalDate: when Gmail took the message in, as epoch milliseconds."""
    if message.internalDate is None:
        return None
    try:
        return datetime.fromtimestamp(message.internalDate / 1000, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise ValueError(f"internalDate {message.internalDate} is not a time") from exc


def _rejected(raw: RawRecord, what: str) -> RecordRejected:
    return RecordRejected(what[:300], connector="gmail", stream="messages", external_id=raw.external_id)
