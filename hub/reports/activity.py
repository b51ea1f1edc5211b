"""Which customers we were in touch with; and, beside it, how much of what the sources hold was seen at all."""

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub.reports.accounts import ACCOUNT, named, streams_seen
from hub.reports.definition import Asked, Chart, Column, Figure, Found, Parameter, Report
from hub.store import among, instant, instant_or_none, micros
from hub.store import tables as t

_p, _k, _o = t.party.c, t.link.c, t.observation.c


def _activity(asked: Asked) -> Found:
    now, values = micros(asked.now), asked.values
    since = micros(asked.now - timedelta(days=values["days"]))
    last = (
        sa.select(sa.func.max(_k.occurred_at))
        .where(_k.party_id == _p.id, _k.occurred_at <= now, *asked.visible(t.link))
        .correlate(t.party)
        .scalar_subquery()
    )
    query = sa.select(_p.id, _p.kind, last).where(ACCOUNT, _customers(asked))
    told = [(pid, kind, at) for pid, kind, at in asked.c.execute(query)]
    if values["who"] == "all":  # what was joined to another party, or only ever named, is nobody
        told = [r for r in told if r[2] is not None]
    active = [r for r in told if r[2] is not None and r[2] >= since]
    silent = [r for r in told if r[2] is None or r[2] < since]
    active.sort(key=lambda r: (-r[2], r[0]))
    silent.sort(key=lambda r: (r[2] is not None, r[2] or 0, r[0]))
    wanted = {"active": active, "silent": silent, "all": active + silent}[values["show"]]
    captured = _captured(asked)
    return Found(
        rows=_customer_rows(asked, wanted[: values["top"]], since, now),
        figures=[
            Figure("customers", "Customers", len(told), "whole"),
            Figure("active", "In touch", len(active), "whole"),
            Figure("share", "Activity coverage", len(active) / len(told) if told else None, "share"),
            Figure("captured", "Capture coverage", captured, "share"),
        ],
        total=len(wanted),
        bars=[
            (label, {"in touch": _of(active, kind), "silent": _of(silent, kind)})
            for kind, label in (("organization", "companies"), ("person", "people"))
        ] if told else [],
        notes=() if captured is None or captured >= 1 else (
            "Not everything the sources hold was seen: a customer shown as silent may not be. See capture coverage.",
        ),
    )  # fmt: skip


def _of(rows: list[Any], kind: str) -> int:
    return sum(r[1] == kind for r in rows)


def _customers(asked: Asked) -> "sa.ColumnElement[bool]":
    """Those a tool keeps a record of, of themselves or of somebody there; or everybody."""
    if asked.values["who"] == "all":
        return sa.true() if asked.sees_all else asked.seen(t.party)
    member, own, theirs = t.party.alias("m"), t.observation.alias("a"), t.observation.alias("b")
    itself = sa.exists().where(own.c.party_id == _p.id, *asked.visible(own))
    inside = sa.exists().where(
        member.c.organization_id == _p.id, theirs.c.party_id == member.c.id, *asked.visible(theirs)
    )
    return sa.or_(itself, inside)


def _customer_rows(asked: Asked, told: list[Any], since: int, now: int) -> list[dict[str, Any]]:
    ids = [r[0] for r in told]
    counted = (
        sa.select(_k.party_id, sa.func.count())
        .where(among(_k.party_id), _k.occurred_at >= since, _k.occurred_at <= now, *asked.visible(t.link))
        .group_by(_k.party_id)
    )
    counts = {pid: n for pid, n in asked.c.execute(counted, {"values": ids})}
    names = named(asked.c, ids)
    return [
        {
            "account": names[pid].name, "account_id": names[pid].public_id,
            "kind": "company" if kind == "organization" else "person", "in_touch": pid in counts,
            "interactions": counts.get(pid, 0), "last_at": instant_or_none(at),
            "silent_days": None if at is None else (asked.now - instant(at)).days,
        }
        for pid, kind, at in told
    ]  # fmt: skip


# --- capture: the newest count of every source ----------------------------------------------------------------------


def _captured(asked: Asked) -> float | None:
    counts = [r for r in _counted(asked) if r.taken_at is not None]
    there = sum(r.at_source for r in counts)
    return sum(r.held for r in counts) / there if there else None


def _counted(asked: Asked) -> list[Any]:
    """Every stream that is read, with its newest census or None."""
    s, k, n = t.stream.c, t.connection.c, t.census
    newest = sa.select(n.c.stream_id, sa.func.max(n.c.id).label("id")).group_by(n.c.stream_id).subquery()
    query = (
        sa.select(k.name.label("connection"), s.name.label("stream"), n.c.at_source, n.c.held, n.c.taken_at,
                  n.c.missing, n.c.explained)
        .select_from(t.stream)
        .join(t.connection, k.id == s.connection_id)
        .outerjoin(newest, newest.c.stream_id == s.id)
        .outerjoin(n, n.c.id == newest.c.id)
        .where(sa.or_(n.c.id.is_not(None), s.last_try_at.is_not(None), s.last_good_at.is_not(None)), *streams_seen(asked.seen))
        .order_by(k.name, s.name)
    )  # fmt: skip
    return list(asked.c.execute(query))


def _capture(asked: Asked) -> Found:
    told = _counted(asked)
    rows = []
    for r in told:
        row: dict[str, Any] = {"connection": r.connection, "stream": r.stream}
        if r.taken_at is None:
            rows.append(row | dict.fromkeys(("at_source", "held", "covered", "missing", "explained", "counted_at")))
            continue
        missing, explained = len(json.loads(r.missing)), sum(json.loads(r.explained).values())
        rows.append(row | {
            "at_source": r.at_source, "held": r.held, "covered": r.held / r.at_source if r.at_source else None,
            "missing": max(missing, r.at_source - r.held), "explained": explained, "counted_at": instant(r.taken_at),
        })  # fmt: skip
    rows.sort(key=lambda r: (r["covered"] is not None, r["covered"] or 0, r["connection"], r["stream"]))
    counted = [r for r in rows if r["counted_at"] is not None]
    return Found(
        rows=rows,
        figures=[
            Figure("captured", "Capture coverage", _captured(asked), "share"),
            Figure("at_source", "At the sources", sum(r["at_source"] for r in counted), "whole"),
            Figure("held", "Of these held", sum(r["held"] for r in counted), "whole"),
            Figure("uncounted", "Streams never counted", len(rows) - len(counted), "whole"),
        ],
        total=len(rows),
        bars=[(f"{r['connection']}/{r['stream']}", {"held": r["covered"]}) for r in rows if r["covered"] is not None],
    )  # fmt: skip


ACTIVITY = Report(
    name="activity",
    title="Activity coverage",
    sentence="Which customers had any interaction in the last days, and which had none.",
    version=1,
    parameters=(
        Parameter("days", "Days", "whole", "in touch within so many days", 30, 1, 3650),
        Parameter("who", "Customers", "choice", "known: a tool keeps a record of them; all: everybody who ever took part in something",
                  "known", choices=("known", "all")),
        Parameter("show", "Show", "choice", "silent ones have the longest silence first, active ones the latest contact",
                  "all", choices=("all", "active", "silent")),
        Parameter("top", "Customers shown", "whole", "at most this many", 100, 1, 100_000),
    ),
    columns=(
        Column("account", "Customer", "text", is_told=True, about="account_id"),
        Column("account_id", "Customer id", "id", of="customer"),
        Column("kind", "Kind", "text"),
        Column("in_touch", "In touch", "flag"),
        Column("interactions", "Interactions", "whole", "interactions in these days"),
        Column("last_at", "Last one", "instant"),
        Column("silent_days", "Days since", "days", "whole days"),
    ),
    query=_activity,
    chart=Chart("bars", "Customers", "whole"),
    left_out=(
        "A company is in touch when any of its people is; people of a company do not count a second time.",
        "Any interaction counts, a campaign and its opening too; what is only planned does not.",
        "Role addresses and mailing lists that belong to no company are no customers.",
    ),
    empty="No tool has told of a customer yet: connect the one that keeps them, or ask with who=all.",
    beside="capture",
)  # fmt: skip

CAPTURE = Report(
    name="capture",
    title="Capture coverage",
    sentence="How much of what the sources hold was seen here, by the newest count of each: the worst first.",
    version=1,
    parameters=(),
    columns=(
        Column("connection", "Connection", "text"),
        Column("stream", "Stream", "text"),
        Column("at_source", "At the source", "whole", "records"),
        Column("held", "Held here", "whole", "records"),
        Column("covered", "Covered", "share"),
        Column("missing", "Missing", "whole", "records"),
        Column("explained", "Of these explained", "whole", "records"),
        Column("counted_at", "Counted", "instant"),
    ),
    query=_capture,
    chart=Chart("bars", "Share of what the source holds", "share"),
    left_out=(
        "A source that cannot be counted has no share, and is in no sum.",
        "Held is everything seen and accounted for, also what the capture policy leaves off the timeline.",
    ),
    empty="No source was counted yet. `ihub census` counts them now; after a sync it happens once a day.",
)  # fmt: skip
