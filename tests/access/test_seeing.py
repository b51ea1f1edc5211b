"""Whose rows are whose: nothing that only a private connection shows passes for anybody but its owner."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from databases import on_sqlite
from door import START
from hypothesis import given, settings
from hypothesis import strategies as st
from world import World, mail

from hub.access import Sees, Viewer, keep_private, ledger, roles, sees_all, visible
from hub.store import Store
from hub.store import tables as t

ANA, BEN = "ana@ourco.example", "ben@ourco.example"
OWNERS = {"team": "", "crm": "", "anas": ANA, "bens": BEN}


def viewer(email: str) -> Viewer:
    return Viewer(1, email, roles.ALL, Sees(email), "u1")


VIEWERS = [viewer(ANA), viewer(BEN), viewer("cleo@ourco.example"), Viewer(None, "", frozenset(), Sees())]
LOCAL = Viewer.local()


@dataclass
class Copy:
    """A record of some connection that tells of an entry. says: identifiers that it names as having taken part."""

    connection: str
    entry: int
    is_echo: bool
    says: list[int]


@dataclass
class Rows:
    copies: list[Copy]
    listed: list[tuple[str, int]] = field(default_factory=list)  # a contact in a connection's address book


_connections = st.sampled_from(list(OWNERS))
_copies = st.builds(
    Copy, _connections, st.integers(1, 3), st.booleans(), st.lists(st.integers(1, 4), max_size=3, unique=True)
)
_rows = st.builds(Rows, st.lists(_copies, max_size=6), st.lists(st.tuples(_connections, st.integers(1, 4)), max_size=3))


def write(store: Store, rows: Rows) -> None:
    """People 1 to 4, each one identifier; 4 works at company 5. Entries 1 to 3, their copies, the timeline's index."""
    made, seen = {"created_at": 0, "changed_at": 0}, {"first_seen_at": 0, "last_seen_at": 0}
    plain = {"channel": "email", "direction": "inbound"}
    numbered = [*enumerate(OWNERS.items(), 1)]
    streams = {name: n for n, (name, _) in numbered}
    said = [(copy.connection, copy) for copy in rows.copies] + list(rows.listed)
    copies = [*enumerate(rows.copies, 1)]
    met = {(who, x.entry) for x in rows.copies for who in x.says}
    met |= {(5, entry) for who, entry in met if who == 4}
    into: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (t.connection, [{"id": n, "name": k, "connector": "acorn", "is_private": bool(o), "owner": o} for n, (k, o) in numbered]),
        (t.stream, [{"id": n, "connection_id": n, "name": "mail"} for n, _ in numbered]),
        (t.party, [{"id": 5, "public_id": "p5", "kind": "organization", "organization_id": None, **made}]),
        (t.party, [
            {"id": n, "public_id": f"p{n}", "kind": "person", "organization_id": 5 if n == 4 else None, **made} for n in range(1, 5)
        ]),
        (t.identifier, [
            {"id": n, "party_id": n, "scheme": "email", "value": str(n), "match_value": str(n), "sharing": "personal"} for n in range(1, 5)
        ]),
        (t.interaction, [
            {"id": n, "public_id": f"i{n}", "kind": "message", "occurred_at": n, "rank": b"", "hash": b"", "changed_at": 0, **plain}
            for n in range(1, 4)
        ]),
        (t.record, [
            {"id": n, "stream_id": streams[name], "external_id": str(n), "hash": b"", "disposition": "new", **seen}
            for n, (name, _) in enumerate(said, 1)
        ]),
        (t.source, [{"record_id": n, "interaction_id": x.entry, "rank": b"", "is_echo": x.is_echo} for n, x in copies]),
        (t.participation, [
            {"interaction_id": x.entry, "identifier_id": who, "role": "to", "record_id": n} for n, x in copies for who in x.says
        ]),
        (t.observation, [
            {"record_id": len(copies) + n, "identifier_id": who, "party_id": who, **seen} for n, (_, who) in enumerate(rows.listed, 1)
        ]),
        (t.link, [{"party_id": who, "interaction_id": entry, "occurred_at": entry, **plain} for who, entry in met]),
    ]  # fmt: skip
    with store.write() as c:
        for table, given in into:
            if given:
                c.execute(sa.insert(table), given)


def passes(store: Store, who: Viewer, table: sa.Table, *columns: sa.Column[Any]) -> set[Any]:
    """Through an alias beside the very tables the condition reads: it must not be confused by them."""
    of, stream = table.alias(), t.stream
    shown = [of.c[col.name] for col in columns]
    query = sa.select(*shown).distinct().where(visible(who, of))
    if "record_id" in of.c:
        query = query.join(t.record, t.record.c.id == of.c.record_id).join(stream).join(t.connection)
    if "stream_id" in of.c:
        query = query.join(stream, stream.c.id == of.c.stream_id).join(t.connection)
    with store.read() as c:
        return {tuple(row) if len(columns) > 1 else row[0] for row in c.execute(query)}


@settings(max_examples=25)
@given(rows=_rows)
def test_nothing_of_a_private_connection_alone_passes_for_another(emptied: Callable[[], Store], rows: Rows) -> None:
    store = emptied()
    write(store, rows)
    numbered = [*enumerate(rows.copies, 1)]
    for who in VIEWERS:
        mine = {name for name, owner in OWNERS.items() if owner in ("", who.sees.mailbox or "nobody")}
        entries = {x.entry for x in rows.copies if x.connection in mine and not x.is_echo}
        assert passes(store, who, t.interaction, t.interaction.c.id) == entries
        sources = {n for n, x in numbered if x.connection in mine and x.entry in entries}
        assert passes(store, who, t.source, t.source.c.record_id) == sources
        parts = {(n, i) for n, x in numbered if n in sources for i in x.says}
        assert (
            passes(store, who, t.participation, t.participation.c.record_id, t.participation.c.identifier_id) == parts
        )
        told = {(i, x.entry) for n, x in numbered if n in sources for i in x.says}
        links = told | {(5, entry) for i, entry in told if i == 4}
        assert passes(store, who, t.link, t.link.c.party_id, t.link.c.interaction_id) == links
        listed = {i for connection, i in rows.listed if connection in mine}
        assert passes(store, who, t.party, t.party.c.id) == {p for p, _ in links} | listed
        records = {n for n, x in numbered if x.connection in mine} | {
            len(rows.copies) + n for n, (connection, _) in enumerate(rows.listed, 1) if connection in mine
        }
        assert passes(store, who, t.record, t.record.c.id) == records
    assert passes(store, LOCAL, t.interaction, t.interaction.c.id) == {1, 2, 3}


@on_sqlite
def test_tables_that_tell_of_no_record_are_refused(store: Store) -> None:
    for table in (t.volume, t.plan, t.decision):
        with pytest.raises(TypeError, match="tells of no record"):
            visible(viewer(ANA), table)
    assert str(visible(LOCAL, t.volume)) == "true"


def test_whether_anything_is_hidden_at_all(store: Store) -> None:
    write(store, Rows([]))
    with store.read() as c:
        assert [sees_all(c, who) for who in [*VIEWERS, LOCAL]] == [False] * 4 + [True]
    with store.write() as c:
        c.execute(sa.update(t.connection).where(t.connection.c.owner == BEN).values(is_private=False, owner=""))
    with store.read() as c:
        assert [sees_all(c, who) for who in VIEWERS] == [True, False, False, False]


def test_a_private_connection_that_names_nobody_is_nobody_s(store: Store) -> None:
    write(store, Rows([Copy("anas", 1, False, [])]))
    with store.write() as c:
        c.execute(sa.update(t.connection).values(owner=""))
    for who in VIEWERS:
        assert passes(store, who, t.interaction, t.interaction.c.id) == set()
    assert passes(store, LOCAL, t.interaction, t.interaction.c.id) == {1, 2, 3}


def test_what_the_settings_say_counts_before_anything_is_read(store: Store) -> None:
    """Through engine and rooms: a mail in a private mailbox, one in both, one the team has alone."""
    vendors = {"anas": Vendor(), "team": Vendor()}
    world = World(store, vendors, anas={"private": True, "owner": ANA})
    world.engine.keep_private()
    both = mail("both", "kay@kestrel.example")
    vendors["anas"].mail(mail("doctor", "doctor@clinic.example"))
    vendors["anas"].mail(both)
    vendors["team"].mail(both)
    vendors["team"].mail(mail("order", "kim@kestrel.example"))
    world.sync()

    def subjects(who: Viewer) -> set[str]:
        with store.read() as c:
            return set(c.execute(sa.select(t.interaction.c.subject).where(visible(who))).scalars())

    def people(who: Viewer) -> set[str]:
        query = sa.select(t.identifier.c.value).join(t.party, t.party.c.id == t.identifier.c.party_id)
        with store.read() as c:
            return {
                v
                for v in c.execute(query.where(visible(who, t.party), t.party.c.kind == "person")).scalars()
                if "@" in v
            }

    assert subjects(viewer(ANA)) == subjects(LOCAL) == {"About doctor", "About both", "About order"}
    assert subjects(viewer(BEN)) == {"About both", "About order"}
    assert people(viewer(BEN)) == {"kay@kestrel.example", "kim@kestrel.example"}
    assert people(viewer(ANA)) == people(viewer(BEN)) | {"doctor@clinic.example"}
    vendors["team"].delete("mail", "both")
    world.sync()
    assert subjects(viewer(BEN)) == {"About order"}
    assert subjects(viewer(ANA)) == {"About doctor", "About both", "About order"}
    world.restart(own={"domains": ["ourco.example"]}).engine.keep_private()  # the settings no longer say so
    assert subjects(viewer(BEN)) == {"About doctor", "About both", "About order"}
    with store.read() as c:
        assert [e.detail["by"] for e in ledger.events(c)] == ["the team", "its owner"]


def test_a_connection_whose_settings_are_gone_stays_its_owner_s(store: Store) -> None:
    keep_private(store, {"anas": ("acorn", ANA), "team": ("acorn", "")}, START)
    keep_private(store, {"team": ("acorn", "")}, START)
    with store.read() as c:
        query = sa.select(t.connection.c.name, t.connection.c.is_private, t.connection.c.owner)
        assert [tuple(row) for row in c.execute(query)] == [("anas", True, ANA)]  # the team's are made when first read
        assert len(ledger.events(c)) == 1
