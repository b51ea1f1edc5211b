"""A receiver on this machine that does as told, and a hub whose endpoint it is."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub import hooks
from hub.api import FakeClock
from hub.store import Secrets, Store

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Receiver:
    """got: (headers, body) of every call. answer: what each is told; called with the event, on the server's thread."""

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], int | Answer] = lambda event: 200
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def told(self) -> list[str]:
        """Of each call: type without hub. and .v1, and subject."""
        return [f"{e['type'][4:-3]} {e['subject']}" for e in self.events]


class Rig:
    """Endpoints, relay and courier over a store, with a clock that moves when told."""

    def __init__(self, store: Store, clock: FakeClock, key: str) -> None:
        self.store, self.clock = store, clock
        self.secrets = Secrets(store, [key])
        self.endpoints = hooks.Endpoints(store, self.secrets, clock, allow_loopback=True)

    def deliver(self, *, timeout_s: float = 5.0, **kwargs: Any) -> Any:
        """Everything due now; when the next is due."""

        async def work() -> Any:
            sender = hooks.Sender(self.clock, allow_loopback=True, timeout_s=timeout_s)
            given = {"jitter": lambda: 0.0, **kwargs}
            async with hooks.Courier(self.store, self.endpoints, self.clock, sender, **given) as courier:
                return await courier.deliver()

        return asyncio.run(work())

    def settle(self, rounds: int = 50, **kwargs: Any) -> None:
        """Deliver, and move the clock to whatever is due next, until nothing is."""
        for _ in range(rounds):
            at = self.deliver(**kwargs)
            if at is None:
                return
            self.clock.advance(max((at - self.clock.now()).total_seconds(), 0) + 0.001)
        raise AssertionError("something is due for ever")

    def relay(self) -> hooks.Relayed:
        return hooks.relay(self.store, self.clock.now(), "urn:uuid:test")

    def log(self, endpoint: str, **kwargs: Any) -> list[dict[str, Any]]:
        with self.store.read() as c:
            return hooks.deliveries(c, hooks.endpoint(c, endpoint), **{"limit": 1000, **kwargs})

    def show(self, endpoint: str) -> hooks.Endpoint:
        with self.store.read() as c:
            return hooks.endpoint(c, endpoint)

    def counts(self, endpoint: str) -> dict[str, int]:
        with self.store.read() as c:
            return hooks.counts(c, hooks.endpoint(c, endpoint))
