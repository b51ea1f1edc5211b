"""The inbox over HTTP, on a thread and an event loop of its own: a sync that keeps its loop busy delays no answer."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from hub.api import ConfigError

GRACE_S = 10


class _Server(uvicorn.Server):
    """Tells when it takes calls."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_ready.set()


@contextlib.contextmanager
def serving(app: ASGIApp, host: str, port: int, *, behind_proxy: bool = False) -> Iterator[str]:
    """Serve until the block ends; gives the address. Calls under way are answered first, for at most ten seconds.

    port: 0 for any free one. behind_proxy: believe the X-Forwarded-Proto of whoever connects; only where nobody but a
    proxy can. Nothing is written down per call, since addresses may hold secrets.
    Raises ConfigError when the port cannot be used.
    """
    config = uvicorn.Config(
        app, ws="none", lifespan="on", log_config=None, log_level="warning", access_log=False, server_header=False,
        proxy_headers=behind_proxy, forwarded_allow_ips="*" if behind_proxy else None, timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S, limit_concurrency=2000,
    )  # fmt: skip
    server = _Server(config)
    with _listening(host, port) as listener:
        thread = threading.Thread(
            target=server.run, args=([listener],), name=f"serving-{listener.getsockname()[1]}", daemon=True
        )
        thread.start()
        try:
            while not server.is_ready.wait(0.1):
                if not thread.is_alive():
                    raise RuntimeError("the server did not start")
            name = f"[{host}]" if ":" in host else host
            yield f"http://{name}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(GRACE_S + 5)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A bound socket, listening."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle off; without it each answer waits 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as exc:
            raise ConfigError(f"the webhook inbox cannot listen on {host}:{port}: {exc.strerror}") from exc
        listener.listen(1024)
        yield listener
