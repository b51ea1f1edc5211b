"""The whole real support mailbox: from the Gmail stand-in over HTTP into the timeline and on into the CRM stand-in.

    python -m benchmarks.evidence.mailbox [--messages N]

Compares every figure of the set's facts with the hub's reports, every engagement with the raw mails, and shows what a
second sync and a second apply cost. Reads names from the facts only and prints none.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hub.engine import SyncResult, push
from hub.testing import shared_path
from tests.e2e import checks, truth
from tests.e2e.checks import Figure, show
from tests.e2e.world import HurryingClock, World

SET = "usrp-users-2021-2023.tar.gz"
KEEP_ALL = '[capture]\nauto = "keep"\ninternal = "keep"'


def mail_set() -> tuple[Path, dict[str, Any]]:
    """The set's file and its facts. Raises SystemExit where the data is not there."""
    path, facts = shared_path(f"data/mail/{SET}"), shared_path("data/mail/FACTS.json")
    if path is None or facts is None:
        raise SystemExit("the real data sets are not beside this checkout (set HUB_SHARED)")
    return path, json.loads(facts.read_text("utf-8"))["sets"][SET]["facts"]


def policy_of(facts: dict[str, Any]) -> truth.Policy:
    words = shared_path("data/identity/policy")
    if words is None:
        raise SystemExit("the shared policy lists are not beside this checkout")
    return truth.Policy.of(facts, words)


def world_of(folder: Path, facts: dict[str, Any], **more: Any) -> World:
    """An empty world configured for the set: who is ours and which list is conversation stand in its facts."""
    domains, lists = facts["direction"]["vendor_domains"], facts["list_addresses_left_out"]
    settings = {"clock": HurryingClock(), "config": KEEP_ALL, **more}
    return World(folder, [f"support@{domains[0]}"], domains, lists=lists, **settings)


def fill(world: World, path: Path, limit: int | None = None) -> int:
    address = next(iter(world.mailboxes.values()))
    raws = truth.raw_mails(path, limit)
    ids = world.deliver([(raw, ("INBOX",)) for raw in raws], address)
    world.gmail.prepare(address)
    return len(ids)


def figures_not_ours(facts: dict[str, Any]) -> list[str]:
    """Facts of the files themselves or by other rules, which no report of a timeline states."""
    told = {
        "messages", "distinct_message_ids", "missing_message_id", "duplicate_messages", "distinct_senders_unmunged",
        "distinct_people_addresses_any_role", "threads_references", "threads_with_one_message",
        "largest_thread_messages", "date_first", "date_last", "with_attachments", "direction", "chosen_people",
        "top10_correspondents", "list_addresses_left_out",
    }  # fmt: skip
    return sorted(set(facts) - told)


async def run(folder: Path, limit: int | None) -> bool:
    path, facts = mail_set()
    world = world_of(folder, facts)
    began = time.monotonic()
    count = fill(world, path, limit)
    print(f"{count} messages served ({time.monotonic() - began:.0f} s to fill the mailbox)", flush=True)
    mail = next(iter(world.mailboxes))
    is_right = True
    with world.served():
        for name in ("hubspot", mail):
            tell(name, await timed(world, name))
        own = world.engine.own()
        with world.engine.store.read() as c:
            if limit is None:
                is_right &= show(checks.facts(c, own, facts, mail), title="the set's facts, by the hub's reports")
                print("other figures of the facts, of the files or by other rules:", ", ".join(figures_not_ours(facts)))
            before = checks.timeline(c)
            wrong = checks.invariants(c)
        is_right &= show([Figure("broken invariants", wrong, [])])
        began = time.monotonic()
        plan = push.plan(world.engine)
        print(f"\nplan in {time.monotonic() - began:.1f} s: {plan.counts}, not due: {plan.not_due}")
        push.approve(world.engine, plan.id, "evidence")
        began = time.monotonic()
        applied = await push.apply(world.engine, plan.id)
        took = time.monotonic() - began
        print(f"applied in {took:.1f} s: {applied.applied.to_dict()}; requests {len(world.asked('hubspot'))}")
        dump = {kind: world.dump(kind) for kind in ("emails", "contacts", "companies")}
        lists = facts["list_addresses_left_out"]
        with world.engine.store.read() as c:
            figures, said = checks.destination(
                c, truth.read(truth.raw_mails(path, limit), lists), policy_of(facts), dump
            )
        figures += [
            Figure("objects sharing a key", world.hubspot.state()["duplicates"], {}),
            Figure("sum of the plan's books", plan.changes + plan.unchanged + sum(plan.not_due.values()),
                   len(dump["emails"]) + len(dump["contacts"]) + len(dump["companies"]) + sum(plan.not_due.values())),
        ]  # fmt: skip
        is_right &= show(figures, title="the system of record against the raw mails")
        print(*said, sep="\n")
        is_right &= await again(world, mail, before)
    await world.aclose()
    return is_right


async def again(world: World, mail: str, before: dict[str, Any]) -> bool:
    """The first sync after the push sees the echoes; the one after that must see nothing and cost next to nothing."""
    for name in ("hubspot", mail):
        tell(name, await timed(world, name))
    plan = push.plan(world.engine)
    figures = [Figure("changes planned after the echoes came back", plan.changes, 0)]
    with world.engine.store.read() as c:
        figures.append(Figure("the timeline is as before the push", checks.timeline(c) == before, True))
        settled = checks.digest(c)
    writes = len(world.hubspot.requests)
    for name in ("hubspot", mail):
        world.asked("hubspot" if name == "hubspot" else "gmail")
        result = await world.sync(name)
        asked = world.asked("hubspot" if name == "hubspot" else "gmail")
        streams = len(result.streams)
        figures += [
            Figure(f"second sync of {name}: exit code", result.exit_code, 0),
            Figure(f"second sync of {name}: records", sum(s.books.seen for s in result.streams), 0),
            Figure(f"second sync of {name}: one request a stream", len(asked) <= streams, True, f"{len(asked)} of {streams}"),
        ]  # fmt: skip
    figures.append(Figure("second apply: changes", push.plan(world.engine).changes, 0))
    sent = [r for r in world.hubspot.requests[writes:] if r[0] in {"PUT", "PATCH", "DELETE"} or r[1].endswith("upsert")]
    figures.append(Figure("second apply: writes sent", len(sent), 0))
    with world.engine.store.read() as c:
        figures.append(Figure("state after the second round", checks.digest(c), settled))
    return show(figures, title="the second round")


async def timed(world: World, name: str) -> tuple[SyncResult, float, float]:
    began, cpu = time.monotonic(), time.process_time()
    result = await world.sync(name)
    return result, time.monotonic() - began, time.process_time() - cpu


def tell(name: str, timed: tuple[SyncResult, float, float]) -> None:
    result, wall, cpu = timed
    print(f"{name}: {result.status} ({result.exit_code}) in {wall:.1f} s, CPU {cpu:.1f} s with the stand-ins'")
    print(*(f"  {line}" for line in result.lines if " 0 seen" not in line), sep="\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--messages", type=int, help="only the first N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(run(Path(folder), options.messages)) else 1


if __name__ == "__main__":
    sys.exit(main())
