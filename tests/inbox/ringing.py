"""Acorn accounts that ring, and the inbox served over real HTTP on loopback."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from http.client import HTTPConnection
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa
from acorn import VENDORS, Acorn, AcornSettings, Vendor
from starlette.types import ASGIApp
from world import START, TickingClock, World

from hub.api import Clock, Connector, Manifest, MemoryLedger, MemoryTokens, Notice, Services, WebhookRejected
from hub.api import WebhookRequest as Call
from hub.inbox import create_app, serving
from hub.plugins import Registry
from hub.store import Store
from hub.store import tables as t

WINDOW_S = 300
Event = tuple[str, str, str]  # stream, external id, the vendor's id of the event


class Ringing(Acorn):
    """Acorn with webhooks: a JSON list of events, signed with the account's name over time and body."""

    manifest: ClassVar[Manifest] = replace(Acorn.manifest, webhooks=True)

    def verify_webhook(self, request: Call) -> None:
        at = request.headers.get("acorn-time", "")
        if not at.isdecimal() or abs(self.services.clock.now().timestamp() - int(at)) > WINDOW_S:
            raise WebhookRejected("not signed, or too long ago")
        wanted = signature(self.settings.account, at, request.body)
        if not hmac.compare_digest(wanted.encode(), request.headers.get("acorn-signature", "").encode()):
            raise WebhookRejected("the signature does not match")

    def parse_webhook(self, request: Call) -> Iterator[Notice]:
        for stream, external_id, event in json.loads(request.body):
            yield Notice(stream, external_id, event)


def signature(secret: str, at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    at = str(int(now.timestamp()))
    return {"acorn-time": at, "acorn-signature": signature(secret, at, body)}


def connector(cls: type[Acorn], account: str, clock: Clock) -> Connector[Any]:
    VENDORS.setdefault(account, Vendor())
    return cls(AcornSettings(account=account), Services(f"acorn:{account}", clock, MemoryTokens(), MemoryLedger()))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def served(app: ASGIApp) -> AbstractContextManager[str]:
    """The app at an address on loopback until the block ends."""
    return serving(app, "127.0.0.1", 0)


def send(
    url: str, path: str, body: bytes | Iterable[bytes] = b"", headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Answer:  # fmt: skip
    """One call. A body in parts goes out chunked, without its length."""
    parts = urlsplit(url)
    line = HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        line.request(method, path, body=body, headers=headers or {})
        answer = line.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        line.close()


class Bell:
    """A `World` whose accounts ring: its inbox served, the vendors' calls made as they would make them."""

    def __init__(self, store: Store, vendors: dict[str, Vendor], **sections: Any) -> None:
        self.world = World(store, vendors, **sections)
        self.open()

    def open(self) -> None:
        self.world.engine.registry = Registry(connectors={"acorn": Ringing})

    def restart(self) -> None:
        self.world = self.world.restart()
        self.open()

    @property
    def engine(self) -> Any:
        return self.world.engine

    def app(self, **more: Any) -> ASGIApp:
        def lookup(name: str) -> Connector[Any] | None:
            engine = self.engine
            return engine.connector(name) if name in engine.names() else None

        return create_app(lookup, self.world.store, self.world.clock, **more)

    def call(self, name: str, events: list[Event]) -> tuple[str, bytes, dict[str, str]]:
        body = json.dumps(events).encode()
        return f"/hooks/{name}", body, signed(name, body, self.world.clock.now())

    def ring(self, url: str, name: str, *events: Event) -> int:
        return send(url, *self.call(name, list(events))).status


def stored(store: Store) -> list[tuple[str, str, str, bool]]:
    """Every notice, in order: connection, stream, external id, whether it is done."""
    n = t.notice.c
    with store.read() as c:
        rows = c.execute(sa.select(n.connection, n.stream, n.external_id, n.due_at))
        return sorted((name, stream, external_id, due_at is None) for name, stream, external_id, due_at in rows)


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """All at once; their results in order."""
    results: list[Any] = [None] * len(calls)

    def one(n: int) -> None:
        results[n] = calls[n]()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


__all__ = [
    "START", "WINDOW_S", "Answer", "Bell", "Ringing", "TickingClock", "connector", "in_threads", "send", "served",
    "signed", "stored",
]  # fmt: skip
