"""Opens the hub for a command: settings from file, environment and options, and what `ihub import` remembers.

Imported mail files are connections too, but stand in no settings file: they are kept in the database under
"import:<name>", so that replays and merges of their records work in every later command.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hub import SETTINGS_FILES
from hub.cli.output import Screen

if TYPE_CHECKING:
    from hub.engine import Engine
    from hub.service import Desk
    from hub.settings import Settings

PREFIX = "import:"
NOTHING_YET = (
    "there is no hub here: no settings file, and no data in {folder}\n"
    "  Fix: `ihub import mail FILE` reads a mailbox file without any settings, `ihub init` writes settings, "
    "`ihub demo` shows a made-up company; or name a file with --config"
)


class Remembered(NamedTuple):
    """One imported file: `settings` as its connector takes them, `mine` the addresses and domains said to be ours."""

    name: str
    connector: str
    settings: Mapping[str, Any]
    mine: tuple[str, ...] = ()


def load_settings(args: argparse.Namespace, *, may_be_new: bool = False) -> "Settings":
    """The settings. Without a file and without variables the defaults hold, if there is data to look at.

    may_be_new: also without data. Raises ConfigError that names file, field and fix.
    """
    from hub import settings as config
    from hub.api.errors import ConfigError

    env = dict(os.environ)
    if args.data_dir:
        env["HUB_HUB__DATA_DIR"] = str(Path(args.data_dir).expanduser().absolute())
    has_file = bool(args.config or env.get("HUB_CONFIG")) or any(Path(f).is_file() for f in SETTINGS_FILES)
    if not has_file:
        env.setdefault("HUB_HUB__DATA_DIR", str(Path("data").absolute()))
    found = config.load(args.config, env)
    if not (has_file or may_be_new or found.connections or has_data(found)):
        raise ConfigError(NOTHING_YET.format(folder=found.hub.data_dir))
    return found


def has_data(settings: "Settings") -> bool:
    """Whether a database was made before; one on a server is taken to be there."""
    url = settings.hub.database_url
    if not url.startswith("sqlite"):
        return True
    return Path(url.partition(":///")[2]).is_file()


@contextmanager
def opened(args: argparse.Namespace, screen: Screen, *, may_be_new: bool = False) -> "Iterator[Engine]":
    """The engine for one command; times are shown in the settings' zone from here on."""
    from hub.api.errors import ConfigError
    from hub.engine import Engine

    settings = load_settings(args, may_be_new=may_be_new)
    screen.zone = settings.hub.zone
    try:
        engine = Engine.open(settings)
    except OSError as exc:
        named = f"{exc.filename}: " if exc.filename else ""
        raise ConfigError(f"the hub cannot start: {named}{exc.strerror or exc}") from exc
    try:
        engine.settings = with_imports(settings, remembered(engine))
        yield engine
    finally:
        engine.close()


def remembered(engine: "Engine") -> list[Remembered]:
    """The files imported so far, by name."""
    import sqlalchemy as sa

    from hub.store.tables import meta

    with engine.store.read() as c:
        rows = c.execute(sa.select(meta).where(meta.c.key.like(f"{PREFIX}%")).order_by(meta.c.key)).all()
    found = []
    for key, value in rows:
        plain = json.loads(value)
        found.append(Remembered(key.removeprefix(PREFIX), plain["connector"], plain["settings"], tuple(plain["mine"])))
    return found


def remember(engine: "Engine", configured: "Settings", entry: Remembered) -> None:
    """Keep an import for later commands, and add it to this one's settings. configured: the settings without any."""
    from hub.store import put
    from hub.store.tables import meta

    value = {"connector": entry.connector, "settings": dict(entry.settings), "mine": list(entry.mine)}
    with engine.store.write() as c:
        put(c, meta, [{"key": f"{PREFIX}{entry.name}", "value": json.dumps(value)}])
    engine.settings = with_imports(configured, remembered(engine))


def with_imports(settings: "Settings", imports: list[Remembered]) -> "Settings":
    """The settings plus a switched-off connection per import: never due, but known by name. A configured one wins."""
    from hub.settings import Connection

    if not imports:
        return settings
    connections = dict(settings.connections)
    addresses, domains = set(settings.own.addresses), set(settings.own.domains)
    for entry in imports:
        if entry.name not in settings.connections:
            made = Connection(connector=entry.connector, enabled=False, settings=dict(entry.settings))
            made._name = entry.name
            connections[entry.name] = made
        addresses |= {m for m in entry.mine if "@" in m}
        domains |= {m for m in entry.mine if "@" not in m}
    own = settings.own.model_copy(update={"addresses": tuple(sorted(addresses)), "domains": tuple(sorted(domains))})
    return settings.model_copy(update={"connections": connections, "own": own})


def ordered(engine: "Engine", names: list[str]) -> list[str]:
    """The named connections, else all enabled ones that were not disconnected; the system of record first.

    Raises ConfigError for a stranger.
    """
    from hub.api.errors import ConfigError
    from hub.settings import did_you_mean

    known = engine.settings.connections
    for name in names:
        if name not in known:
            near = did_you_mean(name, list(known))
            hint = f'did you mean "{near}"?' if near else f"there are: {', '.join(known) or 'none yet'}"
            raise ConfigError(f'there is no connection "{name}"; {hint}')
    chosen = list(dict.fromkeys(names)) or [name for name in engine.names() if not engine.is_disconnected(name)]
    first = engine.settings.system_of_record.connection
    return sorted(chosen, key=lambda name: name != first)


def here(engine: "Engine") -> "Desk":
    """Whoever sits at the machine: may do everything, and is named in what is written down."""
    from hub.access import Viewer
    from hub.service import Desk

    return Desk(engine, Viewer.local(user()))


def user() -> str:
    """Who is signed in to the machine."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def now(engine: "Engine") -> datetime:
    return engine.clock.now()


def no_connections(screen: Screen) -> None:
    """What an empty hub says."""
    screen.line("No connection is set up yet.")
    screen.hint(
        "Add one to config/hub.toml (the file has examples to uncomment; `ihub init` writes it), then `ihub check`. "
        "`ihub import mail FILE` reads a mailbox file without any connection."
    )


def combined(codes: list[int]) -> int:
    """One exit code for several connections: the common one; else 4, then 5 for drift alone, then 3."""
    kinds = set(codes)
    if len(kinds) <= 1:
        return codes[0] if codes else 0
    if 4 in kinds:
        return 4
    return 5 if kinds == {0, 5} else 3
