"""HubSpot's refusals as errors of the hub, and its quota headers as blocks on the budget.

Source: developers.hubspot.com "Error handling", "API usage guidelines"; the official Node SDK's retry rules.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hub.api import (
    Budgeter,
    Clock,
    Conflict,
    Gone,
    HubError,
    RateLimited,
    RecordRejected,
    Response,
    ScopeError,
    retry_after,
)

WORDS = 600
_EXISTING = re.compile(r"Existing ID: ?(\d+)")
_LOCK_S = 2.0
_UNKNOWN_DAY_S = 3600.0


@dataclass(eq=False)
class MissingScope(ScopeError):
    """A ScopeError that knows the scopes HubSpot asked for."""

    scopes: tuple[str, ...] = ()


class Detail(msgspec.Struct):
    message: str = ""
    code: str | None = None
    context: dict[str, Any] | None = None


class Problem(msgspec.Struct):
    """HubSpot's error body, and one entry of a 207's `errors`. Every field may be missing."""

    message: str = ""
    category: str | None = None
    context: dict[str, Any] | None = None
    errors: list[Detail] | None = None
    policyName: str | None = None
    id: Any = None

    def named(self, *names: str) -> list[str]:
        """What the contexts say under any of these names, as texts."""
        found: list[str] = []
        for context in (self.context, *(d.context for d in self.errors or ())):
            for name in names:
                value = (context or {}).get(name)
                found += [str(v) for v in (value if isinstance(value, list) else [value]) if v is not None]
        return found

    def words(self) -> str:
        """The vendor's own words, shortened."""
        text = self.message or "; ".join(d.message for d in self.errors or () if d.message)
        return text if len(text) <= WORDS else text[:WORDS] + " ..."


def problem_of(response: Response) -> Problem:
    """The error body; an empty Problem for HTML pages and other shapes."""
    try:
        return msgspec.json.decode(response.body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Problem()


def explain(response: Response, clock: Clock, zone: str) -> HubError | None:
    """The error for a status >= 400; None leaves it to the common meaning. zone: the portal's, may be ""."""
    status, problem = response.status, problem_of(response)
    words = problem.words()
    if status == 403:
        scopes = tuple(dict.fromkeys(problem.named("requiredGranularScopes", "requiredScopes")))
        named = f"HubSpot refuses access; missing scope: {', '.join(scopes)}" if scopes else ""
        return MissingScope(named or f"HubSpot refuses access: {words or 'no reason given'}", scopes=scopes)
    if status == 404:
        return Gone(words or "not found at HubSpot")
    if status == 409:
        return Conflict(words or "HubSpot reports a conflict", existing_id=existing_id(words))
    if status == 414:
        return RecordRejected(words or "the address of the request is too long")
    if status == 423:
        return RateLimited("the record is locked for two seconds", retry_after_s=_LOCK_S)
    if status == 429:
        return _too_many(problem, response, clock, zone)
    if status == 477:
        wait = retry_after(response, clock)
        return RateLimited("the portal is moving to another data centre", retry_after_s=wait or 60.0)
    if 400 <= status < 500 and status not in {401, 408, 425}:
        return RecordRejected(words or f"HubSpot refused the request with status {status}")
    return None


def existing_id(words: str) -> str:
    """N out of "Contact already exists. Existing ID: N", else ""."""
    match = _EXISTING.search(words)
    return match.group(1) if match else ""


def row_error(problem: Problem) -> HubError:
    """The error of one row of a 207 answer."""
    words = problem.words() or "refused without a reason"
    if problem.category == "CONFLICT" or existing_id(words):
        return Conflict(words, existing_id=existing_id(words))
    if problem.category == "OBJECT_NOT_FOUND":
        return Gone(words)
    return RecordRejected(words)


def _too_many(problem: Problem, response: Response, clock: Clock, zone: str) -> RateLimited:
    wait = retry_after(response, clock)
    if problem.policyName == "DAILY" or "daily limit" in problem.message:
        seconds = until_midnight(clock.now(), zone) if wait is None else wait
        return RateLimited("the portal's daily limit of calls is used up", retry_after_s=seconds)
    if wait is None:
        wait = 1.0 if "secondly" in problem.message.lower().replace("ten_secondly", "") else 10.0
    return RateLimited(f"too many calls ({problem.policyName or 'no policy named'})", retry_after_s=wait)


def until_midnight(now: datetime, zone: str) -> float:
    """Seconds to the portal's next midnight; one hour when its zone is not known: then ask again."""
    if not zone:
        return _UNKNOWN_DAY_S
    local = now.astimezone(ZoneInfo(zone))
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - now.timestamp()


def observe(response: Response, budgeter: Budgeter, clock: Clock, zone: str) -> None:
    """Stop spending when the vendor's own count says nothing is left."""
    remaining = response.headers.get("x-hubspot-ratelimit-remaining", "")
    if remaining == "0" and response.status < 400:
        # A rolling window that is full: the calls in it leave it at the latest after its whole length.
        interval = response.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        budgeter.block(int(interval) / 1000 if interval.isdecimal() else 10.0, "burst")
    if response.headers.get("x-hubspot-ratelimit-daily-remaining", "") == "0":
        budgeter.block(until_midnight(clock.now(), zone), "daily")


def known_zone(name: str) -> str:
    """The zone name HubSpot gives, or "" when this machine does not know it."""
    try:
        return ZoneInfo(name).key if name else ""
    except (KeyError, ValueError, OSError):
        return ""
