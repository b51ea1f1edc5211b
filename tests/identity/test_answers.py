"""What people decide, as what the nightly audit learns from: which words count, about which records, and for how long."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from hub import identity
from hub.api import Identifier
from hub.identity import evidence
from hub.identity.answers import answers
from hub.identity.audit import _limits, _records
from hub.identity.graph import MODEL, parts
from hub.identity.weights import LEARNT, weights
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_audit import run
from tests.identity.test_joining import crowd, okonkwo
from tests.identity.test_resolve import NOW, RULES, Book, person

_CLOCK = count(1)


def act(book: Book, decide: Callable[..., identity.Change], *args: Any) -> int:
    """Each act at a time of its own."""
    with book.store.write() as c:
        return decide(c, *args, RULES, NOW + timedelta(seconds=next(_CLOCK)), "ines").act


def said(book: Book) -> set[tuple[str, str, bool, float]]:
    """(records of one side, of the other, whether one person said that they are the same, weight)."""
    with book.store.read() as c:
        found = evidence.everything(c, RULES)
        made = parts(found.nodes, [w for w in found.words if w.kind != MODEL], _limits(RULES))
        told = answers(found, made, _records(c, found))
    return {(" ".join(a.a.records), " ".join(a.b.records), a.is_same, round(a.weight, 3)) for a in told}


def pid(book: Book, value: str, scheme: str = "acorn:contacts") -> int:
    return int(book.party(value, scheme)["id"])


@pytest.fixture
def book(store: Store) -> Book:
    found = Book(store)
    found.take(
        person("1", "ana@kestrel.example", name="Ana Ruiz"), person("2", "ana.ruiz@gmail.com", name="Ana Ruiz"),
        person("3", "bo@kestrel.example", name="Bo Lind"),
    )  # fmt: skip
    return found


def test_what_was_said_of_parties_is_about_the_records_that_stand_for_them(book: Book) -> None:
    """Parties are made for addresses; these have no record of their own, and what lists them is compared."""
    act(book, identity.merge, pid(book, "1"), pid(book, "2"))
    act(book, identity.different, pid(book, "1"), pid(book, "3"))
    assert said(book) == {
        ("acorn:contacts:1", "acorn:contacts:2", True, 1.0), ("acorn:contacts:1", "acorn:contacts:3", False, 1.0),
    }  # fmt: skip


def test_what_was_taken_back_counts_no_more(book: Book) -> None:
    made = act(book, identity.merge, pid(book, "1"), pid(book, "2"))
    assert len(said(book)) == 1
    act(book, identity.undo, made)
    assert said(book) == set()


def test_of_two_words_about_one_pair_the_newer_counts(book: Book) -> None:
    one, two = pid(book, "1"), pid(book, "2")
    act(book, identity.different, one, two)
    act(book, identity.merge, one, two)
    assert said(book) == {("acorn:contacts:1", "acorn:contacts:2", True, 1.0)}
    act(book, identity.split, [book_id(book, "2"), book_id(book, "ana.ruiz@gmail.com", "email")])
    assert said(book) == {("acorn:contacts:1", "acorn:contacts:2", False, 1.0)}


def book_id(book: Book, value: str, scheme: str = "acorn:contacts") -> int:
    i = t.identifier.c
    with book.store.read() as c:
        return int(c.execute(sa.select(i.id).where(i.scheme == scheme, i.value == value)).scalar_one())


def test_questions_answered_either_way(book: Book) -> None:
    book.take(person("4", "bo@kestrel.example", name="Bo Lind"), person("5", "ana@kestrel.example", name="Ana Ruiz"))
    d = t.decision.c
    with book.store.read() as c:
        asked = list(c.execute(sa.select(d.id).where(d.verdict == "unsure").order_by(d.id)).scalars())
    act(book, lambda c, *a: identity.answer(c, asked[0], "same", *a))
    act(book, lambda c, *a: identity.answer(c, asked[1], "different", *a))
    assert sorted(x[2] for x in said(book)) == [False, True]


def test_a_split_is_one_answer_however_many_words_it_takes(book: Book) -> None:
    """Record 6 of another tool shares an address with each of two; what is parted from it is parted from both."""
    shared = [Identifier("email", "ana@kestrel.example"), Identifier("email", "ana.ruiz@gmail.com")]
    book.take(person("6", name="Ana Ruiz", tool="beech:users", also=shared))
    act(book, identity.merge, pid(book, "1"), pid(book, "2"))
    act(book, identity.split, [book_id(book, "6", "beech:users")])
    parted = [x for x in said(book) if not x[2]]
    assert len(parted) == 2
    assert sum(x[3] for x in parted) == pytest.approx(1.0)


def test_a_join_of_the_models_that_was_undone_is_an_answer(store: Store) -> None:
    book = Book(store)
    book.take(*crowd())
    book.take(okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    assert said(book) == set()
    with store.read() as c:
        made = c.execute(sa.select(t.decision.c.act).where(t.decision.c.kind == "model")).scalar_one()
    act(book, identity.undo, made)
    assert said(book) == {("acorn:contacts:900", "beech:users:w5", False, 1.0)}


def test_a_small_base_is_taught_by_answers_and_forgets_what_was_taken_back(store: Store) -> None:
    book = Book(store)
    book.take(*crowd(30))
    for n, last in enumerate(("Aas", "Boe", "Dahl", "Eide", "Foss", "Gran")):
        name, number = f"Vilma {last}", Identifier("phone", f"+4420794601{n}1")
        book.take(person(f"w{n}", f"vilma{n}@fir.example", name=name, also=(number,)),
                  person(f"x{n}", f"v.{n}@gmail.com", name=name, tool="beech:users"))  # fmt: skip
    assert run(book).learnt == ""
    made = [act(book, identity.merge, pid(book, f"w{n}"), pid(book, f"x{n}", "beech:users")) for n in range(6)]
    first = run(book).learnt
    assert run(book).learnt == first != ""
    with store.read() as c:
        learnt = weights(c)
        assert c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == LEARNT)).scalar_one() == first
        assert not learnt.version.endswith("/shipped")
        other = learnt.model.m["email"]["other"]
    for each in made:
        act(book, identity.undo, each)
    assert run(book).learnt == ""
    with store.read() as c:
        assert weights(c).version.endswith("/shipped")
        assert 0 < other - weights(c).model.m["email"]["other"] < 6 / 200


def test_a_base_large_enough_learns_with_the_answers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["hub.identity.audit"], "LEAST", 20)
    book = Book(store)
    book.take(*crowd(24), okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    book.take(person("w5", "w.okonkwo@gmail.com", name="Wilhelmina Okonkwo", tool="beech:users"))
    plain = run(book).learnt
    made = act(book, identity.merge, pid(book, "900"), pid(book, "w5", "beech:users"))
    taught = run(book).learnt
    assert taught != plain
    assert json.loads(taught)["u"] == json.loads(plain)["u"]
    act(book, identity.undo, made)
    assert run(book).learnt == plain
