"""Runs: what each did, what its books say, and what was noted while it was under way."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.status import HEALTHY
from hub.store import instant, instant_or_none, micros
from hub.store import tables as t

Row = dict[str, Any]
_r, _s, _k, _n, _i, _h = t.run.c, t.stream.c, t.connection.c, t.census.c, t.issue.c, t.hold.c
_NO_COUNTS = ("seen", "rules", "is_balanced")  # of the books; all else in them are dispositions
_RUNS = (
    sa.select(t.run, _s.name.label("stream"), _k.name.label("connection"), t.lease.c.expires_at)
    .join(t.connection, _k.id == _r.connection_id)
    .outerjoin(t.stream, _s.id == _r.stream_id)
    .outerjoin(  # held by whoever carries this run out; pushes have a lease of their own, without a number in the run
        t.lease,
        sa.and_(
            t.lease.c.name == sa.case((_r.kind == "push", "outbox:"), else_="connection:").concat(_k.name),
            sa.or_(_r.kind == "push", t.lease.c.fence == _r.fence),
        ),
    )
)  # fmt: skip


def runs(
    c: Connection, connection: str, now: datetime, *, limit: int = 25, before: int | None = None, show: str = ""
) -> list[Row]:
    """A connection's runs, newest first. before: the number of the last one of the page before. show: "news" leaves out
    those that met nothing, "trouble" those that ended well."""
    query = _RUNS.where(_r.connection_id == sa.select(_k.id).where(_k.name == connection).scalar_subquery())
    if before is not None:
        query = query.where(_r.id < before)
    if show == "news":
        query = query.where(sa.or_(_r.seen > 0, _r.error != ""))
    elif show == "trouble":
        query = query.where(_r.status != HEALTHY)
    return [_run(r, now) for r in c.execute(query.order_by(_r.id.desc()).limit(limit)).mappings()]


def run(c: Connection, number: int, now: datetime) -> Row:
    """One run, with `noted`: what was written down of its stream while it was under way. Raises KeyError."""
    found = c.execute(_RUNS.where(_r.id == number)).mappings().first()
    if found is None:
        raise KeyError(number)
    return {**_run(found, now), "noted": _noted(c, found, now)}


def last_runs(c: Connection, now: datetime) -> dict[tuple[str, str], Row]:
    """(connection, stream) -> its newest run; (connection, "") -> the newest that wrote to it."""
    newest = sa.select(sa.func.max(_r.id)).where(_r.stream_id == _s.id).correlate(t.stream).scalar_subquery()
    pushed = sa.select(sa.func.max(_r.id)).where(_r.stream_id.is_(None)).group_by(_r.connection_id)
    ids = [*c.execute(sa.select(newest).select_from(t.stream)).scalars(), *c.execute(pushed).scalars()]
    query = _RUNS.where(_r.id.in_([n for n in ids if n is not None]))
    return {(r["connection"], r["stream"] or ""): _run(r, now) for r in c.execute(query).mappings()}


def writing(c: Connection, names: Sequence[str]) -> list[Row]:
    """Each of these connections with the newest plan for it and how far its changes are; None: nothing was ever due."""
    p, g = t.plan.c, t.change.c
    newest = sa.select(_k.name, sa.func.max(p.id)).join(t.plan, p.connection_id == _k.id).group_by(_k.name)
    plans = dict(c.execute(newest.where(_k.name.in_(names))).tuples().all())
    found = []
    for name in names:
        plan = c.execute(sa.select(t.plan).where(p.id == plans.get(name, 0))).mappings().first()
        states: dict[str, int] = {}
        if plan is not None:
            counted = sa.select(g.state, sa.func.count()).where(g.plan_id == plan["id"]).group_by(g.state)
            states = dict(c.execute(counted).tuples().all())
        found.append({
            "connection": name, "plan": plan and plan["id"], "kind": plan and plan["kind"], "status": plan and plan["status"],
            "created_at": plan and instant(plan["created_at"]), "applied_at": plan and instant_or_none(plan["applied_at"]),
            "changes": states,
        })  # fmt: skip
    return found


def _run(r: Mapping[Any, Any], now: datetime) -> Row:
    """status: the word it ended with; "running", or "interrupted" where nobody is at it any more.

    books: disposition -> records, those that are not 0; rules: what each rule of the policy, or reason, took of them.
    """
    kept = json.loads(r["books"])
    ended = instant_or_none(r["ended_at"])
    is_held = r["expires_at"] is not None and r["expires_at"] > micros(now)
    status = r["status"] if ended else "running" if is_held else "interrupted"
    return {
        "run": r["id"], "connection": r["connection"], "stream": r["stream"] or "", "kind": r["kind"],
        "started_at": instant(r["started_at"]), "ended_at": ended,
        "seconds": ((ended or now) - instant(r["started_at"])).total_seconds(), "status": status, "error": r["error"],
        "seen": r["seen"], "books": {k: n for k, n in kept.items() if k not in _NO_COUNTS and n},
        "rules": kept.get("rules", {}), "is_balanced": kept.get("is_balanced"), "pages": r["pages"],
        "requests": r["requests"], "units": r["units"],
    }  # fmt: skip


# --- what was noted meanwhile -----------------------------------------------------------------------------------------


def _noted(c: Connection, r: Mapping[Any, Any], now: datetime) -> list[Row]:
    """{"at", "what", "detail", **numbers}, oldest first. what: counted, issue-opened, issue-again, issue-closed, held,
    released, failed, applied."""
    begin, end = r["started_at"], r["ended_at"] or micros(now)

    def within(column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[bool]":
        return column.between(begin, end)

    told: list[tuple[int, str, str, Row]] = []
    if r["stream_id"] is None:
        p = t.plan.c
        plans = sa.select(p.id, p.applied_at).where(p.connection_id == r["connection_id"], within(p.applied_at))
        told += [(at, "applied", "", {"plan": number}) for number, at in c.execute(plans)]
    counts = sa.select(t.census).where(_n.stream_id == r["stream_id"], within(_n.taken_at))
    for n in c.execute(counts).mappings():
        figures = {"at_source": n["at_source"], "held": n["held"], "explained": json.loads(n["explained"])}
        told.append((n["taken_at"], "counted", "", figures))
    issues = sa.select(t.issue).where(
        _i.connection_id == r["connection_id"], sa.or_(_i.stream_id.is_(None), _i.stream_id == r["stream_id"]),
        sa.or_(within(_i.opened_at), within(_i.last_seen_at), within(_i.closed_at)),
    )  # fmt: skip
    for i in c.execute(issues).mappings():
        for what, at in (("opened", i["opened_at"]), ("again", i["last_seen_at"]), ("closed", i["closed_at"])):
            if at is not None and begin <= at <= end and not (what == "again" and at == i["opened_at"]):
                told.append((at, f"issue-{what}", "" if what == "closed" else i["detail"], {"cause": i["cause"]}))
    holds = sa.select(t.hold).where(
        _h.stream_id == r["stream_id"], sa.or_(within(_h.opened_at), within(_h.resolved_at))
    )
    for h in c.execute(holds).mappings():
        if begin <= h["opened_at"] <= end:
            told.append((h["opened_at"], "held", h["detail"], {"hold": h["id"]}))
        if h["resolved_at"] is not None and begin <= h["resolved_at"] <= end:
            told.append((h["resolved_at"], "released", h["detail"], {"hold": h["id"], "word": h["resolution"]}))
    q = t.quarantine.c
    failed = (
        sa.select(q.failed_at, sa.func.count())
        .join(t.record, t.record.c.id == q.record_id)
        .where(t.record.c.stream_id == r["stream_id"], t.record.c.disposition == "failed", within(q.failed_at))
        .group_by(q.failed_at)
    )
    told += [(at, "failed", "", {"records": n}) for at, n in c.execute(failed)]
    told.sort(key=lambda x: x[0])
    return [{"at": instant(at), "what": what, "detail": detail, **more} for at, what, detail, more in told]
