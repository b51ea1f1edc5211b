"""The way from the scheduler thread to the hub's event loop and back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from hub.flows.dispatch import Dispatcher, Outcome

T = TypeVar("T")


class Bridge:
    """The dispatcher as seen from another thread's event loop.

    Whoever waits here may be cancelled at any moment (a flow run cancelled in Prefect, a thread that ends): what was
    asked for goes on all the same. Context variables travel along, so log lines of a sync find their run.
    """

    def __init__(self, dispatcher: Dispatcher, loop: asyncio.AbstractEventLoop) -> None:
        self._dispatcher = dispatcher
        self._loop = loop

    async def has_work(self) -> bool:
        async def ask() -> bool:
            return self._dispatcher.has_work()

        return await self._there(ask())

    async def claim(self, already: Collection[str]) -> list[str]:
        async def take() -> list[str]:
            return self._dispatcher.claim(already)

        return await self._there(take())

    async def release(self, name: str) -> None:
        async def give_back() -> None:
            self._dispatcher.release(name)

        await self._there(give_back())

    async def run(self, name: str) -> Outcome:
        return await self._there(self._dispatcher.run(name))

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop)))
