"""`ihub serve` and `ihub emulate`: what runs until it is stopped."""

import argparse
import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.cli import OK
from hub.cli.hooks import telling
from hub.cli.opening import no_connections, opened
from hub.cli.output import Screen
from hub.cli.text import clean, plural, span

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.testing import Emulator


# --- serve ----------------------------------------------------------------------------------------------------------


def args_serve(p: argparse.ArgumentParser) -> None:
    p.add_argument("--tick", type=float, default=10, metavar="S", help="seconds between looks at what is due (10)")
    p.add_argument("--concurrency", type=int, metavar="N", help="connections synced at once; the settings' if left out")


def run_serve(args: argparse.Namespace, screen: Screen) -> int:
    import logging

    from hub.api.errors import ConfigError, HubError

    with opened(args, screen) as engine:
        if not engine.names():
            screen.emit({"due": 0, "run": 0, "missed": 0, "doubled": 0})
            no_connections(screen)
            return OK
        if not args.log_level:
            logging.getLogger("hub").setLevel(engine.settings.hub.log_level.upper())
        from hub import flows

        names, began = engine.names(), datetime.now(UTC)
        screen.progress(f"starting the schedule of {plural(len(names), 'connection')}", is_forced=True)

        async def run() -> None:
            async with _receiving(engine) as hooks, answering(engine) as web, telling(engine):
                if web:  # it answers already, while the scheduler takes its time
                    screen.line(f"Web: {web}", "bold")
                    screen.out.flush()
                await flows.serve(
                    engine, data_dir=engine.settings.hub.data_dir, tick_seconds=args.tick,
                    concurrency=args.concurrency or engine.settings.schedule.concurrency,
                    on_ready=lambda url: ready(url, hooks, web),
                )  # fmt: skip

        def ready(url: str, hooks: str, web: str) -> None:
            screen.clear()
            screen.line(f"Running {plural(len(names), 'connection')} on schedule; Ctrl-C stops.", "green")
            for name in names:
                schedule = engine.settings.schedule_of(name)
                when = f"cron {schedule.cron}" if schedule.cron else f"every {span(schedule.every or timedelta(0))}"
                screen.line(f"{name}  {when}", "dim", 2)
            screen.line(f"Prefect: {url}", "dim")
            if hooks:
                screen.line(f"Webhooks: {hooks}/hooks/NAME", "dim")
            if web:
                screen.line(f"REST: {web}/api/v1", "dim")
                screen.line(f"MCP: {web}/mcp", "dim")
            screen.out.flush()

        try:
            asyncio.run(run())
        except ModuleNotFoundError as exc:
            raise ConfigError(
                f'the scheduler is not installed ({exc.name}): pip install "interaction-hub[prefect]"; '
                "`ihub sync` works without it, from cron for one"
            ) from exc
        except flows.ServeError as exc:
            raise HubError(str(exc)) from exc
        except ValueError as exc:
            raise ConfigError(f"--tick: {exc}") from exc
        report = engine.schedule_report(began)
        screen.emit({"since": began, **report})
        screen.line(f"Stopped. Runs: {', '.join(f'{n} {word}' for word, n in report.items())}.")
    return OK


@asynccontextmanager
async def _receiving(engine: "Engine") -> AsyncIterator[str]:
    """The webhook inbox beside the schedule, where the settings give it a port; its address, else ""."""
    given = engine.settings.inbox
    if not given.port:
        yield ""
        return
    from hub import inbox
    from hub.engine import doorbell

    bell, loop = asyncio.Event(), asyncio.get_running_loop()
    app = inbox.create_app(
        lambda name: engine.connector(name) if name in engine.names() else None, engine.store, engine.clock,
        ring=lambda: loop.call_soon_threadsafe(bell.set), public_url=given.public_url,
    )  # fmt: skip
    with inbox.serving(app, given.host, given.port, behind_proxy=bool(given.public_url)) as url:
        attending = asyncio.create_task(doorbell.attend(engine, bell))
        try:
            yield given.public_url.rstrip("/") or url
        finally:
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)


@asynccontextmanager
async def answering(engine: "Engine") -> AsyncIterator[str]:
    """Pages, REST and MCP beside the schedule, where the settings give them a port; their address, else ""."""
    from hub.api.errors import ConfigError

    given = engine.settings.web
    if not given.port:
        yield ""
        return
    try:
        from hub import mcp, rest, web
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f'[web] needs what is not installed ({exc.name}): pip install "interaction-hub[web]"'
        ) from exc
    from hub import inbox
    from hub.access import Door

    door, public = Door(engine.store, engine.clock), given.public_url.rstrip("/")
    assistants = mcp.create_app(engine, door, public or f"http://{given.host}:{given.port}")
    programs, people = rest.create_app(engine, door), web.create_app(engine, door, public)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or path == "/mcp" or path.startswith("/.well-known/oauth"):
            await assistants(scope, receive, send)
        elif path.startswith("/api/") or path in {"/healthz", "/readyz", "/metrics"}:
            await programs(scope, receive, send)
        else:
            await people(scope, receive, send)

    async def sweeping() -> None:
        """What has ended goes, once a day: sessions, codes, counts of failures."""
        while True:
            await asyncio.to_thread(door.sweep)
            await asyncio.sleep(timedelta(days=1).total_seconds())

    with inbox.serving(app, given.host, given.port, behind_proxy=bool(public)) as url:
        sweep = asyncio.create_task(sweeping())
        try:
            yield public or url
        finally:
            sweep.cancel()
            await asyncio.gather(sweep, return_exceptions=True)


# --- emulate --------------------------------------------------------------------------------------------------------


def args_emulate(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", metavar="NAME", help="a connector with an emulator; `ihub connectors` lists them")
    p.add_argument("--port", type=int, default=0, metavar="N", help="on this port; a free one if left out")
    p.add_argument("--load", metavar="FILE", help="fill it: a mailbox file (with --mailbox), or a seed in JSON")
    p.add_argument("--mailbox", metavar="ADDR", help="make this mailbox, and load FILE into it")


def run_emulate(args: argparse.Namespace, screen: Screen, stop: threading.Event | None = None) -> int:
    """Serve until interrupted, or until `stop` is set."""
    from hub.api.errors import ConfigError
    from hub.plugins import load

    if not 0 <= args.port <= 65535:
        raise ConfigError(f"--port must be between 0 and 65535, not {args.port}")
    registry = load()
    emulator: Emulator = registry.emulator(args.name)()
    filled = _fill(emulator, args, screen)
    connector = registry.connectors.get(args.name)
    model = connector.settings_model if connector else None
    try:
        with emulator.serve(args.port) as running:
            settings = _addresses(model, running.url)
            screen.emit({"name": args.name, "url": running.url, "settings": settings, "loaded": filled})
            screen.line(f"The {args.name} emulator runs at {running.url}; Ctrl-C stops it.", "green")
            screen.line("For the connection's settings:", "dim")
            for key, value in settings.items():
                screen.line(f'{key} = "{value}"', indent=2)
            for key, value in filled.items():
                screen.line(f"{key}: {clean(value)}", "dim")
            screen.line(f"What it holds: GET {running.url}/_emulator/state", "dim")
            screen.line(f"To steer it: POST to {running.url}/_emulator/faults or /_emulator/COMMAND", "dim")
            screen.out.flush()
            (stop or threading.Event()).wait()
    except OSError as exc:
        raise ConfigError(f"--port {args.port} cannot be used: {exc.strerror}") from exc
    except KeyboardInterrupt:
        screen.line("stopped")
    return OK


def _fill(emulator: "Emulator", args: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Carry out --mailbox and --load with the emulator's own commands; what it answered."""
    from hub.api.errors import ConfigError

    answers: dict[str, Any] = {}

    def command(name: str, values: dict[str, Any], option: str) -> None:
        try:
            answer = emulator.control(name, values)
        except (KeyError, TypeError) as exc:
            reason = f" ({exc.args[0]})" if exc.args else ""
            raise ConfigError(f"the {args.name} emulator does not take {option}{reason}") from exc
        except (ValueError, OSError) as exc:
            raise ConfigError(f"{option} {args.load or args.mailbox}: {exc}") from exc
        answers.update(answer if isinstance(answer, dict) else {name: answer})

    if args.mailbox:
        command("add_mailbox", {"address": args.mailbox}, "--mailbox")
    if not args.load:
        return answers
    path = Path(args.load).expanduser().absolute()
    if not path.exists():
        raise ConfigError(f"--load {args.load}: does not exist")
    screen.progress(f"loading {path.name}")
    if path.suffix == ".json":
        try:
            seed = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as exc:
            raise ConfigError(f"--load {args.load}: not a JSON file ({exc})") from exc
        command("seed", seed, "--load")
        answers = {k: f"{len(v)}" if isinstance(v, list) else v for k, v in answers.items()}
    elif args.mailbox:
        command("load", {"address": args.mailbox, "path": str(path)}, "--load")
    else:
        raise ConfigError("--load of a mailbox file needs --mailbox ADDR: whose mail it is")
    return answers


def _addresses(model: Any, url: str) -> dict[str, str]:
    """The connector's address settings, pointed at the emulator: same path, other host."""
    found = {}
    for name, field in (model.model_fields if model else {}).items():
        if name.endswith("_url") and isinstance(field.default, str) and field.default.startswith("http"):
            found[name] = url + (urlsplit(field.default).path or "/")
    return found or {"base_url": f"{url}/"}
