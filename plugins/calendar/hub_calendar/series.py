"""Occurrences that are cancelled: kept as cancelled meetings while their series lives, deleted with it.

Google guarantees four fields of a cancelled occurrence. The rest is taken from what the hub holds of it or, for one it
never saw, from the series. Source: the `status` field of events in the discovery document.
"""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from hub.api import Gone, Http
from hub_calendar.private import reduced
from hub_calendar.wire import EVENT, FIELDS, Event, Head, When, events_path, instant

_UNTIL = re.compile(r"UNTIL=(\d{8})(T\d{6}Z?)?")
OF_THE_SERIES = ("recurrence", "id", "etag", "start", "end", "updated", "created", "sequence", "htmlLink")


class Series:
    """Looks series up, each once per pull."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._known: dict[tuple[str, str], bytes | None] = {}

    async def cancelled(self, calendar: str, head: Head, bare: bytes, held: bytes | None) -> bytes | None:
        """The cancelled occurrence as a whole event; None when it is deleted with its series, or cut off by its end."""
        master = await self._master(calendar, head.recurringEventId)
        original = head.originalStartTime
        if master is None or original is None:
            return None
        event = EVENT.decode(master)
        if event.status == "cancelled" or _is_past_end(master, instant(original)):
            return None
        return cancelled_from(bare, held or _occurrence(master, event, original))

    async def _master(self, calendar: str, event_id: str) -> bytes | None:
        key = (calendar, event_id)
        if key not in self._known:
            try:
                answer = await self._http.request("GET", events_path(calendar, event_id), cost="events.get")
                self._known[key] = answer.body
            except Gone:
                self._known[key] = None
        return self._known[key]


def cancelled_from(bare: bytes, whole: bytes) -> bytes:
    """The event as it was known, with what Google says of it now."""
    return reduced(msgspec.json.encode(FIELDS.decode(whole) | FIELDS.decode(bare)))


def _is_past_end(master: bytes, original: datetime) -> bool:
    """Whether the series has been given an end before this occurrence, as by "this and following"."""
    lines = FIELDS.decode(master).get("recurrence")
    found = _UNTIL.search(bytes(lines).decode()) if lines is not None else None
    if found is None:
        return False
    day = datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC)
    if not found[2]:
        return original >= day + timedelta(days=1)
    clock = datetime.strptime(found[2][:7], "T%H%M%S")
    return original > day.replace(hour=clock.hour, minute=clock.minute, second=clock.second)


def _occurrence(master: bytes, event: Event, original: When) -> bytes:
    """The series' own fields at the place of one occurrence."""
    fields = {k: v for k, v in FIELDS.decode(master).items() if k not in OF_THE_SERIES}
    length = instant(event.end) - instant(event.start) if event.start and event.end else timedelta(0)
    ends = instant(original) + length
    end = {"date": ends.date().isoformat()} if original.date else {"dateTime": ends.isoformat()}
    start = {"date": original.date} if original.date else {"dateTime": original.dateTime, "timeZone": original.timeZone}
    places = {"start": start, "end": end if original.date else {**end, "timeZone": original.timeZone}}
    return msgspec.json.encode(fields | {k: msgspec.Raw(msgspec.json.encode(v)) for k, v in places.items()})
