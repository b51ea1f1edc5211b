"""The doorbell: what webhooks named is looked at now instead of at the next poll.

A notice is a hint, never the truth. Named records are fetched and carried through the rooms like any page; a named
stream is pulled from its cursor. Whatever cannot be done is tried again a few times and then left to polling, which
reaches the same state alone. A notice counts as done only after what it caused is stored: after a crash it is due
still, and looking twice does no harm.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hub import inbox, landing
from hub import status as st
from hub.api import HubError, Interaction, Page, RateLimited, RawRecord
from hub.engine.engine import Engine, SyncResult, line
from hub.engine.page import StreamRun, take
from hub.engine.pull import StreamResult, end_run, pull_stream
from hub.inbox import Rung
from hub.landing import Brake
from hub.store import LeaseLost, chunks, instant_or_none
from hub.store import tables as t

log = logging.getLogger("hub.engine")
FETCH_AT_ONCE = 100
GIVE_WAY = timedelta(seconds=60)  # longer than any scheduler takes to start a poll that is due
PRUNE_EVERY = timedelta(hours=6)


async def attend(
    engine: Engine, bell: asyncio.Event, *, every_s: float = 5.0, settle_s: float = 0.5, at_once: int = 4
) -> None:
    """Answer until cancelled: soon after `bell` is set, and every `every_s` for notices that other processes received.

    settle_s: vendors ring in bursts; waiting this long makes one look of many. at_once: connections looked at at a
    time; a slow one does not keep the others waiting.
    """
    at_work: dict[str, asyncio.Task[SyncResult | None]] = {}
    gate = asyncio.Semaphore(at_once)
    pruned_at: datetime | None = None

    async def one(name: str) -> SyncResult | None:
        async with gate:
            return await answer(engine, name)

    try:
        while True:
            try:
                await asyncio.wait_for(bell.wait(), every_s)
                await asyncio.sleep(settle_s)
            except TimeoutError:
                pass
            bell.clear()
            try:
                for name in [name for name, task in at_work.items() if task.done()]:
                    at_work.pop(name).result()
                for name in _rung(engine):
                    if name not in at_work:
                        at_work[name] = asyncio.create_task(one(name))
                now = engine.clock.now()
                if pruned_at is None or now - pruned_at >= PRUNE_EVERY:
                    with engine.store.write() as c:
                        inbox.prune(c, now)
                    pruned_at = now
            except Exception:  # a database that is away for a while must not end the doorbell; what is due stays due
                log.exception("the doorbell could not be answered")
    finally:
        for task in at_work.values():
            task.cancel()
        if at_work:
            await asyncio.wait(at_work.values())


async def answer_all(engine: Engine) -> list[SyncResult]:
    """Look at everything that is due now, one connection after the other."""
    results = [await answer(engine, name) for name in _rung(engine)]
    return [r for r in results if r is not None]


def _rung(engine: Engine) -> list[str]:
    with engine.store.read() as c:
        return inbox.rung(c, engine.clock.now())


async def answer(engine: Engine, name: str) -> SyncResult | None:
    """Look at what is due for one connection; None when there was nothing to do, or somebody else is on it.

    A poll that has just come due goes first: the doorbell must never keep the truth waiting, however often it rings.
    Never raises for the vendor's trouble or a connector's bug.
    """
    try:
        now = engine.clock.now()
        row = engine._row(name) if name in engine.names() else None
        if row is None or row["is_paused"]:
            with engine.store.write() as c:
                inbox.let_go(c, name, now)
            return None
        poll_at = instant_or_none(row["next_at"])
        if poll_at is not None and poll_at <= now < poll_at + GIVE_WAY:
            return None
        async with engine.lease(f"connection:{name}") as fence:
            if fence is None:
                return None
            result = await _answer(engine, name, fence)
        has_news = any(r.books.seen > r.books.counts["unchanged"] for r in result.streams)
        return await engine._deliver(result) if has_news else result
    except (HubError, LeaseLost) as exc:
        log.warning("%s: the doorbell was not answered: %s", name, exc)
        return None


async def _answer(engine: Engine, name: str, fence: int) -> SyncResult:
    # Read under the lease: whoever held it before us may have dealt with some.
    with engine.store.read() as c:
        rung = inbox.due(c, name, engine.clock.now())
    settings = engine.settings.connections[name]
    connection_id = engine._row(name)["id"]
    connector = engine.connector(name)
    known = {s.name for s in connector.manifest.streams}
    results = []
    try:
        for one in rung:
            with engine.store.read() as c:
                mine = (t.stream.c.connection_id == connection_id, t.stream.c.name == one.stream)
                row = c.execute(sa.select(t.stream).where(*mine)).mappings().first()
            is_begun = row is not None and (row["cursor"] is not None or row["is_sweeping"])
            if one.stream not in (settings.streams or known) or row is None or not is_begun:
                # Not wanted, or not read yet: the reading to come begins after whatever this was about.
                _done(engine, one.ids())
                continue
            run = engine._run(name, connection_id, connector, one.stream, fence, "doorbell")
            run.sweep = row["sweep"]  # what is fetched is seen at the source as surely as what is listed
            results.append(await _look(engine, run, one, dict(row)))
    finally:
        await connector.aclose()
    statuses = [r.status for r in results]
    code = st.exit_code(statuses, has_failures=any(r.books.counts["failed"] for r in results))
    return SyncResult(name, st.worst(statuses), code, results, [line(name, r) for r in results])


async def _look(engine: Engine, run: StreamRun, one: Rung, row: dict[str, Any]) -> StreamResult:
    """Fetch what was named, pull where the stream was. Trouble is not reported as an issue: polling will meet it."""
    settings, clock = engine.settings.connections[run.connection], engine.clock
    record = engine.settings.system_of_record
    brake = Brake(record.brake_percent, record.brake_count)
    result = StreamResult(run.stream, st.HEALTHY)
    left = one.ids()
    until: datetime | None = None
    try:
        whole = "" in one.records
        for part in chunks([x for x in one.records if x], FETCH_AT_ONCE):
            try:
                await _fetch(run, part, brake, instant_or_none(row["window_since"]), clock.now())
            except NotImplementedError:
                whole = True
                break
            looked = set(one.ids(part))
            _done(engine, looked)
            left = [i for i in left if i not in looked]
        if whole and not row["is_sweeping"]:
            since = settings.since_at(clock.now())
            result = await pull_stream(run, clock, since, brake, census=False)
        else:
            result.books = run.books
            with run.store.write() as c:
                end_run(c, run, clock, result)
        if result.status == st.HEALTHY:
            _done(engine, left)
            return result
    except LeaseLost:
        raise
    except Exception as exc:  # the vendor's trouble or a connector's bug: costs this stream its early look
        if isinstance(exc, RateLimited):
            until = exc.until or clock.now() + timedelta(seconds=exc.retry_after_s or 60)
        elif not isinstance(exc, HubError):
            log.exception("%s/%s: a bug in the connector", run.connection, run.stream)
        result.status = st.WAITING if until else st.DEGRADED
        result.detail = str(exc) if isinstance(exc, HubError) else f"{type(exc).__name__} in the connector: {exc}"
        result.books = run.books
        with run.store.write() as c:
            end_run(c, run, clock, result)
    with engine.store.write() as c:
        is_again = inbox.postpone(c, one, left, clock.now(), until)
    what = "looking again later" if is_again else "left to the next poll"
    log.warning("%s/%s: the doorbell rang, but %s; %s", run.connection, run.stream, result.detail, what)
    return result


async def _fetch(run: StreamRun, ids: Sequence[str], brake: Brake, since: datetime | None, now: datetime) -> None:
    given = await run.connector.fetch(run.stream, ids)
    named = {r.external_id for r in given}
    gone = _gone(run, [x for x in ids if x not in named], brake)
    page = Page(records=[r for r in given if _is_in(run, r, since)], cursor="", gone=gone)
    await asyncio.to_thread(take, run, page, now, None)


def _gone(run: StreamRun, missing: list[str], brake: Brake) -> list[str]:
    """Of records that were named and not given, those to let go. Very many at once are left to the poll to judge."""
    if not missing or run.connector.manifest.stream(run.stream).deletes == "undetectable":
        return []
    with run.store.read() as c:
        live = [x for x, h in landing.held(c, run.stream_id, missing).items() if not h.is_gone]
        standing = landing.live_count(c, run.stream_id)
    return [] if brake.holds(len(live), standing) else live


def _is_in(run: StreamRun, raw: RawRecord, since: datetime | None) -> bool:
    """False for what lies before the window: whether such a record is wanted all the same, only a poll knows."""
    if since is None:
        return True
    try:
        times = [e.occurred_at for e in run.connector.to_canonical(run.stream, raw) if isinstance(e, Interaction)]
    except Exception:  # `take` meets it again, sets the record aside and says why
        return True
    dated = [at for at in times if at is not None]
    return not dated or any(at >= since for at in dated)


def _done(engine: Engine, ids: Iterable[int]) -> None:
    with engine.store.write() as c:
        inbox.done(c, ids, engine.clock.now())
