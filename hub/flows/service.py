"""`serve`: schedules until told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hub.flows.bridge import Bridge
from hub.flows.contract import EngineLike
from hub.flows.dispatch import Dispatcher
from hub.flows.gate import first
from hub.flows.scheduler import Scheduler
from hub.flows.server import EmbeddedServer, ServeError, client_environment, find_place

log = logging.getLogger("hub.flows")
END_WAIT_S = 30.0


async def serve(
    engine: EngineLike,
    *,
    data_dir: Path,
    tick_seconds: float = 10,
    concurrency: int = 4,
    stop: asyncio.Event | None = None,
    on_ready: Callable[[str], object] | None = None,
    grace_seconds: float = 30,
    start_timeout_seconds: float = 180,
) -> None:
    """Run due connections on a Prefect schedule until `stop` is set or SIGTERM/SIGINT arrives.

    Starts an embedded Prefect server in `data_dir/prefect`, or uses the one at PREFECT_API_URL. Every `tick_seconds`
    (at least 1) Prefect starts the dispatcher, which runs what `engine.due` names, at most `concurrency` at once, a
    subflow run per connection. A server that dies is restarted; syncs under way do not notice.
    `on_ready` gets the API's address, on this loop, each time the schedule is (again) in force.
    On the way out syncs get `grace_seconds` to finish, then they are cancelled; a second signal skips the wait.
    Raises: ServeError when the server cannot be started or reached, or another `serve` holds the folder.
    """
    if tick_seconds < 1:
        raise ValueError("tick_seconds must be at least 1: Prefect plans at most 100 runs a minute")
    stop = stop or asyncio.Event()
    hurry = asyncio.Event()
    outside = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    dispatcher = Dispatcher(engine, concurrency)
    with _alone(data_dir), _signals(stop, hurry):
        place = await asyncio.to_thread(find_place, data_dir, need_port=not outside)
        client_environment(None if outside else place.home)
        server = None if outside else EmbeddedServer(place)
        url = outside or place.api_url
        loop = asyncio.get_running_loop()

        def ready() -> None:
            if on_ready is not None:
                loop.call_soon_threadsafe(on_ready, url)

        scheduler = Scheduler(
            Bridge(dispatcher, loop), api_url=url, pool=place.pool, server=server, tick_s=tick_seconds,
            start_timeout_s=start_timeout_seconds, ready=ready,
        )  # fmt: skip
        finished: asyncio.Future[None] = asyncio.wrap_future(scheduler.finished)
        scheduler.start()
        try:
            await first(finished, stop.wait())
        finally:
            await _end(dispatcher, scheduler, finished, grace_seconds, hurry)
        if finished.done():
            finished.result()


async def _end(
    dispatcher: Dispatcher,
    scheduler: Scheduler,
    finished: asyncio.Future[None],
    grace_s: float,
    hurry: asyncio.Event,
) -> None:
    dispatcher.close()
    if cut := await dispatcher.drain(grace_s, hurry):
        log.warning("cancelled after %.0f s of grace: %s", grace_s, ", ".join(cut))
    scheduler.stop()
    await asyncio.wait({finished}, timeout=END_WAIT_S)
    if not finished.done():
        log.warning("Prefect's client did not end in %.0f s; leaving it", END_WAIT_S)
        if scheduler.server is not None:
            scheduler.server.kill()


@contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """First SIGTERM or SIGINT: stop cleanly. Second: do not wait. Elsewhere than on the main thread: nothing."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        (hurry if stop.is_set() else stop).set()

    taken = []
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, asked)
        except (NotImplementedError, RuntimeError, ValueError):
            break  # not the main thread, or a system without it: the caller's `stop` remains
        taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One `serve` a data folder: two servers on one SQLite file would lock each other out."""
    try:
        import fcntl
    except ImportError:  # not POSIX: the port and the leases still keep the data right
        yield
        return
    home = data_dir / "prefect"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    held: IO[str] = (home / "serve.lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        held.close()
        raise ServeError(f"another serve is already running on {data_dir}") from exc
    try:
        yield
    finally:
        held.close()
