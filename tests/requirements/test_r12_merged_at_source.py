"""R12: records merged inside a tool. One person with both histories, nothing new, nothing twice at the system of record."""

import dataclasses
from collections.abc import Callable, Iterable
from itertools import pairwise, permutations
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from world import US, World, mail

from hub import status as st
from hub.api import Identifier, Person, Redirect
from hub.engine.redirects import LONGEST, MERGED
from hub.store import Store
from hub.store import tables as t

OLD, NEW = "ana@kestrel.example", "ana.kestrel@gmail.com"


def person(key: str, *addresses: str, name: str = "Ana Kestrel") -> Person:
    found = (Identifier("acorn:parties", key), *(Identifier("email", a) for a in addresses))
    return Person(external_id=key, identifiers=found, name=name)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that says nothing of merges: the absorbed record answers 404, the survivor does not name it."""
    streams = tuple(
        dataclasses.replace(s, merges="silent") if s.carries == "parties" else s for s in Acorn.manifest.streams
    )
    monkeypatch.setattr(Acorn, "manifest", dataclasses.replace(Acorn.manifest, streams=streams))


def hub(store: Store) -> World:
    """Two contacts of a tool, a mail with each, both in the timeline of the system of record."""
    mailbox, tool = Vendor(), Vendor()
    mailbox.mail(mail("m1", OLD))
    mailbox.mail(mail("m2", f"sam@{US}", [NEW], minute=1))
    tool.put("parties", "003A", person("003A", OLD, name="Ana Kestrel"))
    tool.put("parties", "003B", person("003B", NEW, name="Ana Kestrel-Roe"))
    world = World(store, {"tool": tool, "a": mailbox, "sor": Vendor()}, sor="sor")
    world.sync("tool")
    world.sync("a")
    world.settle()
    return world


def party(world: World, address: str) -> str:
    joined = sa.select(t.party.c.public_id).join(t.identifier, t.identifier.c.party_id == t.party.c.id)
    return str(world.one(joined.where(t.identifier.c.value == address)))


def history(world: World, address: str) -> set[str]:
    query = (
        sa.select(t.interaction.c.subject)
        .join(t.link, t.link.c.interaction_id == t.interaction.c.id)
        .join(t.identifier, t.identifier.c.party_id == t.link.c.party_id)
        .where(t.identifier.c.value == address)
    )
    return {subject for (subject,) in world.all(query)}


def row(world: World, key: str) -> tuple[Any, ...]:
    """(is gone, rule, what stands for it) of a record of the tool."""
    r = t.record.c
    joined = sa.select(r.gone_at.is_not(None), r.rule, r.redirect_to).join(t.stream, t.stream.c.id == r.stream_id)
    [found] = world.all(joined.where(r.external_id == key, t.stream.c.name == "parties"))
    return tuple(found)


def filed(world: World) -> dict[str, set[str]]:
    """Subject of each entry at the system of record -> the address of each contact it is associated with."""
    sor, found = world.vendors["sor"], {}
    names = {
        rid: change.entity.identifiers[0].value
        for rid, (kind, _, change) in sor.objects.items()
        if kind == "person" and isinstance(change.entity, Person)
    }
    for rid, (kind, _, change) in sor.objects.items():
        if kind == "interaction":
            about = {names[to] for of, to in sor.associations[rid] if of == "person"}
            assert found.setdefault(change.entity.subject, about) is about, "it stands there twice"  # type: ignore[union-attr]
    return found


# Ways of telling: what the tool does when a person merges 003B into 003A (or both into 003C), and who is left.


def survivor_tells(tool: Vendor) -> str:
    tool.delete("parties", "003B")
    tool.put("parties", "003A", person("003A", OLD, NEW), Redirect(external_id="003B", into="003A"))
    return "003A"


def a_new_survivor_tells(tool: Vendor) -> str:
    """HubSpot's way: a third record is made; the two are neither listed nor in the recycle bin."""
    tool.delete("parties", "003A")
    tool.delete("parties", "003B")
    merged = (Redirect(external_id="003A", into="003C"), Redirect(external_id="003B", into="003C"))
    tool.put("parties", "003C", person("003C", OLD), *merged)
    return "003C"


def the_absorbed_tells(tool: Vendor) -> str:
    """Salesforce's way: the loser is deleted and points at its master, which knows nothing of its address."""
    tool.put("parties", "003B", Redirect(external_id="003B", into="003A"))
    return "003A"


def nobody_tells(tool: Vendor) -> str:
    """Intercom's way: 404 from now on."""
    tool.put("parties", "003A", person("003A", OLD, NEW))
    tool.delete("parties", "003B")
    return "003A"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("merge", [survivor_tells, a_new_survivor_tells, the_absorbed_tells, nobody_tells])
def test_one_person_with_both_histories_and_nothing_twice(store: Store, merge: Callable[[Vendor], str]) -> None:
    world = hub(store)
    first, second = party(world, OLD), party(world, NEW)
    assert first != second
    before, created = world.timeline(), [line for line in world.vendors["sor"].log if line.startswith("upsert")]
    left = merge(world.vendors["tool"])
    world.sync("tool")
    assert party(world, OLD) == party(world, NEW)
    assert {party(world, NEW)} <= {first, second}
    assert history(world, NEW) == {"About m1", "About m2"}
    assert row(world, "003B") == (True, MERGED, left)
    assert row(world, left)[0] is False
    assert world.timeline().keys() == before.keys()
    plan = world.plan()
    assert all(effects["create"] == effects["delete"] == 0 for effects in plan.counts.values())
    world.settle()
    assert filed(world) == {"About m1": {OLD, NEW}, "About m2": {OLD, NEW}}
    assert len(world.vendors["sor"].objects) == len(created)
    world.sync("tool")
    assert (world.plan().changes, world.vendors["tool"].fetches) == (0, [])
    world.check()


ABSORBED_FIRST = (Redirect(external_id="003A", into="003B"), person("003A", OLD))
STEPS: dict[str, Callable[[Vendor], None]] = {
    "A into B": lambda tool: tool.put("parties", "003A", *ABSORBED_FIRST),
    "B into C": lambda tool: tool.put(
        "parties", "003B", Redirect(external_id="003B", into="003C"), person("003B", NEW)
    ),
    "C": lambda tool: tool.put("parties", "003C", person("003C", "ana@third.example")),
}


def test_merges_told_in_any_order_end_the_same(emptied: Callable[[], Store], store: Store) -> None:
    ends = []
    orders: Iterable[tuple[str, ...]] = permutations(STEPS)
    for order in orders if store.is_sqlite else [("A into B", "B into C", "C")]:
        mailbox, tool = Vendor(), Vendor()
        for n, address in enumerate([OLD, NEW, "ana@third.example"]):
            mailbox.mail(mail(f"m{n}", address, minute=n))
        world = World(emptied(), {"a": mailbox, "tool": tool})
        world.sync("a")
        for step in order:
            STEPS[step](tool)
            world.sync("tool")
        assert history(world, NEW) == {"About m0", "About m1", "About m2"}, order
        ends.append((world.timeline(), [row(world, key) for key in ("003A", "003B", "003C")]))
    assert ends[0][1] == [(True, MERGED, "003B"), (True, MERGED, "003C"), (False, "", None)]
    assert all(end == ends[0] for end in ends)


def test_a_circle_is_an_issue_and_no_loop(store: Store) -> None:
    world = hub(store)
    tool = world.vendors["tool"]
    tool.put("parties", "003B", Redirect(external_id="003B", into="003A"))
    world.sync("tool")
    tool.put("parties", "003A", Redirect(external_id="003A", into="003B"))
    tool.put("parties", "003X", Redirect(external_id="003X", into="003X"))
    result = world.sync("tool")
    assert (result.status, result.exit_code) == (st.HEALTHY, st.PARTLY)
    reasons = {reason for (reason,) in world.all(sa.select(t.quarantine.c.reason))}
    assert reasons == {
        "merged at source in a circle, so that nobody is left: 003A -> 003B -> 003A",
        "merged at source in a circle, so that nobody is left: 003X -> 003X",
    }
    assert (row(world, "003A")[0], row(world, "003B")) == (False, (True, MERGED, "003A"))
    assert party(world, OLD) == party(world, NEW)
    world.settle()
    assert filed(world) == {"About m1": {OLD, NEW}, "About m2": {OLD, NEW}}
    world.check()


def test_a_circle_within_one_page_and_a_chain_without_end_are_issues(store: Store) -> None:
    tool = Vendor(page_size=LONGEST + 50)
    for one, other in [("c1", "c2"), ("c2", "c3"), ("c3", "c1")]:
        tool.put("parties", one, person(one, f"{one}@x.example"), Redirect(external_id=other, into=one))
    chain = [f"d{n:03}" for n in range(LONGEST + 3)]
    for one, other in pairwise(chain):
        tool.put("parties", other, Redirect(external_id=other, into=one))
    world = World(store, {"tool": tool})
    world.sync("tool")
    failed = sa.select(t.record.c.external_id).where(t.record.c.disposition == "failed")
    told = {key for (key,) in world.all(failed)}
    assert told == {"c3", chain[LONGEST]}
    assert [row(world, key)[0] for key in ("c1", "c2", "c3")] == [False, True, False]
    assert party(world, "c1@x.example") == party(world, "c2@x.example")


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "left",
    [
        [],
        [person("003A", "somebody@else.example")],
        [person("003A", OLD, NEW, name="Bo Merlin")],
        [person("003A", OLD, NEW), person("003C", NEW)],
    ],
    ids=["nobody", "other address", "other name", "two"],
)
def test_what_vanishes_and_is_nobody_else_s_was_deleted(store: Store, left: list[Person]) -> None:
    world = hub(store)
    tool = world.vendors["tool"]
    for one in left:
        tool.put("parties", one.external_id, one)
    tool.delete("parties", "003B")
    world.sync("tool")
    assert row(world, "003B") == (True, "at source", None)


def test_an_absorbed_record_that_comes_back_stands_for_itself(store: Store) -> None:
    world = hub(store)
    tool = world.vendors["tool"]
    the_absorbed_tells(tool)
    world.sync("tool")
    tool.put("parties", "003B", person("003B", NEW, name="Ana Kestrel-Roe"))
    world.sync("tool")
    assert row(world, "003B") == (False, "", None)
    world.settle()
    assert set(filed(world)) == {"About m1", "About m2"}
    world.check()
