"""Time and transport of a world, in a file of their own: a process that is killed ten times loads nothing it need not."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from hub.api import Clock

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class TickingClock(Clock):
    """Stands where it was put and moves a millisecond at each look, so that no two instants are the same.

    Waiting costs nothing: it moves the clock. Shared by the hub and the vendors of a world.
    """

    def __init__(self, at: datetime = START) -> None:
        self._at = at

    def now(self) -> datetime:
        self._at += timedelta(milliseconds=1)
        return self._at

    def monotonic(self) -> float:
        return self._at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)
        await asyncio.sleep(0)

    def set(self, at: datetime) -> None:
        self._at = at

    def advance(self, **span: float) -> None:
        self._at += timedelta(**span)


class HurryingClock(Clock):
    """Real time, but waiting is skipped by moving ahead. `kept`: a file in which the lead outlives a killed process."""

    def __init__(self, kept: Path | None = None) -> None:
        self._kept = kept
        self.lead = float(kept.read_text() or 0) if kept and kept.exists() else 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.lead)

    async def sleep(self, seconds: float) -> None:
        self.lead += seconds
        if self._kept:
            fresh = self._kept.with_suffix(".new")
            fresh.write_text(str(self.lead))
            os.replace(fresh, self._kept)
        await asyncio.sleep(0)


class OneTransport(httpx.AsyncHTTPTransport):
    """One pool of connections for all of a world's syncs: reading root certificates for each would cost more."""

    def __init__(self) -> None:
        super().__init__(verify=False)

    async def aclose(self) -> None:
        """The world closes it."""

    async def really_close(self) -> None:
        await super().aclose()
