"""The endpoint, as an ASGI app: verify, keep, answer. Nothing else happens before the answer."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.api import Clock, Connector, HubError, WebhookRejected, WebhookRequest
from hub.inbox.group_commit import GroupCommit, NotKept
from hub.inbox.notices import rows_of
from hub.store import Store

log = logging.getLogger("hub.inbox")

Lookup = Callable[[str], Connector[Any] | None]
LONGEST_NAME = 64


@dataclass(frozen=True)
class Limits:
    """body_bytes: the largest body taken. body_seconds: how long it may take to arrive. at_once: calls inside at a
    time; the next is told to come again after `retry_after_s`, and so bodies never fill more than their product."""

    body_bytes: int = 1 << 20
    body_seconds: float = 10.0
    at_once: int = 256
    retry_after_s: int = 5


class _Answer(Exception):
    """Ends a call early with this status."""

    def __init__(self, status: int) -> None:
        self.status = status


def create_app(
    lookup: Lookup, store: Store, clock: Clock, *, ring: Callable[[], object] = lambda: None, public_url: str = "",
    secrets: Mapping[str, str] | None = None, limits: Limits | None = None,
) -> Starlette:  # fmt: skip
    """`POST /hooks/{connection}` and, where the address itself is the secret, `POST /hooks/{connection}/{secret}`.

    lookup: the connector of an enabled connection, None for any other name; asked once per connection, off the event
        loop. ring: called after every commit, on the app's own thread and event loop; must not block.
    public_url: scheme, host and prefix under which vendors reach this app, for those that sign the address. Without
        it the request's own Host counts, which is right where no proxy changes it.
    secrets: connection -> what must follow its name in the address; anything else is an address that does not exist.
        For a connection not named here what follows is the connector's to judge: it sees the whole address.
    Answers: 200 once the notices are in the database (also to GET and HEAD, by which vendors try an address), 401 for
    a call the vendor did not sign, 404, 405, 408, 413, 500 for a bug, 503 when full or when the database is.
    """
    hooks = _Hooks(lookup, store, clock, ring, public_url, secrets or {}, limits or Limits())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await hooks.close()

    routes = [Route("/hooks/{connection}", hooks), Route("/hooks/{connection}/{secret}", hooks)]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


class _Hooks:
    """All addresses: whom a call is for, whether it is the vendor's, what it names."""

    def __init__(
        self, lookup: Lookup, store: Store, clock: Clock, ring: Callable[[], object], public_url: str,
        secrets: Mapping[str, str], limits: Limits,
    ) -> None:  # fmt: skip
        self._lookup = lookup
        self._clock = clock
        self._public = public_url.rstrip("/")
        self._secrets = secrets
        self._limits = limits
        self._group = GroupCommit(store, ring)
        self._doors: dict[str, Connector[Any]] = {}
        self._looking = asyncio.Lock()
        self._inside = 0
        plain = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        last = {**plain, "connection": "close"}  # the rest of the body is not wanted any more
        full = {**last, "retry-after": str(limits.retry_after_s)}
        self._answers = {
            200: PlainTextResponse("", 200, plain),
            401: PlainTextResponse("Unauthorized", 401, plain),
            404: PlainTextResponse("Not Found", 404),  # the same as for any address that does not exist
            405: PlainTextResponse("Method Not Allowed", 405, {**last, "allow": "GET, HEAD, POST"}),
            408: PlainTextResponse("Request Timeout", 408, last),
            413: PlainTextResponse("Content Too Large", 413, last),
            500: PlainTextResponse("Internal Server Error", 500, plain),
            503: PlainTextResponse("Service Unavailable", 503, full),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status = await self._call(scope, receive)
        except _Answer as exc:
            status = exc.status
        except ClientDisconnect:
            return
        await self._answers[status](scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive) -> int:
        name = scope["path_params"]["connection"]
        connector = await self._door(name, scope["path_params"].get("secret", ""))
        if scope["method"] in {"GET", "HEAD"}:
            return 200
        if scope["method"] != "POST":
            return 405
        if self._inside >= self._limits.at_once:
            return 503
        self._inside += 1
        try:
            return await self._post(name, connector, scope, receive)
        finally:
            self._inside -= 1

    async def _door(self, name: str, secret: str) -> Connector[Any]:
        """Whose call it is. Unknown names, wrong secrets and tools that never call are one and the same 404."""
        wanted = self._secrets.get(name)
        if wanted is not None and not hmac.compare_digest(secret.encode(), wanted.encode()):
            raise _Answer(404)
        if found := self._doors.get(name):
            return found
        if len(name) > LONGEST_NAME:
            raise _Answer(404)
        async with self._looking:
            found = self._doors.get(name)
            if found is None:
                try:
                    found = await asyncio.to_thread(self._lookup, name)
                except HubError as exc:  # its settings are wrong: the vendor may come again when they are mended
                    log.warning("%s: a webhook came, but the connection cannot be opened: %s", name, exc)
                    raise _Answer(503) from exc
                except Exception as exc:  # the database may be away, or a plugin's own code fail: told, not passed on
                    log.exception("%s: a webhook came, but the connection cannot be opened", name)
                    raise _Answer(503) from exc
                if found is None or not found.manifest.webhooks:
                    raise _Answer(404)
                self._doors[name] = found
        return found

    async def _post(self, name: str, connector: Connector[Any], scope: Scope, receive: Receive) -> int:
        body = await self._body(scope, receive)
        request = WebhookRequest("POST", self._url(scope), _headers(scope), body)
        try:
            connector.verify_webhook(request)
        except WebhookRejected as exc:
            log.info("%s: a webhook was refused: %s", name, exc)
            return 401
        except Exception:  # whatever a call makes a library raise, it is not proven to be the vendor's
            log.exception("%s: a webhook could not be verified", name)
            return 401
        streams = {s.name for s in connector.manifest.streams}
        try:
            rows = rows_of(name, connector.parse_webhook(request), streams, self._clock.now())
        except WebhookRejected as exc:
            log.info("%s: a webhook was refused: %s", name, exc)
            return 401
        except Exception:  # a bug of the connector's author: told as one; polling will see what the call was about
            log.exception("%s: a genuine webhook could not be read", name)
            return 500
        if rows:
            try:
                await self._group.put(rows)
            except NotKept:
                return 503
        return 200

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body as sent, never more of it in memory than the limit."""
        limit = self._limits.body_bytes
        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if length.isdigit() and int(length[:20]) > limit:
            raise _Answer(413)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    part = message.get("body", b"")
                    size += len(part)
                    if size > limit:
                        raise _Answer(413)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as exc:
            raise _Answer(408) from exc

    def _url(self, scope: Scope) -> str:
        """The address as the vendor wrote it, percent signs and all: some sign it."""
        base = self._public
        if not base:
            host = next((v for k, v in scope["headers"] if k == b"host"), b"")
            base = f"{scope['scheme']}://{host.decode('latin-1')}"
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        return f"{base}{path}?{query}" if query else f"{base}{path}"

    async def close(self) -> None:
        await self._group.close()
        for connector in self._doors.values():
            await connector.aclose()


def _headers(scope: Scope) -> dict[str, str]:
    """Names in lower case; what was sent twice is one value with a comma, as HTTP has it."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found
