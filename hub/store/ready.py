"""Statements made once: compiled once for each database, then given to its driver as they are.

SQLAlchemy's way to run a statement costs several times what a small one takes in the database itself, and prepares every
row of an `executemany` again. What is lost is its conversion of values: all our columns hold what both drivers take and
give (int, bool, str, bytes, float, None; SQLite gives a bool as 0 or 1). Where somebody listens to a connection's
statements (`before_cursor_execute`: tracing, a test that counts), SQLAlchemy runs them.
"""

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


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
        return _json(value) if dialect.name == "sqlite" else list(value)


class _Values(FunctionElement[Any]):
    name = "values_of"
    inherit_cache = True


@compiles(_Values, "sqlite")
def _each(element: _Values, compiler: Any, **kw: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **kw)}))"  # noqa: S608 - a placeholder


@compiles(_Values, "postgresql")
def _unnest(element: _Values, compiler: Any, **kw: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.clauses, **kw)}))"


def among(column: "sa.ColumnElement[Any]", name: str = "values") -> "sa.ColumnElement[bool]":
    """`column IN (the parameter "values")`, for statements made once: any number of values is one parameter.

    Text with a NUL is not found, nor can PostgreSQL store it: what comes from a tool is cleaned before it gets here.
    """
    return column.bool_op("IN")(_Values(sa.bindparam(name, type_=_Many(column.type))))


class _Pairs(sa.types.TypeDecorator[list[Any]]):
    """Pairs of texts as one parameter of JSON."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return _json(value)


class _PairsOf(FunctionElement[Any]):
    name = "pairs_of"
    inherit_cache = True


@compiles(_PairsOf, "sqlite")
def _each_pair(element: _PairsOf, compiler: Any, **kw: Any) -> str:
    given = compiler.process(element.clauses, **kw)
    return f"(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each({given}))"  # noqa: S608


@compiles(_PairsOf, "postgresql")
def _unnest_pairs(element: _PairsOf, compiler: Any, **kw: Any) -> str:
    given = compiler.process(element.clauses, **kw)
    return f"(SELECT value->>0, value->>1 FROM json_array_elements(CAST({given} AS json)) AS value)"  # noqa: S608


def pairs_among(left: "sa.ColumnElement[str]", right: "sa.ColumnElement[str]") -> "sa.ColumnElement[bool]":
    """`(left, right) IN (the parameter "values")`, pairs of texts: as `among`."""
    return sa.tuple_(left, right).bool_op("IN")(_PairsOf(sa.bindparam("values", type_=_Pairs())))


class Ready(NamedTuple):
    """A compiled statement and how a row becomes its parameters."""

    sql: str
    parameters: Callable[[dict[str, Any]], Any]


def ready(dialect: Dialect, statement: Any, columns: Sequence[str]) -> Ready:
    """The statement's text with parameters for these columns, in the driver's own style."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    if not compiled.positional:
        return Ready(str(compiled), lambda row: row)
    order = compiled.positiontup
    return Ready(str(compiled), itemgetter(*order) if len(order) > 1 else lambda row: (row[order[0]],))


def run(c: Connection, made: Ready, rows: Sequence[dict[str, Any]]) -> None:
    """For each row once."""
    _execute(c, made.sql, [made.parameters(row) for row in rows], is_many=True)


class _Question(NamedTuple):
    """order: names of parameters, None where the driver takes them by name. fixed: those the statement itself gives.

    row: what is made of a row of the driver's.
    """

    sql: str
    order: tuple[str, ...] | None
    fixed: dict[str, Any]
    lists: tuple[str, ...]
    pairs: bool
    row: Callable[[Any], Any]


def fetch(c: Connection, statement: Any, **given: Any) -> list[Any]:
    """The rows that a statement made once (`among` for lists) gives, as named tuples; what it returns, if it changes things."""
    question = _question(alike(c), statement)
    return [*map(question.row, _execute(c, question.sql, _parameters(question, given)))]


def plain(c: Connection, statement: Any, **given: Any) -> list[Any]:
    """As `fetch`, but plain tuples: where there are many thousands, a name for each value costs as much as the value."""
    question = _question(alike(c), statement)
    found: list[Any] = _execute(c, question.sql, _parameters(question, given))
    return found


def scalar(c: Connection, statement: Any, **given: Any) -> Any:
    """The first value of the first row, None without one."""
    rows = fetch(c, statement, **given)
    return rows[0][0] if rows else None


def tell(c: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    """An update or a delete made once, for each row of parameters."""
    if rows:
        question = _question(alike(c), statement)
        _execute(c, question.sql, [_parameters(question, row) for row in rows], is_many=True)


def _parameters(question: _Question, given: dict[str, Any]) -> Any:
    told = {**question.fixed, **given}
    for name in question.lists:
        told[name] = list(told[name]) if question.order is None and not question.pairs else _json(told[name])
    return told if question.order is None else [told[name] for name in question.order]


def alike(c: Connection) -> Dialect:
    """Stands for the databases of this kind and version: what is compiled for one of them serves them all."""
    return _KINDS.setdefault((c.dialect.name, c.dialect.server_version_info), c.dialect)


_KINDS: dict[Any, Dialect] = {}


@lru_cache(maxsize=2048)
def _question(dialect: Dialect, statement: Any) -> _Question:
    compiled = statement.compile(dialect=dialect)
    asked = {name for name, bind in compiled.binds.items() if bind.required}
    written = compiled.construct_expanded_state(dict.fromkeys(asked))  # its own lists are written out
    lists = tuple(name for name, bind in compiled.binds.items() if isinstance(bind.type, _Many | _Pairs))
    pairs = any(isinstance(bind.type, _Pairs) for bind in compiled.binds.values())
    order = tuple(written.positiontup) if compiled.positional else None
    fixed = {name: value for name, value in written.parameters.items() if name not in asked}
    row: Any = namedtuple("Row", statement.exported_columns.keys(), rename=True)  # type: ignore[misc]
    return _Question(written.statement, order, fixed, lists, pairs, row._make)


def _json(values: Any) -> str:
    return msgspec.json.encode(values).decode()


def _execute(c: Connection, sql: str, parameters: Any, is_many: bool = False) -> Any:
    """Raises what SQLAlchemy would: its own errors, without the values."""
    if c.engine.dispatch.before_cursor_execute:
        done = c.exec_driver_sql(sql, [*map(_plain, parameters)] if is_many else _plain(parameters))
        return done.all() if done.returns_rows else []
    if not c.in_transaction():
        c.begin()
    driver: Any = c.dialect.dbapi
    cursor = c.connection.cursor()
    try:
        if is_many and len(parameters) > 1:
            cursor.executemany(sql, parameters)
            return []
        cursor.execute(sql, parameters[0] if is_many else parameters)
        return cursor.fetchall() if cursor.description else []
    except driver.Error as exc:
        lost = c.dialect.is_disconnect(exc, c.connection, cursor)
        if lost:
            c.invalidate(exc)
        raise sa.exc.DBAPIError.instance(
            sql, None, exc, driver.Error, hide_parameters=True, connection_invalidated=lost, dialect=c.dialect
        ) from exc  # fmt: skip
    finally:
        cursor.close()


def _plain(parameters: Any) -> Any:
    return parameters if isinstance(parameters, dict) else tuple(parameters)
