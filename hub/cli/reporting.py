"""`ihub health` and `state-hash`: read-only questions over everything."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hub import status as st
from hub.cli import OK
from hub.cli.glance import glance
from hub.cli.opening import no_connections, opened, remembered
from hub.cli.output import STATUS_STYLES, Screen
from hub.cli.text import ago, clean, listed, moment, number
from hub.health import health

# What only the status page says; to the exit code they are no trouble.
_NO_TROUBLE = {"new": "paused", "waiting-until": "waiting-until"}


def args_health(p: argparse.ArgumentParser) -> None:
    pass


def args_state_hash(p: argparse.ArgumentParser) -> None:
    pass


# --- health ---------------------------------------------------------------------------------------------------------


def run_health(args: argparse.Namespace, screen: Screen) -> int:
    at = datetime.now(UTC)
    with glance(args) as seen:
        if seen:
            screen.zone = seen.zone
            found = _found(partial(health, seen.ask), seen.names, seen.imports, at)
    if seen is None:
        from hub import reports

        with opened(args, screen) as engine, engine.store.read() as c:
            imports = [r.name for r in remembered(engine) if r.name not in engine.names()]
            found = _found(partial(reports.health, c), engine.names(), imports, at)
    code = exit_code(found)
    screen.emit({"exit_code": code, **found})
    show_health(screen, found, at)
    return code


def _found(ask: Callable[..., dict[str, Any]], names: list[str], imports: list[str], at: datetime) -> dict[str, Any]:
    return {**ask(names, at), "imports": ask(imports, at)["connections"] if imports else []}


def exit_code(found: dict[str, Any]) -> int:
    """0 fine, 1 everything is broken, 3 some of it, 4 sign in again, 5 drift: a hold, or records missing here."""
    words = [s["status"] for c in found["connections"] for s in c["streams"]]
    counts = [s["census"] for c in found["connections"] for s in c["streams"] if s["census"]]
    is_short = any(count["missing"] > sum(count["explained"].values()) for count in counts)
    code = st.exit_code([_NO_TROUBLE.get(w, w) for w in words], is_short or bool(found["holds"]))
    return max(code, st.PARTLY) if code == OK and not found["balanced"] else code


def show_health(screen: Screen, found: dict[str, Any], at: datetime) -> None:
    if not found["connections"] and not found["imports"]:
        no_connections(screen)
        return
    if found["connections"]:
        word, when = found["status"], moment(at, screen.zone)
        screen.pieces(("Overall  ", "bold"), (word, STATUS_STYLES.get(word, "")), (f"  {when}", "dim"))
    for connection in found["connections"]:
        _connection(screen, connection, at)
    for connection in found["imports"]:
        screen.heading(f"{connection['connection']}  (imported file)")
        for s in connection["streams"]:
            screen.line(f"{listed(s['records'])}, read {moment(s['last_good_at'], screen.zone)}", "dim", 2)
    _waiting(screen, found, at)
    if not found["balanced"]:
        screen.heading("The books of the last run do not balance: please report this with --json")
    if any(c["status"] == "new" for c in found["connections"]):
        screen.hint("New connections have not run yet: `ihub sync` reads them.")


def _connection(screen: Screen, c: dict[str, Any], at: datetime) -> None:
    screen.line()
    label = f"  {clean(c['label'])}" if c["label"] else ""
    screen.pieces(
        (c["connection"], "bold"), ("  ", ""), (c["status"], STATUS_STYLES.get(c["status"], "dim")), (label, "dim"),
    )  # fmt: skip
    rows = []
    for s in c["streams"]:
        census = s["census"]
        covered = f"{number(census['held'])}/{number(census['at_source'])}" if census else "-"
        good = ago(s["last_good_at"], at) if s["last_good_at"] else "never"
        records = sum(n for d, n in s["records"].items() if d != "deleted")
        rows.append((s["stream"], s["status"], good, number(records), number(s["quarantined"]), covered))
    screen.table(("stream", "status", "last good", "records", "quarantine", "census"), rows, "<<<>>>")
    told = {(s["status"], s["detail"]) for s in c["streams"] if s["detail"]}
    for _, detail in sorted(told):
        screen.text(detail, "yellow", 4)
    if c["next_at"] and c["next_at"] > at:
        screen.line(f"due next {moment(c['next_at'], screen.zone)}", "dim", 2)


def _waiting(screen: Screen, found: dict[str, Any], at: datetime) -> None:
    """Issues, holds and the outbox: what a person has to look at."""
    if found["issues"]:
        screen.heading(f"Open issues: {len(found['issues'])}")
        for i in found["issues"]:
            where = f"{i['connection']}/{i['stream']}" if i["stream"] else i["connection"]
            times = f", {i['times']} times" if i["times"] > 1 else ""
            screen.ends(f"{clean(where)}: {clean(i['cause'])}", f"{ago(i['opened_at'], at)}{times}", "yellow", 2)
            screen.text(i["detail"], "", 4, lines=4)
    if found["holds"]:
        screen.heading("Held by the brake")
        for h in found["holds"]:
            screen.text(f"hold {h['hold']}: {h['connection']}/{h['stream']}: {h['detail']}", "yellow", 2)
            go, stay = f"`ihub approve hold {h['hold']}`", f"`ihub reject hold {h['hold']}`"
            screen.line(f"{go} lets it go on, {stay} keeps all", "dim", 4)
    if outbox := found["outbox"]:
        screen.heading("System of record")
        changes = listed(outbox["changes"], "no changes")
        made = moment(outbox["created_at"], screen.zone)
        screen.text(f"plan {outbox['plan']} of {made} is {outbox['status']}: {changes}", "", 2)


def run_state_hash(args: argparse.Namespace, screen: Screen) -> int:
    from hub import reports

    with opened(args, screen) as engine, engine.store.read() as c:
        value = reports.state_hash(c)
    screen.emit({"state_hash": value})
    screen.line(value)
    return OK
