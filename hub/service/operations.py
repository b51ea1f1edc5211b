"""What keeps the hub running, looked at closely: connections and their runs, coverage, issues, quarantine, and the brake."""

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from hub import reports
from hub.access.errors import Invalid
from hub.access.roles import BODIES_READ, CONNECTIONS_READ, HEALTH_READ, PLANS_APPROVE, QUARANTINE_REPLAY
from hub.api import HubError
from hub.engine import push
from hub.health import ORDER
from hub.reports import connections, failed, heatmap, issues
from hub.reports import runs as of_runs
from hub.service.desk import Desk, NotFound

log = logging.getLogger("hub.service")
Row = dict[str, Any]
MOST = 200  # rows of one page
RAW_BYTES = 64_000  # of a raw form that are shown
_TROUBLE = ORDER[: ORDER.index("waiting-until") + 1]
_SAID = {
    "needs-reconnect": "sign in to {} again, nothing comes in from there",
    "broken": "the hub has stopped at something it does not understand in {}",
    "degraded": "part of {} failed or waits for a person",
    "stale": "nothing came through from {} for a day",
    "waiting-until": "the limit of {} is used up for now, it goes on by itself",
}
# The newest plan of a connection that is written to, ranked among the words of streams.
_PLAN_RANK = {"held": "degraded", "partly": "degraded", "applying": "catching-up", "draft": "waiting-until"}


def overview(desk: Desk) -> Row:
    """How everything stands: {"status", "sentence", "as_of", "rows", "issues", "holds", "idle", "balanced"}.

    rows: connection, stream and direction ("in", or "out" for what is written), worst first, each with `fresh_at` (up to
    when everything is in), `lag_s` behind now, and its last `run`. idle: connections that are not read on a schedule.
    """
    engine, now = desk.engine, desk.now
    with desk.reading(HEALTH_READ) as (c, _):
        found = reports.health(c, engine.names(), now)
        known = [*engine.settings.connections, *connections.names(c)]
        others = [n for n in dict.fromkeys(known) if n not in engine.names()]
        idle = reports.health(c, others, now)["connections"] if others else []
        last = of_runs.last_runs(c, now)
        rows = [_in(x, s, last, now) for x in found["connections"] for s in x["streams"] or [_NEVER]]
        writes = of_runs.writing(c, push.destinations(engine))
        rows += [_out(w, last, now) for w in writes]
    rows.sort(key=lambda r: (r["rank"], r["connection"], r["direction"], r["stream"]))
    told = issues.worst_first([issues.advised(i) for i in found["issues"]])
    return {
        "status": found["status"], "sentence": _sentence(found, writes), "as_of": now, "rows": rows, "issues": told,
        "holds": found["holds"], "idle": idle, "balanced": found["balanced"], "connections": len(found["connections"]),
        "meaning": issues.STATUSES,
    }  # fmt: skip


def connection(desk: Desk, name: str) -> Row:
    """One connection: its streams with how far each was read, quota, open issues and holds. Raises NotFound."""
    now = desk.now
    with desk.reading(HEALTH_READ) as (c, seen):
        kept = _known(desk, c, name)
        found = reports.health(c, [name], now)
        mine = found["connections"][0]
        told = [issues.advised(i) for i in found["issues"] if i["connection"] == name]
        facts = kept or {"connector": desk.engine.settings.connections[name].connector, "reading": {}}
        for stream in mine["streams"]:
            stream["reading"] = facts["reading"][stream["stream"]]
            stream["lag_s"] = _lag(stream["last_good_at"], now)
        failures = failed.by_connection(c, seen).get(name, 0) if desk.viewer.may(QUARANTINE_REPLAY) else None
        quota, problem = _quota(desk, c, name, facts)
    settings = desk.engine.settings.connections.get(name)
    return {
        **{k: v for k, v in facts.items() if k != "reading"}, **mine, "as_of": now, "issues": issues.worst_first(told),
        "holds": [h for h in found["holds"] if h["connection"] == name], "quota": quota, "quota_problem": problem,
        "quarantined": failures, "is_configured": settings is not None, "is_enabled": bool(settings and settings.enabled),
        "schedule": str(desk.engine.settings.schedule_of(name)) if settings and settings.enabled else "",
        "meaning": issues.STATUSES,
    }  # fmt: skip


def runs(desk: Desk, name: str, *, limit: int = 25, before: int | None = None, show: str = "") -> Row:
    """{"runs": newest first, "next": the `before` of the next page or None} of a connection (`hub.reports.runs`).

    show: "news" leaves out runs that met nothing, "trouble" those that ended well. Raises NotFound, Invalid.
    """
    if show not in {"", "news", "trouble"}:
        raise Invalid(f"is {show!r}", field="show", fix="news, trouble, or nothing for all")
    if not 1 <= limit <= MOST:
        raise Invalid(f"is {limit}", field="limit", fix=f"a whole number from 1 to {MOST}")
    with desk.reading(HEALTH_READ) as (c, _):
        _known(desk, c, name)
        found = of_runs.runs(c, name, desk.now, limit=limit + 1, before=before, show=show)
    return {"runs": found[:limit], "next": found[limit - 1]["run"] if len(found) > limit else None}


def run(desk: Desk, number: int) -> Row:
    """One run with its books, and what was noted while it was under way (`hub.reports.runs`). Raises NotFound."""
    with desk.reading(HEALTH_READ) as (c, _):
        try:
            return of_runs.run(c, number, desk.now)
        except KeyError:
            raise NotFound(f"there is no run {number}") from None


def coverage(desk: Desk, until: str = "") -> Row:
    """Capture coverage by week (`hub.reports.heatmap`), with `gaps`, and of each stream whether it `can_be_counted`.

    until: the newest week to show, such as "2026-W20"; the current one if "". earlier, later: that of the pages beside
    this one, "" where there is none. Raises Invalid.
    """
    zone = desk.engine.settings.hub.zone
    today = desk.now.astimezone(zone).date()
    last = min(_sunday(until), _sunday(f"{today:%G-W%V}")) if until else today
    with desk.reading(HEALTH_READ) as (c, _):
        found = heatmap.coverage(c, desk.now, zone, last)
    for stream in found["streams"]:
        stream["can_be_counted"] = _can_be_counted(desk, stream["connection"], stream["stream"])
    later = "" if found["weeks"][0]["is_now"] else f"{last + timedelta(weeks=heatmap.WEEKS):%G-W%V}"
    earlier = f"{found['earlier']:%G-W%V}" if found["earlier"] else ""
    return {**found, "gaps": heatmap.gaps(found), "as_of": desk.now, "earlier": earlier, "later": later}


def open_issues(desk: Desk) -> list[Row]:
    """What went wrong and is not over, what stops something first: with what it means and what to do."""
    with desk.reading(HEALTH_READ) as (c, _):
        found = reports.health(c, [], desk.now)["issues"]
    return issues.worst_first([issues.advised(i) for i in found])


def quarantined(desk: Desk, *, connection: str = "", stream: str = "", before: str = "", limit: int = 50) -> Row:
    """{"records": newest first, "next": the mark of the next page, "by_connection": how many each has in all}.

    Raises Invalid for a strange mark.
    """
    with desk.reading(QUARANTINE_REPLAY) as (c, seen):
        try:
            if "\0" in connection + stream:
                return {"records": [], "next": "", "by_connection": failed.by_connection(c, seen)}
            rows, mark = failed.failed(
                c, seen, limit=min(limit, MOST), before=before, connection=connection, stream=stream
            )
        except ValueError:
            fix = "take it from `next` of the page before"
            raise Invalid("is no mark of a page", field="before", fix=fix) from None
        return {"records": rows, "next": mark, "by_connection": failed.by_connection(c, seen)}


def quarantined_record(desk: Desk, connection: str, stream: str, external_id: str) -> Row:
    """One record in quarantine; `raw`, its raw form as text, only for who may read messages. Raises NotFound."""
    with desk.reading(QUARANTINE_REPLAY) as (c, seen):
        size = RAW_BYTES if desk.viewer.may(BODIES_READ) else 0
        try:
            if "\0" in connection + stream + external_id:
                raise KeyError(external_id)
            return failed.one(c, connection, stream, external_id, seen, raw_bytes=size)
        except KeyError:
            raise NotFound(f"there is no record {external_id!r} of {connection}/{stream} in quarantine") from None


async def decide_hold(desk: Desk, number: int, *, remove: bool) -> Row:
    """A person's word on records that the brake kept: ask the source about each and remove what is gone, or keep all.

    {"hold", "removed"}. Raises NotFound, and what the source's refusal is.
    """
    with desk.reading(PLANS_APPROVE) as (c, _):
        if number not in {h["hold"] for h in reports.health(c, [], desk.now)["holds"]}:
            raise NotFound(f"there is no open hold {number}: health lists them")
    log.info("hold %d: %s by %s", number, "released" if remove else "all kept", desk.viewer.actor)
    return {"hold": number, "removed": await desk.engine.release_hold(number, remove)}


# --- inside -----------------------------------------------------------------------------------------------------------

_NEVER: Row = {
    "stream": "", "status": "new", "detail": "", "last_good_at": None, "last_try_at": None, "waiting_until": None,
    "quarantined": 0, "census": None, "records": {},
}  # fmt: skip


def _in(of: Row, s: Row, last: dict[tuple[str, str], Row], now: datetime) -> Row:
    status = of["status"] if not of["streams"] else s["status"]
    return {
        "connection": of["connection"], "label": of["label"], "stream": s["stream"], "direction": "in", "status": status,
        "detail": s["detail"], "fresh_at": s["last_good_at"], "lag_s": _lag(s["last_good_at"], now),
        "run": last.get((of["connection"], s["stream"])) if s["stream"] else None, "quarantined": s["quarantined"],
        "census": s["census"], "plan": None, "changes": {}, "rank": _rank(status),
    }  # fmt: skip


def _out(w: Row, last: dict[tuple[str, str], Row], now: datetime) -> Row:
    """What is written: the newest plan's word, or the status its last try ended with where that is worse."""
    run = last.get((w["connection"], ""))
    status = w["status"] or "new"
    rank = _rank(_PLAN_RANK.get(status, "healthy")) if w["plan"] else _rank("new")
    if run and run["status"] in _TROUBLE and _rank(run["status"]) < rank:
        status, rank = run["status"], _rank(run["status"])
    return {
        "connection": w["connection"], "label": "", "stream": "", "direction": "out", "status": status,
        "detail": run["error"] if run and run["status"] == status else "", "fresh_at": w["applied_at"],
        "lag_s": _lag(w["applied_at"], now), "run": run, "quarantined": 0, "census": None, "plan": w["plan"],
        "changes": w["changes"], "rank": rank,
    }  # fmt: skip


def _sentence(found: Row, writes: Sequence[Row]) -> str:
    """The overall verdict in one sentence."""
    streams = [(x["connection"], s["status"]) for x in found["connections"] for s in x["streams"]]
    if not found["connections"]:
        return "Nothing is connected yet."
    said = [
        _SAID[word].format(_named(list(dict.fromkeys(n for n, status in streams if status == word))))
        for word in _TROUBLE
        if any(status == word for _, status in streams)
    ]
    new = [x["connection"] for x in found["connections"] if x["status"] == "new"]
    if new and not said:
        said.append(f"not read yet: {_named(new)}")
    if not said:
        active = [status for _, status in streams if status != "paused"]
        fine = "the only stream is fine" if len(active) == 1 else f"all {len(active)} streams are fine"
        said.append(fine if active else "nothing is read any more: all was disconnected")
    plans = sum(w["status"] in {"draft", "held"} for w in writes)
    counts = ((len(found["holds"]), "hold"), (len(found["issues"]), "open issue"), (plans, "plan"))
    waits = [f"{n} {word if n == 1 else word + 's'}" for n, word in counts if n]
    if waits:
        said.append(f"{_and(waits)} to look at")
    if not found["balanced"]:
        said.append("the books of a last run do not balance: please report it")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _named(of: Sequence[str]) -> str:
    """ "gmail, calendar and 3 more"."""
    return _and(of if len(of) <= 3 else [*of[:2], f"{len(of) - 2} more"])


def _and(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else 0


def _lag(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max((now - at).total_seconds(), 0.0)


def _known(desk: Desk, c: Connection, name: str) -> Row | None:
    """What is kept of the connection; None where it has not run. Raises NotFound."""
    kept = connections.connection(c, name) if "\0" not in name else None  # which no text in PostgreSQL has
    if kept is None and name not in desk.engine.settings.connections:
        raise NotFound(f"there is no connection {name!r}: health lists them")
    return kept


def _quota(desk: Desk, c: Connection, name: str, facts: Row) -> tuple[list[Row], str]:
    """(what was spent of each budget, why that is not known). Only the connector, built from its settings, knows them."""
    if name not in desk.engine.settings.connections:
        return [], ""
    try:
        connector = desk.engine.connector(name, {"account_id": facts.get("account_id", "")})
        return connections.quota(c, connector.services.account, connector.budgets(), desk.now), ""
    except Exception as exc:  # a wrong setting or a connector's bug must not hide how the connection is doing
        log.info("%s: the quota is not known: %s", name, exc)
        is_told = isinstance(exc, HubError) and desk.viewer.may(CONNECTIONS_READ)
        return [], str(exc) if is_told else "its settings are not complete"


def _can_be_counted(desk: Desk, name: str, stream: str) -> bool:
    try:
        manifest = desk.engine.registry.get(desk.engine.settings.connections[name].connector).manifest
        return manifest.stream(stream).census != "none"
    except Exception:  # one that is no longer configured or installed: what was counted stands
        return True


def _sunday(week: str) -> date:
    """The last day of an ISO week such as "2026-W20". Raises Invalid."""
    try:
        found = datetime.strptime(f"{week}-7", "%G-W%V-%u").date()
        if found.year < 2000:  # before anything was counted, and half a year later than the first day there is
            raise ValueError(week)
        return found
    except ValueError:
        raise Invalid(f"is {week!r}", field="until", fix="a week such as 2026-W20") from None
