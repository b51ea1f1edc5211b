"""The scheduler thread: Prefect's client, its worker and, when embedded, the server's keeper.

Prefect gets a thread and an event loop of its own because parts of its engine block, because it replaces signal
handlers when it runs on the main thread, and because its retries against a dead server must not delay a sync.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hub.flows.bridge import Bridge
from hub.flows.gate import Gate
from hub.flows.server import EmbeddedServer, ServeError, wait_healthy

log = logging.getLogger("hub.flows")
FIRST_STARTS = 3
BACKOFF_MAX_S = 60.0
HUNG_S = 180.0


class Scheduler:
    """Starts the thread, keeps the server alive, ends both. `finished` resolves when the thread is done."""

    def __init__(
        self, bridge: Bridge, *, api_url: str, pool: str, server: EmbeddedServer | None, tick_s: float,
        start_timeout_s: float, ready: Callable[[], None],
    ) -> None:  # fmt: skip
        self.bridge = bridge
        self.api_url = api_url
        self.pool = pool
        self.server = server
        self.tick_s = tick_s
        self.start_timeout_s = start_timeout_s
        self.ready = ready
        self.finished: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked = threading.Event()
        self._worker: Any = None
        self.thread = threading.Thread(target=self._main, name="prefect", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Ask the thread to end. Safe from any thread, any number of times."""
        self._stop_asked.set()
        if self._loop is not None and self._stop is not None and not self.finished.done():
            self._loop.call_soon_threadsafe(self._stop.set)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as exc:  # carried to the hub's loop, which raises it from `serve`
            self.finished.set_exception(exc)
        else:
            self.finished.set_result(None)

    async def _run(self) -> None:
        self._loop, self._stop, up = asyncio.get_running_loop(), asyncio.Event(), Gate()
        if self._stop_asked.is_set():
            return
        try:
            if self.server is not None:
                await self.server.start()  # its first seconds pass while we import Prefect
            settings, worker_module = import_prefect()
            with settings.temporary_settings(
                {
                    settings.PREFECT_API_URL: self.api_url,
                    settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
                    # A heartbeat thread and an event a run, for a watchdog that we replace with leases.
                    settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                    # Our own server is our own version; an outside one may not be.
                    settings.PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: self.server is None,
                }
            ):
                self._worker = worker_module.Worker(self.bridge, self.pool, self.tick_s)
                keeper = asyncio.create_task(self._keep(up))
                work = asyncio.create_task(self._worker.run(self._stop, up, self.ready))
                await asyncio.wait({keeper, work}, return_when=asyncio.FIRST_COMPLETED)
                self._stop.set()
                if not keeper.done():
                    await work
                    keeper.cancel()
                    await asyncio.wait({keeper})
                else:
                    await asyncio.wait({work})
                    keeper.result()
        finally:
            if self.server is not None:
                await self.server.stop()

    async def _keep(self, up: Gate) -> None:
        """Hold `up` true while the server answers. Raises ServeError when it never did."""
        if self.server is None:
            if not await wait_healthy(self.api_url, self.start_timeout_s):
                raise ServeError(f"no Prefect server answers at {self.api_url} (PREFECT_API_URL)")
            up.open()
            await asyncio.Event().wait()
            return
        failures, backoff_s, ever_up = 0, 1.0, False
        while True:
            if self.server.pid is None:
                await self.server.start()
            if await self.server.wait_ready(self.start_timeout_s):
                began = datetime.now(UTC)
                log.info("Prefect server is up at %s", self.api_url)
                ever_up, failures = True, 0
                self._worker.last_contact_at = began
                up.open()
                await self._until_gone()
                up.close()
                if (datetime.now(UTC) - began).total_seconds() > BACKOFF_MAX_S:
                    backoff_s = 1.0
                log.warning("the Prefect server ended; running syncs go on, restarting it in %.0f s", backoff_s)
            else:
                failures += 1
                log.error("the Prefect server did not start; the end of %s:\n%s",
                          self.server.place.log_path, self.server.last_words())  # fmt: skip
                if failures >= FIRST_STARTS and not ever_up:
                    raise ServeError(f"the Prefect server does not start; see {self.server.place.log_path}")
            await self.server.stop()
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    async def _until_gone(self) -> None:
        """Return when the server process ended, or lives but has not answered the worker for minutes."""
        assert self.server is not None
        hung_s = max(HUNG_S, 6 * self.tick_s)
        ended = asyncio.ensure_future(self.server.wait())
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=hung_s / 6)
                if (datetime.now(UTC) - self._worker.last_contact_at).total_seconds() > hung_s:
                    log.warning("the Prefect server has not answered for %.0f s", hung_s)
                    return
        finally:
            ended.cancel()


def import_prefect() -> tuple[Any, Any]:
    """Import Prefect late and leave the caller's root logger as it was (Prefect hangs its own console on it)."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    import prefect.settings

    from hub.flows import prefect_worker

    root.handlers[:], root.level = handlers, level
    # A failed sync is told by the hub; Prefect's own word on it belongs on the run's page, not on the console.
    logging.getLogger("prefect.flow_runs").propagate = False
    return prefect.settings, prefect_worker
