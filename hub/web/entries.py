"""Entries of a timeline as pages show them: by day, what follows one another in a conversation folded, gaps where they are."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from typing import Any
from urllib.parse import urlsplit

from hub.store import micros

Row = dict[str, Any]
SAYERS = ("from", "organizer", "author", "agent", "requester")
_ANSWERS = (
    ("accepted", "accepted"),
    ("declined", "declined"),
    ("tentative", "may come"),
    ("unanswered", "not answered"),
)
_NAMES = 2  # of each side of an entry that are written out


def days(
    found: Sequence[Row], gaps: Iterable[Row], now: datetime, zone: tzinfo, mark: str, has_more: bool
) -> list[Row]:
    """Newest first: {"day", "is_ahead", "entries"} and {"gap"}, in the order they are shown.

    found: a page of a timeline. mark: what the page was asked with, "" for the first. has_more: whether another one follows.
    """
    left = _due(gaps, mark)
    out: list[Row] = []
    for e in found:
        while left and _moment(left[0], e["at"]) > e["at"]:
            out.append({"gap": left.pop(0)})
        row = shown(e, zone)
        is_ahead = e["at"] > now
        last = out[-1] if out else {}
        above = last["entries"][-1] if last.get("entries") else None
        if above and above["conversation"] is not None and above["conversation"] == e["conversation"]:
            if last["is_ahead"] == is_ahead:
                above["more"].append(row)
                continue
        if last.get("day") != row["day"] or last["is_ahead"] != is_ahead:
            out.append(last := {"day": row["day"], "is_ahead": is_ahead, "entries": []})
        last["entries"].append(row)
    return out if has_more else out + [{"gap": gap} for gap in left]


def _due(gaps: Iterable[Row], mark: str) -> list[Row]:
    """The gaps that no page before has shown; those of any time on the first page alone."""
    if not mark:
        return list(gaps)
    at = int(mark.rpartition("-")[0])
    return [g for g in gaps if (edge := g["since"] or g["until"]) is not None and micros(edge) <= at]


def _moment(gap: Row, otherwise: datetime) -> datetime:
    """Where a gap is drawn; one without an edge above everything."""
    edge: datetime | None = gap["since"] or gap["until"]
    return edge if edge is not None else datetime.max.replace(tzinfo=otherwise.tzinfo)


def shown(e: Row, zone: tzinfo) -> Row:
    """An entry with "day", "clock" (empty for whole days), "who", "answers", "tools", and "more": what is folded under it."""
    local = e["at"].astimezone(zone)
    return {
        **e, "day": _date(e["all_day"]) or local.date(), "clock": "" if e["all_day"] else f"{local:%H:%M}", "who": who(e),
        "last_day": _date(e["all_day_last"]), "answers": answers(e["people"]), "more": [],
        "tools": list(dict.fromkeys(s["connection"] for s in e["sources"])),
    }  # fmt: skip


def _date(value: str | date | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else None if isinstance(value, str) else value


def who(e: Row) -> str:
    """ "Ana Ruiz to Sam Lee, Bo Lee +2"."""
    said: dict[str, None] = {}
    heard: dict[str, None] = {}
    for p in e["people"]:
        if p["role"] != "about":
            (said if p["role"] in SAYERS else heard)[p["name"]] = None
    others = [name for name in heard if name not in said]
    if said and others:
        return f"{_few(list(said))} {'to' if e['kind'] == 'message' else 'with'} {_few(others)}"
    return _few(list(said) or others or list(dict.fromkeys(p["name"] for p in e["people"])))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES]) + (f" +{len(names) - _NAMES}" if len(names) > _NAMES else "")


def answers(people: Iterable[Row]) -> list[tuple[str, list[str]]]:
    """[("accepted", names), ...]: how the guests answered the invitation, the customer's first."""
    guests = sorted((p for p in people if p["role"] != "organizer"), key=lambda p: p["kind"] == "own")
    told = [(words, list(dict.fromkeys(p["name"] for p in guests if p["answer"] == a))) for a, words in _ANSWERS]
    return [(words, names) for words, names in told if names]


def parties(e: Row) -> list[Row]:
    """Who takes part in an explained entry, each once: a party with "parts" and "identity" (its addresses here)."""
    roles: dict[str, list[str]] = {}
    for p in e["people"]:
        roles.setdefault(p["address"], []).append(p["role"])
    found: dict[str, Row] = {}
    for i in e["identity"]:
        of = found.setdefault(i["party"]["public_id"], {**i["party"], "parts": {}, "identity": []})
        of["name"] = of["name"] or i["address"]
        of["parts"] |= dict.fromkeys(roles.get(i["address"], []))
        of["identity"].append(i)
    return sorted(found.values(), key=lambda p: (list(p["parts"]) == ["about"], p["kind"] == "own", p["name"]))


def outside(url: str) -> str:
    """The address, if it is one that a page may link to; else "": what a tool gave might be a script."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme.lower() in {"http", "https"} and parts.netloc else ""


def reason(told: Any) -> str:
    """A decision's reason as the hub noted it: a text, {field, level, value}, or a line of the weights; "" for none to show."""
    if not isinstance(told, dict):
        return str(told)
    if told.get("field") == "without":
        return ""  # what it would be without stands on the page of who is who
    if "weight" in told:
        return f"{told['field']} {told['level']} {told['weight']:+.1f}"
    named = ", ".join(str(told[k]) for k in ("field", "value") if told.get(k))
    return f"{told.get('level', '')} ({named})" if named else str(told.get("level", ""))
