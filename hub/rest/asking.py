"""What a request brings along: the token, and the state it was made for."""

import asyncio
import re
from collections.abc import AsyncIterator, MutableMapping
from contextlib import nullcontext
from typing import Annotated, Any
from weakref import WeakValueDictionary

from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from hub.service import Desk

_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="made with `ihub token create`")
_SLOW = ("/apply", "/undo", "/test")  # calls to tools: nobody waits for them
_TAG = re.compile(r'(W/)?"([^"]*)"')


def token_of(headers: Any) -> str:
    """The token in the Authorization header; "" without one."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def desk(request: Request, _: Annotated[object, Depends(_BEARER)]) -> Desk:
    """Whoever the token stands for, at this hub. Raises 401."""
    viewer = request.app.state.door.bearer(token_of(request.headers))
    if viewer is None:
        raise HTTPException(
            401, "no token that opens anything: Authorization: Bearer <token>", {"www-authenticate": "Bearer"}
        )
    return Desk(request.app.state.engine, viewer)


AtDesk = Annotated[Desk, Depends(desk)]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=1000,
        description="the ETag of what this changes, as GET without parameters gave it: 412 where it is another by now",
    ),
]


async def unchanged(request: Request, _: AtDesk, if_match: IfMatch = None) -> AsyncIterator[None]:
    """Goes on only if what the request changes is still as its caller saw it. Raises 412.

    What is changed is the thing with an id that the address begins with. Of two requests for the same one the second looks
    when the first is done; whatever else could come between is refused by the use case's own look at the state.
    """
    thing = "/".join(request.url.path.split("/")[:5])  # "", api, v1, plans, 3
    turns: MutableMapping[str, asyncio.Lock] = request.app.state.turns
    turn = nullcontext() if request.url.path.endswith(_SLOW) else turns.setdefault(thing, asyncio.Lock())
    async with turn:
        if if_match is not None:
            await _must_match(request, thing, if_match)
        yield


def new_turns() -> MutableMapping[str, asyncio.Lock]:
    return WeakValueDictionary()


async def _must_match(request: Request, thing: str, if_match: str) -> None:
    status, tag, detail = await _read(request, thing)
    if status == 403:
        raise HTTPException(403, f"If-Match compares what may be read: {detail}")
    if status != 200:
        return  # the request itself will say what is wrong
    if not matches(if_match, tag):
        raise HTTPException(412, f"{thing} is not as it was: read it again, and decide anew", {"etag": tag})


def matches(given: str, tag: str) -> bool:
    """Whether an If-Match names the state that this tag stands for. A weak one names nothing."""
    states = {value.partition(".")[0] for weak, value in _TAG.findall(given) if not weak}
    return given.strip() == "*" or tag.strip('"').partition(".")[0] in states


def is_known(given: str, tag: str) -> bool:
    """Whether an If-None-Match names this very answer."""
    return given.strip() == "*" or tag.strip('"') in {value for _, value in _TAG.findall(given)}


async def _read(request: Request, path: str) -> tuple[int, str, str]:
    """(status, ETag, body) of GET there, by the same caller: asked of the app itself, so that it is what they saw."""
    asgi = ("type", "asgi", "http_version", "server", "client", "scheme", "root_path")
    scope = {key: request.scope[key] for key in asgi if key in request.scope}
    kept = [(k, v) for k, v in request.scope["headers"] if k == b"authorization"]
    scope |= {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": kept}
    found: dict[str, Any] = {"status": 500, "etag": "", "body": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found["status"] = message["status"]
            found["etag"] = dict(message["headers"]).get(b"etag", b"").decode()
        else:
            found["body"] += message.get("body", b"")

    await request.app(scope, receive, send)
    return found["status"], found["etag"], found["body"].decode()[:300]
