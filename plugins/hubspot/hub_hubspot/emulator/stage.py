"""Many portals in turn behind one server: starting a server costs more than a whole test."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.api import FakeClock
from hub.testing import Emulator
from hub_hubspot.emulator import HubSpotEmulator

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Site:
    """A portal being served, its clock (which stands still) and a client signed in to it."""

    def __init__(self, emulator: HubSpotEmulator, clock: FakeClock, client: httpx.Client) -> None:
        self.emulator = emulator
        self.clock = clock
        self.client = client

    def call(self, method: str, path: str, expect: int, json: Any = None, **params: Any) -> Any:
        """One request; the decoded answer, or its text. Raises AssertionError for another status."""
        answer = self.client.request(method, path, json=json, params=params or None)
        if answer.status_code != expect:
            raise AssertionError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


class Stage(Emulator):
    """Serves whichever portal was opened last."""

    name = "hubspot-stage"

    def __init__(self) -> None:
        super().__init__()
        self._current: ASGIApp | None = None
        self._client: httpx.Client | None = None

    def app(self) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if self._current is None:
                raise RuntimeError("no portal was opened")
            await self._current(scope, receive, send)

        return serve

    @contextmanager
    def running(self) -> Iterator["Stage"]:
        headers = {"authorization": "Bearer test-token"}
        with self.serve() as served, httpx.Client(base_url=served.url, headers=headers) as self._client:
            yield self

    def open(self, **options: Any) -> Site:
        """A fresh portal; options go to HubSpotEmulator."""
        if self._client is None:
            raise RuntimeError("the stage is not running")
        clock = FakeClock(START)
        emulator = HubSpotEmulator(**{"now": clock.now, **options})
        self._current = emulator.app()
        return Site(emulator, clock, self._client)
