"""One registry for all: what an outside package makes of a value is what records are found by, compared by and shown by.

And settings that change: what was matched by the old ones is matched anew when it is read again.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from databases import on_sqlite
from emptying import empty
from world import World, mail

from hub.api import Identifier, Normalised, Normaliser, Organization
from hub.identity import Rules, audit, resolve, showing
from hub.identity.normalisers import Normalisers, email, hub_normalisers
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_resolve import NOW, RULES, Book, person
from tests.identity.test_undo import as_stored, from_scratch

BUILT_IN = {n.kind: n for n in hub_normalisers() if not n.scheme}


def with_ours(**ours: Any) -> Rules:
    """The built-in normalisers, some replaced as an installed package replaces them."""
    new = [Normaliser(f"acme.{kind}", kind, by, replaces=f"hub.{kind}") for kind, by in ours.items()]  # type: ignore[arg-type]
    return replace(RULES, registry=Normalisers([*BUILT_IN.values(), *new]))


def values(book: Book) -> dict[str, tuple[int, str]]:
    """Address or number -> (party, sharing)."""
    with book.store.read() as c:
        return {r.value: (r.party_id, r.sharing) for r in c.execute(sa.select(t.identifier))}


def parties(book: Book, *values_: str) -> int:
    """How many parties these are."""
    found = values(book)
    return len({found[v][0] for v in values_})


def short_numbers(text: str, _region: str) -> Normalised:
    """A switchboard's: 4711 is +49 30 1234 4711."""
    digits = "".join(ch for ch in text if ch.isdigit())
    return Normalised(f"+49301234{digits}" if len(digits) == 4 else f"+{digits}")


def two_domains(text: str, region: str) -> Normalised:
    """A customer's two mail domains hold the same mailboxes; whoever writes from "all." is many."""
    found = email()(text.replace("@kestrel-group.example", "@kestrel.example"), region)
    return replace(found, sharing="shared") if found.value.startswith("all.") else found


def holding(text: str, region: str) -> Normalised:
    """What a group's companies register is all its own."""
    found = BUILT_IN["domain"].normalise(text, region)
    return replace(found, value="kestrel.example") if found.value == "kestrel-group.example" else found


def house_names(text: str, region: str) -> Normalised:
    """What no list of short forms has: here everybody calls Gudrun Nita."""
    return BUILT_IN["person_name"].normalise(text.replace("Nita", "Gudrun"), region)


def test_a_package_for_numbers_brings_calls_home(store: Store) -> None:
    book = Book(store, with_ours(phone=short_numbers))
    book.take(person("1", "ana@kestrel.example", name="Ana Ruiz", also=(Identifier("phone", "+49 30 1234 4711"),)))
    calls(book, "4711")
    assert parties(book, "4711", "ana@kestrel.example") == 1
    assert values(book)["4711"][1] == "unknown"  # one number the world over
    with store.read() as c:
        assert showing.find(c, "+4930 1234 4711", book.rules) is not None
        assert showing.find(c, "0301234-4711", RULES) is None


def calls(book: Book, number: str) -> None:
    with book.store.write() as c:
        resolve(c, {Identifier("phone", number): ""}, book.rules, NOW)


def test_a_package_for_addresses_says_which_are_one_and_which_are_many(store: Store) -> None:
    book = Book(store, with_ours(email=two_domains))
    book.take(person("1", "ana@kestrel.example", name="Ana Ruiz"))
    book.mail("ana@kestrel-group.example", "all.sales@kestrel.example")
    assert parties(book, "ana@kestrel.example", "ana@kestrel-group.example") == 1
    assert values(book)["all.sales@kestrel.example"][1] == "shared"
    assert book.party("all.sales@kestrel.example")["kind"] == "mailbox"
    assert book.mail("ana@kestrel-group.example")["ana@kestrel-group.example"].sharing == "personal"


def test_a_package_for_domains_says_whose_people_they_are(store: Store) -> None:
    book = Book(store, with_ours(domain=holding))
    found = book.mail("ana@kestrel.example", "bo@kestrel-group.example", "cy@elm.example")
    assert found["ana@kestrel.example"].organization_id == found["bo@kestrel-group.example"].organization_id
    assert found["cy@elm.example"].organization_id != found["ana@kestrel.example"].organization_id
    book.take(person("1", "bo@kestrel-group.example", name="Bo Lind"))
    with store.read() as c:
        (job,) = showing.show(c, found["bo@kestrel-group.example"].party_id, book.rules)["employment"]
    assert job["organization"]["name"] == "kestrel.example"


@pytest.mark.parametrize(("rules", "are_one"), [(RULES, False), (with_ours(person_name=house_names), True)])
def test_a_package_for_names_says_who_may_have_one_address(store: Store, rules: Rules, are_one: bool) -> None:
    book = Book(store, rules)
    book.take(person("1", "ruiz@kestrel.example", name="Gudrun Ruiz"))
    book.take(person("7", "ruiz@kestrel.example", name="Nita Ruiz", tool="beech:users"))
    assert (book.party("1", "acorn:contacts")["id"] == book.party("7", "beech:users")["id"]) is are_one


def test_what_is_no_address_is_nobodys(book: Book) -> None:
    junk = ["ana at kestrel", "a b@kestrel.example", "x" * 70 + "@kestrel.example", "@kestrel.example"]
    found = book.mail(*junk)
    assert {w.sharing for w in found.values()} == {"no_reply"}
    assert {w.kind for w in found.values()} == {"mailbox"}
    book.take(person("1", "a b@kestrel.example"), person("2", "a b@kestrel.example", tool="beech:users"))
    listed = (("1", "acorn:contacts"), ("2", "beech:users"), ("a b@kestrel.example",))
    assert len({book.party(*x)["id"] for x in listed}) == 3
    assert book.mail("otto@printer")["otto@printer"].kind == "person"  # a host of somebody's own network


@pytest.fixture
def book(store: Store) -> Book:
    return Book(store)


def test_a_companys_domain_is_one_however_it_is_written(book: Book) -> None:
    spelled = (Identifier("domain", d) for d in ("bürocö.example", "www.xn--broc-8qa6a.example", "Bürocö.example."))
    firm = Organization(external_id="1", name="Bürocö", identifiers=(Identifier("acorn:companies", "1"), *spelled))
    book.take(firm)
    assert [v for v in values(book) if v.endswith(".example")] == ["xn--broc-8qa6a.example"]
    home = book.party("xn--broc-8qa6a.example", "domain")["id"]
    assert book.mail("ana@bürocö.example")["ana@bürocö.example"].organization_id == home


# --- settings that change ---------------------------------------------------------------------------------------------

PLUS = replace(RULES, plus_counts_at=frozenset({"kestrel.example"}))
ANA = ("ana@kestrel.example", "ana+ops@kestrel.example", "ana+it@eu.kestrel.example", "ana@eu.kestrel.example")


def test_the_part_behind_a_plus_counts_where_the_settings_say_so(store: Store) -> None:
    book = Book(store, PLUS)
    book.mail(*ANA, "bo@elm.example", "bo+x@elm.example")
    assert parties(book, *ANA) == 4
    assert parties(book, "bo@elm.example", "bo+x@elm.example") == 1
    book.take(
        person("1", "ana+ops@kestrel.example", name="Olga Prinz"), person("2", "ana@kestrel.example", name="Ana Ruiz")
    )
    assert parties(book, "ana@kestrel.example", "ana+ops@kestrel.example") == 2


def again(book: Book, rules: Rules) -> Book:
    """The hub, started with other settings."""
    book.rules = rules
    return book


@pytest.mark.parametrize("first", ["ana@kestrel.example", "ana+ops@kestrel.example"])
@pytest.mark.parametrize("by", ["mail", "record"])
def test_what_was_one_by_other_settings_is_two_when_it_is_read_again(store: Store, first: str, by: str) -> None:
    """Whichever was there first, whichever comes again, in mail or in a record; and one again when that is taken back."""
    both = ("ana@kestrel.example", "ana+ops@kestrel.example")
    later = next(a for a in both if a != first)
    for comes in both:
        empty(store)
        book = Book(store)
        book.mail(first, later, ana="Ana Ruiz", **{"ana+ops": "Ana Ruiz"})
        assert parties(book, *both) == 1
        for rules, parts, told in ((PLUS, 2, comes), (RULES, 1, both[1]), (PLUS, 2, comes)):
            tell(again(book, rules), told, by)
            assert parties(book, *both) == parts
            assert as_stored(book) == from_scratch(book)
            keys_hold(book)


def tell(book: Book, address: str, by: str) -> None:
    if by == "mail":
        book.mail(address)
    else:
        tool = "beech:users" if "+" in address else "acorn:contacts"
        book.take(person(address.partition("@")[0], address, name="Ana Ruiz", tool=tool))


def keys_hold(book: Book) -> None:
    """What is stored is what today's settings make of it, where it was read under them."""
    with book.store.read() as c:
        rows = c.execute(
            sa.select(t.identifier.c.value, t.identifier.c.match_value).where(t.identifier.c.scheme == "email")
        )
        found = {v: m for v, m in rows if v.startswith("ana")}
    assert {v: book.rules.match("email", v) for v in found} == found


def test_dots_at_gmail_and_the_audit_after_it(store: Store) -> None:
    book = Book(store)
    book.mail("a.na@gmail.com", "ana@gmail.com", "an.a@googlemail.com")
    assert parties(book, "a.na@gmail.com", "ana@gmail.com", "an.a@googlemail.com") == 1
    again(book, replace(RULES, gmail_dots=False)).mail("a.na@gmail.com", "an.a@googlemail.com")
    assert parties(book, "a.na@gmail.com", "ana@gmail.com", "an.a@googlemail.com") == 3
    assert changes(book) == []


def changes(book: Book) -> Iterable[Any]:
    with book.store.read() as c:
        return audit(c, book.rules).proposals


def test_another_package_for_addresses_counts_when_they_are_read_again(store: Store) -> None:
    book = Book(store)
    book.mail("ana@kestrel.example", "ana@kestrel-group.example")
    assert parties(book, "ana@kestrel.example", "ana@kestrel-group.example") == 2
    again(book, with_ours(email=two_domains)).mail("ana@kestrel-group.example")
    assert parties(book, "ana@kestrel.example", "ana@kestrel-group.example") == 1
    again(book, RULES).mail("ana@kestrel.example")
    assert parties(book, "ana@kestrel.example", "ana@kestrel-group.example") == 2


DESK = replace(RULES, role_localparts=RULES.role_localparts | {"front-desk"})


@pytest.mark.parametrize("by", ["mail", "record"])
def test_an_address_that_is_a_desk_from_now_on_parts_those_it_held_together(store: Store, by: str) -> None:
    """Two people listed it, and were one; the settings call it a desk, and no longer; the person keeps the public id."""
    book, desk = Book(store), "front-desk@kestrel.example"
    book.mail(desk)
    ana = person("1", desk, "ana@kestrel.example", name="Ana Ruiz")
    ben = person("2", desk, name="A. Ruiz", tool="beech:users")
    book.take(ana, ben)
    assert parties(book, desk, "1", "2") == 1
    before = book.party("1", "acorn:contacts")["public_id"]
    for turn in range(2):
        again(book, DESK)
        book.mail(desk) if by == "mail" else book.take(ben)
        assert book.party(desk)["kind"] == "mailbox"
        assert book.party(desk)["domains"] == {"kestrel.example"}
        assert parties(book, desk, "1", "2") == 3
        assert as_stored(book) == from_scratch(book)
        if not turn:
            assert before in {
                book.party(x, tool)["public_id"] for x, tool in (("1", "acorn:contacts"), ("2", "beech:users"))
            }
        again(book, RULES)
        book.mail(desk) if by == "mail" else book.take(ben)
        assert book.party(desk)["kind"] == "person"
        assert parties(book, desk, "1", "2") == 1
        assert as_stored(book) == from_scratch(book)


@on_sqlite
@pytest.mark.parametrize("what", ["plus", "desk"])
def test_the_timeline_follows_when_the_settings_change(store: Store, what: str) -> None:
    """What was said before the change moves with its address."""
    source, ana = Vendor(), "ana@kestrel.example"
    other = "ana+ops@kestrel.example" if what == "plus" else "front-desk@kestrel.example"
    source.mail(mail("m1", ana))
    source.mail(mail("m2", other, minute=1))
    if what == "desk":
        source.put("parties", "7", person("7", ana, other, name="Ana Ruiz", tool="acorn:parties"))
    world = World(store, {"a": source})
    world.sync("a")
    assert subjects(world, ana) == subjects(world, other) == ("About m1", "About m2")
    world = world.restart(
        identity={"plus_counts_at": ["kestrel.example"]}
        if what == "plus"
        else {"role_localparts_extra": ["front-desk"]}
    )
    source.mail(mail("m3", other, cc=[ana], minute=2))
    world.sync("a")
    assert subjects(world, other) == ("About m2", "About m3")
    assert subjects(world, ana) == ("About m1", "About m3")
    world.check()


def subjects(world: World, address: str) -> tuple[str, ...]:
    """What is on the timeline of the party behind an address."""
    i, shown = t.identifier.c, t.interaction.c
    query = sa.select(shown.subject).join(t.link, t.link.c.interaction_id == shown.id)
    query = query.join(t.identifier, i.party_id == t.link.c.party_id).where(i.value == address)
    return tuple(sorted(row[0] for row in world.all(query)))
