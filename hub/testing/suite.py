"""`ConnectorSuite`: the thirteen clauses every connector is held to, as a class of tests to inherit from.

    class TestZendesk(ConnectorSuite):
        connector = Zendesk
        rig = ZendeskRig          # how the suite moves the source: see `hub.testing.rig`
        quality = Path(__file__).parents[1] / "quality.toml"

pytest then shows one test per clause. A clause that does not apply is skipped with its reason, which comes from the
manifest and the quality file together: what the manifest promises cannot be exempt. `run` gives the same as values.
"""

import asyncio
import atexit
import os
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Connector, FakeClock
from hub.testing.emulator import Emulator, Running
from hub.testing.rig import Missing, Rig
from hub.testing.suite_bench import Bench, Broken, Effort
from hub.testing.suite_limits import auth, budget
from hub.testing.suite_privacy import privacy
from hub.testing.suite_pull import backfill, census, check, deletes, incremental, merges, poison
from hub.testing.suite_push import echo, push
from hub.testing.suite_result import BY_ID, CLAUSES, Claim, Result, read_quality
from hub.testing.suite_webhooks import webhooks

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PROPERTY = "conformance"
CYCLES = "CONFORMANCE_CYCLES"  # in the environment: how many cycles W7 goes through, whatever the suites say

TESTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "W1": check, "W2": backfill, "W3": incremental, "W4": deletes, "W5": merges, "W6": push, "W7": echo,
    "W8": webhooks, "W9": census, "W10": budget, "W11": poison, "W12": privacy, "W13": auth,
}  # fmt: skip


def _effort(usual: Effort) -> Effort:
    cycles = os.environ.get(CYCLES)
    return replace(usual, cycles=int(cycles)) if cycles else usual


class ConnectorSuite:
    """Subclass and set `connector` and `rig`.

    quality: the connector's quality file, whose claims must agree with what is found. clauses: those this stream has
    something to say about; together the suites of a connector must cover all. effort: how hard some clauses try.
    """

    connector: ClassVar[type[Connector[Any]]]
    rig: ClassVar[type[Rig]]
    quality: ClassVar[Path | None] = None
    clauses: ClassVar[tuple[str, ...]] = tuple(BY_ID)
    effort: ClassVar[Effort] = Effort()

    # As pytest sees it

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "clause" in metafunc.fixturenames:
            ids = [f"{c.id}-{c.name}" for c in CLAUSES if c.id in self.clauses]
            metafunc.parametrize("clause", [c.id for c in CLAUSES if c.id in self.clauses], ids=ids)

    def test_clause(self, clause: str, record_property: Callable[[str, object], None]) -> None:
        result = self.run(clause)
        record_property(PROPERTY, result.to_dict())
        if result.outcome == "failed":
            raise Broken(f"{clause} {BY_ID[clause].name}: {result.detail}")
        if result.outcome in {"exempt", "open"}:
            import pytest

            (pytest.skip if result.outcome == "exempt" else pytest.xfail)(f"{result.outcome}: {result.detail}")

    # As everybody else sees it

    @classmethod
    def run_all(cls) -> list[Result]:
        """Every clause of this suite, one after the other."""
        return [cls.run(c.id) for c in CLAUSES if c.id in cls.clauses]

    @classmethod
    def run(cls, clause: str) -> Result:
        """One clause on a fresh account. Whatever the connector raises becomes a result."""
        name, stream = cls.connector.manifest.name, cls.rig.stream
        claim = read_quality(cls.quality).get(clause) if cls.quality else None
        reason = cls.exemption(clause, claim)
        if reason:
            if claim is not None and claim.status != "exempt":
                return Result(name, stream, clause, "failed", f"the quality file says {claim.status}, and {reason}")
            return Result(name, stream, clause, "exempt", claim.reason if claim else reason)
        found, notes = cls._try(clause)
        if claim is None or claim.status == "done":
            return Result(name, stream, clause, "failed" if found else "passed", found, notes)
        if claim.status == "open" and found:
            return Result(name, stream, clause, "open", f"{claim.reason} ({found})", notes)
        held = "it applies" if found else "it applies and is kept"
        return Result(
            name, stream, clause, "failed", f"the quality file says {claim.status}, but {held}: {found or 'say done'}"
        )

    @classmethod
    def exemption(cls, clause: str, claim: Claim | None) -> str:
        """Why the clause does not apply, "" when it does: the manifest decides, or the lack of a verb and a reason."""
        m, rig = cls.connector.manifest, cls.rig
        stream = m.stream(rig.stream)
        if clause == "W4" and stream.deletes == "undetectable":
            return "the manifest declares deletions undetectable"
        if clause == "W5" and rig.merge is Rig.merge and claim is not None and claim.status == "exempt":
            return claim.reason
        if clause in {"W6", "W7"} and not m.pushes:
            return "the manifest declares no pushes"
        if clause == "W8" and not m.webhooks:
            return "the manifest declares no webhooks"
        if clause == "W9" and stream.census == "none":
            return f"the manifest declares no census of {stream.name}"
        if clause == "W10" and not m.budgets and not m.hosts:
            return "the manifest names no host: there is nobody to overload"
        if clause == "W13" and not m.auth:
            return "the manifest declares no sign-in"
        return ""

    @classmethod
    def _try(cls, clause: str) -> tuple[str, tuple[str, ...]]:
        """(what is wrong, "" for nothing; notes)."""
        with cls._stand() as bench:
            try:
                asyncio.run(_carry_out(clause, bench))
            except Broken as exc:
                return str(exc), tuple(bench.notes)
            except Missing as exc:
                return str(exc), tuple(bench.notes)
            except Exception as exc:  # anything else is the connector's (or the rig's) own failure: told as the finding
                return _told(exc), tuple(bench.notes)
            return "", tuple(bench.notes)

    @classmethod
    @contextmanager
    def _stand(cls) -> Iterator[Bench]:
        clock = FakeClock(START)
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            rig = cls.rig(clock, Path(folder))
            try:
                yield Bench(cls.connector, rig, clock, serve(rig.emulator), _effort(cls.effort))
            finally:
                rig.close()


class _Server:
    """One for all suites of a process: starting one costs more than a clause does."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._running: Running | None = None

    def put(self, emulator: Emulator | None) -> str:
        """Serve this emulator from now on; its address, "" when there is none to serve."""
        if emulator is None:
            return ""
        if self._running is None:
            self._running = self._open.enter_context(emulator.serve())
            atexit.register(self._open.close)
        else:
            self._running.put(emulator)
        return self._running.url


serve = _Server().put


async def _carry_out(clause: str, bench: Bench) -> None:
    try:
        await TESTS[clause](bench)
    finally:
        await bench.close()


def _told(exc: BaseException) -> str:
    """An unexpected error in one line, with the innermost place it came from."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return (
        f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]} ({Path(frame.filename).name}, line {frame.lineno})"
    )
