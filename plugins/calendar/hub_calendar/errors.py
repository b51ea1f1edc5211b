"""What Google Calendar's refusals mean: the same 403 is "slow down", "a scope is missing" or "not your meeting".

Source: developers.google.com/workspace/calendar/api/guides/errors; body shape
`{"error": {"code", "message", "errors": [{"domain", "reason", "message"}]}}`.
"""

import msgspec

from hub.api import (
    AuthError,
    Clock,
    Conflict,
    CursorExpired,
    HubError,
    RateLimited,
    RecordRejected,
    Response,
    ScopeError,
    retry_after,
)

SLOW_DOWN = {"rateLimitExceeded", "userRateLimitExceeded"}
SPENT = {"quotaExceeded", "dailyLimitExceeded"}
SCOPES = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
NOT_ENABLED = {"accessNotConfigured", "SERVICE_DISABLED"}
TOO_OLD = {"fullSyncRequired", "updatedMinTooLongAgo"}
PAUSE_S = 15.0  # Google seldom says how long; its minute slides, so four such pauses outlast any refusal
SPENT_S = 3600.0  # these last for hours and Google names no end: asked again once an hour


class _Item(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    errors: list[_Item] = []
    details: list[_Item] = []


class _Body(msgspec.Struct):
    error: _Error


_decode = msgspec.json.Decoder(_Body).decode


def explain(response: Response, clock: Clock) -> HubError | None:
    """The error behind a status >= 400, or None where the common meaning holds (404, 409, 5xx, ...).

    Google's own message is left out of what is said of a record: it may repeat the value it refuses.
    """
    reasons = _reasons(response)
    if reasons & SPENT:
        return RateLimited("the calendar usage limit is reached", retry_after_s=SPENT_S)
    if reasons & SLOW_DOWN or response.status == 429:
        said = retry_after(response, clock)
        return RateLimited("too many requests", retry_after_s=PAUSE_S if said is None else said)
    if response.status == 410 and reasons & TOO_OLD:
        return CursorExpired("Google no longer knows the sync token")
    if response.status == 412:
        return Conflict("the event has been changed since it was read")
    if response.status != 403:
        return None
    if reasons & SCOPES:
        return ScopeError("the sign-in lacks a scope for this; connect the account again and allow all of it")
    if reasons & NOT_ENABLED:
        return AuthError(
            "the Google Calendar API is not enabled in this Google Cloud project: "
            "console > APIs & Services > Library > Google Calendar API > Enable"
        )
    if "domainPolicy" in reasons:
        return AuthError("the Workspace admin blocks this app: Admin console > Security > API controls > trust it")
    if "forbiddenForNonOrganizer" in reasons:
        return RecordRejected("only the organizer of this meeting can change it")
    if "requiredAccessLevel" in reasons:
        return RecordRejected(
            'this account may not change events there: share the calendar with "Make changes to events"'
        )
    return None


def _reasons(response: Response) -> set[str]:
    try:
        error = _decode(response.body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return set()
    return {item.reason for item in (*error.errors, *error.details)}
