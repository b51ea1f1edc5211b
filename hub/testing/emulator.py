"""Base of all emulators: a vendor's stand-in as an ASGI app, served over real HTTP on loopback.

A subclass gives `routes()`; the base adds transport faults, a request log and `/_emulator/...` control end points
(`faults`, `state`, `requests`), so that a test in another process can steer it.
"""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.testing.faults import FaultBoard

_PEERS: dict[tuple[str, int], asyncio.Transport] = {}


class _Protocol(H11Protocol):
    """uvicorn's own protocol, which also tells the fault layer the transport behind each peer address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._peer = (str(peer[0]), int(peer[1]))
            _PEERS[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _PEERS.pop(getattr(self, "_peer", ("", 0)), None)
        super().connection_lost(exc)


class _Switch:
    """The served app: whichever emulator was put last."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass
class Running:
    """A served emulator: its base URL (no trailing slash) and the emulator object itself."""

    url: str
    emulator: "Emulator"
    _switch: _Switch

    @property
    def faults(self) -> FaultBoard:
        return self.emulator.faults

    def put(self, emulator: "Emulator") -> None:
        """Serve another emulator at this address from now on: a fresh vendor without a fresh server."""
        self.emulator = emulator
        self._switch.app = emulator.app()


class Emulator:
    """Subclass per vendor. Keep vendor state on `self`; `self.lock` guards it between server thread and test."""

    name = "emulator"

    def __init__(self, seed: int = 1) -> None:
        self.faults = FaultBoard(seed)
        self.lock = threading.RLock()
        self.requests: list[tuple[str, str, int]] = []
        self.counts: Counter[str] = Counter()

    def routes(self) -> Sequence[BaseRoute]:
        """The vendor's end points."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the faults and the request log; what the vendor holds stays (`Running.put` for a fresh vendor)."""
        with self.lock:
            self.faults.clear()
            self.requests.clear()
            self.counts.clear()

    def state(self) -> dict[str, Any]:
        """What the vendor holds now, as plain JSON, for tests in another process."""
        return {}

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """A vendor-specific command of `POST /_emulator/<command>`, such as "merge" or "delete"."""
        raise KeyError(command)

    def app(self) -> ASGIApp:
        own: list[BaseRoute] = [
            Route("/_emulator/faults", self._set_faults, methods=["POST", "DELETE"]),
            Route("/_emulator/state", self._state),
            Route("/_emulator/requests", self._requests, methods=["GET", "DELETE"]),
            Route("/_emulator/{command}", self._command, methods=["POST"]),
        ]
        return _FaultLayer(Starlette(routes=[*own, *self.routes()]), self)

    async def _set_faults(self, request: Request) -> JSONResponse:
        if request.method == "DELETE":
            self.faults.clear()
        else:
            rule = await request.json()
            self.faults.add(rule.pop("kind"), **rule)
        return JSONResponse(self.faults.state())

    async def _state(self, request: Request) -> JSONResponse:
        with self.lock:
            return JSONResponse(self.state())

    async def _requests(self, request: Request) -> JSONResponse:
        with self.lock:
            if request.method == "DELETE":
                self.requests.clear()
            return JSONResponse({"count": len(self.requests), "requests": self.requests[-1000:]})

    async def _command(self, request: Request) -> JSONResponse:
        body = await request.body()
        with self.lock:
            return JSONResponse(self.control(request.path_params["command"], json.loads(body or b"{}")))

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Running]:
        """Serve on loopback in a thread until the block ends."""
        listener = _listen(port)
        switch = _Switch(self.app())
        server = _server(switch)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name=f"{self.name}-emulator")
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"the {self.name} emulator did not start")
            time.sleep(0.005)
        try:
            yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", self, switch)
        finally:
            server.should_exit = True
            server.force_exit = True
            thread.join(10)
            listener.close()

    def serve_forever(self, port: int) -> None:
        """Serve in the foreground until interrupted (`ihub emulate`)."""
        _server(self.app()).run([_listen(port)])


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio switches Nagle off; without it each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    return listener


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app, http=_Protocol, lifespan="off", log_level="critical", access_log=False, ws="none",
        timeout_keep_alive=30, timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)


class _FaultLayer:
    """Counts requests and carries out the transport faults around the vendor's app."""

    def __init__(self, app: ASGIApp, emulator: Emulator) -> None:
        self._app = app
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope.get("path", ""), scope.get("method", "")
        if scope["type"] != "http" or path.startswith("/_emulator"):
            await self._app(scope, receive, send)
            return
        board = self._emulator.faults
        is_noted = False

        def note(status: int) -> None:
            nonlocal is_noted
            is_noted = True
            with self._emulator.lock:
                self._emulator.requests.append((method, path, status))
                self._emulator.counts[method] += 1

        async def spy(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])  # before the answer leaves: who has it finds the call in the log
            await send(message)

        try:
            if fault := board.hits("slow", path, method):
                await asyncio.sleep(float(fault.args.get("seconds", 1)))
            if board.hits("reset", path, method):
                _cut(scope)
            elif fault := board.hits("status", path, method):
                headers = {str(k): str(v) for k, v in fault.args.get("headers", {}).items()}
                answer = JSONResponse(fault.args.get("body", {}), fault.args.get("status", 503), headers)
                await answer(scope, receive, spy)
            elif board.hits("html", path, method):
                await _html(spy)
            elif board.hits("drop_answer", path, method):
                await self._app(scope, receive, _swallow)
                _cut(scope)
            elif board.hits("truncate", path, method):
                await _truncated(self._app, scope, receive, spy)
                _cut(scope)
            else:
                await self._app(scope, receive, spy)
        finally:
            if not is_noted:
                note(0)


def _cut(scope: Scope) -> None:
    transport = _PEERS.get(tuple(scope["client"]))
    if transport is not None:
        transport.abort()


async def _swallow(message: Message) -> None:
    """Takes an answer nobody will see."""


async def _html(send: Send) -> None:
    page = b"<!doctype html><title>Sign in</title><h1>We are doing some maintenance</h1>"
    head = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": page})


async def _truncated(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Half of the answer under the content-length of the whole, as a line cut in the middle gives."""
    kept: list[Message] = []

    async def keep(message: Message) -> None:
        kept.append(message)

    await app(scope, receive, keep)
    body = b"".join(m.get("body", b"") for m in kept if m["type"] == "http.response.body")
    start = next(m for m in kept if m["type"] == "http.response.start")
    headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await asyncio.sleep(0.05)
