"""Issues: one open, dated row per connection, stream and cause, however often it strikes."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add_ids, micros, scalar, tell
from hub.store.tables import issue

if TYPE_CHECKING:
    from hub.engine.page import StreamRun


_open = (
    issue.c.connection_id == sa.bindparam("of"), issue.c.cause == sa.bindparam("why"), issue.c.closed_at.is_(None),
)  # fmt: skip
_same = (*_open, issue.c.stream_id.is_not_distinct_from(sa.bindparam("stream")))  # None: of the whole connection
_OPEN = sa.select(issue.c.id).where(*_open).limit(1)
_SAME = sa.select(issue.c.id).where(*_same)
_CLOSE = sa.update(issue).where(*_same).values(closed_at=sa.bindparam("now"))
_AGAIN = (
    sa.update(issue)
    .where(issue.c.id == sa.bindparam("issue"))
    .values(last_seen_at=sa.bindparam("now"), detail=sa.bindparam("told"), times=issue.c.times + 1)
)


def report(run: "StreamRun", now: datetime, cause: str, detail: str, *, whole_connection: bool = False) -> None:
    """Open the issue, or note that it is still there."""
    stream_id = None if whole_connection else run.stream_id
    with run.store.write() as c:
        same = {"of": run.connection_id, "stream": stream_id, "why": cause}
        if found := scalar(c, _SAME, **same):
            tell(c, _AGAIN, [{"issue": found, "now": micros(now), "told": detail[:2000]}])
        else:
            add_ids(c, issue, [{
                "connection_id": run.connection_id, "stream_id": stream_id, "cause": cause, "detail": detail[:2000],
                "opened_at": micros(now), "last_seen_at": micros(now),
            }])  # fmt: skip


def close(run: "StreamRun", now: datetime, cause: str) -> None:
    """The cause is gone: close its issue, of the stream and of the connection."""
    with run.store.read() as c:
        if scalar(c, _OPEN, of=run.connection_id, why=cause) is None:
            return
    with run.store.write() as c:
        tell(c, _CLOSE, [
            {"of": run.connection_id, "stream": stream_id, "why": cause, "now": micros(now)}
            for stream_id in (run.stream_id, None)
        ])  # fmt: skip


_CLOSE_ALL = (
    sa.update(issue)
    .where(
        issue.c.connection_id == sa.bindparam("of"), issue.c.closed_at.is_(None), issue.c.cause != sa.bindparam("keep"),
        sa.or_(issue.c.stream_id == sa.bindparam("stream"), issue.c.stream_id.is_(None)),
    )
    .values(closed_at=sa.bindparam("now"))
)  # fmt: skip


def close_all(c: Connection, run: "StreamRun", now: datetime, *, keep: str) -> None:
    """The stream is healthy: nothing of it stays open, nor of the connection as a whole, but the cause `keep`."""
    tell(c, _CLOSE_ALL, [{"of": run.connection_id, "stream": run.stream_id, "keep": keep, "now": micros(now)}])
