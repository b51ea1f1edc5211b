"""`ihub disconnect`: let a connection go, and with --erase everything that only it told."""

import argparse
import asyncio
from typing import TYPE_CHECKING

from hub.cli import USAGE
from hub.cli.opening import PREFIX, opened, remembered
from hub.cli.output import Screen, can_ask
from hub.cli.running import fail
from hub.cli.text import number, plural

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.engine.disconnect import Disconnected

WORDS = (  # counts of hub.engine.erase, and what they are called
    ("records", "records of this connection"), ("raw", "of them with their raw form"),
    ("quarantined", "of them in quarantine"), ("interactions", "timeline entries only it tells of"),
    ("items", "deals, tasks, tickets, notes"), ("fields", "field values"),
    ("permissions", "permissions told (refusals that stand stay)"),
    ("written", "marks of objects written there (they stay there)"),
)  # fmt: skip


def args_disconnect(p: argparse.ArgumentParser) -> None:
    p.add_argument("name", metavar="NAME", help="a connection")
    p.add_argument("--erase", action="store_true", help="also erase everything that came only from it")
    p.add_argument("--yes", action="store_true", help="do not ask")


def run_disconnect(args: argparse.Namespace, screen: Screen) -> int:
    from hub.engine import disconnect

    name = args.name
    with opened(args, screen) as engine:
        going = disconnect.would_go(engine, name) if args.erase else None
        if going is not None:
            _show_going(screen, name, going)
        if not args.yes and not screen.ask(f"{'Disconnect and erase' if args.erase else 'Disconnect'} {name}?"):
            say = (
                "nothing was changed" if can_ask() else f"say `ihub disconnect {name} --yes` where nobody can be asked"
            )
            return fail(screen, USAGE, f"{name} was not disconnected; {say}")
        screen.progress(f"disconnecting {name}")
        result = asyncio.run(
            disconnect.disconnect(
                engine, name, erase=args.erase,
                progress=lambda left: screen.progress(f"erasing: {plural(left, 'record')} to go"),
            )
        )  # fmt: skip
        is_import = name in {entry.name for entry in remembered(engine)}
        if is_import and args.erase:
            _forget_import(engine, name)
        result.left = _left(result, is_import)
    screen.emit({**result.to_dict(), "would_go": going})
    _show(screen, result)
    return result.exit_code


def _forget_import(engine: "Engine", name: str) -> None:
    """A mail file has no section: what was remembered of it goes with its records."""
    import sqlalchemy as sa

    from hub.store.tables import meta

    with engine.store.write() as c:
        c.execute(sa.delete(meta).where(meta.c.key == f"{PREFIX}{name}"))


def _show_going(screen: Screen, name: str, going: dict[str, int]) -> None:
    screen.line(f"Erasing what only {name} told", "bold")
    screen.fields(
        [(f"{number(going[key]):>9}", what) for key, what in WORDS if going[key]] or [("", "nothing is left")]
    )
    if going["shared"]:
        told = f"{plural(going['shared'], 'entry', 'entries')} that other tools tell of too stay, with their copies."
        screen.text(told, indent=2)
    screen.text(
        "People, companies and addresses that nothing else points at go too. What was written to other tools stays "
        "there: take it back first, with `ihub undo`. This cannot be undone.", "yellow", 2,
    )  # fmt: skip


def _left(result: "Disconnected", is_import: bool) -> list[str]:
    """What is left to be done by hand."""
    name = result.connection
    left = []
    if result.problem:
        left.append(f"at the vendor: end the access of {name} by hand, as the README of its plugin says")
    if result.section and not is_import:
        left.append(f"in hub.toml: take [connections.{name}] out, and its secrets out of the environment")
    return left


def _show(screen: Screen, result: "Disconnected") -> None:
    screen.pieces((result.connection, "bold"), ("  disconnected", "yellow" if result.problem else "green"))
    if result.problem:
        screen.text(f"The vendor was not told: {result.problem}", "yellow", 2)
        screen.text("Its secrets and tokens are gone from here all the same.", "", 2)
    if result.erased is None:
        screen.line("What it brought stays. `ihub disconnect NAME --erase` takes it away.", "dim", 2)
    else:
        names = {
            "records": ("record", ""), "interactions": ("entry", "entries"),
            "identifiers": ("address or id", "addresses and ids"), "parties": ("party", "parties"),
        }  # fmt: skip
        told = ", ".join(plural(n, *names[what]) for what, n in result.erased.items())
        screen.text(f"erased: {told}", "", 2)
        screen.text("`ihub plan` shows what is to be deleted at the system of record because of it.", "dim", 2)
    if result.left:
        screen.heading("Left to do by hand")
        for each in result.left:
            screen.text(f"- {each}", indent=2)
