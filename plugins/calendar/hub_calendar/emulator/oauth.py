"""Google's token end point: refresh tokens and signed service-account assertions become access tokens."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

PREFIX = "https://www.googleapis.com/auth/"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SKEW_S = 300


def short(scope: str) -> str:
    return scope.removeprefix(PREFIX)


class TokenRefused(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


@dataclass(frozen=True)
class Token:
    """scopes: short names ("calendar.events")."""

    address: str
    scopes: frozenset[str]
    expires_at: float


class OAuth:
    """now: epoch seconds. lifetime_s: of access tokens. issued: how many were given out."""

    def __init__(self, now: Callable[[], float], lifetime_s: float = 3599) -> None:
        self._now = now
        self.lifetime_s = lifetime_s
        self.tokens: dict[str, Token] = {}
        self.grants: dict[str, tuple[str, frozenset[str]]] = {}
        self.revoked: set[str] = set()
        self.issued = 0
        self._accounts: dict[str, tuple[rsa.RSAPublicKey, frozenset[str]]] = {}

    def grant(self, address: str, scopes: Iterable[str], refresh_token: str) -> str:
        """A standing permission; lifts an earlier revocation."""
        self.grants[refresh_token] = (address, frozenset(short(s) for s in scopes))
        self.revoked.discard(address)
        return refresh_token

    def issue(self, address: str, scopes: Iterable[str]) -> str:
        self.issued += 1
        access = "ya29." + hashlib.blake2b(f"access:{self.issued}".encode(), digest_size=24).hexdigest()
        self.tokens[access] = Token(address, frozenset(short(s) for s in scopes), self._now() + self.lifetime_s)
        return access

    def lookup(self, access: str) -> Token | None:
        token = self.tokens.get(access)
        return token if token and token.expires_at > self._now() and token.address not in self.revoked else None

    def revoke(self, address: str) -> None:
        """The person or the admin withdraws access: tokens and refresh tokens are dead."""
        self.revoked.add(address)

    def add_service_account(self, email: str, public_key_pem: str, scopes: Iterable[str]) -> None:
        """scopes: those the domain's admin delegated to it."""
        key = serialization.load_pem_public_key(public_key_pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("a service account signs with RSA")
        self._accounts[email] = (key, frozenset(short(s) for s in scopes))

    def trade(self, form: Mapping[str, str], accounts: Iterable[str]) -> dict[str, Any]:
        """The token end point's answer. Raises TokenRefused."""
        kind = form.get("grant_type", "")
        if kind == "refresh_token":
            address, scopes = self._refresh(form)
        elif kind == JWT_GRANT:
            address, scopes = self._delegate(form.get("assertion", ""), set(accounts))
        else:
            raise TokenRefused("unsupported_grant_type", f"Invalid grant_type: {kind}")
        return {
            "access_token": self.issue(address, scopes), "expires_in": int(self.lifetime_s),
            "scope": " ".join(PREFIX + s for s in sorted(scopes)), "token_type": "Bearer",
        }  # fmt: skip

    def _refresh(self, form: Mapping[str, str]) -> tuple[str, frozenset[str]]:
        if not form.get("client_id"):
            raise TokenRefused("invalid_request", "Could not determine client ID from request.")
        grant = self.grants.get(form.get("refresh_token", ""))
        if grant is None or grant[0] in self.revoked:
            raise TokenRefused("invalid_grant", "Token has been expired or revoked.")
        return grant

    def _delegate(self, assertion: str, accounts: set[str]) -> tuple[str, frozenset[str]]:
        claims, signed, signature = _open(assertion)
        key, allowed = self._accounts.get(str(claims.get("iss", "")), (None, frozenset()))
        if key is None:
            raise TokenRefused("invalid_grant", "Invalid grant: account not found")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise TokenRefused("invalid_grant", "Invalid JWT Signature.") from None
        now, issued, expires = self._now(), float(claims.get("iat", 0)), float(claims.get("exp", 0))
        if expires - issued > 3600 or expires <= now - SKEW_S or issued > now + SKEW_S:
            raise TokenRefused("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)")
        if not str(claims.get("aud", "")).endswith("/token"):
            raise TokenRefused("invalid_grant", "Invalid JWT: Failed audience check.")
        subject, scopes = str(claims.get("sub", "")).lower(), frozenset(short(s) for s in claims["scope"].split())
        if subject not in accounts:
            raise TokenRefused("invalid_grant", "Invalid email or User ID")
        if subject in self.revoked or not scopes <= allowed:
            raise TokenRefused(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for "
                "any of the scopes requested.",
                401,
            )
        return subject, scopes


def _open(assertion: str) -> tuple[dict[str, Any], bytes, bytes]:
    """(claims, signed part, signature) of a JWT."""
    parts = assertion.split(".")
    try:
        head, claims, signature = (base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in parts)
        header, body = json.loads(head), json.loads(claims)
    except ValueError:
        raise TokenRefused("invalid_grant", "Bad Request: not a JWT") from None
    if header.get("alg") != "RS256":
        raise TokenRefused("invalid_grant", "Invalid JWT: the algorithm must be RS256")
    return body, f"{parts[0]}.{parts[1]}".encode(), signature
