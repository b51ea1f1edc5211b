"""Who may call, and how often: OAuth with rotating tokens, API tokens, scopes, and the limits with their headers."""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from hub.testing import FaultBoard
from hub_zendesk.emulator.answers import Refused, forbidden
from hub_zendesk.emulator.desk import ADMIN, Desk

READ, WRITE = {"GET", "HEAD"}, {"POST", "PUT", "PATCH", "DELETE"}
MINUTE = 60
_RESOURCES = {
    "tickets": "tickets", "users": "users", "organizations": "organizations", "search": "tickets",
    "satisfaction_ratings": "satisfaction_ratings", "suspended_tickets": "tickets", "deleted_tickets": "tickets",
    "job_statuses": "tickets", "imports": "tickets", "webhooks": "webhooks",
}  # fmt: skip


@dataclass
class Token:
    """An access token. refresh: the refresh token of its pair, "" for client credentials."""

    scopes: set[str]
    expires: float
    refresh: str = ""


@dataclass
class Bucket:
    """A fixed window that opens with its first call."""

    limit: int
    window_s: int = MINUTE
    opened: float = 0.0
    used: int = 0

    def take(self, now: float) -> bool:
        if now >= self.opened + self.window_s or not self.used:
            self.opened, self.used = now, 0
        if self.used >= self.limit:
            return False
        self.used += 1
        return True

    def resets(self, now: float) -> int:
        return max(1, int(self.opened + self.window_s - now + 0.999))


@dataclass
class Gate:
    """The door of one account. enforce: whether limits are applied."""

    desk: Desk
    faults: FaultBoard
    client_id: str = "hub-client"
    client_secret: str = "secret-of-hub-client"  # noqa: S105 - a stand-in's
    refresh_token: str = "refresh-1-of-desk"  # noqa: S105
    api_tokens: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    scopes: set[str] = field(default_factory=lambda: {"read", "write"})
    per_minute: int = 400
    exports: int = 10
    user_exports: int = 20
    enforce: bool = True
    refreshes: int = 0
    refusals: int = 0
    is_revoked: bool = False
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    # Signing in

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """An answer of /oauth/tokens. A refresh kills the old pair; unknown scopes are granted and good for nothing."""
        kind = form.get("grant_type")
        known = form.get("client_id") == self.client_id and form.get("client_secret") == self.client_secret
        if self.is_revoked or not known:
            raise Refused(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
        if kind == "refresh_token":
            if form.get("refresh_token") != self.refresh_token:
                raise Refused(400, {"error": "invalid_grant", "error_description": "The refresh token is not valid"})
            for name in [n for n, t in self.tokens.items() if t.refresh == self.refresh_token]:
                del self.tokens[name]
            scopes = set(self.scopes)
        elif kind == "client_credentials":
            scopes = set(form.get("scope", "read").split())
        else:
            raise Refused(400, {"error": "unsupported_grant_type", "error_description": "Not a grant type"})
        lives = int(form.get("expires_in") or 1800)
        if not 300 <= lives <= 172_800:
            raise Refused(400, {"error": "invalid_request", "error_description": "expires_in is out of range"})
        self.refreshes += 1
        token = Token(scopes, self.now() + lives)
        name = f"access-{self.refreshes}-{secrets.token_hex(8)}"
        answer: dict[str, Any] = {
            "access_token": name, "token_type": "bearer", "scope": " ".join(sorted(scopes)), "expires_in": lives
        }  # fmt: skip
        if kind == "refresh_token":
            self.refresh_token = token.refresh = f"refresh-{self.refreshes + 1}-{secrets.token_hex(8)}"
            answer |= {"refresh_token": token.refresh, "refresh_token_expires_in": 2_592_000}
        self.tokens[name] = token
        return answer

    def now(self) -> float:
        return self.desk._now().timestamp()

    # At each call

    def admit(self, request: Request, path: str) -> tuple[int | None, dict[str, str]]:
        """(who calls, None for nobody; headers of the answer). Raises Refused."""
        user, scopes = self._who(request)
        if user is None and path != "users/me":
            raise Refused(401, {"error": "Couldn't authenticate you"})
        if quota := self.faults.args("quota"):
            raise Refused(429, {"error": "APIRateLimitExceeded"}, {"retry-after": str(quota.get("seconds", 3600))})
        headers = self._count(path, request.method)
        if user is not None:
            self._may(path, request.method, user, scopes)
        return user, headers

    def _who(self, request: Request) -> tuple[int | None, set[str]]:
        """Zendesk says 401 to a dead bearer token, and treats wrong passwords as nobody."""
        given = request.headers.get("authorization", "")
        if given.startswith("Bearer "):
            token = self.tokens.get(given[7:])
            if self.is_revoked or token is None or token.expires <= self.now():
                said = "The access token provided is expired, revoked, malformed or invalid for other reasons."
                raise Refused(401, {"error": "invalid_token", "error_description": said})
            return ADMIN, token.scopes
        if given.startswith("Basic ") and not self.is_revoked:
            try:
                user, _, token_text = base64.b64decode(given[6:]).decode().partition("/token:")
            except ValueError:
                return None, set()
            number = self.api_tokens.get(token_text)
            if number is not None and self.desk.users[number]["email"] == user:
                return number, {"read", "write"}
        return None, set()

    def _may(self, path: str, method: str, user: int, scopes: set[str]) -> None:
        parts = path.split("/")
        is_export = parts[0] == "incremental"
        name = parts[1] if is_export else parts[0]
        resource = "tickets" if name.startswith("ticket") else _RESOURCES.get(name, name)
        if path == "users/me":
            return
        verb = "read" if method in READ else "write"
        needed = f"{resource}:{verb}"
        denied = (self.faults.args("deny_scope") or {}).get("scope")
        if denied in {needed, verb} or not scopes & {needed, verb}:
            raise forbidden(f"Your access token lacks the scope {needed}")
        if is_export and self.desk.users[user]["role"] != "admin":
            raise forbidden()

    def _count(self, path: str, method: str) -> dict[str, str]:
        now = self.now()
        parts = path.split("/")
        used = [("minute", self.per_minute)]
        if path == "incremental/users/cursor":
            used.append(("user-exports", self.user_exports))
        elif parts[0] == "incremental":
            used.append(("exports", self.exports))
        elif path == "search/export":
            used.append(("search-export", 100))
        elif method == "PUT" and parts[0] == "tickets":
            used.append(("tickets-update", 100))
            if len(parts) == 2:
                used.append((f"ticket/{parts[1]}", 30))
        headers: dict[str, str] = {}
        for name, limit in used:
            bucket = self._buckets.setdefault(name, Bucket(limit, 600 if name.startswith("ticket/") else MINUTE))
            bucket.limit = limit
            if not bucket.take(now) and self.enforce:
                self.refusals += 1
                body = {
                    "error": "APIRateLimitExceeded",
                    "description": "Number of allowed API requests per minute exceeded",
                }
                raise Refused(429, body, {"retry-after": str(bucket.resets(now))})
            if self.enforce:
                headers |= _told(name, bucket, now, path)
        return headers


def _told(name: str, bucket: Bucket, now: float, path: str) -> dict[str, str]:
    """The headers of one limit, in whichever of the spellings Zendesk uses there."""
    left, resets = max(bucket.limit - bucket.used, 0), bucket.resets(now)
    if name == "minute":
        return {
            "X-Rate-Limit": str(bucket.limit), "X-Rate-Limit-Remaining": str(left), "ratelimit-limit": str(bucket.limit),
            "ratelimit-remaining": str(left), "ratelimit-reset": str(resets),
        }  # fmt: skip
    value = f"total={bucket.limit}; remaining={left}; resets={resets}"
    if name in {"exports", "user-exports"}:
        is_cursor = path.endswith("/cursor")
        header = (
            "Zendesk-RateLimit-incremental-exports-cursor" if is_cursor else "Zendesk-Rate-Limit-incremental-exports"
        )
        return {header: value}
    return {f"Zendesk-RateLimit-{'per-ticket-updates' if name.startswith('ticket/') else name}": value}
