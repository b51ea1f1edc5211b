"""What pages cost the server, and what they weigh: on a hub that is filled, or on the real mailbox.

    python -m benchmarks.pages FOLDER [--customers N]     # the hub in FOLDER/hub.db, as benchmarks.pipeline leaves one
    python -m benchmarks.pages --real [--messages N]      # the real support mailbox, read first; skipped where it is absent

Each page is asked through the whole app, as an admin's browser asks for it, one after another and none twice. CPU and wall
milliseconds: median, 95th of 100, worst; kilobytes: median and worst. Targets: 50 ms for any customer's page (its four
answers and the first part of its timeline) at 95 of 100, 300 ms and 150 kB for every page. Judged by CPU: on SQLite it is
all there is to wait for, and the wall clock of a shared machine tells of the others. Exit code 1 when one is missed.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.access import Door, Viewer, accounts, sessions
from hub.engine import Engine
from hub.plugins import Registry
from hub.settings import Settings
from hub.store import Store
from hub.store import tables as t
from hub.web import create_app

ANY_MS, EACH_MS, EACH_KB = 50.0, 300.0, 150.0
BUSIEST = 20
_p, _k, _i = t.party.c, t.link.c, t.interaction.c
CUSTOMER = _p.kind.in_(("person", "organization"))


class Asked(NamedTuple):
    wall_ms: float
    cpu_ms: float
    size: int


class Browser:
    """An admin's, without a network: the app is called as a server would call it."""

    def __init__(self, engine: Engine) -> None:
        self.app = create_app(engine, Door(engine.store, engine.clock))
        now = engine.clock.now()
        with engine.store.write() as c:
            email = f"pages-{os.getpid()}@bench.example"
            of, _ = accounts.create(c, Viewer.local("benchmark"), email, "Benchmark", ("admin",), now)
            self.cookie = sessions.begin(c, now, of.id, method="benchmark")

    async def get(self, path: str) -> Asked:
        """Raises RuntimeError for what is not shown."""
        answer: dict[str, Any] = {"status": 0, "size": 0}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            answer["status"] = message.get("status", answer["status"])
            answer["size"] += len(message.get("body", b""))

        target, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": target,
            "raw_path": target.encode(), "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80), "headers": [(b"host", b"127.0.0.1"), (b"cookie", f"hub={self.cookie}".encode())],
        }  # fmt: skip
        wall, cpu = time.perf_counter(), time.process_time()
        await self.app(scope, receive, send)
        asked = Asked((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, answer["size"])
        if answer["status"] != 200:
            raise RuntimeError(f"{path} was answered {answer['status']}")
        return asked


def pages(store: Store, customers: int) -> Iterator[tuple[str, list[str]]]:
    """(what is asked for, addresses). Customers come as they are, most of them with little, and the busiest by themselves."""
    chosen = random.Random(7)
    with store.read() as c:
        there = (
            c.execute(sa.select(_p.public_id).where(CUSTOMER, sa.exists().where(_k.party_id == _p.id))).scalars().all()
        )
        count = sa.func.count(_k.interaction_id)
        entries = (
            sa.select(_p.public_id).join(t.link, _k.party_id == _p.id).group_by(_p.id).order_by(count.desc(), _p.id)
        )
        people = c.execute(entries.where(_p.kind == "person").limit(BUSIEST)).scalars().all()
        companies = c.execute(entries.where(_p.kind == "organization").limit(BUSIEST)).scalars().all()
        last = c.execute(sa.select(sa.func.max(_i.id))).scalar_one()
        some = [chosen.randint(1, last) for _ in range(customers)]
        shown = c.execute(sa.select(_i.public_id).where(_i.id.in_(some), _i.gone_at.is_(None))).scalars().all()
        # a customer is looked up as often as there is something new with them
        weighed = (
            sa.select(_p.public_id).join(t.link, _k.party_id == _p.id).where(_k.interaction_id.in_(some), CUSTOMER)
        )
        asked_for = list(dict.fromkeys(c.execute(weighed).scalars()))
    sampled = chosen.sample(there, min(customers, len(there)))
    busy = [f"/customers/{p}" for p in [*people, *companies]]
    yield "any customer", [f"/customers/{p}" for p in sampled]
    yield "customers by how much happens", [f"/customers/{p}" for p in asked_for]
    yield "busiest people and companies", busy
    for name, query in (
        ("channel and direction", "channel=email&direction=outbound"), ("since", "since=2026-01-01"), ("kind nobody has", "kind=review"),
    ):  # fmt: skip
        yield f"busiest, by {name}", [f"{p}?{query}" for p in busy]
    yield "an entry", [f"/entries/{e}" for e in shown]
    yield "its conversation", [f"/entries/{e}/conversation" for e in shown]
    yield "its text", [f"/entries/{e}/text" for e in shown]
    yield "who was in touch lately", ["/"] * 5


async def measure(engine: Engine, customers: int) -> bool:
    browser = Browser(engine)
    is_right = True
    print(
        f"{'':34} {'pages':>5} {'CPU ms':>7} {'95 %':>7} {'worst':>7} {'wall ms':>8} {'95 %':>7} {'kB':>6} {'worst':>6}"
    )
    for name, paths in pages(engine.store, customers):
        for path in paths[:3]:  # statements are compiled once
            await browser.get(path)
        found = [await browser.get(path) for path in paths]
        wall, cpu, size = (sorted(column) for column in zip(*found, strict=True))
        at = -(-len(found) * 95 // 100) - 1
        is_met = size[-1] < EACH_KB * 1000 and (cpu[at] < ANY_MS if name == "any customer" else cpu[-1] < EACH_MS)
        is_right &= is_met
        print(
            f"{name:34} {len(found):5} {statistics.median(cpu):7.1f} {cpu[at]:7.1f} {cpu[-1]:7.1f} "
            f"{statistics.median(wall):8.1f} {wall[at]:7.1f} {statistics.median(size) / 1000:6.1f} {size[-1] / 1000:6.1f}"
            f"  {'' if is_met else 'missed'}",
            flush=True,
        )
    return is_right


def filled(folder: Path, customers: int) -> bool:
    settings = Settings.model_validate({"hub": {"data_dir": str(folder)}})
    engine = Engine(settings, Store.open(settings.hub.database_url), Registry(connectors={}))
    try:
        with engine.store.read() as c:
            print(f"{c.execute(sa.select(sa.func.count()).select_from(t.interaction)).scalar_one():,} interactions")
        return asyncio.run(measure(engine, customers))
    finally:
        engine.close()


def real_mailbox(messages: int | None, customers: int) -> bool:
    from tests.e2e import real  # its names stay outside this repository

    if real.paths() is None:
        print("SKIPPED: the real mail set is not beside this checkout")
        return True
    with tempfile.TemporaryDirectory(prefix="hub-pages-") as folder:
        world = real.world(Path(folder))
        print(f"{real.fill(world, messages):,} real messages")

        async def read() -> bool:
            async with world.up():
                await world.sync_all()
                return await measure(world.engine, customers)

        return asyncio.run(read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="with hub.db in it; an account is added to it")
    parser.add_argument("--real", action="store_true", help="read the real support mailbox and ask for its pages")
    parser.add_argument("--messages", type=int, help="of the real mailbox, the first so many")
    parser.add_argument("--customers", type=int, default=300, help="how many to ask for (300)")
    given = parser.parse_args()
    if given.real == (given.folder is not None):
        parser.error("name a folder, or --real")
    is_right = real_mailbox(given.messages, given.customers) if given.real else filled(given.folder, given.customers)
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
