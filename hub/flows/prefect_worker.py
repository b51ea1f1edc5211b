"""Prefect's half: one dispatcher deployment, its schedule, and the worker that runs it in this process.

The only module that imports Prefect; it is imported inside the scheduler thread. The worker polls our work pool the
way Prefect's own workers do, but starts the flow here: a spawned process a run costs 2.2 CPU-seconds, this 0.1-0.2
(DEPENDENCIES.md, "Costs"). It never loads code named by the API: whatever a deployment says, only our flow runs.

A tick with nothing due is deleted unrun, so Prefect's lists show work and not 8,640 empty runs a day.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, tags
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import filters as by
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.context import AsyncClientContext, FlowRunContext
from prefect.exceptions import ObjectNotFound, PrefectException, PrefectSignal
from prefect.flow_engine import run_flow_async
from prefect.logging.handlers import APILogHandler
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending

from hub.flows.bridge import Bridge
from hub.flows.dispatch import Outcome
from hub.flows.gate import Gate, first

log = logging.getLogger("hub.flows")
DISPATCH = "interaction-hub-dispatch"
SYNC = "interaction-hub-sync"
HEARTBEAT_S = 30.0
STOP_WAIT_S = 10.0
RETRY_S = 1.0
# What talking to a server that is away, busy or wiped can raise.
TROUBLE = (httpx.HTTPError, PrefectException, OSError)
# What Prefect's engine can raise around a flow; its signals (Abort, for a run cancelled in its UI) are no Exceptions.
LOST = (Exception, PrefectSignal)


class RunLogs(APILogHandler):
    """Sends what the logger "hub" says inside a run to that run's page in Prefect; outside a run it does nothing.

    The run travels in a context variable, which follows tasks and `asyncio.to_thread`, not bare threads.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if FlowRunContext.get() is not None:
            super().emit(record)


def final_state(outcome: Outcome) -> State[Any]:
    if outcome.kind == "done":
        return Completed(message=outcome.message)
    if outcome.kind == "cancelled":
        return Cancelled(message=outcome.message)
    return Failed(name=outcome.status[:100].capitalize() or "Failed", message=outcome.message)


class Worker:
    """Polls our pool and runs due ticks until told to stop. All of it on the scheduler thread's event loop."""

    def __init__(self, bridge: Bridge, pool: str, tick_s: float) -> None:
        self.bridge = bridge
        self.pool = pool
        self.tick_s = tick_s
        self.name = f"{socket.gethostname()}-{os.getpid()}".replace("/", "-").replace("%", "-")
        self.last_contact_at = datetime.now(UTC)
        self._began_at = self.last_contact_at
        self._deployment: UUID | None = None
        self._beat_at = datetime.min.replace(tzinfo=UTC)
        self._ticks: dict[UUID, asyncio.Task[None]] = {}
        self._subflows: set[UUID] = set()  # begun and not yet settled in Prefect
        self._owed: dict[UUID, State[Any]] = {}  # final states Prefect could not take while its server was away
        self._dispatch = self._make_flows()

    def _make_flows(self) -> Any:
        bridge, subflows, owed = self.bridge, self._subflows, self._owed
        mine: ContextVar[list[UUID]] = ContextVar("mine")  # tells `recorded` which run its `sync` became

        @flow(name=SYNC, flow_run_name="{connection}", validate_parameters=False, persist_result=False)
        async def sync(connection: str) -> State[Any]:
            """One connection, start to end. The work is done by the engine on the hub's own loop."""
            context = FlowRunContext.get()
            run_id = context.flow_run.id if context and context.flow_run else None
            if run_id:
                mine.get().append(run_id)
                subflows.add(run_id)
            state = final_state(await bridge.run(connection))
            if run_id:
                owed[run_id] = state  # until the engine below has told Prefect
            return state

        async def recorded(connection: str) -> bool:
            """Run one subflow. False when it did not end well, or when Prefect lost sight of it."""
            begun: list[UUID] = []
            mine.set(begun)
            try:
                state: State[Any] = await sync(connection, return_state=True)
            except LOST as exc:  # isolates: Prefect went away or was told to cancel; the sync is safe on its own loop
                log.warning("%s: Prefect could not record the run (%s)", connection, _short(exc))
                return False
            else:
                for run_id in begun:
                    owed.pop(run_id, None)
                return state.is_completed()
            finally:
                subflows.difference_update(begun)
                await bridge.release(connection)

        # Nothing is ever stored there, and subflows inherit it. Said outright because Prefect otherwise asks its server
        # for a default place, twice a run, blocking, over a connection that it never closes.
        @flow(name=DISPATCH, validate_parameters=False, persist_result=False, result_storage=Path(os.devnull))
        async def dispatch() -> State[Any]:
            """Run what is due, a subflow each, refilling slots as they free up; each connection once a tick."""
            seen: set[str] = set()
            running: set[asyncio.Task[bool]] = set()
            well = 0
            while True:
                for name in await bridge.claim(seen):
                    seen.add(name)
                    running.add(asyncio.create_task(recorded(name)))
                if not running:
                    return Completed(message=f"{len(seen)} run, {len(seen) - well} not well")
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                well += sum(task.result() for task in done)

        return dispatch

    async def run(self, stop: asyncio.Event, up: Gate, ready: Callable[[], None]) -> None:
        """Poll while `up`; register again after every trouble (registering drops ticks that were missed)."""
        handler = RunLogs()
        logging.getLogger("hub").addHandler(handler)
        try:
            await first(stop.wait(), up.opened.wait())
            if stop.is_set():
                return
            async with AsyncClientContext() as shared:  # flow runs find it here and open no client each
                await self._loop(shared.client, stop, up, ready)
                await self._finish(shared.client)
        finally:
            logging.getLogger("hub").removeHandler(handler)

    async def _loop(self, client: PrefectClient, stop: asyncio.Event, up: Gate, ready: Callable[[], None]) -> None:
        registered, told = False, False
        while not stop.is_set():
            if up.shut.is_set():
                registered = False
                await first(stop.wait(), up.opened.wait())
                continue
            turn = asyncio.ensure_future(self._turn(client, registered))
            await first(turn, stop.wait(), up.shut.wait())
            if not turn.done():
                turn.cancel()
                continue
            try:
                delay = turn.result()
            except Exception as exc:  # a schedule must outlive whatever its server answers; said once an outage
                if registered or not told:
                    unknown = not isinstance(exc, TROUBLE)
                    log.warning("trouble with the Prefect server: %s", _short(exc), exc_info=unknown)
                registered, told, delay = False, True, RETRY_S
            else:
                self.last_contact_at = datetime.now(UTC)
                if not registered:
                    registered, told = True, False
                    ready()
            await first(stop.wait(), up.shut.wait(), timeout_s=delay)

    async def _turn(self, client: PrefectClient, registered: bool) -> float:
        """One round with the server. Returns seconds until the next."""
        if not registered:
            await self._register(client)
        for run_id, state in list(self._owed.items()):
            if run_id not in self._subflows and run_id not in self._ticks:
                with suppress(ObjectNotFound):
                    await client.set_flow_run_state(run_id, state, force=True)
                self._owed.pop(run_id, None)
        now = datetime.now(UTC)
        if (now - self._beat_at).total_seconds() >= HEARTBEAT_S:
            await client.send_worker_heartbeat(self.pool, self.name, HEARTBEAT_S)
            self._beat_at = now
        return await self._poll(client)

    async def _register(self, client: PrefectClient) -> None:
        """Our pool, our one deployment, nothing else in the pool; the first time, also no runs of a dead hub."""
        try:
            await client.read_work_pool(self.pool)
        except ObjectNotFound:
            await client.create_work_pool(WorkPoolCreate(name=self.pool, type="interaction-hub"))
        flow_id = await client.create_flow_from_name(DISPATCH)
        schedule = IntervalSchedule(interval=timedelta(seconds=self.tick_s), anchor_date=datetime.now(UTC))
        ours = await client.create_deployment(
            flow_id, self.pool, schedules=[DeploymentScheduleCreate(schedule=schedule)], work_pool_name=self.pool,
            tags=[self.pool], paused=False, description="Runs the connections that the hub's database says are due.",
        )  # fmt: skip
        pool_only = by.WorkPoolFilter(name=by.WorkPoolFilterName(any_=[self.pool]))
        for found in await client.read_deployments(work_pool_filter=pool_only):
            if found.id != ours:
                log.info("removing the stale deployment %s", found.name)
                await client.delete_deployment(found.id)
        if self._deployment is None:
            await self._sweep(client)
        self._deployment = ours

    async def _sweep(self, client: PrefectClient) -> None:
        """Prefect leaves the runs of a killed process "Running" for ever (its issue 16746): end them."""
        types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
        left = by.FlowRunFilter(
            tags=by.FlowRunFilterTags(all_=[self.pool]),
            state=by.FlowRunFilterState(type=by.FlowRunFilterStateType(any_=types)),
        )
        for run in await client.read_flow_runs(flow_run_filter=left):
            if run.id not in self._ticks and run.created and run.created < self._began_at:
                lost: State[Any] = Crashed(
                    message="the hub ended during this run; its own database knows how far it came"
                )
                await client.set_flow_run_state(run.id, lost, force=True)

    async def _poll(self, client: PrefectClient) -> float:
        """Start the newest tick that is due. Older ones are dropped: one look at what is due makes up for them."""
        now = datetime.now(UTC)
        horizon = now + timedelta(seconds=2 * self.tick_s)
        answer = await client.get_scheduled_flow_runs_for_work_pool(self.pool, scheduled_before=horizon)
        runs = sorted(((_start(entry.flow_run), entry.flow_run) for entry in answer), key=lambda pair: pair[0])
        due = [run for at, run in runs if at <= now and run.id not in self._ticks]
        for run in due[:-1]:
            await _delete(client, run.id)
        if due:
            await self._start_tick(client, due[-1])
        ahead = [(at - datetime.now(UTC)).total_seconds() for at, _ in runs if at > now]
        return min(max(min(ahead, default=1.0), 0.05), self.tick_s, HEARTBEAT_S)

    async def _start_tick(self, client: PrefectClient, run: FlowRun) -> None:
        if run.deployment_id != self._deployment or not await self._has_work():
            await _delete(client, run.id)
            return
        task = asyncio.create_task(self._tick(client, run))
        self._ticks[run.id] = task
        task.add_done_callback(lambda _: self._ticks.pop(run.id, None))

    async def _has_work(self) -> bool:
        try:
            return await self.bridge.has_work()
        except Exception:  # isolates: the hub's database is in trouble; the next tick asks again
            log.exception("the engine could not say what is due")
            return False

    async def _tick(self, client: PrefectClient, run: FlowRun) -> None:
        try:
            # Pending is the claim: Prefect refuses it to a second worker on the same pool.
            pending: State[Any] = Pending()
            answer = await client.set_flow_run_state(run.id, pending)
            if answer.status != SetStateStatus.ACCEPT:
                return
            # Without its deployment's id: a run that has one gets a thread, a client and a poll every ten seconds to
            # see whether somebody suspended it.
            run = run.model_copy(update={"state": answer.state, "deployment_id": None})
            with tags(self.pool):
                await run_flow_async(self._dispatch, flow_run=run, parameters={}, return_type="state")
        except LOST as exc:  # isolates: one tick lost its server; its syncs are safe, the next tick looks again
            log.warning("Prefect lost a dispatch run: %s", _short(exc))
            self._owed[run.id] = Crashed(message="the Prefect server was away when this run ended")

    async def _finish(self, client: PrefectClient) -> None:
        """Let ticks settle, then pause the schedule so that an outside server does not pile up late runs."""
        if self._ticks:
            _, left = await asyncio.wait(self._ticks.values(), timeout=STOP_WAIT_S)
            for task in left:
                task.cancel()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                if self._deployment is not None:
                    await client.pause_deployment(self._deployment)
                await RunLogs.aflush()
        except (*TROUBLE, TimeoutError) as exc:
            log.debug("the schedule could not be paused: %s", _short(exc))


def _start(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or run.expected_start_time or datetime.now(UTC)


def _short(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}".splitlines()[0][:200]


async def _delete(client: PrefectClient, run_id: UUID) -> None:
    with suppress(ObjectNotFound):
        await client.delete_flow_run(run_id)
