"""What a clause works with: a fresh account, connectors to it, a clock that moves when told, and words for findings."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from hub.api import Connector, FakeClock, HubError, Manifest, MemoryLedger, MemoryTokens, Services
from hub.api.manifest import Stream
from hub.testing.rig import Missing, Rig
from hub.testing.suite_driver import Landed, Timeline

# One for all: making one costs more than a call, and the emulator speaks plain HTTP on loopback anyway.
TLS = ssl.create_default_context()


class Broken(AssertionError):
    """The connector does not keep a promise; the text says which, in words for its author."""


@dataclass(frozen=True)
class Effort:
    """writes: changes pushed per way of losing answers. cycles: of pull and push. calls: at once, on a dead token.

    Enough for every day; `python -m hub.testing.matrix --cycles 100` is for a release.
    """

    writes: int = 12
    cycles: int = 25
    calls: int = 20


@dataclass
class Bench:
    """One clause's stand. Every connector made here shares account, tokens and budget, as the hub's workers do."""

    connector: type[Connector[Any]]
    rig: Rig
    clock: FakeClock
    url: str
    effort: Effort
    notes: list[str] = field(default_factory=list)
    made: list[Connector[Any]] = field(default_factory=list)
    tokens: MemoryTokens = field(default_factory=MemoryTokens)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)

    @property
    def manifest(self) -> Manifest:
        return self.connector.manifest

    @property
    def stream(self) -> str:
        return self.rig.stream

    @property
    def declared(self) -> Stream:
        return self.manifest.stream(self.stream)

    def connect(self, **changed: Any) -> Connector[Any]:
        """A new connector to the account, as after a restart; tokens and budget are those of before."""
        settings = self.connector.settings_model.model_validate({**self.rig.settings(self.url), **changed})
        transport = httpx.AsyncHTTPTransport(verify=TLS)
        services = Services("conformance", self.clock, self.tokens, self.ledger, transport, jitter=lambda: 0.5)
        connector = self.connector(settings, services)
        self.made.append(connector)
        return connector

    async def close(self) -> None:
        for connector in self.made:
            await connector.aclose()

    # Findings

    def need(self, kept: object, words: str) -> None:
        if not kept:
            raise Broken(words)

    def same(self, found: set[str], expected: set[str], what: str) -> None:
        """Both sets are equal, or the finding says what is missing and what is too much."""
        lost, extra = sorted(expected - found), sorted(found - expected)
        parts = [
            f"{len(ids)} {name} ({', '.join(ids[:3])})" for ids, name in ((lost, "lost"), (extra, "too many")) if ids
        ]
        if parts:
            raise Broken(f"{what}: {' and '.join(parts)} of {len(expected)}")

    def concede(self, part: str, words: str) -> None:
        """A part of the clause that does not hold: noted where the rig says the vendor makes it impossible."""
        if part not in self.rig.cannot:
            raise Broken(words)
        self.note(part)

    def skips(self, part: str) -> bool:
        """Whether the rig says a part is impossible; noted if so."""
        if part in self.rig.cannot:
            self.note(part)
        return part in self.rig.cannot

    def note(self, part: str) -> None:
        text = f"{part}: {self.rig.cannot[part]}"
        if text not in self.notes:
            self.notes.append(text)

    # Time and traffic

    def wait(self) -> None:
        self.clock.advance(self.rig.interval_s)

    def sweep(self) -> None:
        self.clock.advance(self.rig.sweep_s)

    def traffic(self) -> int:
        """Requests the vendor has seen since the last asking."""
        emulator = self.rig.emulator
        if emulator is None:
            return 0
        with emulator.lock:
            count = len(emulator.requests)
            emulator.requests.clear()
        return count

    def fault(self, kind: str, **rule: Any) -> bool:
        """Put a transport fault in force; False where the source is no service."""
        if self.rig.emulator is None:
            return False
        self.rig.emulator.faults.add(kind, **rule)
        return True

    # What is held

    def agree(self, landed: Landed, connector: Connector[Any], what: str) -> Timeline:
        """The hub's set is the source's set."""
        timeline = landed.timeline(connector)
        self.same(timeline.live, self.rig.existing(), what)
        return timeline

    async def agree_with_fresh(self, landed: Landed, what: str) -> None:
        """What was collected step by step maps to the same as a reading from scratch."""
        connector = self.connect()
        mine = self.agree(landed, connector, what)
        fresh = Landed(self.stream)
        await fresh.pull(connector)
        other = self.agree(fresh, connector, f"{what}, read again from scratch")
        stale = [i for i in mine.live if mine.entities.get(i) != other.entities.get(i)]
        self.need(
            not stale, f"{what}: {len(stale)} records are not as they are at the source now ({', '.join(stale[:3])})"
        )

    async def refused(self, work: Any, kinds: type[HubError] | tuple[type[HubError], ...], what: str) -> HubError:
        """The error the awaitable ends with, which must be one of `kinds`."""
        names = " or ".join(k.__name__ for k in (kinds if isinstance(kinds, tuple) else (kinds,)))
        try:
            await work
        except kinds as exc:
            return exc
        except HubError as exc:
            raise Broken(f"{what}: {type(exc).__name__} ({exc}) instead of {names}") from exc
        raise Broken(f"{what}: went through as if nothing were wrong; {names} expected")

    def secrets(self) -> list[str]:
        """Every secret of the settings, in clear."""
        settings = self.connector.settings_model.model_validate(self.rig.settings(self.url))
        values = [getattr(settings, name) for name in type(settings).model_fields]
        return [t for v in values if isinstance(v, SecretStr) and len(t := v.get_secret_value()) > 3]

    @contextmanager
    def overheard(self) -> Iterator[list[str]]:
        """Everything any logger says, at its most talkative."""
        heard: list[str] = []

        class Ear(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                heard.append(self.format(record))

        ear, root = Ear(level=logging.DEBUG), logging.getLogger()
        ear.setFormatter(logging.Formatter("%(name)s %(message)s"))
        names = [n for n in (*logging.root.manager.loggerDict, "hub") if n.split(".")[0] not in {"asyncio"}]
        before = {n: logging.getLogger(n).level for n in names}
        root_level = root.level
        root.addHandler(ear)
        try:
            root.setLevel(logging.DEBUG)
            for n in names:
                logging.getLogger(n).setLevel(logging.DEBUG)
            yield heard
        finally:
            root.removeHandler(ear)
            root.setLevel(root_level)
            for n, level in before.items():
                logging.getLogger(n).setLevel(level)


__all__ = ["Bench", "Broken", "Missing"]
