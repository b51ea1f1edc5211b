"""One mailbox: messages, threads, labels, drafts and the changes made to them. No HTTP, no JSON but labels."""

import email.utils
import re
from bisect import insort
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

from hub_gmail.emulator.errors import invalid, not_found
from hub_gmail.emulator.history import DAY_MS, Entry, History
from hub_gmail.emulator.mime import clean, decode_words, unfold
from hub_gmail.emulator.spool import Place, Spool

SYSTEM_LABELS = (
    "CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", "CATEGORY_FORUMS", "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL", "CATEGORY_PROMOTIONS", "CATEGORY_SOCIAL", "STARRED", "UNREAD",
)  # fmt: skip
FIXED_LABELS = frozenset({"SENT", "DRAFT", "CHAT"})
_FIRST_SANE_MS = 631_152_000_000  # 1990-01-01

_WANTED = re.compile(
    rb"^(message-id|in-reply-to|references|subject|date|from|to|cc|bcc)[ \t]*:(.*(?:\n[ \t].*)*)", re.I | re.M
)
_PREFIX = re.compile(r"^(?:\s*(?:(?:re|fw|fwd|aw|wg|sv|vs|antw|tr|rv)\s*(?:\[\d+\])?:|\[[^\]]*\]))+", re.I)


class Head(NamedTuple):
    """The headers a mailbox looks at, first occurrence each, unfolded; "" when absent."""

    message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    subject: str = ""
    date: str = ""
    from_: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""


@dataclass(slots=True)
class Message:
    """seq: position of arrival. at: where the raw bytes are; rendered: where the parsed form is, once asked for."""

    id: str
    seq: int
    thread_id: str
    labels: tuple[str, ...]
    internal_ms: int
    history_id: int
    size: int
    rfc822_id: str
    at: Place
    rendered: Place | None = None

    @property
    def order(self) -> tuple[int, int]:
        return (self.internal_ms, self.seq)


@dataclass
class Label:
    id: str
    name: str
    type: str = "user"


@dataclass
class Mailbox:
    """address: lower case. aliases: further send-as addresses. orders: (internal_ms, seq, id), oldest first."""

    address: str
    aliases: tuple[str, ...]
    spool: Spool
    history: History
    messages: dict[str, Message] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    threads: dict[str, dict[str, None]] = field(default_factory=dict)
    orders: list[tuple[int, int, str]] = field(default_factory=list)
    watch: dict[str, Any] | None = None
    arrived: int = 0
    drafted: int = 0
    _joins: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = {name: Label(name, name, "system") for name in SYSTEM_LABELS}

    def get(self, message_id: str) -> Message:
        message = self.messages.get(message_id)
        if message is None:
            raise not_found()
        return message

    def add(
        self,
        raw: bytes,
        labels: tuple[str, ...],
        now_ms: int,
        internal_ms: int | None = None,
        thread: str | None = None,
        head: Head | None = None,
    ) -> Message:
        """Store a message and log its arrival.

        internal_ms: None takes the Date header where sane (1990 to a day ahead), else one second after the
        newest arrival. thread: join this thread if the references and the subject fit, as a sent reply asks for.
        """
        head = head or read_head(raw)
        if internal_ms is None:
            internal_ms = _date_ms(head.date, now_ms)
            if internal_ms is None:
                internal_ms = (
                    self.messages[next(reversed(self.messages))].internal_ms + 1000 if self.messages else now_ms
                )
        seq, self.arrived = self.arrived, self.arrived + 1
        # Odd multiplier modulo 2^32: every seq gets its own id, and ids do not sort by time.
        message_id = (
            f"{0x18 << 56 | (crc32(self.address.encode()) & 0xFFFFFF) << 32 | seq * 0x9E3779B1 & 0xFFFFFFFF:016x}"
        )
        thread_id = self._thread(head, message_id, thread)
        ids = tuple(dict.fromkeys(self.label_id(name) for name in labels))
        message = Message(
            message_id, seq, thread_id, ids, max(internal_ms, 0), 0, len(raw), head.message_id, self.spool.put(raw)
        )
        self.messages[message_id] = message
        self.threads.setdefault(thread_id, {})[message_id] = None
        insort(self.orders, (*message.order, message_id))
        message.history_id = self.history.write(now_ms, (("messagesAdded", self.entry(message)),))
        return message

    def entry(self, message: Message, changed: tuple[str, ...] = ()) -> Entry:
        return Entry(message.id, message.thread_id, message.labels, changed)

    def _thread(self, head: Head, message_id: str, wanted: str | None) -> str:
        """Joined through an id both mention, and only under the same normalised subject; else its own thread.

        Ids count in angle brackets only: a bare In-Reply-To joins nothing here, as in any strict reader.
        """
        subject = normal_subject(head.subject)
        cited = re.findall(r"<[^<>\s]+>", f"{head.references} {head.in_reply_to}")
        own = re.findall(r"<[^<>\s]+>", head.message_id)
        keys = [hash((cited_id, subject)) for cited_id in reversed(dict.fromkeys([*own, *cited]))]
        found = [self._joins[key] for key in keys if key in self._joins and self._joins[key] in self.threads]
        thread_id = wanted if wanted in found else (found[0] if found else message_id)
        for key in keys:
            if self._joins.get(key) not in self.threads:
                self._joins[key] = thread_id
        return thread_id

    def relabel(self, ids: list[str], add: tuple[str, ...], remove: tuple[str, ...], now_ms: int) -> None:
        """Change labels of several messages in one history record; unknown ids are passed over."""
        changes = []
        touched = []
        for message in (self.messages[i] for i in dict.fromkeys(ids) if i in self.messages):
            added = tuple(x for x in add if x not in message.labels)
            removed = tuple(x for x in remove if x in message.labels and x not in add)
            if not added and not removed:
                continue
            message.labels = (*(x for x in message.labels if x not in removed), *added)
            touched.append(message)
            changes += [("labelsAdded", self.entry(message, added))] if added else []
            changes += [("labelsRemoved", self.entry(message, removed))] if removed else []
        if changes:
            history_id = self.history.write(now_ms, tuple(changes))
            for message in touched:
                message.history_id = history_id

    def trash(self, ids: list[str], now_ms: int) -> None:
        self.relabel(ids, ("TRASH",), ("INBOX",), now_ms)

    def delete(self, ids: list[str], now_ms: int) -> None:
        """For good: gone from everything, known only to the history."""
        gone = [self.messages.pop(i) for i in dict.fromkeys(ids) if i in self.messages]
        if not gone:
            return
        lost = {m.id for m in gone}
        self.orders = [o for o in self.orders if o[2] not in lost]
        self.drafts = {d: m for d, m in self.drafts.items() if m not in lost}
        for message in gone:
            siblings = self.threads[message.thread_id]
            del siblings[message.id]
            if not siblings:
                del self.threads[message.thread_id]
        self.history.write(now_ms, tuple(("messagesDeleted", self.entry(m)) for m in gone))

    def new_draft_id(self) -> str:
        self.drafted += 1
        return f"r{1_000_000_000_000_000_000 + self.drafted * 7_777_777_777_777_777 % 8_000_000_000_000_000_000}"

    def label_id(self, name: str) -> str:
        """The id of a label by id or name; a new user label when there is none."""
        if name in self.labels:
            return name
        for label in self.labels.values():
            if label.name.lower() == name.lower():
                return label.id
        numbers = [int(i[6:]) for i in self.labels if i.startswith("Label_")]
        label = Label(f"Label_{max(numbers, default=0) + 1}", name)
        self.labels[label.id] = label
        return label.id

    def known_labels(self, ids: Any) -> tuple[str, ...]:
        """Checks label ids of a request. Raises 400 for unknown ones."""
        if ids is None:
            return ()
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            raise invalid("Invalid label: the list must hold label ids")
        for label_id in ids:
            if label_id not in self.labels:
                raise invalid(f"Invalid label: {label_id}")
        return tuple(ids)


def read_head(raw: bytes) -> Head:
    """The wanted headers without parsing the rest."""
    ends = [at for at in (raw.find(b"\n\n"), raw.find(b"\r\n\r\n")) if at >= 0]
    found: dict[str, str] = {}
    for name, value in _WANTED.findall(raw[: min(ends, default=len(raw))]):
        key = name.decode().lower().replace("-", "_")
        key = "from_" if key == "from" else key
        if key not in found:
            found[key] = clean(unfold(value.decode("ascii", "surrogateescape")))
    return Head(**found)


def normal_subject(subject: str) -> str:
    """Without reply and forward marks and list tags, white space collapsed, lower case."""
    text = _PREFIX.sub("", " ".join(decode_words(subject).split()))
    return text.strip().lower()


def _date_ms(value: str, now_ms: int) -> int | None:
    try:
        parts = email.utils.parsedate_tz(value)
        at_ms = int(email.utils.mktime_tz(parts) * 1000) if parts else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at_ms if at_ms is not None and _FIRST_SANE_MS <= at_ms <= now_ms + DAY_MS else None
