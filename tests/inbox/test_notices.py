"""Notices as rows: coalesced, limited, postponed; and the table for them in a database that had none."""

from datetime import timedelta

import sqlalchemy as sa
from world import START

from hub import inbox
from hub.api import Notice
from hub.inbox.notices import FIRST_WAIT
from hub.store import Store, tables
from hub.store.database import SCHEMA_HEAD, current
from hub.store.migrate import upgrade

SECOND = timedelta(seconds=1)


def kept(store: Store, *named: str, stream: str = "mail", name: str = "box", after: timedelta = SECOND * 0) -> None:
    rows = inbox.rows_of(name, [Notice(stream, x) for x in named], {stream}, START + after)
    with store.write() as c:
        inbox.keep(c, rows)


def due(store: Store, name: str = "box", after: timedelta = SECOND, **more: int) -> list[tuple[str, list[str]]]:
    with store.read() as c:
        return [(one.stream, list(one.records)) for one in inbox.due(c, name, START + after, **more)]


def test_a_record_named_often_is_looked_at_once_and_all_its_notices_are_done(store: Store) -> None:
    kept(store, "m1", "m2", "m1", "")
    kept(store, "p1", stream="parties")
    kept(store, "m1", name="other")
    assert due(store) == [("mail", ["m1", "m2", ""]), ("parties", ["p1"])]
    with store.read() as c:
        mail = inbox.due(c, "box", START + SECOND)[0]
        assert inbox.rung(c, START + SECOND) == ["box", "other"]
        assert inbox.rung(c, START - SECOND) == []
    assert len(mail.ids(["m1"])) == 2
    with store.write() as c:
        inbox.done(c, mail.ids(["m1"]), START)
    assert due(store) == [("mail", ["m2", ""]), ("parties", ["p1"])]


def test_one_look_takes_so_many_and_the_next_takes_the_rest(store: Store) -> None:
    kept(store, *[f"m{n}" for n in range(5)])
    assert due(store, at_most=3) == [("mail", ["m0", "m1", "m2"])]
    with store.write() as c:
        inbox.done(c, inbox.due(c, "box", START + SECOND, at_most=3)[0].ids(), START)
    assert due(store, at_most=3) == [("mail", ["m3", "m4"])]


def test_a_stream_waits_as_a_whole_and_others_do_not(store: Store) -> None:
    kept(store, "m1")
    kept(store, "p1", stream="parties")
    with store.write() as c:
        one = inbox.due(c, "box", START + SECOND)[0]
        assert inbox.postpone(c, one, one.ids(), START)
    kept(store, "m2")
    assert due(store) == [("parties", ["p1"])]
    assert due(store, after=FIRST_WAIT) == [("mail", ["m1", "m2"]), ("parties", ["p1"])]
    with store.write() as c:
        inbox.let_go(c, "box", START)
    assert due(store, after=timedelta(days=1)) == []


def test_a_database_from_before_the_inbox_gets_its_table(database_url: str) -> None:
    store = Store.open(database_url, migrate=False)
    upgrade(store.engine, "0001")
    assert not sa.inspect(store.engine).has_table("notice")
    with store.write() as c:
        c.execute(sa.insert(tables.connection).values(name="box", connector="acorn"))
    store.close()
    store = Store.open(database_url)
    assert current(store.engine) == SCHEMA_HEAD
    kept(store, "m1")
    assert due(store) == [("mail", ["m1"])]
    with store.read() as c:
        assert c.execute(sa.select(tables.connection.c.name)).scalar() == "box"
    store.close()
