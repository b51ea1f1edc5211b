"""What connectors share through the database: the budget ledger, secrets, tokens under a lease."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub.api import AuthError, Budget, Budgeter, ConfigError, FakeClock, MemoryLedger, RateLimited
from hub.store import Secrets, Store, StoreLedger, StoreTokens, tables

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.anyio


# --- budgets ------------------------------------------------------------------------------------------------------


def test_threads_together_never_spend_more_than_the_limit(store: Store) -> None:
    ledger = StoreLedger(store)
    start = threading.Barrier(4)
    taken: list[int] = []

    def spend() -> None:
        start.wait(5)
        mine = sum(ledger.take("acc", "minute", NOW, 7, 300) for _ in range(15))
        taken.append(mine)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(taken) == 300 // 7
    assert not ledger.take("acc", "minute", NOW, 7, 300)
    assert ledger.take("acc", "minute", NOW, 300 - 300 // 7 * 7, 300)


def test_a_refused_take_takes_nothing_and_a_new_window_starts_at_zero(store: Store) -> None:
    ledger = StoreLedger(store)
    assert ledger.take("acc", "minute", NOW, 10, 10)
    assert not ledger.take("acc", "minute", NOW, 1, 10)
    assert ledger.take("acc", "day", NOW, 1, 10)
    assert ledger.take("other", "minute", NOW, 1, 10)
    assert ledger.take("acc", "minute", NOW + timedelta(minutes=1), 10, 10)
    assert not ledger.take("acc", "minute", NOW, 1, 10)  # a worker whose clock is behind spends of the same window


@pytest.mark.parametrize("kind", ["store", "memory"])
def test_a_block_is_never_shortened(store: Store, kind: str) -> None:
    ledger = StoreLedger(store) if kind == "store" else MemoryLedger()
    assert ledger.blocked_until("acc", "minute") is None
    ledger.block("acc", "minute", NOW + timedelta(hours=1))
    ledger.block("acc", "minute", NOW + timedelta(seconds=1))
    assert ledger.blocked_until("acc", "minute") == NOW + timedelta(hours=1)
    ledger.block("acc", "minute", NOW + timedelta(hours=2))
    assert ledger.blocked_until("acc", "minute") == NOW + timedelta(hours=2)
    assert ledger.take("acc", "minute", NOW, 1, 1)  # the count beside the block is untouched by it


async def test_two_workers_of_one_account_wait_for_each_other(store: Store) -> None:
    budget = Budget("minute", 100, timedelta(minutes=1), reserve=0.0)
    clock = FakeClock(NOW)
    one, two = (Budgeter("acc", [budget], StoreLedger(store), clock) for _ in range(2))
    for _ in range(50):
        await one.spend("get")
        await two.spend("get")
    assert clock.now() < NOW + timedelta(minutes=1)
    await one.spend("get", 5)
    assert clock.now() >= NOW + timedelta(minutes=1)
    one.block(3600)
    with pytest.raises(RateLimited) as caught:
        await two.spend("get")
    assert caught.value.until is not None
    assert caught.value.until > NOW + timedelta(hours=1)


# --- secrets ------------------------------------------------------------------------------------------------------


def key() -> str:
    return Fernet.generate_key().decode()


def test_a_secret_comes_back_and_is_not_readable_in_the_database(store: Store) -> None:
    secrets = Secrets(store, [key()])
    assert secrets.get("gmail", "oauth") is None
    secrets.put("gmail", "oauth", {"refresh_token": "canary-7"}, NOW)
    secrets.put("gmail", "oauth", {"refresh_token": "canary-8"}, NOW)
    assert secrets.get("gmail", "oauth") == {"refresh_token": "canary-8"}
    with store.read() as c:
        blob = bytes(c.execute(sa.select(tables.secret.c.value)).scalar_one())
    assert b"canary" not in blob
    secrets.forget("gmail")
    assert secrets.get("gmail", "oauth") is None


@pytest.mark.parametrize("moved", [{"connection": "hubspot"}, {"field": "token"}])
def test_a_secret_moved_to_another_row_is_refused(store: Store, moved: dict[str, str]) -> None:
    secrets = Secrets(store, [key()])
    secrets.put("gmail", "oauth", {"refresh_token": "canary-7"}, NOW)
    with store.write() as c:
        c.execute(sa.update(tables.secret).values(**moved))
    with pytest.raises(AuthError, match="belongs elsewhere") as caught:
        secrets.get(moved.get("connection", "gmail"), moved.get("field", "oauth"))
    assert "canary" not in str(caught.value)


def test_keys_rotate(store: Store) -> None:
    old, new = key(), key()
    Secrets(store, [old]).put("gmail", "oauth", {"v": 1}, NOW)
    both = Secrets(store, [new, old])
    assert both.get("gmail", "oauth") == {"v": 1}
    both.put("gmail", "oauth", {"v": 2}, NOW)
    assert Secrets(store, [new]).get("gmail", "oauth") == {"v": 2}
    with pytest.raises(AuthError, match="cannot be decrypted"):
        Secrets(store, [old]).get("gmail", "oauth")


def test_without_a_key_nothing_is_written_down(store: Store) -> None:
    secrets = Secrets(store, [])
    secrets.put("gmail", "oauth", {"v": 1}, NOW)
    assert secrets.get("gmail", "oauth") == {"v": 1}
    with store.read() as c:
        assert c.execute(sa.select(tables.secret)).all() == []
    secrets.forget("gmail")
    assert secrets.get("gmail", "oauth") is None


def test_a_wrong_key_says_what_to_do(store: Store) -> None:
    with pytest.raises(ConfigError, match="ihub init"):
        Secrets(store, ["not a key"])


async def test_refreshing_happens_one_at_a_time_across_workers(store: Store) -> None:
    clock = FakeClock(NOW)
    secrets = Secrets(store, [key()])
    inside = most = 0

    async def refresh() -> None:
        nonlocal inside, most
        tokens = StoreTokens(store, secrets, "gmail", clock)
        async with tokens.lease("oauth"):
            inside += 1
            most = max(most, inside)
            seen = tokens.get("oauth") or {"n": 0}
            await asyncio.sleep(0)
            tokens.put("oauth", {"n": seen["n"] + 1})
            inside -= 1

    await asyncio.gather(*(refresh() for _ in range(4)))
    assert most == 1
    assert secrets.get("gmail", "oauth") == {"n": 4}
