"""Leases: one holder at a time, taken over when the heartbeat stops, late writes of the old holder refused."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from hub.store import LeaseLost, Store, acquire, new_holder, release, renew, tables

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TTL = timedelta(seconds=60)


def test_one_holder_at_a_time(store: Store) -> None:
    assert acquire(store, "connection:gmail", "one", NOW, TTL) == 1
    assert acquire(store, "connection:gmail", "two", NOW, TTL) is None
    assert acquire(store, "connection:hubspot", "two", NOW, TTL) == 1


def test_the_holder_may_ask_again_and_gets_a_new_fence(store: Store) -> None:
    assert acquire(store, "x", "one", NOW, TTL) == 1
    assert acquire(store, "x", "one", NOW, TTL) == 2
    with store.write() as c, pytest.raises(LeaseLost, match="'x'"):
        renew(c, "x", 1, NOW, TTL)


def test_a_lease_whose_heartbeat_stopped_is_taken_over_and_the_old_holder_fenced_off(store: Store) -> None:
    old = acquire(store, "x", "one", NOW, TTL)
    assert acquire(store, "x", "two", NOW + TTL - timedelta(microseconds=1), TTL) is None
    new = acquire(store, "x", "two", NOW + TTL, TTL)
    assert old is not None
    assert new == old + 1
    with pytest.raises(LeaseLost), store.write() as c:
        c.execute(sa.insert(tables.meta).values(key="late", value="write"))
        renew(c, "x", old, NOW + TTL, TTL)
    with store.read() as c:
        assert c.execute(sa.select(tables.meta)).all() == []  # nothing of the late unit of work was kept
    with store.write() as c:
        renew(c, "x", new, NOW + TTL, TTL)


def test_a_heartbeat_prolongs(store: Store) -> None:
    fence = acquire(store, "x", "one", NOW, TTL)
    assert fence is not None
    with store.write() as c:
        renew(c, "x", fence, NOW + timedelta(seconds=50), TTL)
    assert acquire(store, "x", "two", NOW + timedelta(seconds=100), TTL) is None


def test_a_released_lease_is_free_at_once_and_a_late_heartbeat_does_not_bring_it_back(store: Store) -> None:
    fence = acquire(store, "x", "one", NOW, TTL)
    assert fence is not None
    release(store, "x", fence)
    with pytest.raises(LeaseLost), store.write() as c:
        renew(c, "x", fence, NOW, TTL)
    assert acquire(store, "x", "two", NOW, TTL) == fence + 1
    release(store, "x", fence)  # the old holder's release, late: not its lease any more
    assert acquire(store, "x", "three", NOW, TTL) is None


def test_of_many_that_ask_at_once_one_gets_it(store: Store) -> None:
    start = threading.Barrier(4)
    fences: list[int | None] = []

    def ask(holder: str) -> None:
        start.wait(5)
        fences.append(acquire(store, "x", holder, NOW, TTL))

    threads = [threading.Thread(target=ask, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(fences, key=str) == [1, None, None, None]


def test_the_lease_of_a_process_that_died_is_taken_over_at_once_a_living_ones_is_not(store: Store) -> None:
    program = "from hub.store import new_holder; print(new_holder()); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    holder = process.stdout.readline().strip()
    assert acquire(store, "x", holder, NOW, TTL) == 1
    assert acquire(store, "x", new_holder(), NOW, TTL) is None
    process.communicate("\n", timeout=30)
    assert acquire(store, "x", new_holder(), NOW, TTL) == 2
    assert acquire(store, "x", "elsewhere:1:abc", NOW, TTL) is None
    assert acquire(store, "y", f"elsewhere:{process.pid}:abc", NOW, TTL) == 1
    assert acquire(store, "y", new_holder(), NOW, TTL) is None  # the same number on another host says nothing
