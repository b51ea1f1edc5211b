"""The quota: queries per user in any sixty seconds (a sliding window), refused by turns with 403 and 429."""

from collections import deque

from hub_calendar.emulator.errors import Refused

WINDOW_S = 60.0
UNITS = {"events.patch": 3}


class Quota:
    """per_minute: queries per user; None is no limit. A refused call costs nothing."""

    def __init__(self, per_minute: int | None = None) -> None:
        self.per_minute = per_minute
        self.refusals = 0
        self._calls: dict[str, deque[tuple[float, int]]] = {}

    def spend(self, user: str, method: str, now_s: float) -> None:
        """Raises Refused when the last minute is used up."""
        calls = self._calls.setdefault(user, deque())
        while calls and calls[0][0] <= now_s - WINDOW_S:
            calls.popleft()
        units = UNITS.get(method, 1)
        if self.per_minute is not None and sum(n for _, n in calls) + units > self.per_minute:
            raise self.over()
        calls.append((now_s, units))

    def over(self, scope: str = "user") -> Refused:
        """scope: "user" (per minute) or "daily", which holds for hours."""
        if scope == "daily":
            return Refused(403, "Calendar usage limits exceeded.", "quotaExceeded", "usageLimits")
        self.refusals += 1
        code, reason = ((403, "userRateLimitExceeded"), (429, "rateLimitExceeded"))[self.refusals % 2]
        return Refused(code, "Rate Limit Exceeded", reason, "usageLimits")
