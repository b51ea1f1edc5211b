"""From one event to one meeting of the timeline. Pure: bytes in, entities out.

One meeting is one name in every calendar that holds a copy: `ical:<iCalUID>/<original start>`, the start in UTC
(20260310T120000Z) or, for days, the date (20260310). Moving an occurrence changes its start and not its name.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

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
from hub.api.mail import clean_text, html_to_text
from hub_calendar.wire import EVENT, HUB_KEY, OPEN, TYPES, Event, Someone, When, instant, split

BUSY = "Busy"
ANSWERS: dict[str, Answer] = {
    "accepted": "accepted", "declined": "declined", "tentative": "tentative", "needsAction": "unanswered",
}  # fmt: skip
NOBODY = ("@resource.calendar.google.com", "@group.calendar.google.com", "@import.calendar.google.com")
_MARKUP = ("<br", "<p", "<a ", "<b>", "<i>", "<u>", "<ul", "<ol", "<li", "<div", "<span", "<html", "&nbsp;", "&amp;")


def to_entities(raw: RawRecord, private: Literal["drop", "busy"]) -> Iterator[Entity]:
    """One `Interaction`, or `Unmapped` with the reason. Raises RecordRejected, naming fields and never content."""
    calendar, _ = split(raw.external_id)
    try:
        event = EVENT.decode(raw.body)
        yield _meeting(raw.external_id, calendar, event, private)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise RecordRejected(f"not an event as Google describes it: {exc}", external_id=raw.external_id) from None


def _meeting(external_id: str, calendar: str, event: Event, private: Literal["drop", "busy"]) -> Entity:
    start = event.start or event.originalStartTime
    if event.eventType and event.eventType not in TYPES:
        return Unmapped(external_id, f"a calendar entry of type {event.eventType}, no meeting")
    if start is None or not (start.date or start.dateTime):
        if event.status == "cancelled":
            return Unmapped(external_id, "deleted")
        raise ValueError("no start")
    at, ended = instant(start), instant(event.end) if event.end else None
    day = date.fromisoformat(start.date) if start.date else None
    last = (ended - timedelta(days=1)).date() if day and ended else None  # Google names the day after the last
    times = Interaction(
        external_id=external_id, kind="meeting", channel="calendar", occurred_at=None if day else at, all_day=day,
        all_day_last=last if day and last and last > day else None, ended_at=None if day or (ended and ended < at) else ended,
        zone=start.timeZone, status=event.status or "confirmed", changed_at=_changed(event),
    )  # fmt: skip
    if event.visibility not in OPEN:
        return _without_content(times, calendar, private)
    text = _text(event.description)
    return msgspec.structs.replace(
        times,
        channel=_channel(event),
        participants=tuple(_people(event)),
        subject=event.summary.strip(),
        text=text,
        body=_body(event, text),
        dedup_keys=tuple(names(event, start)),
        thread_refs=(f"ical-uid:{event.iCalUID}",) if event.iCalUID else (),
        signals=tuple(_signals(event)),
        attachments=tuple(
            Attachment(external_id=f.fileId or f.fileUrl, filename=f.title, media_type=f.mimeType)
            for f in event.attachments
        ),
        url=event.htmlLink,
    )


def _without_content(times: Interaction, calendar: str, private: Literal["drop", "busy"]) -> Interaction:
    """A private event: marked so that no policy lets it in, or a block of its owner's time."""
    if private == "drop":
        return msgspec.structs.replace(times, signals=("private",))
    owner = () if _is_nobody(calendar) else (Participation(identifier=Identifier("email", calendar), role="attendee"),)
    return msgspec.structs.replace(times, subject=BUSY, participants=owner)


def names(event: Event, start: When) -> Iterator[str]:
    """What the meeting is called everywhere. A meeting that is no series has its UID to itself, wherever it is moved."""
    if event.iCalUID:
        original = event.originalStartTime or start
        if original.date:
            yield f"ical:{event.iCalUID}/{original.date.replace('-', '')}"
        else:
            yield f"ical:{event.iCalUID}/{instant(original):%Y%m%dT%H%M%SZ}"
        if not event.recurringEventId and event.originalStartTime is None:
            yield f"ical:{event.iCalUID}"
    own = event.extendedProperties.private.get(HUB_KEY) if event.extendedProperties else None
    if own:
        yield f"hub-key:{own}"


def _people(event: Event) -> Iterator[Participation]:
    """The organizer and everybody invited, each once; rooms, things and calendars are nobody."""
    seen = set()
    if event.organizer and not _is_nobody(event.organizer.email):
        seen.add(event.organizer.email.lower())
        yield _person(event.organizer, "organizer", event)
    for guest in event.attendees:
        address = guest.email.lower()
        if guest.resource or _is_nobody(address) or address in seen:
            continue
        seen.add(address)
        yield _person(guest, "attendee", event)


def _person(who: Someone, role: Literal["organizer", "attendee"], event: Event) -> Participation:
    listed = [g for g in event.attendees if g.email.lower() == who.email.lower()]
    name = who.displayName or next((g.displayName for g in listed), "")
    answer: Answer = next((ANSWERS[g.responseStatus] for g in listed if g.responseStatus in ANSWERS), "")
    return Participation(identifier=Identifier("email", who.email), role=role, name=name.strip(), answer=answer)


def _signals(event: Event) -> Iterator[str]:
    if event.attendees and event.organizer and event.organizer.is_self:
        yield "organizers-copy"
    if event.attendeesOmitted:
        yield "attendees-omitted"
    if event.sequence > 0:
        yield f"revision:{event.sequence}"


def _is_nobody(address: str) -> bool:
    return "@" not in address or address.lower().endswith(NOBODY)


def _channel(event: Event) -> Channel:
    points = event.conferenceData.entryPoints if event.conferenceData else []
    if event.hangoutLink or any(p.entryPointType == "video" for p in points):
        return "video"
    if any(p.entryPointType == "phone" for p in points):
        return "phone"
    if event.location.strip().lower().startswith(("http://", "https://")):
        return "video"
    return "in_person" if event.location.strip() else "calendar"


def _text(description: str) -> str:
    """Google's own editor writes HTML, everybody else text."""
    is_markup = any(sign in description.lower() for sign in _MARKUP)
    return clean_text(html_to_text(description) if is_markup else description).strip()


def _body(event: Event, text: str) -> str:
    """The text with the place and the link under it; "" when that adds nothing."""
    points = event.conferenceData.entryPoints if event.conferenceData else []
    link = event.hangoutLink or next((p.uri for p in points if p.uri), "")
    lines = [line for line in (event.location.strip(), link) if line]
    return "\n\n".join([text, "\n".join(lines)]).strip() if lines else ""


def _changed(event: Event) -> datetime | None:
    return instant(When(dateTime=event.updated)) if event.updated else None
