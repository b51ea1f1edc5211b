"""A database with tables and nothing in them."""

from hub.store import Store, tables

_EMPTY = [f"delete from {table.name}" for table in reversed(tables.metadata.sorted_tables)]


def empty(store: Store) -> None:
    """Take every row out, so that the next test (or example) starts afresh."""
    with store.write() as c:
        for statement in _EMPTY if store.is_sqlite else ["; ".join(_EMPTY)]:
            c.exec_driver_sql(statement)
