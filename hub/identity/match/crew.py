"""Work spread over the cores: the same results in the same order with any number of processes, and nothing left behind."""

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import current_process, get_context, parent_process
from typing import Any, Generic, TypeVar

State = TypeVar("State")
Task = TypeVar("Task")
Done = TypeVar("Done")

_state: Any = None  # of the process this is


def cores() -> int:
    """How many processes may run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keep(state: Any) -> None:
    """A process waits for tasks for ever; when the one that started it is killed, none will come."""
    global _state
    _state = state
    gc.freeze()  # looking for garbage among what is shared would copy it
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _do(work: Callable[[Any, Any], Any], task: Any) -> Any:
    return work(_state, task)


class Crew(Generic[State]):
    """Processes that share `state` as it is now; one worker is this process itself.

    Forked where that is safe (Linux, no threads), so that nothing is copied; elsewhere started anew and sent the state, which
    is then made of what can be pickled.
    """

    def __init__(self, state: State, workers: int) -> None:
        self._state = state
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1 and not current_process().daemon:
            may_fork = sys.platform == "linux" and threading.active_count() == 1
            self._pool = ProcessPoolExecutor(workers, get_context("fork" if may_fork else "spawn"), _keep, (state,))
        self._ahead = 2 * workers

    def __enter__(self) -> "Crew[State]":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[State, Task], Done], tasks: Iterable[Task]) -> Iterator[Done]:
        """Results in the order of the tasks, of which few are taken ahead."""
        todo = iter(tasks)
        if self._pool is None:
            yield from (work(self._state, task) for task in todo)
            return
        running = [self._pool.submit(_do, work, task) for task in islice(todo, self._ahead)]
        while running:
            done = running.pop(0).result()
            running += [self._pool.submit(_do, work, task) for task in islice(todo, 1)]
            yield done
