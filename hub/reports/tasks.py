"""Open tasks per owner, as the tools say."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub.reports.accounts import owners
from hub.reports.definition import ZONE, Asked, Chart, Column, Figure, Found, Parameter, Report
from hub.reports.weeks import begins
from hub.store import instant_or_none, micros
from hub.store import tables as t

NOBODY = "Nobody"
_i = t.item.c


def _query(asked: Asked) -> Found:
    now = micros(asked.now)
    soon = begins(asked.today + timedelta(days=asked.values["soon_days"] + 1), asked.zone)
    query = sa.select(
        _i.owner_identifier_id, sa.func.count(), sa.func.sum(sa.case((_i.due_at < now, 1), else_=0)),
        sa.func.sum(sa.case((sa.and_(_i.due_at >= now, _i.due_at < soon), 1), else_=0)),
        sa.func.sum(sa.case((_i.due_at.is_(None), 1), else_=0)), sa.func.min(_i.due_at),
    ).where(_i.kind == "task", _i.is_closed.is_(sa.false()), _i.gone_at.is_(None), *asked.visible(t.item))  # fmt: skip
    told = asked.c.execute(query.group_by(_i.owner_identifier_id)).all()
    people = owners(asked.c, [row[0] for row in told if row[0] is not None])
    found: dict[Any, dict[str, Any]] = defaultdict(
        lambda: {"owner": NOBODY, "open": 0, "overdue": 0, "soon": 0, "undated": 0, "due": None}
    )
    for owner_id, count, overdue, due_soon, undated, first in told:
        who = people.get(owner_id)
        row = found[who.key if who else None]
        row["owner"] = who.name if who else NOBODY
        for name, n in (("open", count), ("overdue", overdue), ("soon", due_soon), ("undated", undated)):
            row[name] += int(n)
        row["due"] = min(filter(None, (row["due"], first)), default=None)
    rows = sorted(found.values(), key=lambda r: (-r["overdue"], -r["open"], r["owner"]))
    return Found(
        rows=[
            {
                "owner": r["owner"], "open": r["open"], "overdue": r["overdue"], "due_soon": r["soon"],
                "undated": r["undated"], "first_due_at": instant_or_none(r["due"]),
            }
            for r in rows
        ],
        figures=[
            Figure("open", "Open tasks", sum(r["open"] for r in rows), "whole"),
            Figure("overdue", "Overdue", sum(r["overdue"] for r in rows), "whole"),
            Figure("unowned", "Nobody's", sum(r["open"] for key, r in found.items() if key is None), "whole"),
        ],
        total=len(rows),
        bars=[(r["owner"], {"overdue": r["overdue"], "not yet due": r["open"] - r["overdue"] - r["undated"],
                            "without a date": r["undated"]}) for r in rows],
    )  # fmt: skip


TASKS = Report(
    name="tasks",
    title="Open tasks per owner",
    sentence="Who has how many tasks to do, and how many are overdue.",
    version=1,
    parameters=(
        Parameter("soon_days", "Days that are soon", "whole", "tasks due up to the end of so many days from today are due soon", 7, 0, 366),
        ZONE,
    ),
    columns=(
        Column("owner", "Owner", "text", is_told=True),
        Column("open", "Open", "whole", "tasks"),
        Column("overdue", "Overdue", "whole", "tasks"),
        Column("due_soon", "Due soon", "whole", "tasks"),
        Column("undated", "Without a date", "whole", "tasks"),
        Column("first_due_at", "Due first", "instant"),
    ),
    query=_query,
    chart=Chart("bars", "Open tasks", "whole"),
    left_out=(
        "A task that two tools hold each counts twice: tasks are not compared with each other.",
        "What was done, deleted or merged away in its tool does not count.",
    ),
    empty="No task is open. Tasks come from connections whose tool has them: `ihub connectors` lists which.",
)  # fmt: skip
