"""Plan, approve, apply and undo at the system of record, under the destination's lease."""

import getpass
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub import outbox
from hub import status as st
from hub.api import AuthError, ConfigError, HubError, RateLimited
from hub.engine.engine import LEASE_TTL, Engine
from hub.outbox import Applied, Plan
from hub.store import LeaseLost, micros
from hub.store import tables as t


@dataclass
class PushResult:
    """How an application ended: status word, exit code, counts, the failures with the destination's words."""

    plan_id: int
    status: str
    exit_code: int
    applied: Applied = field(default_factory=Applied)
    detail: str = ""

    @property
    def summary(self) -> str:
        """The outcome as one line."""
        done = ", ".join(f"{n} {outcome}" for outcome, n in sorted(self.applied.done.items())) or "nothing written"
        failed = f", {len(self.applied.failures)} failed" if self.applied.failures else ""
        return f"plan {self.plan_id}: {done}{failed}" + (f" ({self.detail})" if self.detail else "")

    def to_dict(self) -> dict[str, Any]:
        return {
            "plan": self.plan_id, "status": self.status, "exit_code": self.exit_code, "detail": self.detail,
            **self.applied.to_dict(),
        }  # fmt: skip


def destination(engine: Engine) -> str:
    """The connection that is the system of record. Raises ConfigError when none is chosen."""
    name = engine.settings.system_of_record.connection
    if not name:
        raise ConfigError(
            "no system of record is chosen: set system_of_record.connection in the configuration to a connection's name"
        )
    return name


def scope(engine: Engine) -> outbox.Scope:
    s = engine.settings
    kinds = frozenset(k for k in s.system_of_record.push)
    since = s.push_since_at(engine.clock.now())
    return outbox.Scope(engine._row(destination(engine))["id"], s.contacts.create, since, kinds)


def plan(engine: Engine) -> Plan:
    """What should change at the system of record. An approved plan that is not finished yet is returned as it is."""
    wanted = scope(engine)
    s = engine.settings.system_of_record
    with engine.store.write() as c:
        if open_plan := outbox.newest(c, wanted.connection_id, ("approved", "applying")):
            return open_plan
        return outbox.make(c, wanted, engine.clock.now(), s.brake_percent, s.brake_count)


def approve(engine: Engine, plan_id: int, actor: str = "") -> Plan:
    """Raises ConfigError when there is no such plan, or it is not waiting for approval."""
    with engine.store.write() as c:
        found = outbox.read(c, plan_id)
        if found is None:
            raise ConfigError(f"there is no plan {plan_id}: `ihub plan` makes one")
        if found.status not in {"approved", "applying"} and not outbox.approve(
            c, plan_id, actor or _user(), engine.clock.now()
        ):
            raise ConfigError(f"plan {plan_id} is {found.status}: `ihub plan` makes a new one")
        return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def apply(engine: Engine, plan_id: int, progress: Callable[[int, int], None] | None = None) -> PushResult:
    """Apply an approved plan. Safe to call again after anything, a kill included."""
    return await _run(engine, plan_id, outbox.apply, progress)


async def deliver(engine: Engine) -> PushResult | None:
    """Plan, approve and apply without asking; None when nothing is due.

    Held back: a plan the brake stopped, and everything after a person took the newest plan back.
    """
    made = plan(engine)
    if not made.id:
        return None
    if made.status == "held":
        return PushResult(made.id, st.DEGRADED, st.PARTLY, detail=f"held: {made.held}")
    if made.status == "draft":
        with engine.store.read() as c:
            last = outbox.newest(c, scope(engine).connection_id, ("applied", "partly", "undone"))
        if last is not None and last.status == "undone":
            return PushResult(made.id, st.DEGRADED, st.PARTLY, detail="held: the plan before it was taken back")
        approve(engine, made.id, "auto")
    return await apply(engine, made.id)


async def undo(engine: Engine, plan_id: int) -> PushResult:
    """Take an applied plan back."""
    with engine.store.read() as c:
        found = outbox.read(c, plan_id)
    if found is None:
        raise ConfigError(f"there is no plan {plan_id}")
    if found.status not in {"applied", "partly", "undone"}:
        raise ConfigError(f"plan {plan_id} is {found.status}: only an applied plan can be taken back")
    return await _run(engine, plan_id, outbox.undo, None)


async def _run(engine: Engine, plan_id: int, step: Any, progress: Callable[[int, int], None] | None) -> PushResult:
    name = destination(engine)
    row = engine._row(name)
    connector = engine.connector(name)
    run_row = {"connection_id": row["id"], "kind": "push", "started_at": micros(engine.clock.now())}
    result = PushResult(plan_id, st.HEALTHY, st.OK)
    try:
        async with engine.lease(f"outbox:{name}") as fence:
            if fence is None:
                return PushResult(plan_id, st.HEALTHY, st.PARTLY, detail="another worker is applying")
            with engine.store.write() as c:
                run_id = int(c.execute(sa.insert(t.run).values(**run_row).returning(t.run.c.id)).scalar_one())
            run = outbox.Run(engine.store, connector, row["id"], engine.clock, f"outbox:{name}", fence, LEASE_TTL)
            if progress:
                run.progress = progress
            try:
                result.applied = await step(run, plan_id)
                if result.applied.failures:
                    result.status, result.exit_code = st.DEGRADED, st.PARTLY
            except RateLimited as exc:
                result.status, result.exit_code, result.detail = st.WAITING, st.PARTLY, str(exc)
            except AuthError as exc:
                result.status, result.exit_code, result.detail = st.RECONNECT, st.REAUTH, str(exc)
            except (HubError, LeaseLost) as exc:
                result.status, result.exit_code, result.detail = st.DEGRADED, st.FAILED, str(exc)
            with engine.store.write() as c:
                done = sum(result.applied.done.values()) + len(result.applied.failures)
                ended = {
                    "ended_at": micros(engine.clock.now()), "status": result.status, "error": result.detail,
                    "seen": done, "requests": connector.http.requests,
                }  # fmt: skip
                c.execute(sa.update(t.run).where(t.run.c.id == run_id).values(**ended))
    finally:
        await connector.aclose()
    return result
