"""Whatever people decide and take back, parties are what evidence and the decisions that stand give: no more, no less."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as some

from hub import identity
from hub.identity import evidence
from hub.identity.decisions import NotPossible
from hub.identity.graph import Limits, parts
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_joining import crowd, okonkwo
from tests.identity.test_resolve import NOW, RULES, Book, person

TOOLS = ("acorn:contacts", "beech:users", "cedar:members")
ADDRESSES = tuple(f"{name}@{host}" for name in ("ana", "bo", "cy") for host in ("kestrel.example", "gmail.com"))


def state(book: Book) -> dict[str, Any]:
    """Everything that is derived, by names that outlive any row id."""
    with book.store.read() as c:
        public: dict[int | None, str] = dict(c.execute(sa.select(t.party.c.id, t.party.c.public_id)).tuples().all())
        i, p = t.identifier.c, t.party.c
        members = sorted((x.scheme, x.value, public[x.party_id]) for x in c.execute(sa.select(t.identifier)))
        alive = {x[2] for x in members}
        parties = sorted(
            (x.public_id, x.kind, x.name, x.name_rank, public.get(x.organization_id, ""), x.owner_identifier_id or 0)
            for x in c.execute(sa.select(t.party).where(p.id.in_(sa.select(i.party_id))))
        )
        told = sorted((x.record_id, x.field, x.value, public[x.party_id]) for x in c.execute(sa.select(t.statement)))
        shown = sorted((x.record_id, x.identifier_id, public[x.party_id]) for x in c.execute(sa.select(t.observation)))
        chosen = sorted((x.field, x.value, public[x.party_id]) for x in c.execute(sa.select(t.choice)))
    assert {x[0] for x in parties} == alive
    return {"members": members, "parties": parties, "told": told, "shown": shown, "chosen": chosen}


def from_scratch(book: Book) -> list[list[str]]:
    with book.store.read() as c:
        found = evidence.everything(c, RULES)
    names = {n: f"{h.node.scheme} {h.node.value}" for n, h in found.held.items()}
    return sorted(sorted(names[n] for n in g) for g in parts(found.nodes, found.words, Limits()).groups)


def as_stored(book: Book) -> list[list[str]]:
    with book.store.read() as c:
        groups: dict[int, list[str]] = {}
        where = t.identifier.c.sharing.in_(sorted(evidence.JOINING))
        for r in c.execute(sa.select(t.identifier).where(where)):
            groups.setdefault(r.party_id, []).append(f"{r.scheme} {r.value}")
    return sorted(sorted(g) for g in groups.values())


def act(book: Book, decide: Callable[..., identity.Change], *args: Any) -> int:
    """The act's number; 0 where it was not possible, and then nothing was kept."""
    try:
        with book.store.write() as c:
            return decide(c, *args, RULES, NOW, "ines").act
    except NotPossible:
        return 0


def people(book: Book) -> list[int]:
    with book.store.read() as c:
        joining = sa.select(t.identifier.c.party_id).where(t.identifier.c.sharing.in_(("personal", "id")))
        return sorted(set(c.execute(joining).scalars()))


def members(book: Book, party_id: int) -> list[int]:
    with book.store.read() as c:
        mine = sa.select(t.identifier.c.id).where(
            t.identifier.c.party_id == party_id, t.identifier.c.sharing.in_(("personal", "id"))
        )
        return sorted(c.execute(mine).scalars())


listed = some.lists(some.sampled_from(ADDRESSES), min_size=0, max_size=3, unique=True)
records = some.lists(
    some.tuples(some.sampled_from(TOOLS), some.integers(1, 4), listed, some.sampled_from(("Ana Ruiz", "Ana", "Bo Lind", ""))),
    min_size=2, max_size=7,
)  # fmt: skip
acts = some.lists(
    some.tuples(some.sampled_from(("merge", "different", "split", "undo", "take")), some.integers(0, 99), some.integers(0, 99)),
    min_size=1, max_size=8,
)  # fmt: skip


def test_any_order_of_merges_splits_and_undos_ends_in_what_stands(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=15 if store.is_sqlite else 6)
    @given(told=records, deeds=acts, data=some.data())
    def any_order(told: Any, deeds: Any, data: Any) -> None:
        book = Book(emptied())
        known = [person(f"{tool[0]}{n}", *found, tool=tool, name=name) for tool, n, found, name in told]
        for one in known:
            book.take(one)
            assert as_stored(book) == from_scratch(book)
        done: list[int] = []
        for deed, a, b in deeds:
            parties = people(book)
            if deed == "take":
                book.take(known[a % len(known)])
            elif deed == "undo" and done:
                act(book, identity.undo, done[a % len(done)])
            elif deed == "split" and parties:
                mine = members(book, parties[a % len(parties)])
                done.append(act(book, identity.split, [mine[b % len(mine)]]))
            elif deed in ("merge", "different") and parties:
                decide = identity.merge if deed == "merge" else identity.different
                done.append(act(book, decide, parties[a % len(parties)], parties[b % len(parties)]))
            assert as_stored(book) == from_scratch(book)

    any_order()


def test_undo_gives_back_exactly_what_was(emptied: Callable[[], Store], store: Store) -> None:
    @settings(max_examples=15 if store.is_sqlite else 6)
    @given(told=records, deeds=acts)
    def any_acts(told: Any, deeds: Any) -> None:
        book = Book(emptied())
        for tool, n, found, name in told:
            book.take(person(f"{tool[0]}{n}", *found, tool=tool, name=name))
        undone: list[tuple[int, dict[str, Any]]] = []
        for deed, a, b in deeds:
            parties, before = people(book), state(book)
            number = 0
            if deed == "split":
                mine = members(book, parties[a % len(parties)])
                number = act(book, identity.split, [mine[b % len(mine)]])
            elif deed in ("merge", "different"):
                decide = identity.merge if deed == "merge" else identity.different
                number = act(book, decide, parties[a % len(parties)], parties[b % len(parties)])
            if number:
                undone.append((number, before))
        for number, before in reversed(undone):
            assert act(book, identity.undo, number)
            assert state(book) == before

    any_acts()


def test_an_undone_join_of_the_model_is_not_joined_again(store: Store) -> None:
    book = Book(store)
    book.take(*crowd())
    book.take(okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    before = state(book)["members"]
    book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    with store.read() as c:
        made = c.execute(sa.select(t.decision.c.act).where(t.decision.c.kind == "model")).scalar_one()
    assert act(book, identity.undo, made)
    assert book.party("900", "acorn:contacts")["id"] != book.party("w5", "beech:users")["id"]
    assert {x for x in before if x[0] != "phone"} <= set(state(book)["members"])  # both list the number now
    book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"), okonkwo("900", "w2@fir.example", "acorn:contacts"))
    assert book.party("900", "acorn:contacts")["id"] != book.party("w5", "beech:users")["id"]
    with pytest.raises(NotPossible, match="taken back already|joins nobody"), store.write() as c:
        identity.undo(c, made, RULES, NOW, "ines")
