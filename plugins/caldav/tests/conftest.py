"""An emulated account and connectors to it; and a small hub that keeps what they give."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.api import FakeClock, Interaction, Page, Services, Window
from hub.testing import Running
from hub.testing.suite_driver import Landed
from hub_caldav import CalDav, CalDavSettings
from hub_caldav.emulator import CalDavEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Recorder(httpx.AsyncHTTPTransport):
    """httpx's own transport, which also keeps what was sent and what came back."""

    def __init__(self) -> None:
        super().__init__(verify=False)
        self.calls: list[tuple[str, str, bytes, int, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        self.calls.append((request.method, request.url.path, request.content, response.status_code, body))
        left = {"content-encoding", "content-length", "transfer-encoding"}  # the body is decoded by now
        headers = [(k, v) for k, v in response.headers.multi_items() if k not in left]
        return httpx.Response(response.status_code, headers=headers, content=body)


class Bench:
    """One account, a clock, and what a hub would hold of it."""

    def __init__(self, server: CalDavEmulator | None, url: str, clock: FakeClock) -> None:
        self.server = server
        self.url = url
        self.clock = clock
        self.recorder = Recorder()
        self.made: list[CalDav] = []
        self.landed = Landed("events")

    def connect(self, **settings: Any) -> CalDav:
        given = {"base_url": self.url, "username": "anna", "password": "pass-of-anna", **settings}
        services = Services("test", self.clock, transport=self.recorder, jitter=lambda: 0.5)
        connector = CalDav(CalDavSettings(**given), services)
        self.made.append(connector)
        return connector

    async def sync(self, connector: CalDav | None = None) -> list[Page]:
        return await self.landed.pull(connector or self.made[-1])

    def again(self, window: Window | None = None) -> Landed:
        self.landed = Landed("events", window)
        return self.landed

    def entities(self) -> dict[str, Interaction]:
        timeline = self.landed.timeline(self.made[-1])
        assert not timeline.rejected, timeline.rejected
        return {i: e for i, given in timeline.entities.items() for e in given if isinstance(e, Interaction)}

    def asked(self) -> list[str]:
        """Methods since the last asking."""
        methods = [call[0] for call in self.recorder.calls]
        self.recorder.calls.clear()
        return methods


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with CalDavEmulator().serve() as running:
        yield running


@pytest.fixture
async def make_bench(running: Running) -> AsyncIterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(url: str = "", **options: Any) -> Bench:
        clock = FakeClock(START)
        server = None
        if not url:
            server = CalDavEmulator(now=clock.now, **options)
            running.put(server)
        benches.append(Bench(server, url or running.url, clock))
        return benches[-1]

    yield make
    for bench in benches:
        for connector in bench.made:
            await connector.aclose()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


def event(uid: str, *lines: str, before: str = "") -> str:
    """A calendar object of one event; `before`: other components."""
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", *([before.strip()] if before else [])]
    tail = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", "END:VCALENDAR", ""]
    return "\r\n".join([*head, *tail])


@pytest.fixture
def make_event() -> Callable[..., str]:
    return event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
