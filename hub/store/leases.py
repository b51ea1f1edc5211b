"""Leases with fencing: one worker per thing, taken over when its heartbeat stops, stale writes refused."""

import os
import socket
from datetime import datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.bulk import add
from hub.store.codec import micros
from hub.store.database import Store
from hub.store.ready import fetch, tell
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


_named = lease.c.name == sa.bindparam("wanted")
_HELD = sa.select(lease.c.holder, lease.c.fence, lease.c.expires_at).where(_named).with_for_update()
_TAKE = (
    sa.update(lease)
    .where(_named)
    .values(holder=sa.bindparam("by"), fence=sa.bindparam("under"), expires_at=sa.bindparam("until"))
)


def acquire(store: Store, name: str, holder: str, now: datetime, ttl: timedelta) -> int | None:
    """The fence number when the lease was free, expired, or ours already; None when somebody holds it."""
    with store.write() as c:
        add(c, lease, [{"name": name, "holder": "", "fence": 0, "expires_at": 0}])  # so that there is a row to lock
        [row] = fetch(c, _HELD, wanted=name)
        if row.holder != holder and row.expires_at > micros(now) and not _is_dead(row.holder):
            return None
        fence = int(row.fence) + 1
        tell(c, _TAKE, [{"wanted": name, "by": holder, "under": fence, "until": micros(now + ttl)}])
        return fence


_RENEW = (
    sa.update(lease)
    .where(_named, lease.c.fence == sa.bindparam("under"), lease.c.expires_at > 0)
    .values(expires_at=sa.bindparam("until"))
    .returning(lease.c.fence)
)
_RELEASE = sa.update(lease).where(_named, lease.c.fence == sa.bindparam("under")).values(expires_at=0)


def renew(c: Connection, name: str, fence: int, now: datetime, ttl: timedelta) -> None:
    """Prolong the lease inside the caller's transaction, which so proves that it still holds it.

    Raises LeaseLost when the fence has moved on, or the lease was released: a late heartbeat must not bring it back.
    """
    if not fetch(c, _RENEW, wanted=name, under=fence, until=micros(now + ttl)):
        raise LeaseLost(f"lease {name!r} was taken over")


def release(store: Store, name: str, fence: int) -> None:
    with store.write() as c:
        tell(c, _RELEASE, [{"wanted": name, "under": fence}])
