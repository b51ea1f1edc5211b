"""Who is who in the real support mailbox: how many people, mailboxes and companies, what is asked, what it costs.

    python -m benchmarks.evidence.people [--messages N]

Two syncs of the same mail, each in a process of its own, in turn: one as it is, one without weighing. Of names shared by
several addresses only numbers and reasons are printed, no name. About two minutes.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from benchmarks.measure import run as measured
from hub.identity import linker
from hub.identity.derive import Derived
from hub.identity.match.names import split
from hub.store import tables as t
from tests.e2e import real

i, p, d = t.identifier.c, t.party.c, t.decision.c


async def sync(folder: Path, limit: int | None) -> dict[str, Any]:
    world = real.world(folder)
    count = real.fill(world, limit)
    mail = next(iter(world.mailboxes))
    async with world.up():
        began = time.process_time()
        await world.engine.sync(mail)
        spent = time.process_time() - began
        with world.engine.store.read() as c:
            return {"messages": count, "cpu_s": spent, **figures(c)}


def figures(c: Connection) -> dict[str, Any]:
    """Counts, and what became of each name that several addresses carry."""
    there = sa.exists().where(i.party_id == p.id)
    kinds = dict(c.execute(sa.select(p.kind, sa.func.count()).where(there).group_by(p.kind)).tuples().all())
    decided = c.execute(
        sa.select(d.verdict, d.kind, sa.func.count()).where(d.revoked_at.is_(None)).group_by(d.verdict, d.kind)
    )
    said = sa.select(t.participation.c.name, i.id, i.party_id).join(
        t.identifier, i.id == t.participation.c.identifier_id
    )
    by_name: dict[str, dict[int, int]] = {}
    for name, ident, party in c.execute(said.where(i.sharing == "personal", t.participation.c.name != "").distinct()):
        key = split(name).key
        if key and all(key.split("|")[at] for at in (0, 2)):
            by_name.setdefault(key, {})[ident] = party
    shared = {key: held for key, held in by_name.items() if len(held) > 1}
    return {
        "parties": kinds, "decisions": {f"{v} by {k}": n for v, k, n in decided},
        "names": [_what(c, held) for _, held in sorted(shared.items(), key=lambda x: (-len(x[1]), x[0]))],
    }  # fmt: skip


def _what(c: Connection, held: dict[int, int]) -> dict[str, Any]:
    ids = list(held)
    rows = c.execute(
        sa.select(d).where(d.left_identifier_id.in_(ids), d.right_identifier_id.in_(ids), d.revoked_at.is_(None))
    )
    told = [
        {
            "verdict": r.verdict, "kind": r.kind, "rule": r.rule, "weight": r.weight,
            "why": [f"{x['field']} {x.get('level', '')} {x.get('weight', '')}".strip() for x in json.loads(r.reasons)],
        }
        for r in rows
    ]  # fmt: skip
    return {"addresses": len(ids), "parties": len(set(held.values())), "decisions": told}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.people", description=__doc__)
    parser.add_argument("--messages", type=int, help="only the first N")
    parser.add_argument("--one", choices=("with", "without"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        if options.one == "without":
            linker.remember = lambda c, page: linker.NOTHING  # type: ignore[assignment]
            linker.weigh = lambda c, news, rules, now: Derived()  # type: ignore[assignment]
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(sync(Path(folder), options.messages))))
        return 0
    more = ("--messages", str(options.messages)) if options.messages else ()
    found: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
    for _ in range(2):
        for how in found:
            found[how].append(measured("benchmarks.evidence.people", "--one", how, *more).said)
    said = found["with"][0]
    print(f"{said['messages']} messages: {said['parties']}; decisions {said['decisions']}")
    print(f"{len(said['names'])} whole names are carried by several addresses:")
    for one in said["names"]:
        print(f"  {one['addresses']} addresses, {one['parties']} parties now")
        for told in one["decisions"]:
            print(
                f"    {told['verdict']} by {told['kind']} ({told['rule']}), {told['weight']} bits: {'; '.join(told['why'])}"
            )
    per = {how: min(x["cpu_s"] / x["messages"] for x in runs) for how, runs in found.items()}
    print(
        f"CPU of the sync a message: {per['with'] * 1e6:,.0f} µs with weighing, {per['without'] * 1e6:,.0f} µs without: "
        f"{per['with'] / per['without']:.2f} times"
    )
    outcome = Counter(one["parties"] < one["addresses"] for one in said["names"])
    print(f"joined: {outcome[True]} names, left apart or asked: {outcome[False]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
