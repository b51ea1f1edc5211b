"""How values are told on a page: filters and functions of the templates."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape

_HERE = Path(__file__).parent
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_KB = 1000
_SCENE: ContextVar[tuple[tzinfo, datetime]] = ContextVar("scene")  # imported macros see no context of the template


@contextmanager
def scene(zone: tzinfo, now: datetime) -> Iterator[None]:
    """In it, instants are told in `zone`, and how long ago from `now`."""
    token = _SCENE.set((zone, now))
    try:
        yield
    finally:
        _SCENE.reset(token)


def count(value: float | None) -> str:
    """12345 -> "12,345"; an en dash for what is not known."""
    return "–" if value is None else f"{value:,}"


def size(value: float) -> str:
    """Bytes -> "1.2 MB"."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _KB or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= _KB
    raise AssertionError


def span(value: float | timedelta | None) -> str:
    """Seconds -> "3 h 5 min": the two largest parts."""
    if value is None:
        return "–"
    left = round(value.total_seconds() if isinstance(value, timedelta) else value)
    parts: list[str] = []
    for length, unit in _UNITS:
        amount, left = divmod(left, length)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def percent(value: float | None) -> str:
    """0.987 -> "98.7 %"; never rounded up to all."""
    if value is None:
        return "–"
    shown = f"{value:.1%}" if value >= 1 or value < 0.9995 else "99.9%"
    return shown.replace(".0%", "%").replace("%", " %")


def plural(value: int, word: str, many: str = "") -> str:
    """(2, "entry", "entries") -> "2 entries"."""
    return f"{value:,} {word if value == 1 else many or word + 's'}"


def day(value: date | None) -> str:
    """A date, or an instant in the hub's zone -> "12 Mar 2026"."""
    if value is None:
        return "–"
    at = value.astimezone(_SCENE.get()[0]) if isinstance(value, datetime) else value
    return f"{at.day} {at:%b %Y}"


def clock(value: datetime | None) -> str:
    """An instant -> "12 Mar 2026, 14:05" in the hub's zone."""
    return "–" if value is None else _clock(value)


def when(value: datetime | None) -> Markup:
    """A <time> element that says the instant, and in its title the same in UTC."""
    if value is None:
        return Markup("–")
    return _time(value, _clock(value))


def ago(value: datetime | None) -> Markup:
    """A <time> element that says how long ago, or how soon."""
    if value is None:
        return Markup("never")
    gone = (_SCENE.get()[1] - value).total_seconds()
    length = abs(gone)
    largest = next((f"{length // n:.0f} {unit}" for n, unit in _UNITS[:3] if length >= n), "")
    told = "just now" if not largest else f"{largest} ago" if gone > 0 else f"in {largest}"
    return _time(value, told)


def _clock(value: datetime) -> str:
    at = value.astimezone(_SCENE.get()[0])
    return f"{at.day} {at:%b %Y, %H:%M}"


def _time(value: datetime, told: str) -> Markup:
    at = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M:%S"), told
    )


def url_of(path: str, given: Mapping[str, Any] | None = None, **query: Any) -> str:
    """The path with those values of the query that are not empty."""
    pairs: list[tuple[str, Any]] = []
    for name, value in {**(given or {}), **query}.items():
        several = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, v) for v in several if v not in (None, "", False)]
    return f"{path}?{urlencode(pairs)}" if pairs else path


@lru_cache(maxsize=1)
def warm() -> None:
    """Compile all templates now, and not when the first visitor waits for one."""
    for name in ENVIRONMENT.list_templates(extensions=["html"]):
        ENVIRONMENT.get_template(name)


@lru_cache(maxsize=64)
def static(name: str) -> str:
    """The address of a static file, which changes with its content."""
    found = blake2b((_HERE / "static" / name).read_bytes(), digest_size=8).hexdigest()
    return f"/static/{name}?v={found}"


def lines(text: str) -> Markup:
    """Text with its line ends kept."""
    return Markup("<br>").join(escape(part) for part in text.split("\n"))


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, auto_reload=False, cache_size=-1,
)  # fmt: skip
ENVIRONMENT.filters.update(
    count=count, bytes=size, span=span, percent=percent, plural=plural, day=day, clock=clock, lines=lines
)
ENVIRONMENT.globals.update(url_of=url_of, static=static, when=when, ago_of=ago)
