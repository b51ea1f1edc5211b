"""CalDAV: the calendars of any server that speaks it, meetings in and (when allowed) meetings out.

In: one account's calendars. Out: every meeting as a record of its own, those of series included, and the names of
those that are gone. Source: RFC 4791 (CalDAV), RFC 6578 (sync-collection), RFC 6638 (scheduling), RFC 5545 (iCalendar).
"""

import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import (
    Budget,
    Census,
    Change,
    ConfigError,
    Connector,
    ContractBroken,
    Entity,
    Estimate,
    Found,
    HttpProfile,
    HubError,
    JournalEntry,
    Manifest,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    Response,
    Scope,
    ScopeError,
    Stream,
    Transient,
    Window,
    hookimpl,
)
from hub_caldav import discovery, ics
from hub_caldav.dav import READ, WRITE, Dav, Object, explain, utc_stamp
from hub_caldav.ics import Layout
from hub_caldav.mapping import to_entities
from hub_caldav.pull import Reader, horizon_of, is_within
from hub_caldav.settings import MINUTE, PER_MINUTE, CalDavSettings
from hub_caldav.write import Writer
from hub_caldav.xml import path_of

__all__ = ["CalDav", "CalDavSettings"]

SMALLEST_SPAN = timedelta(days=1)
EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class CalDav(Connector[CalDavSettings]):
    """One account. Stream `events`: every meeting of every chosen calendar."""

    manifest = Manifest(
        name="caldav",
        title="CalDAV calendar",
        channels=("calendar",),
        streams=(Stream("events", deletes="confirmed", census="ids", needs=(READ,)),),
        auth=("basic", "oauth"),
        scopes=(
            Scope(READ, "reads the events of the chosen calendars"),
            Scope(WRITE, "writes meetings into one calendar; needed only with push_calendar", False),
        ),
        budgets=(Budget("minute", PER_MINUTE, MINUTE),),
        pushes=("interaction",),
        can_undo=True,
        vendor_api="RFC 4791",
        docs="plugins/caldav/README.md",
    )
    settings_model = CalDavSettings

    def budgets(self) -> tuple[Budget, ...]:
        """No server publishes a limit; how much is polite, the admin may know better."""
        return (self.settings.budget(),)

    def http_profile(self) -> HttpProfile:
        s = self.settings
        headers = {}
        if s.username:
            pair = f"{s.username}:{s.password.get_secret_value()}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return HttpProfile(s.base_url, s.oauth(), headers, explain=self._explain)

    def _explain(self, response: Response) -> HubError | None:
        return explain(response, self.services.clock)

    @property
    def dav(self) -> Dav:
        return Dav(self.http, self.settings.batch_size)

    async def forget(self) -> None:
        if self.settings.client_id:
            self.services.tokens.put(self.settings.token_name, {})

    def _reader(self, window: Window) -> Reader:
        return Reader(self.dav, self.settings, self.services.clock, window)

    # -- what may we do, and what will it cost ----------------------------------------------------

    async def check(self) -> PermissionMatrix:
        """Discovery, then one small read of every chosen calendar and one harmless try to write."""
        account = await discovery.account(self.dav, self.settings.base_url)
        rows: list[Permission] = []
        found = await discovery.calendars(self.dav, account.home)
        wanted = self.settings.calendars
        for name in wanted:
            if not any(discovery.named(name, c) for c in found):
                rows.append(Permission("events", "read", False, f"there is no calendar {name!r}", READ))
        capabilities = []
        for calendar in found:
            if wanted and not any(discovery.named(w, calendar) for w in wanted):
                continue
            rows.append(await self._may_read(calendar))
            is_synced = bool(calendar.sync_token) and self.settings.sync == "auto"
            capabilities.append(f"{'sync' if is_synced else 'etags'}:{calendar.href}")
        if not found:
            rows.append(Permission("events", "read", False, "the account has no calendar with events", READ))
        if self.settings.push_calendar:
            rows.append(await self._may_write(account.home, found))
        label = account.name or self.settings.username or account.principal
        return PermissionMatrix(account.principal, label, tuple(rows), account.addresses, tuple(capabilities))

    async def _may_read(self, calendar: discovery.Calendar) -> Permission:
        """One REPORT for a single day: what a privilege set promises, proven."""
        name = f"calendar {calendar.name or calendar.href}"
        if calendar.may_read is False:
            return Permission("events", "read", False, f"{name}: {READ} is missing", READ)
        today = self.services.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            await self.dav.query(calendar.href, _span(today, today + SMALLEST_SPAN))
        except ScopeError as exc:
            return Permission("events", "read", False, f"{name}: {exc.message}", READ)
        return Permission("events", "read", True, name, READ)

    async def _may_write(self, home: str, found: list[discovery.Calendar]) -> Permission:
        target = next((c for c in found if discovery.named(self.settings.push_calendar, c)), None)
        if target is None:
            detail = f"push_calendar: there is no calendar {self.settings.push_calendar!r}"
            return Permission("events", "write", False, detail, WRITE)
        if target.may_write is False:
            return Permission("events", "write", False, f"{target.href}: {WRITE} is missing", WRITE)
        is_allowed, detail = await Writer(self.dav, target.href, self.services.clock).may_write()
        return Permission("events", "write", is_allowed, f"{target.href}: {detail}", WRITE)

    async def estimate(self, stream: str, window: Window) -> Estimate:
        """Objects, not meetings: how many meetings a series holds is known only when it has been read."""
        home = (await discovery.account(self.dav, self.settings.base_url)).home
        count = calls = 0
        for calendar in await self._reader(window).calendars(home):
            is_all = window == Window()
            objects = len(
                await (self.dav.listing(calendar.href) if is_all else self._overlapping(calendar.href, window))
            )
            count += objects
            calls += 2 + -(-objects // self.settings.batch_size)
        budget = self.settings.budget()
        seconds = calls / (budget.units_per_window * (1 - budget.reserve)) * MINUTE.total_seconds()
        return Estimate(count, calls, seconds)

    # -- in -----------------------------------------------------------------------------------------

    def pull(self, pull: Pull) -> AsyncIterator[Page]:
        self.manifest.stream(pull.stream)
        return self._reader(pull.window).pages(pull)

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """These meetings now; one its object no longer holds is left out like one whose object is gone."""
        by_calendar: dict[str, dict[str, set[str]]] = {}
        for external_id in external_ids:
            href = ics.href_of(external_id)
            by_calendar.setdefault(href.rpartition("/")[0] + "/", {}).setdefault(href, set()).add(external_id)
        if self.settings.calendars:  # one taken out of the settings is no longer ours to read
            home = (await discovery.account(self.dav, self.settings.base_url)).home
            chosen = {c.href for c in await self._reader(Window()).calendars(home)}
            by_calendar = {href: wanted for href, wanted in by_calendar.items() if href in chosen}
        records = []
        for calendar, wanted in by_calendar.items():
            for found in await self.dav.read(calendar, list(wanted)):
                if found.body is None:
                    if found.status in {404, 410}:
                        continue
                    raise Transient(f"{found.href} could not be read (status {found.status})", connector="caldav")
                layout = self._whole(wanted[found.href])
                given = ics.meetings(found.href, found.body, layout, found.etag)
                records += [m.record for m in given if m.record.external_id in wanted[found.href]]
        return records

    def _whole(self, external_ids: set[str]) -> Layout:
        """Series without the cap, and as far ahead as the meetings asked for."""
        origins = [o for i in external_ids if (o := ics.origin_of(i))]
        zone = ZoneInfo(self.settings.floating_zone)
        latest = max((ics.instant(o, zone) for o in origins), default=self.services.clock.now())
        until = datetime.strptime(self._horizon(), "%Y%m%d").replace(tzinfo=UTC)
        return Layout(max(until, latest + timedelta(days=400)), 10**9, self.settings.floating_zone)

    def _horizon(self) -> str:
        return horizon_of(self.services.clock.now(), self.settings.days_ahead)

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        return to_entities(raw, self.settings.floating_zone, self.settings.private_events)

    async def census(self, stream: str, period: Window) -> Census:
        """Every meeting of the period by calendar-query, which shares nothing with sync-collection or etags."""
        home = (await discovery.account(self.dav, self.settings.base_url)).home
        until = datetime.strptime(self._horizon(), "%Y%m%d").replace(tzinfo=UTC)
        layout = Layout(until, self.settings.most_occurrences, self.settings.floating_zone)
        ids: set[str] = set()
        for calendar in await self._reader(period).calendars(home):
            for found in (await self._overlapping(calendar.href, period)).values():
                given = ics.meetings(found.href, found.body or b"", layout, found.etag)
                ids.update(m.record.external_id for m in given if is_within(m, period))
        return Census(stream, period, frozenset(ids), len(ids))

    async def _overlapping(self, calendar: str, period: Window) -> dict[str, Object]:
        """Objects with a meeting in the period, by address; in halves where the server cuts its answer short."""
        # A day more on both sides: servers read floating times and days in zones of their own.
        since = period.since - SMALLEST_SPAN if period.since else None
        until = period.until + SMALLEST_SPAN if period.until else None
        found, is_cut = await self.dav.query(calendar, _span(since, until))
        objects = {o.href: o for o in found}
        waiting = [(since or EVER[0], until or EVER[1])] if is_cut else []
        while waiting:
            start, end = waiting.pop()
            if end - start <= SMALLEST_SPAN / 24:
                raise ContractBroken(f"the server does not give all events of {start:%Y-%m-%d}")
            middle = start + (end - start) / 2
            for half in ((start, middle), (middle, end)):
                found, is_cut = await self.dav.query(calendar, _span(*half))
                objects |= {o.href: o for o in found}
                if is_cut:
                    waiting.append(half)
        return objects

    # -- out ----------------------------------------------------------------------------------------

    async def _writer(self, *kinds: str) -> Writer:
        if not self.settings.push_calendar:
            raise ConfigError("push_calendar is empty: name the calendar that meetings may be written to")
        if unknown := set(kinds) - set(self.manifest.pushes):
            raise ConfigError(f"caldav takes no {', '.join(sorted(unknown))}", connector="caldav")
        wanted = self.settings.push_calendar
        if wanted.startswith(("/", "https://", "http://")):
            return Writer(self.dav, path_of(wanted).rstrip("/") + "/", self.services.clock)
        home = (await discovery.account(self.dav, self.settings.base_url)).home
        for calendar in await discovery.calendars(self.dav, home):
            if discovery.named(wanted, calendar):
                return Writer(self.dav, calendar.href, self.services.clock)
        raise ConfigError(f"push_calendar: there is no calendar {wanted!r}", connector="caldav")

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return await (await self._writer(*(c.kind for c in changes))).push(changes)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        return await (await self._writer(kind)).find(keys)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        return await (await self._writer(*(e.change.kind for e in entries))).undo(entries)


def _span(start: datetime | None, end: datetime | None) -> dict[str, str]:
    return {name: utc_stamp(at) for name, at in (("start", start), ("end", end)) if at is not None}


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [CalDav]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"caldav": "hub_caldav.emulator:CalDavEmulator"}
