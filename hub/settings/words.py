"""How settings talk to people: the refusal a validator raises, found values in words, near misses."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any

from hub.settings.locate import KeyPath


class Refused(ValueError):
    """A validator's no. `must` completes "<field> ..."; pydantic carries it to the error text.

    fix: what to do, "" for the usual advice. suggestion: the value probably meant. example: a right value.
    at: the field meant, relative to the model validated, where it is not the one being validated.
    """

    def __init__(self, must: str, fix: str = "", suggestion: str = "", at: KeyPath = (), example: str = "") -> None:
        super().__init__(must)
        self.fix = fix
        self.example = example
        self.suggestion = suggestion
        self.at = at


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or "" when none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else ""


def one_of(names: Iterable[str]) -> str:
    """A, B or C."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def quoted(text: str, limit: int = 60) -> str:
    """The text in double quotes on one line, cut at `limit` characters."""
    shown = text if len(text) <= limit else text[:limit] + "..."
    return '"' + "".join(c if c.isprintable() else "?" for c in shown) + '"'


def literal(value: object) -> str:
    """A text, number or truth value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else str(value)


def found(value: Any) -> str:
    """What stands in the file, in words."""
    match value:
        case None:
            return "found nothing"
        case bool():
            return f"found {str(value).lower()}"
        case str():
            return f"found the text {quoted(value)}"
        case int() | float():
            return f"found the number {value}"
        case datetime() | date() | time():
            return f"found the date or time {value}"
        case Mapping():
            return "found a table"
        case list() | tuple():
            return "found a list"
    return f"found {type(value).__name__}"


def dotted(path: KeyPath) -> str:
    """A path as people write it: own.domains[2], connections."odd name"."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
            continue
        is_bare = part.replace("_", "").replace("-", "").isalnum() and part.isascii()
        out += ("." if out else "") + (part if is_bare else quoted(part))
    return out
