"""One meeting's bytes become an interaction. Pure: the record's name says which meeting of a series it is.

Source: RFC 5545 (iCalendar), RFC 7986 (newer properties), RFC 6638 (scheduling parameters).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import icalendar
import msgspec

from hub.api import (
    Answer,
    Attachment,
    Channel,
    Entity,
    Identifier,
    Interaction,
    Participation,
    RawRecord,
    RecordRejected,
    Unmapped,
)
from hub_caldav.ics import (
    Moment,
    Unreadable,
    actual_start,
    instant,
    is_single,
    laid_out_error,
    origin_of,
    parse,
    prop,
    stamp,
    zone_of,
)

HUB_KEY = "X-INTERACTION-HUB-KEY"
NOT_PEOPLE = {"ROOM", "RESOURCE"}
PRIVATE = {"PRIVATE", "CONFIDENTIAL"}
ANSWERS: dict[str, Answer] = {  # PARTSTAT (RFC 5545 section 3.2.12); one who sends somebody else (DELEGATED) is neither
    "ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative", "NEEDS-ACTION": "unanswered",
}  # fmt: skip
MOST_ATTENDEES = 1_000


def to_entities(raw: RawRecord, floating_zone: str, private_events: str) -> Iterator[Entity]:
    """One Interaction, or Unmapped where there is nothing to tell. Raises RecordRejected saying what is broken."""
    try:
        yield _entity(raw, floating_zone, private_events)
    except Unreadable as exc:
        raise RecordRejected(str(exc), connector="caldav", stream="events", external_id=raw.external_id) from exc
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        # The library reads a broken property only when it is asked for; its words may repeat the property.
        what = f"a property cannot be read ({type(exc).__name__})"
        raise RecordRejected(what, connector="caldav", stream="events", external_id=raw.external_id) from exc


def _entity(raw: RawRecord, floating_zone: str, private_events: str) -> Entity:
    calendar = parse(raw.body)
    events = [e for e in calendar.walk("VEVENT") if isinstance(e, icalendar.Event)]
    if not events:
        return Unmapped(external_id=raw.external_id, reason="no event in it")
    origin = origin_of(raw.external_id)
    zone = zone_of(calendar, floating_zone)
    if origin is None and not is_single(events):
        raise Unreadable(laid_out_error(events, zone))
    event = events[0]
    begins = actual_start(event, origin, zone)
    ends = begins + _lasts(event)
    uid = _text(event, "UID").strip()
    cls = _text(event, "CLASS").strip().upper()
    if cls in PRIVATE and private_events == "drop":
        return Unmapped(external_id=raw.external_id, reason="private")
    is_day = not isinstance(begins, datetime)
    facts: dict[str, Any] = {
        "external_id": raw.external_id,
        "kind": "meeting",
        "channel": "calendar",
        "occurred_at": None if is_day else instant(begins, zone),
        "all_day": begins if is_day else None,
        # DTEND is the day after the last one.
        "all_day_last": ends - timedelta(days=1) if is_day and (ends - begins).days > 1 else None,
        "ended_at": None if is_day else instant(ends, zone),
        "zone": "" if is_day else _zone_name(event, begins),
        "status": _text(event, "STATUS").strip().lower() or "confirmed",
    }
    if cls in PRIVATE:
        # When, and nothing else: no words, no people, no name that another copy could be found by.
        return Interaction(**facts, signals=("private", *(("confidential",) if cls == "CONFIDENTIAL" else ())))
    key = _text(event, HUB_KEY).strip()
    keys = [f"hub-key:{key}"] if key else []
    if uid:
        keys.append(f"ical:{uid}/{stamp(begins if origin is None else origin, zone)}")
        if origin is None:  # no series: the UID is this meeting's alone, wherever it is moved
            keys.append(f"ical:{uid}")
    people, signals = _people(event)
    facts["channel"] = _channel(event)
    return Interaction(
        **facts,
        participants=tuple(people),
        subject=_text(event, "SUMMARY").strip(),
        text=_words(event),
        dedup_keys=tuple(keys),
        thread_refs=(f"ical-uid:{uid}",) if uid else (),
        labels=tuple(dict.fromkeys(_categories(event))),
        signals=tuple(signals),
        attachments=tuple(_attachments(event)),
        url=_link(_text(event, "URL")),
        changed_at=_changed(event, zone),
    )


def _lasts(event: icalendar.Event) -> timedelta:
    """By the clock on the wall: DTEND, DURATION, or what RFC 5545 says without them (a day; no time at all)."""
    start, end, lasts = prop(event, "DTSTART"), prop(event, "DTEND"), prop(event, "DURATION")
    is_day = isinstance(start, date) and not isinstance(start, datetime)
    if isinstance(end, date) and isinstance(start, date):
        if isinstance(start, datetime) and isinstance(end, datetime):
            if start.tzinfo is not None and end.tzinfo is not None:
                end = end.astimezone(start.tzinfo)
            found = end.replace(tzinfo=None) - start.replace(tzinfo=None)
        else:
            found = date(end.year, end.month, end.day) - date(start.year, start.month, start.day)
        return max(found, timedelta(0))
    if isinstance(lasts, timedelta):
        return max(lasts, timedelta(0))
    return timedelta(days=1) if is_day else timedelta(0)


def _zone_name(event: icalendar.Event, begins: Moment) -> str:
    """IANA where it is one, else as the source calls it; "" for floating times."""
    zone = begins.tzinfo if isinstance(begins, datetime) else None
    if zone is None:
        return ""
    if isinstance(zone, ZoneInfo):
        return zone.key
    return str(event["DTSTART"].params.get("TZID", "UTC"))


def _text(event: icalendar.Event, name: str) -> str:
    """The first value; "" when absent. A property that comes twice where one is allowed loses the second."""
    value = event.get(name, "")
    return str(value[0] if isinstance(value, list) and value else value)


def _channel(event: icalendar.Event) -> Channel:
    """By the conference it names (RFC 7986, or Google's own property), else by its place."""
    conferences = event.get("CONFERENCE", [])
    features = {
        str(f).upper()
        for c in (conferences if isinstance(conferences, list) else [conferences])
        for f in str(getattr(c, "params", {}).get("FEATURE", "")).replace("[", " ").replace("]", " ").split()
    }
    place = _text(event, "LOCATION").strip().lower()
    if (
        any("VIDEO" in f for f in features)
        or "X-GOOGLE-CONFERENCE" in event
        or place.startswith(("https://", "http://"))
    ):
        return "video"
    if any("PHONE" in f for f in features):
        return "phone"
    return "in_person" if place else "calendar"


def _words(event: icalendar.Event) -> str:
    """Description, and the place as its last line, since an interaction has no field for it."""
    place = " ".join(_text(event, "LOCATION").split())
    return "\n\n".join(
        part for part in (_text(event, "DESCRIPTION").strip(), f"Location: {place}" * bool(place)) if part
    )


def _categories(event: icalendar.Event) -> Iterator[str]:
    value = event.get("CATEGORIES", [])
    for part in value if isinstance(value, list) else [value]:
        yield from (str(c).strip() for c in getattr(part, "cats", [part]) if str(c).strip())


def _people(event: icalendar.Event) -> tuple[list[Participation], list[str]]:
    """(organizer and attendees with their answers, signals). Rooms and things are no people."""
    people: dict[Identifier, Participation] = {}
    signals: list[str] = []
    organizer = event.get("ORGANIZER")
    attendees = event.get("ATTENDEE", [])
    listed = attendees if isinstance(attendees, list) else [attendees]
    for role, value in [
        *([("organizer", organizer)] if organizer is not None else []),
        *(("attendee", a) for a in listed),
    ]:
        value = value[0] if isinstance(value, list) else value
        params = getattr(value, "params", {})
        kind = str(params.get("CUTYPE", "INDIVIDUAL")).upper()
        who = _who(str(value), params)
        if kind in NOT_PEOPLE or who is None:
            continue
        answer = ANSWERS.get(str(params.get("PARTSTAT", "")).upper(), "")
        if who not in people and len(people) < MOST_ATTENDEES:
            people[who] = Participation(
                identifier=who,
                role="organizer" if role == "organizer" else "attendee",
                name=str(params.get("CN", "")).strip().strip('"') if who.scheme == "email" else "",
                answer=answer,
            )
        elif who in people and answer and not people[who].answer:  # the organizer, listed among the guests
            people[who] = msgspec.structs.replace(people[who], answer=answer)
        if role == "attendee" and "SCHEDULE-STATUS" in params:  # only where the invitations went out from (RFC 6638)
            signals.append("organizers-copy")
        if kind == "GROUP" and who.scheme == "email":
            signals.append(f"list:{who.value}")
    if isinstance(sequence := event.get("SEQUENCE"), int) and sequence > 0:
        signals.append(f"revision:{int(sequence)}")
    return list(people.values()), list(dict.fromkeys(signals))


def _who(value: str, params: Any) -> Identifier | None:
    """An address, with "mailto:" or without; the EMAIL parameter where the value is a server's own; else the name."""
    given = unquote(value.strip())
    address = given[7:] if given[:7].lower() == "mailto:" else given
    for candidate in (address, str(params.get("EMAIL", ""))):
        candidate = candidate.strip().strip("<>")
        if candidate.count("@") == 1 and not any(c.isspace() or c in ":/" for c in candidate):
            return Identifier("email", candidate)
    name = str(params.get("CN", "")).strip().strip('"')
    return Identifier("name", name) if name else None


def _attachments(event: icalendar.Event) -> Iterator[Attachment]:
    """Names of files; what is inside the object itself stays there."""
    value = event.get("ATTACH", [])
    for number, part in enumerate(value if isinstance(value, list) else [value]):
        params = getattr(part, "params", {})
        is_inline = str(params.get("VALUE", "")).upper() == "BINARY"
        address = "" if is_inline else str(part)
        name = str(params.get("FILENAME", params.get("X-FILENAME", ""))) or address.rpartition("/")[2]
        yield Attachment(
            external_id=address or f"inline-{number}",
            filename=unquote(name)[:200],
            media_type=str(params.get("FMTTYPE", "")),
            size=int(size) if (size := str(params.get("SIZE", "0"))).isdigit() else 0,
        )


def _link(address: str) -> str:
    return address if address.lower().startswith(("https://", "http://")) else ""


def _changed(event: icalendar.Event, zone: ZoneInfo) -> datetime | None:
    """LAST-MODIFIED alone: many servers and feeds write a new DTSTAMP each time they are asked."""
    at = prop(event, "LAST-MODIFIED")
    return instant(at, zone) if isinstance(at, datetime) else None
