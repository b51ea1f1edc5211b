"""Which rows a viewer sees, as one condition that every query takes.

A connection is the team's, or private to its owner (`private` and `owner` in its settings, kept here with each start).
An entry belongs to the team when a source of it does; our own copy of it in a tool (an echo) makes it nobody's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access.ledger import note
from hub.access.viewer import Viewer
from hub.store import Store, add, fetch
from hub.store import tables as t

_s, _k = t.stream.c, t.connection.c
_SOMEBODY_ELSES = (  # as `_hidden`, made once: every use case asks it
    sa.select(_s.id)
    .join(t.connection, _k.id == _s.connection_id)
    .where(_k.is_private, sa.or_(_k.owner == "", _k.owner != sa.bindparam("mailbox")))
    .limit(1)
)


def visible(viewer: Viewer, of: sa.FromClause = t.interaction) -> "sa.ColumnElement[bool]":
    """True for the rows of `of` that the viewer sees: a table, or an alias of one.

    Tables: `interaction`, `party`, `record`, and all that name a record or an interaction. A row that names both
    (`source`, `participation`) needs both: who took part as only a private copy says, its owner sees. People and
    companies are seen where a record or an entry that is seen shows them; so is their place on a timeline (`link`).
    Raises TypeError for a table that tells of neither. Cost: a few index look-ups a row; none for who sees everything.
    """
    if viewer.sees.everything:
        return sa.true()
    hidden = _hidden(viewer)
    names = set(of.c.keys())
    if "stream_id" in names and "external_id" in names:
        return of.c.stream_id.not_in(hidden)
    found = []
    if "record_id" in names:
        found.append(_of_record(of.c.record_id, hidden))
    if "party_id" in names and "interaction_id" in names:  # the timeline's index
        found.append(_took_part(of.c.party_id, of.c.interaction_id, hidden))
    elif "interaction_id" in names:
        found.append(_of_interaction(of.c.interaction_id, hidden))
    if "rank" in names and "public_id" in names:
        found.append(_of_interaction(of.c.id, hidden))
    if "owner_identifier_id" in names and "name_rank" in names:
        found.append(_of_party(of, hidden))
    if not found:
        raise TypeError(f"{of} tells of no record and no interaction")
    return sa.and_(*found)


def sees_all(c: Connection, viewer: Viewer) -> bool:
    """Whether nothing at all is hidden from the viewer: figures kept for all rows together then hold."""
    return viewer.sees.everything or not fetch(c, _SOMEBODY_ELSES, mailbox=viewer.sees.mailbox)


def keep_private(store: Store, wanted: Mapping[str, tuple[str, str]], now: datetime) -> None:
    """Make the connections known and as private as their settings say. wanted: name -> (connector, owner or "").

    A connection whose settings are gone stays what it was. Written only where something differs.
    """
    query = sa.select(t.connection.c.name, t.connection.c.is_private, t.connection.c.owner)
    with store.read() as c:
        known = {name: owner if is_private else "" for name, is_private, owner in c.execute(query)}
    changed = {n: owner for n, (_, owner) in wanted.items() if known.get(n, "") != owner}
    if not changed:
        return
    with store.write() as c:
        for name, owner in changed.items():
            add(c, t.connection, [{"name": name, "connector": wanted[name][0]}])
            mine = sa.update(t.connection).where(t.connection.c.name == name)
            c.execute(mine.values(is_private=bool(owner), owner=owner))
            note(c, now, "connection-seen", "", connection=name, by="its owner" if owner else "the team")


def _hidden(viewer: Viewer) -> "sa.Select[Any]":
    """Streams of private connections that are somebody else's."""
    stream, connection = t.stream.alias(), t.connection.alias()  # whatever the query around it joins
    mine = sa.and_(connection.c.owner == viewer.sees.mailbox, connection.c.owner != "")
    joined = sa.select(stream.c.id).join(connection, connection.c.id == stream.c.connection_id)
    return joined.where(connection.c.is_private, sa.not_(mine))


def _of_record(record_id: Any, hidden: Any) -> "sa.ColumnElement[bool]":
    r = t.record.alias()
    return sa.exists().where(r.c.id == record_id, r.c.stream_id.not_in(hidden))


def _of_interaction(interaction_id: Any, hidden: Any) -> "sa.ColumnElement[bool]":
    s, r = t.source.alias(), t.record.alias()
    return sa.exists().where(
        s.c.interaction_id == interaction_id, s.c.is_echo.is_(sa.false()), r.c.id == s.c.record_id,
        r.c.stream_id.not_in(hidden),
    )  # fmt: skip


def _of_party(of: sa.FromClause, hidden: Any) -> "sa.ColumnElement[bool]":
    i, o = t.identifier.alias(), t.observation.alias()
    shown = sa.exists().where(i.c.party_id == of.c.id, o.c.identifier_id == i.c.id, _of_record(o.c.record_id, hidden))
    return sa.or_(of.c.kind == "own", shown, _took_part(of.c.id, None, hidden))


def _took_part(party_id: Any, interaction_id: Any, hidden: Any) -> "sa.ColumnElement[bool]":
    """As something that is seen says: the party itself, or somebody of the company. interaction_id: None for any."""
    p, i, who = t.participation.alias(), t.identifier.alias(), t.party.alias()
    seen = sa.and_(_of_record(p.c.record_id, hidden), _of_interaction(p.c.interaction_id, hidden))
    return sa.exists().where(
        sa.or_(who.c.id == party_id, who.c.organization_id == party_id), i.c.party_id == who.c.id,
        p.c.identifier_id == i.c.id, seen, *(() if interaction_id is None else (p.c.interaction_id == interaction_id,)),
    )  # fmt: skip
