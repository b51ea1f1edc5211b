"""What connectors share through the database: the rate-budget ledger and the encrypted token store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hub.api import AuthError, Clock, ConfigError
from hub.store import leases
from hub.store.bulk import add, insert, put
from hub.store.codec import instant_or_none, micros
from hub.store.database import Store
from hub.store.ready import fetch, scalar, tell
from hub.store.tables import budget, secret

_MINE = sa.and_(budget.c.account == sa.bindparam("a"), budget.c.name == sa.bindparam("n"))
_BLOCKED = sa.select(budget.c.blocked_until).where(_MINE)
_ANEW = sa.update(budget).where(_MINE, budget.c.window_start < sa.bindparam("start"))
_ANEW = _ANEW.values(window_start=sa.bindparam("start"), used=0)
_SPEND = sa.update(budget).where(_MINE, budget.c.used + sa.bindparam("units") <= sa.bindparam("most"))
_SPEND = _SPEND.values(used=budget.c.used + sa.bindparam("units")).returning(budget.c.used)


class StoreLedger:
    """Rate budgets counted in the database, so that all workers of one vendor account share them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, account: str, name: str, window_start: datetime, units: int, limit: int) -> bool:
        start = micros(window_start)
        with self._store.write() as c:
            add(c, budget, [{"account": account, "name": name, "window_start": start, "used": 0}])
            tell(c, _ANEW, [{"a": account, "n": name, "start": start}])
            return bool(fetch(c, _SPEND, a=account, n=name, units=units, most=limit))

    def block(self, account: str, name: str, until: datetime) -> None:
        with self._store.write() as c:
            row = {"account": account, "name": name, "window_start": 0, "used": 0, "blocked_until": micros(until)}
            statement = insert(c, budget).values(**row)
            later = sa.or_(budget.c.blocked_until.is_(None), budget.c.blocked_until < statement.excluded.blocked_until)
            c.execute(
                statement.on_conflict_do_update(
                    index_elements=["account", "name"],
                    set_={"blocked_until": statement.excluded.blocked_until},
                    where=later,
                )
            )

    def blocked_until(self, account: str, name: str) -> datetime | None:
        with self._store.read() as c:
            return instant_or_none(scalar(c, _BLOCKED, a=account, n=name))


class Secrets:
    """Small JSON values per connection, encrypted with the newest of `keys` and readable with any of them.

    The connection's name and the field are inside the ciphertext and checked: a row moved elsewhere is refused.
    keys: urlsafe base64 Fernet keys, newest first; [] keeps tokens in memory only.
    """

    def __init__(self, store: Store, keys: list[str]) -> None:
        self._store = store
        try:
            self._fernet = MultiFernet([Fernet(k) for k in keys]) if keys else None
        except ValueError as exc:
            raise ConfigError("hub.secret_key is not a key: make one with `ihub init --key`") from exc
        self._memory: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def is_kept(self) -> bool:
        """Whether what is put outlives the process."""
        return self._fernet is not None

    def get(self, connection: str, field: str) -> dict[str, Any] | None:
        if self._fernet is None:
            return self._memory.get((connection, field))
        with self._store.read() as c:
            mine = sa.and_(secret.c.connection == connection, secret.c.field == field)
            blob = c.execute(sa.select(secret.c.value).where(mine)).scalar()
        if blob is None:
            return None
        try:
            value = json.loads(self._fernet.decrypt(bytes(blob)))
        except InvalidToken as exc:
            raise AuthError(f"the stored {field} of {connection!r} cannot be decrypted: connect it again") from exc
        if value["for"] != [connection, field]:
            raise AuthError(f"the stored {field} of {connection!r} belongs elsewhere: connect it again")
        return dict(value["is"])

    def put(self, connection: str, field: str, value: dict[str, Any], now: datetime) -> None:
        if self._fernet is None:
            self._memory[connection, field] = value
            return
        blob = self._fernet.encrypt(json.dumps({"for": [connection, field], "is": value}).encode())
        with self._store.write() as c:
            put(c, secret, [
                {"connection": connection, "field": field, "value": blob, "changed_at": micros(now)}
            ])  # fmt: skip

    def forget(self, connection: str) -> None:
        self._memory = {k: v for k, v in self._memory.items() if k[0] != connection}
        with self._store.write() as c:
            c.execute(sa.delete(secret).where(secret.c.connection == connection))


class StoreTokens:
    """The token store of one connection, refreshing under a lease that all workers see."""

    def __init__(self, store: Store, secrets: Secrets, connection: str, clock: Clock) -> None:
        self._store = store
        self._secrets = secrets
        self._connection = connection
        self._clock = clock

    def get(self, name: str) -> dict[str, Any] | None:
        return self._secrets.get(self._connection, name)

    def put(self, name: str, value: dict[str, Any]) -> None:
        self._secrets.put(self._connection, name, value, self._clock.now())

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[None]:
        lease_name, holder = f"token:{self._connection}:{name}", leases.new_holder()
        while True:
            fence = leases.acquire(self._store, lease_name, holder, self._clock.now(), timedelta(seconds=60))
            if fence is not None:
                break
            await self._clock.sleep(0.2)
        try:
            yield
        finally:
            await asyncio.shield(asyncio.to_thread(leases.release, self._store, lease_name, fence))
