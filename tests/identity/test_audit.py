"""The audit: everybody at once, the same whatever came first; killed in the middle it has changed nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from textwrap import dedent

import pytest
import sqlalchemy as sa

from hub import identity
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_joining import crowd, okonkwo
from tests.identity.test_resolve import NOW, RULES, Book, person
from tests.identity.test_undo import act, as_stored, from_scratch, members, people, state


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
