"""How long customers waited for the first answer, per channel. From `reply`, which is kept with every entry."""

from bisect import bisect_right
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub.reports.definition import ZONE, Asked, BadParameter, Chart, Column, Figure, Found, Parameter, Report
from hub.reports.weeks import begins as day_begins
from hub.store import answers, begins, micros
from hub.store import tables as t
from hub.store.tables_reports import reply

MOST_DAYS = 370
MINUTE = 60_000_000
_r = reply.c


def _query(asked: Asked) -> Found:
    values, now = asked.values, micros(asked.now)
    until = min(values["until"], asked.today)
    if values["since"] > until:
        raise BadParameter("since", f"a day up to {until} is wanted")
    if (until - values["since"]).days >= MOST_DAYS:
        raise BadParameter("since", f"at most {MOST_DAYS} days are counted at once")
    since = day_begins(values["since"], asked.zone)
    end = min(day_begins(until + timedelta(days=1), asked.zone), now + 1)
    told = _kept(since, end) if asked.sees_all else _recounted(asked, since, end)
    waits = told.subquery().c
    answered = sa.case((waits.answered_at <= now, waits.answered_at))  # what is planned has not happened yet
    late = waits.began_at < now - values["target_minutes"] * MINUTE
    counted = sa.select(
        waits.channel, sa.func.count(), sa.func.sum(sa.case((sa.and_(answered.is_(None), late), 1), else_=0))
    )
    spans: dict[str, list[int]] = {}
    for channel, span in asked.c.execute(
        sa.select(waits.channel, answered - waits.began_at).where(answered.is_not(None))
    ):
        spans.setdefault(channel, []).append(span)
    rows = [
        _row(channel, n, int(given_up), spans.get(channel, []), values["target_minutes"])
        for channel, n, given_up in asked.c.execute(counted.group_by(waits.channel))
    ]
    rows.sort(key=lambda r: (-r["conversations"], r["channel"]))
    all_late = sum(r["late"] for r in rows)
    everything = _row("", sum(r["conversations"] for r in rows), 0, [s for part in spans.values() for s in part],
                      values["target_minutes"])  # fmt: skip
    in_time = everything["answered"] - everything["late"]
    return Found(
        rows=rows,
        figures=[
            Figure("conversations", "Customers wrote", everything["conversations"], "whole"),
            Figure("answered", "Answered", everything["answered"], "whole"),
            Figure("waiting", "Waiting", everything["waiting"], "whole"),
            Figure("median_s", "50 % answered within", everything["median_s"], "seconds"),
            Figure("p90_s", "90 % within", everything["p90_s"], "seconds"),
            Figure("within_target", "In time", _share(in_time, all_late), "share"),
        ],
        total=len(rows),
        bars=[
            (r["channel"], {"50 % within": r["median_s"], "90 % within": r["p90_s"]}) for r in rows if r["answered"]
        ],
        notes=("Time is counted on the wall clock, nights and weekends included: no business hours are set up.",),
    )  # fmt: skip


def _row(channel: str, count: int, waits_late: int, spans: list[int], target: int) -> dict[str, Any]:
    """spans: of the answered ones, in microseconds. waits_late: conversations that wait for longer than the target."""
    spans.sort()
    in_time = bisect_right(spans, target * MINUTE)
    late = len(spans) - in_time + waits_late
    return {
        "channel": channel, "conversations": count, "answered": len(spans), "waiting": count - len(spans),
        "median_s": _within(spans, 50), "p90_s": _within(spans, 90), "within_target": _share(in_time, late), "late": late,
    }  # fmt: skip


def _share(in_time: int, late: int) -> float | None:
    return in_time / (in_time + late) if in_time + late else None


def _within(spans: list[int], percent: int) -> float | None:
    """The shortest wait, in seconds, that so many percent of the sorted ones do not exceed: one that somebody waited."""
    return spans[-(-len(spans) * percent // 100) - 1] / 1e6 if spans else None


def _kept(since: int, until: int) -> "sa.Select[Any]":
    return sa.select(_r.channel, _r.began_at, _r.answered_at).where(_r.began_at >= since, _r.began_at < until)


def _recounted(asked: Asked, since: int, until: int) -> "sa.Select[Any]":
    """From the entries themselves, for who does not see all of them."""
    first, earlier, answer = (t.interaction.alias(name) for name in ("f", "e", "o"))
    mine = earlier.c.conversation_id == first.c.conversation_id
    before = sa.or_(
        earlier.c.occurred_at < first.c.occurred_at,
        sa.and_(earlier.c.occurred_at == first.c.occurred_at, earlier.c.id < first.c.id),
    )
    answered = sa.select(sa.func.min(answer.c.occurred_at)).where(
        answer.c.conversation_id == first.c.conversation_id, answer.c.occurred_at > first.c.occurred_at,
        answers(answer), *asked.visible(answer),
    )  # fmt: skip
    answered_at = answered.correlate(first).scalar_subquery().label("answered_at")
    return sa.select(first.c.channel, first.c.occurred_at.label("began_at"), answered_at).where(
        first.c.occurred_at >= since, first.c.occurred_at < until, first.c.conversation_id.is_not(None), begins(first),
        sa.not_(sa.exists().where(mine, before, begins(earlier), *asked.visible(earlier))), *asked.visible(first),
    )  # fmt: skip


RESPONSE = Report(
    name="response",
    title="Response time per channel",
    sentence="How long customers waited from their first word in a conversation to the first answer by one of us.",
    version=1,
    parameters=(
        Parameter("since", "From", "date", "conversations whose first word of the customer came on this day or later; else 90 days ago", 90),
        Parameter("until", "To", "date", "or on this day at the latest; else today", 0),
        Parameter("target_minutes", "Target in minutes", "whole", "an answer within so many minutes is in time", 240, 1, 43_200),
        ZONE,
    ),
    columns=(
        Column("channel", "Channel", "text"),
        Column("conversations", "Wrote", "whole", "conversations in which the customer said something"),
        Column("answered", "Answered", "whole", "conversations"),
        Column("waiting", "Waiting", "whole", "conversations"),
        Column("median_s", "50 % within", "seconds", "seconds"),
        Column("p90_s", "90 % within", "seconds", "seconds"),
        Column("within_target", "In time", "share", "share of the answered and the late"),
        Column("late", "Late", "whole", "conversations"),
    ),
    query=_query,
    chart=Chart("bars", "Time to the first answer", "seconds", is_stacked=False),
    left_out=(
        "The two spans are of answered conversations; who waits for longer than the target counts as late.",
        "Who waits and is not late yet counts neither way.",
        "A conversation we began counts from the customer's first word in it.",
        "Calls and meetings of the customer begin no wait. Automatic answers count like any other of ours.",
    ),
    empty="No customer wrote in these days. `ihub sync` reads what is new; an earlier `since` looks further back.",
)  # fmt: skip
