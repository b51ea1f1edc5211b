"""What could not be taken in, and why."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything
from hub.store import instant
from hub.store import tables as t


def quarantine(c: Connection, limit: int = 50, seen: Seen = everything) -> list[dict[str, Any]]:
    """Records that could not be taken in, newest first, with the reason; their raw form is kept."""
    query = (
        sa.select(
            t.quarantine, t.record.c.external_id, t.stream.c.name.label("stream"), t.connection.c.name.label("connection"),
            sa.func.length(t.raw.c.body).label("size"),
        )
        .join(t.record, t.record.c.id == t.quarantine.c.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .outerjoin(t.raw, t.raw.c.record_id == t.quarantine.c.record_id)
        .where(seen(t.record))
        .order_by(t.quarantine.c.failed_at.desc(), t.quarantine.c.record_id)
        .limit(limit)
    )  # fmt: skip
    return [
        {
            "connection": r["connection"], "stream": r["stream"], "external_id": r["external_id"], "reason": r["reason"],
            "failed_at": instant(r["failed_at"]), "raw_bytes": r["size"] or 0,
        }
        for r in c.execute(query).mappings()
    ]  # fmt: skip
