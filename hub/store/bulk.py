"""Rows by the hundred: each statement is compiled once per database, rows go to the driver as they are.

SQLAlchemy's own way prepares every row of an `executemany` again, which cost more than the database did. What is lost
is its conversion of values: all our columns hold what both drivers take (int, bool, str, bytes, None).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hub.store import tables as t

Rows = Sequence[dict[str, Any]]


class _Many(sa.types.TypeDecorator[list[Any]]):
    """A list as one parameter: an array where the database has them, JSON text in SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: Any) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.ARRAY(self.item))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return msgspec.json.encode(value).decode() if dialect.name == "sqlite" else list(value)


class _Values(FunctionElement[Any]):
    name = "values_of"
    inherit_cache = True


@compiles(_Values, "sqlite")
def _each(element: _Values, compiler: Any, **kw: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **kw)}))"  # noqa: S608 - a placeholder


@compiles(_Values, "postgresql")
def _unnest(element: _Values, compiler: Any, **kw: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.clauses, **kw)}))"


def among(column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[bool]":
    """`column IN (the parameter "values")`, for statements made once: any number of values is one parameter.

    Text with a NUL is not found, nor can PostgreSQL store it: what comes from a tool is cleaned before it gets here.
    """
    return column.bool_op("IN")(_Values(sa.bindparam("values", type_=_Many(column.type))))


class _Ready(NamedTuple):
    """A compiled statement and how a row becomes its parameters."""

    sql: str
    parameters: Callable[[dict[str, Any]], Any]


def insert(c: Connection, table: sa.Table) -> Any:
    """This database's INSERT with `on_conflict_do_update` / `on_conflict_do_nothing`."""
    return _insert_into(c.dialect, table)


def put(c: Connection, table: sa.Table, rows: Rows, keep: tuple[str, ...] = ()) -> None:
    """Insert or replace rows by primary key; columns in `keep` stay as they are where the row exists."""
    if rows:
        _run(c, _put(c.dialect, table, tuple(rows[0]), keep), rows)


def add(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Insert rows that may already be there; those stay as they are."""
    if rows:
        _run(c, _add(c.dialect, table, tuple(rows[0])), rows)


def add_ids(c: Connection, table: sa.Table, rows: Rows) -> list[int]:
    """Insert new rows, return their ids in the order given."""
    if not rows:
        return []
    if c.dialect.name == "sqlite":
        # One writer at a time: the next ids are ours to name, and the rows need not go in one by one to learn them.
        first = c.execute(_last_id(table)).scalar_one() + 1
        ids = list(range(first, first + len(rows)))
        named = [{"id": i, **row} for i, row in zip(ids, rows, strict=True)]
        _run(c, _insert(c.dialect, table, tuple(named[0])), named)
        return ids
    statement = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return [row[0] for row in c.execute(statement, rows)]


def change(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Update rows by `id`: every row names it and the same columns."""
    if rows:
        _run(c, _change(c.dialect, table, tuple(rows[0])), [{**row, "_id": row["id"]} for row in rows])


def bump(c: Connection, table: sa.Table, rows: Rows) -> None:
    """Insert rows, or add their "count" to what stands under the other columns."""
    if rows:
        _run(c, _bump(c.dialect, table, tuple(rows[0])), rows)


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


def _run(c: Connection, ready: _Ready, rows: Rows) -> None:
    c.exec_driver_sql(ready.sql, [ready.parameters(row) for row in rows])


@lru_cache(maxsize=256)
def _put(dialect: Dialect, table: sa.Table, columns: tuple[str, ...], keep: tuple[str, ...]) -> _Ready:
    statement = _upsert(dialect, table)
    keys = [col.name for col in table.primary_key]
    changed = {n: statement.excluded[n] for n in columns if n not in keys and n not in keep}
    if changed:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    return _compiled(dialect, statement, columns)


@lru_cache(maxsize=256)
def _add(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> _Ready:
    return _compiled(dialect, _upsert(dialect, table).on_conflict_do_nothing(), columns)


@lru_cache(maxsize=256)
def _insert(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> _Ready:
    return _compiled(dialect, _upsert(dialect, table), columns)


@lru_cache(maxsize=256)
def _change(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> _Ready:
    statement = sa.update(table).where(table.c.id == sa.bindparam("_id"))
    return _compiled(dialect, statement, [n for n in columns if n != "id"])


@lru_cache(maxsize=16)
def _bump(dialect: Dialect, table: sa.Table, columns: tuple[str, ...]) -> _Ready:
    statement = _upsert(dialect, table)
    keys = [col.name for col in table.primary_key]
    more = {"count": table.c["count"] + statement.excluded["count"]}
    return _compiled(dialect, statement.on_conflict_do_update(index_elements=keys, set_=more), columns)


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


def _compiled(dialect: Dialect, statement: Any, columns: Sequence[str]) -> _Ready:
    """The statement's text with parameters for these columns, in the driver's own style."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    if not compiled.positional:
        return _Ready(str(compiled), lambda row: row)
    order = compiled.positiontup
    return _Ready(str(compiled), itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],))
