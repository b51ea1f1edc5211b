"""What Gmail's refusals mean: the same 403 is "slow down", "a scope is missing" or "ask the admin".

Source: developers.google.com/workspace/gmail/api/guides/handle-errors.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.api import AuthError, Clock, ContractBroken, HubError, RateLimited, Response, retry_after
from hub.api.google import SLOW_DOWN, SPENT, needs_a_person, refusal

PACIFIC = ZoneInfo("America/Los_Angeles")
_UNTIL = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")


def explain(response: Response, clock: Clock) -> HubError | None:
    """The error behind a status >= 400, or None where the common meaning holds (404, 5xx, ...)."""
    if response.status not in {400, 403, 429}:
        return None
    refused = refusal(response)
    if refused is None:
        return None
    reasons, said = refused.reasons, refused.message
    if reasons & SPENT and "per minute" not in said:
        return _limited(f"the quota is spent: {said}", _until_midnight_pacific(clock))
    if response.status == 429 or reasons & (SLOW_DOWN | SPENT):
        return _limited(f"too many requests: {said}", _pause(said, response, clock))
    if error := needs_a_person(refused, "Gmail API"):
        return error
    if "failedPrecondition" in reasons or refused.status == "FAILED_PRECONDITION":
        return AuthError(
            f"Google refuses to serve this mailbox ({said}): is Gmail switched on for the account, and, for "
            "a service account, is domain-wide delegation set up for its client id and these scopes?"
        )
    return ContractBroken(f"Gmail refused the request: {said}") if response.status == 400 else None


def _limited(message: str, seconds: float | None) -> RateLimited:
    return RateLimited(message, retry_after_s=seconds)


def _pause(said: str, response: Response, clock: Clock) -> float | None:
    """Seconds to wait: the header, the instant in the text, the rest of a minute quota, or None (unknown)."""
    if (header := retry_after(response, clock)) is not None:
        return header
    now = clock.now()
    if named := _UNTIL.search(said):
        until = datetime.fromisoformat(named[1].replace("Z", "+00:00"))
        return min(max((until - now).total_seconds(), 0.0), 86_400.0)
    if "per minute" in said:
        return 60.0 - now.timestamp() % 60.0
    return None


def _until_midnight_pacific(clock: Clock) -> float:
    """Daily quotas start anew at midnight Pacific time, in summer and in winter."""
    now = clock.now()
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=PACIFIC)
    return (midnight.astimezone(UTC) - now).total_seconds()
