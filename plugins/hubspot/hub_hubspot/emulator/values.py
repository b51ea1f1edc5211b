"""What HubSpot does to property values on their way in: checks, normal forms, values it derives itself.

Every stored value is a non-empty string; an empty value is an absent key.
"""

import html
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hub_hubspot.emulator.answers import Refusal
from hub_hubspot.emulator.catalog import LIFECYCLE, MAX_LENGTH, Property
from hub_hubspot.emulator.tables import ObjectType

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]{2,}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_TAG = re.compile(r"<[^<>]*>")
_BODIES = {
    "emails": ("hs_email_html", "hs_email_text"), "notes": ("hs_note_body",), "calls": ("hs_call_body",),
    "meetings": ("hs_meeting_body",), "tasks": ("hs_task_body",), "communications": ("hs_communication_body",),
}  # fmt: skip
PREVIEW_CHARS = 450


class Problem(Exception):
    """One value that is refused. code: as HubSpot names it."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.code = code
        self.message = message


def refusal(problems: list[Problem], portal_id: int) -> Refusal:
    """400 VALIDATION_ERROR whose message embeds the problems as a JSON array, as recorded."""
    rows = [
        {"isValid": False, "message": p.message, "error": p.code, "name": p.name,
         "localizedErrorMessage": p.message, "portalId": portal_id}
        for p in problems
    ]  # fmt: skip
    errors = [{"message": p.message, "code": p.code, "context": {"propertyName": [p.name]}} for p in problems]
    text = "Property values were not valid: " + json.dumps(rows)
    return Refusal(400, "VALIDATION_ERROR", text, errors=errors)


@lru_cache(maxsize=1024)
def iso(ms: int) -> str:
    """Epoch ms as ISO 8601 with milliseconds and Z."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


@lru_cache(maxsize=65_536)
def epoch_ms(text: str) -> int | None:
    """ISO 8601 (a date alone is its midnight, no zone is UTC) or epoch ms as digits; None for anything else."""
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * 1000 + moment.microsecond // 1000


def as_text(name: str, value: Any) -> str:
    """A JSON value as HubSpot reads it. Raises Problem for objects and arrays."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise Problem(name, "INVALID_VALUE", f'"{name}" must be a string')


def normal(definition: Property, value: Any) -> str:
    """The stored form of a value, "" when it clears the property. Raises Problem."""
    name, text = definition.name, as_text(definition.name, value)
    if name in {"email", "domain"}:
        text = text.strip().lower()
    if not text:
        return ""
    if name == "email" and not _EMAIL.fullmatch(text):
        raise Problem(name, "INVALID_EMAIL", f"Email address {text} is invalid")
    if len(text) > MAX_LENGTH.get(name, 1_000_000):
        raise Problem(name, "PROPERTY_VALUE_TOO_LONG", f"{name} is longer than {MAX_LENGTH[name]} characters")
    if definition.type == "number" and not _NUMBER.fullmatch(text.strip()):
        raise Problem(name, "INVALID_LONG", f"{text} was not a valid long.")
    if definition.type == "datetime":
        return _datetime(name, text)
    if definition.type == "date":
        return _datetime(name, text)[:10]
    if definition.options:
        _check_options(definition, text)
    if name == "hs_email_headers":
        _headers(text)
    return text.strip() if definition.type == "number" else text


def _datetime(name: str, text: str) -> str:
    ms = epoch_ms(text)
    if ms is None:
        raise Problem(name, "INVALID_DATE", f"{text} is not a valid date or time")
    return iso(ms).replace(".000Z", "Z")


def _check_options(definition: Property, text: str) -> None:
    for part in text.split(";") if definition.field_type == "checkbox" else [text]:
        if part not in definition.options:
            allowed = ", ".join(definition.options)
            message = f"{part} was not one of the allowed options: [{allowed}]"
            raise Problem(definition.name, "INVALID_OPTION", message)


def _headers(text: str) -> dict[str, Any]:
    try:
        headers = json.loads(text)
    except ValueError as exc:
        raise Problem("hs_email_headers", "INVALID_JSON", "hs_email_headers is not valid JSON") from exc
    if not isinstance(headers, dict):
        raise Problem("hs_email_headers", "INVALID_JSON", "hs_email_headers must be a JSON object")
    return headers


def derived(kind: ObjectType, changes: Mapping[str, str]) -> dict[str, str]:
    """What HubSpot fills in from the given changes: addresses out of headers, body previews, the e-mail domain, whether a deal is over."""
    found: dict[str, str] = {}
    for name in _BODIES.get(kind.plural, ()):
        if name in changes:
            found |= _preview(changes[name], is_html=name != "hs_email_text")
            break
    if "hs_email_headers" in changes:
        found |= _addresses(changes["hs_email_headers"])
    if kind.plural == "contacts" and "email" in changes:
        found["hs_email_domain"] = changes["email"].rpartition("@")[2]
    if kind.plural == "deals" and "dealstage" in changes:
        stage = changes["dealstage"]
        found["hs_is_closed"] = str(stage in {"closedwon", "closedlost"}).lower()
        found["hs_is_closed_won"] = str(stage == "closedwon").lower()
    return found


def _preview(body: str, is_html: bool) -> dict[str, str]:
    text = html.unescape(_TAG.sub(" ", body)) if is_html else body
    text = " ".join(text.split())
    shown = text[:PREVIEW_CHARS]
    return {
        "hs_body_preview": shown,
        "hs_body_preview_html": f"<html><head></head><body>{html.escape(shown)}</body></html>" if shown else "",
        "hs_body_preview_is_truncated": ("true" if len(text) > PREVIEW_CHARS else "false") if body else "",
    }


def _addresses(text: str) -> dict[str, str]:
    headers = _headers(text) if text else {}
    found: dict[str, str] = {}
    for role in ("from", "sender", "to", "cc", "bcc"):
        people = headers.get(role) or []
        people = [p for p in (people if isinstance(people, list) else [people]) if isinstance(p, dict)]
        found[f"hs_email_{role}_email"] = ";".join(str(p["email"]) for p in people if p.get("email"))
        if role in {"from", "to"}:
            found[f"hs_email_{role}_firstname"] = ";".join(str(p["firstName"]) for p in people if p.get("firstName"))
            found[f"hs_email_{role}_lastname"] = ";".join(str(p["lastName"]) for p in people if p.get("lastName"))
    return found


def keeps_stage(before: str, after: str) -> bool:
    """Whether a lifecycle stage stays as it was: it only moves forward, unless it was cleared first."""
    if before not in LIFECYCLE or after not in LIFECYCLE:
        return False
    return LIFECYCLE.index(after) < LIFECYCLE.index(before)
