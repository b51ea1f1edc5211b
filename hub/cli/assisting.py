"""`ihub mcp`: the hub for an assistant that runs on this machine, over its standard input and output."""

import argparse
import os

from hub.cli import OK
from hub.cli.opening import opened, user
from hub.cli.output import Screen

# What the operator's assistant may ask: it reads, and where it is let proposes what a person then approves.
_READS = frozenset({"customers.read", "bodies.read", "health.read", "reports.read"})
_PROPOSES = frozenset({"plans.propose"})
VARIABLE = "IHUB_TOKEN"


def args_mcp(p: argparse.ArgumentParser) -> None:
    p.add_argument("--propose", action="store_true", help="it may propose next steps, for a person to approve")
    p.epilog = (
        f"With {VARIABLE} in its environment it sees what that token may see;\n"
        "without, all that there is. Elsewhere: `ihub serve` with [web] answers at /mcp."
    )


def run_mcp(args: argparse.Namespace, screen: Screen) -> int:
    """Serve until standard input ends. Nothing else may be written to standard output."""
    from dataclasses import replace

    from hub.access import Door, Viewer
    from hub.api.errors import AuthError, ConfigError
    from hub.service import Desk

    try:
        from hub.mcp import create_server
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f'`ihub mcp` needs what is not installed ({exc.name}): pip install "interaction-hub[web]"'
        ) from exc

    token = os.environ.get(VARIABLE, "")
    with opened(args, screen) as engine:
        door, local = Door(engine.store, engine.clock), Viewer.local(user())

        def desk() -> Desk:
            if not token:
                may = _READS | _PROPOSES if args.propose else _READS
                return Desk(engine, replace(local, permissions=may, via="mcp"))
            viewer = door.bearer(token)
            if viewer is None:
                raise AuthError(f"{VARIABLE} opens nothing: `ihub token create` makes another")
            return Desk(engine, viewer)

        if token:
            desk()
        create_server(desk, log_level="WARNING").run("stdio")
    return OK
