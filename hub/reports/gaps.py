"""Stretches of time that a connection does not cover: what happened in them may be missing from every timeline."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.health import STALE_AFTER
from hub.reports.accounts import streams_seen
from hub.reports.seen import Seen, everything
from hub.status import BROKEN, RECONNECT
from hub.store import fetch, instant_or_none
from hub.store import tables as t

_s, _k = t.stream.c, t.connection.c
_STREAMS = (
    sa.select(
        _k.name.label("connection"), _k.is_paused, _s.name.label("stream"), _s.status, _s.last_good_at,
        _s.window_since,
    )
    .join(t.connection, _k.id == _s.connection_id)
    .order_by(_k.name, _s.name)
)  # fmt: skip


def gaps(c: Connection, now: datetime, seen: Seen = everything) -> list[dict[str, Any]]:
    """Newest first: {"connection", "streams", "since", "until", "why"}; since None: from the beginning, until None: to this day.

    why: "unread" (never read to its end, so that anything may be missing), "behind" (nothing came through for a day),
    "stopped" (the tool lets nobody in, or answers with errors), "paused" (disconnected), "before" (older than what is read).
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    rows = fetch(c, _STREAMS) if seen is everything else c.execute(_STREAMS.where(*streams_seen(seen)))
    for r in rows:
        good, begun = instant_or_none(r.last_good_at), instant_or_none(r.window_since)
        for why, since, until in ((_why(r, good, now), good, None), ("before" if begun else "", None, begun)):
            if not why:
                continue
            new = {"connection": r.connection, "streams": [], "since": since, "until": until, "why": why}
            gap = found.setdefault((r.connection, why), new)
            gap["streams"].append(r.stream)
            gap["since"] = min(gap["since"], since) if gap["since"] and since else None
            gap["until"] = max(gap["until"], until) if gap["until"] and until else None
    return sorted(found.values(), key=lambda g: g["since"] or g["until"] or now, reverse=True)


def _why(r: Any, good: datetime | None, now: datetime) -> str:
    """Why the stream's newest part is missing; "" where it is not."""
    if r.is_paused:
        return "paused"
    if good is None:
        return "unread"
    if r.status in {BROKEN, RECONNECT}:
        return "stopped"
    return "behind" if now - good > STALE_AFTER else ""
