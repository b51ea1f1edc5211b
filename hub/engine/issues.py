"""Issues: one open, dated row per connection, stream and cause, however often it strikes."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import micros
from hub.store.tables import issue

if TYPE_CHECKING:
    from hub.engine.page import StreamRun


def report(run: "StreamRun", now: datetime, cause: str, detail: str, *, whole_connection: bool = False) -> None:
    """Open the issue, or note that it is still there."""
    stream_id = None if whole_connection else run.stream_id
    with run.store.write() as c:
        found = c.execute(sa.select(issue.c.id).where(*_same(run.connection_id, stream_id, cause))).scalar()
        if found:
            values = {"last_seen_at": micros(now), "detail": detail[:2000], "times": issue.c.times + 1}
            c.execute(sa.update(issue).where(issue.c.id == found).values(**values))
        else:
            c.execute(sa.insert(issue).values(
                connection_id=run.connection_id, stream_id=stream_id, cause=cause, detail=detail[:2000],
                opened_at=micros(now), last_seen_at=micros(now),
            ))  # fmt: skip


def close(run: "StreamRun", now: datetime, cause: str) -> None:
    """The cause is gone: close its issue, of the stream and of the connection."""
    is_open = (issue.c.connection_id == run.connection_id, issue.c.cause == cause, issue.c.closed_at.is_(None))
    with run.store.read() as c:
        if c.execute(sa.select(issue.c.id).where(*is_open).limit(1)).scalar() is None:
            return
    with run.store.write() as c:
        for stream_id in (run.stream_id, None):
            c.execute(sa.update(issue).where(*_same(run.connection_id, stream_id, cause)).values(closed_at=micros(now)))


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
    c.execute(_CLOSE_ALL, {"of": run.connection_id, "stream": run.stream_id, "keep": keep, "now": micros(now)})


def _same(connection_id: int, stream_id: int | None, cause: str) -> list[sa.ColumnElement[bool]]:
    return [
        issue.c.connection_id == connection_id, issue.c.cause == cause, issue.c.stream_id == stream_id,
        issue.c.closed_at.is_(None),
    ]  # fmt: skip
