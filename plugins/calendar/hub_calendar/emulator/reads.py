"""Reading: calendarList.list, calendars.get, events.list, events.get, events.instances."""

import base64
import json
from datetime import datetime
from typing import Any

from hub_calendar.emulator import expand
from hub_calendar.emulator.api import Call
from hub_calendar.emulator.errors import Answer, Refused, full_sync, invalid, not_found, ok
from hub_calendar.emulator.store import Calendar, Row, iso, render

NOT_WITH_TOKEN = ("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax",
                  "updatedMin")  # fmt: skip
OF_THE_PAGE = ("pageToken", "syncToken", "maxResults", "fields", "alt", "prettyPrint", "quotaUser", "key")
TYPES = ("birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation")
ROLES = ("freeBusyReader", "reader", "writer", "owner")


def seal(kind: str, **fields: Any) -> str:
    """A page or sync token: opaque to whoever gets it."""
    return base64.urlsafe_b64encode(json.dumps([kind, fields], sort_keys=True).encode()).decode().rstrip("=")


def unseal(kind: str, token: str, name: str) -> dict[str, Any]:
    """Raises 400 for a text that is none of ours."""
    try:
        found, fields = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        raise invalid("Invalid sync token value." if kind == "sync" else "Invalid page token value.", name) from None
    if found != kind or not isinstance(fields, dict):
        raise invalid(f"Invalid {kind} token value.", name)
    return fields


def _parameters(call: Call) -> list[Any]:
    """What must stay the same from page to page and from sync to sync."""
    return sorted([k, sorted(v)] for k, v in call.query.items() if k not in OF_THE_PAGE)


def _time(call: Call, name: str) -> datetime | None:
    text = call.one(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(400, "Bad Request", "badRequest", where=("parameter", name)) from None
    if at.tzinfo is None:
        raise Refused(400, "Bad Request", "badRequest", where=("parameter", name))
    return at


def calendar_list(call: Call) -> Answer:
    """users/me/calendarList; its sync tokens always give everything anew."""
    least = call.one("minAccessRole", "freeBusyReader")
    if call.one("syncToken") and (call.one("minAccessRole") or call.one("showOwnOrganizationOnly")):
        raise invalid("Sync token cannot be used with this parameter.", "syncToken")
    if least not in ROLES:
        raise invalid("Invalid value for minAccessRole", "minAccessRole")
    mine = [c for c in call.emulator.calendars.values() if call.asker in c.roles]
    mine = [c for c in mine if ROLES.index(c.roles[call.asker]) >= ROLES.index(least)]
    start = int(unseal("page", call.one("pageToken"), "pageToken")["at"]) if call.one("pageToken") else 0
    size = call.size(100, 250)
    items = []
    for calendar in mine[start : start + size]:
        item = {
            "kind": "calendar#calendarListEntry", "etag": f'"{calendar.seq}"', "id": calendar.id,
            "summary": calendar.summary, "timeZone": calendar.zone, "accessRole": calendar.roles[call.asker],
            "selected": True, "defaultReminders": [],
        }  # fmt: skip
        items.append({**item, "primary": True} if calendar.id == call.asker else item)
    rest = {"nextPageToken": seal("page", at=start + size)} if start + size < len(mine) else {
        "nextSyncToken": seal("sync", list=len(mine))
    }  # fmt: skip
    return ok({"kind": "calendar#calendarList", "etag": f'"p{len(mine)}"', "items": items, **rest})


def calendar_get(call: Call) -> Answer:
    calendar = call.calendar
    return ok({
        "kind": "calendar#calendar", "etag": f'"{calendar.seq}"', "id": calendar.id, "summary": calendar.summary,
        "timeZone": calendar.zone,
    })  # fmt: skip


def event_get(call: Call) -> Answer:
    calendar, event_id = call.calendar, call.ids["eventId"]
    event = calendar.find(event_id)
    if event is None or call.emulator.strikes("vanish", event_id):
        raise not_found()
    shown = render(calendar, Row(event_id, event.seq, event), call.asker)
    call.emulator.poison(event_id, shown)
    _cap(call, shown)
    return ok(shown, etag=shown["etag"])


def instances(call: Call) -> Answer:
    calendar = call.calendar
    master = calendar.events.get(call.ids["eventId"])
    if master is None:
        raise not_found()
    rows = [r for r in calendar.rows(True, calendar.horizon()) if _master(r) == master.data["id"]]
    if not call.flag("showDeleted"):
        rows = [r for r in rows if not _is_cancelled(r)]
    return _page(call, calendar, _within(call, calendar, rows), None)


def events_list(call: Call) -> Answer:
    """A list in full, or with syncToken what changed since; exactly one of the two tokens at the end of each page."""
    calendar, sync = call.calendar, call.one("syncToken")
    for name in call.query.get("eventTypes", []):
        if name not in TYPES:
            raise invalid("Invalid value for eventTypes", "eventTypes")
    order = call.one("orderBy")
    if order not in {"", "startTime", "updated"} or (order == "startTime" and not call.flag("singleEvents")):
        raise Refused(400, "The requested ordering is not available for the particular query.", "badRequest")
    since = None
    if sync:
        for name in NOT_WITH_TOKEN:
            if name in call.query:
                raise invalid(f"Sync token cannot be used with {name}.", "syncToken")
        if call.one("showDeleted") == "false":
            raise invalid("showDeleted=false cannot be combined with syncToken.", "syncToken")
        since = _since(call, calendar, unseal("sync", sync, "syncToken"))
    least, most = _time(call, "timeMin"), _time(call, "timeMax")
    if least and most and least >= most:
        raise Refused(400, "The specified time range is empty.", "timeRangeEmpty", "calendar")
    until = max(calendar.horizon(), most) if most else calendar.horizon()
    rows = list(calendar.rows(call.flag("singleEvents"), until, since))
    if since is None and not call.flag("showDeleted") and not call.one("updatedMin"):
        # Cancelled exceptions are part of a list of series: without them they would seem to take place.
        keep = not call.flag("singleEvents")
        rows = [r for r in rows if not _is_cancelled(r) or (keep and r.event.is_exception)]
    if since is not None:
        rows = [r for r in rows if not call.emulator.strikes("hide", r.id)]
    rows = [r for r in rows if not call.emulator.strikes("vanish", r.id)]
    return _page(call, calendar, _filtered(call, _within(call, calendar, rows)), since)


def _since(call: Call, calendar: Calendar, token: dict[str, Any]) -> int:
    """410 for a token of another calendar or of other parameters, and for one that is too old."""
    since = int(token.get("s", 0))
    is_foreign = token.get("c") != calendar.id or token.get("p") != _parameters(call)
    is_old = since < calendar.forgotten or call.emulator.faults.hits("expire_cursor", call.path, "GET") is not None
    if is_foreign or is_old:
        raise full_sync()
    return since


def _master(row: Row) -> str:
    return str(row.event.data["id"] if row.stamp else row.event.data.get("recurringEventId", ""))


def _is_cancelled(row: Row) -> bool:
    return row.is_dropped or (row.event.is_cancelled and not row.stamp)


def _filtered(call: Call, rows: list[Row]) -> list[Row]:
    """By q, iCalUID, extended properties, types and updatedMin."""
    types = call.query.get("eventTypes", TYPES)
    rows = [r for r in rows if r.event.data.get("eventType", "default") in types]
    if uid := call.one("iCalUID"):
        rows = [r for r in rows if r.event.data.get("iCalUID") == uid]
    for side in ("private", "shared"):
        for pair in call.query.get(f"{side}ExtendedProperty", []):
            name, _, value = pair.partition("=")
            rows = [r for r in rows if r.event.data.get("extendedProperties", {}).get(side, {}).get(name) == value]
    if words := call.one("q").lower():
        rows = [r for r in rows if words in json.dumps(r.event.data, ensure_ascii=False).lower()]
    if updated := _time(call, "updatedMin"):
        rows = [r for r in rows if r.event.updated_ms >= updated.timestamp() * 1000]
    return rows


def _within(call: Call, calendar: Calendar, rows: list[Row]) -> list[Row]:
    """timeMin bounds the end, timeMax the start, both exclusive."""
    least, most = _time(call, "timeMin"), _time(call, "timeMax")
    if least is None and most is None:
        return rows
    kept = []
    for row in rows:
        start, end = _span(calendar, row)
        if (most is None or start < most) and (least is None or end > least):
            kept.append(row)
    return kept


def _span(calendar: Calendar, row: Row) -> tuple[datetime, datetime]:
    live = row.event.live.get(row.stamp) if row.stamp and not row.is_dropped else None
    if live is not None:
        return expand.instant(live.start, calendar.zone), expand.instant(live.end, calendar.zone)
    data = calendar.instance(row.event, row.stamp) if row.stamp else row.event.data
    first = data.get("start") or data.get("originalStartTime")
    if first is None:
        return datetime.min.replace(tzinfo=calendar.now().tzinfo), calendar.now()
    start = expand.instant(expand.moment(first), calendar.zone)
    return start, expand.instant(expand.moment(data["end"]), calendar.zone) if "end" in data else start


def _page(call: Call, calendar: Calendar, rows: list[Row], since: int | None) -> Answer:
    order, size = call.one("orderBy"), call.size(250, 2500)
    if order == "startTime":
        rows.sort(key=lambda r: (_span(calendar, r)[0], r.id))
    elif order == "updated":
        rows.sort(key=lambda r: (r.event.updated_ms, r.id))
    else:
        rows.sort(key=lambda r: r.id)
    seq, at, number, shown = calendar.seq, 0, 1, rows
    if page := call.one("pageToken"):
        token = unseal("page", page, "pageToken")
        if token.get("c") != calendar.id or token.get("p") != _parameters(call):
            raise invalid("Invalid page token value.", "pageToken")
        seq, at, number = int(token["s"]), int(token["at"]), int(token["n"]) + 1
        shown = rows[at:] if order else [r for r in rows if r.id > token["after"]]
    is_empty = call.emulator.takes_empty_page()
    items = [] if is_empty else shown[:size]
    after = items[-1].id if items else (unseal("page", page, "pageToken")["after"] if page else "")
    found: dict[str, Any] = {
        "kind": "calendar#events", "etag": f'"p{calendar.seq}"', "summary": calendar.summary, "description": "",
        "updated": iso(calendar.now_ms), "timeZone": calendar.zone, "accessRole": calendar.roles[call.asker],
        "defaultReminders": [], "items": [_shown(call, calendar, row) for row in items],
    }  # fmt: skip
    if is_empty or len(shown) > size:
        here = call.emulator.faults.hits("page_loop", call.path, "GET") and page
        following = seal("page", c=calendar.id, p=_parameters(call), s=seq, at=at + len(items), after=after, n=number)
        found["nextPageToken"] = here or following
    elif not any(name in call.query for name in NOT_WITH_TOKEN):
        found["nextSyncToken"] = seal("sync", c=calendar.id, p=_parameters(call), s=seq)
    return ok(_selected(found, call.one("fields")))


def _shown(call: Call, calendar: Calendar, row: Row) -> dict[str, Any]:
    shown = render(calendar, row, call.asker)
    call.emulator.poison(row.id, shown)
    _cap(call, shown)
    return shown


def _cap(call: Call, shown: dict[str, Any]) -> None:
    """maxAttendees: more than that, and only the asker is given, with a mark."""
    most = call.one("maxAttendees")
    people = shown.get("attendees", [])
    if most.isdigit() and len(people) > int(most):
        shown["attendees"] = [p for p in people if p.get("self")]
        shown["attendeesOmitted"] = True


def _selected(found: dict[str, Any], fields: str) -> dict[str, Any]:
    """A partial response: top-level names, and names inside items(...)."""
    if not fields:
        return found
    inner = fields[fields.index("items(") + 6 : fields.index(")")].split(",") if "items(" in fields else None
    outer = fields.replace(f"items({','.join(inner)})", "items").split(",") if inner else fields.split(",")
    kept = {k: v for k, v in found.items() if k in outer}
    if inner and "items" in kept:
        kept["items"] = [{k: v for k, v in item.items() if k in inner} for item in kept["items"]]
    return kept
