"""The embedded Prefect server: its settings, its port, its life. Imports no Prefect; it runs in a process of its own.

Everything lives in `<data folder>/prefect/`: database, settings, `server.log`, and `serve.json` with the port and the
name of our work pool, so that both stay the same across restarts. Sources: DEPENDENCIES.md "Prefect specifics";
setting names from prefect 3.8.8 `settings/models`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger("hub.flows")
HOST = "127.0.0.1"
LOG_LIMIT_BYTES = 5_000_000
PORT_WAIT_S = 10.0  # a server left by a hub that was killed needs a moment to notice and end
STOP_WAIT_S = 8.0
NOT_OURS = ("PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING")

# A user's own environment wins over these. Events and triggers are off because a schedule needs neither and each run
# would write about ten event rows into SQLite; the schedule is kept only minutes ahead because missed ticks are not
# replayed; finished runs go after a week because the hub's own database is the history.
DEFAULTS = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86400),
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT3M",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "2",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_PROMPT": "false",
}
# These win over the user's environment: what we promise (loopback, offline, silent) and what we must know.
PROMISED = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
}


class ServeError(RuntimeError):
    """`serve` cannot go on: no Prefect server starts or answers, or another `serve` holds the folder."""


@dataclass(frozen=True)
class Place:
    """Where the embedded server lives. `home` is its PREFECT_HOME; `pool` names our work pool."""

    home: Path
    port: int
    pool: str

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.port}/api"

    @property
    def log_path(self) -> Path:
        return self.home / "server.log"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The server process's environment on top of `base` (the hub's own)."""
        kept = {name: value for name, value in base.items() if name not in NOT_OURS}
        return {
            **DEFAULTS,
            **kept,
            **PROMISED,
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            # Prefect's default lets any web page the user visits read the API; only its own pages need to.
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{self.port}",
        }


def client_environment(home: Path | None) -> None:
    """Set what `import prefect` reads in this process. `home` None: an outside server, keep the user's profile."""
    os.environ.update(PROMISED)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    if home is not None:
        os.environ["PREFECT_HOME"] = str(home)
        # Prefect's client would send even loopback calls to a proxy named in the environment.
        direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY", ""), HOST]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(name for name in direct if name)


def find_place(data_dir: Path, *, need_port: bool = True) -> Place:
    """Read or make `<data_dir>/prefect/serve.json`. The stored port is kept unless somebody else sits on it."""
    home = data_dir.resolve() / "prefect"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home / "serve.json"
    try:
        known: dict[str, Any] = json.loads(path.read_text())
        port, pool = int(known["port"]), str(known["pool"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # The pool's name is unique so that two hubs on one outside server never run each other's schedule.
        port, pool = 0, f"interaction-hub-{secrets.token_hex(3)}"
    if need_port and not _wait_free(port):
        port = _free_port()
    place = Place(home, port, pool)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"port": port, "pool": pool}) + "\n")
    fresh.replace(path)
    return place


def _wait_free(port: int) -> bool:
    if port == 0:
        return False
    deadline = time.monotonic() + PORT_WAIT_S
    while not _is_free(port):
        if time.monotonic() > deadline:
            log.warning("port %d is taken by another program; choosing a new one", port)
            return False
        time.sleep(0.2)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def wait_healthy(api_url: str, timeout_s: float) -> bool:
    """Ask `/health` until it answers 200. False after `timeout_s`."""
    import httpx

    deadline = time.monotonic() + timeout_s
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                if (await client.get(f"{api_url}/health")).status_code == 200:
                    return True
            except httpx.HTTPError:
                pass  # not up yet: that is what we wait for
            await asyncio.sleep(0.2)
    return False


class EmbeddedServer:
    """One server process. `start`, `wait` and `stop` belong to one event loop; `kill` may be called from anywhere."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the process; returns at once. A session of its own, so that Ctrl-C reaches the hub alone."""
        self._turn_log()
        with self.place.log_path.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hub.flows.server_process", HOST, str(self.place.port),
                stdin=asyncio.subprocess.PIPE, stdout=out, stderr=out, start_new_session=True,
                env=self.place.environment(os.environ), cwd=self.place.home,
            )  # fmt: skip

    async def wait_ready(self, timeout_s: float) -> bool:
        """True once it answers; False when it ended or `timeout_s` passed."""
        ended = asyncio.ensure_future(self.wait())
        healthy = asyncio.ensure_future(wait_healthy(self.place.api_url, timeout_s))
        await asyncio.wait({ended, healthy}, return_when=asyncio.FIRST_COMPLETED)
        ready = healthy.done() and healthy.result() and not ended.done()
        ended.cancel()
        healthy.cancel()
        return ready

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        return 0 if self._process is None else await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after a few seconds: what it stores is not worth waiting for."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_WAIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def kill(self) -> None:
        if (process := self._process) is not None and process.returncode is None:
            process.kill()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for an error message."""
        try:
            text = self.place.log_path.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.strip().splitlines()[-lines:])

    def _turn_log(self) -> None:
        path = self.place.log_path
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
