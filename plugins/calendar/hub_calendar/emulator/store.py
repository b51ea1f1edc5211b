"""What Google holds: calendars, their events, who may see them, and the order in which things changed.

A change gives the event the calendar's next sequence number; sync tokens are such numbers. A meeting lies once in each
attendee's calendar, under one id and one iCalUID; what the organizer changes is carried into the other copies.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar

from hub_calendar.emulator import expand, ics
from hub_calendar.emulator.expand import Occurrence

Data = dict[str, Any]
OWN_TO_A_COPY = ("reminders", "colorId", "extendedProperties", "transparency", "visibility")
BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
)  # what odd calendar data makes the library raise


@dataclass
class Event:
    """data: the resource without what is made at the answer (kind, etag, self). seq: of its last change.

    For a series, `dropped` are occurrences it once had: stamp -> (seq of the loss, originalStartTime).
    source: the components it came from, for expanding. is_bare: given with the guaranteed fields only, once cancelled.
    """

    data: Data
    seq: int = 0
    version: int = 0
    updated_ms: int = 0
    created_ms: int = 0
    source: ics.Group | None = None
    digest: bytes = b""
    dropped: dict[str, tuple[int, Data]] = field(default_factory=dict)
    live: dict[str, Occurrence] = field(default_factory=dict)
    live_for: tuple[int, datetime] | None = None

    @property
    def is_series(self) -> bool:
        return bool(self.data.get("recurrence")) and not self.is_cancelled

    @property
    def is_exception(self) -> bool:
        return "recurringEventId" in self.data

    @property
    def is_cancelled(self) -> bool:
        return bool(self.data.get("status") == "cancelled")


@dataclass(frozen=True)
class Row:
    """One item of a list: a whole event, an occurrence of one (`stamp`), or the trace of one it has lost."""

    id: str
    seq: int
    event: Event
    stamp: str = ""
    is_dropped: bool = False


@dataclass
class Calendar:
    """roles: address -> owner, writer, reader or freeBusyReader."""

    id: str
    summary: str
    zone: str
    roles: dict[str, str]
    now: Callable[[], datetime]
    horizon: Callable[[], datetime]
    events: dict[str, Event] = field(default_factory=dict)
    seq: int = 0
    forgotten: int = 0
    on_change: Callable[["Calendar"], None] = lambda calendar: None

    @property
    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)

    # -- changing

    def touch(self, event: Event, live: dict[str, Occurrence] | None = None) -> None:
        """The event has changed: a new etag and place in the order; a series notes the occurrences it lost.

        live: its occurrences, where the caller has worked them out already.
        """
        before = dict(event.live) if event.live_for else {}
        self.seq += 1
        event.seq, event.version = self.seq, event.version + 1
        event.updated_ms = self.now_ms
        event.live_for = None
        if live is not None:
            event.live, event.live_for = live, (event.seq, self.horizon())
        now = self.occurrences(event, self.horizon())
        for stamp in now:
            event.dropped.pop(stamp, None)
        for stamp, lost in before.items():
            if stamp not in now:
                event.dropped[stamp] = (self.seq, expand.when(lost.original, self.zone))
                self.events.pop(f"{event.data['id']}_{stamp}", None)
        self.on_change(self)

    def put(self, data: Data, source: ics.Group | None = None, live: dict[str, Occurrence] | None = None) -> Event:
        """A new event, or a new state of the one with this id."""
        event = self.events.get(data["id"])
        if event is None:
            event = Event(data, created_ms=self.now_ms)
            self.events[data["id"]] = event
        event.data, event.source = data, source
        self.touch(event, live)
        return event

    def cancel(self, event: Event) -> None:
        """Deleted: for a series with everything it had; for one occurrence its slot stays, cancelled."""
        event.data = {**event.data, "status": "cancelled"}
        if event.data.get("recurrence"):
            for other in [e for e in self.events.values() if e.data.get("recurringEventId") == event.data["id"]]:
                del self.events[other.data["id"]]
        self.touch(event)

    def exception(self, event: Event, stamp: str) -> Event:
        """The occurrence as an event of its own, made if there is none."""
        known = self.events.get(f"{event.data['id']}_{stamp}")
        if known is None:
            known = Event(self.instance(event, stamp), created_ms=event.created_ms)
            self.events[known.data["id"]] = known
        return known

    # -- asking

    def occurrences(self, event: Event, until: datetime) -> dict[str, Occurrence]:
        """Of a series, up to `until`; kept until it changes."""
        if not event.is_series:
            event.live, event.live_for = {}, (event.seq, until)
            return event.live
        if event.live_for != (event.seq, until):
            source = event.source
            events = source.events if source else expand.series(event.data)
            zones: list[icalendar.Timezone] = source.zones if source else []
            event.live = expand.occurrences(events, zones, until, self.zone)
            event.live_for = (event.seq, until)
        return event.live

    def instance(self, event: Event, stamp: str) -> Data:
        """The resource of one occurrence. Raises KeyError."""
        there = self.occurrences(event, self.horizon()).get(stamp)
        if there is None:
            lost = event.dropped[stamp][1]
            return {
                "id": f"{event.data['id']}_{stamp}", "status": "cancelled", "recurringEventId": event.data["id"],
                "originalStartTime": lost,
            }  # fmt: skip
        data = {k: copy.deepcopy(v) for k, v in event.data.items() if k != "recurrence"}
        if event.source is not None:
            data |= ics.fields(there.component, self.zone, there.start, there.end)
        zone = self.zone
        data |= {"start": expand.when(there.start, zone), "end": expand.when(there.end, zone)}
        original = expand.when(there.original, zone)
        return {**data, "id": f"{data['id']}_{stamp}", "recurringEventId": data["id"], "originalStartTime": original}

    def find(self, event_id: str) -> Event | None:
        """An event by id; an occurrence that nobody has touched is made up for the asking, and not kept."""
        if known := self.events.get(event_id):
            return known
        master_id, _, stamp = event_id.rpartition("_")
        master = self.events.get(master_id)
        if master is None:
            return None
        if stamp in self.occurrences(master, self.horizon()) or stamp in master.dropped:
            return Event(self.instance(master, stamp), master.seq, master.version, master.updated_ms, master.created_ms)
        return None

    def rows(self, is_single: bool, until: datetime, since: int | None = None) -> Iterator[Row]:
        """What a list may give: all that is there, or (with `since`) all that changed after that number."""
        for event_id, event in self.events.items():
            if not (is_single and event.data.get("recurrence")):
                if since is None or event.seq > since:
                    yield Row(event_id, event.seq, event)
                continue
            if since is None or event.seq > since:
                for stamp in self.occurrences(event, until):
                    if f"{event_id}_{stamp}" not in self.events:
                        yield Row(f"{event_id}_{stamp}", event.seq, event, stamp)
            for stamp, (seq, _) in event.dropped.items():
                if since is None or seq > since:
                    yield Row(f"{event_id}_{stamp}", seq, event, stamp, is_dropped=True)

    def etag(self, event: Event) -> str:
        text = f"{self.id}:{event.data['id']}:{event.version}"
        number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())
        return f'"{3_000_000_000_000_000 + number}"'


def iso(ms: int) -> str:
    """Google's form of an instant, milliseconds always written."""
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def render(calendar: Calendar, row: Row, asker: str) -> Data:
    """The item as `asker` may see it on this calendar."""
    event = row.event
    if row.is_dropped:
        lost = calendar.instance(event, row.stamp) if row.stamp not in event.live else {}
        shown: Data = {
            "kind": "calendar#event", "id": row.id, "status": "cancelled", "recurringEventId": event.data["id"],
            "originalStartTime": lost.get("originalStartTime") or event.dropped[row.stamp][1],
            "etag": calendar.etag(event),
        }  # fmt: skip
        return shown
    data = calendar.instance(event, row.stamp) if row.stamp else copy.deepcopy(event.data)
    if data.get("status") == "cancelled" and "recurringEventId" in data:
        guaranteed = ("id", "status", "recurringEventId", "originalStartTime")
        return {"kind": "calendar#event", "etag": calendar.etag(event), **{k: data[k] for k in guaranteed if k in data}}
    shown = {
        "kind": "calendar#event", "etag": calendar.etag(event), "created": iso(event.created_ms),
        "updated": iso(event.updated_ms), "htmlLink": f"https://www.google.com/calendar/event?eid={row.id}",
        "eventType": "default", **data,
    }  # fmt: skip
    role = calendar.roles.get(asker, "")
    is_hidden = role == "reader" and data.get("visibility") in {"private", "confidential"}
    if role == "freeBusyReader" or is_hidden:
        plain = ("kind", "etag", "id", "status", "htmlLink", "created", "updated", "start", "end", "iCalUID",
                 "sequence", "recurringEventId", "originalStartTime", "eventType")  # fmt: skip
        return {**{k: shown[k] for k in plain if k in shown}, "visibility": "private"}
    for person in shown.get("attendees", []):
        if person.get("email", "").lower() == calendar.id:
            person["self"] = True
    for name in ("organizer", "creator"):
        if shown.get(name, {}).get("email", "").lower() == calendar.id:
            shown[name] = {**shown[name], "self": True}
    return shown
