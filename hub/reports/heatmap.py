"""Capture coverage week by week: what each count of a source found, set against what was held."""

import json
from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.weeks import Week, weeks
from hub.store import among, instant, micros, plain
from hub.store import tables as t

Row = dict[str, Any]
WEEKS = 26
_FETCHED = "fetched after the census named them"  # as the engine explains missing records that it could still read
_k, _s, _n, _r = t.connection.c, t.stream.c, t.census.c, t.run.c


_NONE = {"covered": None, "found": 0, "open": 0, "counts": 0}
_COUNTS = (  # never the lists of what was missing: a count that names a thousand ids would make a page slow
    sa.select(_n.stream_id, _n.taken_at, _n.at_source, _n.held, _n.explained)
    .where(among(_n.stream_id), _n.taken_at >= sa.bindparam("begin"), _n.taken_at < sa.bindparam("end"))
    .order_by(_n.stream_id, _n.taken_at)
)


def coverage(c: Connection, now: datetime, zone: tzinfo, last: date) -> Row:
    """{"weeks": newest first, "streams": [{"connection", "stream", "counted_at", "cells"}], "earlier": a Monday or None}.

    last: a day of the newest week that is wanted. Streams of connections that were let go are left out. A cell is
    {"state", "covered", "found", "open", "counts"}. state: whole: every count found all of it here; fetched: records were
    missing, and all could be fetched at once; missing: some are still missing after the week's last count; uncounted: read,
    not counted; before: not read yet. covered: the smallest share a count of the week found held, None without one. found:
    records missing at the worst of these counts, before they were fetched.
    """
    span = weeks(last - timedelta(weeks=WEEKS - 1), last, zone)
    began = sa.select(_r.started_at).where(_r.stream_id == _s.id).order_by(_r.id).limit(1).correlate(t.stream)
    newest = sa.select(sa.func.max(_n.taken_at)).where(_n.stream_id == _s.id).correlate(t.stream)
    query = (
        sa.select(_s.id, _k.name, _s.name, began.scalar_subquery(), newest.scalar_subquery())
        .join(t.connection, _k.id == _s.connection_id)
        .where(_k.is_paused.is_(sa.false()))
        .order_by(_k.name, _s.name)
    )
    streams = c.execute(query).all()
    ids = [r[0] for r in streams]
    cells = _counted(c, ids, span)
    first = sa.select(sa.func.min(_n.taken_at)).where(_n.stream_id.in_(ids))
    oldest = c.execute(first).scalar()
    return {
        "weeks": [{"name": w.name, "monday": w.monday, "is_now": w.begin <= micros(now) < w.end} for w in reversed(span)],
        "streams": [
            {
                "connection": connection, "stream": stream, "counted_at": None if at is None else instant(at),
                "cells": [cells.get((sid, w.begin)) or _uncounted(w, begin, micros(now)) for w in reversed(span)],
            }
            for sid, connection, stream, begin, at in streams
        ],
        "earlier": span[0].monday - timedelta(days=1) if oldest is not None and oldest < span[0].begin else None,
    }  # fmt: skip


def gaps(told: Mapping[str, Any]) -> list[Row]:
    """The weeks of `coverage` in which something was missing: newest week first, what is still missing first in it."""
    found = [
        {"week": w["name"], "connection": s["connection"], "stream": s["stream"], "found": cell["found"], "open": cell["open"]}
        for i, w in enumerate(told["weeks"])
        for s in sorted(told["streams"], key=lambda s: (-s["cells"][i]["open"], s["connection"], s["stream"]))
        if (cell := s["cells"][i])["found"]
    ]  # fmt: skip
    return found


def _counted(c: Connection, stream_ids: list[int], span: list[Week]) -> dict[tuple[int, int], Row]:
    """(stream, begin of the week) -> the cell of a week that has counts."""
    begins = [w.begin for w in span]
    given = {"values": stream_ids, "begin": span[0].begin, "end": span[-1].end}
    cells: dict[tuple[int, int], Row] = {}
    for sid, at, at_source, held, explained in plain(c, _COUNTS, **given):
        missing = max(at_source - held, 0)
        fetched = json.loads(explained).get(_FETCHED, 0) if missing and explained != "{}" else 0
        key = sid, begins[bisect_right(begins, at) - 1]
        cell = cells.get(key) or cells.setdefault(
            key, {"state": "", "covered": 1.0, "found": 0, "open": 0, "counts": 0}
        )
        cell["counts"] += 1
        cell["found"] = max(cell["found"], missing)
        cell["open"] = max(missing - fetched, 0)  # of the last count alone
        if missing:
            cell["covered"] = min(cell["covered"], held / at_source)
    for cell in cells.values():
        cell["state"] = "missing" if cell["open"] else "fetched" if cell["found"] else "whole"
    return cells


def _uncounted(week: Week, began: int | None, now: int) -> Row:
    is_before = began is None or began >= week.end or week.begin > now
    return {"state": "before" if is_before else "uncounted", **_NONE}
