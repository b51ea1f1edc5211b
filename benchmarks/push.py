"""The way out: `python -m benchmarks.push GMAIL_URL HUBSPOT_URL N FOLDER`.

N messages come in (not counted), a plan is made, approved and applied to HubSpot (counted: journal, look-ups, links).
Prints {"records": interactions written, "changes", "cpu_s", "plan_cpu_s", "requests"}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from benchmarks.pipeline import engine, sync
from hub.engine import push
from hub.store import tables as t


def main() -> None:
    gmail, hubspot, total, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    hub = engine(folder, {"gmail": gmail, "hubspot": hubspot}, system_of_record="hubspot")
    sync(hub, "gmail", total)
    sync(hub, "hubspot", 0)
    begun = time.process_time()
    plan = push.plan(hub)
    push.approve(hub, plan.id, "benchmark")
    planned = time.process_time()
    result = asyncio.run(push.apply(hub, plan.id))
    cpu = time.process_time() - begun
    if result.exit_code or not result.applied.is_complete:
        raise RuntimeError(f"not everything was written: {result.to_dict()}")
    with hub.store.read() as c:
        kinds = (
            sa.select(t.change.c.kind, sa.func.count()).where(t.change.c.plan_id == plan.id).group_by(t.change.c.kind)
        )
        written = {kind: int(count) for kind, count in c.execute(kinds)}
        newest = sa.select(t.run.c.requests).where(t.run.c.kind == "push").order_by(t.run.c.id.desc()).limit(1)
        requests = int(c.execute(newest).scalar_one())
    hub.close()
    said = {"records": written["interaction"], "changes": written, "cpu_s": cpu, "plan_cpu_s": planned - begun}
    print(json.dumps({**said, "requests": requests}))


if __name__ == "__main__":
    main()
