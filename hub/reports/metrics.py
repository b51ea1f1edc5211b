"""Figures a monitor asks for every minute: counted, without names of people, each label one of few values."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import tables as t
from hub.store import tables_hooks as h

_r, _k = t.run.c, t.connection.c
# Plans that nobody has to think of any more; what they wrote is in the journal.
_OVER = ("superseded", "rejected", "applied", "undone")


def figures(c: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of (labels ..., number): "runs" that ended, by connection, kind and status; "read" by connection, with requests as the second
    number; "written" by connection and outcome; "plans" by status; "changes" of plans that are not over, by state;
    "deliveries" of webhooks by state."""
    count, change, plan, journal = sa.func.count(), t.change.c, t.plan.c, t.journal.c
    of_connection = t.run.join(t.connection, _k.id == _r.connection_id)
    of_plan = t.change.join(t.plan, plan.id == change.plan_id)
    of_destination = t.journal.join(of_plan, change.id == journal.change_id).join(
        t.connection, _k.id == plan.connection_id
    )
    outcome = sa.func.coalesce(journal.outcome, "no answer")
    asked = {
        "runs": (
            sa.select(_k.name, _r.kind, _r.status, count).select_from(of_connection)
            .where(_r.ended_at.is_not(None)).group_by(_k.name, _r.kind, _r.status)
        ),
        "read": (
            sa.select(_k.name, sa.func.sum(_r.seen), sa.func.sum(_r.requests)).select_from(of_connection)
            .where(_r.kind == "pull").group_by(_k.name)
        ),
        "written": sa.select(_k.name, outcome, count).select_from(of_destination).group_by(_k.name, outcome),
        "plans": sa.select(plan.status, count).group_by(plan.status),
        "changes": (
            sa.select(change.state, count).select_from(of_plan).where(plan.status.not_in(_OVER)).group_by(change.state)
        ),
        "deliveries": sa.select(h.delivery.c.state, count).group_by(h.delivery.c.state),
    }  # fmt: skip
    return {name: sorted(tuple(row) for row in c.execute(query)) for name, query in asked.items()}
