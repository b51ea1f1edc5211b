"""Plans: what is to be written to the tools, shown, approved by a person, made, and taken back."""

from typing import Any

import sqlalchemy as sa

from hub import outbox
from hub.access.roles import PLANS_APPROVE, PLANS_PROPOSE, PLANS_READ
from hub.engine import push
from hub.service.desk import Desk, NotFound
from hub.store import instant, instant_or_none
from hub.store import tables as t

Row = dict[str, Any]


def plans(desk: Desk, limit: int = 50, before: int | None = None) -> list[Row]:
    """All plans, newest first, without those that had nothing to do."""
    with desk.reading(PLANS_READ) as (c, _):
        p = t.plan.c
        query = sa.select(t.plan, t.connection.c.name.label("destination")).join(
            t.connection, t.connection.c.id == p.connection_id
        )
        if before is not None:
            query = query.where(p.id < before)
        return [
            {
                "plan": r["id"], "destination": r["destination"], "kind": r["kind"], "status": r["status"],
                "created_at": instant(r["created_at"]), "approved_by": r["approved_by"],
                "applied_at": instant_or_none(r["applied_at"]),
            }
            for r in c.execute(query.order_by(p.id.desc()).limit(limit)).mappings()
        ]  # fmt: skip


def plan(desk: Desk, number: int, limit: int = 100) -> Row:
    """A plan with its first changes: what they are, and what stood there before. Raises NotFound."""
    with desk.reading(PLANS_READ) as (c, _):
        found = outbox.read(c, number)
        if found is None:
            raise NotFound(f"there is no plan {number}")
        shown = outbox.preview(c, number, limit)
    return {**found.to_dict(), "destination": push.destination_of(desk.engine, number), "preview": shown}


def propose(desk: Desk, destination: str = "") -> Row:
    """Compare anew and write down what is due; nothing is written to a tool. destination: the system of record's if "".

    Raises NotFound for a connection that is not written to.
    """
    desk.viewer.must(PLANS_PROPOSE)
    known = push.destinations(desk.engine)
    if destination and destination not in known:
        raise NotFound(f"nothing is written to {destination!r}; to {', '.join(known) or 'no connection'}")
    return push.plan(desk.engine, destination).to_dict()


def approve(desk: Desk, number: int) -> Row:
    """Let it be applied. Raises NotFound, and ConfigError for one that waits no more."""
    _exists(desk, number, PLANS_APPROVE)
    return {**push.approve(desk.engine, number, desk.viewer.actor).to_dict(), "status": "approved"}


def reject(desk: Desk, number: int) -> Row:
    """Nothing of it is written. Raises NotFound, and ConfigError for one that waits no more."""
    _exists(desk, number, PLANS_APPROVE)
    return {**push.reject(desk.engine, number).to_dict(), "status": "rejected"}


async def apply(desk: Desk, number: int) -> Row:
    """Make an approved plan's changes; safe to call again after anything. Raises NotFound."""
    _exists(desk, number, PLANS_APPROVE)
    return (await push.apply(desk.engine, number)).to_dict()


async def undo(desk: Desk, number: int) -> Row:
    """Take an applied plan back at the tool. Raises NotFound."""
    _exists(desk, number, PLANS_APPROVE)
    return (await push.undo(desk.engine, number)).to_dict()


def _exists(desk: Desk, number: int, permission: str) -> None:
    with desk.reading(permission) as (c, _):
        if outbox.read(c, number) is None:
            raise NotFound(f"there is no plan {number}")
