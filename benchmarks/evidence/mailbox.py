"""The whole real support mailbox: from the Gmail stand-in over HTTP into the timeline and on into the CRM stand-in.

    python -m benchmarks.evidence.mailbox [--messages N]

Compares every figure of the set's facts with the hub's reports and every engagement with the raw mails, and shows what
a second sync and a second apply cost. Names are read from the facts and not printed. About 80 seconds.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hub.engine import SyncResult, push
from tests.e2e import checks, real, truth
from tests.e2e.checks import Figure, show
from tests.e2e.world import World

TOLD = {
    "messages", "distinct_message_ids", "missing_message_id", "duplicate_messages", "distinct_senders_unmunged",
    "distinct_people_addresses_any_role", "threads_references", "threads_with_one_message", "largest_thread_messages",
    "date_first", "date_last", "with_attachments", "direction", "chosen_people", "top10_correspondents",
    "list_addresses_left_out",
}  # fmt: skip
"""Facts compared; the others speak of the files themselves or follow other rules, which no timeline states."""


async def run(folder: Path, limit: int | None) -> bool:
    facts = real.facts()
    world = real.world(folder)
    began = time.monotonic()
    count = real.fill(world, limit)
    print(f"{count} messages served ({time.monotonic() - began:.0f} s to fill the mailbox)", flush=True)
    mail = next(iter(world.mailboxes))
    is_right = True
    async with world.up():
        for name in ("hubspot", mail):
            await timed(world, name)
        own = world.engine.own()
        with world.engine.store.read() as c:
            if limit is None:
                is_right &= show(checks.facts(c, own, facts, mail), title="the set's facts, by the hub's reports")
                print("not told by a timeline:", ", ".join(sorted(set(facts) - TOLD)))
            before, wrong = checks.timeline(c), checks.invariants(c)
        figures = [Figure("broken invariants", wrong, []), *await pushed(world, limit)]
        is_right &= show(figures, title="the system of record, against the raw mails")
        is_right &= show(await again(world, mail, before), title="the second round")
    return is_right


async def pushed(world: World, limit: int | None) -> list[Figure]:
    """Plan and apply, then ask the CRM what it holds."""
    began = time.monotonic()
    plan = push.plan(world.engine)
    print(f"\nplan in {time.monotonic() - began:.1f} s: {plan.counts}, not due: {plan.not_due}")
    push.approve(world.engine, plan.id, "evidence")
    world.asked("hubspot")
    began = time.monotonic()
    result = await push.apply(world.engine, plan.id)
    took = time.monotonic() - began
    print(f"applied in {took:.1f} s with {len(world.asked('hubspot'))} requests: {result.applied.done}", flush=True)
    dump = {kind: world.dump(kind) for kind in ("emails", "contacts", "companies")}
    mails = truth.read(truth.raw_mails(real.mail_set(), limit), real.facts()["list_addresses_left_out"])
    with world.engine.store.read() as c:
        figures, said = checks.destination(c, mails, real.policy(), dump)
    print(*said, sep="\n")
    return [
        *figures,
        Figure("objects sharing a key", world.hubspot.state()["duplicates"], {}),
        Figure("outcome of the apply", (result.status, result.exit_code), ("healthy", 0)),
        Figure("created", result.applied.done, {"created": plan.changes}),
        Figure("interactions due and not due", len(dump["emails"]) + sum(plan.not_due.values()), len(mails)),
    ]


async def again(world: World, mail: str, before: dict[str, Any]) -> list[Figure]:
    """The first sync after the push sees the echoes; the one after that must see nothing and cost next to nothing."""
    for name in ("hubspot", mail):
        await timed(world, name)
    figures = [Figure("changes planned once the echoes came back", push.plan(world.engine).changes, 0)]
    with world.engine.store.read() as c:
        figures.append(Figure("the timeline is as before the push", checks.timeline(c) == before, True))
    settled = world.digest()
    for name in ("hubspot", mail):
        vendor = "hubspot" if name == "hubspot" else "gmail"
        world.asked(vendor)
        result = await world.sync(name)
        asked, streams = world.asked(vendor), len(result.streams)
        is_cheap = len(asked) <= streams
        figures += [
            Figure(f"second sync of {vendor}: exit code", result.exit_code, 0),
            Figure(f"second sync of {vendor}: records", sum(s.books.seen for s in result.streams), 0),
            Figure(f"second sync of {vendor}: a request a stream", is_cheap, True, f"{len(asked)} for {streams}"),
        ]
    world.asked("hubspot")
    figures += [
        Figure("second apply: changes", push.plan(world.engine).changes, 0),
        Figure("second apply: requests", len(world.asked("hubspot")), 0),
        Figure("state as after the first round", world.digest() == settled, True),
    ]
    return figures


async def timed(world: World, name: str) -> SyncResult:
    began, cpu = time.monotonic(), time.process_time()
    result = await world.sync(name)
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    print(f"{name}: {result.status} ({result.exit_code}) in {wall:.1f} s, CPU {cpu:.1f} s with the stand-ins'")
    print(*(f"  {line}" for line in result.lines if " 0 seen" not in line), sep="\n", flush=True)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, help="only the first N; the set's facts are left out then")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(run(Path(folder), options.messages)) else 1


if __name__ == "__main__":
    sys.exit(main())
