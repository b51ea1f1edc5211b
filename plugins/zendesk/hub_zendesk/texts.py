"""Small conversions both directions share: instants, and the marker by which we know our own notes again."""

import re
from datetime import UTC, datetime

from hub.api import Window

SWITCH_OFF = "2027-04-30"  # of API tokens
PREFIX = "ihub:"  # of external ids of objects the hub made
PROFILE = "ihub:profile:"  # of the ticket that holds a customer's timeline
REDACTED = "\u2587"

_MARKER = re.compile(r"\s*\[ihub:([^\[\]\s]{1,200})\]\s*\Z")


def instant(value: object) -> datetime | None:
    """Aware UTC from ISO 8601; None for a missing value. Raises ValueError for anything else."""
    if value in {None, ""} if isinstance(value, str | None) else False:
        return None
    if not isinstance(value, str):
        raise ValueError("not a time")  # noqa: TRY004 - one kind of error for one kind of trouble
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def stamp(at: datetime) -> str:
    """As Zendesk gives and takes instants."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_in(value: object, window: Window) -> bool:
    """Whether an instant lies in the window; one that cannot be read does: the mapping is to judge it."""
    try:
        at = instant(value)
    except ValueError:
        return True
    return at is None or not ((window.since and at < window.since) or (window.until and at >= window.until))


def marked(text: str, key: str) -> str:
    return f"{text.rstrip()}\n\n[ihub:{key}]"


def split_marker(text: str) -> tuple[str, str]:
    """(text without our marker, our key); ("...", "") for somebody else's text."""
    if found := _MARKER.search(text):
        return text[: found.start()], found[1]
    return text, ""


def is_redacted(text: str) -> bool:
    """Nothing of the text is left but redaction marks."""
    return REDACTED in text and not text.replace(REDACTED, "").strip()
