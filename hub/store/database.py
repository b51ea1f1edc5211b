"""The database behind one URL: SQLite by default, PostgreSQL by changing it. Nobody else knows which.

One `Store` per process. `store.write()` is a unit of work: one transaction, committed when the block ends well.
SQLite: WAL, page size 8192 set before the first table, `synchronous=FULL` so that a journalled push survives power
loss, one writer at a time by `BEGIN IMMEDIATE`. PostgreSQL: psycopg 3, READ COMMITTED.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, make_url

from hub.api import ConfigError

log = logging.getLogger("hub.store")
SCHEMA_HEAD = "0011"


class Store:
    """Open with `Store.open(url)`; close when done. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writer = threading.RLock() if self.is_sqlite else None
        # SQLite's WAL gives a reader one state as it is; PostgreSQL has to be asked for it.
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._snapshots = engine.execution_options(**snapshot)

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> "Store":
        """Raises ConfigError when the URL is wrong, the database unreachable, or its schema newer than this code."""
        try:
            parsed = make_url(url)
        except sa.exc.ArgumentError as exc:
            # The text is not repeated: it may hold a password.
            raise ConfigError("hub.database is not a database URL: write sqlite:///FILE or postgresql://...") from exc
        if parsed.get_backend_name() == "sqlite":
            try:
                engine = _sqlite(parsed)
            except OSError as exc:
                raise ConfigError(f"hub.database cannot be opened: {exc.strerror}: {exc.filename!r}") from exc
        elif parsed.get_backend_name() == "postgresql":
            engine = sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=4, max_overflow=4)
        else:
            raise ConfigError(f"hub.database must be sqlite:///FILE or postgresql://..., not {parsed.drivername!r}")
        store = cls(engine)
        try:
            store._prepare(migrate)
        except BaseException as exc:
            store.close()
            if not isinstance(exc, sa.exc.OperationalError) and type(exc) is not sa.exc.DatabaseError:
                raise  # the second is what a file that is no database gives
            reason = str(exc.orig).splitlines()[0] if exc.orig else "no reason given"
            raise ConfigError(f"hub.database cannot be opened: {reason}") from exc
        return store

    def _prepare(self, migrate: bool) -> None:
        if (found := current(self.engine)) == SCHEMA_HEAD:
            return  # as nearly always; Alembic takes longer to load than most commands to run
        if found is not None and found > SCHEMA_HEAD:
            raise ConfigError(
                f"the database has schema {found}, this program knows up to {SCHEMA_HEAD}: upgrade interaction-hub"
            )
        if migrate:
            from hub.store.migrate import upgrade

            upgrade(self.engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction; rolled back when the block raises."""
        if self._writer is not None:
            with self._writer, self.engine.connect().execution_options(immediate=True) as c, c.begin():
                yield c
        else:
            with self.engine.connect() as c, c.begin():
                yield c

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; writes inside are an error of ours."""
        with self._snapshots.connect() as c:
            yield c
            c.rollback()

    def compact(self) -> None:
        """Write an SQLite file anew: deleted rows are in no free page of it any more. PostgreSQL tidies up by itself.

        Takes as much free disk as the file is large; what cannot be done now is done another time.
        """
        if self._writer is None:
            return
        with self._writer, closing(self.engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
            try:
                cursor.execute("insert into search (search) values ('optimize')")  # words that were taken out go
                cursor.execute("vacuum")
                cursor.execute("pragma wal_checkpoint(truncate)")
            except sqlite3.OperationalError as exc:
                log.warning("the database file was not written anew (%s): deleted rows are in its free pages", exc)

    def close(self) -> None:
        self.engine.dispose()


def current(engine: Engine) -> str | None:
    """The schema version of the database, as Alembic notes it; None for an empty one."""
    with engine.connect() as c:
        if not sa.inspect(c).has_table("alembic_version"):
            return None
        return c.exec_driver_sql("select version_num from alembic_version").scalar()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _sqlite(url: sa.URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url.set(drivername="sqlite+pysqlite"), connect_args={"timeout": 60.0})

    @event.listens_for(engine, "connect")
    def _pragmas(raw: Any, _: Any) -> None:
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in (
            "page_size=8192", "journal_mode=wal", "synchronous=full", "foreign_keys=on", "cache_size=-32768",
            "temp_store=memory", "wal_autocheckpoint=2000",
        ):  # fmt: skip
            cursor.execute(f"pragma {pragma}")
        cursor.close()
        raw.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows only ASCII

    @event.listens_for(engine, "begin")
    def _begin(c: Connection) -> None:
        immediate = c.get_execution_options().get("immediate")
        c.exec_driver_sql("begin immediate" if immediate else "begin")

    return engine
