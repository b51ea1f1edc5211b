"""Reading an account: everything once, then what the server says has changed.

A server that knows sync-collection (RFC 6578) names changes and deletions itself. One that does not is asked for its
etags when a calendar's ctag has moved; what is no longer listed is then named by a listing of everything, so that the
hub asks for each missing record and its brake on mass deletions holds.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hub.api import (
    Clock,
    ConfigError,
    CursorExpired,
    Gap,
    Gone,
    Page,
    Pull,
    RawRecord,
    ScopeError,
    Transient,
    Window,
)
from hub_caldav import discovery, ics
from hub_caldav.cursor import Cursor, Place, parse_cursor, short
from hub_caldav.dav import READ, Dav, Object
from hub_caldav.discovery import Calendar
from hub_caldav.ics import Layout, Meeting
from hub_caldav.settings import CalDavSettings

NAMES_PER_PAGE = 2_000


def horizon_of(now: datetime, days_ahead: int) -> str:
    """The first of a month: series are laid out anew once a month, not at every reading."""
    ahead = now + timedelta(days=days_ahead)
    return f"{ahead.year + ahead.month // 12:04}{ahead.month % 12 + 1:02}01"


def is_within(meeting: Meeting, window: Window) -> bool:
    """What cannot be read has no time and is always let through: somebody must hear of it."""
    if window == Window() or (begins := meeting.begins) is None:
        return True
    return (window.since is None or begins >= window.since) and (window.until is None or begins < window.until)


@dataclass
class Read:
    """What became of some objects: the parts of a Page."""

    records: list[RawRecord] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Reader:
    """One pull: its settings, its request and the calls it makes."""

    def __init__(self, dav: Dav, settings: CalDavSettings, clock: Clock, window: Window) -> None:
        self.dav = dav
        self.settings = settings
        self.window = window
        self.horizon = horizon_of(clock.now(), settings.days_ahead)

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        if pull.cursor is None:
            home = (await discovery.account(self.dav, self.settings.base_url)).home
            cursor = Cursor(home, self.horizon, is_full=True)
            for calendar in await self.calendars(home):
                cursor.places[calendar.href] = await self._pinned(calendar)
            if not cursor.places:
                raise ConfigError("calendars: the account has no calendar with events that the settings name")
        else:
            cursor = parse_cursor(pull.cursor)
        if not cursor.is_full:
            async for page in self._follow(cursor):
                yield page
        async for page in self._read_new(cursor):
            yield page

    async def calendars(self, home: str, known: Sequence[str] = ()) -> list[Calendar]:
        """The calendars the settings choose. Raises ScopeError when one already read, or every one, may not be read."""
        try:
            found = await discovery.calendars(self.dav, home)
        except Gone as exc:
            raise CursorExpired("the account's calendar home has moved") from exc
        wanted = self.settings.calendars
        chosen = [c for c in found if not wanted or any(discovery.named(w, c) for w in wanted)]
        readable = [c for c in chosen if c.may_read is not False]
        for calendar in chosen:
            if calendar.may_read is False and (calendar.href in known or not readable):
                raise ScopeError(f"{READ} is missing on calendar {calendar.href}")
        return readable

    async def _pinned(self, calendar: Calendar) -> Place:
        """Where changes will be asked from once the calendar has been read: noted before the first look at it.

        The token is tried at once, since some servers show one and then refuse the report.
        """
        if self.settings.sync == "auto" and calendar.sync_token:
            try:
                await self.dav.changes(calendar.href, calendar.sync_token)
                return Place(calendar.sync_token, calendar.ctag, after="")
            except CursorExpired:
                pass
            except Transient as exc:
                if exc.status not in {500, 501}:
                    raise
        return Place("", calendar.ctag, after="")

    # -- everything, once ---------------------------------------------------------------------------

    async def _read_new(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Calendars not read to their end yet, in order of address, each resumed where it was left."""
        waiting = [href for href, place in sorted(cursor.places.items()) if place.after is not None]
        if cursor.is_full and not waiting:
            cursor.is_full = False
            yield Page([], cursor.text(), is_full=True, is_last=True)
        for calendar in waiting:
            place = cursor.places[calendar]
            listed = await self.dav.listing(calendar)
            left = sorted(href for href in listed if href > (place.after or ""))
            size = self.settings.batch_size
            for start in range(0, max(len(left), 1), size):
                part = left[start : start + size]
                read = await self._take(calendar, place, part)
                place.after = part[-1] if start + size < len(left) else None
                is_full, is_last = cursor.is_full, place.after is None and calendar == waiting[-1]
                cursor.is_full = is_full and not is_last
                yield self._page(read, cursor, is_full=is_full, is_last=is_full and is_last)

    def _page(self, read: Read, cursor: Cursor, *, is_full: bool = False, is_last: bool = False) -> Page:
        return Page(read.records, cursor.text(), is_full=is_full, is_last=is_last, gone=read.gone, gaps=read.gaps)

    # -- changes ------------------------------------------------------------------------------------

    async def _follow(self, cursor: Cursor) -> AsyncIterator[Page]:
        """What has changed in calendars already read; calendars that are new, or no longer there."""
        found = {c.href: c for c in await self.calendars(cursor.home, list(cursor.places))}
        for href in [h for h in cursor.places if h not in found]:
            del cursor.places[href]
            cursor.owes_names = True
        for href, calendar in found.items():
            place = cursor.places.get(href)
            if place is None:
                cursor.places[href] = await self._pinned(calendar)
            elif place.after is None and place.token:
                async for page in self._changed(cursor, place, calendar):
                    yield page
            elif place.after is None:
                async for page in self._compared(cursor, place, calendar):
                    yield page
        async for page in self._laid_out_further(cursor):
            yield page
        if cursor.owes_names:
            async for page in self._named(cursor):
                yield page

    async def _changed(self, cursor: Cursor, place: Place, calendar: Calendar) -> AsyncIterator[Page]:
        """sync-collection. The token moves on with the last page of its changes, never before."""
        is_more = calendar.sync_token != place.token
        while is_more:
            changed, deleted, token, is_more = await self.dav.changes(calendar.href, place.token)
            if is_more and token == place.token:
                raise CursorExpired("the server gives the same part of its changes again and again")
            size = self.settings.batch_size
            for start in range(0, max(len(changed), 1), size):
                read = await self._take(calendar.href, place, changed[start : start + size])
                if start + size >= len(changed):
                    for href in deleted:
                        read.gone += self._forgotten(place, href)
                    place.token = token
                yield self._page(read, cursor)

    async def _compared(self, cursor: Cursor, place: Place, calendar: Calendar) -> AsyncIterator[Page]:
        """Without sync-collection: all etags, when the calendar's ctag has moved."""
        if calendar.ctag and calendar.ctag == place.ctag:
            return
        listed = await self.dav.listing(calendar.href)
        changed = sorted(h for h, etag in listed.items() if not etag or place.etags.get(short(h)) != short(etag))
        size = self.settings.batch_size
        for start in range(0, len(changed), size):
            read = await self._take(calendar.href, place, changed[start : start + size])
            yield self._page(read, cursor)
        cursor.owes_names = cursor.owes_names or bool(set(place.etags) - {short(h) for h in listed})
        place.ctag = calendar.ctag
        yield self._page(Read(), cursor)

    async def _laid_out_further(self, cursor: Cursor) -> AsyncIterator[Page]:
        """A new month: series go on. Which ones do is known without asking; their objects are read again."""
        if self.horizon <= cursor.horizon:
            return
        before, now = self._layout(cursor.horizon), self._layout(self.horizon)
        for calendar, place in cursor.places.items():
            longer = []
            for href, times in place.series.items():
                old, new = (_names(href, times, layout) for layout in (before, now))
                if new - old:
                    longer.append(href)
            for start in range(0, len(longer), self.settings.batch_size):
                part = longer[start : start + self.settings.batch_size]
                yield self._page(await self._take(calendar, place, part), cursor)
        cursor.horizon = self.horizon
        yield self._page(Read(), cursor)

    async def _named(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Everything there is, by name alone, so that the hub finds out what is missing, and asks for it itself."""
        names: list[str] = []
        for calendar, place in cursor.places.items():
            if place.after is not None:
                continue
            listed = await self.dav.listing(calendar)
            for href in listed:
                names += sorted(self._names(place, href))
            shorts = {short(h) for h in listed}
            place.etags = {k: v for k, v in place.etags.items() if k in shorts}
            place.series = {h: times for h, times in place.series.items() if h in listed}
        is_all = all(place.after is None for place in cursor.places.values())
        before = cursor.text()
        cursor.owes_names = False
        for start in range(0, max(len(names), 1), NAMES_PER_PAGE):
            part = names[start : start + NAMES_PER_PAGE]
            is_last = start + NAMES_PER_PAGE >= len(names)
            cursor.is_full = is_last and not is_all
            text = cursor.text() if is_last else before
            yield Page([], text, is_full=True, is_last=is_last and is_all, also_seen=part)

    # -- objects ------------------------------------------------------------------------------------

    def _layout(self, horizon: str) -> Layout:
        until = datetime.strptime(horizon, "%Y%m%d").replace(tzinfo=UTC)
        return Layout(until, self.settings.most_occurrences, self.settings.floating_zone)

    async def _take(self, calendar: str, place: Place, hrefs: Sequence[str]) -> Read:
        """Read these objects and lay them out; what an object no longer holds of what it held before is gone."""
        read = Read()
        for found in await self.dav.read(calendar, hrefs) if hrefs else []:
            if found.body is None:
                if found.status in {404, 410}:
                    read.gone += self._forgotten(place, found.href)
                else:
                    reason = f"HTTP {found.status}" if found.status else "left out of the answer"
                    read.gaps.append(Gap(found.href, reason))
                continue
            if not place.token and found.etag:
                place.etags[short(found.href)] = short(found.etag)
            self._took(place, found, read)
        return read

    def _took(self, place: Place, found: Object, read: Read) -> None:
        body, href = found.body or b"", found.href
        given = ics.meetings(href, body, self._layout(self.horizon), found.etag)
        read.records += [m.record for m in given if is_within(m, self.window)]
        names = {m.record.external_id for m in given}
        known = place.series.pop(href, None)
        if names != {href}:
            place.series[href] = ics.times_only(body)
        if known is None:
            if place.after is None:  # read before, as a single event
                read.gone += sorted({href} - names)
            return
        # The cap leaves the oldest meetings out of `names`: those are not gone, and asked for without it.
        lost = _names(href, known, self._layout(self.horizon)) - names
        if lost:
            everything = Layout(self._layout(self.horizon).until, 10**9, self.settings.floating_zone)
            lost -= {m.record.external_id for m in ics.meetings(href, body, everything)}
        read.gone += sorted(lost)

    def _names(self, place: Place, href: str) -> set[str]:
        times = place.series.get(href)
        return {href} if times is None else _names(href, times, self._layout(self.horizon))

    def _forgotten(self, place: Place, href: str) -> list[str]:
        """Names of everything an object that is gone was known for."""
        names = self._names(place, href) | {href}
        place.series.pop(href, None)
        place.etags.pop(short(href), None)
        return sorted(names)


def _names(href: str, times: str, layout: Layout) -> set[str]:
    return {m.record.external_id for m in ics.meetings(href, times.encode(), layout)}
