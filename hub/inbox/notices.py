"""Notices as rows: stored once per event whoever receives it, due until somebody has looked, forgotten after a while."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Notice
from hub.store import add, chunks, digest, micros
from hub.store.tables import notice as t

Row = dict[str, Any]
LONGEST = 512  # characters of an external id, as everywhere in the store
KEEP = timedelta(days=7)  # longer than any vendor repeats a call, and far longer than any signature is good for
TRIES = 6
FIRST_WAIT = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Rung:
    """What is to be looked at in one stream. records: external id -> the notices that name it; "" is the stream.

    tries: how often looking has failed so far.
    """

    stream: str
    records: dict[str, list[int]] = field(default_factory=dict)
    tries: int = 0

    def ids(self, external_ids: Iterable[str] | None = None) -> list[int]:
        """The notices that name these records; all of them when none are given."""
        named = self.records if external_ids is None else external_ids
        return [i for external_id in named for i in self.records.get(external_id, ())]


def rows_of(connection: str, notices: Iterable[Notice], streams: Collection[str], now: datetime) -> list[Row]:
    """Rows for what a call named. Streams the connector does not declare are passed over.

    The vendor's id of the event goes in as a digest only (it may hold an address) together with what the notice names,
    since one event may name several records. An id no record could have stands for its whole stream.
    """
    at = micros(now)
    found = []
    for n in notices:
        if n.stream not in streams:
            continue
        fits = len(n.external_id) <= LONGEST and n.external_id.isprintable()
        dedup = None
        if n.dedup_id:
            dedup = digest("\x1f".join((n.dedup_id, n.stream, n.external_id)).encode("utf-8", "surrogatepass"))
        found.append({
            "connection": connection, "stream": n.stream, "external_id": n.external_id if fits else "",
            "dedup": dedup, "received_at": at, "due_at": at,
        })  # fmt: skip
    return found


def keep(c: Connection, rows: Sequence[Row]) -> None:
    """Store notices; those of an event that is known already are left as they are, whatever has become of them."""
    # In one order everywhere: two processes that keep the same events must not wait for each other.
    add(c, t, sorted(rows, key=lambda r: (r["connection"], r["dedup"] or b"")))


def rung(c: Connection, now: datetime) -> list[str]:
    """Connections for which something is to be looked at now."""
    return sorted({connection for connection, _ in _streams(c, now)})


def due(c: Connection, connection: str, now: datetime, at_most: int = 2000) -> list[Rung]:
    """What is to be looked at now, by stream: each record once, however often it was named."""
    found: list[Rung] = []
    for stream in sorted(s for name, s in _streams(c, now) if name == connection):
        query = sa.select(t.c.id, t.c.external_id, t.c.tries).where(
            t.c.due_at <= micros(now), t.c.connection == connection, t.c.stream == stream
        )
        rows = c.execute(query.order_by(t.c.id).limit(at_most)).all()
        one = Rung(stream, tries=max(tries for _, _, tries in rows))
        for id_, external_id, _ in rows:
            one.records.setdefault(external_id, []).append(id_)
        found.append(one)
    return found


def _streams(c: Connection, now: datetime) -> set[tuple[str, str]]:
    """(connection, stream) with something due, but for those that wait after a failure: they wait as a whole."""
    pairs = sa.select(t.c.connection, t.c.stream).distinct()
    ripe = {(name, stream) for name, stream in c.execute(pairs.where(t.c.due_at <= micros(now)))}
    waiting = {(name, stream) for name, stream in c.execute(pairs.where(t.c.due_at > micros(now), t.c.tries > 0))}
    return ripe - waiting


def done(c: Connection, ids: Iterable[int], now: datetime) -> None:
    """These have been looked at, or need not be."""
    for part in chunks(list(ids)):
        c.execute(sa.update(t).where(t.c.id.in_(part)).values(due_at=None, done_at=micros(now)))


def let_go(c: Connection, connection: str, now: datetime) -> None:
    """Nobody will look for this connection now (it is paused, or no longer configured): polling will, if anything."""
    mine = (t.c.connection == connection, t.c.due_at.is_not(None))
    c.execute(sa.update(t).where(*mine).values(due_at=None, done_at=micros(now)))


def postpone(c: Connection, one: Rung, ids: Iterable[int], now: datetime, until: datetime | None = None) -> bool:
    """Looking failed: again at `until`, by default after a wait that doubles. False: that was the last try."""
    if one.tries + 1 >= TRIES:
        done(c, ids, now)
        return False
    again = max(until or now, now + FIRST_WAIT * 2**one.tries)
    for part in chunks(list(ids)):
        c.execute(sa.update(t).where(t.c.id.in_(part)).values(due_at=micros(again), tries=one.tries + 1))
    return True


def prune(c: Connection, now: datetime, keep_for: timedelta = KEEP) -> int:
    """Forget what came in longer ago than that, done or not: polling has long seen it. Returns how many."""
    return c.execute(sa.delete(t).where(t.c.received_at < micros(now - keep_for))).rowcount
