"""A hub process to be killed: `python -m tests.faults.merge_driver FOLDER`.

Reads a CRM, says that two of its people are one if nobody has yet, and has the CRM merge them until nothing is left to
merge; then prints one JSON object. Started again after a kill it goes on. Exit code 1 when something was not well.
"""

import asyncio
import json
import sys
from pathlib import Path

import sqlalchemy as sa

from hub import settings
from hub.engine import Engine, duplicates, push
from hub.store import tables as t
from tests.e2e import checks
from tests.e2e.clocks import HurryingClock, OneTransport

CRM = "hubspot"


async def work(folder: Path) -> int:
    transport = OneTransport()
    engine = Engine.open(
        settings.load(folder / "hub.toml"), clock=HurryingClock(folder / "clock.txt"), transport=transport,
        patience_s=3600,
    )  # fmt: skip
    try:
        await engine.sync(CRM)
        people = _people(engine)
        if len(people) > 1 and not _decided(engine):
            engine.identities.merge(*sorted(people), "a test")
        while (found := duplicates.plan(engine, CRM)).plan.id:
            push.approve(engine, found.plan.id, "a test")
            result = await push.apply(engine, found.plan.id)
            if result.exit_code:
                print(result, file=sys.stderr, flush=True)
                return 1
        await engine.sync(CRM)
        with engine.store.read() as c:
            print(json.dumps({"state": checks.digest(c), "wrong": checks.invariants(c)}), flush=True)
        return 0
    finally:
        await transport.really_close()
        engine.close()


def _people(engine: Engine) -> set[int]:
    with engine.store.read() as c:
        query = sa.select(t.identifier.c.party_id).where(t.identifier.c.value.like("ana%@kestrel.example"))
        return set(c.execute(query).scalars())


def _decided(engine: Engine) -> bool:
    with engine.store.read() as c:
        return c.execute(sa.select(t.decision.c.id).where(t.decision.c.kind == "human")).first() is not None


if __name__ == "__main__":
    sys.exit(asyncio.run(work(Path(sys.argv[1]))))
