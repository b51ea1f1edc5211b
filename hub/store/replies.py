"""When a customer first spoke in each conversation, and when one of us first answered: kept, never counted again."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from hub.store.bulk import _insert_into, chunks
from hub.store.ready import among, fetch, tell
from hub.store.tables import conversation, interaction
from hub.store.tables_reports import reply

BEGINS = ("message", "ticket", "comment", "form_submission")
ANSWERS = ("message", "comment", "call")


def begins(of: Any) -> "sa.ColumnElement[bool]":
    """Rows of `of` (interaction, or an alias of it) at which a customer begins to wait."""
    return sa.and_(of.c.direction == "inbound", of.c.gone_at.is_(None), of.c.kind.in_(BEGINS))


def answers(of: Any) -> "sa.ColumnElement[bool]":
    """Rows of `of` that end a wait."""
    return sa.and_(of.c.direction == "outbound", of.c.gone_at.is_(None), of.c.kind.in_(ANSWERS))


_f, _e, _o = interaction.alias("f"), interaction.alias("e"), interaction.alias("o")
_FIRST = (
    sa.select(_e.c.id)
    .where(_e.c.conversation_id == conversation.c.id, begins(_e))
    .order_by(_e.c.occurred_at, _e.c.id)
    .limit(1)
    .correlate(conversation)
    .scalar_subquery()
)
_ANSWER = (
    sa.select(_o.c.occurred_at)
    .where(_o.c.conversation_id == _f.c.conversation_id, _o.c.occurred_at > _f.c.occurred_at, answers(_o))
    .order_by(_o.c.occurred_at)
    .limit(1)
    .correlate(_f)
    .scalar_subquery()
)
_NOW = sa.select(conversation.c.id, _f.c.channel, _f.c.occurred_at, _ANSWER).join_from(
    conversation, _f, _f.c.id == _FIRST
)
_DROP = sa.delete(reply).where(
    among(reply.c.conversation_id),
    sa.not_(sa.exists().where(_e.c.conversation_id == reply.c.conversation_id, begins(_e))),
)
# Two workers may write entries of one conversation at once: the second to come sees what the first has written.
_LOCK = sa.select(conversation.c.id).where(among(conversation.c.id)).order_by(conversation.c.id).with_for_update()


def keep_replies(c: Connection, conversation_ids: Collection[int]) -> None:
    """Bring the rows of these conversations up to date, in the transaction that changed entries of them.

    Conversations that are no more may be among them. Cost: a few index look-ups each, however long it is.
    """
    for part in chunks(sorted(conversation_ids), 5000):
        if c.dialect.name != "sqlite":
            fetch(c, _LOCK, values=part)
        tell(c, _DROP, [{"values": part}])
        fetch(c, _put(c.dialect), values=part)


@lru_cache(maxsize=4)
def _put(dialect: Dialect) -> Any:
    told = _NOW.where(among(conversation.c.id))
    statement = _insert_into(dialect, reply).from_select([col.name for col in reply.c], told)
    new = {n: statement.excluded[n] for n in ("channel", "began_at", "answered_at")}
    is_other = sa.or_(*(reply.c[n].is_distinct_from(value) for n, value in new.items()))
    return statement.on_conflict_do_update(index_elements=["conversation_id"], set_=new, where=is_other)


_ALL = _NOW.where(conversation.c.id > sa.bindparam("after"), conversation.c.id <= sa.bindparam("last"))


def count_replies(c: Connection) -> list[Any]:
    """Every row as it should stand, counted anew: (conversation_id, channel, began_at, answered_at)."""
    last = c.execute(sa.select(sa.func.coalesce(sa.func.max(conversation.c.id), 0))).scalar_one()
    return [row for after in range(0, last, 50_000) for row in fetch(c, _ALL, after=after, last=after + 50_000)]
