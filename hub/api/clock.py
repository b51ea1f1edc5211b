"""Time as a service: everything that reads a clock or waits takes one of these."""

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock. `sleep` and `monotonic` are in seconds."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FakeClock(Clock):
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._mono = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._mono

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        from datetime import timedelta

        self._at += timedelta(seconds=seconds)
        self._mono += seconds
