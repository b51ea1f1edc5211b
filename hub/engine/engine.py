"""The engine: opens the hub, knows its connections, runs one from start to end. No scheduler in here.

One `Engine` per process. `sync(name)` never raises for a vendor's trouble: it answers with a status, an exit code
and lines for people. Leases make two workers on one connection impossible.
"""

import asyncio
import itertools
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa

from hub import access, identity, reconcile
from hub import settings as config
from hub import status as st
from hub.api import AuthError, Clock, ConfigError, Connector, HubError, PermissionMatrix, Services, Transient
from hub.engine import granted, keys
from hub.engine.identities import AUDIT, Identities
from hub.engine.page import StreamRun
from hub.engine.pull import StreamResult, confirm_gone, end_run, pull_stream
from hub.landing import Brake, CapturePolicy, held, resolve_hold
from hub.own import Own
from hub.plugins import Registry
from hub.plugins import load as load_plugins
from hub.store import (
    LeaseLost,
    Secrets,
    Store,
    StoreLedger,
    StoreTokens,
    acquire,
    add,
    add_ids,
    change,
    fetch,
    instant,
    instant_or_none,
    micros,
    new_holder,
    release,
    renew,
    scalar,
    tell,
)
from hub.store import tables as t

log = logging.getLogger("hub.engine")
LEASE_TTL = timedelta(seconds=60)
CHECK_EVERY = timedelta(days=1)

# Asked several times in every sync, so put together once.
_ROW = sa.select(t.connection).where(t.connection.c.name == sa.bindparam("wanted"))
_PAUSED = sa.select(t.connection.c.is_paused).where(t.connection.c.name == sa.bindparam("wanted"))
_STREAM = sa.select(t.stream.c.id).where(
    t.stream.c.connection_id == sa.bindparam("of"), t.stream.c.name == sa.bindparam("wanted")
)
_OWN_ACCOUNTS = sa.select(t.connection.c.own_identities)
_OWN_USERS = (
    sa.select(t.identifier.c.value)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .where(t.party.c.kind == "own", t.identifier.c.scheme == "email")
)
_OF_STREAM = (
    sa.select(t.connection.c.id, t.connection.c.name, t.stream.c.name)
    .join(t.stream, t.stream.c.connection_id == t.connection.c.id)
    .where(t.stream.c.id == sa.bindparam("wanted"))
)
_REFUSED = (
    sa.update(t.stream)
    .where(t.stream.c.connection_id == sa.bindparam("of"))
    .values(status=st.RECONNECT, detail=sa.bindparam("why"), last_try_at=sa.bindparam("now"))
)
_CONNECTIONS = sa.select(t.connection.c.name, t.connection.c.is_paused, t.connection.c.next_at)
_LEASED = sa.select(t.lease.c.name).where(t.lease.c.expires_at > sa.bindparam("now"))


@dataclass
class SyncResult:
    """How one connection's sync ended. exit_code as in docs/cli.md; lines say it to a person."""

    connection: str
    status: str
    exit_code: int
    streams: list[StreamResult] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "connection": self.connection, "status": self.status, "exit_code": self.exit_code, "detail": self.detail,
            "streams": [
                {"stream": s.stream, "status": s.status, "detail": s.detail, "requests": s.requests, **s.books.to_dict()}
                for s in self.streams
            ],
        }  # fmt: skip


class Engine:
    """Build with `Engine.open(settings)`. `clock` and `transport` are for tests."""

    def __init__(
        self, settings: config.Settings, store: Store, registry: Registry, *, clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None, patience_s: float = 90.0,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.store = store
        self.registry = registry
        self.clock = clock or Clock()
        self.secrets = Secrets(store, _secret_keys())
        self.patience_s = patience_s
        self._transport = transport
        self._mappers: dict[int, StreamRun] = {}

    @classmethod
    def open(cls, settings: config.Settings, **kwargs: Any) -> "Engine":
        """Raises ConfigError when the database cannot be opened."""
        used = {c.connector for c in settings.connections.values()}
        engine = cls(settings, Store.open(settings.hub.database_url), load_plugins(used), **kwargs)
        engine.keep_private()
        return engine

    def keep_private(self) -> None:
        """Let the database know whose the private connections are, before anybody looks and anything is read."""
        whose = {name: (c.connector, c.owner or "") for name, c in self.settings.connections.items()}
        access.keep_private(self.store, whose, self.clock.now())

    def close(self) -> None:
        self.store.close()

    # --- connections --------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Enabled connections, in the order of the configuration."""
        return [name for name, c in self.settings.connections.items() if c.enabled]

    def connector(self, name: str, row: Mapping[str, Any] | None = None) -> Connector[Any]:
        """The connection's connector, built from its settings and what was typed of them.

        Raises ConfigError naming field and file, and AuthError for what cannot be decrypted any more.
        row: the connection's, where the caller has it.
        """
        connection = self._configured(name)
        cls = self.registry.get(connection.connector)
        values = config.connector_settings(keys.completed(self.secrets, connection), cls.settings_model)
        row = row or self._row(name)
        services = Services(
            account=f"{connection.connector}:{row['account_id'] or name}", clock=self.clock,
            tokens=StoreTokens(self.store, self.secrets, name, self.clock), ledger=StoreLedger(self.store),
            transport=self._transport, patience_s=self.patience_s,
        )  # fmt: skip
        return cls(values, services)

    def is_disconnected(self, name: str) -> bool:
        """Whether `ihub disconnect` has let it go, though its section is still there."""
        with self.store.read() as c:
            return bool(scalar(c, _PAUSED, wanted=name))

    def _configured(self, name: str) -> config.Connection:
        known = list(self.settings.connections)
        if name not in known:
            near = config.did_you_mean(name, known)
            hint = f"; did you mean {near!r}?" if near else f"; there are: {', '.join(known) or 'none yet'}"
            raise ConfigError(f"there is no connection {name!r}{hint}")
        return self.settings.connections[name]

    def _row(self, name: str) -> dict[str, Any]:
        """The connection's row, made on first sight."""
        with self.store.read() as c:
            for row in fetch(c, _ROW, wanted=name):
                found: dict[str, Any] = row._asdict()
                return found
        with self.store.write() as c:
            add(c, t.connection, [{"name": name, "connector": self.settings.connections[name].connector}])
        return self._row(name)

    def _stream_row(self, connection_id: int, name: str) -> int:
        with self.store.read() as c:
            found = scalar(c, _STREAM, of=connection_id, wanted=name)
        if found is not None:
            return int(found)
        with self.store.write() as c:
            add(c, t.stream, [{"connection_id": connection_id, "name": name}])
        return self._stream_row(connection_id, name)

    def own(self) -> Own:
        """Us: the configuration, the accounts' send-as addresses, and the people the tools call their own users."""
        s = self.settings.own
        with self.store.read() as c:
            addresses = {a.lower() for (text,) in fetch(c, _OWN_ACCOUNTS) for a in json.loads(text)}
            addresses |= {value for (value,) in fetch(c, _OWN_USERS)}
        known = Own(frozenset(s.domains), frozenset(s.addresses), frozenset(s.lists))
        return known.plus(frozenset(a for a in addresses if known.side(a) == "external"))

    def policy(self, own: Own) -> CapturePolicy:
        s = self.settings.capture
        return CapturePolicy(
            own=own, internal=s.internal, bulk=s.bulk, auto=s.auto, block_addresses=frozenset(s.block_addresses),
            block_domains=frozenset(s.block_domains), block_labels=frozenset(s.block_labels),
            private_labels=frozenset(s.private_labels), require_label=s.require_label, metadata_only=s.metadata_only,
            metadata_only_domains=frozenset(s.metadata_only_domains), keep_failed=s.keep_failed,
        )  # fmt: skip

    def rules(self, own: Own) -> identity.Rules:
        s = self.settings.identity
        return identity.Rules(
            own=own, free_domains=identity.free_domains() | frozenset(s.free_domains_extra),
            role_localparts=identity.role_localparts() | frozenset(s.role_localparts_extra), strip_plus=s.strip_plus,
            plus_counts_at=frozenset(s.plus_counts_at), gmail_dots=s.gmail_dots, default_region=s.default_region,
            address_ids=frozenset(
                f"{connector.manifest.name}:{stream.name}"
                for connector in self.registry.connectors.values()
                for stream in connector.manifest.streams
                if stream.ids == "address"
            ),
        )  # fmt: skip

    @property
    def identities(self) -> Identities:
        """Acts on who is who, for every door."""
        return Identities(self)

    # --- one connection -----------------------------------------------------------------------------------------

    async def check(self, name: str) -> PermissionMatrix:
        """Ask the connector to prove its permissions; remembers the account and its own addresses."""
        connector = self.connector(name)
        try:
            matrix = await connector.check()
        finally:
            await connector.aclose()
        values = {
            "id": self._row(name)["id"], "account_id": matrix.account_id, "label": matrix.label, "checked_at": micros(self.clock.now()),
            "is_paused": False,  # one that was disconnected is taken up again by whoever names it
            "own_identities": json.dumps(sorted(matrix.own_identities)),
            "capabilities": json.dumps(sorted(matrix.capabilities)),
        }  # fmt: skip
        with self.store.write() as c:
            change(c, t.connection, [values])
            granted.keep(c, values["id"], matrix, self.clock.now())
        if len(matrix.own_identities) > 1:
            now = self.clock.now()
            with self.store.write() as c:
                moved = identity.join_own(c, matrix.own_identities, self.rules(self.own()), now)
                reconcile.follow(c, [m.loser for m in moved] + [m.winner for m in moved], now)
        return matrix

    async def sync(
        self, name: str, *, streams: Sequence[str] = (), census: bool | None = None,
        progress: Callable[[StreamRun], None] | None = None,
    ) -> SyncResult:  # fmt: skip
        """Pull everything new of one connection. Never raises for the vendor's trouble or a wrong setting."""
        try:
            if name == AUDIT:
                return await self._audit()
            self._configured(name)
            async with self.lease(f"connection:{name}") as fence:
                if fence is None:
                    busy = "another worker is on it"
                    return SyncResult(name, st.CATCHING_UP, st.OK, detail=busy, lines=[f"{name}: {busy}"])
                result = await self._sync(name, fence, streams, census, progress)
            return await self._deliver(result)
        except LeaseLost as exc:
            return SyncResult(name, st.DEGRADED, st.PARTLY, detail=str(exc), lines=[f"{name}: {exc}"])
        except HubError as exc:
            status, code = (st.RECONNECT, st.REAUTH) if isinstance(exc, AuthError) else (st.BROKEN, st.USAGE)
            return SyncResult(name, status, code, detail=str(exc), lines=[f"{name}: {exc}"])
        finally:
            self._planned(name)

    async def _sync(
        self, name: str, fence: int, streams: Sequence[str], census: bool | None,
        progress: Callable[[StreamRun], None] | None,
    ) -> SyncResult:  # fmt: skip
        row = self._row(name)
        now = self.clock.now()
        checked = instant_or_none(row["checked_at"])
        if checked is None or now - checked > CHECK_EVERY:
            try:
                await self.check(name)
            except AuthError as exc:
                return await self._refused(name, row["id"], str(exc))
            except HubError as exc:
                log.warning("%s: check failed, going on: %s", name, exc)
            row = self._row(name)
        connector = self.connector(name, row)
        settings = self.settings.connections[name]
        brake = Brake(self.settings.system_of_record.brake_percent, self.settings.system_of_record.brake_count)
        known = [s.name for s in connector.manifest.streams]
        wanted = list(streams or settings.streams or known)
        for stream in wanted:
            if stream not in known:
                await connector.aclose()
                near = config.did_you_mean(stream, known)
                hint = f"; did you mean {near!r}?" if near else f"; it has: {', '.join(known)}"
                raise ConfigError(f"{name} has no stream {stream!r}{hint}")
        results: list[StreamResult] = []
        try:
            from hub.engine.replay import judge_again

            for stream in wanted:
                run = self._run(name, row["id"], connector, stream, fence, "pull")
                if progress:
                    progress(run)
                await judge_again(run, self.clock)
                result = await pull_stream(run, self.clock, settings.since_at(now), brake, census)
                results.append(result)
                if result.status == st.RECONNECT:
                    break
        finally:
            await connector.aclose()
        statuses = [r.status for r in results]
        has_failures = any(r.books.counts["failed"] for r in results)
        code = st.exit_code(statuses, any(r.has_drift for r in results), has_failures)
        lines = [line(name, r) for r in results]
        return SyncResult(name, st.worst(statuses), code, results, lines)

    async def _deliver(self, result: SyncResult) -> SyncResult:
        """With `approve = "auto"`, what a sync brought goes on to whoever is written to; what the brake holds waits."""
        if self.settings.system_of_record.approve != "auto":
            return result
        from hub.engine import push

        for name in push.destinations(self):
            delivered = await push.deliver(self, name)
            if delivered is not None:
                result.lines.append(f"{name}: {delivered.summary}")
                result.status = st.worst([result.status, delivered.status])
                result.exit_code = result.exit_code or delivered.exit_code
        return result

    async def _refused(self, name: str, connection_id: int, detail: str) -> SyncResult:
        """Sign-in is dead: every stream of the connection says so, one issue is open."""
        now = micros(self.clock.now())
        connector = self.connector(name)
        run = self._run(name, connection_id, connector, connector.manifest.streams[0].name, 0, "pull")
        from hub.engine import issues

        issues.report(run, self.clock.now(), "sign-in", detail, whole_connection=True)
        with self.store.write() as c:
            tell(c, _REFUSED, [{"of": connection_id, "why": detail, "now": now}])
            change(c, t.run, [{"id": run.run_id, "status": st.RECONNECT, "error": detail, "ended_at": now}])
        await connector.aclose()
        return SyncResult(name, st.RECONNECT, st.REAUTH, detail=detail, lines=[f"{name}: needs-reconnect: {detail}"])

    def _run(
        self, name: str, connection_id: int, connector: Connector[Any], stream: str, fence: int, kind: str
    ) -> StreamRun:
        stream_id = self._stream_row(connection_id, stream)
        own = self.own()
        started = {
            "connection_id": connection_id, "stream_id": stream_id, "kind": kind, "started_at": micros(self.clock.now()),
            "fence": fence,
        }  # fmt: skip
        with self.store.write() as c:
            [run_id] = add_ids(c, t.run, [started])
        return StreamRun(
            self.store, connector, name, connection_id, stream, stream_id, run_id, self.policy(own), self.rules(own),
            f"connection:{name}", fence, LEASE_TTL, self._sibling,
        )  # fmt: skip

    def _sibling(self, stream_id: int) -> StreamRun:
        """Somebody else's stream, for mapping only: when its record now gives an interaction's content."""
        if stream_id not in self._mappers:
            with self.store.read() as c:
                [(connection_id, name, stream)] = fetch(c, _OF_STREAM, wanted=stream_id)
            own = self.own()
            self._mappers[stream_id] = StreamRun(
                self.store, self.connector(name), name, connection_id, stream, stream_id, 0, self.policy(own),
                self.rules(own), "", 0, LEASE_TTL, self._sibling,
            )  # fmt: skip
        return self._mappers[stream_id]

    async def release_hold(self, hold_id: int, is_approved: bool) -> int:
        """A person's word on held deletions: ask the source about each and remove what is gone, or keep them all.

        Returns how many records were removed. Raises ConfigError when there is no such open hold.
        """
        with self.store.read() as c:
            row = (
                c.execute(sa.select(t.hold).where(t.hold.c.id == hold_id, t.hold.c.resolved_at.is_(None)))
                .mappings()
                .first()
            )
        if row is None:
            raise ConfigError(f"there is no open hold {hold_id}: `ihub health` lists them")
        removed = 0
        if is_approved:
            removed = await self._carry_out(row["stream_id"], json.loads(row["ids"]))
        with self.store.write() as c:
            resolve_hold(c, hold_id, "approved" if is_approved else "rejected", micros(self.clock.now()))
        return removed

    async def _carry_out(self, stream_id: int, external_ids: list[str]) -> int:
        other = self._sibling(stream_id)
        async with self.lease(f"connection:{other.connection}") as fence:
            if fence is None:
                raise Transient(f"{other.connection} is being synced right now: try again in a moment")
            connector = self.connector(other.connection)
            run = self._run(other.connection, other.connection_id, connector, other.stream, fence, "pull")
            with self.store.read() as c:
                known = held(c, stream_id, external_ids)
            try:
                missing = [(h.id, ext) for ext, h in known.items() if not h.is_gone]
                removed = await confirm_gone(run, self.clock, missing)
            finally:
                await connector.aclose()
            with self.store.write() as c:
                end_run(c, run, self.clock, StreamResult(other.stream, st.HEALTHY, books=run.books))
            return removed

    # --- leases and schedules -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[int | None]:
        """The lease's fence while we hold it, kept by a heartbeat; None when somebody else has it."""
        fence = acquire(self.store, name, new_holder(), self.clock.now(), LEASE_TTL)
        if fence is None:
            yield None
            return
        beat = asyncio.create_task(self._heartbeat(name, fence))
        try:
            yield fence
        finally:
            beat.cancel()
            release(self.store, name, fence)

    async def _heartbeat(self, name: str, fence: int) -> None:
        while True:
            await asyncio.sleep(LEASE_TTL.total_seconds() / 3)
            try:
                await asyncio.to_thread(self._beat, name, fence)
            except LeaseLost:
                return

    def _beat(self, name: str, fence: int) -> None:
        with self.store.write() as c:
            renew(c, name, fence, self.clock.now(), LEASE_TTL)

    async def _audit(self) -> SyncResult:
        """The nightly look at who is who, beside the loop: it takes a while on a large base."""
        async with self.lease(f"connection:{AUDIT}") as fence:
            if fence is None:
                return SyncResult(AUDIT, st.CATCHING_UP, st.OK, detail="another worker is on it")
            return SyncResult(AUDIT, st.HEALTHY, st.OK, lines=await asyncio.to_thread(self.identities.nightly))

    def due(self, now: datetime) -> list[str]:
        """Connections whose time has come and that nobody is running, and the nightly audit."""
        due = []
        with self.store.read() as c:
            rows = {r.name: r for r in fetch(c, _CONNECTIONS)}
            leased = {name for (name,) in fetch(c, _LEASED, now=micros(now))}
        for name in self.names():
            row = rows.get(name)
            if f"connection:{name}" in leased or (row and row.is_paused):
                continue
            if row is None or row.next_at is None or row.next_at <= micros(now):
                due.append(name)
        if f"connection:{AUDIT}" not in leased and self.identities.is_due(now):
            due.append(AUDIT)
        return due

    def _planned(self, name: str) -> None:
        """Note when the connection is due next, counted from the time it was due, so that no tick drifts."""
        if name not in self.settings.connections:
            return
        now = self.clock.now()
        schedule = self.settings.schedule_of(name)
        row = self._row(name)
        last = instant_or_none(row["next_at"]) or now
        following = schedule.next_after(last, self.settings.hub.zone)
        if following <= now:
            following = schedule.next_after(now, self.settings.hub.zone)
        values = {"id": row["id"], "next_at": micros(following), "last_run_at": micros(now)}
        with self.store.write() as c:
            change(c, t.connection, [values])

    def schedule_report(self, since: datetime) -> dict[str, int]:
        """Ticks that were due, runs made, ticks missed, and runs that overlapped (none may), since an instant."""
        now = self.clock.now()
        due = run = missed = doubled = 0
        with self.store.read() as c:
            for name in self.names():
                row = c.execute(sa.select(t.connection).where(t.connection.c.name == name)).mappings().first()
                query = sa.select(t.run.c.fence, sa.func.min(t.run.c.started_at), sa.func.max(t.run.c.ended_at)).where(
                    t.run.c.connection_id == (row["id"] if row else 0), t.run.c.started_at >= micros(since),
                    t.run.c.kind == "pull",
                )  # fmt: skip
                spans = sorted((a, b or a) for _, a, b in c.execute(query.group_by(t.run.c.fence)))
                ticks = self._ticks(name, row["next_at"] if row else None, since, now, len(spans))
                due += ticks
                run += len(spans)
                missed += max(0, ticks - len(spans))
                doubled += sum(1 for (_, end), (start, _) in itertools.pairwise(spans) if start < end)
        return {"due": due, "run": run, "missed": missed, "doubled": doubled}

    def _ticks(self, name: str, next_at: int | None, since: datetime, now: datetime, runs: int) -> int:
        """How often a connection came due between two instants; a schedule by cron is taken to have kept its times."""
        every = self.settings.schedule_of(name).every
        if next_at is None or not every:
            return runs or (1 if next_at is None else 0)
        following = instant(next_at)
        overdue = int((now - following) / every) + 1 if following <= now else 0
        return overdue + max(0, int((following - since) / every))


def line(name: str, r: StreamResult) -> str:
    """One stream's outcome as one line."""
    b = r.books
    parts = [f"{n} {d}" for d, n in b.counts.items() if n]
    books = f"{b.seen} seen" + (f" = {' + '.join(parts)}" if parts else "")
    return f"{name}/{r.stream}: {r.status}: {books}" + (f" ({r.detail})" if r.detail else "")


def _secret_keys() -> list[str]:
    """Keys from HUB_SECRET_KEY or the file named by HUB_SECRET_KEY_FILE: newest first, separated by white space."""
    if value := os.environ.get("HUB_SECRET_KEY"):
        return value.split()
    if path := os.environ.get("HUB_SECRET_KEY_FILE"):
        with open(path, encoding="utf-8") as file:
            return file.read().split()
    return []
