"""A hub process to be killed: `python -m tests.faults.driver FOLDER`.

Syncs everything, plans, says yes, applies and syncs again until nothing is left to do; then prints one JSON object.
Starting it again after a kill goes on from what is in the folder. Exit code 1 when something was not well.
"""

import asyncio
import json
import sys
from pathlib import Path

from hub import settings
from hub.engine import Engine, push
from tests.e2e import checks
from tests.e2e.clocks import HurryingClock, OneTransport

ROUNDS = 6


async def work(folder: Path) -> int:
    transport = OneTransport()
    engine = Engine.open(
        settings.load(folder / "hub.toml"), clock=HurryingClock(folder / "clock.txt"), transport=transport,
        patience_s=3600,
    )  # fmt: skip
    try:
        for _ in range(ROUNDS):
            for name in engine.names():
                result = await engine.sync(name)
                if result.exit_code:
                    return _said(f"{name} ended as {result.status}/{result.exit_code}: {result.lines}")
            plan = push.plan(engine)
            if not plan.changes:
                with engine.store.read() as c:
                    found = {"state": checks.digest(c), "wrong": checks.invariants(c)}
                print(json.dumps(found), flush=True)
                return 0
            if plan.held:
                return _said(f"plan {plan.id} is held: {plan.held}")
            push.approve(engine, plan.id, "a test")
            applied = await push.apply(engine, plan.id)
            if applied.exit_code:
                return _said(f"plan {plan.id} ended as {applied.status}: {applied.detail} {applied.applied.failures}")
        return _said(f"there is still something to do after {ROUNDS} rounds")
    finally:
        await transport.really_close()
        engine.close()


def _said(problem: str) -> int:
    print(problem, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(work(Path(sys.argv[1]))))
