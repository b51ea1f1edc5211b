"""Rate budgets: never more than the window allows, waits instead of failing, what was not spent is given back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api import Budget, Budgeter, FakeClock, MemoryLedger, RateLimited

NOW = datetime(2026, 11, 2, 9, 0, 7, tzinfo=UTC)
MINUTE = Budget("minute", 100, timedelta(minutes=1), units={"send": 10, "free": 0}, default_units=1, reserve=0.1)
pytestmark = pytest.mark.anyio


def budgeter(
    *budgets: Budget, ledger: MemoryLedger | None = None, clock: FakeClock | None = None, patience_s: float = 90
) -> Budgeter:
    return Budgeter("acc", budgets, ledger or MemoryLedger(), clock or FakeClock(NOW), patience_s)


async def test_spending_waits_for_the_next_window() -> None:
    clock = FakeClock(NOW)
    b = budgeter(MINUTE, clock=clock)
    for _ in range(9):
        await b.spend("send")
    assert clock.slept == []
    await b.spend("get")
    assert clock.now() >= datetime(2026, 11, 2, 9, 1, tzinfo=UTC)
    assert b.spent == 91
    await b.spend("free", 1000)
    assert b.spent == 91


async def test_a_wait_longer_than_our_patience_is_said_with_its_end() -> None:
    hour = Budget("hour", 10, timedelta(hours=1), reserve=0.0)
    b = budgeter(hour, patience_s=60)
    await b.spend("get", 10)
    with pytest.raises(RateLimited) as caught:
        await b.spend("get")
    assert caught.value.until == datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert "hour" in str(caught.value)


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        ("", datetime(2026, 3, 28, 23, 30, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 28, 22, 30, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 29, 21, 30, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # 23 hours
        ("America/Los_Angeles", datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC)),  # 25 hours
    ],
)
async def test_a_day_begins_at_midnight_in_the_budgets_zone(zone: str, now: datetime, midnight: datetime) -> None:
    clock = FakeClock(now)
    b = budgeter(Budget("day", 10, timedelta(days=1), reserve=0.0, zone=zone), clock=clock, patience_s=90_000)
    await b.spend("get", 10)
    assert clock.slept == []
    assert b.eta("get", 11) == pytest.approx((midnight - now).total_seconds(), abs=3600)
    await b.spend("get", 5)
    assert timedelta(0) <= clock.now() - midnight < timedelta(seconds=1)
    await b.spend("get", 5)
    b.close()
    assert clock.now() - midnight < timedelta(seconds=1), "all of it is one window's"


def test_only_days_have_a_zone() -> None:
    with pytest.raises(ValueError, match="day"):
        Budget("hour", 10, timedelta(hours=1), zone="Europe/Berlin")


async def test_a_call_dearer_than_a_window_goes_alone_at_its_start() -> None:
    clock = FakeClock(NOW)
    b = budgeter(Budget("minute", 10, timedelta(minutes=1), reserve=0.0), clock=clock)
    await b.spend("get")
    await b.spend("get", 25)
    assert clock.now() >= datetime(2026, 11, 2, 9, 1, tzinfo=UTC)
    await b.spend("get")
    assert clock.now() >= datetime(2026, 11, 2, 9, 2, tzinfo=UTC)


async def test_the_vendors_word_blocks_everybody_of_the_account() -> None:
    ledger, clock = MemoryLedger(), FakeClock(NOW)
    one, two = (budgeter(MINUTE, ledger=ledger, clock=clock) for _ in range(2))
    until = one.block(30)
    await two.spend("get")
    assert clock.now() >= until
    one.block(30, budget="another one")
    await two.spend("get")
    assert len(clock.slept) == 1


async def test_every_budget_is_paid() -> None:
    ledger = MemoryLedger()
    day = Budget("day", 50, timedelta(days=1), reserve=0.0)
    b = budgeter(MINUTE, day, ledger=ledger, patience_s=120)
    for _ in range(5):
        await b.spend("get", 10)
    with pytest.raises(RateLimited, match="'day'"):
        await b.spend("get")


async def test_what_was_taken_and_not_spent_is_given_back() -> None:
    ledger, clock = MemoryLedger(), FakeClock(NOW)
    exact = Budget("minute", 100, timedelta(minutes=1), reserve=0.0)
    for _ in range(100):
        b = budgeter(exact, ledger=ledger, clock=clock)
        await b.spend("get")
        b.close()
    assert clock.slept == []
    b = budgeter(exact, ledger=ledger, clock=clock)
    await b.spend("get")
    assert len(clock.slept) == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(0, 40)), max_size=40))
async def test_whoever_spends_when_no_window_sees_more_than_its_limit(spends: list[tuple[int, int, int]]) -> None:
    ledger, clock = MemoryLedger(), FakeClock(NOW)
    budget = Budget("minute", 30, timedelta(minutes=1), reserve=0.0)
    workers = [budgeter(budget, ledger=ledger, clock=clock) for _ in range(3)]
    seen: dict[datetime, int] = {}
    for who, units, pause in spends:
        clock.advance(pause)
        await workers[who].spend("get", units)
        window = clock.now().replace(second=0, microsecond=0)
        seen[window] = seen.get(window, 0) + units
    assert all(n <= 30 for n in seen.values())


def test_the_cost_of_a_method() -> None:
    assert (MINUTE.cost("send"), MINUTE.cost("free"), MINUTE.cost("anything")) == (10, 0, 1)
