"""Text for terminals: widths in columns, cutting, wrapping, spans of time in words. Foreign text is made harmless."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

# Control characters, and marks that turn the direction of text round: a subject must not steer the terminal.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+")
_SPACE = re.compile(r"\s+")


def clean(text: object) -> str:
    """One line without anything a terminal would obey."""
    return _SPACE.sub(" ", _HARMFUL.sub(" ", str(text))).strip()


def width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters and emoji take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """At most `columns` wide, "…" where something is missing."""
    if width(text) <= columns:
        return text
    if columns <= 0:
        return ""
    kept, used = [], 0
    for char in text:
        used += _columns(char)
        if used > columns - 1:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def pad(text: str, columns: int, align: str = "<") -> str:
    """Exactly `columns` wide; align: "<" or ">"."""
    text = cut(text, columns)
    space = " " * (columns - width(text))
    return space + text if align == ">" else text + space


def wrap(text: str, columns: int, lines: int | None = None, is_breaking: bool = True) -> list[str]:
    """Lines of at most `columns`, broken at spaces, in the middle of a word only where it is too long.

    lines: no more than so many; the last then ends in "…". is_breaking: False leaves long words whole.
    """
    words = clean(text).split(" ")
    out: list[str] = []
    line = ""
    while words:
        word = words.pop(0)
        both = f"{line} {word}" if line else word
        if width(both) <= columns:
            line = both
        elif line:
            out.append(line)
            line = ""
            words.insert(0, word)
        else:
            head = _head(word, columns) if is_breaking else word
            out.append(head)
            if rest := word[len(head) :]:
                words.insert(0, rest)
        if lines is not None and len(out) == lines:
            left = " ".join([line, *words]).strip()
            if left:
                out[-1] = cut(f"{out[-1]} {left}", columns)
            return out
    if line:
        out.append(line)
    return out


def _head(word: str, columns: int) -> str:
    used, end = 0, 0
    for end, char in enumerate(word):
        used += _columns(char)
        if used > columns and end:
            return word[:end]
    return word


def number(value: float) -> str:
    """12,345 or 0.25."""
    return f"{value:,}"


def plural(count: int, noun: str, many: str = "") -> str:
    """ "1 record", "1,200 records"."""
    return f"{number(count)} {noun if count == 1 else many or noun + 's'}"


def listed(counts: dict[str, int], empty: str = "none") -> str:
    """ "email 31, phone 2", the largest first."""
    shown = [f"{clean(k)} {number(n)}" for k, n in sorted(counts.items(), key=lambda kv: -kv[1]) if n]
    return ", ".join(shown) or empty


def books(seen: int, counts: Mapping[str, Any]) -> str:
    """ "512 seen = 480 new + 32 excluded"."""
    from hub.landing import DISPOSITIONS

    if not seen:
        return "nothing new"
    parts = [f"{number(counts[name])} {name}" for name in DISPOSITIONS if counts.get(name)]
    return f"{number(seen)} seen = {' + '.join(parts)}"


def moment(at: datetime | None, zone: tzinfo, with_zone: bool = True) -> str:
    """ "Fri 20 Nov 2026 17:05 CET"; "never" for None."""
    if at is None:
        return "never"
    local = at.astimezone(zone)
    return f"{local:%a %d %b %Y %H:%M} {local.tzname()}" if with_zone else f"{local:%a %d %b %Y %H:%M}"


def day(at: datetime | None, zone: tzinfo) -> str:
    """ "20 Nov 2026"."""
    return f"{at.astimezone(zone):%d %b %Y}".lstrip("0") if at else "never"


def ago(at: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """ "3 days ago", "tomorrow", "in 2 hours", "just now"; days as the calendar of `zone` counts them."""
    apart = now - at
    days = (now.astimezone(zone).date() - at.astimezone(zone).date()).days
    if abs(apart) >= timedelta(hours=12) and abs(days) == 1:
        return "yesterday" if days > 0 else "tomorrow"
    if abs(apart) < timedelta(minutes=1):
        return "just now"
    words = plural(abs(days), "day") if 1 < abs(days) < 60 else span(abs(apart))
    return f"{words} ago" if apart > timedelta(0) else f"in {words}"


def span(apart: timedelta) -> str:
    """The span in its largest unit: "2 days", "30 seconds"."""
    seconds = int(apart.total_seconds())
    for unit, size in (("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and not (unit == "month" and seconds < 2 * size):
            return plural(seconds // size, unit)
    return plural(seconds, "second")
