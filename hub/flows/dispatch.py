"""Which due connections run now: claims, slots and the end of a run. No Prefect in here.

Lives on the caller's event loop; Prefect lives on another thread and only waits. So nothing that goes wrong
over there (a dead server, a cancelled flow run, a blocked call) can reach a running sync.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry import trace

from hub.flows.contract import EngineLike

log = logging.getLogger("hub.flows")
CANCEL_WAIT_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """One finished run: `kind` is done, failed (exit code not 0, or the engine raised) or cancelled."""

    kind: str
    status: str
    message: str


class Dispatcher:
    """Hands out due connections, never one twice at a time and never more than `concurrency` at once."""

    def __init__(self, engine: EngineLike, concurrency: int) -> None:
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        self.engine = engine
        self.concurrency = concurrency
        self._held: dict[str, asyncio.Task[object] | None] = {}  # None: claimed, not yet started
        self._open = True

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(name for name, task in self._held.items() if task is not None)

    def has_work(self) -> bool:
        """Whether a claim would hand out something now."""
        return bool(self._candidates(()))

    def claim(self, already: Collection[str] = ()) -> list[str]:
        """Take as many due connections as there are free slots, without those in `already`.

        A claim holds a slot, not the lease: `run` or `release` must follow. `already` is what the same tick has run
        before, so that a connection which stays due after a failure waits for the next tick.
        """
        names = self._candidates(already)
        self._held.update(dict.fromkeys(names))
        return names

    def _candidates(self, already: Collection[str]) -> list[str]:
        free = self.concurrency - len(self._held)
        if not self._open or free <= 0:
            return []
        due = self.engine.due(datetime.now(UTC))
        return [name for name in due if name not in self._held and name not in already][:free]

    def release(self, name: str) -> None:
        """Give back a claim that never started, for example because Prefect could not record the run."""
        if name in self._held and self._held[name] is None:
            del self._held[name]

    async def run(self, name: str) -> Outcome:
        """Run a claimed connection to its end. Never raises: whatever the engine does becomes an Outcome."""
        if not self._open or name not in self._held:
            self.release(name)
            return Outcome("cancelled", "cancelled", "the hub is stopping; the connection stays due")
        self._held[name] = asyncio.current_task()
        try:
            # Costs next to nothing where nobody listens; errors are told in our own words, which hold nobody's data.
            with trace.get_tracer("hub.flows").start_as_current_span(
                f"sync {name}", record_exception=False, set_status_on_exception=False
            ) as span:
                result = await self.engine.sync(name)
                span.set_attributes({"hub.connection": name, "hub.status": result.status})
                if result.exit_code:
                    span.set_status(trace.StatusCode.ERROR)
        except asyncio.CancelledError:
            return Outcome("cancelled", "cancelled", "stopped before the end; it resumes from its last page")
        except Exception as exc:  # isolates: a fault of ours in one connection must not stop the others
            log.exception("%s: the sync ended with an error of our own", name)
            return Outcome("failed", "error", f"{type(exc).__name__}: {exc}")
        finally:
            del self._held[name]
        lines = list(result.lines)
        for line in lines:
            log.info("%s: %s", name, line)
        message = "; ".join([result.status, *lines])[:1000]
        return Outcome("done" if result.exit_code == 0 else "failed", result.status, message)

    def close(self) -> None:
        """Hand out nothing more. Running syncs go on."""
        self._open = False

    async def drain(self, grace_s: float, hurry: asyncio.Event) -> list[str]:
        """Wait for running syncs, at most `grace_s` or until `hurry`; then cancel. Returns the cancelled names."""
        self.close()
        for name in list(self._held):
            self.release(name)
        tasks = {task: name for name, task in self._held.items() if task is not None}
        if not tasks:
            return []
        log.info("waiting up to %.0f s for %s", grace_s, ", ".join(sorted(tasks.values())))
        all_done = asyncio.ensure_future(asyncio.wait(tasks))
        rushed = asyncio.ensure_future(hurry.wait())
        await asyncio.wait({all_done, rushed}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        for helper in (all_done, rushed):
            helper.cancel()
        late = {task: name for task, name in tasks.items() if not task.done()}
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_WAIT_S)
        return sorted(late.values())
