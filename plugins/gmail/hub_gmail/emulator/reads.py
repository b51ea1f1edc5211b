"""The reading methods: profile, lists, get in its four formats, attachments, history, labels, send-as, threads."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from hub_gmail.emulator.call import Call
from hub_gmail.emulator.errors import Answer, Refused, forbidden, invalid, malformed, not_found, ok
from hub_gmail.emulator.history import TYPES, show
from hub_gmail.emulator.mailbox import Label, Message, read_head
from hub_gmail.emulator.mime import ATTACHMENT_MARK, b64, part_bytes
from hub_gmail.emulator.query import Query

FORMATS = ("minimal", "full", "raw", "metadata")
_ESTIMATE_CAP = 201


def profile(call: Call) -> Answer:
    box = call.mailbox
    gone = call.emulator.selects("vanish", call.path)
    left = [m for m in box.messages.values() if not gone(m.id)]
    return ok(
        {
            "emailAddress": box.address, "messagesTotal": len(left),
            "threadsTotal": len({m.thread_id for m in left}), "historyId": str(box.history.current),
        }
    )  # fmt: skip


def messages_list(call: Call) -> Answer:
    found = _Newest(call)
    rows = [{"id": m.id, "threadId": m.thread_id} for m in found.messages()]
    return ok(found.answer("messages", rows))


def threads_list(call: Call) -> Answer:
    found = _Newest(call)
    rows = []
    for newest in found.threads():
        snippet, _ = call.emulator.rendered(call.mailbox, newest)
        rows.append(
            {"id": newest.thread_id, "snippet": snippet, "historyId": str(_thread_history(call, newest.thread_id))}
        )
    return ok(found.answer("threads", rows))


def drafts_list(call: Call) -> Answer:
    drafts = {message_id: draft_id for draft_id, message_id in call.mailbox.drafts.items()}
    found = _Newest(call, only=lambda m: m.id in drafts)
    rows = [{"id": drafts[m.id], "message": {"id": m.id, "threadId": m.thread_id}} for m in found.messages()]
    return ok(found.answer("drafts", rows))


class _Newest:
    """A filtered list, newest first, in pages. The page token is the place (time and arrival) of the next row,
    20 decimal digits like Gmail's, so that mail arriving meanwhile moves nothing."""

    def __init__(self, call: Call, only: Callable[[Message], bool] = lambda m: True) -> None:
        self.call = call
        self.only = only
        self.size = call.page_size()
        self.next: str | None = None
        self.total = 0
        self.token = call.one("pageToken")
        if self.token and not re.fullmatch(r"\d{20}", self.token):
            raise invalid("Invalid pageToken")
        self.labels = set(call.query.get("labelIds", []))
        if "q" in call.query and "metadata" in call.scopes:
            raise forbidden("Metadata scope does not support 'q' parameter")
        box, emulator = call.mailbox, call.emulator
        self.query = Query(call.one("q"), box, call.now_ms, lambda m: read_head(box.spool.get(m.at)))
        self.gone = emulator.selects("vanish", call.path)
        self.hidden = emulator.selects("hide", call.path, "list")
        is_open = call.flag("includeSpamTrash") or self.query.reaches_out
        self.left_out = set() if is_open else {"SPAM", "TRASH"} - self.labels

    def _matching(self, start: int) -> Iterator[Message]:
        """From place `start` of the mailbox's order down to the oldest."""
        box = self.call.mailbox
        for n in range(start - 1, -1, -1):
            message = box.messages[box.orders[n][2]]
            if self.gone(message.id) or self.hidden(message.id) or not self.left_out.isdisjoint(message.labels):
                continue
            if self.labels.issubset(message.labels) and self.only(message) and self.query.matches(message):
                yield message

    def messages(self) -> list[Message]:
        orders = self.call.mailbox.orders
        self.total = sum(1 for _ in islice(self._matching(len(orders)), _ESTIMATE_CAP))
        start = len(orders)
        if self.token:
            start = bisect_right(orders, (int(self.token[:13]), int(self.token[13:]), "~"))
        return self._cut(list(islice(self._matching(start), self.size + 1)))

    def threads(self) -> list[Message]:
        """The newest matching message of each thread."""
        newest: dict[str, Message] = {}
        for message in self._matching(len(self.call.mailbox.orders)):
            newest.setdefault(message.thread_id, message)
        self.total = len(newest)
        edge = (int(self.token[:13]), int(self.token[13:])) if self.token else None
        return self._cut([m for m in newest.values() if edge is None or m.order <= edge])

    def _cut(self, rows: list[Message]) -> list[Message]:
        end = self.size
        if rows and self.call.emulator.takes_empty_page("messages"):
            end = 0
        if end < len(rows):
            self.next = _token(rows[end])
        return rows[:end]

    def answer(self, field: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """`field` is absent when the page is empty. resultSizeEstimate is no count: it never exceeds 201."""
        found: dict[str, Any] = {field: rows} if rows else {}
        if self.call.emulator.faults.hits("page_loop", self.call.path, self.call.method):
            self.next = self.token or self.next or f"{0:020d}"
        if self.next is not None:
            found["nextPageToken"] = self.next
        found["resultSizeEstimate"] = min(self.total, _ESTIMATE_CAP)
        return found


def _token(message: Message) -> str:
    return f"{message.internal_ms:013d}{message.seq:07d}"


def message_get(call: Call) -> Answer:
    return ok(show_message(call, call.message(call.ids["id"])))


def show_message(call: Call, message: Message, formats: Sequence[str] = FORMATS) -> dict[str, Any]:
    """The Message resource in the asked format."""
    form = call.enum("format", tuple(formats), "full")
    if form in {"full", "raw"} and "metadata" in call.scopes:
        raise forbidden(f"Metadata scope doesn't allow format {form.upper()}")
    box, emulator = call.mailbox, call.emulator
    snippet, payload = emulator.rendered(box, message)
    shown: dict[str, Any] = {"id": message.id, "threadId": message.thread_id, "labelIds": list(message.labels)}
    if not message.labels:
        del shown["labelIds"]
    shown["snippet"] = snippet
    if form == "full":
        shown["payload"] = msgspec.Raw(ATTACHMENT_MARK.sub(lambda m: _fresh_id(call, message, m[1].decode()), payload))
    elif form == "metadata":
        wanted = {name.lower() for name in call.query.get("metadataHeaders", [])}
        parsed = msgspec.json.decode(payload)
        headers = [h for h in parsed["headers"] if not wanted or h["name"].lower() in wanted]
        shown["payload"] = {"mimeType": parsed["mimeType"], "headers": headers}
    elif form == "minimal":
        # Recorded answers carry the key without headers or mimeType.
        shown["payload"] = {"partId": "", "filename": "", "body": {"size": 0}}
    shown["sizeEstimate"] = message.size
    if form == "raw":
        shown["raw"] = b64(box.spool.get(message.at))
    shown["historyId"] = str(message.history_id)
    shown["internalDate"] = str(message.internal_ms)
    emulator.poison(message.id, call.path, shown)
    return shown


def _fresh_id(call: Call, message: Message, part_id: str) -> bytes:
    return f'"attachmentId":"{call.emulator.attachment_id(message.id, part_id)}"'.encode()


def attachment_get(call: Call) -> Answer:
    message = call.message(call.ids["messageId"])
    part_id = call.emulator.attachment_part(message.id, call.ids["id"])
    if part_id is None:
        raise invalid("Invalid attachment token")
    data = part_bytes(call.mailbox.spool.get(message.at), part_id)
    if data is None:
        raise not_found()
    return ok({"size": len(data), "data": b64(data)})


def history_list(call: Call) -> Answer:
    history, emulator = call.mailbox.history, call.emulator
    types = call.query.get("historyTypes", [])
    for n, name in enumerate(types):
        if name not in TYPES:
            raise malformed(f"Invalid value at 'history_types[{n}]' (TYPE_ENUM), \"{name}\"")
    given = call.one("startHistoryId")
    if not given:
        raise invalid("Missing/invalid parameter: startHistoryId")
    if not given.isdigit():
        raise malformed(f"Invalid value at 'start_history_id' (TYPE_UINT64), \"{given}\"")
    token = call.one("pageToken")
    if token and not re.fullmatch(r"\d{20}", token):
        raise invalid("Invalid pageToken")
    start = int(token or given)
    if emulator.faults.hits("expire_cursor", call.path, call.method) or not history.knows(start):
        raise not_found()
    gone, hidden = emulator.selects("vanish", call.path), emulator.selects("hide", call.path, "history")
    fields, label, size = frozenset(TYPES[t] for t in types), call.one("labelId") or None, call.page_size()
    shown: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    following: int | None = None
    if emulator.takes_empty_page("history"):
        following = start
    else:
        last = start
        for record in history.since(start):
            row = show(record, fields, label, lambda i: gone(i) or hidden(i))
            if row is None:
                continue
            if len(rows) == size:
                following = last
                break
            rows.append(row)
            last = record.id
    if rows:
        shown["history"] = rows
    if emulator.faults.hits("page_loop", call.path, call.method):
        following = start if token or following is None else following
    if following is not None:
        shown["nextPageToken"] = f"{following:020d}"
    shown["historyId"] = str(history.current)
    return ok(shown)


def labels_list(call: Call) -> Answer:
    return ok({"labels": [_label(label) for label in call.mailbox.labels.values()]})


def label_get(call: Call) -> Answer:
    label = call.mailbox.labels.get(call.ids["id"])
    if label is None:
        raise not_found()
    gone = call.emulator.selects("vanish", call.path)
    inside = [m for m in call.mailbox.messages.values() if label.id in m.labels and not gone(m.id)]
    unread = [m for m in inside if "UNREAD" in m.labels]
    return ok(
        {
            **_label(label), "messagesTotal": len(inside), "messagesUnread": len(unread),
            "threadsTotal": len({m.thread_id for m in inside}), "threadsUnread": len({m.thread_id for m in unread}),
        }
    )  # fmt: skip


def label_create(call: Call) -> Answer:
    name = call.body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise invalid("Invalid label name")
    if any(label.name.lower() == name.lower() for label in call.mailbox.labels.values()):
        raise Refused(409, "Label name exists or conflicts", "aborted")
    return ok(_label(call.mailbox.labels[call.mailbox.label_id(name)]))


def _label(label: Label) -> dict[str, Any]:
    if label.type == "system":
        return {"id": label.id, "name": label.name, "type": "system"}
    return {
        "id": label.id, "name": label.name, "messageListVisibility": "show", "labelListVisibility": "labelShow",
        "type": "user",
    }  # fmt: skip


def send_as_list(call: Call) -> Answer:
    box = call.mailbox
    return ok({"sendAs": [_send_as(box.address, address) for address in (box.address, *box.aliases)]})


def send_as_get(call: Call) -> Answer:
    box, address = call.mailbox, call.ids["sendAsEmail"].lower()
    if address not in (box.address, *box.aliases):
        raise not_found()
    return ok(_send_as(box.address, address))


def _send_as(primary: str, address: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"sendAsEmail": address, "displayName": "", "replyToAddress": "", "signature": ""}
    if address == primary:
        return {**shown, "isPrimary": True, "isDefault": True}
    return {**shown, "treatAsAlias": True, "verificationStatus": "accepted"}


def thread_get(call: Call) -> Answer:
    gone = call.emulator.selects("vanish", call.path)
    ids = [i for i in call.mailbox.threads.get(call.ids["id"], {}) if not gone(i)]
    if not ids:
        raise not_found()
    messages = sorted((call.mailbox.messages[i] for i in ids), key=lambda m: m.order)
    shown = [show_message(call, m, ("minimal", "full", "metadata")) for m in messages]
    return ok({"id": call.ids["id"], "historyId": str(_thread_history(call, call.ids["id"])), "messages": shown})


def _thread_history(call: Call, thread_id: str) -> int:
    return max(call.mailbox.messages[i].history_id for i in call.mailbox.threads[thread_id])
