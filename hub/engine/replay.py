"""Going over stored records again: after a policy change, a new mapping, or a mended quarantine. No vendor calls
but for records the old policy had kept out."""

import asyncio
import logging

import sqlalchemy as sa

from hub import landing
from hub.api import Clock, HubError, Page, RawRecord
from hub.engine.page import StreamRun, take
from hub.store import chunks
from hub.store import tables as t

log = logging.getLogger("hub.engine")


async def judge_again(run: StreamRun, clock: Clock) -> int:
    """Bring records judged under another policy in line with today's; returns how many were looked at.

    What may be kept now but was not is fetched; what may not be kept any more goes, raw form and timeline.
    """
    digest = run.policy_digest
    with run.store.read() as c:
        where = (t.record.c.stream_id == run.stream_id, t.record.c.gone_at.is_(None), t.record.c.policy != digest)
        if c.execute(sa.select(t.record.c.id).where(*where).limit(1)).scalar() is None:
            return 0
    return await _again(run, clock, not_policy=digest)


async def replay(run: StreamRun, clock: Clock, *, only_failed: bool) -> int:
    """Map stored raw records again, all of them or those in quarantine; returns how many."""
    with run.store.write() as c:
        where = [t.record.c.stream_id == run.stream_id, t.record.c.gone_at.is_(None)]
        if only_failed:
            where.append(t.record.c.disposition == "failed")
        c.execute(sa.update(t.record).where(*where).values(policy=None))
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
