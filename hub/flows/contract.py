"""What the schedule layer needs from an engine: three questions, no import of it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class SyncResultLike(Protocol):
    """How one sync of one connection ended, in the engine's words."""

    @property
    def status(self) -> str: ...

    @property
    def exit_code(self) -> int:
        """0 fine, 1 failed, 2 usage or config, 3 partly failed, 4 needs re-authentication, 5 drift found."""
        ...

    @property
    def lines(self) -> list[str]:
        """What a person reads, a line each. They are shown in Prefect's UI: no secrets, no message bodies."""
        ...


class EngineLike(Protocol):
    """The engine as `serve` sees it. All three are called on the event loop that called `serve`.

    The hub's database is the only truth: due times, leases and results live behind these methods, and a Prefect run
    never decides anything. `due` and `schedule_report` block that loop, so they must answer in milliseconds.
    """

    def due(self, now: datetime) -> list[str]:
        """Connections whose next run is at or before `now` (aware UTC) and that nobody holds a lease on.

        Most urgent first: under a full house the first ones get the free slots.
        """
        ...

    async def sync(self, connection: str) -> SyncResultLike:
        """Run one connection start to end under its lease. Never raises for vendor trouble.

        Cancelled only when `serve` ends and the grace period is over: release the lease and let the
        cancellation through.
        """
        ...

    def schedule_report(self, since: datetime) -> dict[str, int]:
        """Counts since `since` (aware UTC): due, run, missed, doubled."""
        ...
