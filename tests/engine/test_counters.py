"""What is counted and found of people, after records were erased: as if what is left had never had company."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from acorn import Vendor
from hypothesis import given, settings
from hypothesis import strategies as some
from world import World, mail, who

from hub.api import Identifier, Person
from hub.engine import disconnect as leaving
from hub.identity.linker import hashed, record_of
from hub.identity.match import keys
from hub.identity.match.model import counted
from hub.identity.weights import RECORDS, SETTINGS, UNIQUE
from hub.store import Store
from hub.store import tables as t

NAMES = ("Ana Ruiz", "A. Ruiz", "Bo Lind", "Cy Farrow", "")
FIRST, LAST = ("Ada", "Bo", "Cy", "Dot", "Eve", "Fay"), ("Aas", "Boe", "Dahl", "Eide", "Foss")
HOSTS = ("kestrel.example", "gmail.com", "elm.example")


def contact(ext: str, address: str, name: str, phone: str) -> Person:
    more = (Identifier("phone", phone),) if phone else ()
    identifiers = (Identifier("acorn:parties", ext), Identifier("email", address), *more)
    return Person(external_id=ext, identifiers=identifiers, name=name, fields={"city": "Lund"})


def check(store: Store) -> set[int]:
    """Counters and keys against those worked out from the nodes alone; returns the keys that too many share."""
    n, i, p = t.node.c, t.identifier.c, t.party.c
    query = sa.select(n.identifier_id, n.kind, n.fields, i.party_id, p.kind.label("party_kind"))
    with store.read() as c:
        nodes = c.execute(query.join(t.identifier, i.id == n.identifier_id).join(t.party, p.id == i.party_id)).all()
        counts = {(r.part, r.value): r.count for r in c.execute(sa.select(t.value_count))}
        found = {(r.key, r.identifier_id) for r in c.execute(sa.select(t.match_key))}
        hubs = set(c.execute(sa.select(t.hub_key.c.key)).scalars())
    records = {r: record_of(r.identifier_id, r.kind, "", r.fields) for r in nodes}
    expected: Counter[tuple[str, str]] = Counter({(RECORDS, ""): len(nodes)} if nodes else {})
    for record in records.values():
        for part, value in counted(record):
            expected[part, ""] += 1
            expected[part, value] += part not in UNIQUE
    assert {k: n for k, n in counts.items() if n} == {k: n for k, n in expected.items() if n}
    due = {(hashed(k), r.identifier_id) for r, record in records.items() for k in keys.of(record)}
    assert {x for x in found if x[0] not in hubs} == {x for x in due if x[0] not in hubs}
    assert found <= due
    sharing: dict[int, set[int]] = {}
    for r, record in records.items():
        for key in hubs.intersection(map(hashed, keys.of(record))) if r.party_kind == "person" else ():
            sharing.setdefault(key, set()).add(r.party_id)
    assert {k for k, parties in sharing.items() if len(parties) > SETTINGS.fan_out} == hubs
    return hubs


people = some.lists(
    some.tuples(some.integers(0, 3), some.sampled_from(HOSTS), some.sampled_from(NAMES), some.sampled_from(("", "+4420794602", "030 1"))),
    min_size=1, max_size=5,
)  # fmt: skip


def test_after_an_erasure_what_is_counted_is_what_is_left(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=4 if store.is_sqlite else 2)
    @given(mine=people, theirs=people, letters=people)
    def any_people(mine: Any, theirs: Any, letters: Any) -> None:
        a, b = Vendor(), Vendor()
        for tag, vendor, told in (("a", a, mine), ("b", b, theirs)):
            for at, (n, host, name, phone) in enumerate(told):
                vendor.put("parties", f"p{at}", contact(f"{tag}{at}", f"a{n}@{host}", name, phone and f"{phone}{n}{n}"))
        for at, (n, host, name, _) in enumerate(letters):
            vendor = (a, b)[at % 2]
            vendor.mail(mail(f"m{at}", f"a{n}@{host}", participants=(who(f"a{n}@{host}", "from", name),), minute=at))
        world = World(emptied(), {"a": a, "b": b})
        world.sync()
        check(world.store)
        asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
        check(world.store)
        asyncio.run(leaving.disconnect(world.engine, "b", erase=True))
        assert check(world.store) == set()
        with world.store.read() as c:
            assert not c.execute(sa.select(t.node)).all() + c.execute(sa.select(t.value_count)).all()

    any_people()


def test_a_key_that_too_many_shared_is_one_again_when_they_are_gone_and_its_name_with_them(store: Store) -> None:
    """Thirty on one switchboard, all but four of them erased; then those four, too."""
    a, b, line = Vendor(), Vendor(), "+442079460200"
    called = [f"{first} {last}" for first in FIRST for last in LAST]
    for n, name in enumerate(called):
        vendor = b if n < 4 else a
        vendor.put("parties", f"p{n}", contact(f"x{n}", f"p{n}@k{n}.example", name, line))
    world = World(store, {"a": a, "b": b})
    world.sync("a")
    world.sync("b")
    assert hashed(f"T:{line[-6:]}") in check(store) or hashed(f"t:{line}") in check(store)
    asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
    assert check(store) == set()
    with store.read() as c:
        assert len(c.execute(sa.select(t.match_key).where(t.match_key.c.key == hashed(f"t:{line}"))).all()) == 4
