"""`ihub import mail FILE`: a mailbox file becomes a timeline, without any settings. A connection like any other."""

import argparse
import asyncio
import os
import re
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli import OK
from hub.cli.opening import Remembered, load_settings, opened, remember, remembered
from hub.cli.output import Screen
from hub.cli.pulling import show, sync_all

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.settings import Settings

CONNECTOR = "mailfile"
SENT = "SENT"
LOOKED_AT = 2000
ENOUGH = 40
_ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip", ".mbox", ".mbx", ".gz", ".eml")


def args_import(p: argparse.ArgumentParser) -> None:
    p.add_argument("what", choices=("mail",), metavar="mail", help="what is read: mail")
    p.add_argument("file", metavar="FILE", help="mbox, Maildir, folder of messages, .zip or .tar archive (Takeout)")
    p.add_argument("--name", metavar="N", help="what to call it; made from the file's name if left out")
    p.add_argument(
        "--me", metavar="ADDRESS", action="append", default=[],
        help="your own address or domain, so that sent and received can be told apart; may be repeated",
    )  # fmt: skip


def run_import(args: argparse.Namespace, screen: Screen) -> int:
    from hub import reports
    from hub.api.errors import ConfigError

    path = Path(os.path.abspath(Path(args.file).expanduser()))
    if not path.exists():
        raise ConfigError(f"{args.file} does not exist: name an mbox file, a Maildir or an archive of messages")
    mine = tuple(_own(text) for text in args.me)
    configured = load_settings(args, may_be_new=True)
    with opened(args, screen, may_be_new=True) as engine:
        known = {r.name: r for r in remembered(engine)}
        name = _name(args.name, path, known, configured)
        before = known[name].mine if name in known else ()
        values = {"path": str(path), "account": path.name}
        entry = Remembered(name, CONNECTOR, values, tuple(dict.fromkeys(mine or before)))
        senders = asyncio.run(_look(engine, configured, entry, screen))
        guessed = () if _is_known(engine) or entry.mine else _guess(senders)
        entry = entry._replace(mine=entry.mine or guessed)
        remember(engine, configured, entry)
        [result] = asyncio.run(sync_all(engine, [name], screen, [], None))
        with engine.store.read() as c:
            busiest = [] if _is_known(engine) else reports.top(c, 5)
        screen.emit({"exit_code": result.exit_code, **result.to_dict(), "mine": entry.mine, "busiest": busiest})
        show(screen, [result])
        if guessed:
            screen.line()
            screen.text(f"Taken to be you, by the mail marked as sent: {', '.join(guessed)}. --me says otherwise.")
        _what_next(screen, result.exit_code, busiest, args.file)
        return result.exit_code


def _is_known(engine: "Engine") -> bool:
    own = engine.own()
    return bool(own.domains or own.addresses)


def _what_next(screen: Screen, code: int, busiest: list[str], file: str) -> None:
    if busiest:
        screen.line()
        screen.text("Nobody is known to be you, so everything counts as received. The busiest addresses:", "yellow")
        for address in busiest:
            screen.line(address, indent=2)
        screen.hint(
            f"If one of them is yours, `ihub import mail {file} --me ADDRESS` sorts it out; nothing is doubled."
        )
    elif code == OK:
        screen.hint("Next: `ihub report summary` for the figures, `ihub brief WHO` for one person.")


async def _look(engine: "Engine", configured: "Settings", entry: Remembered, screen: Screen) -> Counter[str]:
    """Read the file's beginning before anything is remembered: who wrote the mail that is marked as sent.

    Raises ConfigError for what is no mail.
    """
    from hub.api import HubError, Interaction, Pull, Window
    from hub.cli.opening import with_imports

    before, engine.settings = engine.settings, with_imports(configured, [entry])
    senders: Counter[str] = Counter()
    try:
        connector = engine.connector(entry.name)
    finally:
        engine.settings = before
    try:
        await connector.check()
        screen.progress(f"looking at {entry.settings['account']}")
        seen = 0
        async with aclosing(connector.pull(Pull("messages", None, Window()))) as pages:  # type: ignore[type-var]
            async for page in pages:
                for raw in page.records:
                    try:
                        entities = list(connector.to_canonical("messages", raw))
                    except HubError:
                        continue  # the sync will put it into quarantine and say so
                    for i in entities:
                        if isinstance(i, Interaction) and SENT in i.labels:
                            senders.update(p.identifier.value for p in i.participants if p.role == "from")
                seen += len(page.records)
                if seen >= LOOKED_AT or senders.total() >= ENOUGH:
                    break
    finally:
        await connector.aclose()
    return senders


def _guess(senders: Counter[str]) -> tuple[str, ...]:
    """Who is "me", and my company's domain where it is not one that gives mailboxes to anybody."""
    from hub.identity import free_domains

    free = free_domains()
    often = [a for a, n in senders.items() if n >= 2 and n * 20 >= senders.total()]
    domains = {a.rpartition("@")[2] for a in often}
    return tuple(sorted({d for d in domains if d not in free} | {a for a in often if a.rpartition("@")[2] in free}))


def _own(text: str) -> str:
    from hub.api.errors import ConfigError

    value = text.strip().lower().removeprefix("@")
    if not re.fullmatch(r"([^\s@<>,;]+@)?[^\s@<>,;.]+(\.[^\s@<>,;.]+)+", value):
        raise ConfigError(f"--me takes an address (ana@example.com) or a domain (example.com), not {text!r}")
    return value


def _name(wanted: str | None, path: Path, known: dict[str, Remembered], configured: "Settings") -> str:
    """The import's name: as said (also for a newer export of a mailbox read before), else from the file's name."""
    from hub.api.errors import ConfigError

    if wanted:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", wanted) or len(wanted) > 40:
            raise ConfigError(f"--name takes lower-case letters, digits and single underscores, not {wanted!r}")
        if wanted in configured.connections:
            raise ConfigError(f'--name: the settings have a connection "{wanted}" already: choose another name')
        return wanted
    for name, entry in known.items():
        if entry.settings.get("path") == str(path):
            return name
    stem = path.name
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    plain = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_0123456789")[:30].strip("_") or "mail"
    taken: Any = {*known, *configured.connections}
    numbers = (plain if n == 1 else f"{plain}_{n}" for n in range(1, len(taken) + 2))
    return next(name for name in numbers if name not in taken)
