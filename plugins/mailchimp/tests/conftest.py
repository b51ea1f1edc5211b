"""A served account and connectors to it, for the tests of the connector."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hub.api import FakeClock, Page, Pull, RawRecord, Services, Window
from hub.testing.emulator import Running
from hub_mailchimp import Mailchimp, MailchimpSettings
from hub_mailchimp.emulator import MailchimpEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TLS = ssl.create_default_context()


class Recording(httpx.AsyncHTTPTransport):
    """A transport that keeps every exchange."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)
        self.exchanges: list[tuple[httpx.Request, int, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        self.exchanges.append((request, response.status_code, body))
        return httpx.Response(response.status_code, headers=response.headers, content=body, request=request)


@dataclass
class Account:
    """One account, and a way to read it as the hub does."""

    emulator: MailchimpEmulator
    url: str
    clock: FakeClock
    transport: Recording
    services: Services
    made: list[Mailchimp] = field(default_factory=list)

    def connect(self, **changed: Any) -> Mailchimp:
        given = {"api_key": self.emulator.api_key, "base_url": self.url, "page_size": 100, **changed}
        connector = Mailchimp(MailchimpSettings.model_validate(given), self.services)
        self.made.append(connector)
        return connector

    def calls(self, method: str = "", path: str = "") -> list[tuple[httpx.Request, int, bytes]]:
        """Exchanges whose path contains `path`."""
        return [e for e in self.transport.exchanges if method in {"", e[0].method} and path in e[0].url.path]

    def writes(self) -> list[httpx.Request]:
        return [request for request, _, _ in self.transport.exchanges if request.method != "GET"]

    async def read(
        self, connector: Mailchimp, stream: str, cursor: str | None = None, window: Window | None = None, stop: int = 0
    ) -> tuple[dict[str, RawRecord], str | None, list[Page]]:
        """(records by id, the last cursor, pages), of a whole pull or of its first `stop` pages."""
        records: dict[str, RawRecord] = {}
        pages: list[Page] = []
        stream_of: Any = connector.pull(Pull(stream, cursor, window or Window()))
        async with aclosing(stream_of):
            async for page in stream_of:
                pages.append(page)
                records.update({r.external_id: r for r in page.records})
                cursor = page.cursor
                if len(pages) == stop:
                    break
        return records, cursor, pages


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with MailchimpEmulator().serve() as served:
        yield served


@pytest.fixture
async def account(running: Running, anyio_backend: str) -> AsyncIterator[Account]:
    clock, transport = FakeClock(START), Recording()
    emulator = MailchimpEmulator(clock.now)
    running.put(emulator)
    services = Services("account", clock, transport=transport, jitter=lambda: 0.5)
    found = Account(emulator, running.url, clock, transport, services)
    yield found
    for connector in found.made:
        await connector.aclose()
