"""Reading a filled hub: `python -m benchmarks.look FOLDER KIND`. A page of a timeline, the four answers, searches, a look-up.

Prints CPU per call in milliseconds, median and 99th of 100, for the busiest party and for a typical one with a full
page. The bare look-up is one row by primary key through the same store, and through sqlite3 alone.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from benchmarks import data
from benchmarks.pipeline import settings
from hub.reports import brief, find, search, timeline
from hub.store import Store
from hub.store import tables as t

PAGE = 50
CALLS = 400


def parties(store: Store) -> tuple[list[str], list[str]]:
    """Public ids of (the busiest, typical ones with at least a full page)."""
    counts = sa.select(t.link.c.party_id, sa.func.count().label("n")).group_by(t.link.c.party_id).subquery()
    query = sa.select(t.party.c.public_id, counts.c.n).join(counts, counts.c.party_id == t.party.c.id)
    with store.read() as c:
        rows = c.execute(query.where(counts.c.n > PAGE).order_by(counts.c.n.desc())).all()
    if len(rows) < 20:
        raise RuntimeError(f"only {len(rows)} parties have a full page")
    middle = len(rows) // 2
    return [r[0] for r in rows[:10]], [r[0] for r in rows[max(0, middle - 200) : middle + 200]]


def asked() -> list[str]:
    """One word, two, the beginning of one, two side by side, one without another: all of them common."""
    pairs = zip(data.WORDS, data.WORDS[1:], strict=False)
    return [q for a, b in pairs for q in (a, f"{a} {b}", a[:3], f'"{a} {b}"', f"{a} -{b}")]


def timed(call: Callable[[str], object], names: Sequence[str]) -> tuple[float, float]:
    """(median, 99th of 100) of CPU milliseconds per call, each name in turn, after a warm-up."""
    spent = []
    for n in range(CALLS + 20):
        begun = time.process_time_ns()
        call(names[n % len(names)])
        spent.append((time.process_time_ns() - begun) / 1e6)
    ordered = sorted(spent[20:])
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def main() -> None:
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    url = settings(folder, {kind: "http://127.0.0.1:1"}).hub.database_url
    store = Store.open(url)
    busiest, typical = parties(store)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    found: dict[str, tuple[float, float]] = {}
    bare = sa.select(t.interaction).where(t.interaction.c.id == sa.bindparam("id"))
    with store.read() as c:
        last = int(c.execute(sa.select(sa.func.max(t.interaction.c.id))).scalar_one())
        ids = [str(n * 7919 % last + 1) for n in range(CALLS)]
        found["bare"] = timed(lambda n: c.execute(bare, {"id": int(n)}).first(), ids)
        found["page, typical"] = timed(lambda p: timeline(c, p, limit=PAGE), typical)
        found["page, busiest"] = timed(lambda p: timeline(c, p, limit=PAGE), busiest)
        found["brief, typical"] = timed(lambda p: brief(c, p, now), typical)
        found["brief, busiest"] = timed(lambda p: brief(c, p, now), busiest)
        found["search"] = timed(lambda q: search(c, q), asked())
        found["find"] = timed(lambda q: find(c, q), [f"user{n * 7919 % last}"[:7] for n in range(CALLS)])
    store.close()
    with sqlite3.connect(url.partition(":///")[2]) as raw:
        found["sqlite3"] = timed(
            lambda n: raw.execute("select * from interaction where id=?", (int(n),)).fetchone(), ids
        )
    print(json.dumps({"records": last, "ms": found}))


if __name__ == "__main__":
    main()
