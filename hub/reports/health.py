"""Sync health: what every stream last did, what the census says, what waits for a person. Worst first."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import instant, instant_or_none
from hub.store import tables as t

ORDER = ("needs-reconnect", "broken", "degraded", "stale", "waiting-until", "catching-up", "new", "paused", "healthy")
STALE_AFTER = timedelta(hours=24)
RUN_STALLED_AFTER = timedelta(minutes=5)


def health(c: Connection, connections: Sequence[str], now: datetime) -> dict[str, Any]:
    """Status per connection and stream, open issues and holds; the overall status is the worst one."""
    found: list[dict[str, Any]] = []
    for name in connections:
        row = c.execute(sa.select(t.connection).where(t.connection.c.name == name)).mappings().first()
        streams = _streams(c, row["id"], now) if row else []
        streams.sort(key=lambda s: ORDER.index(s["status"]) if s["status"] in ORDER else 0)
        found.append({
            "connection": name, "connector": row["connector"] if row else "", "label": row["label"] if row else "",
            "status": "paused" if row and row["is_paused"] else (_worst([s["status"] for s in streams]) if streams else "new"),
            "streams": streams, "next_at": instant_or_none(row["next_at"]) if row else None,
        })  # fmt: skip
    found.sort(key=lambda x: ORDER.index(x["status"]) if x["status"] in ORDER else 0)
    return {
        "status": _worst([x["status"] for x in found]), "as_of": now, "connections": found, "issues": _issues(c),
        "holds": _holds(c), "outbox": _outbox(c),
        "balanced": all(s["books"]["is_balanced"] for x in found for s in x["streams"] if s["books"]),
    }  # fmt: skip


def _worst(statuses: Sequence[str]) -> str:
    return min(statuses, key=lambda s: ORDER.index(s) if s in ORDER else 0, default="new")


def _streams(c: Connection, connection_id: int, now: datetime) -> list[dict[str, Any]]:
    rows = c.execute(
        sa.select(t.stream).where(t.stream.c.connection_id == connection_id).order_by(t.stream.c.id)
    ).mappings()
    return [_stream(c, r, now) for r in rows.all()]


def _stream(c: Connection, r: Any, now: datetime) -> dict[str, Any]:
    good = instant_or_none(r["last_good_at"])
    status, detail = r["status"], r["detail"]
    if status == "healthy" and (good is None or now - good > STALE_AFTER):
        status, detail = "stale", f"nothing came through since {good:%Y-%m-%d %H:%M} UTC" if good else "never ran"
    run = (
        c.execute(sa.select(t.run).where(t.run.c.stream_id == r["id"]).order_by(t.run.c.id.desc()).limit(1))
        .mappings()
        .first()
    )
    if run and run["ended_at"] is None and now - instant(run["started_at"]) > RUN_STALLED_AFTER:
        status, detail = "degraded", "a run began and never ended; the next one goes on from where it stopped"
    counted = sa.select(t.record.c.disposition, sa.func.count()).where(t.record.c.stream_id == r["id"])
    standing = {d: n for d, n in c.execute(counted.group_by(t.record.c.disposition))}
    last = (
        c.execute(sa.select(t.census).where(t.census.c.stream_id == r["id"]).order_by(t.census.c.id.desc()).limit(1))
        .mappings()
        .first()
    )
    return {
        "stream": r["name"], "status": status, "detail": detail, "last_good_at": good,
        "last_try_at": instant_or_none(r["last_try_at"]), "waiting_until": instant_or_none(r["waiting_until"]),
        "backfilled_at": instant_or_none(r["backfilled_at"]), "books": json.loads(run["books"]) if run and run["books"] != "{}" else None,
        "records": standing, "quarantined": standing.get("failed", 0),
        "census": {
            "taken_at": instant(last["taken_at"]), "at_source": last["at_source"], "held": last["held"],
            "missing": len(json.loads(last["missing"])), "surplus": len(json.loads(last["surplus"])),
            "explained": json.loads(last["explained"]),
        } if last else None,
    }  # fmt: skip


def _issues(c: Connection) -> list[dict[str, Any]]:
    query = (
        sa.select(t.issue, t.connection.c.name.label("connection"), t.stream.c.name.label("stream"))
        .join(t.connection, t.connection.c.id == t.issue.c.connection_id)
        .outerjoin(t.stream, t.stream.c.id == t.issue.c.stream_id)
        .where(t.issue.c.closed_at.is_(None))
        .order_by(t.issue.c.opened_at)
    )
    return [
        {
            "connection": r["connection"], "stream": r["stream"], "cause": r["cause"], "detail": r["detail"],
            "opened_at": instant(r["opened_at"]), "last_seen_at": instant(r["last_seen_at"]), "times": r["times"],
        }
        for r in c.execute(query).mappings()
    ]  # fmt: skip


def _holds(c: Connection) -> list[dict[str, Any]]:
    query = (
        sa.select(t.hold, t.connection.c.name.label("connection"), t.stream.c.name.label("stream"))
        .outerjoin(t.stream, t.stream.c.id == t.hold.c.stream_id)
        .outerjoin(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(t.hold.c.resolved_at.is_(None))
    )
    return [
        {
            "hold": r["id"], "kind": r["kind"], "connection": r["connection"], "stream": r["stream"],
            "detail": r["detail"], "opened_at": instant(r["opened_at"]), "records": len(json.loads(r["ids"])),
        }
        for r in c.execute(query).mappings()
    ]  # fmt: skip


def _outbox(c: Connection) -> dict[str, Any] | None:
    """The newest plan and what of it is done."""
    row = c.execute(sa.select(t.plan).order_by(t.plan.c.id.desc()).limit(1)).mappings().first()
    if row is None:
        return None
    counted = (
        sa.select(t.change.c.state, sa.func.count()).where(t.change.c.plan_id == row["id"]).group_by(t.change.c.state)
    )
    return {
        "plan": row["id"], "status": row["status"], "created_at": instant(row["created_at"]),
        "applied_at": instant_or_none(row["applied_at"]), "changes": {s: n for s, n in c.execute(counted)},
    }  # fmt: skip


def quarantine(c: Connection, limit: int = 50) -> list[dict[str, Any]]:
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
