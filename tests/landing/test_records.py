"""Records as landed: found again by their id, raw form kept byte for byte, quarantine, what an enumeration left out."""

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.landing import Landing, bodies, held, land, live_count, mark_gone, part_after, touch, unseen
from hub.store import Store, digest, tables


@pytest.fixture
def sid(store: Store) -> int:
    with store.write() as c:
        c.execute(sa.insert(tables.connection).values(id=1, name="a", connector="acorn"))
        c.execute(sa.insert(tables.stream), [{"id": i, "connection_id": 1, "name": f"s{i}"} for i in (1, 2)])
    return 1


def row(ext: str, body: bytes | None = b"raw", **more: object) -> Landing:
    values = {
        "external_id": ext,
        "hash": digest(body or b""),
        "disposition": "new",
        "body": body,
        "policy": b"policy01",
    }
    return Landing(**(values | more))  # type: ignore[arg-type]


def put(c: Connection, sid: int, *rows: Landing, sweep: int = 1, now: int = 1) -> dict[str, int]:
    return land(c, sid, rows, held(c, sid, [r.external_id for r in rows]), sweep, now)


def test_a_record_is_found_again_and_keeps_its_id(store: Store, sid: int) -> None:
    with store.write() as c:
        first = put(c, sid, row("a", b"\x00\xff" * 500), row("b"))
        again = put(c, sid, row("a", b"two", disposition="updated"), row("c"), now=2)
        assert again["a"] == first["a"]
        assert put(c, 2, row("a"))["a"] != first["a"]
        known = held(c, sid, ["a", "b", "c", "never"])
        assert {ext: (h.disposition, h.hash, h.policy, h.is_gone) for ext, h in known.items()} == {
            "a": ("updated", digest(b"two"), b"policy01", False),
            "b": ("new", digest(b"raw"), b"policy01", False),
            "c": ("new", digest(b"raw"), b"policy01", False),
        }
        times = sa.select(tables.record.c.first_seen_at, tables.record.c.last_seen_at)
        assert c.execute(times.where(tables.record.c.id == first["a"])).one() == (1, 2)


def test_raw_forms_come_back_byte_for_byte(store: Store, sid: int) -> None:
    big, odd = b"line\r\n" * 1000, bytes(range(256))
    with store.write() as c:
        put(c, sid, row("big", big), row("odd", odd), row("none", None))
        assert bodies(c, sid, ["big", "odd", "none", "never"]) == {"big": big, "odd": odd}
        assert bodies(c, 2, ["big"]) == {}


def test_what_the_policy_no_longer_allows_loses_its_raw_form(store: Store, sid: int) -> None:
    with store.write() as c:
        put(c, sid, row("a"))
        put(c, sid, row("a", None, disposition="excluded", rule="bulk"))
        assert bodies(c, sid, ["a"]) == {}
        assert held(c, sid, ["a"])["a"].disposition == "excluded"


def test_quarantine_opens_with_a_failure_counts_attempts_and_closes_when_mended(store: Store, sid: int) -> None:
    q = tables.quarantine.c
    with store.write() as c:
        put(c, sid, row("a", disposition="failed", failure="no date" * 1000))
        put(c, sid, row("a", disposition="failed", failure="still no date"), now=2)
        assert c.execute(sa.select(q.reason, q.failed_at, q.attempts)).one() == ("still no date", 2, 2)
        put(c, sid, row("a", disposition="updated"))
        assert c.execute(sa.select(q.reason)).all() == []


def test_a_record_that_is_gone_leaves_only_its_memory_and_may_come_back(store: Store, sid: int) -> None:
    with store.write() as c:
        ids = put(c, sid, row("a", disposition="failed", failure="x"), row("b"))
        mark_gone(c, ids.values(), "at source", 5)
        known = held(c, sid, ["a", "b"])
        assert all(h.is_gone and h.disposition == "deleted" for h in known.values())
        assert bodies(c, sid, ["a", "b"]) == {}
        assert c.execute(sa.select(tables.quarantine)).all() == []
        assert live_count(c, sid) == 0
        assert part_after(c, sid, 0) == []
        put(c, sid, row("b", disposition="updated"))
        assert not held(c, sid, ["b"])["b"].is_gone
        assert live_count(c, sid) == 1


def test_what_a_full_enumeration_did_not_name(store: Store, sid: int) -> None:
    with store.write() as c:
        ids = put(c, sid, row("old", occurred_at=10), row("new", occurred_at=20), row("undated"), row("gone"))
        put(c, 2, row("elsewhere"))
        mark_gone(c, [ids["gone"]], "at source", 5)
        assert unseen(c, sid, 1, None) == []
        assert [ext for _, ext in unseen(c, sid, 2, None)] == ["old", "new", "undated"]
        assert [ext for _, ext in unseen(c, sid, 2, 15)] == ["new", "undated"]
        touch(c, [ids["new"]], 2, 6)
        assert [ext for _, ext in unseen(c, sid, 2, 15)] == ["undated"]


def test_going_over_all_records_in_parts(store: Store, sid: int) -> None:
    with store.write() as c:
        put(
            c,
            sid,
            *(row(f"r{i:02}", b"raw%d" % i if i % 2 else None, policy=b"old" if i < 4 else None) for i in range(9)),
        )
        put(c, sid, row("bad", disposition="failed", failure="x", policy=b"now"))
        seen: list[str] = []
        after = 0
        while part := part_after(c, sid, after, size=4):
            assert len(part) <= 4
            after = part[-1][0]
            seen += [ext for _, ext, _ in part]
        assert seen == [*(f"r{i:02}" for i in range(9)), "bad"]
        assert [b for _, _, b in part_after(c, sid, 0, size=2)] == [None, b"raw1"]
        assert [ext for _, ext, _ in part_after(c, sid, 0, disposition="failed")] == ["bad"]
        assert len(part_after(c, sid, 0, not_policy=b"now")) == 9
        assert len(part_after(c, sid, 0, not_policy=b"old")) == 6


def test_more_ids_than_one_query_takes(store: Store, sid: int) -> None:
    ids = [f"r{i:04}" for i in range(1001)]
    with store.write() as c:
        put(c, sid, *(row(x) for x in ids))
        assert list(held(c, sid, ids)) and len(held(c, sid, ids)) == 1001
        assert len(bodies(c, sid, ids)) == 1001
        touch(c, [h.id for h in held(c, sid, ids).values()], 7, 9)
        assert unseen(c, sid, 7, None) == []
