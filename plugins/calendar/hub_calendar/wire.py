"""The shapes of Google's answers that this connector reads, and how they are asked for.

Only the fields used are named; msgspec skips the rest. Source: Calendar API v3 discovery document.
"""

from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.api import ContractBroken, Http

ROOT = "calendar/v3/"
HUB_KEY = "interaction-hub-key"
# Every other mark of visibility, one we do not know for one, is taken for private.
OPEN = frozenset({"", "default", "public"})
# Birthdays, working places, focus and absence are no meetings.
TYPES = ("default", "fromGmail")


class When(msgspec.Struct, gc=False):
    """An instant with its zone, or a whole day. Exactly one of the first two is filled."""

    date: str = ""
    dateTime: str = ""
    timeZone: str = ""


class Someone(msgspec.Struct, gc=False):
    email: str = ""
    displayName: str = ""
    responseStatus: str = ""
    resource: bool = False
    is_self: bool = msgspec.field(default=False, name="self")


class File(msgspec.Struct, gc=False):
    fileId: str = ""
    fileUrl: str = ""
    title: str = ""
    mimeType: str = ""


class EntryPoint(msgspec.Struct, gc=False):
    entryPointType: str = ""
    uri: str = ""


class Conference(msgspec.Struct):
    entryPoints: list[EntryPoint] = []


class Extended(msgspec.Struct):
    private: dict[str, str] = {}


class Head(msgspec.Struct, gc=False):
    """What pulling needs to know of an event; the rest of its JSON stays as it came."""

    id: str
    status: str = ""
    etag: str = ""
    visibility: str = ""
    eventType: str = ""
    recurringEventId: str = ""
    start: When | None = None
    originalStartTime: When | None = None


class Event(msgspec.Struct):
    """An event, or one occurrence of a series (`recurringEventId`). Of a cancelled one only the id is certain."""

    id: str
    status: str = ""
    etag: str = ""
    iCalUID: str = ""
    summary: str = ""
    description: str = ""
    location: str = ""
    visibility: str = ""
    eventType: str = ""
    htmlLink: str = ""
    hangoutLink: str = ""
    updated: str = ""
    sequence: int = 0
    start: When | None = None
    end: When | None = None
    originalStartTime: When | None = None
    recurringEventId: str = ""
    organizer: Someone | None = None
    attendees: list[Someone] = []
    attendeesOmitted: bool = False
    attachments: list[File] = []
    conferenceData: Conference | None = None
    extendedProperties: Extended | None = None


class Listing(msgspec.Struct):
    """One page of events.list. Empty pages may have a page token; the sync token comes with the last page only."""

    items: list[msgspec.Raw] = []
    nextPageToken: str = ""
    nextSyncToken: str = ""
    accessRole: str = ""


class Channel(msgspec.Struct):
    """A watch channel as Google gives it back. expiration: epoch milliseconds, as text."""

    id: str
    resourceId: str
    expiration: int = 0


HEAD, EVENT = msgspec.json.Decoder(Head), msgspec.json.Decoder(Event)
LISTING = msgspec.json.Decoder(Listing)
CHANNEL = msgspec.json.Decoder(Channel, strict=False)
FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def events_path(calendar: str, event_id: str = "") -> str:
    """calendars/{id}/events[/{event}], quoted: ids hold @ and #."""
    path = f"{ROOT}calendars/{quote(calendar, safe='')}/events"
    return f"{path}/{quote(event_id, safe='')}" if event_id else path


def external(calendar: str, event_id: str) -> str:
    """The name of a record: every calendar has its own copy of a meeting, under one event id."""
    return f"{calendar}/{event_id}"


def split(external_id: str) -> tuple[str, str]:
    """(calendar, event id). Calendar ids hold no slash."""
    calendar, _, event_id = external_id.rpartition("/")
    return calendar, event_id


async def list_page(http: Http, calendar: str, params: dict[str, Any]) -> Listing:
    """One page of events.list. Raises ContractBroken for an answer of another shape, a page for people for one."""
    response = await http.request("GET", events_path(calendar), params=params, cost="events.list")
    try:
        return LISTING.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ContractBroken("events.list did not answer with a list of events", status=response.status) from exc


def instant(when: When) -> datetime:
    """UTC; a day begins at midnight UTC wherever instants are compared. Raises ValueError, saying nothing of the value."""
    try:
        if when.date:
            return datetime.combine(date.fromisoformat(when.date), time(), UTC)
        at = datetime.fromisoformat(when.dateTime.replace("Z", "+00:00"))
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(when.timeZone))
        return at.astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError):
        raise ValueError("a time that cannot be read") from None
