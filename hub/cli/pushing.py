"""`ihub plan`, `apply` and `undo`: nothing is written to any tool that was not shown before."""

import argparse
import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hub.cli import OK, USAGE
from hub.cli.opening import opened
from hub.cli.output import STATUS_STYLES, Screen, can_ask
from hub.cli.running import fail
from hub.cli.text import clean, number, plural

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.engine.push import PushResult
    from hub.outbox import Plan

EFFECTS = ("create", "update", "delete")
SHOWN_EACH = 5
LOOKED_AT = 3000
OPEN = ("approved", "applying", "draft", "held")


def args_plan(p: argparse.ArgumentParser) -> None:
    p.add_argument("--limit", type=int, default=SHOWN_EACH, metavar="N", help="changes shown of each kind (5)")


def args_apply(p: argparse.ArgumentParser) -> None:
    p.add_argument("plan", metavar="PLAN", nargs="?", type=int, help="a plan's number; the newest open one if left out")
    p.add_argument("--yes", action="store_true", help="do not ask; the brake still does")


def args_undo(p: argparse.ArgumentParser) -> None:
    p.add_argument("plan", metavar="PLAN", type=int, help="the number of an applied plan")
    p.add_argument("--yes", action="store_true", help="do not ask")


# --- plan -----------------------------------------------------------------------------------------------------------


def run_plan(args: argparse.Namespace, screen: Screen) -> int:
    from hub import outbox
    from hub.engine import push
    from hub.outbox import steps

    documents = []
    with opened(args, screen) as engine:
        for n, name in enumerate(_destinations(engine)):
            screen.progress(f"comparing the timeline with {name}")
            plan = push.plan(engine, name)
            with engine.store.read() as c:
                preview = outbox.preview(c, plan.id, LOOKED_AT) if plan.id else []
            first = _first_of_each(preview, max(0, args.limit))
            documents.append({"destination": name, **plan.to_dict(), "preview": first})
            if n:
                screen.line()
            show_plan(screen, plan, name, first)
        with engine.store.read() as c:
            proposed = steps.waiting(c)
    if proposed:
        screen.hint(
            f"Assistants proposed {plural(len(proposed), 'next step')}: `ihub approve {proposed[0]}` shows the oldest."
        )
    more = {"proposed": proposed} if proposed else {}
    screen.emit(documents[0] | more | ({"others": documents[1:]} if documents[1:] else {}))
    return OK


def _destinations(engine: "Engine") -> list[str]:
    """Everything that is written to. Raises ConfigError when that is nothing."""
    from hub.engine import push

    return push.destinations(engine) or [push.destination(engine)]


def _first_of_each(preview: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    taken: dict[tuple[str, str], int] = {}
    found = []
    for row in preview:
        key = (row["kind"], row["effect"])
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= limit:
            found.append(row)
    return found


def show_plan(screen: Screen, plan: "Plan", name: str, preview: list[dict[str, Any]]) -> None:
    if not plan.changes:
        screen.line(f"Nothing to do: {name} holds everything that is due.", "green")
        _books(screen, plan)
        return
    screen.pieces(
        (f"Plan {plan.id} for {name}: {plural(plan.changes, 'change')}", "bold"), ("  ", ""),
        (plan.status, STATUS_STYLES.get(plan.status, "dim")),
    )  # fmt: skip
    rows = [
        (kind, *(number(effects.get(e, 0)) if effects.get(e) else "-" for e in EFFECTS))
        for kind, effects in plan.counts.items() if sum(effects.values())
    ]  # fmt: skip
    screen.table(("", *EFFECTS), rows, "<>>>")
    _books(screen, plan)
    if plan.held:
        screen.line()
        screen.text(f"The brake holds it: {plan.held}. Nothing is written until a person approves.", "yellow")
    if preview:
        screen.heading("The first of each kind")
        for row in preview:
            screen.pieces(
                (f"{row['effect']:<7}", {"delete": "red", "update": "yellow"}.get(row["effect"], "green")),
                (f"{row['kind']:<13}", "dim"), (clean(row["title"]), ""), indent=2,
            )  # fmt: skip
            for field, value in row.get("fields", {}).items():
                before = clean(row["before"][field]) or "(nothing)"
                screen.line(f"{field}: {before} → {clean(value) or '(emptied)'}", "dim", 4)
    held = plan.status == "held"
    screen.hint(
        f"Next: `ihub approve {plan.id}` if this is right, then `ihub apply {plan.id}`; else `ihub reject {plan.id}`."
        if held
        else f"Next: `ihub apply {plan.id}` makes the changes, `ihub undo {plan.id}` would take them back."
    )


def _books(screen: Screen, plan: "Plan") -> None:
    """What is not in the plan, with the reason."""
    screen.line(f"unchanged {number(plan.unchanged)}", "dim", 2)
    for reason, n in plan.not_due.items():
        screen.line(f"not due {number(n)}: {clean(reason)}", "dim", 2)


# --- apply ----------------------------------------------------------------------------------------------------------


def run_apply(args: argparse.Namespace, screen: Screen) -> int:
    from hub.engine import push

    with opened(args, screen) as engine:
        if args.plan is not None:
            due = [(push.destination_of(engine, args.plan), _known(engine, args.plan))]
        else:
            due = [(name, _newest(engine, name)) for name in _destinations(engine)]
        documents = []
        for name, plan in due:
            if plan.changes and (refusal := _agreed(engine, plan, name, args.yes, screen)):
                return fail(screen, USAGE, refusal)
            documents.append(_apply(engine, plan, name, screen))
    screen.emit(documents[0] | ({"others": documents[1:]} if documents[1:] else {}))
    return next((code for d in documents if (code := d["exit_code"])), OK)


def _apply(engine: "Engine", plan: "Plan", name: str, screen: Screen) -> dict[str, Any]:
    from hub.engine import push

    if not plan.changes:
        screen.line(f"Nothing to do: {name} holds everything that is due.", "green")
        return {"destination": name, "plan": 0, "status": "nothing to do", "exit_code": OK, "done": {}, "failed": 0}
    if plan.status not in {"approved", "applying"}:
        push.approve(engine, plan.id)
    result = asyncio.run(push.apply(engine, plan.id, _counting(screen, f"writing to {name}")))
    _show_result(screen, result, f"Plan {plan.id} at {name}")
    if plan.kind == "merge":
        if result.applied.done:
            screen.hint(f"`ihub identity snapshot {plan.id}` shows what the records were: {name} cannot take it back.")
    elif result.exit_code == OK:
        screen.hint(f"`ihub undo {plan.id}` would take it back. `ihub sync {name}` reads it back as a check.")
    return {"destination": name, **result.to_dict()}


def _newest(engine: "Engine", name: str) -> "Plan":
    """The newest open plan of a destination, else a new one."""
    from hub import outbox
    from hub.engine import push

    with engine.store.read() as c:
        found = outbox.newest(c, push.scope(engine, name).connection_id, OPEN)
    return found or push.plan(engine, name)


def _known(engine: "Engine", plan_id: int) -> "Plan":
    """The plan asked for. Raises ConfigError for what cannot be applied."""
    from hub import outbox
    from hub.api.errors import ConfigError

    with engine.store.read() as c:
        found = outbox.read(c, plan_id)
    if found is None:
        raise ConfigError(f"there is no plan {plan_id}: `ihub plan` makes one")
    if found.status not in OPEN:
        raise ConfigError(f"plan {found.id} is {found.status} and cannot be applied: `ihub plan` makes a new one")
    return found


def _agreed(engine: "Engine", plan: "Plan", name: str, is_yes: bool, screen: Screen) -> str:
    """Why the plan may not go, "" when it may. A held one takes a person: --yes and approve = "auto" are not enough."""
    if plan.status in {"approved", "applying"}:
        return ""
    if plan.kind == "step":
        return f"an assistant proposed plan {plan.id}: `ihub approve {plan.id}` shows it to a person, who decides"
    what = f"{_named(plan)} to {name}"
    if plan.held:
        screen.complain(f"The brake holds plan {plan.id}: {plan.held}.")
        if screen.ask(f"Apply {what} all the same?"):
            return ""
        return f"plan {plan.id} is held by the brake: look at `ihub plan`, then `ihub approve {plan.id}`"
    is_final = plan.kind == "merge"
    if is_yes or (engine.settings.system_of_record.approve == "auto" and not is_final):
        return ""
    if screen.ask(f"Apply {what}{', for good: it cannot be taken back there' if is_final else ''}?"):
        return ""
    if can_ask():
        return f"plan {plan.id} was not applied; it stays open"
    return f"plan {plan.id} is not approved: run `ihub approve {plan.id}` first, or `ihub apply {plan.id} --yes`"


def _named(plan: "Plan") -> str:
    return f"plan {plan.id} ({plural(plan.changes, 'change')})"


def _counting(screen: Screen, what: str) -> Callable[[int, int], None]:
    return lambda done, total: screen.progress(f"{what}: {number(done)} of {number(total)}")


def _show_result(screen: Screen, result: "PushResult", what: str) -> None:
    word = "done" if result.exit_code == OK else result.status
    screen.pieces((what, "bold"), ("  ", ""), (word, "green" if word == "done" else STATUS_STYLES.get(word, "")))
    if result.detail:
        screen.text(result.detail, "yellow", 2)
    done = result.applied.done
    rows = [(outcome, number(n)) for outcome, n in sorted(done.items())]
    rows += [("failed", number(len(result.applied.failures)))] if result.applied.failures else []
    screen.fields(rows or [("changes", "none")])
    reasons: dict[str, list[str]] = {}
    for key, error in result.applied.failures:
        reasons.setdefault(error or "no reason given", []).append(key)
    for reason, keys in sorted(reasons.items(), key=lambda kv: -len(kv[1]))[:10]:
        more = f" and {number(len(keys) - 1)} more" if len(keys) > 1 else ""
        screen.text(reason, "yellow", 4, lines=4)
        screen.line(f"{keys[0]}{more}", "dim", 6)
    if len(reasons) > 10:
        screen.line(f"and {number(len(reasons) - 10)} more reasons (--json lists 50 failures)", "dim", 4)


# --- undo -----------------------------------------------------------------------------------------------------------


def run_undo(args: argparse.Namespace, screen: Screen) -> int:
    from hub import outbox
    from hub.engine import push

    with opened(args, screen) as engine:
        name = push.destination_of(engine, args.plan)
        with engine.store.read() as c:
            plan = outbox.read(c, args.plan)
        needs_yes = plan is not None and plan.kind != "merge" and plan.status in {"applied", "partly"} and not args.yes
        if plan and needs_yes and not screen.ask(f"Take back {_named(plan)} at {name}?"):
            say = "it stays as it is" if can_ask() else f"say `ihub undo {plan.id} --yes` where nobody can be asked"
            return fail(screen, USAGE, f"plan {plan.id} was not taken back; {say}")
        screen.progress(f"taking plan {args.plan} back at {name}")
        result = asyncio.run(push.undo(engine, args.plan))
        screen.emit(result.to_dict())
        _show_result(screen, result, f"Plan {args.plan} taken back at {name}")
        return result.exit_code
