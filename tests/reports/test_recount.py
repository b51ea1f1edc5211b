"""Whatever happens to the timeline, the reports say what counting its entries one by one in Python says."""

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from acorn import Vendor, body
from world import START, US, World, mail, who

from hub import reports
from hub.api import RawRecord
from hub.engine import disconnect as leaving
from hub.store import Store, count_replies, instant, tables_reports
from hub.store import tables as t

NOW = START + timedelta(days=40)
ZONES = ("UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns")
PEOPLE = (
    "ana@kestrel.example",
    "bo@kestrel.example",
    "cy@heron.example",
    "di@heron.example",
    "ed@owl.example",
    "fay@home.example",
)
SAM = f"sam@{US}"


def accounts(c: Any) -> dict[int, set[str]]:
    """Interaction id -> public ids of the accounts that take part."""
    org = t.party.alias()
    query = (
        sa.select(t.participation.c.interaction_id, t.party.c.kind, t.party.c.public_id, org.c.public_id)
        .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
        .join(t.party, t.party.c.id == t.identifier.c.party_id)
        .outerjoin(org, org.c.id == t.party.c.organization_id)
    )
    found: dict[int, set[str]] = {}
    for iid, kind, own, company in c.execute(query):
        mine = found.setdefault(iid, set())
        if kind == "organization" or (kind == "person" and company is None):
            mine.add(own)
        elif kind != "own" and company:
            mine.add(company)
    return found


def naive_volume(c: Any, zone: ZoneInfo, now: datetime) -> Counter[tuple[str, str, str, str]]:
    i = t.interaction.c
    taking_part = accounts(c)
    found: Counter[tuple[str, str, str, str]] = Counter()
    for iid, at, channel, direction in c.execute(
        sa.select(i.id, i.occurred_at, i.channel, i.direction).where(i.gone_at.is_(None))
    ):
        if instant(at) <= now:
            year, week, _ = instant(at).astimezone(zone).isocalendar()
            for account in taking_part.get(iid, ()):
                found[account, f"{year}-W{week:02d}", channel, direction] += 1
    return found


def naive_response(c: Any, now: datetime, target: timedelta) -> dict[str, tuple[Any, ...]]:
    i = t.interaction.c
    threads: dict[int, list[Any]] = {}
    order = sa.select(i.conversation_id, i.occurred_at, i.direction, i.kind, i.channel).where(i.gone_at.is_(None))
    for row in c.execute(order.order_by(i.occurred_at, i.id)):
        if instant(row.occurred_at) <= now:
            threads.setdefault(row.conversation_id, []).append(row)
    waits: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for entries in threads.values():
        asked = [e for e in entries if e.direction == "inbound" and e.kind == "message"]
        if asked:
            first = asked[0]
            told = [
                e
                for e in entries
                if e.direction == "outbound" and e.occurred_at > first.occurred_at and e.kind in {"message", "call"}
            ]
            waits.setdefault(first.channel, []).append(
                (instant(first.occurred_at), instant(told[0].occurred_at) if told else None)
            )
    found = {}
    for channel, pairs in waits.items():
        spans = sorted((b - a).total_seconds() for a, b in pairs if b)
        late = sum((b or now) - a > target for a, b in pairs)
        half = next((s for n, s in enumerate(spans, 1) if 2 * n >= len(spans)), None)
        ninety = next((s for n, s in enumerate(spans, 1) if 10 * n >= 9 * len(spans)), None)
        found[channel] = (len(pairs), len(spans), half, ninety, late)
    return found


def agree(world: World, now: datetime) -> None:
    world.check()
    with world.store.read() as c:
        for name in ZONES:
            zone = ZoneInfo(name)
            told = reports.ask(c, "volume", {"since": "2026-10-26", "top": 1000}, now=now, zone=zone).found
            rows: Counter[tuple[str, str, str, str]] = Counter()
            for row in told.rows:
                for direction in ("inbound", "outbound", "internal"):
                    if row[direction]:
                        rows[row["account_id"], row["week"], row["channel"], direction] += row[direction]
            assert rows == naive_volume(c, zone, now), name
            assert sum(sum(parts.values()) for _, parts in told.bars) == sum(rows.values())
        told = reports.ask(c, "response", {"target_minutes": 600}, now=now).found
        assert {
            r["channel"]: (r["conversations"], r["answered"], r["median_s"], r["p90_s"], r["late"]) for r in told.rows
        } == naive_response(c, now, timedelta(minutes=600))


def written(rng: random.Random, key: str, known: list[str]) -> Any:
    """A message or a call near the edge of a week or anywhere, alone or in a thread, from them or from us."""
    minute = rng.choice(
        (rng.randrange(0, 35 * 24 * 60), 7 * 24 * 60 * rng.randrange(1, 5) - 9 * 60 + rng.randrange(-840, 840))
    )
    other = rng.choice(PEOPLE)
    sender, to = (other, SAM) if rng.random() < 0.6 else (SAM, other)
    cc = [rng.choice(PEOPLE)] if rng.random() < 0.2 else []
    refs = [rng.choice(known)] if known and rng.random() < 0.6 else []
    more: dict[str, Any] = {}
    if rng.random() < 0.2:
        more = {"kind": "call", "channel": "phone"}
        more["participants"] = (who(sender, "from"), who(to, "to"))
    return mail(key, sender, [to], cc=cc, refs=refs, minute=minute, **more)


@pytest.mark.parametrize("seed", [1, 2])
def test_reports_equal_a_recount_after_anything(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    a, b = Vendor(page_size=9), Vendor(page_size=4)
    world = World(store, {"a": a, "b": b})
    known: list[str] = []
    for step in range(5):
        for n in range(14):
            key = f"k{step}-{n}"
            entry = written(rng, key, known)
            a.mail(entry)
            known.append(key)
            if rng.random() < 0.3:
                b.mail(entry)  # a copy of the same
        for key in rng.sample(known, 4):  # rewritten: another time, another thread, another side
            if key in a.feeds["mail"].records:
                a.mail(written(rng, key, known))
        for key in rng.sample(known, 3):
            for vendor in rng.sample((a, b), rng.choice((1, 2))):
                if key in vendor.feeds["mail"].records:
                    vendor.delete("mail", key)
        world.sync()
        agree(world, NOW - timedelta(days=rng.choice((0, 20)), minutes=rng.randrange(600)))
    acts = world.engine.identities
    left, right = (world.one(sa.select(t.identifier.c.party_id).where(t.identifier.c.value == p)) for p in PEOPLE[1:3])
    merged = acts.merge(left, right, "sam", "one person")
    agree(world, NOW)
    acts.undo(merged.act, "sam")
    agree(world, NOW)
    asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
    agree(world, NOW)
    assert world.one(sa.select(sa.func.count()).select_from(t.interaction).where(t.interaction.c.gone_at.is_(None))) > 0


def test_an_entry_left_alone_by_an_erasure_waits_by_itself(store: Store) -> None:
    """Only the erased copy tied it to the thread: what is left is a conversation of its own, which nobody answered."""
    a, b = Vendor(), Vendor()
    first = mail("m1")
    a.mail(first)
    a.mail(mail("m2", SAM, ["ana@kestrel.example"], refs=("m1",), minute=5))
    b.mail(mail("m1", thread_refs=()))
    b.mail(mail("m2", SAM, ["ana@kestrel.example"], minute=5, thread_refs=()))
    world = World(store, {"a": a, "b": b})
    world.sync()
    agree(world, NOW)
    assert world.all(sa.select(tables_reports.reply.c.answered_at.is_not(None))) == [(True,)]
    asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
    agree(world, NOW)
    assert world.all(sa.select(tables_reports.reply.c.answered_at)) == [(None,)]


def test_counting_all_replies_anew_gives_what_was_kept(store: Store) -> None:
    a = Vendor()
    rng, known = random.Random(5), [f"k{n}" for n in range(30)]
    for key in known:
        a.mail(written(rng, key, known))
    world = World(store, {"a": a})
    world.sync()
    kept = world.all(sa.select(*tables_reports.reply.c).order_by(tables_reports.reply.c.conversation_id))
    with store.read() as c:
        assert sorted(map(tuple, count_replies(c))) == kept
    assert len(kept) > 3


def test_two_workers_in_one_conversation_leave_what_both_wrote(store: Store) -> None:
    """The question and its answer arrive at the same moment, through two connections: the answer is not overlooked."""
    world = World(store, {"a": Vendor(), "b": Vendor()})
    world.vendors["a"].mail(mail("m0", minute=-5, thread_refs=("message-id:<m1>",), direction="internal"))
    world.sync("a")
    runs = {name: world.run(name) for name in ("a", "b")}
    entries = {"a": mail("m1"), "b": mail("m2", SAM, ["ana@kestrel.example"], refs=("m1",), minute=5)}
    start = threading.Barrier(2)

    def work(name: str) -> None:
        start.wait()
        world.take(runs[name], RawRecord(entries[name].external_id, body(entries[name])))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, runs))
    agree(world, NOW)
    assert world.all(sa.select(tables_reports.reply.c.answered_at.is_not(None))) == [(True,)]
