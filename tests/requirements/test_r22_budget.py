"""R22: one account's limits are shared by all workers: nothing is refused, no cap is crossed, and the hub says when."""

import asyncio
import heapq
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from hub.api import FakeClock, RateLimited
from hub.store import Store, StoreLedger
from hub.testing import Running

pytestmark = pytest.mark.anyio

WORKERS, TIER, DAILY = 4, 100, 200
PORTAL = ZoneInfo("Europe/Berlin")  # whose midnight ends the day's cap
RESERVED = 0.9  # of every window is ours to spend; the rest is kept for people who wait
LATENCY_S = 0.11
PERSON = "crm/v3/objects/contacts/{}"


class VirtualClock(FakeClock):
    """Time stands still while anybody works, and goes on to the next waking when all of `workers` sleep."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.workers = 0
        self._asleep: list[tuple[datetime, int, asyncio.Event]] = []
        self._order = count()

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.Event()
        heapq.heappush(self._asleep, (self.now() + timedelta(seconds=max(seconds, 0)), next(self._order), wake))
        self._go_on()
        await wake.wait()

    def _go_on(self) -> None:
        if self._asleep and len(self._asleep) >= max(self.workers, 1):
            at, _, wake = heapq.heappop(self._asleep)
            self.advance(max((at - self.now()).total_seconds(), 0))
            wake.set()

    async def work(self, *tasks: Any) -> None:
        """Carry these out beside each other; returns when all are done."""
        self.workers = len(tasks)

        async def one(task: Any) -> None:
            try:
                await task
            finally:
                self.workers -= 1
                self._go_on()

        await asyncio.gather(*(one(task) for task in tasks))


class Wire(httpx.AsyncBaseTransport):
    """The wire to the vendor: every call takes its time, and is noted when it goes out."""

    def __init__(self, inner: Any, clock: VirtualClock) -> None:
        self._inner, self._clock, self.really_close = inner, clock, inner.really_close
        self.sent: list[datetime] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(self._clock.now())
        answer = await self._inner.handle_async_request(request)
        await self._clock.sleep(LATENCY_S)
        return answer

    async def aclose(self) -> None:
        """The stand closes what is below."""


class Office:
    """Four workers, each an engine of its own with its own connection to one portal of HubSpot, over one store."""

    def __init__(self, stand: Any, hubspot: Running, start: datetime, daily: int = 0) -> None:
        self.clock = VirtualClock(start)
        stand.clock = self.clock
        stand.hubspot = type(stand.hubspot)(now=self.clock.now, zone=PORTAL.key, rate_per_10s=TIER)
        hubspot.put(stand.hubspot)
        self.vendor = stand.hubspot
        (self.person,) = self.vendor.seed({"contacts": [{"properties": {"email": "gus@customer.example"}}]})["contacts"]
        stand.portal(client_id="", client_secret="", refresh_token="", token="test-token", tier=TIER, daily=daily)
        portal = stand.connections.pop("crm")
        stand.sections.clear()
        stand.connections.update({f"crm{n}": portal for n in range(WORKERS)})
        self.wire = stand.transport = Wire(stand.transport, self.clock)
        self.engines = [stand.engine() for _ in range(WORKERS)]
        self.failures: list[Exception] = []
        self.waited: Counter[datetime] = Counter()

    async def prove(self, hours: int = 1) -> None:
        """Each connection finds out that it is the one portal's; then the wire's notes are begun anew."""
        for n, engine in enumerate(self.engines):
            await self.clock.work(engine.check(f"crm{n}"))
        self.clock.advance(3600 * hours)
        self.wire.sent.clear()
        self.vendor.requests.clear()

    async def calls(self, worker: int, n: int) -> None:
        """n calls, 25 with each connector, as runs come and go; a spent day is waited for."""
        while n:
            connector = self.engines[worker].connector(f"crm{worker}")
            try:
                for _ in range(min(25, n)):
                    await connector.http.request("GET", PERSON.format(self.person))
                    n -= 1
            except RateLimited as exc:
                until = exc.until or self.clock.now()
                self.waited[until] += 1
                await self.clock.sleep((until - self.clock.now()).total_seconds())
            except Exception as exc:
                self.failures.append(exc)
                n -= 1
            finally:
                await connector.aclose()

    def eta(self, n: int) -> float:
        return self.engines[0].connector("crm0").http.budget.eta("", n)

    async def carry_out(self, n: int) -> float:
        """n calls by four workers; how many seconds that took."""
        start = self.clock.now()
        await self.clock.work(*(self.calls(worker, n // WORKERS) for worker in range(WORKERS)))
        return (self.clock.now() - start).total_seconds()

    def most_within(self, seconds: float) -> int:
        """The most calls that went out within any span of so many seconds."""
        recent, most = deque[datetime](), 0
        for at in sorted(self.wire.sent):
            recent.append(at)
            while recent[0] <= at - timedelta(seconds=seconds):
                recent.popleft()
            most = max(most, len(recent))
        return most

    def refusals(self) -> list[int]:
        return [status for _, _, status in self.vendor.requests if status >= 400]


@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
async def test_four_workers_share_a_hundred_per_ten_seconds(stand: Any, hubspot_server: Running) -> None:
    """R22: 320 calls by 4 workers, begun amid a window: 0 refused, at most 100 in any 10 s, ETA less than 20 % off."""
    office = Office(stand, hubspot_server, datetime(2026, 3, 10, 12, 0, 7, tzinfo=UTC))
    await office.prove()
    told = office.eta(320)
    took = await office.carry_out(320)
    assert (office.failures, office.refusals()) == ([], [])
    assert len(office.wire.sent) == 320
    assert office.most_within(10) <= TIER
    assert abs(told - took) / took < 0.2, (told, took)
    assert took < 1.2 * 320 / (TIER * RESERVED / 10), "and what is permitted is used"


async def test_a_days_cap_is_kept_by_all_and_its_end_foretold(stand: Any, hubspot_server: Running) -> None:
    """R22: 280 calls where a day has 200, begun ten minutes before the portal's midnight: 0 fail, no day of the portal above 200, ETA < 20 % off."""
    office = Office(stand, hubspot_server, datetime(2026, 3, 9, 23, 50, 7, tzinfo=PORTAL).astimezone(UTC), DAILY)
    await office.prove(hours=24)
    office.vendor.gate.limits.rate_per_10s, office.vendor.gate.limits.daily = None, DAILY
    told = office.eta(280)
    took = await office.carry_out(280)
    assert (office.failures, office.refusals()) == ([], [])
    days = Counter(at.astimezone(PORTAL).date() for at in office.wire.sent)
    assert sum(days.values()) == 280
    assert max(days.values()) <= DAILY
    assert set(office.waited) == {datetime(2026, 3, 11, tzinfo=PORTAL)}, "said until when"
    assert abs(told - took) / took < 0.2, (told, took)


def test_a_window_shared_by_threads_is_never_overspent(store: Store) -> None:
    """R22: 4 workers with event loops of their own take from one window at once: exactly what it holds is given."""
    ledger, window = StoreLedger(store), datetime(2026, 3, 10, 12, tzinfo=UTC)
    taken: list[int] = []

    def worker(units: int) -> None:
        for _ in range(40):
            if ledger.take("hubspot:1", "burst", window, units, 90):
                taken.append(units)

    threads = [Thread(target=worker, args=(units,)) for units in (1, 2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 90
