"""Fixtures shared by the hub's own tests: an empty store on each database, and a word when PostgreSQL is missing.

Every test that takes `store` runs twice, on SQLite and on PostgreSQL, but those marked `on_sqlite` (support/databases.py).
One SQLite file and one PostgreSQL database serve a whole worker; each test finds them empty.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from hub.store import Store
from hub.testing.databases import PostgresCluster, postgresql_programs

sys.path.insert(0, str(Path(__file__).parent / "support"))

from emptying import empty

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
    base = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    for left in base.glob("hub-tests-*-*"):  # by runs that were killed
        if not _is_running(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"hub-tests-{os.getpid()}-", dir=base) as folder:
        yield Path(folder)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


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


@pytest.fixture(params=["sqlite", "postgresql"])
def kept_store(request: pytest.FixtureRequest) -> Store:
    """An open store on each database, as the test before left it: for a scene that many tests only look at."""
    found: Store = request.getfixturevalue(f"_{request.param}_store")
    return found


@pytest.fixture
def store(kept_store: Store) -> Store:
    """An open, empty store on each database."""
    empty(kept_store)
    return kept_store


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


# Long files of few tests. xdist begins with the files of many tests: these would come last, and one worker at them keep
# all waiting. The first ones wait more than they work.
FIRST = (
    "tests/flows/test_serve.py", "plugins/imap/tests/test_real_mailbox.py", "plugins/caldav/tests/test_real_servers.py",
    "plugins/imap/tests/test_dovecot.py", "plugins/caldav/tests/test_real_data.py", "tests/e2e/test_real_mailbox.py",
    "tests/browser",
    "tests/faults/test_faults.py", "tests/faults/test_kill.py", "tests/faults/test_merge_kill.py", "tests/engine/test_convergence.py",
    "tests/cli/test_five_tools.py", "tests/faults/test_push.py", "tests/conformance/test_broken.py",
    "tests/store/test_database.py", "tests/outbox/test_refusals.py", "tests/identity/corpus/test_corpus.py",
    "tests/requirements/test_r18_meetings.py", "tests/identity/test_undo.py", "tests/outbox/test_merged.py",
    "tests/inbox/test_w8.py", "tests/api/test_mail_real.py", "tests/requirements/test_r22_budget.py",
)  # fmt: skip
ALONE = ("tests/cli/test_five_tools.py",)  # of the command line's tests, those that share nothing with the others


class _ByFile(LoadScopeScheduling):
    """A file's tests run in one worker, which makes what they share once; so do all of the command line, and all of the browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = next((f for f in ("tests/cli", "tests/browser") if file.startswith(f"{f}/")), "")
        return folder if folder and file not in ALONE else file

    def _assign_work_unit(self, node: Any) -> None:
        for file in FIRST:
            if file in self.workqueue:
                self.workqueue.move_to_end(file, last=False)
                break
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say it loudly, as the last word, when half of the tests on databases did not run."""
    yield
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if ABSENT in str(r.longrepr)]
    if skipped:
        text = f"POSTGRESQL TESTS SKIPPED: {len(skipped)} tests ran on SQLite only. {ABSENT}"
        terminalreporter.write_line(text, red=True, bold=True)
