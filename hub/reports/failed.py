"""Records that could not be taken in: page by page, by connection, and one of them with its raw form."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything
from hub.store import instant, unpack
from hub.store import tables as t

Row = dict[str, Any]
_q, _r, _s, _k = t.quarantine.c, t.record.c, t.stream.c, t.connection.c
_NOT_GIVEN = "the vendor did not give it"  # as the engine begins the reason where the tool only named a record


def failed(
    c: Connection, seen: Seen = everything, *, limit: int = 50, before: str = "", connection: str = "", stream: str = ""
) -> tuple[list[Row], str]:
    """(records that the asker sees, newest first; the mark of the next page, "" at the end).

    Raises ValueError for a strange mark.
    """
    query = _select().where(seen(t.record))
    if connection:
        query = query.where(_k.name == connection)
    if stream:
        query = query.where(_s.name == stream)
    if before:
        at, _, number = before.partition("-")
        if max(int(at), int(number)) >= 2**63:
            raise ValueError(before)
        query = query.where(
            sa.tuple_(_q.failed_at, _q.record_id) < sa.tuple_(sa.literal(int(at)), sa.literal(int(number)))
        )
    rows = c.execute(query.order_by(_q.failed_at.desc(), _q.record_id.desc()).limit(limit + 1)).mappings().all()
    page = rows[:limit]
    mark = f"{page[-1]['failed_at']}-{page[-1]['record_id']}" if len(rows) > limit else ""
    return [_row(r) for r in page], mark


def by_connection(c: Connection, seen: Seen = everything) -> dict[str, int]:
    """How many of each connection's records the asker sees in quarantine, the most first."""
    query = (
        sa.select(_k.name, sa.func.count())
        .select_from(t.record)
        .join(t.stream, _s.id == _r.stream_id)
        .join(t.connection, _k.id == _s.connection_id)
        # named by their streams, so that the index of dispositions is used and not every record looked at
        .where(_r.stream_id.in_(sa.select(_s.id)), _r.disposition == "failed", seen(t.record))
        .group_by(_k.name)
        .order_by(sa.func.count().desc(), _k.name)
    )
    return dict(c.execute(query).tuples().all())


def one(c: Connection, connection: str, stream: str, external_id: str, seen: Seen, *, raw_bytes: int = 0) -> Row:
    """One of them; with `raw`, the first `raw_bytes` of what is kept as text, where any are asked for. Raises KeyError."""
    named = (_k.name == connection, _s.name == stream, _r.external_id == external_id)
    found = c.execute(_select().where(seen(t.record), *named)).mappings().first()
    if found is None:
        raise KeyError(external_id)
    row = _row(found)
    if raw_bytes:
        kept = c.execute(sa.select(t.raw).where(t.raw.c.record_id == found["record_id"])).mappings().first()
        whole = unpack(kept["codec"], bytes(kept["body"])) if kept else b""
        row["raw"] = whole[:raw_bytes].decode("utf-8", "replace")
        row["is_cut"] = len(whole) > raw_bytes
    return row


def _select() -> "sa.Select[Any]":
    return (
        sa.select(
            t.quarantine, _r.external_id, _r.first_seen_at, _s.name.label("stream"), _k.name.label("connection"),
            sa.func.length(t.raw.c.body).label("size"),
        )
        .join(t.record, _r.id == _q.record_id)
        .join(t.stream, _s.id == _r.stream_id)
        .join(t.connection, _k.id == _s.connection_id)
        .outerjoin(t.raw, t.raw.c.record_id == _q.record_id)
    )  # fmt: skip


def _row(r: Any) -> Row:
    """fix: what would take it in. is_kept: whether its raw form is here."""
    is_kept = bool(r["size"])
    if is_kept:
        fix = "Take it in again after an upgrade of the connector: its raw form is kept here."
    elif r["reason"].startswith(_NOT_GIVEN):
        fix = "Try again: it is asked for at the tool once more. If it stays, look at it there."
    else:
        fix = "Try again: nothing of it is kept here, so it is read at the tool once more."
    return {
        "connection": r["connection"], "stream": r["stream"], "external_id": r["external_id"], "reason": r["reason"],
        "failed_at": instant(r["failed_at"]), "first_seen_at": instant(r["first_seen_at"]), "attempts": r["attempts"],
        "is_kept": is_kept, "fix": fix,
    }  # fmt: skip
