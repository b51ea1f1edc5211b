"""Small waiting tools for one event loop."""

from __future__ import annotations

import asyncio
from typing import Any


class Gate:
    """Open or shut, and both can be waited for."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.shut = asyncio.Event()
        self.shut.set()

    def open(self) -> None:
        self.shut.clear()
        self.opened.set()

    def close(self) -> None:
        self.opened.clear()
        self.shut.set()


async def first(*waits: Any, timeout_s: float | None = None) -> None:
    """Return when the first of `waits` is done or time is up. Coroutines are cancelled then, futures left alone."""
    tasks = [(wait, asyncio.ensure_future(wait)) for wait in waits]
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([task for _, task in tasks], return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        pass  # time is up is one of the two ways out
    finally:
        for wait, task in tasks:
            if task is not wait:
                task.cancel()
