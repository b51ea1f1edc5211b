"""A database with tables and nothing in them."""

import tempfile
from functools import cache
from pathlib import Path

from hub.store import Store, tables

_EMPTY = [f"delete from {table.name}" for table in reversed(tables.metadata.sorted_tables)]
_NO_WORDS = ("insert into search (search) values ('delete-all')", "delete from search")  # on SQLite, on PostgreSQL


def empty(store: Store) -> None:
    """Take every row out, so that the next test (or example) starts afresh."""
    with store.write() as c:
        cursor = c.connection.cursor()  # past SQLAlchemy, which takes longer over each than the database
        for statement in [*_EMPTY, _NO_WORDS[0]] if store.is_sqlite else ["; ".join([*_EMPTY, _NO_WORDS[1]])]:
            cursor.execute(statement)
        cursor.close()


@cache
def empty_database() -> bytes:
    """An SQLite file with its tables and nothing in them: making one takes longer than a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.db"
        store = Store.open(f"sqlite:///{path}")
        with store.engine.connect() as c:
            c.exec_driver_sql("pragma wal_checkpoint(truncate)")
        store.close()
        return path.read_bytes()
