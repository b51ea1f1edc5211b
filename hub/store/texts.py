"""The index of the timeline's words: which entries have them all. Kept in the transaction that writes the texts.

SQLite: an FTS5 table that keeps no text and no places, the interaction's id as its rowid; what it holds of an entry is taken
out by saying it again, so that has to be done while the entry still has it. PostgreSQL: a tsvector without places, and GIN.
Both get the same words (hub.store.words). What stands in which order is for whoever reads the texts found.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.bulk import chunks
from hub.store.codec import unpack
from hub.store.ready import Ready, among, plain, run
from hub.store.tables import body, interaction
from hub.store.words import fold, words

READ = 200_000  # letters of an entry that can be found; PostgreSQL takes a megabyte of words
_BATCH = 500
_FEW = 5000

_SQLITE = sa.table("search", sa.column("rowid", sa.Integer()))
_POSTGRESQL = sa.table("search", sa.column("interaction_id", sa.BigInteger()), sa.column("words"))
_ROWS = (
    sa.select(interaction.c.id, interaction.c.subject, body.c.codec, body.c.text)
    .outerjoin(body, body.c.interaction_id == interaction.c.id)
    .where(interaction.c.gone_at.is_(None))
    .order_by(interaction.c.id)
)
_OF = _ROWS.where(among(interaction.c.id))
_AFTER = _ROWS.where(interaction.c.id > sa.bindparam("after")).limit(_BATCH)


def _ready(sql: str) -> Ready:
    return Ready(sql, lambda row: row)


_PUT = _ready("INSERT INTO search (rowid, words) VALUES (?, ?)")
_TAKE = _ready("INSERT INTO search (search, rowid, words) VALUES ('delete', ?, ?)")
_PUT_ARRAY = _ready("INSERT INTO search (interaction_id, words) VALUES (%s, array_to_tsvector(%s::text[]))")
_TAKE_ROW = _ready("DELETE FROM search WHERE interaction_id = %s")


def said(subject: str, text: str) -> str:
    """What can be found of an entry."""
    return f"{subject}\n{text}"[:READ]


def index(c: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Put in entries that are not there, with what is `said` in them."""
    if c.dialect.name == "sqlite":
        _run(c, _PUT, [(iid, fold(text)) for iid, text in sorted(rows) if len(text) > 1])
    else:
        found = ((iid, sorted(set(words(text)))) for iid, text in rows)
        _run(c, _PUT_ARRAY, [row for row in found if row[1]])


def unindex(c: Connection, interaction_ids: Collection[int]) -> None:
    """Take entries out: before their subject or their body changes, and before they go."""
    for part in chunks(sorted(interaction_ids)):
        if c.dialect.name == "sqlite":
            _run(c, _TAKE, [(iid, fold(text)) for iid, text in _said(plain(c, _OF, values=part)) if len(text) > 1])
        else:
            _run(c, _TAKE_ROW, [(iid,) for iid in part])


def index_all(c: Connection) -> None:
    """Put every entry there is into an index that is empty."""
    after = 0
    while rows := plain(c, _AFTER, after=after):
        index(c, _said(rows))
        after = rows[-1][0]


def clear(c: Connection) -> None:
    """Empty the index."""
    every = "INSERT INTO search (search) VALUES ('delete-all')" if c.dialect.name == "sqlite" else "DELETE FROM search"
    c.exec_driver_sql(every)


class Match(NamedTuple):
    """Rows of the index. id: the interaction's. is_broad: there are very many, reading the newest entries finds some sooner."""

    id: Any
    condition: "sa.ColumnElement[bool]"
    is_broad: bool


def matching(c: Connection, wanted: Sequence[str], begun: str, without: Sequence[str]) -> Match | None:
    """Entries that have all the `wanted` words, one that begins with `begun` ("" for any), and none of `without`.

    A beginning that very many words have is left out: it is for the reader of the texts. None: nothing is left then.
    """
    most = max(_FEW, _newest(c) // 20)
    if begun and _is_common(c, begun, most):
        begun = ""
    if not wanted and not begun:
        return None
    if c.dialect.name == "sqlite":
        told = [f'"{w}"' for w in wanted] + [f'"{begun}"*'] * bool(begun)
        text = " NOT ".join([" AND ".join(told), *(f'"{w}"' for w in without)])
        iid, condition = _SQLITE.c.rowid, sa.literal_column("search").op("MATCH", is_comparison=True)(sa.literal(text))
    else:
        from sqlalchemy.dialects.postgresql import TSQUERY  # who uses SQLite need not wait for it

        told = [f"'{w}'" for w in wanted] + [f"'{begun}':*"] * bool(begun) + [f"!'{w}'" for w in without]
        query = sa.cast(sa.literal(" & ".join(told)), TSQUERY)
        iid, condition = _POSTGRESQL.c.interaction_id, _POSTGRESQL.c.words.op("@@", is_comparison=True)(query)
    some = sa.select(iid).where(condition).limit(most + 1).subquery()
    count = c.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return Match(iid, condition, count > most)


def _newest(c: Connection) -> int:
    return int(c.execute(sa.select(sa.func.coalesce(sa.func.max(interaction.c.id), 0))).scalar_one())


def _is_common(c: Connection, begun: str, most: int) -> bool:
    """Whether very many entries have words that begin so: FTS5 gathers all of them before it gives the first one."""
    if c.dialect.name != "sqlite":
        return False
    some = "SELECT count(*) FROM (SELECT 1 FROM search_word WHERE term >= ? AND term < ? LIMIT ?)"
    return int(c.exec_driver_sql(some, (begun, f"{begun}\U0010ffff", most + 1)).scalar_one()) > most


def _run(c: Connection, made: Ready, rows: Sequence[Any]) -> None:
    if rows:
        run(c, made, rows)


def _said(rows: Sequence[Any]) -> list[tuple[int, str]]:
    return [
        (iid, said(subject, unpack(codec, text).decode("utf-8", "replace") if codec else ""))
        for iid, subject, codec, text in rows
    ]
