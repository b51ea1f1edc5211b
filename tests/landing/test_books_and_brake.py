"""Books that balance, and the brake that stops when much would vanish at once."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hub.landing import DISPOSITIONS, Books, Brake, open_hold, open_holds, resolve_hold
from hub.store import Store, tables


@given(st.lists(st.tuples(st.sampled_from(DISPOSITIONS), st.sampled_from(["", "bulk", "auto"]), st.integers(0, 5))))
def test_books_balance_when_every_record_has_one_disposition(entries: list[tuple[str, str, int]]) -> None:
    books = Books()
    for disposition, rule, n in entries:
        books.seen += n
        books.enter(disposition, rule, n)  # type: ignore[arg-type]
    assert books.is_balanced
    stored = books.to_dict()
    assert stored["is_balanced"] is True
    assert Books.of(books.seen, stored).to_dict() == stored
    both = books.plus(books)
    assert both.is_balanced
    assert both.seen == 2 * books.seen
    books.seen += 1
    assert not books.is_balanced
    assert books.to_dict()["is_balanced"] is False


def test_rules_break_a_disposition_down() -> None:
    books = Books(seen=3)
    books.enter("excluded", "bulk")
    books.enter("excluded", "internal", 2)
    assert books.to_dict()["rules"] == {"excluded:bulk": 1, "excluded:internal": 2}
    assert books.counts["excluded"] == 3


@pytest.mark.parametrize(
    ("going", "standing", "is_held"),
    [
        (0, 0, False), (0, 100, False), (50, 60, True), (51, 60, True), (51, 1021, False), (52, 1021, True),
        (50, 1000, False), (51, 1020, False), (51, 1019, True), (5, 9, False), (9, 9, False), (3, 10, True),
        (2, 10, False), (10, 10, True), (29, 100, False), (30, 100, True), (1000, 10_000, True),
    ],
)  # fmt: skip
def test_the_brake_holds_much_and_lets_little_pass(going: int, standing: int, is_held: bool) -> None:
    assert Brake().holds(going, standing) is is_held


def stream(store: Store) -> int:
    with store.write() as c:
        c.execute(sa.insert(tables.connection).values(id=1, name="a", connector="acorn"))
        c.execute(sa.insert(tables.stream).values(id=1, connection_id=1, name="mail"))
    return 1


def test_one_hold_stays_open_per_kind_and_stream_until_a_person_speaks(store: Store) -> None:
    sid = stream(store)
    with store.write() as c:
        first = open_hold(c, "mass_delete", sid, ["a", "b"], "two gone", 1)
        assert open_hold(c, "mass_delete", sid, ["a"], "one gone", 2) == first
        assert open_hold(c, "mass_change", sid, ["x"], "other", 3) != first
        without = open_hold(c, "mass_change", None, [], "no stream", 3)
        assert open_hold(c, "mass_change", None, [], "no stream", 4) == without
        [held] = [h for h in open_holds(c, sid) if h["kind"] == "mass_delete"]
        assert (held["ids"], held["detail"], held["opened_at"]) == (["a"], "one gone", 1)
        assert len(open_holds(c)) == 3
        resolve_hold(c, first, "rejected", 9)
        assert first not in [h["id"] for h in open_holds(c)]
        assert open_hold(c, "mass_delete", sid, ["c"], "again", 10) != first
