"""What a plan shows to whom, what it costs at the tool, and whether it can be taken back."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import outbox
from hub.access import accounts
from hub.access.roles import BODIES_READ
from hub.api import ConfigError
from hub.outbox import shown
from hub.reports import Seen, everything
from hub.reports.seen import of_identifiers
from hub.service.desk import Desk
from hub.store import short_id
from hub.store import tables as t

Row = dict[str, Any]
HIDDEN = "Not shown to you"  # it comes from a private connection of somebody else, or is gone: nobody can tell which
_WORDS = ("text",)  # fields that hold what was said


def readable(desk: Desk, c: Connection, seen: Seen, rows: Iterable[Row]) -> list[Row]:
    """The changes as the viewer may read them: without what private connections of others tell, and without message texts."""
    rows = [{**row, "is_private": False} for row in rows]
    hidden = set() if seen is everything else _hidden(c, seen, rows)
    for row in rows:
        if row["key"] in hidden:
            row |= {
                "is_private": True,
                "title": HIDDEN,
                "fields": [],
                "same": 0,
                "of": "",
                "about": "",
                "url": "",
                "merge": None,
            }
            row["error"] = "the tool refused it" if row["error"] else ""
        elif row["kind"] == "interaction" and not desk.viewer.may(BODIES_READ):
            row["fields"] = [_unread(f) if f["field"] in _WORDS else f for f in row["fields"]]
    return rows


def signed(c: Connection, plans: list[Row]) -> list[Row]:
    """The plans with the name of who approved each, where that is an account."""
    called = accounts.names(c, {p["approved_by"] for p in plans})
    return [{**p, "approved_by": called.get(p["approved_by"], p["approved_by"])} for p in plans]


def in_short(row: Row) -> Row:
    """A change for programs: {"kind", "effect", "title", "links"}, and of fields kept equal "fields" and what stood "before"."""
    found = {name: row[name] for name in ("kind", "effect", "title", "links")}
    if row["kind"] == "fields":
        found |= {
            name: {f["field"]: f[side] for f in row["fields"]}
            for name, side in (("fields", "after"), ("before", "before"))
        }
    return found


def _unread(field: Row) -> Row:
    told = {side: f"({len(field[side]):,} characters)" if field[side] else "" for side in ("before", "after")}
    return {**field, **told}


def _hidden(c: Connection, seen: Seen, rows: list[Row]) -> set[str]:
    """Keys of changes that say more than the viewer sees. What cannot be looked up any more is hidden, too."""
    of = {
        kind: {r["key"] for r in rows if r["kind"] == kind and r["effect"] != "merge"}
        for kind in {r["kind"] for r in rows}
    }
    return (
        _entries(c, seen, of.get("interaction", set()))
        | _parties(c, seen, set().union(*(of.get(kind, set()) for kind in ("person", "organization", "fields"))))
        | _tasks(c, seen, [r for r in rows if r["kind"] == "task"])
        | _refusals(c, seen, [r for r in rows if r["kind"] == "consent"])
        | _merges(c, seen, [r for r in rows if r["effect"] == "merge"])
    )


def _entries(c: Connection, seen: Seen, keys: set[str]) -> set[str]:
    """Entries are written with all who took part, as all copies say: hidden is one where a copy that is not seen says more."""
    i, p, other = t.interaction.c, t.participation.alias(), t.participation.alias()
    is_told = sa.exists().where(
        other.c.interaction_id == p.c.interaction_id,
        other.c.identifier_id == p.c.identifier_id,
        other.c.role == p.c.role,
        seen(other),
    )
    unseen = sa.exists().where(p.c.interaction_id == i.id, sa.not_(seen(p)), sa.not_(is_told))
    whole = sa.select(i.public_id).where(i.public_id.in_(keys), seen(t.interaction), sa.not_(unseen))
    return keys - set(c.execute(whole).scalars())


def _parties(c: Connection, seen: Seen, keys: set[str]) -> set[str]:
    """People and companies are written with all their addresses."""
    p, i = t.party.c, t.identifier.alias()
    named = {key: key.partition("/")[0] for key in keys}
    unseen = sa.exists().where(i.c.party_id == p.id, sa.not_(of_identifiers(seen, i)))
    whole = sa.select(p.public_id).where(p.public_id.in_(set(named.values())), seen(t.party), sa.not_(unseen))
    found = set(c.execute(whole).scalars())
    return {key for key, public_id in named.items() if public_id not in found}


def _tasks(c: Connection, seen: Seen, rows: list[Row]) -> set[str]:
    """Seen are those whose record is; and of what was proposed here, those about whom is seen."""
    if not rows:
        return set()
    query = sa.select(t.connection.c.name, t.stream.c.name, t.record.c.external_id).join(
        t.stream, t.stream.c.connection_id == t.connection.c.id
    )
    query = query.join(t.record, t.record.c.stream_id == t.stream.c.id).join(
        t.item, t.item.c.record_id == t.record.c.id
    )
    of_records = {short_id("t", *row): is_seen for *row, is_seen in c.execute(
        query.add_columns(seen(t.record)).where(t.item.c.kind == "task"))}  # fmt: skip
    about = {end for r in rows for end in r["ends"]}
    parties = set(
        c.execute(sa.select(t.party.c.public_id).where(t.party.c.public_id.in_(about), seen(t.party))).scalars()
    )
    return {r["key"] for r in rows if not of_records.get(r["key"], bool(r["ends"]) and parties.issuperset(r["ends"]))}


def _refusals(c: Connection, seen: Seen, rows: list[Row]) -> set[str]:
    value = t.identifier.c.value
    named = {r["key"]: r["title"] for r in rows}
    found = c.execute(sa.select(value).where(value.in_(set(named.values())), of_identifiers(seen))) if named else ()
    told = {row[0] for row in found}
    return {key for key, address in named.items() if address not in told}


def _merges(c: Connection, seen: Seen, rows: list[Row]) -> set[str]:
    ends = {n for r in rows for n in r["merge"]["records"]}
    found = (
        set(c.execute(sa.select(t.record.c.id).where(t.record.c.id.in_(ends), seen(t.record))).scalars())
        if ends
        else set()
    )
    return {r["key"] for r in rows if not found.issuperset(r["merge"]["records"])}


def cost(desk: Desk, plan: Row, past: Row | None) -> Row:
    """What is left of a plan costs at the tool: {"calls", "at_least", "seconds", "measured": changes it was measured at, "budgets":
    [{"name", "limit": calls in one window, "window": seconds}]}.

    calls, seconds: None where nothing was written there yet; `at_least` is what no connector can do without.
    """
    left = sum(n for state, n in plan["states"].items() if state in {"due", "sent"})
    least = shown.calls_at_least(plan) if left else 0
    found: Row = {"calls": None, "at_least": least, "seconds": None, "measured": 0, "left": left, "budgets": []}
    if past and left:
        share = left / past["changes"]
        found |= {"calls": max(round(past["calls"] * share), 1), "seconds": past["seconds"] * share}
        found["measured"] = past["changes"]
    try:
        connector = desk.engine.connector(plan["destination"])
    except ConfigError:  # its section is gone, or does not hold any more: the plan is history
        return found
    budgets = [(b, b.cost("")) for b in connector.budgets()]
    found["budgets"] = [
        {"name": b.name, "limit": b.units_per_window // units, "window": b.window.total_seconds()}
        for b, units in budgets
        if units
    ]
    if calls := found["calls"] or least:
        waits = connector.http.budget.eta("", calls)
        found["seconds"] = max(found["seconds"] or 0.0, waits) if found["seconds"] is not None or waits else None
    return found


def can_undo(desk: Desk, plan: Row) -> bool:
    """Whether an applied plan can be taken back at its tool."""
    is_made = plan["status"] in {"applied", "partly", "undone"} and plan["states"].get("done")
    if plan["kind"] == outbox.MERGE or not is_made:
        return False
    try:
        return bool(desk.engine.connector(plan["destination"]).manifest.can_undo)
    except ConfigError:
        return False
