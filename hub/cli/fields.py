"""`ihub fields`, `conflicts` and `choose`: who says what of a person or company, and a person's word where tools differ."""

import argparse
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from hub.cli import OK, USAGE
from hub.cli.opening import now, opened, user
from hub.cli.output import Screen
from hub.cli.people import title, undecided
from hub.cli.running import fail
from hub.cli.text import clean, day, plural

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.parties import Rule

STATES = {"opted_out": "opted out", "opted_in": "opted in", "unknown": "unknown"}
SHOWN = 50


def args_fields(p: argparse.ArgumentParser) -> None:
    p.add_argument("who", metavar="WHO", nargs="+", help="an address, a name or a part of it, or an id")


def args_conflicts(p: argparse.ArgumentParser) -> None:
    p.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"how many to show ({SHOWN})")


def args_choose(p: argparse.ArgumentParser) -> None:
    p.add_argument("who", metavar="WHO", help="an address, a name or a part of it, or an id")
    p.add_argument("field", metavar="FIELD", help="as `ihub fields WHO` names it")
    p.add_argument("value", metavar="VALUE", nargs="?", help='the value that is right; "" for none')
    p.add_argument("--from", metavar="NAME", dest="source", default="", help="the value this connection has")


# --- fields ---------------------------------------------------------------------------------------------------------


def run_fields(args: argparse.Namespace, screen: Screen) -> int:
    from hub import parties, reports
    from hub.reports.people import party_id

    with opened(args, screen) as engine, engine.store.read() as c:
        found = reports.find(c, " ".join(args.who))
        if len(found) != 1:
            return undecided(screen, " ".join(args.who), found)
        party = found[0]
        pid = party_id(c, party["public_id"]) or 0
        fields = parties.shown(c, pid, _rules(engine, party["kind"]), now(engine))
        stands = parties.standing(c, [pid])
        told = parties.history(c, pid)
        permissions = [
            {
                "channel": channel, "state": s.state,
                "since": next((h["at"] for h in told if h["channel"] == channel and h["state"] == s.state), None),
                "told": [h for h in told if h["channel"] == channel],
            }
            for (_, channel), s in sorted(stands.items())
        ]  # fmt: skip
    shown = {k: v for k, v in party.items() if k != "owner_identifier_id"}
    screen.emit({"party": shown, "fields": fields, "permissions": permissions})
    title(screen, party)
    _show_fields(screen, fields)
    if permissions:
        _show_permissions(screen, permissions)
    return OK


def _rules(engine: "Engine", kind: str) -> "dict[str, Rule]":
    from hub.parties import Rule

    s = engine.settings.fields
    return {
        name: Rule(r.owner, r.precedence)
        for name, r in (s.organization if kind == "organization" else s.person).items()
    }


def _show_fields(screen: Screen, fields: list[dict[str, Any]]) -> None:
    if not fields:
        screen.text("No tool says more than the name and the addresses.", indent=2)
    for f in fields:
        why = "" if f["why"] == "newest" and not f["others"] else f["why"]  # nobody else says anything
        screen.ends(f"{f['field']:<16} {clean(f['value']) or '(empty)'}", _said(f, screen.zone, why), "", 2)
        for other in f["others"]:
            screen.ends(f"{'':<16} {clean(other['value']) or '(emptied)'}", _said(other, screen.zone), "dim", 2)


def _said(row: dict[str, Any], zone: tzinfo, why: str = "") -> str:
    because = f", {why}" if why and row["source"] != "the hub" else ""
    return f"{clean(row['source'])}, since {day(row['since'], zone)}{because}" if row["source"] else why


def _show_permissions(screen: Screen, permissions: list[dict[str, Any]]) -> None:
    screen.heading("Permissions")
    for p in permissions:
        style = {"opted_out": "yellow", "opted_in": "green"}.get(p["state"], "dim")
        since = f" since {day(p['since'], screen.zone)}" if p["since"] else ""
        screen.pieces((f"{p['channel']:<16} ", ""), (STATES[p["state"]] + since, style), indent=2)
        for h in p["told"]:
            why = f": {clean(h['evidence'])}" if h["evidence"] else ""
            what = f"{day(h['at'], screen.zone)}  {STATES[h['state']]}, {clean(h['source'])}{why}"
            screen.text(what, "dim", 19, lines=2)


# --- conflicts and choices ------------------------------------------------------------------------------------------


def run_conflicts(args: argparse.Namespace, screen: Screen) -> int:
    from hub.engine import push

    with opened(args, screen) as engine:
        found = push.conflicts(engine)
    rows = [
        {
            "destination": name, "party": x.public_id, "name": x.name, "kind": x.kind, "field": x.field,
            "held": x.held.value if x.held else "", "offered": x.offered,
        }
        for name, x in found
    ]  # fmt: skip
    screen.emit({"conflicts": rows})
    if not rows:
        screen.line("No field waits for a choice.", "green")
        return OK
    screen.line(
        f"{plural(len(rows), 'field')} changed on both sides, or never agreed. Nothing is written there.", "bold"
    )
    for r in rows[: max(0, args.limit)]:
        screen.line(f"{clean(r['name']) or r['party']}: {r['field']}", "cyan", 2)
        screen.line(f"{clean(r['destination'])} has {clean(r['held']) or '(nothing)'}", indent=4)
        screen.line(f"the others have {clean(r['offered'])}", indent=4)
    if len(rows) > args.limit:
        screen.line(f"and {len(rows) - args.limit} more", "dim", 2)
    first = rows[0]
    screen.hint(
        f"Next: `ihub choose {first['party']} {first['field']} --from {first['destination']}`, or with the value that is "
        "right; an `owner` or a `precedence` for the field settles all of its conflicts."
    )
    return OK


def run_choose(args: argparse.Namespace, screen: Screen) -> int:
    from hub import parties, reports
    from hub.reports.people import party_id

    if (args.value is None) == (not args.source):
        return fail(screen, USAGE, "say the value, or `--from NAME` for the value a connection has")
    with opened(args, screen) as engine:
        with engine.store.read() as c:
            found = reports.find(c, args.who)
            if len(found) != 1:
                return undecided(screen, args.who, found)
            pid = party_id(c, found[0]["public_id"]) or 0
            said, _ = parties.load(c, [pid], now(engine))
        told = {field: rows for (_, field), rows in said.items()}
        if args.field not in told:
            known = ", ".join(sorted(told)) or "none"
            return fail(screen, USAGE, f"no tool says {args.field!r} of {args.who!r}; the fields are: {known}")
        value = args.value
        if args.source:
            by = [s for s in told[args.field] if s.source == args.source]
            if not by:
                names = ", ".join(sorted({s.source for s in told[args.field]}))
                return fail(screen, USAGE, f"{args.source!r} says nothing of {args.field}; these do: {names}")
            value = max(by, key=lambda s: s.at).value
        with engine.store.write() as c:
            parties.choose(c, pid, args.field, value, user(), now(engine))
        name = clean(found[0]["name"])
    screen.emit({"party": found[0]["public_id"], "field": args.field, "value": value})
    screen.line(f"{name}: {args.field} is {clean(value) or 'empty'}.", "green")
    screen.hint("It counts over everything said so far; `ihub plan` writes it where the configuration says.")
    return OK
