"""Leases with fencing: one worker per thing, taken over when its heartbeat stops, stale writes refused."""

import os
import socket
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.bulk import insert
from hub.store.codec import micros
from hub.store.database import Store
from hub.store.tables import lease


class LeaseLost(Exception):
    """Somebody else holds the lease by now; nothing of this unit of work may be kept."""


def new_holder() -> str:
    """A name for one holder: host, process, and something of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:12]}"


def _is_dead(holder: str) -> bool:
    """True when the holder was a process of this host that no longer runs: no need to wait for its lease to end."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit() or int(rest) == os.getpid():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


_HELD = sa.select(lease).where(lease.c.name == sa.bindparam("wanted")).with_for_update()


def acquire(store: Store, name: str, holder: str, now: datetime, ttl: timedelta) -> int | None:
    """The fence number when the lease was free, expired, or ours already; None when somebody holds it."""
    with store.write() as c:
        row = c.execute(_HELD, {"wanted": name}).mappings().first()
        is_held = row and row["holder"] != holder and row["expires_at"] > micros(now)
        if row and is_held and not _is_dead(row["holder"]):
            return None
        fence = (row["fence"] if row else 0) + 1
        statement = insert(c, lease).values(name=name, holder=holder, fence=fence, expires_at=micros(now + ttl))
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "fence": fence, "expires_at": micros(now + ttl)},
            where=lease.c.fence == fence - 1,
        )
        # What came back, not how many rows: psycopg's count of an INSERT is not kept.
        return c.execute(statement.returning(lease.c.fence)).scalar()


_RENEW = (
    sa.update(lease)
    .where(lease.c.name == sa.bindparam("held"), lease.c.fence == sa.bindparam("under"), lease.c.expires_at > 0)
    .values(expires_at=sa.bindparam("until"))
)


def renew(c: Connection, name: str, fence: int, now: datetime, ttl: timedelta) -> None:
    """Prolong the lease inside the caller's transaction, which so proves that it still holds it.

    Raises LeaseLost when the fence has moved on, or the lease was released: a late heartbeat must not bring it back.
    """
    if c.execute(_RENEW, {"held": name, "under": fence, "until": micros(now + ttl)}).rowcount != 1:
        raise LeaseLost(f"lease {name!r} was taken over")


def release(store: Store, name: str, fence: int) -> None:
    with store.write() as c:
        c.execute(sa.update(lease).where(lease.c.name == name, lease.c.fence == fence).values(expires_at=0))
