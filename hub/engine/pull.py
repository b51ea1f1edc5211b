"""Pulling one stream: pages to the end, deletions reconciled, the census taken, every trouble given its status."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import landing
from hub import status as st
from hub.api import (
    AuthError,
    Clock,
    ContractBroken,
    CursorExpired,
    HubError,
    Page,
    Pull,
    RateLimited,
    ScopeError,
    Transient,
    Window,
)  # fmt: skip
from hub.engine import issues
from hub.engine.page import StreamRun, delete, take
from hub.landing import Books, Brake
from hub.store import LeaseLost, add_ids, change, chunks, fetch, instant, instant_or_none, micros, scalar
from hub.store import tables as t

log = logging.getLogger("hub.engine")
CENSUS_EVERY = timedelta(days=1)
RESYNC_AT_MOST = timedelta(days=1)


@dataclass
class StreamResult:
    """How a stream's run ended. has_drift: the census or a brake found something a person should see."""

    stream: str
    status: str
    detail: str = ""
    books: Books = field(default_factory=Books)
    has_drift: bool = False
    requests: int = 0


async def pull_stream(
    run: StreamRun, clock: Clock, since: datetime | None, brake: Brake, census: bool | None
) -> StreamResult:
    """Run the stream to its end. Never raises for the vendor's trouble; LeaseLost and our own bugs go through.

    census: True takes one now, False never, None when the last one is older than a day.
    """
    before = run.connector.http.requests
    result = StreamResult(run.stream, st.HEALTHY)
    try:
        await _pull(run, clock, since, brake, result)
        if not run.books.is_balanced:
            result.status, result.detail = st.BROKEN, "the books of this run do not balance"
        with run.store.read() as c:
            holds = landing.open_holds(c, run.stream_id)
        if holds and result.status == st.HEALTHY:
            result.status, result.detail, result.has_drift = st.DEGRADED, str(holds[0]["detail"]), True
        await take_census(run, clock, result, brake, census)
    except LeaseLost:
        raise
    except RateLimited as exc:
        until = exc.until or clock.now() + timedelta(seconds=exc.retry_after_s or 60)
        result.status, result.detail = st.WAITING, f"the vendor's limit is reached until {until:%Y-%m-%d %H:%M} UTC"
        _save(run, clock, {"waiting_until": micros(until)})
    except AuthError as exc:
        result.status, result.detail = st.RECONNECT, str(exc)
        issues.report(run, clock.now(), "sign-in", str(exc), whole_connection=True)
    except ScopeError as exc:
        result.status, result.detail = st.DEGRADED, str(exc)
        issues.report(run, clock.now(), "permission", str(exc))
    except Transient as exc:
        result.status, result.detail = st.DEGRADED, str(exc)
        issues.report(run, clock.now(), "unreachable", str(exc))
    except ContractBroken as exc:
        result.status, result.detail = st.BROKEN, str(exc)
        issues.report(run, clock.now(), "unknown answer", str(exc))
    except HubError as exc:
        result.status, result.detail = st.BROKEN, str(exc)
        issues.report(run, clock.now(), type(exc).__name__, str(exc))
    except Exception as exc:  # a connector's bug must cost its stream, not the others: it is reported as one
        log.exception("%s/%s: a bug in the connector", run.connection, run.stream)
        result.status, result.detail = st.BROKEN, f"{type(exc).__name__} in the connector: {exc}"
        issues.report(run, clock.now(), "bug in the connector", result.detail)
    result.books = run.books
    result.requests = run.connector.http.requests - before
    finish(run, clock, result)
    return result


async def _pull(run: StreamRun, clock: Clock, since: datetime | None, brake: Brake, result: StreamResult) -> None:
    row = _row(run)
    if not row["is_sweeping"] and row["cursor"] is None:
        row = _begin(run, clock, row, since)
    elif _is_earlier(since, instant_or_none(row["window_since"]), row):
        row = _begin(run, clock, row, since)  # more history is wanted than was read: enumerate again
    for attempt in (1, 2):
        run.sweep, run.is_sweeping = row["sweep"], bool(row["is_sweeping"])
        pull = Pull(
            run.stream, row["cursor"], Window(since=instant_or_none(row["window_since"])), held=_held_bodies(run)
        )
        try:
            async for page in run.connector.pull(pull):
                await _page(run, clock, page, brake, result)
            return
        except CursorExpired as exc:
            now = clock.now()
            last = instant_or_none(row["expired_at"])
            if attempt == 2 or (last is not None and now - last < RESYNC_AT_MOST):
                issues.report(run, now, "cursor keeps expiring", str(exc))
                if attempt == 2:
                    raise ContractBroken("the vendor's cursor expired again right after a full enumeration") from exc
                result.status = st.DEGRADED
                due = (last or now) + RESYNC_AT_MOST
                result.detail = (
                    f"the cursor expired twice within a day; the next full enumeration is due {due:%Y-%m-%d %H:%M} UTC"
                )
                return
            log.warning("%s/%s: cursor expired, enumerating everything again", run.connection, run.stream)
            row = _begin(run, clock, row, since, expired_at=micros(now))


def _is_earlier(since: datetime | None, pinned: datetime | None, row: Mapping[str, Any]) -> bool:
    if row["backfilled_at"] is None or pinned is None:
        return False
    return since is None or since < pinned - timedelta(days=2)


def _begin(run: StreamRun, clock: Clock, row: Mapping[str, Any], since: datetime | None, **more: Any) -> dict[str, Any]:
    """A full enumeration starts: its number tells afterwards which records it did not name."""
    pinned = row["window_since"]
    if row["cursor"] is None or pinned is None or since is None or micros(since) < pinned:
        pinned = micros(since) if since else None
    values = {"cursor": None, "sweep": row["sweep"] + 1, "is_sweeping": True, "window_since": pinned, **more}
    _save(run, clock, values)
    return {**row, **values}


def _held_bodies(run: StreamRun) -> Any:
    def held(ids: Sequence[str]) -> Mapping[str, bytes]:
        with run.store.read() as c:
            return landing.bodies(c, run.stream_id, ids)

    return held


async def _page(run: StreamRun, clock: Clock, page: Page, brake: Brake, result: StreamResult) -> None:
    now = clock.now()
    if page.is_full and not run.is_sweeping:
        # The connector enumerates everything on its own account: number it, so that its end can find what is gone.
        run.sweep = (run.sweep or 0) + 1
        run.is_sweeping = True
        _save(run, clock, {"sweep": run.sweep, "is_sweeping": True})
    ends_sweep = page.is_full and page.is_last
    cursor: dict[str, Any] = {"cursor": page.cursor}
    if page.total is not None:
        cursor["total"] = page.total
    if not ends_sweep:
        await asyncio.to_thread(take, run, page, now, cursor)
        return
    # The enumeration's end is stored only after what it did not name has been dealt with.
    await asyncio.to_thread(take, run, page, now, None)
    await _end_sweep(run, clock, brake, result)
    run.is_sweeping = False
    _save(run, clock, {**cursor, "is_sweeping": False, "backfilled_at": micros(clock.now())})


async def _end_sweep(run: StreamRun, clock: Clock, brake: Brake, result: StreamResult) -> None:
    """Records that a complete enumeration did not name: held when many, else asked for one by one."""
    row = _row(run)
    with run.store.read() as c:
        missing = landing.unseen(c, run.stream_id, run.sweep or 0, row["window_since"])
        standing = landing.live_count(c, run.stream_id)
    if not missing:
        return
    if brake.holds(len(missing), standing):
        _hold_deletions(run, clock, [ext for _, ext in missing], standing, result)
        return
    await confirm_gone(run, clock, missing)


async def confirm_gone(run: StreamRun, clock: Clock, missing: Sequence[tuple[int, str]]) -> int:
    """Ask for each missing record: what still answers stays (and is read), the rest is deleted. Returns deletions."""
    gone = 0
    for part in chunks(list(missing), 100):
        ids = [ext for _, ext in part]
        try:
            alive = await run.connector.fetch(run.stream, ids)
        except NotImplementedError:
            alive = []
        found = {r.external_id for r in alive}
        going = [rid for rid, ext in part if ext not in found]
        now = clock.now()
        if alive:
            await asyncio.to_thread(take, run, Page(records=alive, cursor=""), now, None)
        with run.store.write() as c:
            run.fenced(c, now)
            delete(run, c, going, "missing at source", now)
        run.books.seen += len(going)
        run.books.enter("deleted", "missing at source", len(going))
        gone += len(going)
    return gone


_LAST_CENSUS = sa.select(sa.func.max(t.census.c.taken_at)).where(t.census.c.stream_id == sa.bindparam("stream"))
_LIVE = sa.select(t.record.c.external_id).where(
    t.record.c.stream_id == sa.bindparam("stream"), t.record.c.gone_at.is_(None)
)


async def take_census(run: StreamRun, clock: Clock, result: StreamResult, brake: Brake, wanted: bool | None) -> None:
    """Count the source independently and name what we do not hold; what can be fetched is fetched."""
    declared = run.connector.manifest.stream(run.stream).census
    if wanted is False or declared == "none" or result.status != st.HEALTHY:
        return
    now = clock.now()
    if wanted is None:
        with run.store.read() as c:
            last = scalar(c, _LAST_CENSUS, stream=run.stream_id)
        row = _row(run)
        is_newer = last is not None and last >= (row["backfilled_at"] or 0) and row["status"] in {st.HEALTHY, "new"}
        if last is not None and is_newer and now - instant(last) < CENSUS_EVERY:
            return
    row = _row(run)
    window = Window(since=instant_or_none(row["window_since"]), until=None)
    counted = await run.connector.census(run.stream, window)
    if counted is None:
        return
    if counted.ids is None:
        _compare_counts(run, now, counted.count or 0, row["window_since"], result)
        return
    missing, surplus = _compare(run, counted.ids)
    if missing or surplus:
        # What changed while we counted is no gap: let the change feed speak once more.
        await _pull(run, clock, instant_or_none(row["window_since"]), brake, result)
        missing, extra = _compare(run, counted.ids)
        surplus = sorted(set(surplus) & set(extra))
    repaired = await _repair(run, clock, missing)
    still = [ext for ext in missing if ext not in repaired]
    removed = await _dismiss(run, clock, surplus, brake, result)
    explained = {
        why: n
        for why, n in (("fetched after the census named them", len(repaired)), ("gone at the source, removed", removed))
        if n
    }
    _enter_census(
        run, now, row["window_since"], len(counted.ids), len(counted.ids) - len(missing), missing, surplus, explained
    )
    if not missing and not surplus:
        issues.close(run, now, "census gap")
        return
    result.has_drift = True
    told = []
    if missing:
        told.append(f"{len(missing)} of {len(counted.ids)} records at the source had not come through the change feed")
        told.append(f"{len(repaired)} of them fetched now")
    if surplus:
        told.append(f"{len(surplus)} records held are no longer at the source, {removed} of them removed")
    detail = "census: " + "; ".join(told)
    if still or len(surplus) > removed:
        result.status = st.DEGRADED
    result.detail = result.detail or detail
    issues.report(run, now, "census gap", detail)


def _compare(run: StreamRun, at_source: frozenset[str]) -> tuple[list[str], list[str]]:
    """(ids the source has and we do not, ids we hold live and the source does not name)."""
    with run.store.read() as c:
        ours = {ext for (ext,) in fetch(c, _LIVE, stream=run.stream_id)}
    return sorted(at_source - ours), sorted(ours - at_source)


def _compare_counts(run: StreamRun, now: datetime, at_source: int, since: int | None, result: StreamResult) -> None:
    with run.store.read() as c:
        held = landing.live_count(c, run.stream_id)
    _enter_census(run, now, since, at_source, min(held, at_source), [], [], {})
    if at_source <= held:
        issues.close(run, now, "census gap")
        return
    result.has_drift, result.status = True, st.DEGRADED
    result.detail = f"census: {at_source - held} of {at_source} records at the source are not held"
    issues.report(run, now, "census gap", result.detail)


def _enter_census(
    run: StreamRun, now: datetime, since: int | None, at_source: int, held: int, missing: list[str], surplus: list[str],
    explained: dict[str, int],
) -> None:  # fmt: skip
    with run.store.write() as c:
        add_ids(c, t.census, [{
            "stream_id": run.stream_id, "since": since, "until": None, "taken_at": micros(now), "at_source": at_source,
            "held": held, "missing": _json(missing[:10000]), "surplus": _json(surplus[:10000]), "explained": _json(explained),
        }])  # fmt: skip


async def _dismiss(run: StreamRun, clock: Clock, surplus: list[str], brake: Brake, result: StreamResult) -> int:
    """Records the source did not name any more: held when many, else asked for and removed. Returns removals."""
    if not surplus:
        return 0
    with run.store.read() as c:
        standing = landing.live_count(c, run.stream_id)
        known = landing.held(c, run.stream_id, surplus)
    if brake.holds(len(surplus), standing):
        _hold_deletions(run, clock, surplus, standing, result)
        return 0
    return await confirm_gone(run, clock, [(h.id, ext) for ext, h in known.items()])


def _hold_deletions(run: StreamRun, clock: Clock, ids: list[str], standing: int, result: StreamResult) -> None:
    detail = f"{len(ids)} of {standing} records are no longer listed: nothing removed until somebody says so"
    with run.store.write() as c:
        landing.open_hold(c, "mass_delete", run.stream_id, ids, detail, micros(clock.now()))
    result.status, result.detail, result.has_drift = st.DEGRADED, detail, True
    issues.report(run, clock.now(), "many records vanished", detail)


async def _repair(run: StreamRun, clock: Clock, missing: Sequence[str]) -> set[str]:
    repaired: set[str] = set()
    for part in chunks(list(missing), 100):
        try:
            found = await run.connector.fetch(run.stream, part)
        except NotImplementedError:
            break
        await asyncio.to_thread(take, run, Page(records=found, cursor=""), clock.now(), None)
        repaired |= {r.external_id for r in found}
    return repaired


def finish(run: StreamRun, clock: Clock, result: StreamResult) -> None:
    """Write down how the run ended. `last_good` moves only when everything did, to the end."""
    now = clock.now()
    values: dict[str, Any] = {
        "id": run.stream_id, "status": result.status, "detail": result.detail[:2000], "last_try_at": micros(now),
    }  # fmt: skip
    if result.status == st.HEALTHY:
        values |= {"last_good_at": micros(now), "waiting_until": None}
    with run.store.write() as c:
        if result.status == st.HEALTHY:
            issues.close_all(c, run, now, keep="census gap")
        change(c, t.stream, [values])
        end_run(c, run, clock, result)


def end_run(c: Connection, run: StreamRun, clock: Clock, result: StreamResult) -> None:
    """Close the run's own row; says nothing about the stream."""
    ended = {
        "id": run.run_id, "ended_at": micros(clock.now()), "status": result.status, "seen": run.books.seen,
        "error": "" if result.status == st.HEALTHY else result.detail, "books": _json(run.books.to_dict()),
        "requests": run.connector.http.requests, "units": run.connector.http.budget.spent,
    }  # fmt: skip
    change(c, t.run, [ended])


_ROW = sa.select(t.stream).where(t.stream.c.id == sa.bindparam("wanted"))


def _row(run: StreamRun) -> dict[str, Any]:
    with run.store.read() as c:
        [row] = fetch(c, _ROW, wanted=run.stream_id)
        found: dict[str, Any] = row._asdict()
        return found


def _save(run: StreamRun, clock: Clock, values: dict[str, Any]) -> None:
    with run.store.write() as c:
        run.fenced(c, clock.now())
        change(c, t.stream, [{"id": run.stream_id, **values}])


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
