"""Kills a hub process at chosen points, starts it again, and says what came of it.

A point is an occurrence of an event on the wire ("the 3rd time the CRM has carried out a batch/upsert of emails"),
perhaps some milliseconds later, or simply a time after the start. The vendors live in this process and go on.
"""

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.e2e.world import World
from tests.faults.nursery import Child, Nursery

Event = tuple[str, str, str, str]  # vendor, when, method, path


@dataclass(frozen=True)
class Point:
    """event and nth: which occurrence, counted over all starts; later_s: so long after it.

    event None: later_s after the start of the process.
    """

    event: Event | None
    nth: int = 1
    later_s: float = 0.0

    def __str__(self) -> str:
        if self.event is None:
            return f"{self.later_s:.2f} s after the start"
        vendor, when, method, path = self.event
        tail = "/".join(path.strip("/").split("/")[-3:])
        late = f" + {self.later_s * 1000:.0f} ms" if self.later_s else ""
        return f"{vendor} {when} {method} {tail} #{self.nth}{late}"


@dataclass
class Survived:
    """state: the driver's last words; killed: points that struck; starts: processes used."""

    state: str
    wrong: list[str]
    killed: list[Point] = field(default_factory=list)
    starts: int = 0
    took_s: float = 0.0


def event(vendor: str, when: str, method: str, path: str) -> Event:
    """Ids in paths left out."""
    return vendor, when, method, re.sub(r"\d{3,}", "*", path)


class Watch:
    """Listens on the wire; kills the process in its sights when its next point comes."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = list(points)
        self.killed: list[Point] = []
        self.seen: Counter[Event] = Counter()
        self.log: list[Event] = []
        self._lock = threading.Lock()
        self._process: Child | None = None

    def aim(self, process: Child) -> None:
        with self._lock:
            self._process = process
            if self.points and self.points[0].event is None:
                self._strike_later(self.points.pop(0))

    def __call__(self, vendor: str, when: str, method: str, path: str) -> None:
        found = event(vendor, when, method, path)
        with self._lock:
            self.seen[found] += 1
            self.log.append(found)
            point = self.points[0] if self.points else None
            if point is None or point.event != found or self.seen[found] < point.nth or self._process is None:
                return
            self.points.pop(0)
            if point.later_s:
                self._strike_later(point)
            else:
                self._strike(point, self._process)

    def _strike_later(self, point: Point) -> None:
        process = self._process

        def strike() -> None:
            with self._lock:
                if process is not None and process is self._process:
                    self._strike(point, process)

        timer = threading.Timer(point.later_s, strike)
        timer.daemon = True
        timer.start()

    def _strike(self, point: Point, process: Child) -> None:
        if not process.is_over:
            os.kill(process.pid, signal.SIGKILL)
            self.killed.append(point)
        self._process = None


def survive(
    world: World, points: Sequence[Point], most_s: float = 600.0, nursery: Nursery | None = None
) -> tuple[Survived, Watch]:
    """Run a driver on a served world, killing it at each point in turn, until it comes to its end.

    nursery: where drivers are begun; one of our own driver when there is none. Raises AssertionError with the process's
    words when it fails by itself, and subprocess.TimeoutExpired when it takes longer than `most_s`.
    """
    if nursery is None:
        with Nursery() as ours:
            return survive(world, points, most_s, ours)
    watch = Watch(points)
    world.hooks.append(watch)
    found = Survived("", [])
    began = time.monotonic()
    try:
        while True:
            found.starts += 1
            struck = len(watch.killed)
            process = nursery.start(world.folder)
            watch.aim(process)
            out, err = nursery.communicate(process, most_s)
            if process.returncode == -signal.SIGKILL:
                continue
            del watch.killed[struck:]  # it was faster
            if process.returncode:
                raise AssertionError(f"after {[str(p) for p in watch.killed]} the hub failed by itself: {err[-3000:]}")
            last: dict[str, Any] = json.loads(out)
            found.state, found.wrong, found.killed = last["state"], last["wrong"], watch.killed
            found.took_s = time.monotonic() - began
            return found, watch
    finally:
        world.hooks.remove(watch)


def sample(log: Sequence[Event], took_s: float, count: int, rng: Random) -> list[Point]:
    """`count` points spread over an undisturbed run's events, each kind of moment among them, in their order."""
    places = sorted(rng.sample(range(len(log)), min(count, len(log))))
    seen: Counter[Event] = Counter()
    points: list[Point] = []
    wanted = set(places)
    for place, found in enumerate(log):
        seen[found] += 1
        if place in wanted:
            dice = rng.random()
            if dice < 0.15:
                points.append(Point(None, later_s=rng.uniform(0.3, max(1.0, took_s))))
            else:
                points.append(Point(found, seen[found], rng.uniform(0.0, 0.06) if dice < 0.65 else 0.0))
    return points
