"""From canonical entities to HubSpot's properties: which object each becomes, and the texts it gets.

Only values the entity carries are named, never blanks: what others filled in stays. `fields` has the one exception, the
fields of a record that is there already.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, tzinfo

import msgspec

from hub.api import Consent, Identifier, Interaction, Organization, Person, Pushable, RecordRejected, Role, Task
from hub_hubspot.fields import is_day
from hub_hubspot.mapping import CALL_STATUSES, EMAIL_STATUSES, MEETING_OUTCOMES
from hub_hubspot.texts import cut, cut_rich, instant, iso, marker, plain, split_name

# fmt: off
BODIES = {  # where the text of each engagement lives; all but an e-mail's are rich text
    "emails": "hs_email_text", "calls": "hs_call_body", "meetings": "hs_meeting_body", "notes": "hs_note_body",
    "communications": "hs_communication_body", "tasks": "hs_task_body",
}
_CHANNEL_WORDS = {
    "email": "E-mail", "phone": "Phone", "video": "Video", "in_person": "In person", "chat": "Chat", "sms": "SMS",
    "social": "Social media", "in_app": "In the app", "helpdesk": "Help desk", "form": "Form",
    "calendar": "Calendar", "web": "Web", "postal": "Post", "system": "System",
}
# fmt: on
_RICH = frozenset(BODIES.values()) - {"hs_email_text"}
_TIMES = frozenset({"hs_timestamp", "hs_meeting_start_time", "hs_meeting_end_time"})
_LINE = 1_000


def object_type(entity: Pushable) -> str:
    """The HubSpot object an entity becomes. Raises RecordRejected for a permission, which is no object."""
    match entity:
        case Person():
            return "contacts"
        case Organization():
            return "companies"
        case Task():
            return "tasks"
        case Consent():
            raise RecordRejected("a permission is pushed as a consent")
    if entity.kind == "call":
        return "calls"
    if entity.kind == "meeting":
        return "meetings"
    if entity.kind == "message":
        if entity.channel == "email":
            return "emails"
        return "communications" if _communication_type(entity) else "notes"
    return "notes"


def _communication_type(i: Interaction) -> str:
    """HubSpot knows three; a message of another network becomes a note rather than a false LinkedIn message."""
    labels = {label.lower() for label in i.labels}
    if i.channel == "sms":
        return "SMS"
    if "whatsapp" in labels:
        return "WHATS_APP"
    if i.channel == "social" and (not labels or "linkedin" in labels):
        return "LINKEDIN_MESSAGE"
    return ""


def properties(
    entity: Pushable, key: str = "", table: Mapping[str, str] | None = None, zone: tzinfo = UTC
) -> dict[str, str]:
    """What the object should hold, without blanks. key: given where it must stand in the text, as a marker.

    table: where the fields of a person or an organization are written. zone: the portal's, whose midnights bound days.

    Raises RecordRejected for an interaction without a time: HubSpot could not place it.
    """
    tail = marker(key) if key else ""
    match entity:
        case Person():
            found = _person(entity, table or {})
        case Organization():
            found = _organization(entity, table or {})
        case Task():
            found = _task(entity, tail)
        case Interaction():
            found = _interaction(entity, tail, zone)
        case Consent():
            return {}
    if entity.owner and entity.owner.scheme == "hubspot:owners":
        found["hubspot_owner_id"] = entity.owner.value
    return {name: value for name, value in found.items() if value}


def _first(identifiers: tuple[Identifier, ...], scheme: str) -> str:
    return next((i.value.strip() for i in identifiers if i.scheme == scheme), "")


def _person(p: Person, table: Mapping[str, str]) -> dict[str, str]:
    first, last = split_name(p.name)
    found = {"email": _first(p.identifiers, "email"), "phone": _first(p.identifiers, "phone")}
    named = {theirs: p.fields[ours][:_LINE] for ours, theirs in table.items() if p.fields.get(ours)}
    if "firstname" not in named and "lastname" not in named and first != found["email"]:
        found |= {"firstname": first[:_LINE], "lastname": last[:_LINE]}
    return found | named


def _organization(o: Organization, table: Mapping[str, str]) -> dict[str, str]:
    named = {theirs: o.fields[ours][:_LINE] for ours, theirs in table.items() if o.fields.get(ours)}
    return {"name": o.name[:_LINE], "domain": _first(o.identifiers, "domain"), **named}


def _task(t: Task, tail: str) -> dict[str, str]:
    return {
        "hs_timestamp": iso(t.due_at) if t.due_at else "",
        "hs_task_subject": t.title[:_LINE],
        "hs_task_body": cut_rich(t.text, tail=tail) if t.text or tail else "",
        "hs_task_status": "COMPLETED" if t.is_done else "NOT_STARTED",
        "hs_task_type": "TODO",
    }


def _interaction(i: Interaction, tail: str, zone: tzinfo) -> dict[str, str]:
    at, ends = span(i, zone)
    kind = object_type(i)
    text = i.text or i.body
    found = {"hs_timestamp": iso(at)}
    match kind:
        case "emails":
            found |= {
                "hs_email_direction": "INCOMING_EMAIL" if i.direction == "inbound" else "EMAIL",
                "hs_email_status": _known(i.status, EMAIL_STATUSES, "SENT"),
                "hs_email_subject": i.subject[:_LINE],
                "hs_email_text": cut(text, tail=tail),
                "hs_email_headers": _headers(i),
            }
        case "calls":
            found |= {
                "hs_call_title": i.subject[:_LINE],
                "hs_call_body": cut_rich(text, tail=tail) if text or tail else "",
                "hs_call_direction": {"inbound": "INBOUND", "outbound": "OUTBOUND"}.get(i.direction or "", ""),
                "hs_call_status": _known(i.status, CALL_STATUSES, "COMPLETED"),
                "hs_call_duration": str(max(int((ends - at).total_seconds() * 1000), 0)) if ends else "",
                "hs_call_from_number": _number(i, "from"),
                "hs_call_to_number": _number(i, "to"),
            }
        case "meetings":
            found |= {
                "hs_meeting_title": i.subject[:_LINE],
                "hs_meeting_body": cut_rich(text, tail=tail) if text or tail else "",
                "hs_meeting_start_time": iso(at),
                "hs_meeting_end_time": iso(ends) if ends and ends >= at else "",
                "hs_meeting_outcome": _known(i.status, MEETING_OUTCOMES, ""),
            }
        case "communications":
            found |= {
                "hs_communication_channel_type": _communication_type(i),
                "hs_communication_logged_from": "CRM",
                "hs_communication_body": cut_rich(text, tail=tail),
            }
        case _:
            found["hs_note_body"] = cut_rich(_headed(i, text), tail=tail)
    return found


def span(i: Interaction, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """Start and end. HubSpot has no days without hours: they go from midnight to the last minute, as its users see them."""
    if i.occurred_at:
        return i.occurred_at, i.ended_at
    if i.all_day:
        last = max(i.all_day_last or i.all_day, i.all_day)
        return datetime.combine(i.all_day, time(), zone), datetime.combine(last, time(23, 59), zone)
    raise RecordRejected("it has no time, and HubSpot cannot place it without one", external_id=i.external_id)


def _known(status: str, known: frozenset[str], otherwise: str) -> str:
    name = status.strip().upper().replace(" ", "_").replace("-", "_")
    return name if name in known else otherwise


def _number(i: Interaction, role: Role) -> str:
    return next((p.identifier.value for p in i.participants if p.role == role and p.identifier.scheme == "phone"), "")


def _headers(i: Interaction) -> str:
    """The JSON text HubSpot fills its sender and recipient properties from; "" when nobody has an address."""
    people: dict[str, list[dict[str, str]]] = {}
    for p in i.participants:
        if p.identifier.scheme == "email" and p.role in {"from", "to", "cc", "bcc"}:
            first, last = split_name(p.name)
            one = {"email": p.identifier.value, "firstName": first, "lastName": last}
            people.setdefault(p.role, []).append({k: v for k, v in one.items() if v})
    if not people:
        return ""
    found: dict[str, object] = {"from": people["from"][0]} if "from" in people else {}
    found |= {role: people.get(role, []) for role in ("to", "cc", "bcc")}
    return msgspec.json.encode(found).decode()


def _headed(i: Interaction, text: str) -> str:
    """A note that says on its first line what it stands for; a plain note needs no such line."""
    if i.kind == "note":
        return f"{i.subject}\n\n{text}".strip() if i.subject else text
    what = i.kind.replace("_", " ").capitalize()
    where = _CHANNEL_WORDS[i.channel]
    head = f"{what} ({where}, {i.direction})" if i.direction else f"{what} ({where})"
    return f"{head}: {i.subject}\n\n{text}".strip() if i.subject else f"{head}\n\n{text}".strip()


def differing(wanted: Mapping[str, str], current: Mapping[str, str | None]) -> dict[str, str]:
    """Those wanted values the object does not hold yet, HubSpot's own spelling of a value counted as the same."""
    return {n: v for n, v in wanted.items() if not _is_same(n, v, current.get(n) or "")}


def _is_same(name: str, wanted: str, current: str) -> bool:
    if wanted == current:
        return True
    if not current:
        return False
    if name in _TIMES:
        try:
            return instant(wanted) == instant(current)
        except ValueError:
            return False
    if name in {"email", "domain"}:
        return wanted.strip().casefold() == current.strip().casefold()
    if name in _RICH:
        return plain(wanted).split() == plain(current).split()
    if name == "hs_email_headers":
        try:
            return bool(msgspec.json.decode(wanted) == msgspec.json.decode(current))
        except msgspec.MsgspecError:
            return False
    if is_day(current):
        return (wanted[:10] if is_day(wanted) else wanted.strip()) == current[:10]
    return wanted.strip() == current.strip()
