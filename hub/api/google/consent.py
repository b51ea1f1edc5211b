"""Connecting an account once: the installed-app flow with PKCE and a redirect to this machine.

Source: developers.google.com/identity/protocols/oauth2/native-app; RFC 7636 (S256), RFC 8252 (loopback).
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from hub.api.errors import AuthError, ConfigError, ContractBroken, Transient
from hub.api.google.settings import GoogleSettings


@dataclass(frozen=True)
class Grant:
    """What the sign-in gave: the refresh token to keep and the scopes the person allowed."""

    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...]


def connect(settings: GoogleSettings, *, show: Callable[[str], object], timeout_s: float = 300) -> Grant:
    """Send a person to Google, wait for the redirect, trade the code for a refresh token. Blocks at most `timeout_s`.

    show: given the address to open. Raises: AuthError when refused, incomplete or too late; Transient when the token
    endpoint is out of reach; ConfigError for a service account, which nobody has to sign in.
    """
    if not settings.client_id:
        raise ConfigError("a service account signs in by itself: there is nothing to connect")
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    with _Redirect(("127.0.0.1", 0), _Answer) as server:
        server.state = state
        redirect_uri = f"http://127.0.0.1:{server.server_port}/"
        question = {
            "client_id": settings.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(settings.scopes()),
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            "access_type": "offline",  # a refresh token, not only an access token
            "prompt": "consent",  # Google gives the refresh token again only when consent is given again
            "login_hint": settings.login,
        }
        show(f"{settings.auth_url}?{urlencode(question)}")
        code = server.wait(timeout_s)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    if secret := settings.client_secret.get_secret_value():
        form["client_secret"] = secret
    return _trade(settings.token_url, form, settings.scopes())


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _trade(token_url: str, form: dict[str, str], scopes: Sequence[str]) -> Grant:
    try:
        response = httpx.post(token_url, data=form, timeout=30, follow_redirects=False)
    except httpx.HTTPError as exc:
        raise Transient(f"the token endpoint could not be reached: {type(exc).__name__}") from exc
    try:
        answer = response.json()
    except ValueError as exc:
        raise ContractBroken("the token endpoint did not answer with JSON", status=response.status_code) from exc
    if response.status_code >= 400 or not isinstance(answer, dict):
        cause = answer.get("error") if isinstance(answer, dict) else None
        raise AuthError(f"sign-in was refused ({cause or 'no reason given'})", status=response.status_code)
    granted = tuple(str(answer.get("scope") or " ".join(scopes)).split())
    if missing := [scope for scope in scopes if scope not in granted]:
        raise AuthError(f"not allowed on the consent page: {', '.join(missing)}; connect again and tick every box")
    if not answer.get("refresh_token"):
        raise AuthError("Google gave no refresh token: remove the app at myaccount.google.com and connect again")
    return Grant(str(answer["refresh_token"]), granted)


class _Redirect(HTTPServer):
    """Listens on a free loopback port for the one redirect that carries our state."""

    state = ""
    code = ""
    error = ""

    def wait(self, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while not self.code and not self.error:
            self.timeout = deadline - time.monotonic()
            if self.timeout <= 0:
                raise AuthError(f"nobody allowed access within {timeout_s:.0f} seconds: connect again")
            self.handle_request()
        if self.error:
            raise AuthError(f"sign-in was refused ({self.error})")
        return self.code


class _Answer(BaseHTTPRequestHandler):
    server: _Redirect
    timeout = 5  # seconds for one caller to say what it wants

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        ours = secrets.compare_digest(given.get("state", "").encode(), self.server.state.encode())
        if url.path != "/" or not ours:
            self._say(400, "This is not the sign-in that was started here.")
        elif given.get("code"):
            self.server.code = given["code"]
            self._say(200, "Connected. You can close this page.")
        else:
            self.server.error = "".join(c for c in given.get("error", "no code") if c.isalnum() or c in "_- ")[:80]
            self._say(200, "Access was not allowed. You can close this page.")

    def _say(self, status: int, text: str) -> None:
        page = f"<!doctype html><meta charset=utf-8><title>interaction-hub</title><p>{text}</p>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the request line carries the code."""
