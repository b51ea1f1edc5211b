"""Fixtures of webhooks out: a receiver, a rig, a hub with two tools."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from acorn import Vendor
from cryptography.fernet import Fernet
from world import START, World

from hub.api import FakeClock
from hub.store import Store, marks

sys.path.insert(0, str(Path(__file__).parent))

from receiving import Receiver, Rig


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with found.lock:
                found.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            given = found.answer(json.loads(body))
            status, headers, text = given if isinstance(given, tuple) else (given, {}, b"")
            try:
                self.send_response(status)
                for name, value in {"content-length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)
            except OSError:  # the caller has seen enough
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:  # a caller that hung up
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}/in"
        yield found
        server.shutdown()


@pytest.fixture
def key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def rig(store: Store, key: str) -> Iterator[Rig]:
    """Without a hub around it. Nothing is noted any more when the test is over: other tests use the same database."""
    yield Rig(store, FakeClock(START), key)
    marks.arm(store, ())


@pytest.fixture
def world(store: Store, rig: Rig) -> World:
    """Two tools, team's and private to nobody, under the rig's clock."""
    found = World(store, {"a": Vendor(page_size=50), "b": Vendor(page_size=50)}, sor="", clock=rig.clock)
    return found
