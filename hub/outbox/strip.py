"""Changes without their content: what was written stays known, what it said does not.

What was created can still be taken back; an update cannot, its before-image told what the record said before.
"""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.outbox.steps import keys_about
from hub.store import chunks
from hub.store import tables as t

BARE = frozenset({"type", "external_id", "kind", "channel", "direction"})  # where an object stands at its tool, no more
GONE = "erased"  # a state no application and no undo looks at


def strip(c: Connection, keys: Iterable[str]) -> None:
    """Empty every change under these keys, applied or not, and what was proposed about whom they name."""
    s = t.change.c
    named = set(keys)
    for part in chunks(sorted(named.union(keys_about(c, named)))):
        rows = c.execute(sa.select(s.id, s.state, s.outcome, s.payload, s.receipt).where(s.key.in_(part))).all()
        for cid, state, outcome, payload, receipt in rows:
            stands = state == "done" and outcome in {"created", "unchanged"}
            values = {
                "payload": _bare(payload), "receipt": _without_before(receipt), "error": None,
                "state": state if stands or state == "undone" else GONE,
            }  # fmt: skip
            c.execute(sa.update(t.change).where(s.id == cid).values(**values))
        for ids in chunks([r.id for r in rows]):
            c.execute(sa.update(t.journal).where(t.journal.c.change_id.in_(ids)).values(error=None))


def _bare(payload: bytes) -> bytes:
    plain = msgspec.msgpack.decode(payload)
    entity = plain.get("entity")
    if entity is not None:
        plain["entity"] = None if plain["kind"] == "consent" else {k: v for k, v in entity.items() if k in BARE}
    if plain.get("absorbs"):
        plain["note"] = None  # with it goes what the two records of a merge were
    elif plain.get("note"):
        plain["note"]["before"] = dict.fromkeys(plain["note"]["before"], "")
    return msgspec.msgpack.encode({**plain, "title": ""})


def _without_before(receipt: bytes | None) -> bytes | None:
    if receipt is None:
        return None
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(receipt), "before": None, "error": ""})


def unname(c: Connection, keys: Iterable[str], names: Collection[str]) -> None:
    """Take these names off the people in changes under these keys."""
    s = t.change.c
    for part in chunks(sorted(set(keys))):
        for cid, payload in c.execute(sa.select(s.id, s.payload).where(s.key.in_(part))).all():
            plain = msgspec.msgpack.decode(payload)
            named = [who for who in (plain.get("entity") or {}).get("participants", ()) if who.get("name") in names]
            for who in named:
                who["name"] = ""
            if named:
                c.execute(sa.update(t.change).where(s.id == cid).values(payload=msgspec.msgpack.encode(plain)))


def drop_plans(c: Connection, connection_id: int, size: int) -> int:
    """Delete up to `size` changes of a destination with their journal, and its plans after the last; returns how many."""
    ids = sa.select(t.change.c.id).join(t.plan, t.plan.c.id == t.change.c.plan_id)
    found: list[Any] = list(c.execute(ids.where(t.plan.c.connection_id == connection_id).limit(size)).scalars())
    for part in chunks(found):
        c.execute(sa.delete(t.journal).where(t.journal.c.change_id.in_(part)))
        c.execute(sa.delete(t.change).where(t.change.c.id.in_(part)))
    if not found:
        c.execute(sa.delete(t.plan).where(t.plan.c.connection_id == connection_id))
        c.execute(sa.delete(t.remote).where(t.remote.c.connection_id == connection_id))
    return len(found)


def supersede(c: Connection) -> None:
    """Plans that wait may hold what goes now: the next look makes new ones."""
    waiting = t.plan.c.status.in_(("draft", "held", "approved"))
    c.execute(sa.update(t.plan).where(waiting).values(status="superseded"))
