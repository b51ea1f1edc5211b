"""Group commit: whoever comes while a transaction is being written shares the next one."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hub.inbox.notices import Row, keep
from hub.store import Store

log = logging.getLogger("hub.inbox")


class NotKept(Exception):
    """The rows are not in the database; the reason is in the log."""


class GroupCommit:
    """Keeps rows of many callers in one transaction; `put` returns when the database has promised not to lose them.

    No caller waits for another on purpose: an idle inbox commits at once, a busy one in groups as large as the disk is
    slow. kept: called on the event loop after each commit.
    """

    def __init__(self, store: Store, kept: Callable[[], object]) -> None:
        self._store = store
        self._kept = kept
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own: the shared pool may be full of syncs.
        self._thread = ThreadPoolExecutor(1, "inbox")

    async def put(self, rows: Sequence[Row]) -> None:
        """Raises NotKept. A caller that gives up waiting leaves rows that are kept all the same."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            failure: NotKept | None = None
            try:
                await loop.run_in_executor(self._thread, self._commit, [row for rows, _ in group for row in rows])
            except Exception:  # told in the log, and to every caller of the group, who tells the vendor to come again
                log.exception("notices could not be stored")
                failure = NotKept()
            for _, done in group:
                if done.done():
                    continue
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
            if failure is None:
                self._tell()

    def _tell(self) -> None:
        try:
            self._kept()
        except Exception:  # nobody there to hear it, as while the hub stops: the notices are due all the same
            log.exception("the bell could not be rung")

    def _commit(self, rows: Sequence[Row]) -> None:
        with self._store.write() as c:
            keep(c, rows)

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
