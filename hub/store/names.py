"""The words of names and addresses, kept with the rows they are of (`hub.store.bulk` calls, whoever writes)."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.ready import Ready, among, plain, run, tell
from hub.store.tables import identifier, party
from hub.store.tables_search import party_word
from hub.store.words import words

_BATCH = 1000

_NAMES = sa.select(party.c.id, party.c.name).where(among(party.c.id))
_FORGET = sa.delete(party_word).where(among(party_word.c.party_id))
_PUT = {  # each driver's own way to write a parameter
    (database, of): Ready(f"INSERT INTO {of}_word ({of}_id, word) VALUES ({mark}, {mark})", lambda row: row)  # noqa: S608
    for database, mark in (("sqlite", "?"), ("postgresql", "%s"))
    for of in ("party", "identifier")
}
_ALL_NAMES = (
    sa.select(party.c.id, party.c.name).where(party.c.id > sa.bindparam("after")).order_by(party.c.id).limit(_BATCH)
)
_ALL_ADDRESSES = (
    sa.select(identifier.c.id, identifier.c.scheme, identifier.c.value)
    .where(identifier.c.id > sa.bindparam("after"))
    .order_by(identifier.c.id)
    .limit(_BATCH)
)


def added(c: Connection, table: sa.Table, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """New rows of any table, with their ids."""
    if table is party:
        _say(c, "party", [(iid, row.get("name", "")) for iid, row in rows])
    elif table is identifier:
        _say(c, "identifier", [(iid, row["value"]) for iid, row in rows if ":" not in row["scheme"]])


def renamed(c: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Parties about to get the names that these rows give them."""
    before = dict(plain(c, _NAMES, values=[row["id"] for row in rows]))
    changed = {row["id"]: row["name"] for row in rows if before.get(row["id"], row["name"]) != row["name"]}
    if changed:
        tell(c, _FORGET, [{"values": sorted(changed)}])
        _say(c, "party", sorted(changed.items()))


def index_all(c: Connection) -> None:
    """The words of every row there is, where none has any yet."""
    after = 0
    while names := plain(c, _ALL_NAMES, after=after):
        _say(c, "party", names)
        after = names[-1][0]
    after = 0
    while addresses := plain(c, _ALL_ADDRESSES, after=after):
        _say(c, "identifier", [(iid, value) for iid, scheme, value in addresses if ":" not in scheme])
        after = addresses[-1][0]


def _say(c: Connection, of: str, rows: Iterable[tuple[int, str]]) -> None:
    found: Any = [(iid, word) for iid, text in rows for word in set(words(text))]
    if found:
        run(c, _PUT[c.dialect.name, of], sorted(found))
