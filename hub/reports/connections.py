"""One connection: how far each of its streams was read, and what it has spent of its vendor's limits."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Budget
from hub.store import instant, instant_or_none
from hub.store import tables as t

Row = dict[str, Any]


def names(c: Connection) -> list[str]:
    """Every connection there ever was, those included whose section of the settings is gone."""
    return list(c.execute(sa.select(t.connection.c.name).order_by(t.connection.c.name)).scalars())


def connection(c: Connection, name: str) -> Row | None:
    """What is kept of a connection, and of each of its streams how far it was read; None before it first ran.

    Of a stream: listing, the number of the last complete enumeration; is_listing, one is under way; since, from when on
    the source is read (None: everything); read_at, when the last enumeration came to its end; expired_at, when the vendor last
    forgot where we had stopped; total, how many records the vendor says there are.
    """
    row = c.execute(sa.select(t.connection).where(t.connection.c.name == name)).mappings().first()
    if row is None:
        return None
    of = sa.select(t.stream).where(t.stream.c.connection_id == row["id"]).order_by(t.stream.c.id)
    return {
        "connection": name, "connector": row["connector"], "label": row["label"], "account_id": row["account_id"],
        "is_paused": bool(row["is_paused"]), "is_private": bool(row["is_private"]),
        "checked_at": instant_or_none(row["checked_at"]), "next_at": instant_or_none(row["next_at"]),
        "last_run_at": instant_or_none(row["last_run_at"]),
        "reading": {
            s["name"]: {
                "has_begun": bool(s["cursor"] is not None or s["is_sweeping"] or s["backfilled_at"]),
                "is_listing": bool(s["is_sweeping"]), "listing": s["sweep"], "since": instant_or_none(s["window_since"]),
                "read_at": instant_or_none(s["backfilled_at"]), "expired_at": instant_or_none(s["expired_at"]),
                "total": s["total"],
            }
            for s in c.execute(of).mappings()
        },
    }  # fmt: skip


def quota(c: Connection, account: str, budgets: Sequence[Budget], now: datetime) -> list[Row]:
    """{"name", "used", "limit", "window_s", "began_at", "is_now", "blocked_until"} of each budget of a vendor account.

    used: units taken in the window that runs now (is_now), else in the last one there was; they are taken in slices, so a
    few may be unspent. limit: what the hub takes of a window at most, below the vendor's own by the reserve.
    """
    b = t.budget.c
    spent = {r["name"]: r for r in c.execute(sa.select(t.budget).where(b.account == account)).mappings()}
    found = []
    for budget in budgets:
        row, began = spent.get(budget.name), _began(now, budget)
        last = instant(row["window_start"]) if row and row["window_start"] else None
        blocked = instant_or_none(row["blocked_until"]) if row else None
        found.append({
            "name": budget.name, "limit": math.floor(budget.units_per_window * (1 - budget.reserve)),
            "used": row["used"] if row else 0, "window_s": budget.window.total_seconds(), "began_at": last,
            "is_now": last is not None and last >= began, "blocked_until": blocked if blocked and blocked > now else None,
        })  # fmt: skip
    return found


def _began(now: datetime, budget: Budget) -> datetime:
    """When the window began that `now` lies in; a day has its midnight where the budget says."""
    if budget.zone:
        zone = ZoneInfo(budget.zone)
        return datetime.combine(now.astimezone(zone), time(), zone).astimezone(UTC)
    seconds = budget.window.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
