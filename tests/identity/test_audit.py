"""The audit: everybody at once, the same whatever came first; killed in the middle it has changed nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa

from hub import identity
from hub.api import Person
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_joining import crowd, okonkwo
from tests.identity.test_resolve import NOW, RULES, Book, person
from tests.identity.test_undo import TOOLS, act, as_stored, from_scratch, members, people, state


def run(book: Book) -> identity.Audit:
    """Look, and apply what was found."""
    with book.store.read() as c:
        found = identity.audit(c, RULES)
    with book.store.write() as c:
        identity.apply_audit(c, found, RULES, NOW, "hub")
    return found


def everybody() -> list:  # type: ignore[type-arg]
    """A crowd, each second one in another tool too, with another mailbox and a slip or a short form in the name."""
    found = crowd(40)
    for n, one in enumerate(crowd(40)[::2]):
        first, _, last = one.name.partition(" ")
        name = one.name if n % 3 else f"{first[0]}. {last}"
        found.append(person(
            f"b{n}", f"{first.lower()}{last.lower()}.{n}@gmail.com", name=name, tool="beech:users", fields=one.fields,
            also=one.identifiers[2:],
        ))  # fmt: skip
    return found


def test_the_audit_ends_the_same_whatever_came_first(store: Store) -> None:
    seen = []
    for turn in range(3):
        from tests.conftest import empty

        empty(store)
        book, records = Book(store), everybody()
        Random(turn).shuffle(records)
        for at in range(0, len(records), 7):
            book.take(*records[at : at + 7])
        run(book)
        assert as_stored(book) == from_scratch(book)
        seen.append(as_stored(book))
        assert run(book).count("join") == run(book).count("part") == 0
    assert seen[0] == seen[1] == seen[2]
    assert any(len([x for x in group if " " in x and ":" in x]) > 1 for group in seen[0])


def test_what_was_asked_when_less_was_known_is_joined_once_it_is_sure(store: Store) -> None:
    book = Book(store)
    book.take(*crowd())
    number = okonkwo("", "", "").identifiers[-1]
    named = {"name": "Wilhelmina Okonkwo", "fields": {"city": "Oslo"}}
    book.take(person("900", "wo@fir.example", **named))
    book.take(person("w5", "wilhelmina@gmail.com", tool="beech:users", also=(number,), **named))
    assert book.party("900", "acorn:contacts")["id"] != book.party("w5", "beech:users")["id"]
    with store.read() as c:
        verdicts = sa.select(t.decision.c.verdict).where(t.decision.c.kind == "model")
        assert c.execute(verdicts).scalars().all() == ["unsure"]
    book.take(person("c3", "wo@fir.example", tool="cedar:members", also=(number,), **named))
    assert book.party("900", "acorn:contacts")["id"] == book.party("w5", "beech:users")["id"]
    assert as_stored(book) == from_scratch(book)


def several(seed: int) -> list[Any]:
    """People of several tools, and mail of some. Two addresses are listed by many of them, at whatever names."""
    draw, found = Random(seed), list[Any]()
    named = [one.name for one in crowd(14)] + ["", "Ana Ruiz", "A. Ruiz", "Ana Ruiz"]
    for n in range(18):
        name, tool = draw.choice(named), draw.choice(TOOLS)
        listed = [at for at in (FRONT, "wenatchee@gmail.com") if draw.random() < 0.45]
        own = name.lower().replace(". ", "").replace(" ", ".")
        listed += [f"{own}@{host}" for host in ("kestrel.example", "gmail.com") if own and draw.random() < 0.4]
        found.append(person(f"{tool[0]}{n}", *listed, tool=tool, name=name, fields={"city": "Oslo"}))
        if own and draw.random() < 0.5:
            found.append((f"{own}@gmail.com", draw.choice((name, own, "Ana R."))))
    return found


def shared(book: Book) -> set[str]:
    with book.store.read() as c:
        where = (t.identifier.c.sharing == "shared", t.identifier.c.scheme == "email")
        return set(c.execute(sa.select(t.identifier.c.value).where(*where)).scalars())


@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
def test_addresses_of_many_and_their_people_end_the_same_too(emptied: Callable[[], Store]) -> None:
    turned = set[str]()
    for seed in range(3):
        ends = []
        for turn in range(2):
            book, told = Book(emptied()), several(seed)
            Random(turn).shuffle(told)
            for one in told:
                if isinstance(one, tuple):
                    book.mail(one[0], **{one[0].partition("@")[0]: one[1]})
                else:
                    book.take(one)
            run(book)
            ends.append((as_stored(book), shared(book)))
            assert as_stored(book) == from_scratch(book)
            assert not run(book).changed
        assert ends[0] == ends[1], seed
        turned |= ends[0][1]
    assert turned


FRONT = "front@kestrel.example"


def staff(*numbers: int, listing: bool = True) -> list[Person]:
    everybody = crowd(14)
    return [
        person(f"s{n}", *([FRONT] if listing else []), f"s{n}@kestrel.example", name=everybody[n].name) for n in numbers
    ]


def test_an_address_of_many_is_somebodys_again_when_the_others_let_go(store: Store) -> None:
    book = Book(store)
    book.take(*staff(0))
    book.mail(FRONT)
    first = book.party(FRONT)["id"]
    assert first == book.party("s0", "acorn:contacts")["id"]
    for n in range(1, 9):
        book.take(*staff(n))
    crowded = state(book)
    mailbox = book.party(FRONT)
    assert (mailbox["kind"], mailbox["sharing"]) == ("mailbox", "shared")
    assert compared(book, "s3") == (("s3@kestrel.example",), (FRONT,))
    for again in (1, 2):
        book.now += timedelta(minutes=1)
        book.take(*staff(*range(1, 9), listing=False))
        assert (book.party(FRONT)["id"], book.party(FRONT)["sharing"]) == (first, "personal")
        assert compared(book, "s0") == ((FRONT, "s0@kestrel.example"), ())
        assert as_stored(book) == from_scratch(book)
        book.now += timedelta(minutes=1)
        book.take(*staff(*range(1, 9)))
        assert state(book) == crowded, again
    with store.write() as c:  # as when all that told of them is erased
        gone = [book.records[f"s{n}"] for n in range(1, 9)]
        c.execute(sa.delete(t.observation).where(t.observation.c.record_id.in_(gone)))
    assert run(book).count("join") == 1
    assert book.party(FRONT)["id"] == first
    assert compared(book, "s0") == ((FRONT, "s0@kestrel.example"), ())
    assert not run(book).changed


def compared(book: Book, number: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(addresses, mailboxes) that a record is compared by."""
    with book.store.read() as c:
        mine = sa.select(t.node.c.fields).join(t.identifier).where(t.identifier.c.value == number)
        told = json.loads(c.execute(mine).scalar_one())
    return tuple(told.get("email", ())), tuple(told.get("mailboxes", ()))


def test_it_parts_what_the_model_joined_on_less_and_leaves_what_a_person_did(store: Store) -> None:
    book = Book(store)
    book.take(*crowd())
    book.take(okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    one, two = people(book)[:2]
    assert act(book, identity.merge, one, two)
    joined = book.party("900", "acorn:contacts")["id"]
    assert joined == book.party("w5", "beech:users")["id"]
    # The second tool corrects itself: the number is another one's. What joined the two is gone but for the name.
    book.take(
        person("w5", "w.okonkwo@gmail.com", name="Wilhelmina Okonkwo", tool="beech:users", fields={"city": "Porto"})
    )
    found = run(book)
    assert found.count("part") == 1
    assert book.party("900", "acorn:contacts")["id"] == joined != book.party("w5", "beech:users")["id"]
    assert len({one, two} & set(people(book))) == 1  # the person's merge stands


def test_what_changed_since_it_looked_is_left_for_the_next(store: Store) -> None:
    book = Book(store)
    book.take(*crowd())
    book.take(okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts"))
    with store.write() as c:
        c.execute(sa.delete(t.match_key))  # so that the online path sees nobody
    book.take(okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    with store.read() as c:
        found = identity.audit(c, RULES)
    assert found.count("join") == 1
    mine = members(book, book.party("w5", "beech:users")["id"])
    act(book, identity.different, book.party("w5", "beech:users")["id"], book.party("900", "acorn:contacts")["id"])
    book.take(person("w5", "w.okonkwo@gmail.com", "wo@gmail.com", name="Wilhelmina Okonkwo", tool="beech:users"))
    assert len(members(book, book.party("w5", "beech:users")["id"])) > len(mine)
    with store.write() as c:
        identity.apply_audit(c, found, RULES, NOW, "hub")
    assert book.party("900", "acorn:contacts")["id"] != book.party("w5", "beech:users")["id"]


KILLED = dedent("""
    import importlib, os, signal, sys
    from hub import identity
    from hub.store import Store
    from tests.identity.test_resolve import NOW, RULES

    audit = importlib.import_module("hub.identity.audit")
    real, left = audit.derive, [int(sys.argv[2])]

    def derive(*args):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return real(*args)

    audit.derive = derive
    store = Store.open(sys.argv[1])
    with store.read() as c:
        found = identity.audit(c, RULES)
    with store.write() as c:
        identity.apply_audit(c, found, RULES, NOW, "hub")
    """)


@pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)
def test_killed_in_the_middle_nothing_is_half_applied(store: Store, tmp_path: Path) -> None:
    book = Book(store)
    book.take(*crowd())
    for n in range(3):
        book.take(okonkwo(f"9{n}", f"wilhelmina{n}@fir{n}.example", "acorn:contacts"))
    with store.write() as c:
        c.execute(sa.delete(t.match_key))
    for n, one in enumerate(crowd(12)[::4]):
        book.take(person(f"b{n}", f"{n}x@gmail.com", name=one.name, tool="beech:users", also=one.identifiers[2:]))
    before = state(book)
    url = store.engine.url.render_as_string(hide_password=False)
    for stop in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, url, str(stop)],
            cwd=Path(__file__).parents[2],
            env={**os.environ},
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        assert state(book) == before
        with store.read() as c:
            assert not c.execute(
                sa.select(t.decision.c.id).where(t.decision.c.kind == "model", t.decision.c.verdict == "same")
            ).all()
    assert run(book).count("join") >= 3
    assert as_stored(book) == from_scratch(book)
    assert state(book) != before
