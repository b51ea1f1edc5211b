"""The connector's tests: the emulator over real HTTP, a clock that moves when told, a small model hub."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.api import Entity, FakeClock, Interaction, MemoryTokens, Page, Pull, RawRecord, Services, Window
from hub.testing import Running
from hub_calendar import Calendar, CalendarSettings
from hub_calendar.emulator import CalendarEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
EVERYTHING = Window()


class Model:
    """What a hub would hold: bodies by id. `added` and `changed` of the last sync; deletions are carried out."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.cursor: str | None = None
        self.seen: set[str] = set()
        self.added: list[str] = []
        self.changed: list[str] = []
        self.gone: list[str] = []

    def held(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {i: self.bodies[i] for i in ids if i in self.bodies}

    def store(self, page: Page) -> None:
        for record in page.records:
            known = self.bodies.get(record.external_id)
            if known is None:
                self.added.append(record.external_id)
            elif known != record.body:
                self.changed.append(record.external_id)
            self.bodies[record.external_id] = record.body
        for name in page.gone:
            if self.bodies.pop(name, None) is not None:
                self.gone.append(name)
        if page.is_full:
            self.seen |= {r.external_id for r in page.records} | set(page.also_seen)
            if page.is_last:
                self.gone += [i for i in self.bodies if i not in self.seen]
                self.bodies = {i: b for i, b in self.bodies.items() if i in self.seen}
                self.seen = set()
        self.cursor = page.cursor

    def restart(self) -> None:
        self.cursor, self.seen = None, set()


class Recorder(httpx.AsyncHTTPTransport):
    """httpx's own transport, which also keeps what is asked. Without TLS, to spare reading root certificates."""

    def __init__(self, sent: list[httpx.Request]) -> None:
        super().__init__(verify=False)
        self._sent = sent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._sent.append(request)
        return await super().handle_async_request(request)


class Stand:
    """A vendor of its own, and connectors to it."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.url = running.url
        self.clock = FakeClock(START)
        self.google = CalendarEmulator(now=self.clock.now)
        running.put(self.google)
        self.tokens = MemoryTokens()
        self.sent: list[httpx.Request] = []
        self.open: list[Calendar] = []

    def serve(self, **options: Any) -> CalendarEmulator:
        """Another vendor, made with these options, in the place of the first."""
        self.google = CalendarEmulator(now=self.clock.now, **options)
        self._running.put(self.google)
        return self.google

    def connect(self, account: str = "sales@example.com", **settings: Any) -> Calendar:
        if account not in self.google.calendars:
            self.google.add_account(account)
        given = {
            "account": account, "client_id": "client", "client_secret": "a client secret", "base_url": self.url,
            "refresh_token": f"1//refresh-{account}", "token_url": f"{self.url}/token", **settings,
        }  # fmt: skip
        if "service_account_key" in given:
            for name in ("client_id", "client_secret", "refresh_token"):
                del given[name]
        services = Services(
            account, self.clock, self.tokens, transport=Recorder(self.sent), jitter=lambda: 0.5, patience_s=1e9
        )
        connector = Calendar(CalendarSettings(**given), services)
        self.open.append(connector)
        return connector

    def add(self, at: datetime, calendar: str = "sales@example.com", minutes: int = 30, **more: Any) -> str:
        """An hour's meeting at an instant; its record's name."""
        if calendar not in self.google.calendars:
            self.google.add_account(calendar)
        event = {
            "summary": "Review", "start": {"dateTime": at.isoformat(), "timeZone": "UTC"},
            "end": {"dateTime": (at + timedelta(minutes=minutes)).isoformat(), "timeZone": "UTC"}, **more,
        }  # fmt: skip
        return f"{calendar}/{self.google.add_event(calendar, event)}"

    def change(self, name: str, **fields: Any) -> None:
        calendar, _, event_id = name.rpartition("/")
        self.google.change_event(calendar, event_id, **fields)

    def delete(self, name: str) -> None:
        calendar, _, event_id = name.rpartition("/")
        self.google.delete_event(calendar, event_id)

    async def sync(self, connector: Calendar, model: Model, window: Window = EVERYTHING) -> list[Page]:
        """Pull to the end, each page stored before the next is asked for."""
        model.added, model.changed, model.gone = [], [], []
        pages = []
        async for page in connector.pull(Pull("events", model.cursor, window, model.held)):
            model.store(page)
            pages.append(page)
        return pages

    def entities(self, connector: Calendar, model: Model) -> dict[str, Entity]:
        """What each record maps to."""
        return {
            name: next(iter(connector.to_canonical("events", RawRecord(name, body))))
            for name, body in model.bodies.items()
        }

    def meetings(self, connector: Calendar, model: Model) -> dict[str, Interaction]:
        return {i: e for i, e in self.entities(connector, model).items() if isinstance(e, Interaction)}


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def make_model() -> type[Model]:
    return Model


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with CalendarEmulator().serve() as running:
        yield running


@pytest.fixture
async def stand(running: Running) -> AsyncIterator[Stand]:
    stand = Stand(running)
    yield stand
    for connector in stand.open:
        await connector.aclose()
