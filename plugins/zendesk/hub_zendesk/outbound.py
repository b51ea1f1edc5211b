"""From canonical entities to what Zendesk takes. Pure: no calls, no clock."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from hub.api import Change, Identifier, Interaction, Organization, Person, RecordRejected, Task
from hub_zendesk.settings import ZendeskSettings
from hub_zendesk.texts import PREFIX, PROFILE, marked, stamp

MOST_CHARACTERS = 60_000
CUT = "\n[... cut here: the whole text is in interaction-hub]"
PARTIES = {"person": ("users", "user"), "organization": ("organizations", "organization")}
ATTRIBUTES = {  # our field: Zendesk's own
    "person": {"phone": "phone", "description": "details"}, "organization": {"description": "details"},
}  # fmt: skip
_EMPTY = {"details": ""}  # everything else is emptied by null
_CHANNEL_WORDS = {"email": "e-mail", "in_person": "in person", "in_app": "in app", "helpdesk": "help desk"}


@dataclass(frozen=True)
class Place:
    """Where a note belongs: a ticket that exists, or the profile ticket of a customer named by `requester`."""

    ticket_id: str = ""
    external_id: str = ""
    requester: Mapping[str, Any] | None = None
    label: str = ""


def external_id(key: str) -> str:
    return f"{PREFIX}{key}"


def place_of(change: Change, interaction: Interaction) -> Place:
    """A linked ticket first, then the linked person, then the outside party's address. Raises RecordRejected."""
    linked = {link.kind: link for link in change.links if link.remote_id}
    if "ticket" in linked:
        return Place(ticket_id=linked["ticket"].remote_id)
    who = _outside(interaction)
    if person := linked.get("person"):
        name = who[1] if who else ""
        return Place("", f"{PROFILE}{person.key}", {"requester_id": int(person.remote_id)}, name)
    if who is None:
        raise RecordRejected("it is with nobody Zendesk could know: no linked person, no outside e-mail address")
    address, name = who
    requester = {"requester": {"email": address, "name": name or address}}
    return Place("", f"{PROFILE}{address}", requester, name or address)


def _outside(i: Interaction) -> tuple[str, str] | None:
    """(address, name) of the customer: who wrote to us, or whom we wrote to."""
    first = ("from", "requester") if i.direction == "inbound" else ("to", "attendee", "about", "cc")
    ranked = [*first, "about", "requester", "attendee", "to", "from", "cc", "bcc", "organizer"]
    people = [p for p in i.participants if p.identifier.scheme == "email"]
    for role in ranked:
        for p in people:
            if p.role == role:
                return p.identifier.value.strip().lower(), p.name
    return None


def note(i: Interaction, key: str) -> str:
    """An internal note that says what it stands for, and ends in our marker."""
    where = _CHANNEL_WORDS.get(i.channel, i.channel)
    head = f"{i.kind.replace('_', ' ').capitalize()} ({where}, {i.direction})" if i.direction else (
        f"{i.kind.replace('_', ' ').capitalize()} ({where})"
    )  # fmt: skip
    at = stamp(i.occurred_at) if i.occurred_at else i.all_day.isoformat() if i.all_day else ""
    people = ", ".join(dict.fromkeys(p.name or p.identifier.value for p in i.participants))
    lines = [f"{head}: {i.subject}" if i.subject else head, " · ".join(t for t in (at, people) if t)]
    text = "\n".join(t for t in lines if t) + (f"\n\n{i.text.strip()}" if i.text.strip() else "")
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS - len(CUT)] + CUT
    return marked(text, key)


def profile_ticket(place: Place, body: str, tag: str, followup_of: int | None) -> dict[str, Any]:
    """A customer's timeline ticket, begun with its first note. Internal from the first word: nobody gets mail."""
    ticket: dict[str, Any] = {
        "subject": f"Timeline of {place.label}".strip() if place.label else "Timeline", "external_id": place.external_id,
        "comment": {"body": body, "public": False}, "tags": [tag], **(place.requester or {}),
    }  # fmt: skip
    if followup_of is not None:
        ticket["via_followup_source_id"] = followup_of
    return ticket


def idempotency_key(key: str, body: bytes) -> str:
    """The same for the same words under the same key; Zendesk refuses a known key with another body."""
    return f"ihub-{hashlib.sha256(key.encode() + b'/' + body).hexdigest()}"


def places(kind: str, settings: ZendeskSettings) -> tuple[dict[str, str], dict[str, str]]:
    """Where our fields of a "person" or an "organization" stand: (our field -> attribute, our field -> custom field)."""
    own = {"person": settings.user_fields, "organization": settings.organization_fields}.get(kind, {})
    return {ours: theirs for ours, theirs in ATTRIBUTES.get(kind, {}).items() if ours not in own}, own


def is_fields(change: Change) -> bool:
    """Whether a change is about fields of a record that is there, named by its id, and about nothing else of it."""
    e = change.entity
    is_party = isinstance(e, Person | Organization) and not (e.name or e.identifiers)
    return bool(change.remote_id) and is_party and not change.links


def named(change: Change, fields: Mapping[str, str], settings: ZendeskSettings) -> dict[str, Any]:
    """What the fields are at Zendesk. For a record that is there a blank empties, and RecordRejected names what has no
    place; for one that is to be made, both are left out."""
    attributes, custom = places(change.kind, settings)
    if change.remote_id and (strange := sorted(set(fields) - set(attributes) - set(custom))):
        raise RecordRejected(f"Zendesk has no place to write the field {', '.join(strange)}: name it in the settings")
    given = fields if change.remote_id else {ours: value for ours, value in fields.items() if value}
    values: dict[str, Any] = {
        attributes[n]: v or _EMPTY.get(attributes[n]) for n, v in given.items() if n in attributes
    }
    if inner := {custom[ours]: value or None for ours, value in given.items() if ours in custom}:
        values[f"{PARTIES[change.kind][1]}_fields"] = inner
    return values


def user(p: Person, change: Change, settings: ZendeskSettings) -> dict[str, Any]:
    values: dict[str, Any] = {"name": p.name} if p.name else {}
    if phone := _of(p.identifiers, "phone"):
        values["phone"] = phone
    if organization := next((x.remote_id for x in change.links if x.kind == "organization" and x.remote_id), ""):
        values["organization_id"] = int(organization)
    return values | named(change, p.fields, settings)


def organization(o: Organization, change: Change, settings: ZendeskSettings) -> dict[str, Any]:
    values: dict[str, Any] = {"name": o.name} if o.name else {}
    if domains := [i.value for i in o.identifiers if i.scheme == "domain"]:
        values["domain_names"] = domains
    return values | named(change, o.fields, settings)


def task(t: Task) -> dict[str, Any]:
    values: dict[str, Any] = {
        "subject": t.title or "Task", "type": "task", "status": "solved" if t.is_done else "open",
    }  # fmt: skip
    return {**values, **({"due_at": stamp(t.due_at)} if t.due_at else {})}


def email_of(p: Person) -> str:
    return _of(p.identifiers, "email").lower()


def _of(identifiers: tuple[Identifier, ...], scheme: str) -> str:
    return next((i.value for i in identifiers if i.scheme == scheme), "")


def differing(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Those wanted values the object does not hold yet; of nested custom fields, the fields that differ."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        held = current.get(name)
        if isinstance(value, dict):
            if inner := differing(value, held if isinstance(held, dict) else {}):
                found[name] = inner
        elif isinstance(value, list):
            if missing := [v for v in value if v not in (held or [])]:
                found[name] = [*(held or []), *missing]
        elif spelled(value) != spelled(held):
            found[name] = value == "true" if isinstance(held, bool) else value
    return found


def spelled(value: Any) -> str:
    """A value as the hub spells it: nothing is "", yes is "true", and midnight UTC, as custom dates come, is the day."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.strip() if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:10] if len(text) > 10 and text[10:] in {"T00:00:00Z", "T00:00:00+00:00"} else text


def before(changed: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """The old values of what is to change, in the same shape."""
    found: dict[str, Any] = {}
    for name, value in changed.items():
        held = current.get(name)
        found[name] = before(value, held if isinstance(held, dict) else {}) if isinstance(value, dict) else held
    return found
