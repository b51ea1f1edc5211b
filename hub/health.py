"""Sync health: what every stream last did, what the census says, what waits for a person. Worst first.

Plain SQL that both databases speak, and nothing imported but the standard library: a monitor may ask every minute.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

# Runs a query with ":name" parameters and gives its rows by column name.
Ask = Callable[[str, Mapping[str, Any]], Iterable[Mapping[str, Any]]]

ORDER = ("needs-reconnect", "broken", "degraded", "stale", "waiting-until", "catching-up", "new", "paused", "healthy")
STALE_AFTER = timedelta(hours=24)
RUN_STALLED_AFTER = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def health(ask: Ask, connections: Sequence[str], now: datetime) -> dict[str, Any]:
    """Status per connection and stream, open issues and holds; the overall status is the worst one."""
    found = [_connection(ask, name, now) for name in connections]
    found.sort(key=lambda x: _rank(x["status"]))
    running = [x["status"] for x in found if x["status"] != "paused"]  # of what was let go nothing is expected
    return {
        "status": _worst(running or ["paused"] * bool(found)), "as_of": now, "connections": found, "issues": _issues(ask),
        "holds": _holds(ask), "outbox": _outbox(ask),
        "balanced": all(s["books"]["is_balanced"] for x in found for s in x["streams"] if s["books"]),
    }  # fmt: skip


def _connection(ask: Ask, name: str, now: datetime) -> dict[str, Any]:
    row = _one(ask, "SELECT * FROM connection WHERE name = :name", name=name)
    if row is None:
        empty: dict[str, Any] = {"connector": "", "label": "", "status": "new", "streams": [], "next_at": None}
        return {"connection": name, **empty}
    rows = list(ask("SELECT * FROM stream WHERE connection_id = :id ORDER BY id", {"id": row["id"]}))
    streams = sorted((_stream(ask, r, now) for r in rows), key=lambda s: _rank(s["status"]))
    if row["is_paused"]:  # nothing is expected of it
        off = {"status": "paused", "detail": "disconnected: its section can go from the settings", "census": None}
        streams = [s | off for s in streams]
    return {
        "connection": name, "connector": row["connector"], "label": row["label"],
        "status": "paused" if row["is_paused"] else _worst([s["status"] for s in streams]),
        "streams": streams, "next_at": _at(row["next_at"]),
    }  # fmt: skip


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else 0


def _worst(statuses: Sequence[str]) -> str:
    return min(statuses, key=_rank, default="new")


def _stream(ask: Ask, r: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    good = _at(r["last_good_at"])
    status, detail = r["status"], r["detail"]
    if status == "healthy" and (good is None or now - good > STALE_AFTER):
        status, detail = "stale", f"nothing came through since {good:%Y-%m-%d %H:%M} UTC" if good else "never ran"
    run = _one(ask, "SELECT * FROM run WHERE stream_id = :id ORDER BY id DESC LIMIT 1", id=r["id"])
    if run and run["ended_at"] is None and now - _instant(run["started_at"]) > RUN_STALLED_AFTER:
        status, detail = "degraded", "a run began and never ended; the next one goes on from where it stopped"
    counted = "SELECT disposition, count(*) AS n FROM record WHERE stream_id = :id GROUP BY disposition"
    standing = {row["disposition"]: row["n"] for row in ask(counted, {"id": r["id"]})}
    last = _one(ask, "SELECT * FROM census WHERE stream_id = :id ORDER BY id DESC LIMIT 1", id=r["id"])
    return {
        "stream": r["name"], "status": status, "detail": detail, "last_good_at": good,
        "last_try_at": _at(r["last_try_at"]), "waiting_until": _at(r["waiting_until"]),
        "backfilled_at": _at(r["backfilled_at"]), "books": json.loads(run["books"]) if run and run["books"] != "{}" else None,
        "records": standing, "quarantined": standing.get("failed", 0),
        "census": {
            "taken_at": _instant(last["taken_at"]), "at_source": last["at_source"], "held": last["held"],
            "missing": len(json.loads(last["missing"])), "surplus": len(json.loads(last["surplus"])),
            "explained": json.loads(last["explained"]),
        } if last else None,
    }  # fmt: skip


def _issues(ask: Ask) -> list[dict[str, Any]]:
    query = """
        SELECT issue.*, coalesce(connection.name, issue.about) AS connection, stream.name AS stream
        FROM issue LEFT JOIN connection ON connection.id = issue.connection_id LEFT JOIN stream ON stream.id = issue.stream_id
        WHERE issue.closed_at IS NULL ORDER BY issue.opened_at, issue.id"""
    return [
        {
            "connection": r["connection"], "stream": r["stream"], "cause": r["cause"], "detail": r["detail"],
            "opened_at": _instant(r["opened_at"]), "last_seen_at": _instant(r["last_seen_at"]), "times": r["times"],
        }
        for r in ask(query, {})
    ]  # fmt: skip


def _holds(ask: Ask) -> list[dict[str, Any]]:
    query = """
        SELECT hold.*, connection.name AS connection, stream.name AS stream
        FROM hold LEFT JOIN stream ON stream.id = hold.stream_id LEFT JOIN connection ON connection.id = stream.connection_id
        WHERE hold.resolved_at IS NULL ORDER BY hold.id"""
    return [
        {
            "hold": r["id"], "kind": r["kind"], "connection": r["connection"], "stream": r["stream"],
            "detail": r["detail"], "opened_at": _instant(r["opened_at"]), "records": len(json.loads(r["ids"])),
        }
        for r in ask(query, {})
    ]  # fmt: skip


def _outbox(ask: Ask) -> dict[str, Any] | None:
    """The newest plan and what of it is done."""
    row = _one(ask, "SELECT * FROM plan ORDER BY id DESC LIMIT 1")
    if row is None:
        return None
    counted = "SELECT state, count(*) AS n FROM change WHERE plan_id = :id GROUP BY state"
    return {
        "plan": row["id"], "status": row["status"], "created_at": _instant(row["created_at"]),
        "applied_at": _at(row["applied_at"]), "changes": {r["state"]: r["n"] for r in ask(counted, {"id": row["id"]})},
    }  # fmt: skip


def _one(ask: Ask, query: str, **parameters: Any) -> Mapping[str, Any] | None:
    return next(iter(ask(query, parameters)), None)


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def _at(us: int | None) -> datetime | None:
    return None if us is None else _instant(us)
