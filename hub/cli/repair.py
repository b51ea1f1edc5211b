"""`ihub quarantine` and `ihub replay`: what could not be taken in, and taking it in again."""

import argparse
import asyncio
from typing import Any

from hub.cli import OK, PARTLY
from hub.cli.opening import here, no_connections, opened, ordered
from hub.cli.output import Screen
from hub.cli.text import books, clean, moment, number, plural


def args_quarantine(p: argparse.ArgumentParser) -> None:
    p.add_argument("--limit", type=int, default=20, metavar="N", help="how many, newest first (20)")


def args_replay(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="connections; all that hold records if left out")
    p.add_argument("--all", action="store_true", help="every stored record, not only those in quarantine")


def run_quarantine(args: argparse.Namespace, screen: Screen) -> int:
    from hub.service import health

    with opened(args, screen) as engine:
        found = health.quarantine(here(engine), max(1, args.limit) + 1)
        is_more, found = len(found) > args.limit, found[: max(1, args.limit)]
    screen.emit({"records": found, "has_more": is_more})
    if not found:
        screen.line("Nothing is in quarantine: every record could be taken in.", "green")
        return OK
    for r in found:
        screen.line(f"{clean(r['connection'])}/{clean(r['stream'])}  {clean(r['external_id'])}", "bold")
        screen.text(r["reason"], "yellow", 2)
        screen.line(f"{moment(r['failed_at'], screen.zone)}, raw form of {number(r['raw_bytes'])} bytes kept", "dim", 2)
    if is_more:
        screen.line("and more: --limit shows them", "dim")
    screen.hint("After an upgrade of the connector: `ihub replay` maps them again from their stored form.")
    return OK


def run_replay(args: argparse.Namespace, screen: Screen) -> int:
    from hub.engine.replay import replay_connection

    with opened(args, screen) as engine:
        names = ordered(engine, args.names) if args.names else list(engine.settings.connections)
        if not names:
            screen.emit({"exit_code": OK, "streams": []})
            no_connections(screen)
            return OK
        rows: list[dict[str, Any]] = []
        for name in names:
            screen.progress(f"mapping the records of {name} again")
            rows += asyncio.run(replay_connection(engine, name, only_failed=not args.all))
        code = PARTLY if any(r["failed"] or r["status"] != "healthy" for r in rows) else OK
        screen.emit({"exit_code": code, "streams": rows})
        for r in rows:
            if r["seen"] or r["detail"]:
                told = r["detail"] or books(r["seen"], r)
                screen.pieces((f"{r['connection']}/{r['stream']}  ", "bold"), (told, ""))
        mapped = sum(r["seen"] for r in rows)
        nothing = "Nothing to map again" + ("." if args.all else ": nothing is in quarantine. --all maps everything.")
        done = f"{plural(mapped, 'record')} mapped again."
        screen.line(done if mapped else nothing, "green" if code == OK else "yellow")
        if code:
            screen.hint("`ihub quarantine` says why some still cannot be taken in.")
        return code
