"""Both directions, again and again, with nobody editing: nothing may be written anywhere."""

from dataclasses import dataclass, field
from pathlib import Path

from hub.engine import push
from tests.e2e import company
from tests.e2e.world import World

WRITES = ("batch/upsert", "batch/create", "batch/update", "batch/archive", "associate")


@dataclass
class Quiet:
    """rounds: how many were needed to settle. writes, changes: of all cycles after that. states: distinct ones."""

    rounds: int = 0
    writes: int = 0
    changes: int = 0
    not_well: int = 0
    requests: int = 0
    seen: int = 0
    states: set[str] = field(default_factory=set)


async def cycles(folder: Path, count: int, minutes: float = 7, **more: object) -> Quiet:
    """Sync everything, plan and apply until settled; then `count` times the same, `minutes` apart."""
    made = company.built()
    world = company.world(folder, made, **more)  # type: ignore[arg-type]
    found = Quiet()
    async with world.up():
        while found.rounds < 5:
            found.rounds += 1
            await world.sync_all()
            if await world.push() is None:
                break
        found.states.add(world.digest())
        for _ in range(count):
            await _cycle(world, found, minutes)
    return found


async def _cycle(world: World, found: Quiet, minutes: float) -> None:
    world.clock.advance(minutes=minutes)  # type: ignore[attr-defined]
    world.asked("hubspot")
    world.asked("gmail")
    results = await world.sync_all()
    found.not_well += sum(r.exit_code != 0 for r in results)
    found.seen += sum(s.books.seen - s.books.counts["unchanged"] for r in results for s in r.streams)
    found.changes += push.plan(world.engine).changes
    asked = world.asked("hubspot") + world.asked("gmail")
    found.requests += len(asked)
    found.writes += sum(method in {"PUT", "PATCH", "DELETE"} or path.endswith(WRITES) for method, path, _ in asked)
    found.states.add(world.digest())
