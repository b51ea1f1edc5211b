"""How often a sign-in may fail: by account and by the place it comes from, whether there is such an account or not.

Each try is counted before it is made, so that many at once are no more than one after the other. A few failures are free;
then the next try has to wait, longer each time, at most a quarter of an hour, and what comes meanwhile is refused and not
counted. One failure is forgotten every quarter of an hour. Who keeps failing at somebody's account does not keep that
person out: where an account was signed in to from, it has a count of its own for 30 days.
"""

import ipaddress
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access.errors import SignInRefused
from hub.store import Store, add, digest, instant, micros
from hub.store.tables_access import attempt

ACCOUNT_FREE, PLACE_FREE = 5, 20
WAITS = tuple(timedelta(seconds=s) for s in (15, 30, 60, 120, 240, 480, 900))
FORGOTTEN = timedelta(minutes=15)  # one failure
KNOWN = timedelta(days=30)
_ONE = FORGOTTEN // timedelta(microseconds=1)
REFUSED = "the address or the password is wrong, or the account cannot sign in"
TOO_MANY = "too many sign-ins failed: wait a while, then try again"


def place_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        found = ipaddress.ip_address(address.strip().partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def begin(store: Store, email: str, address: str, now: datetime) -> None:
    """Count a try. email: as typed, folded as far as it can be. Raises SignInRefused when it is too early for one."""
    with store.write() as c:
        keys = _keys(c, email, address, now)
        until = [_count(c, key, free, now) for key, free in keys]
        late = max((u for u in until if u is not None), default=None)
        if late is not None:
            raise SignInRefused(TOO_MANY, retry_after_s=(late - now).total_seconds())  # nothing was counted


def succeeded(c: Connection, email: str, address: str, now: datetime) -> None:
    """The account's failures are forgotten, and where it came from is known; the place's other failures stay."""
    for key, free in _keys(c, email, address, now):
        left = micros(now) if free == ACCOUNT_FREE else attempt.c.cool_at - _ONE
        c.execute(sa.update(attempt).where(attempt.c.key == key).values(cool_at=left, blocked_until=None))
    key = _key("known", email, place_of(address))
    add(c, attempt, [{"key": key, "cool_at": micros(now)}])
    known = {"cool_at": micros(now), "blocked_until": None, "known_until": micros(now + KNOWN)}
    c.execute(sa.update(attempt).where(attempt.c.key == key).values(**known))


def sweep(c: Connection, now: datetime) -> None:
    """Take out what no longer counts."""
    is_unknown = sa.or_(attempt.c.known_until.is_(None), attempt.c.known_until <= micros(now))
    c.execute(sa.delete(attempt).where(attempt.c.cool_at <= micros(now), is_unknown))


def _keys(c: Connection, email: str, address: str, now: datetime) -> list[tuple[bytes, int]]:
    """(key, failures that cost nothing) of the counts this try is one of, always in the same order."""
    place = place_of(address)
    known = _key("known", email, place)
    is_known = c.execute(
        sa.select(attempt.c.key).where(attempt.c.key == known, attempt.c.known_until > micros(now))
    ).first()
    return [(known if is_known else _key("account", email), ACCOUNT_FREE), (_key("place", place), PLACE_FREE)]


def _key(*parts: str) -> bytes:
    return digest("\x1f".join(parts).encode("utf-8", "surrogatepass"))


def _count(c: Connection, key: bytes, free: int, now: datetime) -> datetime | None:
    """One more failure; or until when none is taken."""
    at = micros(now)
    add(c, attempt, [{"key": key, "cool_at": at}])
    cool_at = sa.case((attempt.c.cool_at > at, attempt.c.cool_at), else_=at) + _ONE
    waits = [(cool_at > at + (free + n - 1) * _ONE, micros(now + wait)) for n, wait in enumerate(WAITS)]
    is_open = sa.or_(attempt.c.blocked_until.is_(None), attempt.c.blocked_until <= at)
    counted = sa.update(attempt).where(attempt.c.key == key, is_open)
    until = sa.case(*reversed(waits), else_=None)  # the most that applies
    if c.execute(counted.values(cool_at=cool_at, blocked_until=until)).rowcount:
        return None
    return instant(c.execute(sa.select(attempt.c.blocked_until).where(attempt.c.key == key)).scalar_one())
