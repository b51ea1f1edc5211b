"""Calls that may be sent twice and are done once: the second gets the answer of the first.

What was answered may open something (the secret of a new webhook), so it is kept encrypted with what only its caller has,
the token and the key of the call: a copy of the database opens nothing.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub.access.errors import Invalid
from hub.api import HubError
from hub.store import Store, insert, instant, micros
from hub.store.tables_access import answered

KEPT = timedelta(hours=24)
LONGEST = 255
_a = answered.c


class StillRunning(HubError):
    """The first call has not been answered: it is still under way, or was cut off."""


@dataclass(frozen=True)
class Call:
    """One call of the bearer of a token, under the key they gave it."""

    store: Store
    token: str
    key: str

    def begin(self, request: bytes, now: datetime) -> bytes | None:
        """What the first call was answered; None if this is the first: it is then to be kept, or let go.

        request: all that says what is asked. Raises StillRunning, and Invalid for a key that was used for another request.
        """
        mark = blake2b(request, digest_size=32).digest()
        mine = {"key": self._hash(b"find"), "request": mark, "begun_at": micros(now)}
        with self.store.write() as c:
            c.execute(sa.delete(answered).where(_a.begun_at <= micros(now - KEPT)))
            # Of two that come at once, one waits here for the other.
            first = insert(c, answered).values(mine).on_conflict_do_nothing().returning(_a.key)
            if c.execute(first).first() is not None:
                return None
            before = c.execute(sa.select(answered).where(_a.key == mine["key"])).first()
        if before is None:  # it was let go this very moment
            return self.begin(request, now)
        if bytes(before.request) != mark:
            fix = "take a new key for each request"
            raise Invalid("was used for another request", field="Idempotency-Key", fix=fix)
        if before.answer is None:
            raise StillRunning(
                f"the same call came at {instant(before.begun_at):%H:%M:%S} UTC and has not been answered: it is under way, or "
                "was cut off; look what became of it, and if it was not done send it with a new key"
            )
        return self._box().decrypt(bytes(before.answer))

    def keep(self, answer: bytes) -> None:
        with self.store.write() as c:
            mine = sa.update(answered).where(_a.key == self._hash(b"find"))
            c.execute(mine.values(answer=self._box().encrypt(answer)))

    def let_go(self) -> None:
        """Nothing was done: the same call may be made again."""
        with self.store.write() as c:
            c.execute(sa.delete(answered).where(_a.key == self._hash(b"find"), _a.answer.is_(None)))

    def _box(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._hash(b"open")))

    def _hash(self, use: bytes) -> bytes:
        given = f"{self.token}\0{self.key}".encode()
        return blake2b(given, digest_size=32, person=b"hub.once." + use).digest()
