"""Brings events to endpoints: a worker for each, in order for each customer, again after what failed, safe to kill.

A delivery is due until its outcome is noted. Killed in between, the next worker sends the same event with the same id
once more. A lease keeps two processes off one endpoint, and proves itself in the transaction that notes an outcome.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from hub.api import Clock, HubError
from hub.hooks import line, signature
from hub.hooks.endpoints import Endpoint, Endpoints, close_issues, disable, endpoint, endpoints, source
from hub.hooks.line import Job
from hub.hooks.past import prune, trial
from hub.hooks.relay import relay
from hub.hooks.sender import Answer, Sender
from hub.store import LeaseLost, Store, acquire, add_ids, change, instant, micros, new_holder, release, renew
from hub.store import tables_hooks as h

log = logging.getLogger("hub.hooks")
SCHEDULE_S = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)  # behind each try that failed; Standard Webhooks'
TRIES = len(SCHEDULE_S) + 1
JITTER = 0.1
LEAST_WAIT_S, MOST_WAIT_S = 1.0, 86400.0  # within these a receiver's Retry-After counts
FAILING_DAYS = 5  # then it is disabled
IN_A_ROW = 10  # failures of different events, then it is tried with one at a time, and not at once
HOLD_S, LONGEST_HOLD_S = 30.0, 3600.0
LEASE_TTL = timedelta(seconds=60)
PRUNE_EVERY = timedelta(hours=1)


class _Sent(NamedTuple):
    job: Job
    answer: Answer
    at: datetime


class Courier:
    """One for a process; close it, or use it as a context. base_url: of the REST API, in front of the links in events.

    at_once: calls under way at one endpoint. keep: how long events and their log stay. jitter: 0 to 1.
    """

    def __init__(
        self, store: Store, hooks: Endpoints, clock: Clock, sender: Sender, *, base_url: str = "", at_once: int = 8,
        keep: timedelta = timedelta(days=30), jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._store, self._hooks, self._clock, self._sender = store, hooks, clock, sender
        self._base_url, self._at_once, self._keep, self._jitter = base_url, at_once, keep, jitter
        self._source = ""
        self._pruned_at: datetime | None = None
        self._at_work: dict[int, asyncio.Task[int]] = {}

    async def __aenter__(self) -> "Courier":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what is under way, and hang up."""
        for task in self._at_work.values():
            task.cancel()
        if self._at_work:
            await asyncio.wait(self._at_work.values())
        await self._sender.aclose()

    async def run(self, every_s: float = 2.0) -> None:
        """Until cancelled; looks for what changed and what is due so often."""
        is_armed = False
        while True:
            try:
                if not is_armed:
                    await asyncio.to_thread(self._hooks.arm)
                    is_armed = True
                await self._look()
            except Exception:  # a database that is away for a while must not end it; what is due stays due
                log.exception("webhooks could not be looked after")
            await self._clock.sleep(every_s)

    async def deliver(self) -> datetime | None:
        """All that is due now; returns when the next is due, None when nothing waits for a time of its own."""
        while True:
            await self._look()
            sent = await asyncio.gather(*self._at_work.values(), return_exceptions=True)
            if not any(isinstance(n, int) and n for n in sent):  # nothing is due, or somebody else is on it
                await self._look()
                return await asyncio.to_thread(self._next_at)

    async def _look(self) -> None:
        """Relay what was noted, and have a worker wherever something is due."""
        for number in [n for n, task in self._at_work.items() if task.done()]:
            try:
                self._at_work.pop(number).result()
            except (LeaseLost, HubError) as exc:
                log.warning("webhooks to endpoint %d: %s", number, exc)
        for to in await asyncio.to_thread(self._due):
            if to.id not in self._at_work:
                self._at_work[to.id] = asyncio.create_task(self._serve(to), name=f"webhooks to {to.public_id}")

    def _due(self) -> list[Endpoint]:
        """Endpoints that something may be sent to now."""
        now = self._clock.now()
        if not self._source:
            with self._store.read() as c:
                if not endpoints(c):
                    return []
            self._source = source(self._store)
        while relay(self._store, now, self._source, self._base_url).marks:
            pass
        if self._pruned_at is None or now - self._pruned_at >= PRUNE_EVERY:
            prune(self._store, now - self._keep)
            self._pruned_at = now
        with self._store.read() as c:
            return [
                to for to in endpoints(c)
                if _is_open(to, now) and (at := line.next_at(c, to.id)) is not None and at <= micros(now)
            ]  # fmt: skip

    def _next_at(self) -> datetime | None:
        found = []
        with self._store.read() as c:
            for to in endpoints(c):
                at = line.next_at(c, to.id) if to.state == "active" else None
                if at is not None:
                    found.append(max(instant(at), to.held_until or instant(at)))
        return min(found, default=None)

    async def _serve(self, to: Endpoint) -> int:
        """Send while something is due there; how many calls were made."""
        name, holder = f"hook:{to.public_id}", new_holder()
        fence = await asyncio.to_thread(acquire, self._store, name, holder, self._clock.now(), LEASE_TTL)
        if fence is None:
            return 0
        under_way: dict[asyncio.Task[_Sent], Job] = {}
        count = 0
        try:
            while True:
                most = (1 if to.in_a_row >= IN_A_ROW else self._at_once) - len(under_way)
                jobs, secrets = await asyncio.to_thread(self._ready, to, most, [j.id for j in under_way.values()])
                for job in jobs:
                    under_way[asyncio.create_task(self._send(to, job, secrets))] = job
                if not under_way:
                    return count
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                sent = [task.result() for task in done]
                for task in done:
                    del under_way[task]
                count += len(sent)
                noted = await asyncio.to_thread(self._note, to, sent, name, fence)
                if noted is None:
                    return count
                to = noted
        finally:
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.wait(under_way)
            await asyncio.shield(asyncio.to_thread(release, self._store, name, fence))

    def _ready(self, to: Endpoint, most: int, without: Sequence[int]) -> tuple[list[Job], list[str]]:
        """What to send next, and the secrets that sign it."""
        now = self._clock.now()
        if most <= 0 or not _is_open(to, now):
            return [], []
        with self._store.read() as c:
            jobs = line.ready(c, to.id, micros(now), most, without)
        try:
            return jobs, self._hooks.secrets(to) if jobs else []
        except HubError as exc:
            with self._store.write() as c:
                disable(c, to, "webhook-secret", str(exc), now)
            return [], []

    async def _send(self, to: Endpoint, job: Job, secrets: Sequence[str]) -> _Sent:
        at, body = self._clock.now(), job.body.encode()
        headers = signature.headers(secrets, job.public_id, int(at.timestamp()), body)
        answer = await self._sender.post(to.url, body, headers, [*secrets, headers["webhook-signature"]])
        return _Sent(job, answer, at)

    def _note(self, to: Endpoint, sent: Sequence[_Sent], lease: str, fence: int) -> Endpoint | None:
        """What came of these calls, in one transaction; the endpoint as it stands then, None when it is no more.

        Raises LeaseLost when another worker took the endpoint over: it will send them again.
        """
        now = self._clock.now()
        with self._store.write() as c:
            renew(c, lease, fence, now, LEASE_TTL)
            line.lock(c, [to.id])
            found = next((e for e in endpoints(c) if e.id == to.id), None)
            if found is None:
                return None
            add_ids(c, h.attempt, [
                {
                    "delivery_id": s.job.id, "at": micros(s.at), "ms": s.answer.ms, "status": s.answer.status,
                    "error": s.answer.error, "answer": s.answer.text,
                }
                for s in sent
            ])  # fmt: skip
            good = [s for s in sent if s.answer.is_ok]
            bad = [s for s in sent if not s.answer.is_ok]
            ended = [(s.job, "done", s.job.tries + 1) for s in good]
            ended += [(s.job, "failed", TRIES) for s in bad if s.job.tries + 1 >= TRIES and s.answer.status != 410]
            line.over(c, to.id, ended, micros(now))
            kept = {job.id for job, _, _ in ended}
            line.again(c, [
                (s.job, s.job.tries + 1, micros(now + self._wait(s))) for s in bad if s.job.id not in kept
            ])  # fmt: skip
            if good and found.failing_since is not None:
                close_issues(c, found, now)
            return self._judge(c, _standing(c, found, bool(good), len(bad), now), bad, now)

    def _judge(self, c: sa.Connection, found: Endpoint, bad: Sequence[_Sent], now: datetime) -> Endpoint:
        """Disable a receiver that is gone, or that has failed for days."""
        if found.state != "active" or not bad:
            return found
        if any(s.answer.status == 410 for s in bad):
            return disable(c, found, "webhook-gone", "the receiver answered 410: it is gone", now)
        if found.failing_since and now - found.failing_since >= timedelta(days=FAILING_DAYS):
            why = f"every call failed for {FAILING_DAYS} days: {_word(bad[-1].answer)}"
            return disable(c, found, "webhook-failing", why, now)
        return found

    def _wait(self, s: _Sent) -> timedelta:
        seconds = SCHEDULE_S[min(s.job.tries, len(SCHEDULE_S) - 1)] * (1 + JITTER * self._jitter())
        if s.answer.retry_after_s is not None and s.answer.status in (429, 502, 503, 504):
            seconds = min(max(s.answer.retry_after_s, LEAST_WAIT_S), MOST_WAIT_S)
        return timedelta(seconds=seconds)

    async def test(self, public_id: str) -> Answer:
        """Send an event that tells of nothing, now, whatever the endpoint's state. Raises NoSuchEndpoint."""
        with self._store.read() as c:
            found = endpoint(c, public_id)
        name, body = trial(source(self._store), self._clock.now())
        secrets = self._hooks.secrets(found)
        headers = signature.headers(secrets, name, int(self._clock.now().timestamp()), body)
        return await self._sender.post(found.url, body, headers, [*secrets, headers["webhook-signature"]])


def _is_open(to: Endpoint, now: datetime) -> bool:
    return to.state == "active" and (to.held_until is None or to.held_until <= now)


def _standing(c: sa.Connection, found: Endpoint, is_good: bool, failed: int, now: datetime) -> Endpoint:
    """How the endpoint does after these calls. failed: how many of them did."""
    in_a_row = failed if is_good else found.in_a_row + failed
    stands = replace(
        found, in_a_row=in_a_row, last_ok_at=now if is_good else found.last_ok_at,
        failing_since=None if is_good else found.failing_since or now,
        held_until=now + _hold(in_a_row) if in_a_row >= IN_A_ROW and failed else None,
    )  # fmt: skip
    change(c, h.endpoint, [{
        "id": found.id, "in_a_row": in_a_row, "last_ok_at": _or_none(stands.last_ok_at),
        "failing_since": _or_none(stands.failing_since), "held_until": _or_none(stands.held_until),
    }])  # fmt: skip
    return stands


def _hold(in_a_row: int) -> timedelta:
    return timedelta(seconds=min(HOLD_S * 2.0 ** min(in_a_row - IN_A_ROW, 20), LONGEST_HOLD_S))


def _or_none(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _word(answer: Answer) -> str:
    return answer.error or f"it answered {answer.status}"
