"""The order of reading: cursor exports, time exports, and what each leaves out.

A full reading and the following of changes are one and the same export, gone on from where it stopped: oldest change
first. Source: Zendesk "Using the incremental export API"; the traps are named where they are stepped around.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from hub.api import Clock, ContractBroken, CursorExpired, Gone, Page, Pull, RawRecord, RecordRejected, Window
from hub_zendesk.client import API, Client, Comment, chunks, raw_rows, read
from hub_zendesk.errors import TOO_RECENT
from hub_zendesk.records import (
    TicketBody,
    TicketHead,
    comment_id,
    comment_record,
    row_record,
    split_id,
    ticket_record,
)
from hub_zendesk.settings import ZendeskSettings
from hub_zendesk.texts import is_in

RATINGS_OVERLAP_S = 86_400
# An event that changes what is known of earlier comments, or of the ticket they hang on.
_REWRITES = frozenset({"CommentPrivacyChange", "CommentRedactionEvent", "AttachmentRedactionEvent"})
_REFRAMES = frozenset({"subject", "requester_id", "organization_id", "tags", "added_tags", "removed_tags"})


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """full: amid the first, complete reading. start: epoch s for exports by time, and for a first call. after: Zendesk's
    own cursor; once there is one, start_time is never sent again: sending it again is how records get lost."""

    full: bool = False
    start: int = 0
    after: str = ""

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class _CursorEnd(msgspec.Struct):
    end_of_stream: bool
    after_cursor: str | None = None


class _TimeEnd(msgspec.Struct):
    end_of_stream: bool
    end_time: int | None = None


E = TypeVar("E", _CursorEnd, _TimeEnd)


class _Event(msgspec.Struct):
    """One update of a ticket; its parts are in child_events, comments among them."""

    id: int
    ticket_id: int
    child_events: list[dict[str, Any]] = []
    metadata: dict[str, Any] | None = None
    system: dict[str, Any] | None = None


def first_cursor(window: Window) -> Cursor:
    """Everything changed since the window began holds everything that happened since then."""
    return Cursor(full=True, start=max(int(window.since.timestamp()), 0) if window.since else 0)


def open_cursor(pull: Pull) -> Cursor:
    if pull.cursor is None:
        return first_cursor(pull.window)
    try:
        return msgspec.json.decode(pull.cursor, type=Cursor)
    except msgspec.MsgspecError as exc:
        raise CursorExpired("not a cursor of this connector") from exc


class Exports:
    """Pages of the incremental exports of one account."""

    def __init__(self, client: Client, settings: ZendeskSettings) -> None:
        self.client = client
        self.settings = settings

    async def by_cursor(
        self, path: str, key: str, cursor: Cursor, cost: str, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[list[msgspec.Raw], Cursor, bool]]:
        """(rows, the cursor true once they are stored, whether that was all for now).

        A poll without news answers `after_cursor: null`: the cursor we have stays.
        """
        while True:
            place: dict[str, str | int] = {"cursor": cursor.after} if cursor.after else {"start_time": cursor.start}
            asked = {**place, "per_page": self.settings.page_size, **(params or {})}
            answer = await self._ask(path, asked, cost)
            if answer is None:
                yield [], replace(cursor, full=False), True
                return
            end = _end(answer, _CursorEnd, path)
            rows = raw_rows(answer, key, path)
            after = end.after_cursor or cursor.after
            if not end.end_of_stream and after == cursor.after:
                raise ContractBroken(f"{path} leads to the page it stands on", connector="zendesk")
            cursor = Cursor(cursor.full and not end.end_of_stream, 0 if after else cursor.start, after)
            yield rows, cursor, end.end_of_stream
            if end.end_of_stream:
                return

    async def by_time(
        self, path: str, key: str, cursor: Cursor, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[list[msgspec.Raw], Cursor, bool]]:
        """As by_cursor. The rows at the edge of a page come twice, and `next_page` is never null: end_of_stream ends it.

        A page that ends where it began would be asked for again for ever: that stops the stream instead.
        """
        while True:
            asked: dict[str, str | int] = {
                "start_time": cursor.start,
                "per_page": self.settings.page_size,
                **(params or {}),
            }
            answer = await self._ask(path, asked, "export")
            if answer is None:
                yield [], replace(cursor, full=False), True
                return
            end = _end(answer, _TimeEnd, path)
            start = cursor.start if end.end_time is None else end.end_time
            if start < cursor.start or (start == cursor.start and not end.end_of_stream):
                raise ContractBroken(f"{path} leads to the page it stands on", connector="zendesk")
            rows = raw_rows(answer, key, path)
            cursor = Cursor(cursor.full and not end.end_of_stream, start)
            yield rows, cursor, end.end_of_stream
            if end.end_of_stream:
                return

    async def _ask(self, path: str, params: Mapping[str, str | int], cost: str) -> dict[str, msgspec.Raw] | None:
        """One page; None where Zendesk says that nothing that young is exported yet."""
        full = f"incremental/{path}"
        try:
            response = await self.client.http.request("GET", API + full, params=params, cost=cost)
        except RecordRejected as exc:
            if TOO_RECENT in exc.message:
                return None
            raise ContractBroken(exc.message, status=exc.status, connector="zendesk") from exc
        answer = read(response.body, dict[str, msgspec.Raw], full)
        if "end_of_stream" not in answer:
            raise ContractBroken(f"{full} answered without end_of_stream", connector="zendesk")
        return answer


def _end(answer: Mapping[str, msgspec.Raw], kind: type[E], path: str) -> E:
    """What the answer says about its end. Raises ContractBroken when that cannot be understood."""
    given = {name: answer[name] for name in kind.__struct_fields__ if name in answer}
    return read(msgspec.json.encode(given), kind, path)


class TicketReader:
    """Tickets, and which were merged into which.

    Zendesk marks a ticket that was merged away with a tag and says nothing in the other one: the closing comment
    names it. What is known of earlier merges is carried over from what the hub holds.
    """

    def __init__(self, exports: Exports) -> None:
        self.exports = exports
        self.client = exports.client

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        cursor = open_cursor(pull)
        params = {"support_type_scope": "all"} if self.exports.settings.ai_agent_tickets else {}
        async for rows, then, is_end in self.exports.by_cursor("tickets/cursor", "tickets", cursor, "export", params):
            records = await self._records(rows, pull)
            yield Page(records, then.text(), is_full=cursor.full, is_last=cursor.full and is_end)
            cursor = then

    async def _records(self, rows: Sequence[msgspec.Raw], pull: Pull) -> list[RawRecord]:
        heads = [(read(bytes(row), TicketHead, "tickets"), row) for row in rows]
        newest = {head.id: (head, row) for head, row in heads if is_in(head.created_at, pull.window)}
        stored = pull.held([str(i) for i in newest])
        known = {int(i): read(body, TicketBody, "stored ticket") for i, body in stored.items()}
        merged: dict[int, set[int]] = {i: set(body.merged) for i, body in known.items()}
        into: dict[int, int] = {}
        for head, _ in newest.values():
            if head.is_merged_away:
                target = known[head.id].into if head.id in known else None
                if target is None:
                    _, target = await self.merges_of(head.id)
                if target is not None:
                    into[head.id] = target
                    merged.setdefault(target, set()).add(head.id)
        absent = [i for i in merged if i not in newest]
        await self._survivors(absent, merged, newest, pull)
        return [ticket_record(row, merged.get(i, ()), into.get(i)) for i, (_, row) in newest.items()]

    async def _survivors(
        self,
        absent: Sequence[int],
        merged: dict[int, set[int]],
        newest: dict[int, tuple[TicketHead, msgspec.Raw]],
        pull: Pull,
    ) -> None:
        """Add the tickets that absorbed one of this page and are not on it."""
        if not absent:
            return
        for i, body in pull.held([str(i) for i in absent]).items():
            merged[int(i)] |= set(read(body, TicketBody, "stored ticket").merged)
        for part in chunks(absent):
            for row in await self.client.rows("tickets/show_many", "tickets", {"ids": ",".join(map(str, part))}):
                head = read(bytes(row), TicketHead, "tickets")
                newest[head.id] = (head, row)

    async def merges_of(self, ticket_id: int) -> tuple[set[int], int | None]:
        """(tickets merged into this one, the ticket this one was merged into), as its own comments tell."""
        merged: set[int] = set()
        into: int | None = None
        try:
            comments = await self.client.comments(ticket_id)
        except Gone:
            return merged, into
        for comment in comments:
            source = comment.via.get("source") if isinstance(comment.via, dict) else None
            if isinstance(source, dict) and source.get("rel") == "merge":
                here, to = source.get("from"), source.get("to")
                if isinstance(here, dict) and isinstance(here.get("ticket_ids"), list):
                    merged |= {i for i in here["ticket_ids"] if isinstance(i, int)}
                if isinstance(to, dict) and isinstance(to.get("ticket_id"), int):
                    into = int(to["ticket_id"])
        return merged, into

    async def fetch(self, ids: Sequence[str]) -> list[RawRecord]:
        """These tickets, each with its merges: what the hub holds of them is not at hand here."""
        found = []
        for part in chunks([i for i in ids if i.isdecimal()]):
            for row in await self.client.rows("tickets/show_many", "tickets", {"ids": ",".join(part)}):
                head = read(bytes(row), TicketHead, "tickets")
                merged, into = await self.merges_of(head.id)
                found.append(ticket_record(row, merged, into if head.is_merged_away else None))
        return found


class CommentReader:
    """Comments out of the ticket events, the only export that has them; each ticket's own count says if all are there."""

    def __init__(self, exports: Exports) -> None:
        self.exports = exports
        self.client = exports.client
        self.message_ids = exports.settings.message_ids
        self._seen: Counter[int] = Counter()
        self._born: set[int] = set()
        self._counts: dict[int, int] = {}

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        cursor, include = open_cursor(pull), {"include": "comment_events"}
        named: set[str] = set()
        async for rows, then, is_end in self.exports.by_time("ticket_events", "ticket_events", cursor, include):
            records = await self._records([read(bytes(r), _Event, "ticket_events") for r in rows], cursor.full, named)
            if is_end:
                records += await self._missing()
            is_open = pull.window == Window()
            inside = records if is_open else [r for r in records if is_in(_created(r), pull.window)]
            yield Page(inside, then.text(), is_full=cursor.full, is_last=cursor.full and is_end)
            cursor = then

    async def _records(self, events: Sequence[_Event], is_full: bool, named: set[str]) -> list[RawRecord]:
        """The comments of a page of events. Tickets whose earlier comments changed are read as a whole."""
        comments: dict[int, dict[int, Comment]] = {}
        whole: set[int] = set()
        born: set[int] = set()
        for event in events:
            for child in event.child_events:
                kind = child.get("event_type")
                if kind in {"Comment", "VoiceComment"}:
                    comment = _comment(child, event)
                    comments.setdefault(event.ticket_id, {})[comment.id] = comment
                    if self.message_ids and comment.channel == "email" and not comment.message_id:
                        whole.add(event.ticket_id)
                elif kind in _REWRITES or (kind == "Change" and not is_full and not _REFRAMES.isdisjoint(child)):
                    whole.add(event.ticket_id)
                elif kind == "Create":
                    born.add(event.ticket_id)
        self._born |= born
        contexts = await self.client.contexts([*comments, *whole, *born])
        records: list[RawRecord] = []
        here: set[str] = set()
        for ticket_id, ticket in contexts.items():
            given = list(comments.get(ticket_id, {}).values())
            if ticket_id in whole:
                given = await self._whole(ticket_id)
            records += [comment_record(ticket, comment) for comment in given]
            names = {comment_id(ticket_id, c.id) for c in given}
            here |= names
            self._seen[ticket_id] = len(names) if ticket_id in whole else self._seen[ticket_id] + len(names - named)
            if ticket.comment_count is not None:
                self._counts[ticket_id] = ticket.comment_count
        named.clear()
        named.update(here)  # rows come again at the edge of a page, and only there
        return records

    async def _whole(self, ticket_id: int) -> list[Comment]:
        try:
            return await self.client.comments(ticket_id)
        except Gone:
            return []

    async def _missing(self) -> list[RawRecord]:
        """Comments of tickets read from their beginning, where fewer came than the ticket itself counts."""
        short = [i for i in self._born if self._seen[i] < self._counts.get(i, 0)]
        records: list[RawRecord] = []
        for ticket_id, ticket in (await self.client.contexts(short)).items() if short else ():
            records += [comment_record(ticket, comment) for comment in await self._whole(ticket_id)]
        return records

    async def fetch(self, ids: Sequence[str]) -> list[RawRecord]:
        wanted: dict[str, set[str]] = {}
        for ticket_part, comment_part in map(split_id, ids):
            if ticket_part.isdecimal() and comment_part:
                wanted.setdefault(ticket_part, set()).add(comment_part)
        contexts = await self.client.contexts(int(i) for i in wanted)
        found = []
        for ticket_id, ticket in contexts.items():
            for comment in await self._whole(ticket_id):
                if str(comment.id) in wanted[str(ticket_id)]:
                    found.append(comment_record(ticket, comment))
        return found


def _comment(child: dict[str, Any], event: _Event) -> Comment:
    """A comment of the export in the form of the comment list, which keeps the mail's id in metadata."""
    metadata = child.get("metadata") or event.metadata or ({"system": event.system} if event.system else None)
    try:
        return msgspec.convert({**child, "metadata": metadata}, Comment)
    except msgspec.ValidationError as exc:
        raise ContractBroken("a comment event has an unknown form", connector="zendesk") from exc


class _CreatedAt(msgspec.Struct):
    created_at: Any = None


class _HasComment(msgspec.Struct):
    comment: _CreatedAt


def _created(record: RawRecord) -> Any:
    return msgspec.json.decode(record.body, type=_HasComment).comment.created_at


class RowReader:
    """Users, organizations, ratings and metric events: rows that stand for themselves."""

    def __init__(self, exports: Exports, clock: Clock) -> None:
        self.exports = exports
        self.client = exports.client
        self.clock = clock

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        cursor, name = open_cursor(pull), pull.stream
        if name == "satisfaction_ratings":
            async for page in self._ratings(pull, cursor):
                yield page
            return
        if name == "users":
            export = self.exports.by_cursor("users/cursor", "users", cursor, "user-export")
        elif name == "organizations":
            export = self.exports.by_time("organizations", "organizations", cursor)
        else:
            export = self.exports.by_time("ticket_metric_events", "ticket_metric_events", cursor)
        # Metric events happen; people and organizations are wanted whenever they were made.
        is_timed = name == "metric_events"
        async for rows, then, is_end in export:
            kept = [r for r in rows if not is_timed or is_in(read(bytes(r), _Timed, name).time, pull.window)]
            newest = {record.external_id: record for record in map(row_record, kept)}
            yield Page(list(newest.values()), then.text(), is_full=cursor.full, is_last=cursor.full and is_end)
            cursor = then

    async def _ratings(self, pull: Pull, cursor: Cursor) -> AsyncIterator[Page]:
        """Ratings given since; a comment may follow a day later, so a day is read again each time."""
        began = int(self.clock.now().timestamp())
        params: dict[str, str | int] = {"start_time": cursor.start}
        if cursor.full and pull.window.until:
            params["end_time"] = int(pull.window.until.timestamp())
        waiting: list[RawRecord] | None = None
        async for rows in self.client.listed("satisfaction_ratings", "satisfaction_ratings", params):
            if waiting is not None:
                yield Page(waiting, cursor.text(), is_full=cursor.full)
            heads = [(read(bytes(row), TicketHead, "ratings"), row) for row in rows]
            waiting = [row_record(row) for head, row in heads if is_in(head.created_at, pull.window)]
        then = Cursor(start=max(began - RATINGS_OVERLAP_S, cursor.start))
        yield Page(waiting or [], then.text(), is_full=cursor.full, is_last=cursor.full)

    async def fetch(self, stream: str, ids: Sequence[str]) -> list[RawRecord]:
        """Deleted users are given with `active: false`, and are left out."""
        asked = [i for i in ids if i.isdecimal()]
        if stream == "satisfaction_ratings":
            answers = [await self.client.one(f"satisfaction_ratings/{i}", "satisfaction_rating") for i in asked]
            return [row_record(msgspec.Raw(msgspec.json.encode(a))) for a in answers if a]
        if stream == "metric_events":
            raise NotImplementedError("Zendesk gives metric events only through the export")
        found = []
        for part in chunks(asked):
            found += await self.client.rows(f"{stream}/show_many", stream, {"ids": ",".join(part)})
        return [row_record(row) for row in found if read(bytes(row), _Alive, stream).active is not False]


class _Timed(msgspec.Struct):
    time: Any = None


class _Alive(msgspec.Struct):
    active: Any = None
