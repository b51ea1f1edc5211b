"""Asking for events by name or by time, and not for changes: single look-ups, the census, a later horizon."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hub.api import ContractBroken, Gone, Http, RawRecord, Window
from hub_calendar.private import reduced
from hub_calendar.series import Series
from hub_calendar.settings import CalendarSettings
from hub_calendar.wire import FIELDS, HEAD, TYPES, Head, Listing, events_path, external, instant, list_page, split

AT_ONCE = 5


async def fetch(http: Http, external_ids: Sequence[str]) -> list[RawRecord]:
    """These events now, some at once. Deleted ones are left out; a cancelled occurrence of a living series is not."""
    gate, series = asyncio.Semaphore(AT_ONCE), Series(http)

    async def one(name: str) -> RawRecord | None:
        calendar, event_id = split(name)
        async with gate:
            try:
                answer = await http.request("GET", events_path(calendar, event_id), cost="events.get")
            except Gone:
                return None
            head = head_of(answer.body)
            if head is None:
                return broken(calendar, answer.body)
            if head.status != "cancelled":
                return RawRecord(name, reduced(answer.body), head.etag)
            if not head.recurringEventId:
                return None
            whole = await series.cancelled(calendar, head, answer.body, None)
            return RawRecord(name, whole, head.etag) if whole is not None else None

    try:
        async with asyncio.TaskGroup() as together:  # `gather` would leave the others running when one fails
            found = [together.create_task(one(name)) for name in external_ids]
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [record for task in found if (record := task.result()) is not None]


async def spans(http: Http, calendar: str, window: Window, fields: str = "") -> AsyncIterator[Listing]:
    """Pages of what lies in a stretch of time, deleted entries included: a list of its own, without sync tokens."""
    params: dict[str, Any] = {
        "singleEvents": "true", "orderBy": "startTime", "showDeleted": "true", "eventTypes": list(TYPES),
        "maxResults": 2500,
    }  # fmt: skip
    if window.since:  # bounds the end, and leaves out what ends at that very moment
        params["timeMin"] = (window.since - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    if window.until:
        params["timeMax"] = window.until.isoformat().replace("+00:00", "Z")
    if fields:
        params["fields"] = fields
    seen = set()
    while True:
        listing = await list_page(http, calendar, params)
        yield listing
        page = listing.nextPageToken
        if not page:
            return
        if page in seen:
            raise ContractBroken("events.list gave the same page token twice: the list would never end")
        seen.add(page)
        params["pageToken"] = page


async def ids(http: Http, settings: CalendarSettings, window: Window, now: datetime) -> set[str]:
    """Names of all meetings that begin in a stretch of time, by asking for the time and not for changes."""
    found, series, until = set(), Series(http), horizon(settings, now)
    for calendar in settings.calendar_ids:
        fields = "nextPageToken,items(id,status,etag,start,originalStartTime,recurringEventId)"
        async for listing in spans(http, calendar, Window(window.since, window.until), fields):
            for item in listing.items:
                head = head_of(bytes(item))
                if head is None:
                    name = FIELDS.decode(item).get("id")
                    found.add(external(calendar, msgspec.json.decode(name, type=str) if name is not None else ""))
                    continue
                when = head.start or head.originalStartTime
                if when is None or not is_within(instant(when), window):
                    continue
                if head.recurringEventId and instant(when) >= until:
                    continue
                if head.status == "cancelled" and (
                    not head.recurringEventId or await series.cancelled(calendar, head, bytes(item), None) is None
                ):
                    continue
                found.add(external(calendar, head.id))
    return found


def horizon(settings: CalendarSettings, now: datetime) -> datetime:
    """Midnight UTC, so that it moves once a day."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=settings.horizon_days)


def is_within(at: datetime, window: Window) -> bool:
    return (window.since is None or at >= window.since) and (window.until is None or at < window.until)


def head_of(body: bytes | msgspec.Raw) -> Head | None:
    try:
        return HEAD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def broken(calendar: str, body: bytes) -> RawRecord:
    """An event of an unknown shape is kept under its id: the mapping says what is wrong and puts it into quarantine."""
    try:
        event_id = msgspec.json.decode(FIELDS.decode(body)["id"], type=str)
    except (msgspec.DecodeError, KeyError) as exc:
        raise ContractBroken("events.list gave an item without an id") from exc
    return RawRecord(external(calendar, event_id), reduced(body))
