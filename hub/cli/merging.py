"""`ihub identity duplicates` and `snapshot`: a tool's own duplicates, as it could merge them, and what they were before."""

from typing import TYPE_CHECKING, Any

from hub.cli import OK, USAGE
from hub.cli.output import STATUS_STYLES, Screen
from hub.cli.running import fail
from hub.cli.text import clean, cut, moment, number, plural

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.engine.duplicates import Found

Row = dict[str, Any]
THEN = {  # what becomes of a field in which the two differ
    "kept": "the other is lost", "filled": "comes over", "lost": "is lost", "own": "the tool's own rule",
}  # fmt: skip
STATES = {"done": "merged", "failed": "not merged", "sent": "outcome unknown", "erased": "erased"}


def show_duplicates(engine: "Engine", screen: Screen, name: str, limit: int) -> int:
    from hub import outbox
    from hub.engine import duplicates

    screen.progress(f"looking for records of {name} that are one")
    found = duplicates.plan(engine, name)
    title = engine.registry.get(engine.settings.connections[name].connector).manifest.title
    with engine.store.read() as c:
        pairs = outbox.pairs(c, found.plan.id, limit) if found.plan.id else []
    left = [
        {"name": x.stays["name"], "stream": x.stream, "stays": x.stays["external_id"], "absorbs": x.absorbs["external_id"],
         "reason": x.reason}
        for x in found.left
    ]  # fmt: skip
    screen.emit({
        "destination": name, **found.plan.to_dict(), "calls": found.calls, "waiting": found.waiting, "notes": found.notes,
        "pairs": pairs, "left": left,
    })  # fmt: skip
    _show(screen, name, title, found, pairs)
    if left:
        screen.heading("Not proposed")
    for x in left[:limit]:
        who = f"{clean(x['name']) or 'no name'} ({x['stream']}/{x['stays']} and {x['absorbs']})"
        screen.text(f"{who}: {x['reason']}", "", 2)
    if len(left) > limit:
        screen.line(f"and {number(len(left) - limit)} more: --limit N shows them", "dim", 2)
    if found.plan.id:
        n = found.plan.id
        approve = f"`ihub approve {n}` if this is right, then " if found.plan.held else ""
        screen.hint(f"Next: {approve}`ihub apply {n}` merges them, for good; `ihub reject {n}` drops the plan.")
    return OK


def _show(screen: Screen, name: str, title: str, found: "Found", pairs: list[Row]) -> None:
    plan = found.plan
    if not plan.id:
        screen.line(f"Nothing to merge at {name}.", "green")
        return
    screen.pieces(
        (f"Plan {plan.id} for {name}: {plural(plan.changes, 'merge')}", "bold"), ("  ", ""),
        (plan.status, STATUS_STYLES.get(plan.status, "dim")),
    )  # fmt: skip
    cost = f"{plural(found.calls, 'request')}, and those that read back what became of them"
    screen.text(f"{title} cannot take a merge back. It takes {cost}.", "yellow")
    if plan.held:
        screen.text(f"The brake holds it: {plan.held}. Nothing is merged until a person approves.", "yellow")
    for note in dict.fromkeys(note for of in found.notes.values() for note in of):
        screen.text(f"- {note}", "dim", 2)
    for pair in pairs:
        screen.line()
        show_pair(screen, pair)
    if plan.changes > len(pairs):
        screen.line(f"and {number(plan.changes - len(pairs))} more: --limit N shows them", "dim", 2)
    if found.waiting:
        more = plural(found.waiting, "further record")
        screen.text(f"{more} of the same parties: the next plan, made from what these become", "dim", 2)


def show_pair(screen: Screen, pair: Row) -> None:
    """Which of the two stays and why, what makes them one, and in what they differ."""
    state = STATES.get(pair["state"], "")
    screen.ends(clean(pair["name"]) or "no name", state, "cyan", right_style="red" if pair["error"] else "green")
    rows = [
        ("stays", f"{pair['stream']}/{pair['stays']}: {pair['why']}"),
        ("goes into it", f"{pair['stream']}/{pair['absorbs']}"),
    ]  # fmt: skip
    both = [clean(a) for of in pair["addresses"] for a in of]
    rows += [("addresses", ", ".join(dict.fromkeys(both)))] if both else []
    rows += [("" if n else "one because", clean(line)) for n, line in enumerate(pair["because"])]
    rows += [("became", f"{pair['stream']}/{pair['became']}")] if pair["became"] else []
    rows += [("why not", clean(pair["error"]))] if pair["error"] else []
    screen.fields(rows)
    fields = [
        (f["field"], cut(clean(f["stays"]), 18) or "-", cut(clean(f["other"]), 18), THEN[f["outcome"]])
        for f in pair["fields"]
    ]
    screen.table(("field", "what stays says", "the other", "which then"), fields, flexible=0)


def show_snapshot(engine: "Engine", screen: Screen, plan_id: int, external_id: str) -> int:
    from hub import outbox

    with engine.store.read() as c:
        plan = outbox.read(c, plan_id)
        found = outbox.snapshots(c, plan_id, external_id)
    if plan is None or plan.kind != outbox.MERGE:
        return fail(screen, USAGE, f"{plan_id} is no plan of merges: `ihub identity duplicates CONNECTION` makes one")
    if not found:
        whose = f" of {external_id!r}" if external_id else ""
        return fail(screen, USAGE, f"plan {plan_id} has no snapshot{whose}: nothing was merged, or it was erased since")
    screen.emit({"plan": plan_id, "snapshots": found})
    for n, one in enumerate(found):
        if n:
            screen.line()
        became = f"became {one['stream']}/{one['became']}" if one["became"] else "not merged"
        screen.ends(f"Kept {moment_of(one, screen)}", became, "bold")
        for side, word in (("stays", "was to stay"), ("absorbs", "was to go into it")):
            screen.heading(f"{one['stream']}/{one[side]['external_id']}, which {word}")
            _show_record(screen, one[side])
    screen.hint(
        "By hand: make the record anew with these values, then tie to it what it had. --json has all of it whole."
    )
    return OK


def moment_of(one: Row, screen: Screen) -> str:
    from datetime import datetime

    return moment(datetime.fromisoformat(one["taken_at"]), screen.zone)


def _show_record(screen: Screen, side: Row) -> None:
    rows = [(clean(k), clean(v)) for k, v in _leaves("", side["record"])]
    screen.fields(rows)
    for key, words in (("linked", "named it"), ("filed", "the hub had filed on it")):
        if side[key]:
            shown = ", ".join(clean(x) for x in side[key][:50])
            more = f" and {number(len(side[key]) - 50)} more" if len(side[key]) > 50 else ""
            screen.text(f"{words}: {shown}{more}", "dim", 2)


def _leaves(path: str, value: Any) -> list[tuple[str, str]]:
    """Every value that says something, under the name of its place."""
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(f"{path}.{k}" if path else str(k), v)]
    if isinstance(value, list):
        return [(path, ", ".join(str(v) for v in value))] if value else []
    return [] if value in (None, "") else [(path, str(value))]
