"""R11 at the system of record: joins, splits and undos in any order end in the associations that the decisions which stand give."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from acorn import Vendor
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from world import US, World, mail

from hub.api import HubError, Identifier, Person
from hub.store import Store
from hub.store import tables as t

PEOPLE = ["ana@kestrel.example", "bo@merlin.example", "cy@gmail.com", "di@gmail.com"]
who = st.sampled_from(PEOPLE)
moves = st.one_of(
    st.tuples(st.just("merge"), who, who), st.tuples(st.just("merge"), who, who),
    st.tuples(st.just("split"), who, st.booleans()), st.tuples(st.just("undo"), st.integers(0, 4), st.none()),
    st.tuples(st.just("mail"), who, who), st.tuples(st.just("contact"), who, st.none()),
)  # fmt: skip
Node = tuple[str, str]  # scheme, value


def contact_of(address: str) -> str:
    return f"c-{PEOPLE.index(address)}"


def begin(store: Store) -> World:
    """A mail with each; two of them are contacts of theirs, the others become contacts of ours."""
    mailbox, record = Vendor(), Vendor()
    for n, address in enumerate(PEOPLE):
        mailbox.mail(mail(f"m{n}", address, minute=n))
    world = World(store, {"a": mailbox, "sor": record}, sor="sor")
    for address in PEOPLE[:2]:
        add_contact(world, address)
    world.sync("a")
    world.settle()
    return world


def add_contact(world: World, address: str) -> None:
    key = contact_of(address)
    identifiers = (Identifier("acorn:parties", key), Identifier("email", address))
    world.vendors["sor"].put("parties", key, Person(external_id=key, identifiers=identifiers))
    world.sync("sor")


def carry_out(world: World, acts: list[int], n: int, move: tuple[Any, ...]) -> None:
    what, one, other = move
    rows = world.all(sa.select(t.identifier.c.value, t.identifier.c.id, t.identifier.c.party_id))
    ids, parties = {v: i for v, i, _ in rows}, {v: p for v, _, p in rows}
    decide = world.engine.identities
    try:
        if what == "merge":
            acts.append(decide.merge(parties[one], parties[other], "kim").act)
        elif what == "split":
            out = [one, contact_of(one)] if other else [one]
            acts.append(decide.split([ids[v] for v in out if v in ids], "kim").act)
        elif what == "undo" and acts:
            decide.undo(acts[one % len(acts)], "kim")
        elif what == "mail":
            world.vendors["a"].mail(mail(f"n{n}", one, [f"sam@{US}", other], minute=50 + n))
            world.sync("a")
        elif what == "contact":
            add_contact(world, one)
    except HubError:
        pass  # they are one already, nobody would be left, or it was taken back before


def together(world: World) -> dict[Node, set[Node]]:
    """Each address and contact of theirs -> all that is one with it, worked out anew from what people said and records list.

    What was said newest counts over what was said before. Evidence joins first, but no two of which a person said that
    they, or others that are one with them, are different; nor two contacts, for the tool has them as two. Then people's
    words join what is left.
    """
    d, left, right = t.decision.c, t.identifier.alias(), t.identifier.alias()
    stands = (
        sa.select(d.verdict, left.c.scheme, left.c.value, right.c.scheme, right.c.value)
        .join(left, left.c.id == d.left_identifier_id)
        .join(right, right.c.id == d.right_identifier_id)
        .where(d.revoked_at.is_(None), d.kind == "human", d.verdict.in_(("same", "different")))
        .order_by(d.decided_at.desc(), d.id.desc())
    )
    theirs = sorted(world.vendors["sor"].feeds["parties"].records)
    listed = [(("acorn:parties", key), ("email", PEOPLE[int(key[2:])])) for key in theirs]
    nodes = [*(("email", a) for a in PEOPLE), *(contact for contact, _ in listed)]
    said, same, apart = _alone(nodes), [], []
    for verdict, s1, v1, s2, v2 in world.all(stands):
        a, b = (s1, v1), (s2, v2)
        if verdict == "different" and said[a] is not said[b]:
            apart.append((a, b))
        elif verdict == "same" and not _parted(said[a], said[b], apart):
            same.append((a, b))
            _join(said, a, b)
    apart = [(x, y) for a, b in apart for x in said[a] for y in said[b]]
    group = _alone(nodes)
    for a, b in listed:
        are_two = all(any(s == "acorn:parties" for s, _ in g) for g in (group[a], group[b]))
        if not are_two and not _parted(group[a], group[b], apart):
            _join(group, a, b)
    for a, b in same:
        if not _parted(group[a], group[b], apart):
            _join(group, a, b)
    return group


def _alone(nodes: list[Node]) -> dict[Node, set[Node]]:
    return {node: {node} for node in nodes}


def _join(group: dict[Node, set[Node]], a: Node, b: Node) -> None:
    whole = group[a] | group[b]
    group |= dict.fromkeys(whole, whole)


def _parted(mine: set[Node], other: set[Node], apart: list[tuple[Node, Node]]) -> bool:
    return mine is not other and any((x in mine and y in other) or (x in other and y in mine) for x, y in apart)


def wanted(world: World) -> dict[str, set[str]]:
    """Subject -> the contacts of everybody in it: theirs that are one with an address, and ours made for one that is."""
    group, record = together(world), world.vendors["sor"]
    made = {rid: change.entity for rid, (kind, _, change) in record.objects.items() if kind == "person"}
    place: dict[Node, set[str]] = {("acorn:parties", key): {key} for key in record.feeds["parties"].records}
    for rid, entity in made.items():
        assert isinstance(entity, Person)
        [address] = (i.value for i in entity.identifiers if i.scheme == "email")
        place.setdefault(("email", address), set()).add(rid)
    people = (
        sa.select(t.interaction.c.subject, t.identifier.c.value)
        .join(t.participation, t.participation.c.interaction_id == t.interaction.c.id)
        .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
    )
    found: dict[str, set[str]] = {}
    for subject, address in world.all(people):
        if address in PEOPLE:
            found.setdefault(subject, set()).update(*(place.get(n, ()) for n in group["email", address]))
    return found


def filed(world: World) -> dict[str, set[str]]:
    record, found = world.vendors["sor"], {}
    for rid, (kind, _, change) in record.objects.items():
        if kind == "interaction":
            subject = change.entity.subject  # type: ignore[union-attr]
            assert subject not in found, f"{subject} stands there twice"
            found[subject] = {to for of, to in record.associations[rid] if of == "person"}
    return found


def test_any_order_of_joining_and_parting(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=8 if store.is_sqlite else 1, phases=[Phase.generate])
    @given(st.lists(moves, min_size=2, max_size=6))
    def any_life(life: list[tuple[Any, ...]]) -> None:
        world = begin(emptied())
        acts: list[int] = []
        for n, move in enumerate(life):
            carry_out(world, acts, n, move)
            world.settle()
            assert filed(world) == wanted(world), move
        for act in reversed(acts):
            carry_out(world, [act], 0, ("undo", 0, None))
        world.settle()
        assert filed(world) == wanted(world)
        assert all(len(one) <= 2 for one in together(world).values()), "all was taken back: an address and its contact"
        world.check()

    any_life()
