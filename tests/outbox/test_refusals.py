"""R24: who opts out anywhere is opted out everywhere, until the person lifts it; the hub never opts anybody in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pytest
import sqlalchemy as sa
from acorn import Vendor, entities
from hypothesis import given, settings
from hypothesis import strategies as st
from world import START, World

from hub import parties
from hub.api import Consent, Entity, Identifier, Person
from hub.engine import push
from hub.store import Store
from hub.store import tables as t

ANA = Identifier("email", "ana@kestrel.example")
TOOLS = ("crm", "desk", "news", "shop", "site")
State = Literal["opted_in", "opted_out", "unknown"]


@dataclass(frozen=True)
class Event:
    """One tool's record of Ana says this from now on; state "silent" says nothing of permissions."""

    tool: str
    state: Literal["opted_in", "opted_out", "unknown", "silent"]
    minute: int = 0
    evidence: str = ""


def consent(key: str, state: State, minute: int = 0, evidence: str = "", who: Identifier = ANA) -> Consent:
    at = START + timedelta(minutes=minute)
    return Consent(external_id=key, identifier=who, channel="email", state=state, at=at, evidence=evidence)


def tell(vendor: Vendor, event: Event, key: str = "r1", who: Identifier = ANA) -> None:
    said: list[Entity] = [Person(external_id=key, identifiers=(who,))]
    if event.state != "silent":
        said.append(consent(key, event.state, event.minute, event.evidence, who))
    vendor.put("parties", key, *said)


def hub(store: Store, *write_to: str) -> World:
    return World(store, {name: Vendor() for name in TOOLS}, consent={"write_to": list(write_to)})


def standing(world: World, who: Identifier = ANA) -> str:
    with world.store.read() as c:
        query = sa.select(t.identifier.c.party_id).where(t.identifier.c.value == who.value)
        party = c.execute(query).scalar()
        return parties.standing(c, [party]).get((party, "email"), parties.Standing("unknown")).state if party else ""


def says(world: World, name: str) -> list[str]:
    """What a tool's records say of permissions."""
    records = world.vendors[name].feeds["parties"].records.values()
    return [e.state for data in records for e in entities(data) if isinstance(e, Consent)]


def deliver(world: World, name: str) -> int:
    plan = world.plan(name)
    if plan.id:
        result = world.apply(plan.id)
        assert not result.applied.failures
    return plan.changes


def should_be(events: list[Event]) -> str:
    """The rule of R24, told another way: walk the told statements from the last to the first."""
    told = {(e.state, e.minute, bool(e.evidence)) for e in events if e.state in {"opted_in", "opted_out"}}
    binding = [(minute, state == "opted_out") for state, minute, proven in told if state == "opted_out" or proven]
    return {True: "opted_out", False: "opted_in", None: "unknown"}[max(binding, default=(0, None))[1]]


happening = st.builds(
    Event, st.sampled_from(TOOLS), st.sampled_from(["opted_in", "opted_out", "unknown", "silent"]), st.integers(0, 6),
    st.sampled_from(["", "double opt-in of the form"]),
)  # fmt: skip


def test_any_interleaving_of_five_systems_folds_by_the_rule(emptied: Callable[[], Store], store: Store) -> None:
    """Each tool's record says one thing at a time, and all it ever said counts."""

    @settings(max_examples=120 if store.is_sqlite else 30)
    @given(events=st.lists(happening, max_size=12))
    def any_interleaving(events: list[Event]) -> None:
        with emptied().write() as c:
            ids = {}
            row = {"connector": "acorn", "name": "x"}
            connection = c.execute(sa.insert(t.connection).values(**row).returning(t.connection.c.id)).scalar_one()
            stream = sa.insert(t.stream).values(connection_id=connection, name="parties").returning(t.stream.c.id)
            stream_id = c.execute(stream).scalar_one()
            party = sa.insert(t.party).values(public_id="p1", kind="person", created_at=0, changed_at=0)
            party_id = c.execute(party.returning(t.party.c.id)).scalar_one()
            address = {"scheme": ANA.scheme, "value": ANA.value, "match_value": ANA.value, "sharing": "personal"}
            made = sa.insert(t.identifier).values(party_id=party_id, **address).returning(t.identifier.c.id)
            address_id = c.execute(made).scalar_one()
            for name in TOOLS:
                record = {"external_id": name, "hash": b"", "disposition": "new", "first_seen_at": 0, "last_seen_at": 0}
                made = sa.insert(t.record).values(stream_id=stream_id, **record).returning(t.record.c.id)
                ids[name] = c.execute(made).scalar_one()
            for e in events:
                said = [] if e.state == "silent" else [(address_id, consent("r", e.state, e.minute, e.evidence))]
                parties.tell(c, [(ids[e.tool], said)])
            stands = parties.standing(c, [party_id]).get((party_id, "email"), parties.Standing("unknown"))
            outs = set(c.execute(sa.select(parties.opted_out().c.party_id)).scalars())
        assert stands.state == should_be(events)
        assert outs == ({party_id} if stands.state == "opted_out" else set())

    any_interleaving()


def test_any_interleaving_with_what_we_write_through_the_whole_hub(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=4 if store.is_sqlite else 2)
    @given(
        events=st.lists(happening, min_size=3, max_size=6),
        reads=st.lists(st.sampled_from(TOOLS), max_size=6),
        writes=st.lists(st.booleans(), max_size=6),
    )
    def any_interleaving(events: list[Event], reads: list[str], writes: list[bool]) -> None:
        world = hub(emptied(), *TOOLS)
        seen: dict[str, Event] = {}  # a tool holds one statement at a time; the hub sees those that stood when it read
        told: list[Event] = []

        def read(name: str) -> None:
            world.sync(name)
            if name in seen:
                told.append(seen[name])

        for n, event in enumerate(events):
            tell(world.vendors[event.tool], event)
            seen[event.tool] = event
            for name in reads[n : n + 1]:
                read(name)
            if writes[n : n + 1] == [True]:
                for name in TOOLS:
                    deliver(world, name)
                    if standing(world) == "opted_out" and name in seen and "opted_out" in says(world, name):
                        seen.pop(name)  # our own word stands there now; it adds nothing
        for name in TOOLS:
            read(name)
        assert standing(world) == should_be(told)
        for _ in range(2):
            for name in TOOLS:
                deliver(world, name)
                world.sync(name)
        assert standing(world) == should_be(told)
        if standing(world) == "opted_out":
            assert all(
                says(world, name) == ["opted_out"] for name in TOOLS if world.vendors[name].feeds["parties"].records
            )
        assert not any(deliver(world, name) for name in TOOLS)

    any_interleaving()


def test_a_refusal_in_one_tool_reaches_the_others_once(store: Store) -> None:
    world = hub(store, "news", "crm")
    tell(world.vendors["desk"], Event("desk", "opted_out", 5, "asked by phone"))
    tell(world.vendors["news"], Event("news", "opted_in", 1, "form"))
    world.sync()
    assert (deliver(world, "news"), deliver(world, "crm")) == (1, 0)
    assert says(world, "news") == ["opted_out"]
    assert world.plan("news").not_due == {"opt-outs written and not read back yet": 1}
    world.sync("news")
    assert world.plan("news").not_due == {}
    assert deliver(world, "news") == 0


def test_a_tool_that_subscribes_again_without_evidence_is_told_again(store: Store) -> None:
    world = hub(store, "news")
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    tell(world.vendors["news"], Event("news", "silent"))
    world.sync()
    assert deliver(world, "news") == 1
    world.sync("news")
    tell(world.vendors["news"], Event("news", "opted_in", 9))
    world.sync("news")
    assert standing(world) == "opted_out"
    assert deliver(world, "news") == 1
    world.sync("news")
    assert deliver(world, "news") == 0


def test_the_person_may_lift_it_with_evidence(store: Store) -> None:
    world = hub(store, "news")
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    world.sync()
    tell(world.vendors["news"], Event("news", "opted_in", 9, "double opt-in of the form"))
    world.sync()
    assert standing(world) == "opted_in"
    assert deliver(world, "news") == 0


def test_a_record_that_is_deleted_takes_no_refusal_with_it(store: Store) -> None:
    world = hub(store)
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    tell(world.vendors["crm"], Event("crm", "silent"))
    world.sync()
    world.vendors["desk"].delete("parties", "r1")
    world.sync()
    assert standing(world) == "opted_out"
    with store.read() as c:
        party = c.execute(sa.select(t.identifier.c.party_id).where(t.identifier.c.value == ANA.value)).scalar_one()
        told = parties.history(c, party)
    assert [(h["source"], h["state"], h["is_current"]) for h in told] == [("desk", "opted_out", False)]


def test_it_holds_for_all_addresses_of_a_person(store: Store) -> None:
    """Two addresses turn out to be one person's: the refusal of one is the person's, and both are told."""
    world = hub(store, "news")
    other = Identifier("email", "ana.silva@kestrel.example")
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    tell(world.vendors["news"], Event("news", "silent"), "n2", other)
    world.sync()
    assert standing(world, other) == "unknown"
    world.vendors["crm"].put("parties", "c1", Person(external_id="c1", identifiers=(ANA, other)))
    world.sync()
    assert standing(world, other) == "opted_out"
    assert deliver(world, "news") == 1


def test_undoing_a_plan_does_not_opt_anybody_in(store: Store) -> None:
    world = hub(store, "news")
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    tell(world.vendors["news"], Event("news", "opted_in", 1, "form"))
    world.sync()
    plan = world.plan("news")
    world.apply(plan.id)
    world.undo(plan.id)
    assert says(world, "news") == ["opted_out"]


def test_a_tool_without_a_place_for_it_is_refused_with_the_fix(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from acorn import Acorn

    from hub.api import ConfigError, Manifest

    kept = {f: getattr(Acorn.manifest, f) for f in Manifest.__dataclass_fields__}
    monkeypatch.setattr(Acorn, "manifest", Manifest(**{**kept, "pushes": ("person",)}))
    world = hub(store, "news")
    with pytest.raises(ConfigError, match=r"consent\.write_to.*news.*no place for an opt-out"):
        push.plan(world.engine, "news")


def test_whoever_is_made_there_is_opted_out_by_the_same_plan(store: Store) -> None:
    from world import mail

    world = World(store, {"desk": Vendor(), "sor": Vendor()}, sor="sor", consent={"write_to": ["sor"]})
    tell(world.vendors["desk"], Event("desk", "opted_out", 5))
    world.vendors["desk"].mail(mail("m1", ANA.value))
    world.sync("desk")
    plan = world.plan()
    assert plan.counts["consent"]["update"] == 1
    assert set(plan.counts) == {"interaction", "organization", "person", "consent"}
    world.apply(plan.id)
    log = world.vendors["sor"].log
    assert [line.split()[1] for line in log].index("consent") == [line.split()[1] for line in log].index("person") + 1
    assert world.plan().changes == 0
