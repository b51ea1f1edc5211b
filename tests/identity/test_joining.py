"""Two records of one tool, people of one address, what the model joins and what it asks."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from hub.api import Identifier, Person
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_resolve import Book, person


@pytest.fixture
def book(store: Store) -> Book:
    return Book(store)


def decisions(book: Book) -> list[dict[str, Any]]:
    with book.store.read() as c:
        return [dict(r) | {"reasons": json.loads(r["reasons"])} for r in c.execute(sa.select(t.decision)).mappings()]


def test_two_ids_of_one_tool_on_one_address_are_two_and_somebody_is_asked(book: Book) -> None:
    book.take(person("7", "ana@kestrel.example", name="Ana Ruiz"))
    book.take(person("12", "ana@kestrel.example", name="Bo Lind"))
    seven, twelve = (book.party(x, "acorn:contacts")["id"] for x in ("7", "12"))
    assert book.party("ana@kestrel.example")["id"] == seven != twelve
    [asked] = decisions(book)
    assert (asked["verdict"], asked["reasons"]) == ("unsure", [{"field": "why", "level": "two ids of one tool"}])
    book.take(person("12", "ana@kestrel.example", name="Bo Lind", fields={"city": "Porto"}))
    assert len(decisions(book)) == 1


def test_whichever_of_two_ids_comes_first_the_address_is_the_older_ones(book: Book) -> None:
    book.take(person("12", "ana@kestrel.example", name="Bo Lind"))
    assert book.party("ana@kestrel.example")["id"] == book.party("12", "acorn:contacts")["id"]
    book.take(person("7", "ana@kestrel.example", name="Ana Ruiz"))
    assert book.party("ana@kestrel.example")["id"] == book.party("7", "acorn:contacts")["id"]
    assert book.party("12", "acorn:contacts")["name"] == "Bo Lind"


def test_a_family_on_one_address_is_not_one_person(book: Book) -> None:
    book.take(person("7", "lindfamily@home.example", name="Ana Lind"))
    book.take(person("3", "lindfamily@home.example", name="Bertil Lind", tool="beech:users"))
    assert book.party("7", "acorn:contacts")["id"] != book.party("3", "beech:users")["id"]
    assert [d["reasons"][0]["level"] for d in decisions(book)] == ["other names on one address"]


def crowd(size: int = 64) -> list[Person]:
    """People of several companies, each with a telephone: what agreement is worth shows only among others."""
    firsts = (
        "nora",
        "otto",
        "pia",
        "quinn",
        "rosa",
        "sven",
        "tea",
        "udo",
        "vera",
        "wim",
        "xenia",
        "yann",
        "zora",
        "ada",
    )
    lasts = ("abel", "brandt", "castel", "dorn", "egger", "falk", "graf", "hahn", "imhof", "jung", "koch", "lang")
    firms = (("fir", "Oslo"), ("elm", "Porto"), ("yew", "Turin"), ("ash", "Ghent"), ("oak", "Lyon"))
    found = []
    for n in range(size):
        first, last, (firm, city) = firsts[n % 14], lasts[n * 5 % 12], firms[n % 5]
        number = Identifier("phone", f"+4420794{60200 + n * 7}")
        found.append(person(
            str(n), f"{first}.{last}{n}@{firm}.example", name=f"{first.title()} {last.title()}", fields={"city": city},
            also=(number,),
        ))  # fmt: skip
    return found


def okonkwo(ext: str, address: str, tool: str) -> Person:
    number = Identifier("phone", "+442079460123")
    return person(ext, address, name="Wilhelmina Okonkwo", tool=tool, fields={"city": "Oslo"}, also=(number,))


def test_the_model_joins_what_rules_do_not_see_and_says_why(book: Book) -> None:
    book.take(*crowd())
    book.take(okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    moved = book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    assert [m for m in moved if m.loser != m.winner]
    assert book.party("900", "acorn:contacts")["id"] == book.party("w5", "beech:users")["id"]
    [made] = [d for d in decisions(book) if d["kind"] == "model"]
    assert made["verdict"] == "same"
    assert made["weight"] > 5
    assert {"name", "phone", "prior"} <= {r["field"] for r in made["reasons"]}
    assert made["version"].endswith("/shipped")


def test_namesakes_without_more_are_left_alone(book: Book) -> None:
    book.take(person("7", "ana.ruiz@kestrel.example", name="Ana Ruiz"))
    book.take(person("3", "aruiz@home.example", name="Ana Ruiz", tool="beech:users"))
    assert book.party("7", "acorn:contacts")["id"] != book.party("3", "beech:users")["id"]
