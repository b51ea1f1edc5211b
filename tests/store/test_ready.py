"""Statements made once: what they give and do on either database, past SQLAlchemy and through it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.store import Store, add_ids, among, fetch, pairs_among, scalar, tell
from hub.store import tables as t

p = t.party.c
OF = sa.select(p.id, p.name, p.kind.label("what")).where(among(p.id)).order_by(p.id)
NAMED = sa.select(p.name).where(p.public_id == sa.bindparam("public"))
PAIRS = sa.select(p.public_id).where(pairs_among(p.kind, p.name)).order_by(p.id)
RENAME = sa.update(t.party).where(p.id == sa.bindparam("party")).values(name=sa.bindparam("now_called"))
TAKE = sa.update(t.party).where(p.id == sa.bindparam("party")).values(public_id=sa.bindparam("public"))
COUNT = sa.select(sa.func.count()).select_from(t.party)
# What the statement gives itself, a list too, beside what is asked.
FIRMS = (
    sa.update(t.party)
    .where(p.kind.in_(("person", "mailbox")), among(p.id, "parties"), p.changed_at < sa.bindparam("before"))
    .values(kind="organization", name_rank=7)
    .returning(p.id, p.name_rank)
)


@pytest.fixture(params=["past SQLAlchemy", "listened to"])
def parties(request: pytest.FixtureRequest, store: Store) -> Iterator[list[int]]:
    """Ids of three parties; every test also runs while somebody listens to the statements."""
    rows = [
        {"public_id": f"p{n}", "kind": kind, "name": name, "created_at": n, "changed_at": n}
        for n, (kind, name) in enumerate((("person", "Åsa %s"), ("mailbox", "Desk"), ("own", "Sam")))
    ]
    with store.write() as c:
        ids = add_ids(c, t.party, rows)
    heard: list[str] = []

    def listen(_c: object, _cursor: object, sql: str, *_rest: object) -> None:
        heard.append(sql)

    if request.param == "listened to":
        sa.event.listen(store.engine, "before_cursor_execute", listen)
    yield ids
    if request.param == "listened to":
        sa.event.remove(store.engine, "before_cursor_execute", listen)
        assert heard


def test_rows_come_with_names(store: Store, parties: list[int]) -> None:
    with store.read() as c:
        rows = fetch(c, OF, values=parties[:2])
        assert [(r.id, r.name, r.what) for r in rows] == [
            (parties[0], "Åsa %s", "person"), (parties[1], "Desk", "mailbox")
        ]  # fmt: skip
        assert rows[0]._asdict() == {"id": parties[0], "name": "Åsa %s", "what": "person"}
        assert fetch(c, OF, values=[]) == []
        assert fetch(c, PAIRS, values=[("own", "Sam"), ("own", "Desk")]) == [("p2",)]


def test_one_value_or_none(store: Store, parties: list[int]) -> None:
    with store.read() as c:
        assert scalar(c, NAMED, public="p1") == "Desk"
        assert scalar(c, NAMED, public="p9") is None


def test_changes_for_one_row_and_for_many(store: Store, parties: list[int]) -> None:
    with store.write() as c:
        tell(c, RENAME, [])
        tell(c, RENAME, [{"party": parties[0], "now_called": "Åsa"}])
        tell(c, RENAME, [{"party": n, "now_called": f"no. {n}"} for n in parties[1:]])
        assert fetch(c, RENAME, party=parties[2], now_called="Sam again") == []
        assert [r.name for r in fetch(c, OF, values=parties)] == ["Åsa", f"no. {parties[1]}", "Sam again"]


def test_a_change_with_lists_of_its_own_gives_what_it_returns(store: Store, parties: list[int]) -> None:
    with store.write() as c:
        assert fetch(c, FIRMS, parties=parties, before=1) == [(parties[0], 7)]
        assert [r.what for r in fetch(c, OF, values=parties)] == ["organization", "mailbox", "own"]


def test_what_goes_wrong_is_sqlalchemys_error(store: Store, parties: list[int]) -> None:
    with store.write() as c, pytest.raises(sa.exc.IntegrityError), c.begin_nested():
        tell(c, TAKE, [{"party": parties[0], "public": "p2"}])


def test_a_second_store_is_spoken_to_as_the_first(store: Store, tmp_path: Path) -> None:
    first = f"sqlite:///{tmp_path}/1.db"
    for url in (first, f"sqlite:///{tmp_path}/2.db", first):
        other = Store.open(url)
        with other.write() as c:
            row = {"public_id": f"p{scalar(c, COUNT)}", "kind": "own", "created_at": 1, "changed_at": 1}
            [n] = add_ids(c, t.party, [row])
            assert [r.what for r in fetch(c, OF, values=[n])] == ["own"]
        other.close()
    with store.read() as c:
        assert scalar(c, COUNT) == 0
