"""The embedded server's own process: Prefect's public command, tied to the life of the hub.

Run as `python -m hub.flows.server_process HOST PORT` with a pipe on standard input. When the hub ends in any way,
`kill -9` included, the pipe closes and this process ends too: no orphan keeps the port and the database.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from typing import Any

EXIT_WAIT_S = 5.0


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(EXIT_WAIT_S)  # uvicorn waits for open connections; nobody is left to close them
    os._exit(1)


def write_at_once() -> None:
    """Let each of Prefect's SQLite transactions take the write lock when it begins.

    Prefect opens them DEFERRED: one that has read and then wants to write fails at once with "database is locked" if
    another wrote in between, whatever the busy timeout (Prefect's issues 10188, 18934). Clients then repeat the call
    two and more seconds later, and services skip a round. IMMEDIATE makes them queue for milliseconds instead.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def begin_immediate(self: AioSqliteConfiguration, session: Any, with_for_update: bool = True) -> Any:
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_immediate  # type: ignore[method-assign]


def main() -> None:
    host, port = sys.argv[1:3]
    threading.Thread(target=_end_with_parent, daemon=True, name="end-with-parent").start()
    write_at_once()
    sys.argv = ["prefect", "server", "start", "--host", host, "--port", port]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
