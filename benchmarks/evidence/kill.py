"""kill -9 at random points of a whole sync and apply, started again each time until it ends like an undisturbed run.

    python -m benchmarks.evidence.kill [--points 50] [--per-run 10] [--messages N] [--seed 1]

The hub runs in a process of its own, the vendors in this one. Points are drawn from what an undisturbed run sent over
the wire (before, while and after the vendor carries a request out, plus 0 to 60 ms) and from the clock. After that
one answer of three is lost after the commit, and a process is stopped (SIGSTOP) amid its pull, replaced and continued.
About 10 minutes for the whole mailbox.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.e2e import real
from tests.e2e.checks import Figure, show
from tests.e2e.clocks import HurryingClock
from tests.e2e.world import World
from tests.faults.killing import Event, Point, event, sample, survive
from tests.faults.nursery import ROOT


def counted(world: World) -> dict[str, Any]:
    state = world.hubspot.state()
    return {name: state[name] for name in ("objects", "duplicates", "associations")}


def run(folder: Path, points: int, per_run: int, limit: int | None, seed: int) -> list[Figure]:
    rng = Random(seed)
    first = real.world(folder / "calm")
    print(f"{real.fill(first, limit)} messages", flush=True)
    with first.served():
        calm, watch = survive(first, ())
        target = counted(first)
    print(f"undisturbed: {calm.took_s:.0f} s, {len(watch.log) // 3} requests, {target['objects']}", flush=True)
    figures = [Figure("undisturbed run: broken invariants", calm.wrong, [])]
    killed: list[Point] = []
    trial = starts = 0
    while len(killed) < points:
        trial += 1
        world = real.world(folder / f"trial{trial}", gmail=first.gmail)
        chosen = sample(watch.log, calm.took_s, min(per_run, points - len(killed)), rng)
        with world.served():
            found, _ = survive(world, chosen, most_s=1800)
        killed += found.killed
        starts += found.starts
        print(f"run {trial}: {len(found.killed)} kills, {found.starts} starts, {found.took_s:.0f} s", flush=True)
        print(*(f"    {p}" for p in found.killed), sep="\n", flush=True)
        figures += [
            Figure(f"run {trial}: state as undisturbed", found.state == calm.state, True),
            Figure(f"run {trial}: broken invariants", found.wrong, []),
            Figure(f"run {trial}: objects and links at the CRM", counted(world) == target, True),
        ]
    kinds = Counter("by the clock" if p.event is None else p.event[1] for p in killed)
    figures.append(Figure("kills", len(killed), points, f"{dict(kinds)}, {starts} starts in {trial} runs"))
    return figures + lost(folder, first, calm.state, target) + suspended(folder, first, calm.state, target)


def lost(folder: Path, first: World, state: str, target: dict[str, Any]) -> list[Figure]:
    """The CRM carries every POST out and drops one answer of three."""
    world = real.world(folder / "lost", gmail=first.gmail)
    fault = world.hubspot.faults.add("drop_answer", method="POST", every=3)
    with world.served():
        found, _ = survive(world, (), most_s=1800)
    print(f"answers lost after the commit: {fault.hit} of {fault.seen}, {found.took_s:.0f} s", flush=True)
    return [
        Figure("lost answers: state as undisturbed", found.state == state, True),
        Figure("lost answers: objects sharing a key", world.hubspot.state()["duplicates"], {}),
        Figure("lost answers: objects and links at the CRM", counted(world) == target, True),
    ]


def suspended(folder: Path, first: World, state: str, target: dict[str, Any]) -> list[Figure]:
    """SIGSTOP amid the pull; another process with a clock five minutes on takes over; SIGCONT: the first gives up."""
    world = real.world(folder / "suspended", gmail=first.gmail)
    stopper = Stopper(event("gmail", "done", "POST", "/batch/gmail/v1"), nth=4)
    world.hooks.append(stopper)
    with world.served():
        sleeper = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver", str(world.folder)], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        stopper.process = sleeper
        stopper.stopped.wait(600)
        lead = HurryingClock(world.folder / "clock.txt").lead
        (world.folder / "clock.txt").write_text(str(lead + 300))
        found, _ = survive(world, ())
        began = time.monotonic()
        os.kill(sleeper.pid, signal.SIGCONT)
        _, said = sleeper.communicate(timeout=600)
        print(f"the suspended process ended {time.monotonic() - began:.1f} s after it went on: {said.strip()[-200:]}")
        again, _ = survive(world, ())
    return [
        Figure("suspended: the replacement's state", found.state == state, True),
        Figure("suspended: the first process gave up", (sleeper.returncode, "taken over" in said), (1, True)),
        Figure("suspended: state after it woke up", again.state == state, True),
        Figure("suspended: objects and links at the CRM", counted(world) == target, True),
    ]


class Stopper:
    """Suspends a process at the nth occurrence of an event."""

    def __init__(self, at: Event, nth: int) -> None:
        self.at, self.left = at, nth
        self.stopped = threading.Event()
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, vendor: str, when: str, method: str, path: str) -> None:
        if event(vendor, when, method, path) == self.at and self.process is not None and not self.stopped.is_set():
            self.left -= 1
            if not self.left:
                os.kill(self.process.pid, signal.SIGSTOP)
                self.stopped.set()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--per-run", type=int, default=10, help="kills in one chain of starts")
    parser.add_argument("--messages", type=int, help="only the first N messages of the mailbox")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), options.points, options.per_run, options.messages, options.seed)
    return 0 if show(figures, title="killed and started again") else 1


if __name__ == "__main__":
    sys.exit(main())
