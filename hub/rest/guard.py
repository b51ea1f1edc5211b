"""What holds for every route: sizes and kinds of requests, headers of answers, ETags, and calls that are done once."""

import asyncio
import json
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.access import Door
from hub.access.once import LONGEST, Call
from hub.api import HubError
from hub.rest import problems
from hub.rest.asking import is_known, token_of
from hub.rest.problems import ALWAYS
from hub.rest.tracing import span

MOST_BYTES = 1 << 20
PATIENCE_S = 30.0  # for a whole request to arrive
_KEY = re.compile(rf"[\x21\x23-\x7e]{{1,{LONGEST}}}")
_KEPT = ("content-type", "etag")


class Answer:
    """An answer, kept until it is whole."""

    def __init__(self, status: int = 500, headers: MutableHeaders | None = None, body: bytes = b"") -> None:
        self.status, self.headers, self.body = status, headers or MutableHeaders(), body

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], MutableHeaders(raw=list(message["headers"]))
        else:
            self.body += message.get("body", b"")


class Guard:
    """Around the app. door: who a token stands for, and where kept answers are. routes: the templates an address fits."""

    def __init__(
        self, app: ASGIApp, door: Door, routes: Callable[[str], list[str]], patience_s: float = PATIENCE_S
    ) -> None:
        self.app, self._door, self._routes, self._patience_s = app, door, routes, patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with span(scope, self._routes) as asked:
            asked.status = await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> int:
        """The status it was answered with; 0 for a caller who has gone."""
        headers = Headers(scope=scope)
        try:
            body = await self._body(receive)
            if body is None:
                return 0
            _check(scope, headers, body)
            if scope["method"] == "POST" and "idempotency-key" in headers:
                answer = await self._once(scope, headers, body)
            else:
                answer = await self._ask(scope, body)
        except _Refused as exc:
            answer = _problem(exc.status, str(exc))
        answer.headers.update(ALWAYS)
        if scope["method"] in {"GET", "HEAD"} and answer.status == 200:
            tag = answer.headers["etag"] = tag_of(answer.body, answer.headers.get("etag", ""))
            if is_known(headers.get("if-none-match", ""), tag):
                answer = Answer(304, MutableHeaders({**ALWAYS, "etag": tag}))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers.raw})
        await send({"type": "http.response.body", "body": answer.body if scope["method"] != "HEAD" else b""})
        return answer.status

    async def _body(self, receive: Receive) -> bytes | None:
        """As `_whole`, but not for ever."""
        try:
            async with asyncio.timeout(self._patience_s):
                return await _whole(receive)
        except TimeoutError:
            raise _Refused(408, f"the request was not whole after {self._patience_s:g} seconds") from None

    async def _ask(self, scope: Scope, body: bytes) -> Answer:
        answer = Answer()
        given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return given.pop() if given else {"type": "http.disconnect"}

        await self.app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, answer)
        return answer

    async def _once(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        """The answer of the first call with this key. What was refused was not done: it is looked at anew."""
        key = headers["idempotency-key"].removeprefix('"').removesuffix('"')
        if not _KEY.fullmatch(key):
            raise _Refused(422, f"Idempotency-Key must have 1 to {LONGEST} visible ASCII characters, such as a UUID's")
        token = token_of(headers)
        viewer = await asyncio.to_thread(self._door.bearer, token)
        if viewer is None:
            return await self._ask(scope, body)  # it says 401
        call = Call(self._door.store, token, key)
        asked = [scope["method"], scope["path"], scope["query_string"], sorted(viewer.permissions), body]
        try:
            before = await asyncio.to_thread(call.begin, msgspec.msgpack.encode(asked), self._door.now())
        except HubError as exc:
            return _of(problems.of_ours(exc))
        if before is not None:
            status, kept, text = msgspec.msgpack.decode(before, type=tuple[int, dict[str, str], bytes])
            return Answer(status, MutableHeaders({**kept, "idempotency-replayed": "true"}), text)
        try:
            answer = await self._ask(scope, body)
        except Exception:
            await asyncio.to_thread(call.let_go)
            raise
        if 200 <= answer.status < 300:
            kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
            await asyncio.to_thread(call.keep, msgspec.msgpack.encode((answer.status, kept, answer.body)))
        else:
            await asyncio.to_thread(call.let_go)
        return answer


def tag_of(body: bytes, state: str = "") -> str:
    """state: of what the answer shows, where more of the answer changes than that (`asking.matches` looks at it alone)."""
    mark = blake2b(body, digest_size=12).hexdigest()
    return f'"{state}.{mark}"' if state else f'"{mark}"'


class _Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def _whole(receive: Receive) -> bytes | None:
    """The request's body, read before anybody is asked: answers are small, and so are requests. None: the caller has gone."""
    parts, size = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise _Refused(413, f"more than {MOST_BYTES} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def _check(scope: Scope, headers: Headers, body: bytes) -> None:
    """What two readers could read in two ways is refused before one of them has. Raises _Refused."""
    if b"\0" in unquote_to_bytes(scope["path"]) + unquote_to_bytes(scope["query_string"]):
        raise _Refused(422, "a NUL character is in the address")
    if not body or scope["method"] in {"GET", "HEAD"}:
        return
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _Refused(415, "the body is compressed: send it as it is")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refused(415, "the body must be JSON: Content-Type: application/json")
    try:
        text = body.decode("utf-8")
        _no_nul(json.loads(text, object_pairs_hook=_named_once, parse_constant=_no_number))
    except _Refused:
        raise
    except RecursionError:
        raise _Refused(400, "the body is no JSON anybody means: nested too deep") from None
    except ValueError as exc:
        raise _Refused(400, f"the body is no JSON: {exc}") from None


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused(400, "the body names a field twice")
    return found


def _no_number(text: str) -> Any:
    raise _Refused(400, f"the body is no JSON: {text} is no number")


def _no_nul(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise _Refused(422, "a NUL character is in the body")
    elif isinstance(value, dict):
        for pair in value.items():
            _no_nul(list(pair))
    elif isinstance(value, list):
        for one in value:
            _no_nul(one)


def _problem(status: int, detail: str) -> Answer:
    return _of(problems.problem(status, detail))


def _of(response: Any) -> Answer:
    return Answer(response.status_code, MutableHeaders(raw=list(response.raw_headers)), response.body)
