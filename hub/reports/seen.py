"""What of the store an answer may be made of: a condition on the rows of a table, or of an alias of one."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import fetch
from hub.store import tables as t

Seen = Callable[[sa.FromClause], "sa.ColumnElement[bool]"]


def everything(_: sa.FromClause) -> "sa.ColumnElement[bool]":
    """All rows of all tables."""
    return sa.true()


def of_identifiers(seen: Seen, of: sa.FromClause = t.identifier) -> "sa.ColumnElement[bool]":
    """Addresses and ids that a record or an entry shows which may be seen."""
    if seen is everything:
        return sa.true()
    o, p = t.observation.alias(), t.participation.alias()
    return sa.or_(
        sa.exists().where(o.c.identifier_id == of.c.id, seen(o)),
        sa.exists().where(p.c.identifier_id == of.c.id, seen(p)),
    )


def rows(c: Connection, build: "Callable[[Seen], sa.Select[Any]]", seen: Seen, **given: Any) -> list[Any]:
    """What the statement of `build` gives. For who sees everything it is made once (`hub.store.ready`)."""
    return fetch(c, _made(build), **given) if seen is everything else list(c.execute(build(seen), given))


@lru_cache(maxsize=64)
def _made(build: "Callable[[Seen], sa.Select[Any]]") -> "sa.Select[Any]":
    return build(everything)
