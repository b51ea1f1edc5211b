"""The app: who a token stands for, what every answer carries, and the routes."""

from hashlib import blake2b
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access import Door
from hub.engine import Engine
from hub.rest import problems
from hub.rest.models import Problem
from hub.service import Desk

PREFIX = "/api/v1"
MOST_BYTES = 1 << 20
DESCRIPTION = """Customers and their timelines, who is who, plans for the tools, and how the hub is doing.

Send `Authorization: Bearer <token>`; `ihub token create` makes one. Errors are problem documents (RFC 9457). Answers to GET
carry an ETag: with If-None-Match an answer that is still the same is 304, without a body."""
_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="made with `ihub token create`")


def create_app(engine: Engine, door: Door) -> FastAPI:
    """An ASGI app that answers under /api/v1; its description is at /api/v1/openapi.json."""
    from hub.rest import customers, hooks, operations, plans, reports, who

    app = FastAPI(
        title="interaction-hub", version="1", description=DESCRIPTION, openapi_url=f"{PREFIX}/openapi.json", docs_url=None,
        redoc_url=None, redirect_slashes=False, swagger_ui_oauth2_redirect_url=None,
    )  # fmt: skip
    app.state.engine, app.state.door = engine, door
    problems.install(app)
    app.add_middleware(_Guard)
    refusals = {code: {"model": Problem, "description": problems.TITLES[code]} for code in (401, 403, 404, 422)}
    for code in refusals:
        refusals[code]["content"] = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for router in (customers.router, who.router, plans.router, reports.router, hooks.router, operations.router):
        app.include_router(router, prefix=PREFIX, responses=refusals)  # type: ignore[arg-type]
    app.include_router(operations.probes)
    return app


def desk(request: Request, _: Annotated[object, Depends(_BEARER)]) -> Desk:
    """Whoever the token stands for, at this hub. Raises 401."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    viewer = request.app.state.door.bearer(token.strip()) if kind.lower() == "bearer" else None
    if viewer is None:
        raise HTTPException(
            401, "no token that opens anything: Authorization: Bearer <token>", {"www-authenticate": "Bearer"}
        )
    return Desk(request.app.state.engine, viewer)


AtDesk = Annotated[Desk, Depends(desk)]


class _Guard:
    """Sizes, kinds and headers that hold for every route; answers to GET can be asked for by their ETag."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await _whole(receive)
        except _TooMuch:
            await problems.problem(413, f"more than {MOST_BYTES} bytes", _ALWAYS)(scope, receive, send)
            return
        answer = _Kept()
        await self.app(scope, body, answer)
        answer.headers.update(_ALWAYS)
        if scope["method"] in {"GET", "HEAD"} and answer.status == 200:
            tag = answer.headers["etag"] = f'"{blake2b(answer.body, digest_size=12).hexdigest()}"'
            if tag in {t.strip() for t in Headers(scope=scope).get("if-none-match", "").split(",")}:
                await Response(status_code=304, headers={**_ALWAYS, "etag": tag})(scope, receive, send)
                return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers.raw})
        await send({"type": "http.response.body", "body": answer.body})


class _TooMuch(Exception):
    pass


async def _whole(receive: Receive) -> Receive:
    """The request's body, read before anybody is asked: answers are small, and so are requests."""
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise _TooMuch
        if not message.get("more_body", False):
            break
    kept = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return again


class _Kept:
    """An answer, kept until it is whole."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 500, b"", MutableHeaders()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], MutableHeaders(raw=list(message["headers"]))
        else:
            self.body += message.get("body", b"")


_ALWAYS = {
    "cache-control": "no-store", "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip
