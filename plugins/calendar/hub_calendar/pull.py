"""Reading calendars: everything once, and from then on what Google's sync tokens say has changed.

Series are read as their occurrences (`singleEvents`), which Google works out on its servers. Source:
developers.google.com/workspace/calendar/api/guides/sync. Every list asks with the same parameters, because a sync token
is bound to those it was given for; bounds of time are kept here, since a list that is ordered or filtered gives no token.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.api import (
    ConfigError,
    ContractBroken,
    CursorExpired,
    Gap,
    Gone,
    Http,
    Page,
    Pull,
    RawRecord,
    RecordRejected,
    Window,
)
from hub_calendar.lookup import broken, head_of, horizon, is_within, spans
from hub_calendar.private import reduced
from hub_calendar.series import Series
from hub_calendar.settings import CalendarSettings
from hub_calendar.wire import TYPES, Head, Listing, external, instant, list_page


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading stands. marks: the settings it belongs to. until: the horizon, ISO; later occurrences of series
    are not held yet. tokens: sync token of each calendar that has been read. calendar, page: amid this one's list.
    """

    marks: str
    until: str
    tokens: dict[str, str] = {}
    calendar: str = ""
    page: str = ""

    def text(self) -> str:
        return msgspec.json.encode(self, order="sorted").decode()

    def at(self, calendar: str, page: str) -> "Cursor":
        return msgspec.structs.replace(self, calendar=calendar, page=page)

    def done(self, calendar: str, token: str) -> "Cursor":
        return msgspec.structs.replace(self, calendar="", page="", tokens={**self.tokens, calendar: token})


_cursor = msgspec.json.Decoder(Cursor).decode


def parse_cursor(text: str, settings: CalendarSettings) -> Cursor:
    """Raises CursorExpired for a text that is no cursor, or one of other settings: reading everything heals it."""
    try:
        cursor = _cursor(text)
        datetime.fromisoformat(cursor.until)
    except (msgspec.DecodeError, ValueError) as exc:
        raise CursorExpired("the stored cursor is unreadable") from exc
    if cursor.marks != settings.marks():
        raise CursorExpired("the settings have changed since the calendars were read")
    return cursor


@dataclass
class Read:
    """What became of the items of a list: the parts of a Page."""

    records: list[RawRecord] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def page(self, cursor: Cursor, **more: Any) -> Page:
        return Page(self.records, cursor.text(), gone=self.gone, gaps=self.gaps, **more)


class Reader:
    """One pull: its settings, its request and the calls it makes. now: the time at its beginning."""

    def __init__(self, http: Http, settings: CalendarSettings, pull: Pull, now: datetime) -> None:
        self.http = http
        self.settings = settings
        self.pull = pull
        self.series = Series(http)
        self.horizon = horizon(settings, now)

    async def pages(self) -> AsyncIterator[Page]:
        if self.pull.cursor is None:
            cursor = Cursor(self.settings.marks(), self.horizon.isoformat())
        else:
            cursor = parse_cursor(self.pull.cursor, self.settings)
        is_whole = any(calendar not in cursor.tokens for calendar in self.settings.calendar_ids)
        steps = self._everything(cursor) if is_whole else self._changes(cursor)
        async for page in steps:
            yield page

    # -- lists --------------------------------------------------------------------------------------

    async def _everything(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Calendar after calendar; the last page of the last one ends the enumeration."""
        left = [c for c in self.settings.calendar_ids if c not in cursor.tokens]
        for calendar in left:
            async for listing, then in self._list(cursor, calendar, ""):
                cursor = then
                is_last = calendar == left[-1] and not then.calendar
                read = await self._take(calendar, listing, _until(cursor))
                yield read.page(cursor, is_full=True, is_last=is_last)

    async def _changes(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Each calendar from its sync token on, then the occurrences a later horizon brings in."""
        calendars = self.settings.calendar_ids
        start = calendars.index(cursor.calendar) if cursor.calendar in calendars else 0
        for calendar in calendars[start:]:
            async for listing, then in self._list(cursor, calendar, cursor.tokens[calendar]):
                cursor = then
                read = await self._take(calendar, listing, _until(cursor))
                yield read.page(cursor)
        if self.horizon - _until(cursor) >= timedelta(days=1):
            async for page in self._further(cursor):
                yield page

    async def _list(self, cursor: Cursor, calendar: str, token: str) -> AsyncIterator[tuple[Listing, Cursor]]:
        """(page, cursor once it is stored). An empty page is not the end; a page token that comes again is an error."""
        page = cursor.page if cursor.calendar == calendar else ""
        seen, may_restart = {page}, bool(page)
        while True:
            params: dict[str, Any] = {
                "singleEvents": "true", "showDeleted": "true", "eventTypes": list(TYPES),
                "maxResults": self.settings.page_size,
            }  # fmt: skip
            params |= {k: v for k, v in (("syncToken", token), ("pageToken", page)) if v}
            try:
                listing = await self._asked(calendar, params)
            except RecordRejected as exc:
                if may_restart:  # the stored page token is too old: this calendar's list begins again
                    page, seen, may_restart = "", {""}, False
                    continue
                if token:
                    raise CursorExpired("Google refuses the sync token", connector="calendar") from exc
                raise ContractBroken("Google refuses to list events", status=exc.status) from exc
            may_restart = False
            page = listing.nextPageToken
            if page in seen and page:
                raise ContractBroken("events.list gave the same page token twice: the list would never end")
            seen.add(page)
            if page:
                yield listing, cursor.at(calendar, page)
                continue
            if not listing.nextSyncToken:
                raise ContractBroken("events.list ended without a sync token")
            yield listing, cursor.done(calendar, listing.nextSyncToken)
            return

    async def _asked(self, calendar: str, params: dict[str, Any]) -> Listing:
        try:
            return await list_page(self.http, calendar, params)
        except Gone as exc:
            # Not one event is taken for deleted because a whole calendar cannot be seen.
            raise ConfigError(
                f"calendars: {calendar} is not there, or is no longer shared with {self.settings.account}; "
                "share it again or take it out of the settings",
                connector="calendar",
                status=exc.status,
            ) from exc

    async def _further(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Occurrences between the old horizon and today's. They did not change, so no sync token names them."""
        begin, ends = _until(cursor), self.horizon
        ahead = msgspec.structs.replace(cursor, until=ends.isoformat())
        reads = []
        for calendar in self.settings.calendar_ids:
            async for listing in spans(self.http, calendar, Window(begin, ends)):
                reads.append(await self._take(calendar, listing, ends, only_from=begin))
        for number, read in enumerate(reads, 1):
            yield read.page(ahead if number == len(reads) else cursor)

    # -- items --------------------------------------------------------------------------------------

    async def _take(self, calendar: str, listing: Listing, until: datetime, only_from: datetime | None = None) -> Read:
        """Sort a list page into records, deletions and gaps. only_from: occurrences that begin then or later."""
        done = Read()
        items = [(head_of(item), bytes(item)) for item in listing.items]
        strangers = []  # those outside of the bounds, or cancelled: what the hub holds of them decides
        for head, _ in items:
            if head is not None and (head.status == "cancelled" or not self._is_wanted(head, until)):
                strangers.append(external(calendar, head.id))
        held = self.pull.held(strangers) if strangers else {}
        for head, body in items:
            if head is None:
                done.records.append(broken(calendar, body))
            elif only_from is not None and (not head.recurringEventId or not _is_from(head, only_from)):
                continue
            elif head.status == "cancelled":
                await self._take_cancelled(calendar, head, body, held, done)
            elif self._is_wanted(head, until) or external(calendar, head.id) in held:
                done.records.append(RawRecord(external(calendar, head.id), reduced(body), head.etag))
        return done

    async def _take_cancelled(
        self, calendar: str, head: Head, body: bytes, held: Mapping[str, bytes], done: Read
    ) -> None:
        name = external(calendar, head.id)
        whole = None
        if head.recurringEventId and (name in held or self._is_wanted(head, self.horizon)):
            whole = await self.series.cancelled(calendar, head, body, held.get(name))
        if whole is None:
            done.gone.append(name)
        else:
            done.records.append(RawRecord(name, whole, head.etag))

    def _is_wanted(self, head: Head, until: datetime) -> bool:
        """Within the hub's window, and an occurrence of a series not beyond the horizon."""
        when = head.start or head.originalStartTime
        if when is None:
            return True
        try:
            at = instant(when)
        except ValueError:
            return True  # the mapping will say what is wrong with it
        return is_within(at, self.pull.window) and not (head.recurringEventId and at >= until)


def _until(cursor: Cursor) -> datetime:
    return datetime.fromisoformat(cursor.until)


def _is_from(head: Head, since: datetime) -> bool:
    when = head.start or head.originalStartTime
    return when is None or instant(when) >= since
