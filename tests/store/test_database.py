"""The database behind a URL: opened, migrated, refused with a reason; units of work; values written and read back."""

import contextlib
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hub.api import ConfigError
from hub.store import (
    Store,
    add,
    add_ids,
    bump_volume,
    chunks,
    digest,
    instant,
    instant_or_none,
    micros,
    pack,
    put,
    short_id,
    tables,
    unpack,
    week_of,
)
from hub.store.database import SCHEMA_HEAD, current
from hub.store.migrate import upgrade

# --- schema -------------------------------------------------------------------------------------------------------


def shape(inspector: sa.Inspector) -> dict[str, Any]:
    """Every table as the database says it is: columns with type, NULL and default; keys, indexes, constraints."""
    found: dict[str, Any] = {}
    for name in inspector.get_table_names():
        if name == "alembic_version" or name.partition("_")[0] == "search":
            continue  # the second: an index in each database's own way, which migrations alone make (hub.store.texts)
        found[name] = {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(name)},
            "primary": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": {i["name"]: (i["column_names"], i["unique"]) for i in inspector.get_indexes(name)},
            "unique": sorted(tuple(u["column_names"]) for u in inspector.get_unique_constraints(name)),
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"]) for f in inspector.get_foreign_keys(name)
            ),
        }
    return found


def rows(c: sa.Connection, query: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in c.execute(query)]


def test_the_migrations_build_exactly_the_tables_of_the_code(database_url: str) -> None:
    store = Store.open(database_url)
    migrated = shape(sa.inspect(store.engine))
    with store.write() as c:
        tables.metadata.drop_all(c)
        tables.metadata.create_all(c)
    assert shape(sa.inspect(store.engine)) == migrated
    assert set(migrated) == set(tables.metadata.tables)
    assert current(store.engine) == SCHEMA_HEAD
    store.close()


def test_the_head_of_the_code_is_the_newest_revision(database_url: str) -> None:
    from pathlib import Path

    import hub.store

    revisions = sorted(p.name[:4] for p in (Path(hub.store.__file__).parent / "migrations/versions").glob("[0-9]*.py"))
    assert revisions[-1] == SCHEMA_HEAD
    store = Store.open(database_url, migrate=False)
    assert current(store.engine) is None
    upgrade(store.engine)
    upgrade(store.engine)
    assert current(store.engine) == SCHEMA_HEAD
    store.close()


def test_a_database_newer_than_the_program_is_refused_and_left_alone(database_url: str) -> None:
    store = Store.open(database_url)
    with store.write() as c:
        c.execute(sa.text("update alembic_version set version_num = '9999'"))
    store.close()
    with pytest.raises(ConfigError, match="9999.*upgrade interaction-hub"):
        Store.open(database_url)


def test_an_empty_database_opened_by_two_processes_at_once(database_url: str) -> None:
    program = "import sys; from hub.store import Store; Store.open(sys.argv[1]).close()"
    started = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    assert [(p.communicate(timeout=60)[1], p.returncode) for p in started] == [("", 0), ("", 0)]
    store = Store.open(database_url)
    assert current(store.engine) == SCHEMA_HEAD
    store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "not a database URL"),
        ("mysql://x/y", "sqlite:///FILE or postgresql://"),
        ("sqlite:////proc/nowhere/hub.db", "cannot be opened"),
        ("postgresql://hub@/none?host=/nonexistent", "cannot be opened"),
    ],
)
def test_a_wrong_url_is_a_configuration_error(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Store.open(url)


def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Store.open("postgresql://hub:canary7@/none?host=/nonexistent")
    assert "canary7" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Store.open("mysql://hub:canary7@host/none")
    assert "canary7" not in str(caught.value)
    with pytest.raises(ConfigError, match="not a database URL") as caught:
        Store.open("postgres:hub:canary7@host/none")
    assert "canary7" not in str(caught.value)


def test_sqlite_is_set_up_for_durability(sqlite_folder: Any) -> None:
    store = Store.open(f"sqlite:///{sqlite_folder}/durable/hub.db")
    with store.read() as c:
        asked = {
            p: c.exec_driver_sql(f"pragma {p}").scalar()
            for p in ("journal_mode", "synchronous", "page_size", "foreign_keys")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "page_size": 8192, "foreign_keys": 1}
    store.close()


# --- units of work ------------------------------------------------------------------------------------------------


def test_a_unit_of_work_is_kept_whole_or_not_at_all(store: Store) -> None:
    with store.write() as c:
        put(c, tables.meta, [{"key": "a", "value": "1"}])
    with pytest.raises(ZeroDivisionError), store.write() as c:
        put(c, tables.meta, [{"key": "a", "value": "2"}, {"key": "b", "value": "2"}])
        raise ZeroDivisionError
    with store.read() as c:
        assert rows(c, sa.select(tables.meta)) == [("a", "1")]


def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    count = sa.select(sa.func.count()).select_from(tables.meta)
    with store.read() as c:
        before = c.execute(count).scalar_one()
        with store.write() as other:
            put(other, tables.meta, [{"key": "a", "value": "1"}])
        assert c.execute(count).scalar_one() == before
    with store.read() as c:
        assert c.execute(count).scalar_one() == before + 1


def test_reading_keeps_nothing(store: Store) -> None:
    with contextlib.suppress(sa.exc.DBAPIError), store.read() as c:
        c.execute(sa.insert(tables.meta).values(key="a", value="1"))
    with store.read() as c:
        assert c.execute(sa.select(tables.meta)).all() == []


def test_threads_write_one_after_the_other(store: Store) -> None:
    with store.write() as c:
        put(c, tables.meta, [{"key": "n", "value": "0"}])

    def add_one() -> None:
        for _ in range(10):
            with store.write() as c:
                row = sa.select(tables.meta.c.value).where(tables.meta.c.key == "n").with_for_update()
                n = int(c.execute(row).scalar_one())
                c.execute(sa.update(tables.meta).values(value=str(n + 1)))

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.read() as c:
        assert c.execute(sa.select(tables.meta.c.value)).scalar() == "40"


def test_put_replaces_but_for_what_is_kept(store: Store) -> None:
    row = {"account": "a", "name": "n", "window_start": 1, "used": 1, "blocked_until": None}
    with store.write() as c:
        put(c, tables.budget, [])
        put(c, tables.budget, [row])
        put(c, tables.budget, [{**row, "window_start": 2, "used": 2, "blocked_until": 9}], keep=("used",))
        assert rows(c, sa.select(tables.budget)) == [("a", "n", 2, 1, 9)]


def test_add_leaves_what_is_there_and_ids_come_in_order(store: Store) -> None:
    def party(i: int) -> dict[str, Any]:
        return {"public_id": f"p{i}", "kind": "person", "created_at": 0, "changed_at": 0}

    with store.write() as c:
        assert add_ids(c, tables.party, []) == []
        ids = add_ids(c, tables.party, [party(i) for i in range(1500)])
        known: dict[Any, Any] = dict(rows(c, sa.select(tables.party.c.id, tables.party.c.public_id)))
        assert [known[i] for i in ids] == [f"p{i}" for i in range(1500)]
        add(c, tables.meta, [])
        add(c, tables.meta, [{"key": "a", "value": "1"}])
        add(c, tables.meta, [{"key": "a", "value": "2"}, {"key": "b", "value": "2"}])
        assert rows(c, sa.select(tables.meta).order_by(tables.meta.c.key)) == [("a", "1"), ("b", "2")]


def test_the_rollup_adds_and_takes_away(store: Store) -> None:
    v = tables.volume.c
    with store.write() as c:
        bump_volume(c, {})
        bump_volume(c, {(1, 4, "email", "inbound"): 2, (1, 4, "phone", "inbound"): 0})
        bump_volume(c, {(1, 4, "email", "inbound"): -1, (2, 4, "email", "outbound"): 1})
        found = rows(c, sa.select(v.party_id, v.channel, v.count).order_by(v.party_id))
    assert found == [(1, "email", 1), (2, "email", 1)]


# --- values -------------------------------------------------------------------------------------------------------


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_instants_are_exact_to_the_microsecond(at: datetime) -> None:
    assert instant(micros(at)) == at
    monday = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=week_of(micros(at)))
    assert monday.weekday() == 0
    assert timedelta(0) <= at - monday < timedelta(days=7)


@given(st.binary(max_size=2000) | st.binary(max_size=20).map(lambda b: b * 300))
def test_packing_is_lossless_and_never_grows(data: bytes) -> None:
    codec, packed = pack(data)
    assert unpack(codec, packed) == data
    assert len(packed) <= len(data)


def test_small_things() -> None:
    assert instant_or_none(None) is None
    assert instant_or_none(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert micros(datetime(2026, 1, 1, 1, tzinfo=UTC)) == micros(datetime.fromisoformat("2026-01-01T02:00:00+01:00"))
    assert len(digest(b"")) == 16
    assert digest(b"a") != digest(b"b")
    assert short_id("i", "ab", "c") != short_id("i", "a", "bc")
    assert short_id("i", "\ud800") == short_id("i", "\ud800")
    assert 20 < len(short_id("i", "x")) <= 32
    assert list(chunks([1, 2, 3], 2)) == [[1, 2], [3]]
    assert list(chunks([])) == []


def test_a_file_that_is_no_database_is_named_as_one_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "hub.db"
    file.write_bytes(b"somebody's notes, and long enough to be looked at" * 20)
    with pytest.raises(ConfigError, match=r"hub\.database cannot be opened: file is not a database"):
        Store.open(f"sqlite:///{file}")
    assert file.read_bytes().startswith(b"somebody's notes")
