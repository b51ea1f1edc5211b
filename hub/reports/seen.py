"""What of the store an answer may be made of: a condition on the rows of a table, or of an alias of one."""

from collections.abc import Callable

import sqlalchemy as sa

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
