"""iCalendar files as Google would take them in: components become the fields of an Event."""

import base64
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import icalendar

from hub_calendar.emulator.expand import Moment, when

RESPONSES = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}
VISIBILITY = {"PRIVATE": "private", "CONFIDENTIAL": "confidential", "PUBLIC": "public"}


@dataclass
class Group:
    """All components of one UID. master: the one without RECURRENCE-ID and the highest SEQUENCE, if any.

    digest: of everything said about it but DTSTAMP and LAST-MODIFIED, which feeds renew each time they are fetched.
    """

    uid: str
    events: list[icalendar.Event] = field(default_factory=list)
    zones: list[icalendar.Timezone] = field(default_factory=list)
    digest: bytes = b""

    @property
    def master(self) -> icalendar.Event | None:
        heads = [e for e in self.events if "RECURRENCE-ID" not in e]
        return max(heads, key=lambda e: int(e.get("SEQUENCE", 0)), default=None)

    @property
    def is_series(self) -> bool:
        return len(self.events) > 1 or any(name in e for e in self.events for name in ("RRULE", "RDATE"))


def read(data: bytes, known: Mapping[str, bytes] = MappingProxyType({})) -> tuple[list[Group], set[str]]:
    """(groups in the order of the file, UIDs whose digest is the known one and that were not parsed again).

    Raises ValueError for what icalendar does not take for a calendar.
    """
    text, digests, same = _without(data, known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd zones and values: Google takes them in without a word as well
        try:
            calendars = icalendar.Calendar.from_ical(text, multiple=True)
        except (ValueError, KeyError, IndexError, TypeError) as exc:
            raise ValueError(f"not an iCalendar file: {type(exc).__name__}") from None
    groups: dict[str, Group] = {}
    for calendar in calendars:
        zones = [z for z in calendar.walk("VTIMEZONE") if isinstance(z, icalendar.Timezone)]
        for number, event in enumerate(calendar.walk("VEVENT")):
            if not isinstance(event, icalendar.Event):
                continue
            uid = str(event.get("UID", "")) or f"no-uid-{number}@emulator.example"
            group = groups.setdefault(uid, Group(uid, digest=digests.get(uid, hashlib.sha256(data).digest())))
            group.events.append(event)
            group.zones += [z for z in zones if z not in group.zones]
    return list(groups.values()), same


def _without(data: bytes, known: Mapping[str, bytes]) -> tuple[bytes, dict[str, bytes], set[str]]:
    """(the file without the events that are known, digest of each UID, the UIDs left out)."""
    rest: list[bytes] = []
    blocks: list[tuple[str, list[bytes]]] = []
    block: list[bytes] | None = None
    for line in data.splitlines(keepends=True):
        name = line.strip().upper()
        if name == b"BEGIN:VEVENT" and block is None:
            block = []
            blocks.append(("", block))
        if block is None:
            rest.append(line)
            continue
        block.append(line)
        if name == b"END:VEVENT":
            blocks[-1] = (_uid(block), block)
            rest.append(b"%d" % (len(blocks) - 1))
            block = None
    hashes: dict[str, Any] = {}
    for uid, lines in blocks:
        kept = [line.strip() for line in lines if not line.upper().startswith((b"DTSTAMP", b"LAST-MODIFIED"))]
        hashes.setdefault(uid, hashlib.blake2b(digest_size=16)).update(b"\n".join(kept))
    digests = {uid: h.digest() for uid, h in hashes.items() if uid}
    same = {uid for uid, digest in digests.items() if known.get(uid) == digest}
    if not same or block is not None:
        return data, digests, set()
    parts = [line if not line.isdigit() else b"".join(_kept(blocks[int(line)], same)) for line in rest]
    return b"".join(parts), digests, same


def _kept(block: tuple[str, list[bytes]], same: set[str]) -> list[bytes]:
    return [] if block[0] in same else block[1]


def _uid(block: list[bytes]) -> str:
    """The UID as it stands in the lines; folded or with parameters it is left to the parser."""
    for line, after in zip(block, [*block[1:], b""], strict=True):
        if line.upper().startswith(b"UID:") and not after.startswith((b" ", b"\t")):
            return line[4:].strip().decode("utf-8", "replace")
    return ""


def event_id(uid: str) -> str:
    """An id as Google makes them for imported events: an underscore and base32hex."""
    digest = hashlib.blake2b(uid.encode(), digest_size=15).digest()
    return "_" + base64.b32hexencode(digest).decode().lower().rstrip("=")


def fields(event: icalendar.Event, zone: str, start: Moment | None = None, end: Moment | None = None) -> dict[str, Any]:
    """The Event's fields a component speaks of. Raises whatever icalendar raises for values it cannot read."""
    first = start if start is not None else event.start
    last = end if end is not None else event.end
    if first == last and not isinstance(first, datetime):
        last = first + timedelta(days=1)
    found: dict[str, Any] = {
        "start": when(first, zone), "end": when(last, zone), "status": str(event.get("STATUS", "confirmed")).lower(),
        "sequence": int(event.get("SEQUENCE", 0)),
    }  # fmt: skip
    if found["status"] not in {"confirmed", "tentative", "cancelled"}:
        found["status"] = "confirmed"
    for theirs, ours in (("SUMMARY", "summary"), ("DESCRIPTION", "description"), ("LOCATION", "location")):
        if text := str(event.get(theirs, "")).strip():
            found[ours] = text
    if visibility := VISIBILITY.get(str(event.get("CLASS", "")).upper()):
        found["visibility"] = visibility
    if str(event.get("TRANSP", "")).upper() == "TRANSPARENT":
        found["transparency"] = "transparent"
    people = list(_attendees(event))
    organizer = _address(event.get("ORGANIZER"))
    if organizer:
        found["organizer"] = {"email": organizer}
    if people:
        found["attendees"] = [{**p, "organizer": True} if p["email"] == organizer else p for p in people]
    return found


def recurrence(event: icalendar.Event) -> list[str]:
    """The RRULE, RDATE and EXDATE lines as they stand in the file."""
    names = (b"RRULE", b"RDATE", b"EXDATE", b"EXRULE")
    lines = event.to_ical().replace(b"\r\n ", b"").splitlines()
    return [line.decode() for line in lines if line.startswith(names)]


def _attendees(event: icalendar.Event) -> Iterator[dict[str, Any]]:
    listed = event.get("ATTENDEE", [])
    for person in listed if isinstance(listed, list) else [listed]:
        address = _address(person)
        if not address:
            continue
        params = person.params
        row: dict[str, Any] = {"email": address}
        if name := str(params.get("CN", "")):
            row["displayName"] = name
        row["responseStatus"] = RESPONSES.get(str(params.get("PARTSTAT", "")).upper(), "needsAction")
        if str(params.get("CUTYPE", "")).upper() in {"ROOM", "RESOURCE"}:
            row["resource"] = True
        if str(params.get("ROLE", "")).upper() == "OPT-PARTICIPANT":
            row["optional"] = True
        yield row


def _address(value: object) -> str:
    text = str(value or "")
    return text[7:].strip().lower() if text.lower().startswith("mailto:") and "@" in text else ""


def stamp_ms(event: icalendar.Event, name: str, otherwise: int) -> int:
    """CREATED or LAST-MODIFIED in epoch milliseconds."""
    value = getattr(event.get(name), "dt", None)
    if not isinstance(value, datetime):
        return otherwise
    return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
