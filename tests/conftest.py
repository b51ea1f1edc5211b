"""Fixtures shared by the hub's own tests: an empty store on each database, and a word when PostgreSQL is missing.

Every test that takes `store` runs twice, on SQLite and on PostgreSQL. One SQLite file and one PostgreSQL database serve
a whole worker; each test finds them empty.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hub.store import Store, tables
from hub.testing.databases import PostgresCluster, postgresql_programs

sys.path.insert(0, str(Path(__file__).parent / "support"))

ABSENT = "PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin or on the PATH"

settings.register_profile(
    "hub", derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("hub")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A private cluster, up while this worker's tests run. Skips where PostgreSQL is not installed."""
    if postgresql_programs() is None:
        pytest.skip(ABSENT)
    with PostgresCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sqlite_folder() -> Iterator[Path]:
    """A folder for SQLite files, in memory where the system has such: a test must not wait for a disk."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(prefix="hub-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def _sqlite_store(sqlite_folder: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{sqlite_folder}/hub.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def _postgresql_store(postgres: PostgresCluster) -> Iterator[Store]:
    postgres.sql("create database hub_tests")
    store = Store.open(postgres.url("hub_tests"))
    yield store
    store.close()


_EMPTY = [f"delete from {table.name}" for table in reversed(tables.metadata.sorted_tables)]


def empty(store: Store) -> None:
    """Take every row out, so that the next test (or example) starts afresh."""
    with store.write() as c:
        for statement in _EMPTY if store.is_sqlite else ["; ".join(_EMPTY)]:
            c.exec_driver_sql(statement)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """An open, empty store on each database."""
    found: Store = request.getfixturevalue(f"_{request.param}_store")
    empty(found)
    return found


@pytest.fixture
def emptied(store: Store) -> Callable[[], Store]:
    """The store, emptied again at each call: for the examples of a property test."""

    def again() -> Store:
        empty(store)
        return store

    return again


_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, sqlite_folder: Path) -> Iterator[str]:
    """The URL of a database without any table, for tests that open it themselves."""
    name = f"fresh_{next(_numbers)}"
    if request.param == "sqlite":
        yield f"sqlite:///{sqlite_folder}/{name}.db"
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    cluster.sql(f"create database {name}")
    yield cluster.url(name)
    cluster.sql(f"drop database {name} with (force)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it loudly when half of the tests on databases did not run."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if ABSENT in str(r.longrepr)]
    if skipped:
        text = f"POSTGRESQL TESTS SKIPPED: {len(skipped)} tests ran on SQLite only. {ABSENT}"
        terminalreporter.write_line(text, red=True, bold=True)
