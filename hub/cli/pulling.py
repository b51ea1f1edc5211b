"""`ihub sync` and `ihub census`: pull what is new; count the sources independently."""

import argparse
import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hub.cli import DRIFT, OK, PARTLY, REAUTH
from hub.cli.opening import combined, no_connections, opened, ordered
from hub.cli.output import STATUS_STYLES, Screen
from hub.cli.text import books, clean, number, plural

if TYPE_CHECKING:
    from hub.engine import Engine, StreamResult, SyncResult
    from hub.engine.page import StreamRun

TICK_S = 0.25


def args_sync(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="connections; all enabled ones if left out")
    p.add_argument("--stream", metavar="S", action="append", default=[], help="only this stream; may be repeated")
    census = p.add_mutually_exclusive_group()
    census.add_argument("--census", action="store_true", default=None, help="count the source now")
    census.add_argument("--no-census", dest="census", action="store_false", help="do not count it (else once a day)")


def args_census(p: argparse.ArgumentParser) -> None:
    p.add_argument("names", metavar="NAME", nargs="*", help="connections; all enabled ones if left out")


def run_sync(args: argparse.Namespace, screen: Screen) -> int:
    with opened(args, screen) as engine:
        names = ordered(engine, args.names)
        if not names:
            screen.emit({"exit_code": OK, "connections": []})
            no_connections(screen)
            return OK
        for name in names:
            _known_streams(engine, name, args.stream)
        results = asyncio.run(sync_all(engine, names, screen, args.stream, args.census))
        code = combined([r.exit_code for r in results])
        screen.emit({"exit_code": code, "connections": [r.to_dict() | {"notes": notes(r)} for r in results]})
        show(screen, results)
        _what_next(engine, screen, code)
        return code


def _known_streams(engine: "Engine", name: str, streams: list[str]) -> None:
    """Raises ConfigError for a stream the connector does not have."""
    from hub.api.errors import ConfigError
    from hub.settings import did_you_mean

    if not streams:
        return
    manifest = engine.registry.get(engine.settings.connections[name].connector).manifest
    known = [s.name for s in manifest.streams]
    for stream in streams:
        if stream not in known:
            near = did_you_mean(stream, known)
            hint = f'did you mean "{near}"?' if near else f"it has: {', '.join(known)}"
            raise ConfigError(f'{name} has no stream "{stream}"; {hint}')


async def sync_all(
    engine: "Engine", names: list[str], screen: Screen, streams: list[str], census: bool | None
) -> "list[SyncResult]":
    """The first one alone when it is the system of record (what it knows decides how the rest is filed), then the
    others side by side, as many as the settings allow."""
    gate = asyncio.Semaphore(engine.settings.schedule.concurrency)
    ticker = Ticker(screen)

    async def one(name: str) -> "SyncResult":
        async with gate:
            with ticker.watching(name) as seen:
                return await engine.sync(name, streams=streams, census=census, progress=seen)

    async with ticker:
        first = names[:1] if names[0] == engine.settings.system_of_record.connection else []
        done = [await one(name) for name in first]
        return done + list(await asyncio.gather(*(one(name) for name in names[len(first) :])))


class Ticker:
    """Says on stderr what is under way, a few times a second."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._began: dict[str, float] = {}
        self._runs: dict[str, StreamRun] = {}
        self._task: asyncio.Task[None] | None = None

    def watching(self, name: str) -> "_Watch":
        return _Watch(self._began, self._runs, name)

    async def __aenter__(self) -> "Ticker":
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self._screen.clear()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._began:
                self._screen.progress("reading " + "; ".join(self._words(name) for name in list(self._began)))

    def _words(self, name: str) -> str:
        seconds = f"{time.monotonic() - self._began[name]:.0f} s"
        run = self._runs.get(name)
        if run is None:
            return f"{name} {seconds}"
        return f"{name}/{run.stream} {plural(run.books.seen, 'record')}, {seconds}"


class _Watch:
    """One connection being read; the callable inside takes its stream runs."""

    def __init__(self, began: dict[str, float], runs: "dict[str, StreamRun]", name: str) -> None:
        self._began, self._runs, self._name = began, runs, name

    def __enter__(self) -> "Callable[[StreamRun], None]":
        self._began[self._name] = time.monotonic()
        return lambda run: self._runs.__setitem__(self._name, run)

    def __exit__(self, *_: object) -> None:
        self._began.pop(self._name, None)
        self._runs.pop(self._name, None)


# --- what came of it ------------------------------------------------------------------------------------------------


def show(screen: Screen, results: "list[SyncResult]") -> None:
    """Per connection and stream: the status, the books, and what a person should know."""
    for result in results:
        quiet = [s.stream for s in result.streams if s.status == "healthy" and not s.books.seen and not s.detail]
        is_all = bool(quiet) and len(quiet) == len(result.streams)
        screen.pieces(
            (result.connection, "bold"), ("  ", ""), (result.status, STATUS_STYLES.get(result.status, "")),
            ("  nothing new" if is_all else "", "dim"),
        )  # fmt: skip
        if result.detail:
            screen.text(result.detail, "yellow" if result.exit_code else "dim", 2)
        longest = max((len(s.stream) for s in result.streams if s.stream not in quiet), default=0)
        for stream in result.streams:
            if stream.stream not in quiet:
                _show_stream(screen, stream, longest)
        for note in notes(result):
            screen.text(note, "", 2)
        if quiet and not is_all:
            screen.text(f"nothing new: {', '.join(quiet)}", "dim", 2)


def notes(result: "SyncResult") -> list[str]:
    """What the engine has to say beside its line per stream, such as what was delivered without asking."""
    return result.lines[len(result.streams) :] if result.streams else []


def _show_stream(screen: Screen, s: "StreamResult", longest: int) -> None:
    style = STATUS_STYLES.get(s.status, "") if s.status != "healthy" else "dim"
    screen.pieces(
        (f"{s.stream:<{longest}}  ", ""), (f"{s.status}  ", style), (books(s.books.seen, s.books.counts), ""), indent=2
    )  # fmt: skip
    rules = {k.partition(":")[2]: n for k, n in s.books.rules.items() if k.startswith(("excluded:", "private:"))}
    if rules:
        left_out = ", ".join(f"{clean(rule)} {number(n)}" for rule, n in sorted(rules.items(), key=lambda kv: -kv[1]))
        screen.text(f"left out by rule: {left_out}", "dim", longest + 4)
    if s.detail:
        screen.text(s.detail, "yellow", longest + 4)


def _what_next(engine: "Engine", screen: Screen, code: int) -> None:
    if code == REAUTH:
        screen.hint("Sign in again with `ihub connect NAME`, or renew the token the settings point at.")
    elif code in {PARTLY, DRIFT}:
        screen.hint("`ihub health` says what is wrong and what waits for a person.")
    elif code == OK and engine.settings.system_of_record.connection:
        screen.hint("Next: `ihub plan` shows what should change at the system of record; `ihub brief WHO`.")
    elif code == OK:
        screen.hint("Next: `ihub brief WHO` or `ihub timeline WHO`; `ihub report summary` for the figures.")


# --- census ---------------------------------------------------------------------------------------------------------


def run_census(args: argparse.Namespace, screen: Screen) -> int:
    from hub import reports

    with opened(args, screen) as engine:
        names = ordered(engine, args.names)
        if not names:
            screen.emit({"exit_code": OK, "connections": []})
            no_connections(screen)
            return OK
        results = asyncio.run(sync_all(engine, names, screen, [], True))
        code = combined([r.exit_code for r in results])
        with engine.store.read() as c:
            found = reports.health(c, names, engine.clock.now())["connections"]
        rows = [
            {"connection": x["connection"], "stream": s["stream"], "status": s["status"], "census": s["census"],
             "detail": s["detail"]}
            for x in found for s in x["streams"]
        ]  # fmt: skip
        screen.emit({"exit_code": code, "streams": rows})
        _show_census(screen, rows)
        return code


def _show_census(screen: Screen, rows: list[dict[str, Any]]) -> None:
    table = []
    for r in rows:
        count = r["census"]
        figures = [number(count[k]) for k in ("at_source", "held", "missing", "surplus")] if count else ["-"] * 4
        table.append([f"{r['connection']}/{r['stream']}", r["status"], *figures])
    screen.table(("stream", "status", "at source", "held", "missing", "surplus"), table, "<<>>>>", indent=0)
    for r in rows:
        if r["detail"]:
            screen.text(f"{r['connection']}/{r['stream']}: {r['detail']}", "yellow")
    if any(r["census"] is None for r in rows):
        screen.hint("A dash: this source cannot be counted apart from its change feed, or the stream did not run well.")
