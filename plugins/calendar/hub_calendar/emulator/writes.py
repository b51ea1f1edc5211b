"""Writing: insert, import, patch, update, delete. Nothing is mailed; `emulator.invitations` notes what would be."""

import copy
import re
from typing import Any

from hub_calendar.emulator import expand
from hub_calendar.emulator.api import Call
from hub_calendar.emulator.errors import (
    Answer,
    deleted,
    duplicate,
    invalid,
    not_found,
    not_organizer,
    ok,
    precondition,
    required,
)
from hub_calendar.emulator.store import BROKEN, OWN_TO_A_COPY, Calendar, Data, Event, Row, render

_ID = re.compile(r"[a-v0-9]{5,1024}")
READ_ONLY = ("kind", "etag", "created", "updated", "htmlLink", "creator", "organizer", "hangoutLink")
IMMUTABLE = ("id", "iCalUID", "recurringEventId", "originalStartTime", "eventType")
SEND = ("all", "externalOnly", "none")


def insert(call: Call) -> Answer:
    calendar, body = call.writable(), _writable(call.body)
    event_id = body.get("id")
    if event_id is not None:
        if "iCalUID" in body:
            raise invalid("Only one of id and iCalUID may be given.")
        if not isinstance(event_id, str) or not _ID.fullmatch(event_id):
            raise invalid("Invalid resource id value.")
        if event_id in calendar.events:
            raise duplicate()
    _check_times(body)
    event_id = event_id or call.emulator.new_id()
    data = {
        "id": event_id, "status": "confirmed", "iCalUID": f"{event_id}@google.com", "sequence": 0,
        "reminders": {"useDefault": True}, "creator": {"email": call.asker}, "organizer": {"email": calendar.id}, **body,
    }  # fmt: skip
    _normalise(data)
    event = calendar.put(data)
    return _done(call, calendar, event)


def import_(call: Call) -> Answer:
    """A private copy under an existing iCalUID; the same UID again replaces it when its sequence is not lower."""
    calendar, body = call.writable(), _writable(call.body)
    uid = body.get("iCalUID")
    if not uid:
        raise required("Missing iCalUID.")
    if "id" in body:
        raise invalid("Only one of id and iCalUID may be given.")
    _check_times(body)
    for event in calendar.events.values():
        if event.data.get("iCalUID") == uid and not event.is_exception:
            if body.get("sequence", 0) < event.data.get("sequence", 0):
                raise invalid("The sequence number is lower than that of the existing event.")
            event.data = {**event.data, **body, "status": body.get("status", "confirmed")}
            calendar.touch(event)
            return _done(call, calendar, event)
    data = {
        "id": call.emulator.new_id(), "status": "confirmed", "sequence": 0, "organizer": {"email": calendar.id},
        "privateCopy": True, **body,
    }  # fmt: skip
    _normalise(data)
    return _done(call, calendar, calendar.put(data))


def patch(call: Call) -> Answer:
    """Merges: objects key by key, arrays as a whole, null takes a field away."""
    return _change(call, lambda old, body: _merged(old, body))


def update(call: Call) -> Answer:
    """Replaces everything but what can only be read."""

    def replaced(old: Data, body: Data) -> Data:
        kept = {k: v for k, v in old.items() if k in (*IMMUTABLE, "creator", "organizer", "sequence")}
        return {**kept, "status": "confirmed", **body}

    return _change(call, replaced)


def delete(call: Call) -> Answer:
    calendar, event_id = call.writable(), call.ids["eventId"]
    event = calendar.find(event_id)
    if event is None or call.emulator.strikes("vanish", event_id):
        raise not_found()
    if event.is_cancelled:
        raise deleted()
    _precondition(call, calendar, event)
    _invite(call, event.data)
    event = _kept(calendar, event_id, event)
    calendar.cancel(event)
    if _is_organizer(calendar, event.data):
        call.emulator.spread(calendar, event)
    return Answer(204)


def _change(call: Call, change: Any) -> Answer:
    calendar, event_id, body = call.writable(), call.ids["eventId"], _writable(call.body)
    event = calendar.find(event_id)
    if event is None or call.emulator.strikes("vanish", event_id):
        raise not_found()
    _precondition(call, calendar, event)
    for name in IMMUTABLE:
        if name in body and body[name] != event.data.get(name):
            raise invalid(f"The field {name} cannot be changed.")
    wanted = change(copy.deepcopy(event.data), body)
    _check_times(wanted)
    _normalise(wanted)
    shared = {k for k in {*wanted, *event.data} if wanted.get(k) != event.data.get(k)} - {*OWN_TO_A_COPY, "attendees"}
    if shared and not _is_organizer(calendar, event.data) and not event.data.get("guestsCanModify"):
        raise not_organizer()
    event = _kept(calendar, event_id, event)
    if wanted != event.data:
        if {"start", "end", "recurrence"} & shared:
            wanted["sequence"] = wanted.get("sequence", 0) + 1
            event.source = None if "recurrence" in shared or "recurrence" in wanted else event.source
        event.data = wanted
        calendar.touch(event)
    return _done(call, calendar, event)


def _kept(calendar: Calendar, event_id: str, event: Event) -> Event:
    """The event itself; a made-up occurrence becomes one of the calendar's own by being written to."""
    if event_id not in calendar.events:
        calendar.events[event_id] = event
    return event


def _done(call: Call, calendar: Calendar, event: Event) -> Answer:
    _invite(call, event.data)
    if _is_organizer(calendar, event.data):
        call.emulator.spread(calendar, event)
    shown = render(calendar, Row(event.data["id"], event.seq, event), call.asker)
    return ok(shown, etag=shown["etag"])


def _invite(call: Call, data: Data) -> None:
    """Who would be mailed about this write. Absent, sendUpdates means none."""
    send = call.one("sendUpdates", "none")
    if send not in SEND:
        raise invalid("Invalid value for sendUpdates", "sendUpdates")
    if send != "none":
        call.emulator.invitations += [p["email"] for p in data.get("attendees", []) if p["email"] != call.asker]


def _is_organizer(calendar: Calendar, data: Data) -> bool:
    return bool(data.get("organizer", {}).get("email", calendar.id).lower() == calendar.id)


def _precondition(call: Call, calendar: Calendar, event: Event) -> None:
    wanted = call.headers.get("if-match")
    if wanted and wanted != "*" and wanted != calendar.etag(event):
        raise precondition()


def _writable(body: Data) -> Data:
    return {k: v for k, v in body.items() if k not in READ_ONLY}


def _check_times(data: Data) -> None:
    for name in ("start", "end"):
        value = data.get(name)
        if not isinstance(value, dict) or not ({"date", "dateTime"} & {k for k, v in value.items() if v}):
            raise required(f"Missing {name} time.")
    if ("date" in data["start"]) != ("date" in data["end"]):
        raise invalid("Invalid start or end time.")
    try:
        start, end = (expand.instant(expand.moment(data[name])) for name in ("start", "end"))
        if data.get("recurrence"):
            if not data["start"].get("timeZone") and "dateTime" in data["start"]:
                raise required("Missing time zone definition for start time.")
            expand.series(data)
    except BROKEN:
        raise invalid("Invalid value for: start, end or recurrence") from None
    if end < start:
        raise invalid("The specified time range is empty.", "timeRangeEmpty")
    for person in data.get("attendees", []):
        if "@" not in str(person.get("email", "")):
            raise invalid("Invalid attendee email.")
    private = data.get("extendedProperties", {}).get("private", {})
    if len(private) > 300 or any(len(k) > 44 or len(str(v)) > 1024 for k, v in private.items()):
        raise invalid("Extended property size limits exceeded.")


def _normalise(data: Data) -> None:
    """What Google does to what it is given."""
    for person in data.get("attendees", []):
        person["email"] = person["email"].strip().lower()
        person.setdefault("responseStatus", "needsAction")
    for name in ("start", "end"):
        value = data[name]
        if "dateTime" in value:
            data[name] = expand.when(expand.moment(value), value.get("timeZone", "UTC"))
    if isinstance(data.get("description"), str):
        data["description"] = data["description"].rstrip()
    for name in ("summary", "description", "location"):
        if data.get(name) == "":
            del data[name]


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    found = dict(old)
    for key, value in new.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(old.get(key), value)
    for one, other in (("date", "dateTime"), ("dateTime", "date")):
        if one in new and other not in new and other in found and new[one] is not None:
            del found[other]
    return found
