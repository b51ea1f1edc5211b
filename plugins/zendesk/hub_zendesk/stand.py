"""For tests: a Zendesk account on loopback, a clock that moves when told, and a connector to it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import httpx

from hub.api import Entity, FakeClock, MemoryLedger, MemoryTokens, Page, Pull, RawRecord, Services, Window
from hub.testing import Running
from hub_zendesk import Zendesk
from hub_zendesk.emulator import ADMIN, ZendeskEmulator

# One for all: making one costs more than a call, and the emulator speaks plain HTTP on loopback anyway.
TLS = ssl.create_default_context()
START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Stand:
    """The emulator served, and calls of the connector run to their end."""

    def __init__(self, running: Running, clock: FakeClock, emulator: ZendeskEmulator) -> None:
        self.clock = clock
        self.zendesk = emulator
        self.desk = emulator.desk
        self.url = f"{running.url}/"
        self.tokens, self.ledger = MemoryTokens(), MemoryLedger()
        self.held: dict[str, dict[str, bytes]] = {}
        self.cursors: dict[str, str] = {}

    def settings(self, **changed: Any) -> dict[str, Any]:
        gate = self.zendesk.gate
        base = {
            "subdomain": "team", "base_url": self.url, "client_id": gate.client_id, "client_secret": gate.client_secret,
            "webhook_secret": self.zendesk.webhook_secret,
        }  # fmt: skip
        return {k: v for k, v in {**base, **changed}.items() if v is not None}

    def call(self, work: Callable[[Zendesk], Awaitable[Any]], **settings: Any) -> Any:
        async def run() -> Any:
            transport = httpx.AsyncHTTPTransport(verify=TLS)
            services = Services("team", self.clock, self.tokens, self.ledger, transport, jitter=lambda: 0.5)
            connector = Zendesk(Zendesk.settings_model.model_validate(self.settings(**settings)), services)
            try:
                return await work(connector)
            finally:
                await connector.aclose()

        return asyncio.run(run())

    def pull(self, stream: str, window: Window | None = None, *, stop: int = 0, **settings: Any) -> list[Page]:
        """All pages from where the last pull ended; what they hold is kept as the hub keeps it."""
        mine = self.held.setdefault(stream, {})

        async def run(connector: Zendesk) -> list[Page]:
            asked = Pull(
                stream, self.cursors.get(stream), window or Window(), lambda ids: {i: mine[i] for i in ids if i in mine}
            )
            pages = []
            async with aclosing(connector.pull(asked)) as stream_:  # type: ignore[type-var]
                async for page in stream_:
                    mine.update({r.external_id: r.body for r in page.records})
                    self.cursors[stream] = page.cursor
                    pages.append(page)
                    if len(pages) == stop:
                        break
            return pages

        pages: list[Page] = self.call(run, **settings)
        return pages

    def entities(self, stream: str, **settings: Any) -> dict[str, list[Entity]]:
        """Everything held of a stream, mapped."""

        async def run(connector: Zendesk) -> dict[str, list[Entity]]:
            rows = self.held.get(stream, {}).items()
            return {i: list(connector.to_canonical(stream, RawRecord(i, body))) for i, body in rows}

        found: dict[str, list[Entity]] = self.call(run, **settings)
        return found

    def wait(self, seconds: float = 90) -> None:
        self.clock.advance(seconds)

    def user(self, name: str, email: str | None = None, **more: Any) -> int:
        given = {"name": name, "email": email or f"{name.lower()}@example.org", **more}
        return int(self.desk.put_user(given, self.desk.back(10**6))["id"])

    def ticket(self, *comments: dict[str, Any], ago: float = 600, channel: str = "web", **fields: Any) -> int:
        """A ticket made `ago` seconds back with these comments, which are a second apart."""
        at = self.desk.back(ago)
        said = [{"at": at + n, **c} for n, c in enumerate(comments or ({"body": "Hello."},))]
        author = fields.get("requester_id", ADMIN)
        return int(self.desk.put_ticket({"subject": "Matter", **fields}, said, author, at, channel)["id"])
