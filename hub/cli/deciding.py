"""`ihub approve` and `ihub reject`: a person's word on a plan, or on what the brake holds."""

import argparse
import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.cli import OK, UsageError
from hub.cli.opening import opened, user
from hub.cli.output import Screen, can_ask
from hub.cli.text import clean, moment, plural

if TYPE_CHECKING:
    from hub.engine import Engine


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
        plan = _approved(engine, number, screen)
        screen.emit(plan)
        screen.line(f"Plan {number} is approved: {plural(plan['changes'], 'change')}.", "green")
        screen.hint(f"Next: `ihub apply {number}`.")
    return OK


def _approved(engine: "Engine", number: int, screen: Screen) -> dict[str, Any]:
    """What an assistant proposed takes a person who was shown it here: the nonce is never printed, and nothing stands in for it."""
    from hub import outbox
    from hub.api.errors import ConfigError
    from hub.engine import push

    with engine.store.read() as c:
        plan = outbox.read(c, number)
    if plan is None or not plan.proposed or plan.status != "draft":
        return {**push.approve(engine, number).to_dict(), "status": "approved"}

    from hub.access import Viewer
    from hub.service import Desk, plans

    desk = Desk(engine, Viewer.local(user()))
    nonce = plans.approval(desk, number)["nonce"]
    [step] = plans.review(desk, number)["changes_shown"]
    screen.complain(f"An assistant proposed this: {clean(step['title'])}")
    for field in step["fields"]:
        value = field["after"]
        screen.complain(
            f"  {field['title']}: {moment(value, screen.zone) if isinstance(value, datetime) else clean(value)}"
        )
    if not screen.ask("Approve it?"):
        where = "it stays open" if can_ask() else "say yes to it at a terminal, or in the browser"
        raise ConfigError(f"plan {number} was proposed by an assistant, and nobody here approved it: {where}")
    return plans.approve(desk, number, nonce)


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
