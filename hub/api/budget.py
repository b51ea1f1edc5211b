"""Rate budgets: what may be spent at a vendor, shared by everything that calls one account.

A connector names the method it calls; the manifest's table says what it costs. Where the vendor's own
headers know better, they win (`Budgeter.observe`). The ledger behind it is replaceable: the hub's store keeps
one that several processes share, `MemoryLedger` serves a single process and tests.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

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
            start, end = _window(now, budget)
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
                until = end
            wait = (until - now).total_seconds()
            waited += wait
            if waited > self._patience_s:
                raise RateLimited(
                    f"budget {budget.name!r} of account {self.account!r} is spent until {until:%Y-%m-%d %H:%M:%S} UTC",
                    retry_after_s=wait,
                    until=until,
                )
            await self._clock.sleep(wait + 0.01)

    def eta(self, method: str, calls: int) -> float:
        """Seconds until the last of `calls` calls of `method` may go out, if nobody else spends.

        What the windows running now have seen already is not looked at; what the vendor has blocked is.
        """
        now = at = self._clock.now()
        for budget in sorted(self._budgets, key=lambda b: b.window, reverse=True):
            units = budget.cost(method)
            if not units:
                continue
            at = max(at, self._ledger.blocked_until(self.account, budget.name) or at)
            per_window = max(math.floor(budget.units_per_window * (1 - budget.reserve)) // units, 1)
            windows, calls = (calls - 1) // per_window, (calls - 1) % per_window + 1
            if windows:
                at = _window(at, budget)[0] + windows * budget.window
        return (at - now).total_seconds()

    def close(self) -> None:
        """Give back what was taken and not spent in the windows still running."""
        for b in self._budgets:
            start, held = self._purse.pop(b.name, (None, 0))
            if held and start == _window(self._clock.now(), b)[0]:
                self._ledger.take(self.account, b.name, start, -held, b.units_per_window)

    def block(self, seconds: float, budget: str | None = None, method: str | None = None) -> datetime:
        """The vendor refused: nobody spends for `seconds`. Returns the instant.

        Of all budgets, of the one named, or of those that a call of `method` spends from; a method that costs nothing
        is refused for a reason the table does not know, so all are meant.
        """
        until = self._clock.now() + timedelta(seconds=seconds)
        meant = [b for b in self._budgets if budget in {None, b.name} and (method is None or b.cost(method))]
        for b in meant or ([] if budget else self._budgets):
            self._ledger.block(self.account, b.name, until)
        return until


def _window(now: datetime, budget: Budget) -> tuple[datetime, datetime]:
    """(start, end) of the window that `now` lies in. A day has 23 or 25 hours where the zone changes its clocks."""
    if budget.zone:
        zone = ZoneInfo(budget.zone)
        today = datetime.combine(now.astimezone(zone), time(), zone)
        return today.astimezone(UTC), (today + timedelta(days=1)).astimezone(UTC)
    seconds = budget.window.total_seconds()
    start = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    return start, start + budget.window
