"""Who may call, and how often: bearer tokens, scopes, OAuth refresh, rate limits and their headers."""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from hub.testing import FaultBoard
from hub_hubspot.emulator.answers import Answer, Call, Refusal
from hub_hubspot.emulator.tables import BY_NAME

ACCESS_TOKEN_S = 1800
WINDOW_MS = 10_000
PREFERENCES = "communication_preferences.read_write"  # or .read and .write apart, which this stand-in does not know
MAX_URL_CHARS = 8_000  # the vendor's own threshold is not known
_READING = frozenset({("batch", "read"), ("search",)})


@dataclass(slots=True)
class Token:
    """A bearer token. scopes: None is all. expires_ms: None for service keys and static tokens."""

    value: str
    scopes: frozenset[str] | None = None
    expires_ms: int | None = None
    is_revoked: bool = False

    @property
    def is_oauth(self) -> bool:
        return self.expires_ms is not None


@dataclass
class Limits:
    """None: no limit and no headers. rate_per_10s: per app; daily: per account; search_per_s: per account."""

    rate_per_10s: int | None = None
    daily: int | None = None
    search_per_s: int | None = None


@dataclass
class Gate:
    """Lets calls in. zone: the portal's time zone, whose midnight ends the daily limit."""

    board: FaultBoard
    now_ms: Callable[[], int]
    limits: Limits
    client_id: str
    client_secret: str
    refresh_token: str
    portal_id: int
    zone: str
    tokens: dict[str, Token] = field(default_factory=dict)
    oauth_scopes: frozenset[str] | None = None
    refreshes: int = 0
    _recent: deque[int] = field(default_factory=deque)
    _searches: deque[int] = field(default_factory=deque)
    _day: str = ""
    _today: int = 0

    def admit(self, call: Call) -> dict[str, str]:
        """The rate headers of the answer. Raises Refusal: 401, 403, 414, 429."""
        token = self._token(call)
        self._check_scopes(token, call)
        if len(call.path) + sum(len(k) + len(v) + 2 for k, vs in call.query.items() for v in vs) > MAX_URL_CHARS:
            raise Refusal(414, "VALIDATION_ERROR", "URI Too Long")
        return self._spend(call, token)

    # Tokens

    def _token(self, call: Call) -> Token:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(value.strip()) if scheme.lower() == "bearer" else None
        if token and self.board.hits("expire_token", call.path, call.method):
            if not token.is_oauth:
                raise _expired()
            token.expires_ms = min(token.expires_ms or 0, self.now_ms())
        if token is None or token.is_revoked or self.board.hits("revoke_token", call.path, call.method):
            raise Refusal(
                401, "INVALID_AUTHENTICATION",
                "Authentication credentials not found. This API supports OAuth 2.0 authentication.",
            )  # fmt: skip
        if token.expires_ms is not None and token.expires_ms <= self.now_ms():
            raise _expired()
        return token

    def trade(self, call: Call) -> Answer:
        """The token endpoint: a refresh token (or an authorisation code) against an access token of 1800 s."""
        form = {k: v[-1] for k, v in parse_qs(call.raw.decode("utf-8", "replace")).items()}
        is_client = form.get("client_id") == self.client_id and form.get("client_secret") == self.client_secret
        grant = form.get("grant_type")
        is_refresh = grant == "refresh_token" and form.get("refresh_token") == self.refresh_token
        is_code = grant == "authorization_code" and form.get("code") == "test-code"
        if self.board.hits("revoke_token", call.path, call.method) or not is_client or not (is_refresh or is_code):
            status = "BAD_REFRESH_TOKEN" if is_client else "BAD_CLIENT_ID"
            message = "missing or invalid refresh token" if is_client else "missing or unknown client id"
            error = "invalid_grant" if is_client else "invalid_client"
            raise Refusal(400, "", message, extra={"status": status, "category": None, "error": error})
        self.refreshes += 1
        value = f"access-{self.refreshes}"
        self.tokens[value] = Token(value, self.oauth_scopes, self.now_ms() + ACCESS_TOKEN_S * 1000)
        return Answer(200, {
            "token_type": "bearer", "access_token": value, "refresh_token": self.refresh_token,
            "expires_in": ACCESS_TOKEN_S, "hub_id": self.portal_id, "scopes": sorted(self.oauth_scopes or ()),
        })  # fmt: skip

    # Scopes

    def _check_scopes(self, token: Token, call: Call) -> None:
        denied = self._denied(call)
        for scope in scopes_for(call):
            if scope in denied or (token.scopes is not None and scope not in token.scopes):
                message = (
                    "This app hasn't been granted all required scopes to make this call. "
                    "Read more about required scopes here: https://developers.hubspot.com/scopes."
                )
                detail = {
                    "message": "One or more of the following scopes are required.",
                    "context": {"requiredGranularScopes": [scope]},
                }
                raise Refusal(403, "MISSING_SCOPES", message, errors=[detail])

    def may_read(self, call: Call, plural: str) -> bool:
        """Whether the caller may see objects of this type (for inline associations)."""
        token = self.tokens.get(call.headers.get("authorization", "").partition(" ")[2].strip())
        granted = token.scopes if token else None
        denied = self._denied(call)
        return all(s not in denied and (granted is None or s in granted) for s in _object_scopes(plural, False))

    def _denied(self, call: Call) -> set[str]:
        """Scopes taken away by `deny_scope` rules in force (args: scope, or scopes)."""
        if self.board.args("deny_scope") is None:
            return set()
        rules = [r for r in self.board.state() if r["kind"] == "deny_scope" and r["path"] in call.path]
        rules = [r for r in rules if r["method"] in {"", call.method}]
        return {s for r in rules for s in (r["args"].get("scopes") or [r["args"].get("scope", "")])}

    # Rates

    def _spend(self, call: Call, token: Token) -> dict[str, str]:
        is_search = call.parts[-1:] == ("search",)
        if fault := self.board.hits("quota", call.path, call.method):
            raise _limited(str(fault.args.get("policy", "TEN_SECONDLY_ROLLING")), fault.args.get("headers"))
        now = self.now_ms()
        if is_search:
            limit = self.limits.search_per_s
            if limit is not None and not _room(self._searches, now - 1000, limit, now):
                raise _limited("SECONDLY")
        day = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(self.zone)).date().isoformat()
        if day != self._day:
            self._day, self._today = day, 0
        if self.limits.daily is not None and not token.is_oauth and self._today >= self.limits.daily:
            raise _limited("DAILY", self._headers(token))
        rate = None if is_search else self.limits.rate_per_10s
        if rate is not None and not _room(self._recent, now - WINDOW_MS, rate, now):
            raise _limited("TEN_SECONDLY_ROLLING", self._headers(token))
        self._today += 1
        return {} if is_search else self._headers(token)

    def _headers(self, token: Token) -> dict[str, str]:
        found: dict[str, str] = {}
        if (rate := self.limits.rate_per_10s) is not None:
            found["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(WINDOW_MS)
            found["X-HubSpot-RateLimit-Max"] = str(rate)
            found["X-HubSpot-RateLimit-Remaining"] = str(max(0, rate - len(self._recent)))
            found["X-HubSpot-RateLimit-Secondly"] = str(max(1, rate // 10))
            found["X-HubSpot-RateLimit-Secondly-Remaining"] = str(max(1, rate // 10) - 1)
        if (daily := self.limits.daily) is not None and not token.is_oauth:
            found["X-HubSpot-RateLimit-Daily"] = str(daily)
            found["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(0, daily - self._today))
        return found


def _room(times: deque[int], since: int, limit: int, now: int) -> bool:
    while times and times[0] <= since:
        times.popleft()
    if len(times) >= limit:
        return False
    times.append(now)
    return True


def _limited(policy: str, headers: dict[str, str] | None = None) -> Refusal:
    extra: dict[str, Any] = {
        "errorType": "RATE_LIMIT", "policyName": policy, "requestId": str(uuid.uuid4()), "category": None,
    }  # fmt: skip
    return Refusal(429, "", f"You have reached your {policy.lower()} limit.", extra=extra, headers=headers)


def _expired() -> Refusal:
    return Refusal(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")


def scopes_for(call: Call) -> list[str]:
    """The scopes a request needs. Unknown types need none: they are refused elsewhere."""
    name = BY_NAME[call.parts[0]].plural if call.parts and call.parts[0] in BY_NAME else ""
    is_write = call.method != "GET" and call.parts[1:] not in _READING and call.parts[2:] not in _READING
    if call.area == "owners":
        return ["crm.objects.owners.read"]
    if call.area == "preferences":
        return [PREFERENCES]
    if not name:
        return []
    if call.area == "properties":
        is_schema = is_write and name in {"contacts", "companies", "deals"}
        return [f"crm.schemas.{name}.write"] if is_schema else _object_scopes(name, is_write)[:1]
    found = _object_scopes(name, is_write)
    target = call.parts[1:2] if call.area == "associations" else call.parts[3:4] if "associations" in call.parts else ()
    if "default" in call.parts[3:4]:
        target = call.parts[4:5]
    for other in target:
        if other in BY_NAME:
            found += _object_scopes(BY_NAME[other].plural, is_write)
    return list(dict.fromkeys(found))


def _object_scopes(plural: str, is_write: bool) -> list[str]:
    """Engagements go with contacts; reading the content of e-mails needs a scope of its own."""
    if plural == "tickets":
        return ["tickets"]
    family = plural if plural in {"contacts", "companies", "deals"} else "contacts"
    found = [f"crm.objects.{family}.{'write' if is_write else 'read'}"]
    return [*found, "sales-email-read"] if plural == "emails" and not is_write else found
