"""Rows by the hundred, written as they are (`ready`)."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect

from hub.store import names
from hub.store import tables as t
from hub.store.ready import Ready, alike, fetch, ready, run

Rows = Sequence[dict[str, Any]]


def insert(c: Connection, table: sa.Table) -> Any:
    """This database's INSERT with `on_conflict_do_update` / `on_conflict_do_nothing`."""
    return _insert_into(c.dialect, table)


def put(c: Connection, table: sa.Table, rows: Rows, keep: tuple[str, ...] = ()) -> None:
    """Insert or replace rows by primary key; columns in `keep` stay as they are where the row exists."""
    if rows:
        run(c, _put(alike(c), table, tuple(rows[0]), keep), rows)


def add(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Insert rows that may already be there; those stay as they are."""
    if rows:
        run(c, _add(alike(c), table, tuple(rows[0])), rows)


def add_ids(c: Connection, table: sa.Table, rows: Rows) -> list[int]:
    """Insert new rows, return their ids in the order given."""
    if not rows:
        return []
    if c.dialect.name == "sqlite":
        # One writer at a time: the next ids are ours to name, and the rows need not go in one by one to learn them.
        first = fetch(c, _last_id(table))[0][0] + 1
        ids = list(range(first, first + len(rows)))
        named = [{"id": i, **row} for i, row in zip(ids, rows, strict=True)]
        run(c, _insert(alike(c), table, tuple(named[0])), named)
    else:
        statement = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
        ids = [row[0] for row in c.execute(statement, rows)]
    names.added(c, table, zip(ids, rows, strict=True))
    return ids


def change(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Update rows by `id`: every row names it and the same columns."""
    if rows:
        if table is t.party and "name" in rows[0]:
            names.renamed(c, rows)
        run(c, _change(alike(c), table, tuple(rows[0])), [{**row, "_id": row["id"]} for row in rows])


def bump(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Insert rows, or add their "count" to what stands under the other columns."""
    if rows:
        run(c, _bump(alike(c), table, tuple(rows[0])), rows)


def bump_volume(c: Connection, deltas: dict[tuple[int, int, str, str], int]) -> None:
    """Add to the weekly rollup; rows that reach zero stay (and count nothing)."""
    rows = [
        {"party_id": p, "week": w, "channel": ch, "direction": d, "count": n}
        for (p, w, ch, d), n in deltas.items()
        if n
    ]
    bump(c, t.volume, rows)


def chunks(values: list[Any], size: int = 400) -> Iterator[list[Any]]:
    """Slices small enough for an IN list on any database."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


@lru_cache(maxsize=256)
def _put(dialect: Dialect, table: sa.Table, columns: tuple[str, ...], keep: tuple[str, ...]) -> Ready:
    statement = _upsert(dialect, table)
    keys = [col.name for col in table.primary_key]
    changed = {n: statement.excluded[n] for n in columns if n not in keys and n not in keep}
    if changed:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    return ready(dialect, statement, columns)


@lru_cache(maxsize=256)
def _add(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> Ready:
    return ready(dialect, _upsert(dialect, table).on_conflict_do_nothing(), columns)


@lru_cache(maxsize=256)
def _insert(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> Ready:
    return ready(dialect, _upsert(dialect, table), columns)


@lru_cache(maxsize=256)
def _change(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> Ready:
    statement = sa.update(table).where(table.c.id == sa.bindparam("_id"))
    return ready(dialect, statement, [n for n in columns if n != "id"])


@lru_cache(maxsize=16)
def _bump(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> Ready:
    statement = _upsert(dialect, table)
    keys = [col.name for col in table.primary_key]
    more = {"count": table.c["count"] + statement.excluded["count"]}
    return ready(dialect, statement.on_conflict_do_update(index_elements=keys, set_=more), columns)


@lru_cache(maxsize=64)
def _last_id(table: sa.Table) -> Any:
    return sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))


def _insert_into(dialect: Dialect, table: sa.Table) -> Any:
    if dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # who uses SQLite need not wait for it

    return postgresql.insert(table)


def _upsert(dialect: Dialect, table: sa.Table) -> Any:
    return _insert_into(dialect, table).inline()
