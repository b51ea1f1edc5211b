"""`ihub approve` and `ihub reject`: a person's word on a plan, or on what the brake holds."""

import argparse
import asyncio

from hub.cli import OK, UsageError
from hub.cli.opening import opened
from hub.cli.output import Screen
from hub.cli.text import plural


def args_approve(p: argparse.ArgumentParser) -> None:
    p.add_argument("words", metavar="[hold] ID", nargs="+", help="a plan's number, or `hold` and a hold's number")


args_reject = args_approve


def _target(words: list[str], command: str) -> tuple[str, int]:
    """("plan" or "hold", number)."""
    kind, number = (words[0].lower(), words[1]) if len(words) == 2 else ("plan", words[0])
    if len(words) > 2 or kind not in {"plan", "hold"} or not number.isdigit():
        raise UsageError(f"say `ihub {command} 3` for plan 3, or `ihub {command} hold 3` for hold 3")
    return kind, int(number)


def run_approve(args: argparse.Namespace, screen: Screen) -> int:
    kind, number = _target(args.words, "approve")
    with opened(args, screen) as engine:
        if kind == "hold":
            screen.progress("asking the source about each record")
            removed = asyncio.run(engine.release_hold(number, True))
            screen.emit({"hold": number, "resolution": "approved", "removed": removed})
            screen.line(f"Hold {number} is released: {plural(removed, 'record')} removed.", "green")
            screen.hint("Each was asked for once more at the source; what still answers has stayed.")
            return OK
        from hub.engine import push

        plan = push.approve(engine, number)
        screen.emit({**plan.to_dict(), "status": "approved"})
        screen.line(f"Plan {number} is approved: {plural(plan.changes, 'change')}.", "green")
        screen.hint(f"Next: `ihub apply {number}`.")
    return OK


def run_reject(args: argparse.Namespace, screen: Screen) -> int:
    kind, number = _target(args.words, "reject")
    with opened(args, screen) as engine:
        if kind == "hold":
            asyncio.run(engine.release_hold(number, False))
            screen.emit({"hold": number, "resolution": "rejected", "removed": 0})
            screen.line(f"Hold {number} is closed: all its records stay.", "green")
            return OK
        from hub.engine import push

        found = push.reject(engine, number)
        screen.emit({**found.to_dict(), "status": "rejected"})
        screen.line(f"Plan {number} is rejected; nothing was written.", "green")
        screen.hint("The next `ihub plan` compares anew: settings such as push_since or contacts.create narrow it.")
    return OK
