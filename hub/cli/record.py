"""`make record`: the exchanges of one configured connection as cassettes, scrubbed and played back on the spot.

Run as `python -m hub.cli.record TOOL [--config FILE] [--connection NAME] [--into DIR]`. Not an `ihub` command, because
it needs what tests need (vcrpy), which an installed hub does not bring.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hub.api import AuthError, ConfigError, HubError


def main(argv: Sequence[str] | None = None) -> int:
    """0: recorded and proven; 1: thrown away, or the tool failed; 2: settings; 4: the sign-in was refused."""
    parser = argparse.ArgumentParser(prog="make record", description="record a connection's exchanges, reading only")
    parser.add_argument("tool", help="the connector's name, such as zendesk")
    parser.add_argument("--config", default="", help="hub.toml; else where `ihub` looks for it")
    parser.add_argument("--connection", default="", help="which connection, where the tool has several")
    parser.add_argument("--into", default="", help="folder for the cassettes")
    args = parser.parse_args(argv)
    if not args.tool:
        return _fail(2, "which tool? Fix: make record TOOL=zendesk CONFIG=hub.toml CONNECTION=name")
    if os.environ.get("CI"):
        return _fail(2, "recording takes an account and somebody who reads the result: it is not done in CI")
    try:
        return _record(args.tool, args.config, args.connection, args.into)
    except ImportError as exc:
        return _fail(2, f"{exc.name} is missing. Fix: install the extra `test` of interaction-hub")
    except HubError as exc:
        return _fail({ConfigError: 2, AuthError: 4}.get(type(exc), 1), exc.message)
    except (ValueError, AssertionError) as exc:
        return _fail(1, str(exc))


def _record(tool: str, file: str, name: str, into: str) -> int:
    from hub import settings as config
    from hub.engine import Engine
    from hub.testing.recorder import record

    settings = config.load(file or None)
    names = [n for n, c in settings.connections.items() if c.connector == tool and name in {"", n}]
    if len(names) != 1:
        there = ", ".join(f"{n} ({c.connector})" for n, c in settings.connections.items()) or "none"
        raise ConfigError(f"no single connection of {tool} is meant. Fix: CONNECTION=name; there are: {there}")
    folder = Path(into or f"plugins/{tool}/tests/cassettes")
    engine = Engine.open(settings)
    try:
        made = engine.connector(names[0])
        now = datetime.now(UTC).replace(microsecond=0)
        kept = asyncio.run(record(type(made), made.settings, folder, at=now, services=made.services))
    finally:
        engine.close()
    for step in kept:
        print(f"{step.step}: {step.requests} exchanges, {step.path or 'nothing was asked'}")
    print("Each was played back through the connector. Read them before you share them: docs/cassettes.md")
    return 0


def _fail(code: int, message: str) -> int:
    print(f"record: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
