"""The app: routes of all page modules, static files, and the headers that hold for every answer."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access import Door
from hub.api import Services
from hub.engine import Engine
from hub.web import words
from hub.web.page import House, nowhere

log = logging.getLogger("hub.web")
STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_YEAR = "public, max-age=31536000, immutable"


def create_app(engine: Engine, door: Door, public_url: str = "", services: Services | None = None) -> ASGIApp:
    """An ASGI app that answers every path but those of programs.

    public_url: how people reach it, where something in front speaks TLS; else each request's own address counts.
    services: for sign-in through providers; for tests.
    """
    from hub.web import customers, entrance, health, identity, people, plans, reports, setup, webhooks

    words.warm()
    house = House(engine, door, public_url.rstrip("/"), entrance.providers(engine, door, services))
    routes: list[Any] = [Mount("/static", _Static(directory=STATIC), name="static")]
    for module in (entrance, customers, health, plans, identity, reports, setup, people, webhooks):
        routes += module.routes
    app = Starlette(routes=routes, exception_handlers={404: nowhere, 405: nowhere, 500: _broken})
    app.state.house = house
    return _Headers(app)


async def _broken(_: Request, exc: Exception) -> Response:
    log.error("a page failed", exc_info=exc)
    text = "<!doctype html><html lang=en><title>A mistake of ours</title><h1>A mistake of ours</h1><p>It is in the log. <a href=/>Start again</a></p>"
    return Response(text, 500, media_type="text/html")


class _Static(StaticFiles):
    """Files are asked for with their content's hash, so that a browser may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if scope["query_string"].startswith(b"v=") and answer.status_code in {200, 304}:
            answer.headers["cache-control"] = _YEAR
        return answer


class _Headers:
    """What every answer carries unless it says otherwise itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        always: Mapping[str, str] = _ALWAYS
        if scope.get("scheme") == "https":
            always = {**_ALWAYS, "strict-transport-security": "max-age=31536000"}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                for name, value in always.items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, sent)
