"""Clauses about being let in: budgets and refusals (W10), sign-in (W13)."""

import asyncio
from datetime import timedelta

from hub.api import AuthError, RateLimited, ScopeError
from hub.testing.suite_bench import Bench, Broken
from hub.testing.suite_driver import Landed

FEW = 4
MOST_FETCHES = 3_000


async def budget(b: Bench) -> None:
    """W10."""
    ids = b.rig.populate(30)
    await Landed(b.stream).pull(b.connect())  # signed in: what is refused below are the calls, not the sign-in
    for headers, at_least in (({"Retry-After": "7"}, 14.0), ({}, 0.5)):
        landed, connector = Landed(b.stream), b.connect()
        started = b.clock.now()
        b.fault("status", status=429, headers=headers, times=2)
        await landed.pull(connector)
        b.rig.restore()
        took = (b.clock.now() - started).total_seconds()
        said = "with Retry-After: 7" if headers else "without Retry-After"
        b.agree(landed, connector, f"two refusals {said}")
        b.need(took >= at_least, f"two refusals {said} were waited for {took:g} s")
    await _spent_day(b)
    await _kept_limits(b, ids[0])


async def _spent_day(b: Bench) -> None:
    landed, connector = Landed(b.stream), b.connect()
    b.rig.spend_day()
    b.traffic()
    exc = await b.refused(landed.pull(connector), RateLimited, "a spent daily quota")
    now, until = b.clock.now(), exc.until if isinstance(exc, RateLimited) else None
    if until is None or not now < until <= now + timedelta(hours=26):
        raise Broken(f"a spent daily quota is said to end at {until}, seen at {now}")
    b.need(b.traffic() <= FEW, "a spent daily quota was asked again and again")
    other = b.connect()
    what = "another worker on the same account while the quota is spent"
    await b.refused(Landed(b.stream).pull(other), RateLimited, what)
    if b.manifest.pushes:
        find = other.find(b.rig.push_kind, [b.rig.wanted(0).key])
        await b.refused(find, RateLimited, "a push while the quota is spent")
    b.need(b.traffic() == 0, "the account was called although its quota is known to be spent")
    b.rig.restore()
    b.clock.advance((until - now).total_seconds() + 1)
    await landed.pull(connector)
    b.agree(landed, connector, "the day after")


async def _kept_limits(b: Bench, external_id: str) -> None:
    """Call until the budget makes us wait, near the end of its window: the vendor must never have had to refuse."""
    connector = b.connect()
    if not connector.budgets():
        raise Broken("the manifest gives no budget: state what the vendor allows")
    b.rig.limit()
    window_s = min(budget.window.total_seconds() for budget in connector.budgets() if budget.default_units)
    b.clock.advance(window_s - b.clock.now().timestamp() % window_s - window_s / 10)
    before, slept = b.rig.refusals(), len(b.clock.slept)
    for _ in range(MOST_FETCHES):
        await connector.fetch(b.stream, [external_id])
        if len(b.clock.slept) > slept:
            break
    else:
        raise Broken(f"{MOST_FETCHES} calls in no time, and the budget never held back")
    for _ in range(FEW):
        await connector.fetch(b.stream, [external_id])
    refused = b.rig.refusals() - before
    b.need(not refused, f"the vendor had to refuse {refused} calls: the budget exceeds its limit, or is not asked")


async def auth(b: Bench) -> None:
    """W13."""
    ids = b.rig.populate(12)
    connector = b.connect()
    landed = Landed(b.stream)
    await landed.pull(connector)
    held, cursor = dict(landed.bodies), landed.cursor
    if not b.skips("refresh"):
        asked = [[ids[n % len(ids)]] for n in range(b.effort.calls)]
        await asyncio.gather(*(connector.fetch(b.stream, part) for part in asked))  # lines open, so that all go at once
        before = b.rig.refreshes()
        b.rig.expire_token()
        found = await asyncio.gather(*(connector.fetch(b.stream, part) for part in asked))
        b.need(all(len(records) == 1 for records in found), "calls were lost when the token died under them")
        refreshes = b.rig.refreshes() - before
        b.need(refreshes == 1, f"{b.effort.calls} calls met one dead token and refreshed it {refreshes} times")
        b.rig.restore()
    scope = b.rig.deny_scope() if b.manifest.scopes else ""
    if scope:
        b.wait()
        b.rig.add()
        await b.refused(landed.pull(connector), ScopeError, f"losing {scope} without a word")
        b.need((landed.bodies, landed.cursor) == (held, cursor), f"losing {scope} changed what is held")
        b.rig.restore()
        await landed.pull(connector)
        b.agree(landed, connector, f"after {scope} was given back")
    b.rig.revoke()
    b.traffic()
    slept = len(b.clock.slept)
    await b.refused(landed.pull(connector), AuthError, "reading after access was withdrawn")
    b.need(
        b.traffic() <= FEW and len(b.clock.slept) == slept, "access is gone for good, and it was tried again and again"
    )
    b.same(landed.timeline(connector).live, b.rig.existing(), "what is held after access was withdrawn")
    await b.refused(b.connect().check(), AuthError, "check after access was withdrawn")
