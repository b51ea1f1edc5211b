"""Handlers of what surrounds the objects: owners, properties, pipelines, account details."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hub_hubspot.emulator import values
from hub_hubspot.emulator.answers import Answer, Call, Refusal, invalid, not_found
from hub_hubspot.emulator.catalog import MAX_UNIQUE, Property
from hub_hubspot.emulator.portal import Portal, Shelf

MAX_OWNERS = 500
_TYPES = {"string", "number", "date", "datetime", "enumeration", "bool"}
_FIELD_TYPES = {
    "textarea", "text", "date", "file", "number", "select", "radio", "checkbox", "booleancheckbox",
    "calculation_equation",
}  # fmt: skip
_DEAL_STAGES = (
    ("appointmentscheduled", "Appointment Scheduled", "0.2"), ("qualifiedtobuy", "Qualified To Buy", "0.4"),
    ("presentationscheduled", "Presentation Scheduled", "0.6"),
    ("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"), ("contractsent", "Contract Sent", "0.9"),
    ("closedwon", "Closed Won", "1.0"), ("closedlost", "Closed Lost", "0.0"),
)  # fmt: skip
_TICKET_STAGES = (
    ("1", "New", "OPEN"), ("2", "Waiting on contact", "OPEN"), ("3", "Waiting on us", "OPEN"),
    ("4", "Closed", "CLOSED"),
)  # fmt: skip


class Owners:
    """The people of the portal. Deactivated ones are archived, with no userId."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.rows: dict[int, dict[str, Any]] = {}

    def add(self, given: dict[str, Any]) -> str:
        """given: email, firstName, lastName, and optionally id, userId, archived, teams. Returns the id."""
        id_ = int(given.get("id") or max(self.rows, default=70_000) + 1)
        now = values.iso(self._portal.now_ms())
        user_id, is_archived = int(given.get("userId") or id_ + 1_000_000), bool(given.get("archived"))
        row = {
            "id": str(id_), "email": str(given.get("email", "")).lower(), "type": given.get("type", "PERSON"),
            "firstName": given.get("firstName", ""), "lastName": given.get("lastName", ""),
            "userId": None if is_archived else user_id, "userIdIncludingInactive": user_id,
            "createdAt": now, "updatedAt": now, "archived": is_archived,
        }  # fmt: skip
        self.rows[id_] = row | ({"teams": given["teams"]} if given.get("teams") else {})
        self._portal.owner_ids.add(str(id_))
        return str(id_)

    def page(self, call: Call) -> Answer:
        limit, after = call.number("limit", 100, MAX_OWNERS), call.one("after")
        is_archived, email = call.flag("archived"), call.one("email").lower()
        start = int(after) if after.isdecimal() else 0
        found = [
            row for id_, row in sorted(self.rows.items())
            if id_ >= start and row["archived"] == is_archived and (not email or row["email"] == email)
        ]  # fmt: skip
        body: dict[str, Any] = {"results": found[:limit]}
        if len(found) > limit:
            upto = str(int(found[limit - 1]["id"]) + 1)
            body["paging"] = {"next": {"after": upto, "link": f"https://api.hubapi.com/crm/v3/owners/?after={upto}"}}
        return Answer(200, body)

    def get(self, call: Call, key: str) -> Answer:
        by_user = call.one("idProperty") == "userId"
        for row in self.rows.values():
            found = str(row["userIdIncludingInactive"] if by_user else row["id"])
            if found == key and row["archived"] == call.flag("archived"):
                return Answer(200, row)
        raise not_found(f"Could not find owner {key}")


def properties(portal: Portal, shelf: Shelf, call: Call) -> Answer:
    """List, read, create, update and archive property definitions."""
    name = call.parts[1] if len(call.parts) > 1 else ""
    if not name and call.method == "GET":
        is_archived = call.flag("archived")
        found = [p.wire() for p in shelf.properties.values() if bool(p.archived_at) == is_archived]
        return Answer(200, {"results": found})
    if not name and call.method == "POST":
        return _create(portal, shelf, call.json())
    held = shelf.properties.get(name)
    if held is None or held.archived_at:
        raise not_found(f'Property "{name}" does not exist')
    if call.method == "GET":
        return Answer(200, held.wire())
    if call.method == "PATCH":
        return _update(held, call.json())
    if call.method != "DELETE":
        raise Refusal(405, "METHOD_NOT_ALLOWED", "method not allowed")
    if not held.is_own:
        raise invalid(f"{name} is a HubSpot property; it cannot be archived")
    held.archived_at = values.iso(portal.now_ms())
    shelf.unique.pop(name, None)
    return Answer(204)


def _create(portal: Portal, shelf: Shelf, body: dict[str, Any]) -> Answer:
    """Whether groupName exists is not checked: the groups of engagements are not documented."""
    missing = [f for f in ("name", "label", "type", "fieldType", "groupName") if not body.get(f)]
    if missing:
        listed = ", ".join(missing)
        raise invalid(f"Invalid input JSON on line 1, column 2. Some required fields were not set: [{listed}]")
    name = str(body["name"])
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name):
        raise invalid(f"{name} is not a valid property name", "INVALID_NAME")
    if body["type"] not in _TYPES or body["fieldType"] not in _FIELD_TYPES:
        raise invalid(f"type {body['type']} with fieldType {body['fieldType']} is not valid", "INVALID_TYPE")
    held = shelf.properties.get(name)
    if held and not held.archived_at:
        message = f"A property named '{name}' already exists."
        raise Refusal(409, "OBJECT_ALREADY_EXISTS", message, context={"propertyName": [name]})
    is_unique = bool(body.get("hasUniqueValue"))
    if is_unique and sum(p.is_unique for p in shelf.live_properties()) >= MAX_UNIQUE:
        raise invalid(f"An object can have at most {MAX_UNIQUE} unique properties", "UNIQUE_PROPERTY_LIMIT")
    made = Property(
        name, str(body["type"]), str(body["fieldType"]), str(body["groupName"]), str(body["label"]),
        description=str(body.get("description") or ""), is_unique=is_unique, is_own=True,
        is_hidden=bool(body.get("hidden")), is_form_field=bool(body.get("formField")),
        options={str(o["value"]): str(o.get("label", o["value"])) for o in body.get("options") or ()},
        created_at=values.iso(portal.now_ms()),
    )  # fmt: skip
    shelf.properties[name] = made
    if is_unique:
        portal.make_unique(shelf, name)
    return Answer(201, made.wire())


def _update(held: Property, body: dict[str, Any]) -> Answer:
    if not held.is_own:
        raise invalid(f"{held.name} is a HubSpot property; its definition is read only")
    if "hasUniqueValue" in body and bool(body["hasUniqueValue"]) != held.is_unique:
        raise invalid("hasUniqueValue cannot be changed after a property was created")
    held.label = str(body.get("label", held.label))
    held.description = str(body.get("description", held.description))
    held.group = str(body.get("groupName", held.group))
    held.is_hidden = bool(body.get("hidden", held.is_hidden))
    if "options" in body:
        held.options = {str(o["value"]): str(o.get("label", o["value"])) for o in body["options"]}
    return Answer(200, held.wire())


def default_pipelines(now: str) -> dict[str, list[dict[str, Any]]]:
    """The pipelines of a fresh portal."""

    def stage(place: int, id_: str, label: str, metadata: dict[str, str]) -> dict[str, Any]:
        return {
            "id": id_, "label": label, "displayOrder": place, "metadata": metadata, "createdAt": now,
            "updatedAt": now, "archived": False, "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        }  # fmt: skip

    def closed(chance: str) -> str:
        return "true" if chance in {"0.0", "1.0"} else "false"

    deals = [
        stage(n, i, label, {"isClosed": closed(chance), "probability": chance})
        for n, (i, label, chance) in enumerate(_DEAL_STAGES)
    ]
    tickets = [
        stage(n, i, label, {"ticketState": state, "isClosed": "true" if state == "CLOSED" else "false"})
        for n, (i, label, state) in enumerate(_TICKET_STAGES)
    ]
    shared = {"displayOrder": 0, "createdAt": now, "updatedAt": now, "archived": False}
    return {
        "deals": [{"id": "default", "label": "Sales Pipeline", "stages": deals, **shared}],
        "tickets": [{"id": "0", "label": "Support Pipeline", "stages": tickets, **shared}],
    }


def pipelines(portal: Portal, shelf: Shelf, call: Call) -> Answer:
    """List, one, its stages. Reading only."""
    if call.method != "GET":
        raise Refusal(405, "METHOD_NOT_ALLOWED", "method not allowed")
    rows = portal.pipelines.get(shelf.kind.plural)
    if rows is None:
        raise not_found(f"{shelf.kind.plural} have no pipelines")
    if len(call.parts) == 1:
        return Answer(200, {"results": rows})
    for row in rows:
        if row["id"] == call.parts[1]:
            if len(call.parts) == 2:
                return Answer(200, row)
            if call.parts[2:] == ("stages",):
                return Answer(200, {"results": row["stages"]})
    raise not_found()


def account_details(portal: Portal, zone: str) -> Answer:
    """Who the portal is. utcOffset: "+02:00" at the present moment."""
    offset = datetime.fromtimestamp(portal.now_ms() / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%z")
    return Answer(200, {
        "portalId": portal.portal_id, "accountType": "STANDARD", "timeZone": zone, "companyCurrency": "EUR",
        "additionalCurrencies": [], "utcOffset": f"{offset[:3]}:{offset[3:]}",
        "utcOffsetMilliseconds": (1 if offset[0] == "+" else -1) * (int(offset[1:3]) * 60 + int(offset[3:])) * 60_000,
        "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
    })  # fmt: skip
