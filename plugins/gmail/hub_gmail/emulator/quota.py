"""Quota units per method (the 2026 table) and the per-user limit.

Source: developers.google.com/workspace/gmail/api/reference/quota; untrash and settings.sendAs are not in it and follow modify and labels.
Calls in a batch each count. A refused call costs nothing.
"""

from datetime import UTC, datetime

from hub_gmail.emulator.errors import Refused

UNITS = {
    "getProfile": 1, "labels.list": 1, "labels.get": 1, "labels.create": 5, "history.list": 2,
    "messages.list": 5, "messages.get": 20, "messages.attachments.get": 20, "messages.modify": 5,
    "messages.batchModify": 50, "messages.batchDelete": 50, "messages.delete": 10, "messages.trash": 20,
    "messages.untrash": 5, "messages.send": 100, "messages.insert": 25, "messages.import": 25,
    "threads.list": 10, "threads.get": 40, "drafts.list": 5, "drafts.get": 20, "drafts.create": 10,
    "drafts.update": 15, "drafts.send": 100, "drafts.delete": 10, "watch": 100, "stop": 50,
    "settings.sendAs.list": 1, "settings.sendAs.get": 1,
}  # fmt: skip


class Quota:
    """per_minute: units per user per clock minute; None is no limit."""

    def __init__(self, per_minute: int | None = None) -> None:
        self.per_minute = per_minute
        self.spent: dict[str, int] = {}
        self._minute: dict[str, tuple[int, int]] = {}
        self._refusals = 0

    def spend(self, address: str, method: str, now_s: float) -> None:
        """Raises Refused, by turns 403 and 429, when the minute's units are used up."""
        units = UNITS[method]
        minute = int(now_s // 60)
        start, used = self._minute.get(address, (minute, 0))
        if start != minute:
            used = 0
        if self.per_minute is not None and used + units > self.per_minute:
            raise self.over("user", (minute + 1) * 60)
        self._minute[address] = (minute, used + units)
        self.spent[address] = self.spent.get(address, 0) + units

    def over(self, scope: str, until_s: float) -> Refused:
        """The refusal. scope: "user" (per minute), "daily", "concurrent" or "sending"."""
        if scope == "daily":
            return Refused(403, "Daily Limit Exceeded", "dailyLimitExceeded", "usageLimits")
        if scope == "concurrent":
            return Refused(429, "Too many concurrent requests for user", "rateLimitExceeded")
        retry_at = datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if scope == "sending":
            message = f"User-rate limit exceeded.  Retry after {retry_at} (Mail sending)"
            return Refused(429, message, "rateLimitExceeded", "usageLimits")
        self._refusals += 1
        if self._refusals % 2:
            message = (
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
                "'gmail.googleapis.com' for consumer 'project_number:1'."
            )
            return Refused(403, message, "rateLimitExceeded", "usageLimits")
        message = f"User-rate limit exceeded.  Retry after {retry_at}"
        return Refused(429, message, "userRateLimitExceeded", "usageLimits")
