"""`ihub quarantine` and `ihub replay`: what could not be taken in, and taking it in again."""

import argparse
import asyncio
from typing import TYPE_CHECKING, Any

from hub.cli import OK, PARTLY
from hub.cli.opening import no_connections, opened, ordered
from hub.cli.output import Screen
from hub.cli.text import books, clean, moment, number, plural

if TYPE_CHECKING:
    from datetime import datetime

    from hub.engine import Engine
    from hub.engine.page import StreamRun


def args_quarantine(p: argparse.ArgumentParser) -> None:
    p.add_argument("--limit", type=int, default=20, metavar="N", help="how many, newest first (20)")


def args_replay(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="connections; all that hold records if left out")
    p.add_argument("--all", action="store_true", help="every stored record, not only those in quarantine")


def run_quarantine(args: argparse.Namespace, screen: Screen) -> int:
    from hub import reports

    with opened(args, screen) as engine, engine.store.read() as c:
        found = reports.quarantine(c, max(1, args.limit) + 1)
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
    with opened(args, screen) as engine:
        names = ordered(engine, args.names) if args.names else list(engine.settings.connections)
        if not names:
            screen.emit({"exit_code": OK, "streams": []})
            no_connections(screen)
            return OK
        rows: list[dict[str, Any]] = []
        for name in names:
            screen.progress(f"mapping the records of {name} again")
            rows += asyncio.run(replay(engine, name, only_failed=not args.all))
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


async def replay(engine: "Engine", name: str, *, only_failed: bool) -> list[dict[str, Any]]:
    """Replay all streams of a connection that hold records, under its lease."""
    from hub.engine.replay import replay as replay_stream
    from hub.status import CATCHING_UP, HEALTHY

    connector = engine.connector(name)
    row = engine._row(name)
    wanted = set(engine.settings.connections[name].streams)
    rows = []
    try:
        async with engine.lease(f"connection:{name}") as fence:
            for stream in connector.manifest.streams:
                if wanted and stream.name not in wanted:
                    continue
                if fence is None:
                    busy = {"seen": 0, "failed": 0, "status": CATCHING_UP, "detail": "another worker is on it"}
                    rows.append({"connection": name, "stream": stream.name, **busy})
                    continue
                run = engine._run(name, row["id"], connector, stream.name, fence, "replay")
                await replay_stream(run, engine.clock, only_failed=only_failed)
                _end(run, engine.clock.now())
                found = {"connection": name, "stream": stream.name, "status": HEALTHY, "detail": ""}
                rows.append({**found, **run.books.to_dict()})
    finally:
        await connector.aclose()
    return rows


def _end(run: "StreamRun", now: "datetime") -> None:
    """Close the run's row. The stream's own status stays: a replay says nothing about the vendor."""
    import json

    import sqlalchemy as sa

    from hub.store import micros
    from hub.store.tables import run as runs

    ended = {
        "ended_at": micros(now), "status": "healthy", "seen": run.books.seen,
        "books": json.dumps(run.books.to_dict(), ensure_ascii=False),
    }  # fmt: skip
    with run.store.write() as c:
        c.execute(sa.update(runs).where(runs.c.id == run.run_id).values(**ended))
