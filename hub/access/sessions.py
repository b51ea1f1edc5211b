"""Sessions in a browser, kept by the server: the cookie holds a random id and nothing else.

An id is made anew at each sign-in and proof, so that one planted before is worth nothing after. A session ends when it was
not used for 12 hours, after 7 days however much it is used, with its account, and when it is told to.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access.errors import ProofNeeded
from hub.access.keys import hashed, new_secret
from hub.store import Store, instant, instant_or_none, micros, short_id
from hub.store.tables_access import oidc_state, session

IDLE, LONGEST = timedelta(hours=12), timedelta(days=7)
STRANGER = timedelta(hours=1)  # before sign-in
FRESH = timedelta(minutes=10)
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    """account_id: None before sign-in. id: to name it by, not to open it with. csrf: what its forms must bring back."""

    id: str
    account_id: int | None
    method: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    proved_at: datetime | None
    address: str
    agent: str
    csrf: str = ""

    def is_fresh(self, now: datetime) -> bool:
        """Whether the person proved to be it so lately that secrets may be shown and changed."""
        return self.proved_at is not None and now - self.proved_at < FRESH

    def must_be_fresh(self, now: datetime) -> None:
        if not self.is_fresh(now):
            raise ProofNeeded("sign in again to do this: the last time is a while ago")

    def has_csrf(self, given: str) -> bool:
        """Whether a form came from a page of this session. Constant time."""
        return bool(self.csrf) and hmac.compare_digest(self.csrf.encode(), given.encode("utf-8", "replace"))


def begin(
    c: Connection, now: datetime, account_id: int | None = None, *, method: str = "", address: str = "", agent: str = "",
    instead_of: str = "",
) -> str:  # fmt: skip
    """A new session's id, for the cookie. instead_of: the id the browser had, which is worth nothing from here on."""
    if instead_of:
        _delete(c, session.c.hash == hashed(instead_of))
    raw = new_secret()
    key = hashed(raw)
    c.execute(
        sa.insert(session).values(
            hash=key, public_id=short_id("s", key.hex()), account_id=account_id, method=method, created_at=micros(now),
            seen_at=micros(now), expires_at=micros(now + (STRANGER if account_id is None else LONGEST)),
            proved_at=None if account_id is None else micros(now), address=address[:64], agent=agent[:256],
        )
    )  # fmt: skip
    return raw


def find(store: Store, raw: str, now: datetime) -> Session | None:
    """The session of a cookie, unless it has ended. Writes at most once a minute."""
    if not raw:
        return None
    key = hashed(raw)
    alive = (session.c.expires_at > micros(now), session.c.seen_at > micros(now - IDLE))
    with store.read() as c:
        row = c.execute(sa.select(session).where(session.c.hash == key, *alive)).first()
    if row is None:
        return None
    if now - instant(row.seen_at) >= _SEEN_EVERY:
        with store.write() as c:
            c.execute(sa.update(session).where(session.c.hash == key).values(seen_at=micros(now)))
    return _session(row, _csrf(raw))


def of_account(c: Connection, account_id: int, now: datetime) -> list[Session]:
    """Those that have not ended, the one used last first."""
    alive = (session.c.expires_at > micros(now), session.c.seen_at > micros(now - IDLE))
    query = (
        sa.select(session)
        .where(session.c.account_id == account_id, *alive)
        .order_by(session.c.seen_at.desc(), session.c.public_id)
    )
    return [_session(row) for row in c.execute(query)]


def end(c: Connection, raw: str) -> int | None:
    """End the session of a cookie; the account it was of."""
    key = hashed(raw)
    of: int | None = c.execute(sa.select(session.c.account_id).where(session.c.hash == key)).scalar()
    _delete(c, session.c.hash == key)
    return of


def end_of_account(c: Connection, account_id: int, *, only: str = "", but: str = "") -> int:
    """End all sessions of an account. only: the one of this `Session.id`. but: the cookie whose session stays."""
    which = [session.c.account_id == account_id]
    if only:
        which.append(session.c.public_id == only)
    if but:
        which.append(session.c.hash != hashed(but))
    return _delete(c, *which)


def prove(c: Connection, raw: str, now: datetime) -> str:
    """The person has just proved to be it: the session goes on under a new id, for the cookie."""
    anew = new_secret()
    mine = sa.and_(session.c.hash == hashed(raw), session.c.account_id.is_not(None))
    c.execute(sa.delete(oidc_state).where(oidc_state.c.session_hash == hashed(raw)))
    c.execute(sa.update(session).where(mine).values(hash=hashed(anew), proved_at=micros(now)))
    return anew


def sweep(c: Connection, now: datetime) -> int:
    """Take out what has ended."""
    return _delete(c, sa.or_(session.c.expires_at <= micros(now), session.c.seen_at <= micros(now - IDLE)))


def _delete(c: Connection, *which: "sa.ColumnElement[bool]") -> int:
    keys = sa.select(session.c.hash).where(*which)
    c.execute(sa.delete(oidc_state).where(oidc_state.c.session_hash.in_(keys)))
    return c.execute(sa.delete(session).where(*which)).rowcount


def _csrf(raw: str) -> str:
    """Made from the id: who knows one page's token does not learn the id, nor does the database hold it."""
    return (
        urlsafe_b64encode(hmac.digest(raw.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256))
        .decode()
        .rstrip("=")
    )


def _session(row: "sa.Row[tuple[object, ...]]", csrf: str = "") -> Session:
    return Session(
        row.public_id, row.account_id, row.method, instant(row.created_at), instant(row.seen_at), instant(row.expires_at),
        instant_or_none(row.proved_at), row.address, row.agent, csrf,
    )  # fmt: skip
