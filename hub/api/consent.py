"""Asking a person for access to an account in the browser: OAuth's authorization code with PKCE.

A connector's settings that can be signed in this way have a method `consent()`, which gives a `Consent`, or None where they sign
in by themselves. Where the answer arrives is the caller's: a port of this machine, or a page of the hub.
Source: RFC 6749 (4.1), RFC 7636 (S256), RFC 9207 (`iss`).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from hub.api.errors import AuthError, ContractBroken, Transient


@dataclass(frozen=True)
class Grant:
    """What the sign-in gave: the refresh token to keep and the scopes the person allowed."""

    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One sign-in on its way. address: to open in the browser; state: what comes back with the answer; verifier: stays here."""

    address: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True)
class Consent:
    """Where a vendor asks its people, and for what.

    title: the vendor, as people know it. more: further parameters of the question. issuer: what `iss` of an answer must say, if
    it says it. no_refresh: what to do when no refresh token came.
    """

    title: str
    auth_url: str
    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    issuer: str = ""
    no_refresh: str = "connect again"

    def question(self, redirect_uri: str) -> Question:
        """A new one, with a state and a verifier of its own. redirect_uri: where the vendor sends the browser back to."""
        verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
        asked = {
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(self.scopes),
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            **self.more,
        }
        return Question(f"{self.auth_url}?{urlencode(asked)}", state, verifier, redirect_uri)

    def code(self, answer: Mapping[str, str]) -> str:
        """The code in what the browser brought back. Raises AuthError for a no, and for another vendor's answer."""
        if self.issuer and answer.get("iss", self.issuer) != self.issuer:
            raise AuthError(f"the answer does not come from {self.title}: connect again")
        if not answer.get("code"):
            raise AuthError(f"sign-in was refused ({said(answer)})")
        return answer["code"]

    def grant(self, code: str, verifier: str, redirect_uri: str) -> Grant:
        """Trade a code. Blocks for 30 seconds at most. Raises AuthError when refused or incomplete, Transient, ContractBroken."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        if self.client_secret:
            form["client_secret"] = self.client_secret
        try:
            response = httpx.post(self.token_url, data=form, timeout=30, follow_redirects=False)
        except httpx.HTTPError as exc:
            raise Transient(f"the token endpoint could not be reached: {type(exc).__name__}") from exc
        try:
            answer = response.json()
        except ValueError as exc:
            raise ContractBroken("the token endpoint did not answer with JSON", status=response.status_code) from exc
        if response.status_code >= 400 or not isinstance(answer, dict):
            cause = answer.get("error") if isinstance(answer, dict) else None
            raise AuthError(f"sign-in was refused ({cause or 'no reason given'})", status=response.status_code)
        return self._complete(answer)

    def _complete(self, answer: Mapping[str, object]) -> Grant:
        granted: Sequence[str] = str(answer.get("scope") or " ".join(self.scopes)).split()
        if missing := [scope for scope in self.scopes if scope not in granted]:
            raise AuthError(f"not allowed on the consent page: {', '.join(missing)}; connect again and tick every box")
        if not answer.get("refresh_token"):
            raise AuthError(f"{self.title} gave no refresh token: {self.no_refresh}")
        return Grant(str(answer["refresh_token"]), tuple(granted))


def said(answer: Mapping[str, str]) -> str:
    """The vendor's word for a refusal, harmless to repeat."""
    return "".join(c for c in answer.get("error", "no code") if c.isalnum() or c in "_- ")[:80]


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
