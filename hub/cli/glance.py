"""What `ihub health` needs of settings and database, read without opening the hub: it may be asked every minute.

Only the plainest case: a settings file or none, and SQLite in the data folder. Everything else (variables, a database
server, an older schema, a mistake in the file) is left to the full way by giving None.
"""

import os
import sqlite3
import tomllib
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import hub
from hub import SETTINGS_FILES
from hub.cli.opening import PREFIX
from hub.health import Ask


class Glance(NamedTuple):
    """names: the enabled connections. imports: mail files read in without settings. zone: for showing times."""

    ask: Ask
    names: list[str]
    imports: list[str]
    zone: tzinfo


@contextmanager
def glance(args: Namespace) -> Iterator[Glance | None]:
    try:
        found = _settings(args)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # the full way says what is wrong
        found = None
    if found is None:
        yield None
        return
    names, zone, data_dir = found
    with closing(_open(data_dir / "hub.db")) as c:
        rows = _asker(c)
        if not _is_current(c):
            yield None
            return
        imports = [r["key"].removeprefix(PREFIX) for r in rows(_REMEMBERED, {"prefix": f"{PREFIX}%"})]
        yield Glance(rows, names, [name for name in imports if name not in names], zone)


_REMEMBERED = "SELECT key FROM meta WHERE key LIKE :prefix ORDER BY key"


def _settings(args: Namespace) -> tuple[list[str], tzinfo, Path] | None:
    """(enabled connections, zone, data folder); None or an error where the file alone does not tell."""
    if any(name.upper().startswith("HUB_") and "__" in name for name in os.environ):
        return None
    named = args.config or os.environ.get("HUB_CONFIG")
    file = Path(named).expanduser() if named else next((Path(f) for f in SETTINGS_FILES if Path(f).is_file()), None)
    plain = tomllib.loads(file.read_text(encoding="utf-8")) if file else {}
    section = plain.get("hub", {})
    if "database" in section:
        return None
    folder = file.absolute().parent if file else Path.cwd()
    base = folder.parent if folder.name == "config" and file else folder
    data_dir = Path(args.data_dir or base / Path(section.get("data_dir", "data")).expanduser()).expanduser()
    names = [name for name, given in plain.get("connections", {}).items() if _is_on(given)]
    return names, ZoneInfo(section.get("timezone", "UTC")), data_dir


def _is_on(connection: Mapping[str, Any]) -> bool:
    given = connection.get("enabled", True)
    if not isinstance(given, bool):
        raise TypeError("not a plain yes or no")
    return given


def _open(file: Path) -> sqlite3.Connection:
    """An in-memory database, which has no schema, where the file cannot be read."""
    try:
        return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    except sqlite3.Error:
        return sqlite3.connect(":memory:")


def _is_current(c: sqlite3.Connection) -> bool:
    revisions = os.listdir(Path(hub.__file__).parent / "store" / "migrations" / "versions")
    newest = max(name.partition("_")[0] for name in revisions if name[:1].isdigit())
    try:
        return c.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest,)]
    except sqlite3.Error:
        return False


def _asker(c: sqlite3.Connection) -> Ask:
    def ask(query: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        cursor = c.execute(query, dict(given))
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor]

    return ask
