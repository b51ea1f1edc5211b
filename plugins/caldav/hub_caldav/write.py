"""The push: a meeting becomes an event in one calendar, under an address made from the hub's key.

The address is stable, so a second creation meets `If-None-Match: *` and changes nothing, and what is there is found by
asking for the address. Nobody is invited: SCHEDULE-AGENT=CLIENT tells the server that somebody else sends (RFC 6638).
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import icalendar

from hub.api import (
    Change,
    Clock,
    Conflict,
    ContractBroken,
    Found,
    Gone,
    Interaction,
    JournalEntry,
    Receipt,
    RecordRejected,
    ScopeError,
)
from hub_caldav.dav import Dav, Object, crlf
from hub_caldav.ics import Unreadable, parse, prop
from hub_caldav.mapping import HUB_KEY

PRODUCT = "-//interaction-hub//CalDAV connector//EN"
DOMAIN = "interaction-hub.invalid"
STATUS = {"confirmed": "CONFIRMED", "tentative": "TENTATIVE", "cancelled": "CANCELLED"}
OURS = ("DTSTART", "DTEND", "DURATION", "SUMMARY", "DESCRIPTION", "STATUS", "ORGANIZER", "ATTENDEE", "URL")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"[^\s@<>\"\x00-\x20\x7f]+@[^\s@<>\"\x00-\x20\x7f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def name_of(key: str) -> str:
    """File name and UID for a hub key, without ending; keys with odd characters are hashed."""
    return key if _PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


def compose(event: icalendar.Event, meeting: Interaction) -> None:
    """Put the wanted state into the event; properties that are not ours stay as they are. Raises RecordRejected.

    So do the guests' answers, which stand in the lines that name them.
    """
    guests = event.get("ATTENDEE", [])
    answers = {str(g).lower(): g.params.get("PARTSTAT") for g in (guests if isinstance(guests, list) else [guests])}
    for name in OURS:
        event.pop(name, None)
    if meeting.all_day is not None:
        event.add("DTSTART", meeting.all_day)
        last = max(meeting.all_day_last or meeting.all_day, meeting.all_day)
        event.add("DTEND", last + timedelta(days=1))
    elif meeting.occurred_at is not None:
        # As UTC: exact in the hour that a zone has twice, and the same in every calendar program.
        event.add("DTSTART", meeting.occurred_at.astimezone(UTC))
        # Some servers take no event without an end.
        event.add("DTEND", max(meeting.ended_at or meeting.occurred_at, meeting.occurred_at).astimezone(UTC))
    else:
        raise RecordRejected("a meeting needs a time or a day")
    event.add("SUMMARY", _clean(meeting.subject) or "Meeting")
    if text := _clean(meeting.body or meeting.text):
        event.add("DESCRIPTION", text)
    if meeting.status in STATUS:
        event.add("STATUS", STATUS[meeting.status])
    if meeting.url.startswith(("https://", "http://")):
        event.add("URL", meeting.url)
    for person in meeting.participants:
        address = person.identifier.value.strip()
        if person.identifier.scheme != "email" or not _ADDRESS.fullmatch(address):
            continue
        value = icalendar.vCalAddress(f"mailto:{address}")
        value.params["SCHEDULE-AGENT"] = "CLIENT"
        if person.name:
            value.params["CN"] = _clean(person.name).replace('"', "'").replace("\n", " ")
        if person.role == "organizer":
            event["ORGANIZER"] = value
        else:
            if answer := answers.get(str(value).lower()):
                value.params["PARTSTAT"] = answer
            event.add("ATTENDEE", value, encode=False)


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def state(event: icalendar.Event) -> dict[str, Any]:
    """What of an event we write, comparable: a server may fold, order and escape as it likes."""
    people = event.get("ATTENDEE", [])
    return {
        "start": _time(prop(event, "DTSTART")),
        "end": _time(prop(event, "DTEND")),
        **{name: str(event.get(name, "")) for name in ("SUMMARY", "DESCRIPTION", "STATUS", "URL", "ORGANIZER")},
        "ATTENDEE": sorted(str(p) for p in (people if isinstance(people, list) else [people])),
    }


def _time(moment: Any) -> Any:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return moment.isoformat() if isinstance(moment, date) else None


class Writer:
    """Writes into one calendar."""

    def __init__(self, dav: Dav, calendar: str, clock: Clock) -> None:
        self.dav = dav
        self.calendar = calendar
        self.clock = clock

    def href(self, key: str) -> str:
        return f"{self.calendar}{name_of(key)}.ics"

    async def find(self, keys: Sequence[str]) -> list[Found]:
        """Asked for by address, which no index stands between."""
        there = await self._there(keys)
        return [
            Found(key=key, remote_id=there[key].href, version=there[key].etag)
            for key in keys
            if key in there and _is_ours(there[key], key)
        ]

    async def _there(self, keys: Sequence[str]) -> dict[str, Object]:
        by_href = {self.href(key): key for key in keys}
        found = await self.dav.read(self.calendar, list(by_href))
        for one in found:
            if one.body is None and one.status not in {404, 410}:
                raise ContractBroken(f"the server does not say whether {one.href} exists (status {one.status})")
        return {by_href[o.href]: o for o in found if o.body is not None}

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        there = await self._there([c.key for c in changes])
        return [await self._one(change, there.get(change.key)) for change in changes]

    async def _one(self, change: Change, there: Object | None) -> Receipt:
        try:
            if change.op == "delete":
                return await self._delete(change.key, there, change.expected_version)
            return await self._put(change, there)
        except (RecordRejected, Conflict, Gone, Unreadable) as exc:
            return Receipt(key=change.key, outcome="failed", remote_id=self.href(change.key), error=str(exc))

    async def _put(self, change: Change, there: Object | None) -> Receipt:
        meeting = change.entity
        if not isinstance(meeting, Interaction) or meeting.kind != "meeting":
            raise RecordRejected("only a meeting can become an event in a calendar")
        if there is None and change.remote_id:
            raise Gone("the event was deleted by a person; it is not made a second time")
        if there is not None:
            return await self._update(change, meeting, there)
        event = icalendar.Event()
        event.add("UID", f"{name_of(change.key)}@{DOMAIN}")
        event.add("DTSTAMP", self._now())
        event.add("SEQUENCE", 0)
        event[HUB_KEY] = icalendar.vText(change.key)
        compose(event, meeting)
        href = self.href(change.key)
        try:
            etag = await self.dav.put(href, _object(event))
        except Conflict:
            # Not there a moment ago, and there now: our own first try, whose answer was lost.
            made = await self.dav.get(href)
            if made.body is None or not _is_ours(made, change.key):
                raise
            etag = made.etag
        etag = etag or (await self.dav.get(href)).etag
        return Receipt(key=change.key, outcome="created", remote_id=href, version=etag)

    async def _update(self, change: Change, meeting: Interaction, there: Object) -> Receipt:
        calendar = parse(there.body or b"")
        events = [e for e in calendar.walk("VEVENT") if isinstance(e, icalendar.Event)]
        if not _is_ours(there, change.key) or len(events) != 1:
            raise Conflict("another object stands at this address; it is left alone")
        event = events[0]
        was = state(event)
        compose(event, meeting)
        if state(event) == was:
            return Receipt(key=change.key, outcome="unchanged", remote_id=there.href, version=there.etag)
        if change.expected_version and change.expected_version != there.etag:
            raise Conflict("the event was changed at the server since it was last read")
        sequence = event.pop("SEQUENCE", 0)
        event.add("SEQUENCE", (sequence if isinstance(sequence, int) else 0) + 1)
        event.pop("DTSTAMP", None)
        event.add("DTSTAMP", self._now())
        etag = await self._replace(there.href, crlf(calendar.to_ical()), there.etag)
        return Receipt(key=change.key, outcome="updated", remote_id=there.href, version=etag, before=_kept(there))

    async def _replace(self, href: str, body: bytes, etag: str) -> str:
        """Exactly that version. A Conflict whose cause is our own first try, its answer lost, is none."""
        try:
            made = await self.dav.put(href, body, etag)
        except Conflict:
            now = await self.dav.get(href)
            if now.body is None or not _is_same(now.body, body):
                raise
            made = now.etag
        return made or (await self.dav.get(href)).etag

    async def _delete(self, key: str, there: Object | None, version: str) -> Receipt:
        """Remove our event, unless a person has worked on it since."""
        href = self.href(key)
        if there is None or there.body is None:
            return Receipt(key=key, outcome="unchanged", remote_id=href)
        if not _is_ours(there, key):
            raise Conflict("another object stands at this address; it is left alone")
        if version and version != there.etag:
            raise Conflict("the event was changed at the server since it was written: delete it by hand")
        try:
            await self.dav.delete(href, there.etag)
        except Gone:
            return Receipt(key=key, outcome="unchanged", remote_id=href)
        return Receipt(key=key, outcome="deleted", remote_id=href, before=_kept(there))

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """Delete what was created; put the earlier state back where it was changed or deleted. Nothing a person did since."""
        there = await self._there([e.change.key for e in entries])
        return [await self._back(entry, there.get(entry.change.key)) for entry in entries]

    async def _back(self, entry: JournalEntry, there: Object | None) -> Receipt:
        key, made = entry.change.key, entry.receipt
        try:
            if made.outcome == "created":
                return await self._delete(key, there, made.version)
            if made.outcome == "updated" and made.before is not None:
                earlier = crlf(str(made.before["ics"]).encode())
                if there is None or there.body is None:
                    raise Gone("the event was deleted by a person")
                if _is_same(there.body, earlier):
                    return Receipt(key=key, outcome="unchanged", remote_id=there.href, version=there.etag)
                if there.etag != made.version:
                    raise Conflict("the event was changed by a person since: put it back by hand")
                etag = await self._replace(there.href, earlier, there.etag)
                return Receipt(key=key, outcome="updated", remote_id=there.href, version=etag)
            if made.outcome == "deleted" and made.before is not None:
                if there is not None:
                    return Receipt(key=key, outcome="unchanged", remote_id=there.href, version=there.etag)
                etag = await self.dav.put(made.remote_id, crlf(str(made.before["ics"]).encode()))
                return Receipt(key=key, outcome="created", remote_id=made.remote_id, version=etag)
        except (Conflict, Gone) as exc:
            return Receipt(key=key, outcome="failed", remote_id=made.remote_id, error=str(exc))
        return Receipt(key=key, outcome="unchanged", remote_id=made.remote_id)

    async def may_write(self) -> tuple[bool, str]:
        """Deleting an object that does not exist needs the right to write, and changes nothing."""
        try:
            await self.dav.delete(self.href("hub-check-nothing-is-here"))
        except (Gone, Conflict):
            return True, "DELETE of an address where nothing is"
        except ScopeError as exc:
            return False, exc.message
        return True, "DELETE"

    def _now(self) -> datetime:
        return self.clock.now().replace(microsecond=0)


def _object(event: icalendar.Event) -> bytes:
    calendar = icalendar.Calendar()
    calendar.add("PRODID", PRODUCT)
    calendar.add("VERSION", "2.0")
    calendar.add_component(event)
    return crlf(calendar.to_ical())


def _kept(there: Object) -> dict[str, Any]:
    """The before-image: the object's own text, and the version it was."""
    return {"ics": (there.body or b"").decode("utf-8", "replace"), "etag": there.etag}


def _is_ours(found: Object, key: str) -> bool:
    try:
        return any(str(e.get(HUB_KEY, "")) == key for e in parse(found.body or b"").walk("VEVENT"))
    except Unreadable:
        return False


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether both say the same of what we write."""
    try:
        first, second = (parse(b).walk("VEVENT") for b in (one, other))
        return [state(e) for e in first if isinstance(e, icalendar.Event)] == [
            state(e) for e in second if isinstance(e, icalendar.Event)
        ]
    except Unreadable:
        return False
