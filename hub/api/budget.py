"""Rate budgets: what may be spent at a vendor, shared by everything that calls one account.

A connector names the method it calls; the manifest's table says what it costs. Where the vendor's own
headers know better, they win (`Budgeter.observe`). The ledger behind it is replaceable: the hub's store keeps
one that several processes share, `MemoryLedger` serves a single process and tests.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hub.api.clock import Clock
from hub.api.errors import RateLimited
from hub.api.manifest import Budget


class Ledger(Protocol):
    """Counts units per (account, budget, window start). Must be atomic across its users."""

    def take(self, account: str, budget: str, window_start: datetime, units: int, limit: int) -> bool:
        """Add `units` to the window if the sum stays within `limit`; False (nothing taken) otherwise."""
        ...

    def block(self, account: str, budget: str, until: datetime) -> None:
        """No spending before `until`: the vendor said so."""
        ...

    def blocked_until(self, account: str, budget: str) -> datetime | None: ...


class MemoryLedger:
    """A ledger for one process."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], tuple[datetime, int]] = {}
        self._blocked: dict[tuple[str, str], datetime] = {}

    def take(self, account: str, budget: str, window_start: datetime, units: int, limit: int) -> bool:
        start, used = self._used.get((account, budget), (window_start, 0))
        if start != window_start:
            used = 0
        if used + units > limit:
            return False
        self._used[account, budget] = (window_start, used + units)
        return True

    def block(self, account: str, budget: str, until: datetime) -> None:
        known = self._blocked.get((account, budget))
        if known is None or until > known:
            self._blocked[account, budget] = until

    def blocked_until(self, account: str, budget: str) -> datetime | None:
        return self._blocked.get((account, budget))


class Budgeter:
    """Spends units of all budgets of one account, waiting up to `patience_s`, else RateLimited(until).

    Units are taken from the ledger in slices of 1/20 window, so a shared ledger sees few writes.
    """

    def __init__(
        self, account: str, budgets: Sequence[Budget], ledger: Ledger, clock: Clock, patience_s: float = 90.0
    ) -> None:
        self.account = account
        self.spent = 0
        self._budgets = budgets
        self._ledger = ledger
        self._clock = clock
        self._patience_s = patience_s
        self._purse: dict[str, tuple[datetime, int]] = {}

    async def spend(self, method: str, calls: int = 1) -> None:
        """Pay for `calls` calls of `method`; sleeps until the windows allow it."""
        for budget in self._budgets:
            units = budget.cost(method) * calls
            if units:
                await self._spend(budget, units)
                self.spent += units

    async def _spend(self, budget: Budget, units: int) -> None:
        limit = math.floor(budget.units_per_window * (1 - budget.reserve))
        waited = 0.0
        while True:
            now = self._clock.now()
            until = self._ledger.blocked_until(self.account, budget.name)
            start = _window_start(now, budget.window)
            if until is None or until <= now:
                held_from, held = self._purse.get(budget.name, (start, 0))
                if held_from != start:
                    held = 0
                if held >= units:
                    self._purse[budget.name] = (start, held - units)
                    return
                want = units - held
                slice_ = max(want, min(limit // 20, limit - want))
                for take in {slice_: None, want: None}:
                    if self._ledger.take(self.account, budget.name, start, take, limit):
                        self._purse[budget.name] = (start, held + take - units)
                        return
                if want > limit:
                    # One call dearer than a whole window: let it through alone, at a window's start.
                    if self._ledger.take(self.account, budget.name, start, limit, limit):
                        return
                until = start + budget.window
            wait = (until - now).total_seconds()
            waited += wait
            if waited > self._patience_s:
                raise RateLimited(
                    f"budget {budget.name!r} of account {self.account!r} is spent until {until:%Y-%m-%d %H:%M:%S} UTC",
                    retry_after_s=wait,
                    until=until,
                )
            await self._clock.sleep(wait + 0.01)

    def close(self) -> None:
        """Give back what was taken and not spent in the windows still running."""
        for b in self._budgets:
            start, held = self._purse.pop(b.name, (None, 0))
            if held and start == _window_start(self._clock.now(), b.window):
                self._ledger.take(self.account, b.name, start, -held, b.units_per_window)

    def block(self, seconds: float, budget: str | None = None) -> datetime:
        """The vendor refused: nobody spends for `seconds`. Returns the instant."""
        until = self._clock.now() + timedelta(seconds=seconds)
        for b in self._budgets:
            if budget is None or b.name == budget:
                self._ledger.block(self.account, b.name, until)
        return until


def _window_start(now: datetime, window: timedelta) -> datetime:
    seconds = window.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
