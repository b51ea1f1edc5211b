"""Reading a mailbox: everything once, newest first; from then on what its history says has changed.

Source: developers.google.com/workspace/gmail/api/guides/sync. The history id is taken before the first list,
so whatever changes while the backfill runs is read again afterwards. A message's content never changes in
Gmail, only its labels; a changed message is still read whole, because that costs the same.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from hub.api import (
    ContractBroken,
    CursorExpired,
    Gap,
    Gone,
    Http,
    HubError,
    Page,
    Pull,
    RawRecord,
    Response,
    Window,
)
from hub_gmail.batch import read_many
from hub_gmail.changes import TYPES, Touch, touches
from hub_gmail.listing import LIST_SIZE, Turns, grouped, list_page, path_of, search
from hub_gmail.settings import GmailSettings
from hub_gmail.wire import HEAD, HISTORY, LABELS, LISTING, PROFILE, Head, Record, read

USER_LABEL = "Label_"
NAMES = b'"hubLabelNames"'
PAGE_RECORDS = 100  # per stored page: what a kill can lose


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading stands. Backfill: pin, q, page, after. Changes: history; amid a window also page, upto, to.

    pin: history id to go on from once the backfill is done. q: its search. after: last stored id of list
    page `page`. history: id whose changes are asked for. to: the id reached when the window is done.
    upto: records of history page `page` up to this id are stored.
    """

    history: int = 0
    pin: int = 0
    q: str = ""
    total: int = 0
    page: str = ""
    after: str = ""
    upto: int = 0
    to: int = 0

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


_cursor = msgspec.json.Decoder(Cursor, strict=False).decode


def parse_cursor(text: str) -> Cursor:
    """Raises CursorExpired for a text that is no cursor of ours: reading everything again heals it."""
    try:
        cursor = _cursor(text)
    except msgspec.DecodeError as exc:
        raise CursorExpired(f"the stored cursor is unreadable: {exc}") from exc
    if not cursor.history and not cursor.pin:
        raise CursorExpired("the stored cursor names no place in the mailbox")
    return cursor


@dataclass
class Read:
    """What became of some ids: the parts of a Page."""

    records: list[RawRecord] = field(default_factory=list)
    also_seen: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def page(self, cursor: Cursor, **more: Any) -> Page:
        return Page(self.records, cursor.text(), also_seen=self.also_seen, gone=self.gone, gaps=self.gaps, **more)


class Reader:
    """One pull: its settings, its request and the calls it makes."""

    def __init__(self, http: Http, settings: GmailSettings, pull: Pull) -> None:
        self.http = http
        self.settings = settings
        self.pull = pull
        self.hidden = set() if settings.include_spam_trash else {"TRASH", "SPAM"}
        self.label_names: dict[str, str] = {}

    async def pages(self) -> AsyncIterator[Page]:
        cursor = parse_cursor(self.pull.cursor) if self.pull.cursor else None
        steps = self.changes(cursor) if cursor and cursor.history else self.backfill(cursor)
        async for page in steps:
            yield page

    # -- everything -------------------------------------------------------------------------------

    async def backfill(self, cursor: Cursor | None) -> AsyncIterator[Page]:
        """messages.list newest first, each list page read in slices; the last leads over to the changes."""
        if cursor is None:
            profile = await read(self.http, "profile", PROFILE, cost="getProfile")
            is_all = self.pull.window == Window() and not self.settings.query
            q = search(self.settings, self.pull.window)
            cursor = Cursor(pin=profile.historyId, q=q, total=profile.messagesTotal if is_all else 0)
        turns, may_restart = Turns(cursor.page), True
        while True:
            try:
                listing = await list_page(self.http, self.settings, cursor.q, cursor.page)
            except ContractBroken as exc:
                if exc.status != 400 or not cursor.page or not may_restart:
                    raise
                # The page token is too old: the enumeration begins again. The pin stays, so nothing is missed.
                may_restart, cursor = False, msgspec.structs.replace(cursor, page="", after="")
                turns = Turns("")
                continue
            following = turns.next(listing.nextPageToken)
            ids = list(dict.fromkeys(m.id for m in listing.messages))
            if cursor.after in ids:  # else the list has changed since: read this page of it again
                ids = ids[ids.index(cursor.after) + 1 :]
            async for page in self._list_page(cursor, ids, following, cursor.total or listing.resultSizeEstimate):
                yield page
            if not following:
                return
            cursor = msgspec.structs.replace(cursor, page=following, after="")

    async def _list_page(
        self, cursor: Cursor, ids: list[str], following: str, total: int | None
    ) -> AsyncIterator[Page]:
        for part in _slices(ids):
            done = await self.read(part, self.pull.held(part))
            if part[-1] != ids[-1]:
                ahead = msgspec.structs.replace(cursor, after=part[-1])
            elif following:
                ahead = msgspec.structs.replace(cursor, page=following, after="")
            else:
                ahead = Cursor(history=cursor.pin)
            yield done.page(ahead, is_full=True, is_last=bool(ahead.history), total=total)
        if not ids and not following:
            yield Read().page(Cursor(history=cursor.pin), is_full=True, is_last=True, total=total)

    # -- changes ----------------------------------------------------------------------------------

    async def changes(self, cursor: Cursor) -> AsyncIterator[Page]:
        """history.list to its end. The start id moves with the last page; until then pages are resumable.

        The new start is the id the first answer named: what happens while later pages are read comes again.
        """
        turns, may_restart = Turns(cursor.page), True
        while True:
            params: dict[str, Any] = {"startHistoryId": cursor.history, "maxResults": LIST_SIZE}
            params["historyTypes"] = TYPES
            if cursor.page:
                params["pageToken"] = cursor.page
            try:
                answer = await read(self.http, "history", HISTORY, cost="history.list", params=params)
            except Gone as exc:
                raise CursorExpired(
                    f"Gmail no longer knows history id {cursor.history}", connector="gmail", status=exc.status
                ) from exc
            except ContractBroken as exc:
                if exc.status != 400 or not cursor.page or not may_restart:
                    raise
                may_restart, cursor = False, Cursor(history=cursor.history, to=cursor.to)
                turns = Turns("")
                continue
            following = turns.next(answer.nextPageToken)
            to = cursor.to or answer.historyId
            if following:
                ahead = Cursor(history=cursor.history, to=to, page=following)
            else:
                ahead = Cursor(history=max(to, cursor.history))
            async for page in self._history_page(cursor, answer.history, to, ahead):
                yield page
            if not following:
                return
            cursor = ahead

    async def _history_page(self, cursor: Cursor, history: list[Record], to: int, ahead: Cursor) -> AsyncIterator[Page]:
        touched = [t for t in touches(history) if t.record > cursor.upto]
        for part in _slices(touched):
            done = await self._read_touched(part)
            after = touched.index(part[-1]) + 1
            if after < len(touched):
                # One record can touch many messages: it counts as stored once none of them is left.
                upto = touched[after].record - 1
                yield done.page(Cursor(cursor.history, page=cursor.page, upto=upto, to=to))
            else:
                yield done.page(ahead)
        if not touched and not ahead.page:
            yield Read().page(ahead)

    async def _read_touched(self, part: Sequence["Touch"]) -> Read:
        done = await self.read([t.id for t in part if t.now == "read"], {})
        done.gone.extend(t.id for t in part if t.now == "gone")
        heads = [(r, _head(r.body)) for r in done.records]
        # A history tells of the whole mailbox: keep to the window and to the query of the connection.
        kept = [(r, h) for r, h in heads if h is None or _is_within(h, self.pull.window)]
        if self.settings.query:
            kept = await self._matching(kept, done)
        done.records = [r for r, _ in kept]
        return done

    async def _matching(
        self, found: list[tuple[RawRecord, Head | None]], done: Read
    ) -> list[tuple[RawRecord, Head | None]]:
        """Those that the connection's query finds, asked one by one around each message's own second."""
        paths = []
        for _, head in found:
            second = (head.internalDate if head else 0) // 1000
            q = f"{grouped(self.settings.query)} after:{second - 1} before:{second + 2}"
            paths.append(path_of("messages", q=q, maxResults=LIST_SIZE, includeSpamTrash=not self.hidden))
        kept = []
        answers = await read_many(self.http, paths, cost="messages.list", size=self.settings.batch_size)
        for pair, answer in zip(found, answers, strict=True):
            if isinstance(answer, HubError):
                raise answer
            if pair[1] is None or any(m.id == pair[0].external_id for m in LISTING.decode(answer.body).messages):
                kept.append(pair)
            else:
                done.gone.append(pair[0].external_id)  # labelled out of the query: off the timeline
        return kept

    # -- messages ---------------------------------------------------------------------------------

    async def read(self, ids: Sequence[str], held: Mapping[str, bytes]) -> Read:
        """Read messages: whole, or only the labels (`format=minimal`) of those the hub already holds."""
        done = Read()
        again: list[str] = []
        paths = [f"messages/{id_}?format={'minimal' if id_ in held else 'full'}" for id_ in ids]
        answers = await read_many(self.http, paths, cost="messages.get", size=self.settings.batch_size)
        for id_, answer in zip(ids, answers, strict=True):
            if isinstance(answer, Gone):
                done.gaps.append(Gap(id_, "gone"))
            elif isinstance(answer, HubError):
                done.gaps.append(Gap(id_, f"refused: {answer.message}"))
            else:
                self._take(id_, answer, held.get(id_), done, again)
        if again:
            whole = await self.read(again, {})
            done.records += whole.records
            done.gone += whole.gone
            done.gaps += whole.gaps
        done.records = [await self._with_label_names(record) for record in done.records]
        return done

    async def _with_label_names(self, record: RawRecord) -> RawRecord:
        """The names of a message's own labels beside their ids: the capture policy is written in names.

        Asked for once per pull, and only when a message carries a label of the user's making.
        """
        head = _head(record.body)
        own = [label for label in head.labelIds if label.startswith(USER_LABEL)] if head else []
        if not own:
            return record
        if not self.label_names.keys() >= set(own):
            known = await read(self.http, "labels", LABELS, cost="labels.list")
            self.label_names = {label.id: label.name for label in known.labels}
        names = {label: self.label_names[label] for label in own if label in self.label_names}
        body = record.body.rstrip()
        if not names or not body.endswith(b"}") or NAMES in body:
            return record
        spliced = body[:-1] + b"," + NAMES + b":" + msgspec.json.encode(names, order="sorted") + b"}"
        return RawRecord(record.external_id, spliced, record.version)

    def _take(self, id_: str, answer: Response, known: bytes | None, done: Read, again: list[str]) -> None:
        head = _head(answer.body)
        if head is None:
            # Broken JSON: kept as it came; the mapping says what is wrong and puts it into quarantine.
            if known is None:
                done.records.append(RawRecord(id_, answer.body))
            else:
                again.append(id_)
        elif "DRAFT" in head.labelIds:
            pass  # each save of a draft is a new message; the one that is sent will come
        elif not self.hidden.isdisjoint(head.labelIds):
            done.gone.append(id_)
        elif known is None:
            done.records.append(RawRecord(id_, answer.body, str(head.historyId)))
        else:
            try:
                body = relabel(known, answer.body)
            except msgspec.DecodeError:
                again.append(id_)
                return
            if body is None:
                done.also_seen.append(id_)
            else:
                done.records.append(RawRecord(id_, body, str(head.historyId)))


def _is_within(head: Head, window: Window) -> bool:
    ms = head.internalDate
    return (window.since is None or ms >= _ms(window.since)) and (window.until is None or ms < _ms(window.until))


def _ms(at: datetime) -> float:
    return at.timestamp() * 1000


def _head(body: bytes) -> Head | None:
    try:
        return HEAD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def relabel(known: bytes, minimal: bytes) -> bytes | None:
    """The stored message with today's labels, every other value as it was; None when nothing changed."""
    stored = msgspec.json.decode(known, type=dict[str, msgspec.Raw])
    now = msgspec.json.decode(minimal, type=dict[str, msgspec.Raw])
    if set(HEAD.decode(known).labelIds) == set(HEAD.decode(minimal).labelIds):
        return None
    stored.pop("hubLabelNames", None)
    for name in ("labelIds", "historyId"):
        stored.pop(name, None)
        if name in now:
            stored[name] = now[name]
    return msgspec.json.encode(stored)


def _slices(items: Sequence[Any]) -> list[Any]:
    return [items[i : i + PAGE_RECORDS] for i in range(0, len(items), PAGE_RECORDS)]
