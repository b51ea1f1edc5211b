"""Mail files as a connector: mbox, Maildir, folders and archives of messages, Google Takeout.

No account and no network: a file a person exported, read with the same books as any other source. The `X-GM-THRID`
and `X-Gmail-Labels` headers of a Takeout export become the thread name and labels the Gmail connector gives, so
that both tell the same conversation.
"""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from pydantic import Field

from hub.api import (
    Census,
    ConfigError,
    Connector,
    ConnectorSettings,
    CursorExpired,
    Entity,
    Estimate,
    Gap,
    Manifest,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    RecordRejected,
    Stream,
    Unmapped,
    Window,
    hookimpl,
)  # fmt: skip
from hub.api.mail import Mail, decoded, occurred_at, parse_mime, to_interaction
from hub_mailfile.sources import FileSource, FolderSource, Found, Place, Source, file_faults, open_source

PAGE_RECORDS = 200
PAGE_BYTES = 32 * 1024 * 1024
_HEAD_BYTES = 256 * 1024
_SAMPLE = 1000
# What Takeout calls Gmail's own labels, and what its API calls them.
_LABELS = {
    "inbox": "INBOX", "sent": "SENT", "unread": "UNREAD", "important": "IMPORTANT", "starred": "STARRED",
    "spam": "SPAM", "trash": "TRASH", "draft": "DRAFT", "drafts": "DRAFT", "chat": "CHAT",
    "category personal": "CATEGORY_PERSONAL", "category social": "CATEGORY_SOCIAL",
    "category promotions": "CATEGORY_PROMOTIONS", "category updates": "CATEGORY_UPDATES",
    "category forums": "CATEGORY_FORUMS",
}  # fmt: skip


class MailFileSettings(ConnectorSettings):
    """path: the file or folder. account: whose mail it is, for people ("jane@example.com"); default: the file name."""

    path: Path
    account: str = Field(default="", max_length=200)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a reading stands. print: the source's fingerprint; before: hash of what was read, for files that grow.

    is_done: everything up to the place was read; is_full: the reading under way enumerates the whole source.
    """

    print: str
    container: int = 0
    offset: int = 0
    count: int = 0
    before: str = ""
    is_done: bool = False
    is_full: bool = True


class MailFile(Connector[MailFileSettings]):
    """Reads one mail file or folder."""

    manifest = Manifest(
        name="mailfile",
        title="Mail file (mbox, Maildir, Takeout)",
        channels=("email",),
        streams=(Stream("messages", deletes="suspected", census="ids"),),
        docs="plugins/mailfile/README.md",
    )
    settings_model = MailFileSettings

    @property
    def path(self) -> Path:
        return self.settings.path.expanduser()

    async def check(self) -> PermissionMatrix:
        """Open the file and read one message. Raises ConfigError when that does not work."""
        first = await asyncio.to_thread(self._first)
        label = self.settings.account or self.path.name
        detail = f"{self.path}: readable, first message of {len(first.data or b'')} bytes"
        return PermissionMatrix(
            account_id=f"mailfile:{self.settings.account or self.path.absolute()}",
            label=label,
            permissions=(Permission("messages", "read", True, detail),),
        )

    def _first(self) -> Found:
        first = next(iter(open_source(self.path).messages(Place())), None)
        if first is None:
            raise self._no_mail()
        if first.data is not None:
            try:
                parse_mime(first.data)
            except RecordRejected as exc:
                raise self._no_mail() from exc
        return first

    def _no_mail(self) -> ConfigError:
        return ConfigError(
            f"{self.path} holds no mail: give an mbox, a Maildir, .eml files or a Takeout archive",
            connector="mailfile", stream="messages",
        )  # fmt: skip

    async def estimate(self, stream: str, window: Window) -> Estimate | None:
        """From the first messages' size against the whole; exact for small files."""
        return await asyncio.to_thread(self._estimate)

    def _estimate(self) -> Estimate:
        source = open_source(self.path)
        messages = source.messages(Place())
        seen = sum(1 for _ in itertools.islice(messages, _SAMPLE))
        is_exact = seen < _SAMPLE
        if not is_exact:
            seen = max(seen, round(seen * source.size / max(1, source.consumed())))
        return Estimate(records=seen, units=0, seconds=seen * 0.002, is_exact=is_exact)

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        """Pages of 200. An unchanged file gives one page without records and is not read."""
        reading = await asyncio.to_thread(_Reading, self.path, pull)
        try:
            while (page := await asyncio.to_thread(reading.next_page)) is not None:
                yield page
        finally:
            reading.close()

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """These messages, found by reading the source through."""
        wanted = set(external_ids)

        def search() -> list[RawRecord]:
            every = _records(open_source(self.path), Place(), _Names())
            hits = (r for _, r in every if isinstance(r, RawRecord) and r.external_id in wanted)
            return list(itertools.islice(hits, len(wanted)))

        return await asyncio.to_thread(search) if wanted else []

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        """One interaction per message; Unmapped for a draft; RecordRejected for what is no message."""
        try:
            mail = parse_mime(raw.body)
            labels = gmail_labels(mail)
            if "DRAFT" in labels:
                return [Unmapped(external_id=raw.external_id, reason="a draft, never sent")]
            return [to_interaction(
                mail, external_id=raw.external_id, labels=labels, thread_refs=gmail_thread(mail)
            )]  # fmt: skip
        except RecordRejected as exc:
            exc.connector, exc.stream, exc.external_id = "mailfile", stream, raw.external_id
            raise

    async def census(self, stream: str, period: Window) -> Census | None:
        """Ids of every message of the period, by reading the source from its beginning, whatever a cursor says."""

        def enumerate_ids() -> frozenset[str]:
            every = _records(open_source(self.path), Place(), _Names())
            return frozenset(r.external_id for _, r in every if isinstance(r, Gap) or is_within(r.body, period))

        return Census(stream=stream, period=period, ids=await asyncio.to_thread(enumerate_ids))


class _Names:
    """External ids: the first 20 hex digits of the message's sha256, "-2" and so on for further equal messages.

    Line ends and trailing blank lines do not count, so that order, moves and conversions between mbox and
    Maildir keep the ids. Memory: about 100 bytes per message.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def name(self, data: bytes) -> str:
        plain = data.replace(b"\r\n", b"\n").rstrip(b"\n") if data[-1:] in b"\n\r" or b"\r\n" in data else data
        digest = hashlib.sha256(plain).hexdigest()[:20]
        key = int(digest[:16], 16)
        number = self._seen.get(key, 0) + 1
        self._seen[key] = number
        return digest if number == 1 else f"{digest}-{number}"


def _records(source: Source, start: Place, names: _Names) -> Iterator[tuple[Found, RawRecord | Gap]]:
    for found in source.messages(start):
        if found.data is None:
            yield found, Gap(f"too-large:{found.name}", "larger than 150 MiB")
        else:
            yield found, RawRecord(names.name(found.data), found.data)


class _Reading:
    """One pull under way. Not shared between threads at a time."""

    def __init__(self, path: Path, pull: Pull) -> None:
        self.window = pull.window
        self.source = open_source(path)
        self.print = self.source.fingerprint()
        self.opened = self._before(self.source.size)
        self.names = _Names()
        self.place, self.count = Place(), 0
        self.is_full = True
        self.is_over = False
        self.idle_cursor = ""
        if pull.cursor is not None:
            self._resume(pull.cursor)
        self.records = None if self.idle_cursor else _records(self.source, self.place, self.names)

    def _resume(self, text: str) -> None:
        """Go on where the cursor stands; from the start when the source was rewritten since."""
        try:
            cursor = msgspec.json.decode(text.encode(), type=Cursor)
        except (msgspec.DecodeError, msgspec.ValidationError) as exc:
            raise CursorExpired("not a cursor of this connector", connector="mailfile", stream="messages") from exc
        is_same = cursor.print == self.print
        if is_same and cursor.is_done:
            self.idle_cursor = text
            return
        if not is_same and not self._has_grown(cursor):
            if not cursor.is_done:  # what this enumeration has named so far may not exist any more
                reason = "the file was rewritten while it was being read"
                raise CursorExpired(reason, connector="mailfile", stream="messages")
            return
        self.place = Place(cursor.container, cursor.offset)
        self.count = cursor.count
        self.is_full = cursor.is_full and not cursor.is_done
        self._learn_names()

    def _before(self, offset: int) -> str:
        """The hash that tells growth from rewriting; "" where a source cannot grow."""
        source = self.source
        return source.print_before(offset) if isinstance(source, FileSource) and source.can_grow else ""

    def _check_untouched(self) -> None:
        """A file rewritten under our hands gives pages of two truths: neither is stored."""
        if isinstance(self.source, FolderSource) or self.source.fingerprint() == self.print:
            return
        if not self.opened or self._before(self.source.size) != self.opened:
            reason = "the file was rewritten while it was being read"
            raise CursorExpired(reason, connector="mailfile", stream="messages")

    def _has_grown(self, cursor: Cursor) -> bool:
        source = self.source
        return (
            isinstance(source, FileSource)
            and source.can_grow
            and bool(cursor.before)
            and source.size >= cursor.offset
            and source.print_before(cursor.offset) == cursor.before
            and source.starts_message(cursor.offset)
        )

    def _learn_names(self) -> None:
        """Hash what was read before, so that a message equal to an earlier one gets the same suffix as in one go."""
        for found, _ in itertools.islice(_records(self.source, Place(), self.names), self.count):
            if (found.after.container, found.after.offset) >= (self.place.container, self.place.offset):
                break

    def next_page(self) -> Page | None:
        if self.is_over:
            return None
        if self.records is None:
            self.is_over = True
            return Page(records=(), cursor=self.idle_cursor)
        records: list[RawRecord] = []
        gaps: list[Gap] = []
        size = 0
        for found, record in self.records:
            self.place = found.after
            self.count += 1
            if isinstance(record, Gap):
                gaps.append(record)
            elif is_within(record.body, self.window):
                records.append(record)
                size += len(record.body)
            if len(records) >= PAGE_RECORDS or size >= PAGE_BYTES:
                break
        else:
            self.is_over = True
        self._check_untouched()
        return Page(
            records=records,
            cursor=self._cursor(),
            is_full=self.is_full,
            is_last=self.is_full and self.is_over,
            gaps=gaps,
        )

    def _cursor(self) -> str:
        cursor = Cursor(
            print=self.print,
            container=self.place.container,
            offset=self.place.offset,
            count=self.count,
            before=self._before(self.place.offset) if self.place.container == 0 else "",
            is_done=self.is_over,
            is_full=self.is_full,
        )
        return msgspec.json.encode(cursor).decode()

    def close(self) -> None:
        """Close the file a half-read generator holds open."""
        with file_faults(self.source.path):
            if self.records is not None:
                self.records.close()  # type: ignore[attr-defined]


def is_within(data: bytes, window: Window) -> bool:
    """Whether a message occurred in the window. An undated or unreadable one belongs to a window open at its start."""
    if window.since is None and window.until is None:
        return True
    try:
        at = occurred_at(parse_mime(_head(data)))[0]
    except RecordRejected:
        at = None
    moment = at or datetime.min.replace(tzinfo=UTC)
    if window.since is not None and moment < window.since:
        return False
    return window.until is None or moment < window.until


def _head(data: bytes) -> bytes:
    ends = [e for e in (data.find(b"\n\n", 0, _HEAD_BYTES), data.find(b"\n\r\n", 0, _HEAD_BYTES)) if e >= 0]
    return data[: min(ends) + 1] if ends else data[:_HEAD_BYTES]


def gmail_labels(mail: Mail) -> tuple[str, ...]:
    """Labels of a Takeout message, Gmail's own by their API names."""
    value = decoded(mail.get("x-gmail-labels"))
    names = (name.strip(' "') for name in value.split(","))
    return tuple(dict.fromkeys(_LABELS.get(n.lower(), n) for n in names if n))


def gmail_thread(mail: Mail) -> tuple[str, ...]:
    """The Gmail thread of a Takeout message, as the API spells it: hexadecimal."""
    value = mail.get("x-gm-thrid").strip()
    if not (value.isascii() and value.isdecimal() and len(value) <= 20):
        return ()
    return (f"gmail-thread:{int(value):x}",)


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [MailFile]
