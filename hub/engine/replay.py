"""Going over stored records again: after a policy change, a new mapping, or a mended quarantine. No vendor calls
but for records the old policy had kept out."""

import asyncio
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hub import landing
from hub import status as st
from hub.api import Clock, HubError, Page, RawRecord
from hub.engine.page import StreamRun, take
from hub.store import change, chunks, micros, scalar, tell
from hub.store import tables as t

if TYPE_CHECKING:
    from hub.engine.engine import Engine

log = logging.getLogger("hub.engine")

_live = sa.and_(t.record.c.stream_id == sa.bindparam("stream"), t.record.c.gone_at.is_(None))
_OTHERWISE = sa.select(t.record.c.id).where(_live, t.record.c.policy != sa.bindparam("policy")).limit(1)
_UNJUDGE = sa.update(t.record).where(_live).values(policy=None)
_UNJUDGE_FAILED = _UNJUDGE.where(t.record.c.disposition == "failed")


async def judge_again(run: StreamRun, clock: Clock) -> int:
    """Bring records judged under another policy in line with today's; returns how many were looked at.

    What may be kept now but was not is fetched; what may not be kept any more goes, raw form and timeline.
    """
    digest = run.policy_digest
    with run.store.read() as c:
        if scalar(c, _OTHERWISE, stream=run.stream_id, policy=digest) is None:
            return 0
    return await _again(run, clock, not_policy=digest)


async def replay(run: StreamRun, clock: Clock, *, only_failed: bool) -> int:
    """Map stored raw records again, all of them or those in quarantine; returns how many."""
    with run.store.write() as c:
        tell(c, _UNJUDGE_FAILED if only_failed else _UNJUDGE, [{"stream": run.stream_id}])
    return await _again(run, clock, disposition="failed" if only_failed else "")


async def _again(run: StreamRun, clock: Clock, *, disposition: str = "", not_policy: bytes | None = None) -> int:
    looked = after = 0
    run.sweep = None  # being looked at again is not being named by the source
    while True:
        with run.store.read() as c:
            part = landing.part_after(c, run.stream_id, after, disposition=disposition, not_policy=not_policy)
        if not part:
            return looked
        after = part[-1][0]
        kept = [RawRecord(ext, body) for _, ext, body in part if body is not None]
        await asyncio.to_thread(take, run, Page(records=kept, cursor=""), clock.now(), None)
        looked += len(kept)
        for ids in chunks([ext for _, ext, body in part if body is None], 100):
            looked += await _fetched(run, clock, ids)


async def _fetched(run: StreamRun, clock: Clock, ids: list[str]) -> int:
    """Records of which nothing was kept have to be read at the vendor again."""
    try:
        found = await run.connector.fetch(run.stream, ids)
    except NotImplementedError:
        return 0
    except HubError as exc:
        log.warning("%s/%s: records kept out before could not be read now: %s", run.connection, run.stream, exc)
        return 0
    await asyncio.to_thread(take, run, Page(records=found, cursor=""), clock.now(), None)
    return len(found)


async def replay_connection(engine: "Engine", name: str, *, only_failed: bool) -> list[dict[str, Any]]:
    """Replay all streams of a connection that hold records, under its lease: a row a stream, with its books."""
    connector = engine.connector(name)
    row = engine._row(name)
    wanted = set(engine.settings.connections[name].streams)
    rows = []
    try:
        async with engine.lease(f"connection:{name}") as fence:
            for stream in connector.manifest.streams:
                if wanted and stream.name not in wanted:
                    continue
                found = {"connection": name, "stream": stream.name, "status": st.HEALTHY, "detail": ""}
                if fence is None:
                    busy = {"seen": 0, "failed": 0, "status": st.CATCHING_UP, "detail": "another worker is on it"}
                    rows.append(found | busy)
                    continue
                run = engine._run(name, row["id"], connector, stream.name, fence, "replay")
                await replay(run, engine.clock, only_failed=only_failed)
                _end(run, engine.clock.now())
                rows.append(found | run.books.to_dict())
    finally:
        await connector.aclose()
    return rows


def _end(run: StreamRun, now: datetime) -> None:
    """Close the run's row. The stream's own status stays: a replay says nothing about the vendor."""
    books = json.dumps(run.books.to_dict(), ensure_ascii=False)
    ended = {"id": run.run_id, "ended_at": micros(now), "status": st.HEALTHY, "seen": run.books.seen, "books": books}
    with run.store.write() as c:
        change(c, t.run, [ended])
