"""Connecting an account once: the installed-app flow with PKCE and a redirect to this machine.

Source: developers.google.com/identity/protocols/oauth2/native-app; RFC 8252 (loopback).
"""

import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from hub.api.consent import Grant, said
from hub.api.errors import AuthError, ConfigError
from hub.api.google.settings import GoogleSettings

__all__ = ["Grant", "connect"]


def connect(settings: GoogleSettings, *, show: Callable[[str], object], timeout_s: float = 300) -> Grant:
    """Send a person to Google, wait for the redirect, trade the code for a refresh token. Blocks at most `timeout_s`.

    show: given the address to open. Raises: AuthError when refused, incomplete or too late; Transient when the token
    endpoint is out of reach; ConfigError for a service account, which nobody has to sign in.
    """
    consent = settings.consent()
    if consent is None:
        raise ConfigError("a service account signs in by itself: there is nothing to connect")
    with _Redirect(("127.0.0.1", 0), _Answer) as server:
        question = consent.question(f"http://127.0.0.1:{server.server_port}/")
        server.state = question.state
        show(question.address)
        code = server.wait(timeout_s)
    return consent.grant(code, question.verifier, question.redirect_uri)


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
            self.server.error = said(given)
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
