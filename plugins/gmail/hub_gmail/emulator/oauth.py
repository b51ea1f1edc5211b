"""Sign-in: grants, access tokens that expire, the token end point and the consent page's redirect.

Grants: refresh_token; authorization_code with PKCE (S256); jwt-bearer for service accounts with delegation, the
signature checked when a public key was registered for the issuer. Refusals are OAuth's own bodies
({"error", "error_description"}), not Google's API errors.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

FULL = "https://mail.google.com/"
PREFIX = "https://www.googleapis.com/auth/gmail."
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CODE_SECONDS = 600
SKEW_SECONDS = 300

Scopes = tuple[str, ...]


def short(scope: str) -> str:
    """ "readonly" for .../auth/gmail.readonly or gmail.readonly, "full" for https://mail.google.com/."""
    return "full" if scope == FULL else scope.removeprefix(PREFIX).removeprefix("gmail.")


def long(scope: str) -> str:
    """The URL of a scope by any of those names; other URLs as they are."""
    return FULL if scope == "full" else scope if "/" in scope else PREFIX + scope.removeprefix("gmail.")


class TokenRefused(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


@dataclass
class Grant:
    """What one refresh token stands for."""

    address: str
    scopes: Scopes
    is_revoked: bool = False


@dataclass(frozen=True)
class Token:
    address: str
    scopes: Scopes
    expires_at: float


@dataclass(frozen=True)
class Code:
    """A pending authorization code, good for one exchange."""

    address: str
    scopes: Scopes
    redirect_uri: str
    client_id: str
    challenge: str
    is_offline: bool
    expires_at: float


@dataclass
class Consent:
    """What the person in front of the consent page does. address: who is signed in; scopes: ticked ones (None: all)."""

    is_given: bool = True
    address: str | None = None
    scopes: Scopes | None = None


class OAuth:
    """now: epoch seconds. lifetime_s: of access tokens. clients: client id -> secret; empty accepts any client."""

    def __init__(self, now: Callable[[], float], lifetime_s: float = 3599) -> None:
        self._now = now
        self.lifetime_s = lifetime_s
        self.clients: dict[str, str] = {}
        self.grants: dict[str, Grant] = {}
        self.tokens: dict[str, Token] = {}
        self.revoked: set[str] = set()
        self.consent = Consent()
        self._codes: dict[str, Code] = {}
        self._accounts: dict[str, tuple[rsa.RSAPublicKey | None, frozenset[str] | None]] = {}
        self._issued = 0

    def grant(self, address: str, scopes: Scopes, refresh_token: str | None = None) -> str:
        """A refresh token for this mailbox; lifts an earlier revocation."""
        token = refresh_token or f"1//0{self._secret('refresh')}"
        self.grants[token] = Grant(address, tuple(long(s) for s in scopes))
        self.revoked.discard(address)
        return token

    def issue(self, address: str, scopes: Scopes, lifetime_s: float | None = None) -> str:
        now = self._now()
        self.tokens = {k: t for k, t in self.tokens.items() if t.expires_at > now}
        access = f"ya29.{self._secret('access')}"
        expires = now + (self.lifetime_s if lifetime_s is None else lifetime_s)
        self.tokens[access] = Token(address, tuple(long(s) for s in scopes), expires)
        return access

    def lookup(self, access: str) -> Token | None:
        token = self.tokens.get(access)
        if token is None or token.expires_at <= self._now():
            return None
        return token

    def expire(self, access: str) -> None:
        self.tokens.pop(access, None)

    def revoke(self, address: str) -> None:
        """The person or the admin withdraws access: every token of the mailbox dies."""
        self.revoked.add(address)
        self.tokens = {k: t for k, t in self.tokens.items() if t.address != address}
        for grant in self.grants.values():
            if grant.address == address:
                grant.is_revoked = True

    def add_service_account(
        self, email: str, public_key: str | bytes | None = None, scopes: Scopes | None = None
    ) -> None:
        """public_key: PEM; without one any signature passes. scopes: those the domain admin delegated (None: all)."""
        key: Any = None
        if public_key:
            data = public_key.encode() if isinstance(public_key, str) else public_key
            key = serialization.load_pem_public_key(data)
            if not isinstance(key, rsa.RSAPublicKey):
                raise TypeError("a service account signs with RSA")
        allowed = None if scopes is None else frozenset(long(s) for s in scopes)
        self._accounts[email] = (key, allowed)

    def authorize(self, query: Mapping[str, str], mailboxes: Mapping[str, Any]) -> str:
        """The consent page: the address to redirect the browser to. Raises TokenRefused for a bad request."""
        redirect = query.get("redirect_uri", "")
        if urlsplit(redirect).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise TokenRefused("redirect_uri_mismatch", "An installed app must redirect to the loopback address.")
        if query.get("response_type") != "code" or not query.get("client_id") or not query.get("scope"):
            raise TokenRefused("invalid_request", "Required parameter is missing: response_type, client_id or scope")
        if self.clients and query["client_id"] not in self.clients:
            raise TokenRefused("invalid_client", "The OAuth client was not found.", 401)
        method = query.get("code_challenge_method", "plain") if query.get("code_challenge") else "S256"
        if method != "S256":
            raise TokenRefused("invalid_request", "This emulator takes code_challenge_method=S256 only")
        state = {"state": query["state"]} if "state" in query else {}
        joiner = "&" if urlsplit(redirect).query else "?"
        if not self.consent.is_given:
            return redirect + joiner + urlencode({"error": "access_denied", **state})
        address = self.consent.address or query.get("login_hint") or next(iter(mailboxes), "")
        if address not in mailboxes:
            return redirect + joiner + urlencode({"error": "access_denied", **state})
        asked = tuple(query["scope"].split())
        given = asked if self.consent.scopes is None else tuple(s for s in asked if s in self.consent.scopes)
        code = f"4/0{self._secret('code')}"
        self._codes[code] = Code(
            address, given, redirect, query["client_id"], query.get("code_challenge", ""),
            query.get("access_type") == "offline", self._now() + CODE_SECONDS,
        )  # fmt: skip
        return redirect + joiner + urlencode({**state, "code": code, "scope": " ".join(given)})

    def trade(self, form: Mapping[str, str], mailboxes: Mapping[str, Any]) -> dict[str, Any]:
        """The token end point's answer. Raises TokenRefused."""
        kind = form.get("grant_type", "")
        if kind == "refresh_token":
            self._check_client(form)
            return self._refresh(form)
        if kind == "authorization_code":
            self._check_client(form)
            return self._exchange(form)
        if kind == JWT_GRANT:
            return self._delegate(form.get("assertion", ""), mailboxes)
        raise TokenRefused("unsupported_grant_type", f"Invalid grant_type: {kind}")

    def _check_client(self, form: Mapping[str, str]) -> None:
        if not form.get("client_id"):
            raise TokenRefused("invalid_request", "Could not determine client ID from request.")
        if self.clients and self.clients.get(form["client_id"]) != form.get("client_secret", ""):
            raise TokenRefused("invalid_client", "Unauthorized", 401)

    def _refresh(self, form: Mapping[str, str]) -> dict[str, Any]:
        grant = self.grants.get(form.get("refresh_token", ""))
        if grant is None:
            raise TokenRefused("invalid_grant", "Bad Request")
        if grant.is_revoked:
            raise TokenRefused("invalid_grant", "Token has been expired or revoked.")
        # No refresh_token in this answer: the client keeps the one it has.
        return self._bearer(grant.address, grant.scopes)

    def _exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self._now():
            raise TokenRefused("invalid_grant", "Malformed auth code.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise TokenRefused("redirect_uri_mismatch", "Bad Request")
        if code.client_id != form["client_id"]:
            raise TokenRefused("invalid_grant", "Bad Request")
        verifier = form.get("code_verifier", "")
        if code.challenge:
            if not verifier:
                raise TokenRefused("invalid_grant", "Missing code verifier.")
            if _b64(hashlib.sha256(verifier.encode()).digest()) != code.challenge.rstrip("="):
                raise TokenRefused("invalid_grant", "Invalid code verifier.")
        answer = self._bearer(code.address, code.scopes)
        if code.is_offline:
            answer["refresh_token"] = self.grant(code.address, code.scopes)
        return answer

    def _delegate(self, assertion: str, mailboxes: Mapping[str, Any]) -> dict[str, Any]:
        claims, signed, signature = _open(assertion)
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", "")).lower()
        if self._accounts and issuer not in self._accounts:
            raise TokenRefused("invalid_grant", "Invalid grant: account not found")
        key, allowed = self._accounts.get(issuer, (None, None))
        if key is not None:
            try:
                key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                raise TokenRefused("invalid_grant", "Invalid JWT Signature.") from None
        now = self._now()
        issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
        if expires - issued > 3600 or expires <= now - SKEW_SECONDS or issued > now + SKEW_SECONDS:
            raise TokenRefused(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim.",
            )
        if not str(claims.get("aud", "")).endswith("/token"):
            raise TokenRefused(
                "invalid_grant", "Invalid JWT: Failed audience check. The right audience is the token URL"
            )
        scopes = tuple(str(claims.get("scope", "")).split())
        if not scopes:
            raise TokenRefused("invalid_scope", "Empty or missing scope not allowed.")
        if subject not in mailboxes:
            raise TokenRefused("invalid_grant", "Invalid email or User ID")
        if subject in self.revoked or (allowed is not None and not set(scopes) <= allowed):
            raise TokenRefused(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for "
                "any of the scopes requested.",
                401,
            )
        return self._bearer(subject, scopes)

    def _bearer(self, address: str, scopes: Scopes) -> dict[str, Any]:
        return {
            "access_token": self.issue(address, scopes), "expires_in": int(self.lifetime_s),
            "scope": " ".join(long(s) for s in scopes), "token_type": "Bearer",
        }  # fmt: skip

    def _secret(self, kind: str) -> str:
        """A token's text: from a counter, so that a run can be repeated."""
        self._issued += 1
        return _b64(hashlib.blake2b(f"{kind}:{self._issued}".encode(), digest_size=33).digest())


def _seconds(claim: Any) -> float:
    """A time claim; what is none counts as long ago."""
    return float(claim) if isinstance(claim, int | float) else 0.0


def _open(assertion: str) -> tuple[dict[str, Any], bytes, bytes]:
    """(claims, signed part, signature) of a JWT. Raises TokenRefused when it is none or not RS256."""
    parts = assertion.split(".")
    try:
        head, claims, signature = (base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in parts)
        header, body = json.loads(head), json.loads(claims)
    except ValueError:
        raise TokenRefused("invalid_grant", "Bad Request: not a JWT") from None
    if not isinstance(header, dict) or not isinstance(body, dict) or header.get("alg") != "RS256":
        raise TokenRefused("invalid_grant", "Invalid JWT: the algorithm must be RS256")
    return body, f"{parts[0]}.{parts[1]}".encode(), signature


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
