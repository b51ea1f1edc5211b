"""Private events: what is cut off before anything is stored, logged or mapped."""

import msgspec

from hub_calendar.wire import FIELDS, OPEN

# Times and marks; nothing a person typed and nobody's name.
KEPT = (
    "id", "etag", "status", "start", "end", "updated", "visibility", "eventType", "transparency", "recurringEventId",
    "originalStartTime",
)  # fmt: skip


def reduced(body: bytes) -> bytes:
    """The event as it came, or, if it is private, its times alone. Broken events are judged by the same mark."""
    fields = FIELDS.decode(body)
    if not is_private(fields):
        return body
    return msgspec.json.encode({name: fields[name] for name in KEPT if name in fields})


def is_private(fields: dict[str, msgspec.Raw]) -> bool:
    mark = fields.get("visibility")
    return mark is not None and bytes(mark).strip(b' "').decode(errors="replace") not in OPEN
