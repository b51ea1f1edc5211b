"""The writing methods: labels on messages, trash, delete, insert, import, send, drafts, watch."""

import email.utils
import re
from typing import Any
from zlib import crc32

from hub_gmail.emulator.call import Call
from hub_gmail.emulator.errors import Answer, invalid, not_found, nothing, ok
from hub_gmail.emulator.history import DAY_MS
from hub_gmail.emulator.mailbox import FIXED_LABELS, Message, read_head
from hub_gmail.emulator.reads import show_message

MAX_BATCH_IDS = 1000
MAX_LABELS = 100
WATCH_DAYS = 7


def brief(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": message.id, "threadId": message.thread_id}
    if message.labels:
        shown["labelIds"] = list(message.labels)
    return shown


def modify(call: Call) -> Answer:
    message = call.message(call.ids["id"])
    call.mailbox.relabel([message.id], *_label_change(call), call.now_ms)
    return ok(brief(message))


def batch_modify(call: Call) -> Answer:
    add, remove = _label_change(call)
    call.mailbox.relabel(_ids(call), add, remove, call.now_ms)
    return nothing()


def batch_delete(call: Call) -> Answer:
    call.mailbox.delete(_ids(call), call.now_ms)
    return nothing()


def _label_change(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    add = call.mailbox.known_labels(call.body.get("addLabelIds"))
    remove = call.mailbox.known_labels(call.body.get("removeLabelIds"))
    if len(add) > MAX_LABELS or len(remove) > MAX_LABELS:
        raise invalid("Cannot update more than 100 labels at a time.")
    if not add and not remove:
        raise invalid("No label add or removes specified")
    for label_id in (*add, *remove):
        if label_id in FIXED_LABELS:
            raise invalid(f"Invalid label: {label_id}")
    if both := set(add) & set(remove):
        raise invalid(f"Cannot both add and remove the same label: {min(both)}")
    return add, remove


def _ids(call: Call) -> list[str]:
    ids = call.body.get("ids")
    if not isinstance(ids, list) or not ids:
        raise invalid("No message ids specified")
    if len(ids) > MAX_BATCH_IDS:
        raise invalid("Number of ids cannot exceed 1000")
    return [str(i) for i in ids]


def trash(call: Call) -> Answer:
    message = call.message(call.ids["id"])
    call.mailbox.trash([message.id], call.now_ms)
    return ok(brief(message))


def untrash(call: Call) -> Answer:
    message = call.message(call.ids["id"])
    call.mailbox.relabel([message.id], (), ("TRASH",), call.now_ms)
    return ok(brief(message))


def delete(call: Call) -> Answer:
    call.mailbox.delete([call.message(call.ids["id"]).id], call.now_ms)
    return nothing()


def insert(call: Call) -> Answer:
    return _store(call, "receivedTime", ())


def import_(call: Call) -> Answer:
    return _store(call, "dateHeader", ("INBOX", "UNREAD"))


def _store(call: Call, source: str, default: tuple[str, ...]) -> Answer:
    raw = call.raw_message(call.body)
    chosen = call.enum("internalDateSource", ("receivedTime", "dateHeader"), source)
    labels = call.mailbox.known_labels(call.body.get("labelIds")) or default
    internal_ms = call.now_ms if chosen == "receivedTime" else None
    message = call.mailbox.add(raw, labels, call.now_ms, internal_ms, _wanted_thread(call, call.body))
    return ok(brief(message))


def send(call: Call) -> Answer:
    return ok(brief(_send(call, call.raw_message(call.body), _wanted_thread(call, call.body))))


def _send(call: Call, raw: bytes, thread: str | None) -> Message:
    """Store the sent copy and deliver to the mailboxes held here; the same mailbox gets SENT, INBOX and UNREAD."""
    box, emulator, now = call.mailbox, call.emulator, call.now_ms
    head = read_head(raw)
    to = {address.lower() for _, address in email.utils.getaddresses([head.to, head.cc, head.bcc]) if address}
    if not to:
        raise invalid("Recipient address required")
    raw = _stamped(call, raw)
    own = not to.isdisjoint((box.address, *box.aliases))
    message = box.add(raw, ("SENT", "INBOX", "UNREAD") if own else ("SENT",), now, now, thread)
    emulator.sent.append(
        {
            "mailbox": box.address,
            "id": message.id,
            "messageId": message.rfc822_id,
            "subject": head.subject,
            "to": sorted(to),
        }
    )
    delivered = _without(raw, b"bcc")
    for other in emulator.mailboxes.values():
        if other is not box and not to.isdisjoint((other.address, *other.aliases)):
            other.add(delivered, ("INBOX", "UNREAD"), now, now)
    return message


def _stamped(call: Call, raw: bytes) -> bytes:
    """What Gmail changes in a sent message: a foreign From becomes the account's, missing Date and Message-Id are
    added (in this case of letters, unlike the web client's Message-ID)."""
    box, head = call.mailbox, read_head(raw)
    newline = b"\r\n" if b"\r\n" in raw[:4096] else b"\n"
    sender = email.utils.parseaddr(head.from_)[1].lower()
    added = b""
    if sender not in (box.address, *box.aliases):
        raw = _without(raw, b"from")
        added += b"From: " + box.address.encode() + newline
    if not head.date:
        added += b"Date: " + email.utils.format_datetime(call.emulator.now()).encode() + newline
    if not head.message_id or not call.emulator.keeps_message_id:
        raw = _without(raw, b"message-id")
        own = f"<CA{crc32(raw):08x}{box.arrived:06d}@mail.gmail.com>"
        added += b"Message-Id: " + own.encode() + newline
    return added + raw


def _without(raw: bytes, name: bytes) -> bytes:
    """The message without a header, wherever it stands in the header block."""
    ends = [at for at in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if at >= 0]
    end = min(ends, default=len(raw)) + 1
    pattern = re.compile(rb"^" + re.escape(name) + rb"[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)", re.I | re.M)
    return pattern.sub(b"", raw[:end]) + raw[end:]


def _wanted_thread(call: Call, holder: dict[str, Any]) -> str | None:
    thread = holder.get("threadId")
    if not thread:
        return None
    if thread not in call.mailbox.threads:
        raise not_found()
    return str(thread)


def _draft_message(call: Call) -> dict[str, Any]:
    message = call.body.get("message")
    return message if isinstance(message, dict) else {}


def draft_create(call: Call) -> Answer:
    holder = _draft_message(call)
    draft_id = call.mailbox.new_draft_id()
    return _save_draft(call, draft_id, call.raw_message(holder), _wanted_thread(call, holder))


def draft_update(call: Call) -> Answer:
    """The draft keeps its id; its message is replaced by a new one with a new id."""
    old = _draft(call, call.ids["id"])
    holder = _draft_message(call)
    raw = call.raw_message(holder)
    thread = _wanted_thread(call, holder)
    call.mailbox.delete([old.id], call.now_ms)
    # The old message may have been the thread's only one.
    thread = thread if thread in call.mailbox.threads else None
    return _save_draft(call, call.ids["id"], raw, thread)


def _save_draft(call: Call, draft_id: str, raw: bytes, thread: str | None) -> Answer:
    message = call.mailbox.add(raw, ("DRAFT",), call.now_ms, call.now_ms, thread)
    call.mailbox.drafts[draft_id] = message.id
    return ok({"id": draft_id, "message": brief(message)})


def _draft(call: Call, draft_id: str) -> Message:
    message_id = call.mailbox.drafts.get(draft_id)
    if message_id is None:
        raise not_found()
    return call.message(message_id)


def draft_get(call: Call) -> Answer:
    return ok({"id": call.ids["id"], "message": show_message(call, _draft(call, call.ids["id"]))})


def draft_delete(call: Call) -> Answer:
    call.mailbox.delete([_draft(call, call.ids["id"]).id], call.now_ms)
    return nothing()


def draft_send(call: Call) -> Answer:
    """The draft goes away, and the sent message has an id of its own."""
    draft_id = call.body.get("id")
    if not isinstance(draft_id, str):
        raise invalid("Missing draft id")
    old = _draft(call, draft_id)
    holder = _draft_message(call)
    has_content = call.upload is not None or "raw" in holder
    raw = call.raw_message(holder) if has_content else call.mailbox.spool.get(old.at)
    sent = _send(call, raw, old.thread_id)
    call.mailbox.delete([old.id], call.now_ms)
    return ok(brief(sent))


def watch(call: Call) -> Answer:
    topic = call.body.get("topicName")
    if not isinstance(topic, str) or not re.fullmatch(r"projects/[^/]+/topics/[^/]+", topic):
        raise invalid("Invalid topicName does not match projects/<project>/topics/<topic>")
    expires = call.now_ms + WATCH_DAYS * DAY_MS
    labels = list(call.mailbox.known_labels(call.body.get("labelIds")))
    call.mailbox.watch = {"topicName": topic, "labelIds": labels, "expiration": str(expires)}
    return ok({"historyId": str(call.mailbox.history.current), "expiration": str(expires)})


def stop(call: Call) -> Answer:
    call.mailbox.watch = None
    return nothing()
