"""Small conversions both directions share: instants, plain and rich text, names, our marker."""

import html
import re
from datetime import UTC, datetime, timedelta

from hub.api.mail import html_to_text

TEXT_LIMIT = 65_536
CUT = "\n[... cut here: the whole text is in interaction-hub]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BREAK = re.compile(r"<(?:br\s*/?|/(?:p|div|li|tr|h[1-6]|blockquote))>", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
_GAPS = re.compile(r"\n{3,}")
_MARKER = re.compile(r"\s*\[ihub:([^\[\]\s]{1,100})\]\s*\Z")


def instant(value: str | None) -> datetime | None:
    """Aware UTC from ISO 8601 or epoch ms; None for a missing value. Raises ValueError for anything else."""
    if not value:
        return None
    if value.lstrip("-").isdecimal():
        try:
            return _EPOCH + timedelta(milliseconds=int(value))
        except OverflowError as exc:
            raise ValueError(f"{value} is not a time") from exc
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def iso(at: datetime) -> str:
    """As HubSpot takes and gives instants: UTC, milliseconds, Z."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def plain(value: str) -> str:
    """Text of a rich-text property; text without markup stays as it is."""
    if "<" not in value and "&" not in value:
        return value
    if "<style" in value or "<script" in value or "<head" in value:
        return html_to_text(value)
    text = html.unescape(_TAG.sub("", _BREAK.sub("\n", value)))
    return _GAPS.sub("\n\n", text.replace("\xa0", " ")).strip()


def rich(text: str) -> str:
    """Text for a rich-text property: shown as written, line by line."""
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")


def cut(text: str, limit: int = TEXT_LIMIT, tail: str = "") -> str:
    """At most `limit` characters, a word in place of what is missing, `tail` always kept at the end."""
    if len(text) + len(tail) <= limit:
        return text + tail
    return text[: limit - len(CUT) - len(tail)] + CUT + tail


def cut_rich(text: str, limit: int = TEXT_LIMIT, tail: str = "") -> str:
    """As `rich`, the result within `limit`: escapes make text longer, and must not be cut through."""
    made = rich(text + tail)
    keep = len(text)
    while len(made) > limit:
        keep = min(keep - 1, int(keep * (limit / len(made)) * 0.98))
        made = rich(text[:keep] + CUT + tail)
    return made


def marker(key: str) -> str:
    """The line that carries our key where the portal has no property for it."""
    return f"\n\n[ihub:{key}]"


def split_marker(text: str) -> tuple[str, str]:
    """(text without our marker, key or "")."""
    if "[ihub:" not in text[-200:]:
        return text, ""
    match = _MARKER.search(text, max(len(text) - 200, 0))
    return (text[: match.start()], match.group(1)) if match else (text, "")


def split_name(name: str) -> tuple[str, str]:
    """(first name, last name): the last word is the last name."""
    first, _, last = name.strip().rpartition(" ")
    return (first.strip(), last) if first else (last, "")
