"""What a Google API says when it refuses, and those refusals that only a person can mend.

Body shape: `{"error": {"code", "message", "errors": [{"domain", "reason", "message"}], "details": [{"reason"}],
"status"}}`. Source: the guides "errors" of Calendar and "handle-errors" of Gmail; their reasons are the same.
"""

from dataclasses import dataclass

import msgspec

from hub.api.errors import AuthError, HubError, ScopeError
from hub.api.http import Response

SLOW_DOWN = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
SPENT = frozenset({"dailyLimitExceeded", "quotaExceeded"})
_SCOPES = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
_NOT_ENABLED = {"accessNotConfigured", "SERVICE_DISABLED"}


class _Item(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    errors: list[_Item] = []
    details: list[_Item] = []
    status: str = ""


class _Body(msgspec.Struct):
    error: _Error


_decode = msgspec.json.Decoder(_Body).decode


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused. message: Google's own words; may repeat a value it refuses."""

    reasons: frozenset[str]
    message: str
    status: str


def refusal(response: Response) -> Refusal | None:
    """None where the body is not Google's, as from a proxy."""
    try:
        error = _decode(response.body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    reasons = frozenset(item.reason for item in (*error.errors, *error.details))
    return Refusal(reasons, error.message[:200], error.status)


def needs_a_person(said: Refusal, api: str) -> HubError | None:
    """A scope that was not allowed, an app the admin blocks, an API that is off; `api` as the console lists it."""
    if said.reasons & _SCOPES:
        return ScopeError("the sign-in lacks a scope for this; connect the account again and allow all of it")
    if "domainPolicy" in said.reasons:
        return AuthError(
            "the Workspace admin blocks this app: Admin console > Security > Access and data control > "
            "API controls > Manage third-party app access, then trust the client id"
        )
    if said.reasons & _NOT_ENABLED:
        return AuthError(
            f"the {api} is not enabled in this Google Cloud project: console > APIs & Services > Library > {api} > Enable"
        )
    return None
