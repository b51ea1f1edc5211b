"""From a meeting of the timeline to the fields of an event, and what of them an event does not say yet.

Blanks are never written and guests never taken away: what others filled in stays.
"""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.api import Interaction, Pushable, RecordRejected
from hub.api.mail import clean_text, html_to_text
from hub_calendar.wire import HUB_KEY, Event, When, instant

Fields = dict[str, Any]
_KEY_LIMIT = 1024


def event_id(key: str) -> str:
    """The id our event gets at Google: base32hex in lower case, the same for the same key."""
    digest = hashlib.sha256(f"interaction-hub:{key}".encode()).digest()[:20]
    return base64.b32hexencode(digest).decode().lower().rstrip("=")


def wanted(key: str, entity: Pushable | None, calendar: str, default_minutes: int) -> Fields:
    """What the event should say. Raises RecordRejected for what is no meeting or has no time."""
    if not isinstance(entity, Interaction) or entity.kind != "meeting":
        raise RecordRejected("only meetings become calendar events")
    if len(key.encode()) > _KEY_LIMIT:
        raise RecordRejected(f"the key is longer than the {_KEY_LIMIT} bytes Google keeps")
    start, end = _times(entity, default_minutes)
    fields: Fields = {"start": start, "end": end, "extendedProperties": {"private": {HUB_KEY: key}}}
    if summary := " ".join(entity.subject.split()):
        fields["summary"] = summary
    if text := (entity.text or entity.body).strip():
        fields["description"] = text
    people = {
        p.identifier.value.strip().lower(): p.name
        for p in entity.participants
        if p.identifier.scheme == "email" and "@" in p.identifier.value
    }
    people.pop(calendar, None)  # the calendar's own account organizes it
    if people:
        fields["attendees"] = [
            {"email": email, "displayName": name} if name else {"email": email} for email, name in people.items()
        ]
    return fields


def _times(i: Interaction, default_minutes: int) -> tuple[Fields, Fields]:
    if i.all_day is not None:
        after = max(i.all_day_last or i.all_day, i.all_day) + timedelta(days=1)  # Google names the day after the last
        return {"date": i.all_day.isoformat()}, {"date": after.isoformat()}
    if i.occurred_at is None:
        raise RecordRejected("it has no time, and a calendar cannot hold it without one")
    end = i.ended_at if i.ended_at and i.ended_at >= i.occurred_at else None
    end = end or i.occurred_at + timedelta(minutes=default_minutes)
    return _in_zone(i.occurred_at, i.zone), _in_zone(end, i.zone)


def _in_zone(at: datetime, zone: str) -> Fields:
    """Local time with its offset, which tells the two hours of an autumn night apart, and the zone's name."""
    try:
        local = at.astimezone(ZoneInfo(zone)) if zone else at.astimezone(UTC)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return {"dateTime": at.astimezone(UTC).isoformat(), "timeZone": "UTC"}
    return {"dateTime": local.isoformat(), "timeZone": zone or "UTC"}


def differing(fields: Fields, event: Event) -> Fields:
    """Those fields that say something the event does not, Google's own spelling counted as the same."""
    changed: Fields = {}
    if "summary" in fields and fields["summary"] != event.summary.strip():
        changed["summary"] = fields["summary"]
    if "description" in fields and _plain(fields["description"]) != _plain(event.description):
        changed["description"] = fields["description"]
    for name, there in (("start", event.start), ("end", event.end)):
        if not _is_same_time(fields[name], there):
            changed[name] = fields[name]
    if "start" in changed or "end" in changed:
        changed |= {name: fields[name] for name in ("start", "end")}
    invited = {guest.email.lower() for guest in event.attendees}
    if any(guest["email"] not in invited for guest in fields.get("attendees", ())):
        changed["attendees"] = fields["attendees"]
    own = fields.get("extendedProperties")
    if own and key_of(event) != own["private"][HUB_KEY]:
        changed["extendedProperties"] = own
    return changed


def key_of(event: Event) -> str:
    """Our key on the event, "" for somebody else's."""
    return event.extendedProperties.private.get(HUB_KEY, "") if event.extendedProperties else ""


def patch_of(changed: Fields, current: dict[str, Any]) -> Fields:
    """The body of the PATCH: arrays replace arrays there, so the guests that are invited already go along."""
    body = dict(changed)
    if "attendees" in changed:
        there = list(current.get("attendees", ()))
        invited = {str(guest.get("email", "")).lower() for guest in there}
        body["attendees"] = there + [guest for guest in changed["attendees"] if guest["email"] not in invited]
    for name in ("start", "end"):
        if name in body:  # a day that becomes a time keeps no date, and the other way round
            body[name] = {"date": None, "dateTime": None, **body[name]}
    return body


def before_of(changed: Fields, current: dict[str, Any]) -> dict[str, Any]:
    """What a PATCH that takes this change back has to say; None takes a field away."""
    before: dict[str, Any] = {}
    for name in changed:
        old = current.get(name)
        if name in ("start", "end") and old is not None:
            before[name] = {"date": None, "dateTime": None, "timeZone": None, **old}
        elif name == "extendedProperties":
            before[name] = {"private": {HUB_KEY: ((old or {}).get("private") or {}).get(HUB_KEY)}}
        else:
            before[name] = old
    return before


def _is_same_time(fields: Fields, when: When | None) -> bool:
    if when is None or bool(when.date) != ("date" in fields):
        return False
    return instant(when) == instant(msgspec.convert(fields, When))


def _plain(text: str) -> list[str]:
    return clean_text(html_to_text(text) if "<" in text else text).split()
