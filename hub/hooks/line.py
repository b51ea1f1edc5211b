"""The line at each endpoint: what is due, what waits for its turn, what is over.

An event stands in line once for each of its keys (its customers, and what it tells of). It is due when it is first for all
of them, so whatever concerns one customer arrives in order, and one that fails holds back nobody but its own.
Whoever changes the line holds the endpoint's row (`lock`): the relay and the courier may be two processes.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add, among, fetch, tell
from hub.store.tables_hooks import delivery, endpoint, event, turn

d, e = delivery.c, event.c


class Job(NamedTuple):
    """A delivery that is due. tries: failed so far. keys: its places in line."""

    id: int
    event_id: int
    tries: int
    public_id: str
    type: str
    body: str
    keys: tuple[str, ...]


_LOCK = sa.select(endpoint.c.id).where(among(endpoint.c.id)).order_by(endpoint.c.id).with_for_update()
_TAKEN = sa.select(turn.c.key).where(turn.c.endpoint_id == sa.bindparam("to"), among(turn.c.key)).distinct()
_HEADS = (
    sa.select(turn.c.key, sa.func.min(turn.c.event_id))
    .where(turn.c.endpoint_id == sa.bindparam("to"), among(turn.c.key))
    .group_by(turn.c.key)
)
_WITH = sa.select(turn.c.event_id).where(turn.c.endpoint_id == sa.bindparam("to"), among(turn.c.key)).distinct()
_PLACES = sa.select(turn.c.event_id, turn.c.key).where(turn.c.endpoint_id == sa.bindparam("to"), among(turn.c.event_id))
_LEAVE = sa.delete(turn).where(turn.c.endpoint_id == sa.bindparam("to"), turn.c.event_id == sa.bindparam("event"))
_STATE = (
    sa.update(delivery)
    .where(d.endpoint_id == sa.bindparam("to"), d.event_id == sa.bindparam("event"), d.state == sa.bindparam("was"))
    .values(state=sa.bindparam("is"))
)
_READY = (
    sa.select(d.id, d.event_id, d.tries, e.public_id, e.type, e.body, e.lanes)
    .join(event, e.id == d.event_id)
    .where(
        d.endpoint_id == sa.bindparam("to"), d.state == "due", d.next_at + 0 <= sa.bindparam("now")
    )  # in line's order,
    .order_by(d.event_id)  # not by the time: of a million that are due, the first are found without sorting them
    .limit(sa.bindparam("most"))
)
_NEXT = sa.select(sa.func.min(d.next_at)).where(d.endpoint_id == sa.bindparam("to"), d.state == "due")
_OVER = (
    sa.update(delivery)
    .where(d.id == sa.bindparam("over"))
    .values(state=sa.bindparam("how"), tries=sa.bindparam("tried"), ended_at=sa.bindparam("now"))
)
_AGAIN = (
    sa.update(delivery)
    .where(d.id == sa.bindparam("again"))
    .values(tries=sa.bindparam("tried"), next_at=sa.bindparam("next"))
)
_ANEW = (
    sa.update(delivery)
    .where(d.endpoint_id == sa.bindparam("to"), d.event_id == sa.bindparam("event"))
    .values(state="waiting", tries=0, next_at=sa.bindparam("now"), ended_at=None)
)


def lock(c: Connection, endpoint_ids: Collection[int]) -> None:
    fetch(c, _LOCK, values=sorted(endpoint_ids))


def enqueue(c: Connection, to: int, events: Sequence[tuple[int, Sequence[str]]], now: int) -> None:
    """Events newer than all in line, in their order: (event id, keys)."""
    if not events:
        return
    taken = {key for (key,) in fetch(c, _TAKEN, to=to, values=sorted({k for _, keys in events for k in keys}))}
    rows, turns = [], []
    for event_id, keys in events:
        state = "due" if taken.isdisjoint(keys) else "waiting"
        taken.update(keys)
        rows.append({"endpoint_id": to, "event_id": event_id, "state": state, "next_at": now})
        turns += [{"endpoint_id": to, "key": key, "event_id": event_id} for key in keys]
    add(c, delivery, rows)
    add(c, turn, turns)


def ready(c: Connection, to: int, now: int, most: int, without: Collection[int] = ()) -> list[Job]:
    """The first that are due. without: deliveries under way."""
    rows = fetch(c, _READY, to=to, now=now, most=most + len(without))
    return [Job._make([*row[:6], tuple(json.loads(row[6]))]) for row in rows if row[0] not in without][:most]


def next_at(c: Connection, to: int) -> int | None:
    found = fetch(c, _NEXT, to=to)
    return found[0][0] if found else None


def over(c: Connection, to: int, ended: Iterable[tuple[Job, str, int]], now: int) -> None:
    """These are done or failed for good, after so many tries: whoever is first now is due."""
    rows = list(ended)
    tell(c, _OVER, [{"over": job.id, "how": how, "tried": tries, "now": now} for job, how, tries in rows])
    leave(c, to, [(job.event_id, job.keys) for job, _, _ in rows])


def leave(c: Connection, to: int, events: Sequence[tuple[int, Sequence[str]]]) -> None:
    tell(c, _LEAVE, [{"to": to, "event": event_id} for event_id, _ in events])
    keys = sorted({key for _, of in events for key in of})
    _place(c, to, {first for _, first in fetch(c, _HEADS, to=to, values=keys)} if keys else set())


def again(c: Connection, rows: Sequence[tuple[Job, int, int]]) -> None:
    """These failed and keep their place: (job, tries, when to try again)."""
    tell(c, _AGAIN, [{"again": job.id, "tried": tries, "next": at} for job, tries, at in rows])


def anew(c: Connection, to: int, events: Sequence[tuple[int, Sequence[str]]], now: int) -> None:
    """Events that were told before, or never, stand in line again, at their old places."""
    add(c, delivery, [
        {"endpoint_id": to, "event_id": event_id, "state": "waiting", "next_at": now} for event_id, _ in events
    ])  # fmt: skip
    tell(c, _ANEW, [{"to": to, "event": event_id, "now": now} for event_id, _ in events])
    add(c, turn, [{"endpoint_id": to, "key": k, "event_id": event_id} for event_id, keys in events for k in keys])
    keys = sorted({key for _, of in events for key in of})
    _place(c, to, {event_id for (event_id,) in fetch(c, _WITH, to=to, values=keys)} if keys else set())


def _place(c: Connection, to: int, event_ids: Collection[int]) -> None:
    """Due or waiting, as their places in line say."""
    if not event_ids:
        return
    keys: dict[int, list[str]] = {}
    for event_id, key in fetch(c, _PLACES, to=to, values=sorted(event_ids)):
        keys.setdefault(event_id, []).append(key)
    heads: dict[str, int] = dict(fetch(c, _HEADS, to=to, values=sorted({k for of in keys.values() for k in of})))
    rows: list[dict[str, Any]] = []
    for event_id, of in keys.items():
        was, is_now = ("waiting", "due") if all(heads[k] == event_id for k in of) else ("due", "waiting")
        rows.append({"to": to, "event": event_id, "was": was, "is": is_now})
    tell(c, _STATE, rows)
