"""The timeline after records were erased: entries nothing tells of go, the others are told again by their other copies.

Keys and thread references do not say which copy gave them. So they go with the erased copy, and mapping the others again
brings back what is theirs.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reconcile.conversations import assign
from hub.store import among, change, chunks, keep_replies, micros, texts
from hub.store import tables as t

i = t.interaction.c
_BARE = {"rank": b"", "hash": b"", "subject": "", "snippet": "", "files": 0, "owner_identifier_id": None}


def blank(c: Connection, interaction_ids: Collection[int], now: datetime) -> None:
    """Entries whose content nobody can give just now: the envelope stays, and the next copy that can be read fills it."""
    for part in chunks(sorted(interaction_ids)):
        texts.unindex(c, part)
        c.execute(sa.update(t.interaction).where(i.id.in_(part)).values(**_BARE, changed_at=micros(now)))
        for table in (t.body, t.attachment):
            c.execute(sa.delete(table).where(table.c.interaction_id.in_(part)))


def stale(c: Connection, party_ids: Collection[int], now: datetime) -> None:
    """Entries these parties take part in changed: what was written of them elsewhere names them as before."""
    for part in chunks(sorted(party_ids)):
        theirs = sa.select(t.participation.c.interaction_id).join(
            t.identifier, t.identifier.c.id == t.participation.c.identifier_id
        )
        mine = (i.id.in_(theirs.where(t.identifier.c.party_id.in_(part))), i.gone_at.is_(None))
        c.execute(sa.update(t.interaction).where(*mine).values(changed_at=micros(now)))


def unkey(c: Connection, interaction_ids: Collection[int]) -> None:
    """Their names in other tools go, until a copy is mapped again."""
    for part in chunks(sorted(interaction_ids)):
        c.execute(sa.delete(t.dedup_key).where(t.dedup_key.c.interaction_id.in_(part)))


_UNTOLD = sa.select(i.id).where(
    i.gone_at.is_not(None), sa.not_(sa.exists().where(t.source.c.interaction_id == i.id))
)  # fmt: skip


def drop_untold(c: Connection, size: int, among_ids: Sequence[int] | None = None) -> int:
    """Delete up to `size` entries that are gone and that no record tells of, of these or of all; returns how many."""
    query = _UNTOLD if among_ids is None else _UNTOLD.where(among(i.id))
    gone = list(c.execute(query.limit(size), {} if among_ids is None else {"values": list(among_ids)}).scalars())
    for part in chunks(gone):
        for table in (t.dedup_key, t.body, t.attachment, t.link):
            c.execute(sa.delete(table).where(table.c.interaction_id.in_(part)))
        c.execute(sa.delete(t.interaction).where(i.id.in_(part)))
    return len(gone)


def unthread(c: Connection, conversation_ids: Collection[int]) -> list[int]:
    """Dissolve conversations; returns the entries that were in them."""
    members: list[int] = []
    for part in chunks(sorted(conversation_ids)):
        found = list(c.execute(sa.select(i.id).where(i.conversation_id.in_(part))).scalars())
        c.execute(sa.update(t.interaction).where(i.conversation_id.in_(part)).values(conversation_id=None))
        c.execute(sa.delete(t.thread_ref).where(t.thread_ref.c.conversation_id.in_(part)))
        c.execute(sa.delete(t.conversation).where(t.conversation.c.id.in_(part)))
        keep_replies(c, part)
        members += found
    return members


def thread_rest(c: Connection, interaction_ids: Collection[int], now: datetime) -> None:
    """Entries that no copy ties to any other are conversations of their own."""
    for part in chunks(sorted(interaction_ids)):
        alone = c.execute(sa.select(i.id, i.public_id).where(i.id.in_(part), i.conversation_id.is_(None))).all()
        found = assign(c, {iid: [f"interaction:{public}"] for iid, public in alone}, {}, micros(now))
        change(c, t.interaction, [{"id": iid, "conversation_id": conv} for iid, conv in found.items()])
        keep_replies(c, set(found.values()))


def drop_threads(c: Connection, size: int) -> int:
    """Delete up to `size` conversations nothing is in; returns how many."""
    conv = t.conversation.c.id
    empty = sa.select(conv).where(sa.not_(sa.exists().where(i.conversation_id == conv))).limit(size)
    found = list(c.execute(empty).scalars())
    for part in chunks(found):
        c.execute(sa.delete(t.thread_ref).where(t.thread_ref.c.conversation_id.in_(part)))
        c.execute(sa.delete(t.conversation).where(conv.in_(part)))
    return len(found)
