"""A hub over one made-up Google, whose clock moves only when told; with HubSpot as its system of record where asked."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from hub import plugins
from hub import settings as config
from hub.api import FakeClock
from hub.engine import Engine, push
from hub.store import Store
from hub.store import tables as t
from hub.testing import Running
from hub.testing.suite_bench import TLS
from hub_calendar.emulator import CalendarEmulator
from hub_hubspot.emulator import HubSpotEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
OWN = "example.com"
PORTAL = {"client_id": "test-client", "client_secret": "secret-of-portal", "refresh_token": "refresh-of-portal"}


class Transport(httpx.AsyncHTTPTransport):
    """One pool for all syncs of a test; what a connector closes stays open until the end."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)

    async def aclose(self) -> None:
        """The stand closes it."""

    async def really_close(self) -> None:
        await super().aclose()


class Stand:
    """Own people with a calendar each, one connection per calendar, and a HubSpot portal named `crm`."""

    def __init__(self, store: Store, google: Running, hubspot: Running) -> None:
        self.store, self.clock, self.transport = store, FakeClock(START), Transport()
        self.google = CalendarEmulator(now=self.clock.now)
        self.hubspot = HubSpotEmulator(
            now=self.clock.now, client_secret=PORTAL["client_secret"], refresh_token=PORTAL["refresh_token"]
        )
        google.put(self.google)
        hubspot.put(self.hubspot)
        self._urls = google.url, hubspot.url
        self.connections: dict[str, config.Connection] = {}
        self.sections: dict[str, Any] = {}

    def person(self, name: str) -> str:
        """One of ours, whose calendar is a connection of the same name; the address."""
        address = f"{name}@{OWN}"
        self.google.add_account(address)
        settings = {
            "account": address, "client_id": "client", "client_secret": "s", "refresh_token": f"1//refresh-{address}",
            "base_url": self._urls[0], "token_url": f"{self._urls[0]}/token",
        }  # fmt: skip
        self.connections[name] = config.Connection(connector="calendar", settings=settings)
        return address

    def portal(self, **changed: Any) -> None:
        """HubSpot is the system of record."""
        settings = {**PORTAL, "base_url": self._urls[1], "tier": 110, "time_zone": "Europe/Berlin", **changed}
        self.connections["crm"] = config.Connection(connector="hubspot", settings=settings)
        self.sections["system_of_record"] = config.SystemOfRecord(connection="crm", brake_percent=100)

    def engine(self) -> Engine:
        """A worker: its own connectors, over the one store."""
        settings = config.Settings(own=config.Own(domains=(OWN,)), connections=self.connections, **self.sections)
        return Engine(settings, self.store, plugins.load(), clock=self.clock, transport=self.transport)

    async def sync(self, names: Sequence[str] = (), stream: str = "events") -> None:
        """These calendars, or all of them, in this order; everything must be well."""
        engine = self.engine()
        for name in names or [n for n, c in self.connections.items() if c.connector == "calendar"]:
            result = await engine.sync(name, streams=(stream,), census=False)
            assert (result.status, result.exit_code) == ("healthy", 0), result.lines
            assert all(s.books.is_balanced for s in result.streams)
        self.clock.advance(60)

    async def apply(self) -> push.PushResult:
        engine = self.engine()
        plan = push.plan(engine)
        push.approve(engine, plan.id, "a test")
        return await push.apply(engine, plan.id)

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        with self.store.read() as c:
            return [tuple(row) for row in c.execute(query)]

    def meetings(self) -> dict[str, dict[str, Any]]:
        """Public id -> start, day, status, key and number of sources of each living interaction."""
        i = t.interaction.c
        copies = sa.select(sa.func.count()).where(t.source.c.interaction_id == i.id).scalar_subquery()
        key = sa.select(sa.func.min(t.dedup_key.c.key)).where(t.dedup_key.c.interaction_id == i.id).scalar_subquery()
        query = sa.select(i.public_id, i.occurred_at, i.all_day, i.status, i.subject, key, copies)
        return {
            pub: {
                "at": datetime.fromtimestamp(at / 1e6, UTC), "day": day, "status": status, "subject": subject, "key": key,
                "sources": n,
            }
            for pub, at, day, status, subject, key, n in self.rows(query.where(i.gone_at.is_(None)))
        }  # fmt: skip

    def timeline(self, address: str) -> set[str]:
        """Public ids on the timeline of the party behind an address."""
        query = (
            sa.select(t.interaction.c.public_id)
            .join(t.link, t.link.c.interaction_id == t.interaction.c.id)
            .join(t.identifier, t.identifier.c.party_id == t.link.c.party_id)
            .where(t.identifier.c.value == address)
        )
        return {pub for (pub,) in self.rows(query)}


@pytest.fixture(scope="session")
def google_server() -> Iterator[Running]:
    with CalendarEmulator().serve() as running:
        yield running


@pytest.fixture(scope="session")
def hubspot_server() -> Iterator[Running]:
    with HubSpotEmulator(client_secret="-", refresh_token="-").serve() as running:
        yield running


@pytest.fixture
async def stand(store: Store, google_server: Running, hubspot_server: Running) -> AsyncIterator[Stand]:
    made = Stand(store, google_server, hubspot_server)
    yield made
    await made.transport.really_close()
