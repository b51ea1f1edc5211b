"""Plan, approve, apply and undo at the system of record, under the destination's lease."""

import getpass
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from hub import outbox, parties
from hub import status as st
from hub.api import AuthError, ConfigError, HubError, Manifest, RateLimited
from hub.engine.engine import LEASE_TTL, Engine
from hub.outbox import Applied, Plan
from hub.store import LeaseLost, add_ids, change, micros, scalar
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
    refuse_disconnected(engine, name)
    return name


def refuse_disconnected(engine: Engine, name: str) -> None:
    if engine.is_disconnected(name):
        raise ConfigError(f"{name} is disconnected: `ihub sync {name}` takes it up again")


def destinations(engine: Engine) -> list[str]:
    """Every connection that is written to: the system of record first, then those told of fields and opt-outs."""
    s = engine.settings
    rules = [*s.fields.person.values(), *s.fields.organization.values()]
    named = [s.system_of_record.connection, *(n for r in rules for n in r.write_to)]
    named += [*s.consent.write_to, *s.meetings.write_to]
    return [n for n in dict.fromkeys(named) if n and s.connections[n].enabled and not engine.is_disconnected(n)]


def scope(engine: Engine, name: str = "") -> outbox.Scope:
    """What goes to a destination, "" for the system of record."""
    s = engine.settings
    name = name or destination(engine)
    rules = {"person": s.fields.person, "organization": s.fields.organization}
    fields = {
        kind: {f: parties.Rule(r.owner, r.precedence) for f, r in of.items() if name in r.write_to}
        for kind, of in rules.items()
    }
    row_id = engine._row(name)["id"]
    manifest = _manifest(engine, name)
    calendars = [n for n in s.connections if _is_calendar(engine, n)] if name in s.meetings.write_to else []
    kept = outbox.Scope(
        row_id, kinds=frozenset(), fields=fields, consents=name in s.consent.write_to,
        streams=tuple(x.name for x in manifest.streams if x.carries == "parties"),
        calendars=tuple(engine._row(n)["id"] for n in calendars),
    )  # fmt: skip
    if name != s.system_of_record.connection:
        return kept
    since, kinds = s.push_since_at(engine.clock.now()), frozenset(s.system_of_record.push)
    return replace(kept, create=s.contacts.create, since=since, kinds=kinds)


def _manifest(engine: Engine, name: str) -> Manifest:
    return engine.registry.get(engine.settings.connections[name].connector).manifest


def _is_calendar(engine: Engine, name: str) -> bool:
    return engine.settings.connections[name].enabled and _manifest(engine, name).channels[:1] == ("calendar",)


def _refuse_unwritable(engine: Engine, name: str, wanted: outbox.Scope) -> None:
    """Raises ConfigError naming the setting that asks a connector for what it does not write."""
    if wanted.calendars and not _is_calendar(engine, name):
        raise engine.settings.error(
            ("meetings", "write_to"), f"names {name}, and {_manifest(engine, name).title} is no calendar", f"leave {name} out"
        )  # fmt: skip
    if not wanted.consents and not any(wanted.fields.values()):
        return
    connector = engine.connector(name)
    what = connector.manifest.title
    for kind, rules in wanted.fields.items():
        can = connector.writable(kind)
        for name_of in sorted(set(rules) - can):
            has = f"it writes {', '.join(sorted(can))}" if can else f"it writes no field of a {kind}"
            raise engine.settings.error(
                ("fields", kind, name_of, "write_to"), f"names {name}, and {what} cannot be told {name_of}: {has}",
                f"leave {name} out, or map the field in the connection's settings",
            )  # fmt: skip
    if wanted.consents and "consent" not in connector.manifest.pushes:
        raise engine.settings.error(
            ("consent", "write_to"), f"names {name}, and {what} has no place for an opt-out", f"leave {name} out"
        )


def prove(engine: Engine, name: str) -> None:
    """Raises ConfigError when the settings want something written to this connection that it does not take."""
    if name in destinations(engine):
        _refuse_unwritable(engine, name, scope(engine, name))


def plan(engine: Engine, name: str = "") -> Plan:
    """What should change at a destination, "" for the system of record. An approved plan not finished yet is returned."""
    wanted = scope(engine, name)
    _refuse_unwritable(engine, name or destination(engine), wanted)
    s = engine.settings.system_of_record
    with engine.store.write() as c:
        if open_plan := outbox.newest(c, wanted.connection_id, ("approved", "applying")):
            return open_plan
        return outbox.make(c, wanted, engine.clock.now(), s.brake_percent, s.brake_count)


def conflicts(engine: Engine) -> list[tuple[str, outbox.Conflict]]:
    """(destination, field that waits for a person's choice), everywhere."""
    now = engine.clock.now()
    scopes = [(name, scope(engine, name)) for name in destinations(engine)]
    with engine.store.read() as c:
        return [(name, found) for name, wanted in scopes for found in outbox.conflicts(c, wanted, now)]


def approve(engine: Engine, plan_id: int, actor: str = "", nonce: str = "") -> Plan:
    """Raises ConfigError when there is no such plan, or it is not waiting for approval, or takes another nonce."""
    with engine.store.write() as c:
        found = outbox.read(c, plan_id)
        if found is None:
            raise ConfigError(f"there is no plan {plan_id}: `ihub plan` makes one")
        is_done = found.status in {"approved", "applying"} and not found.proposed
        if not is_done and not outbox.approve(c, plan_id, actor or _user(), engine.clock.now(), nonce):
            raise ConfigError(f"plan {plan_id} is {found.status}: `ihub plan` makes a new one")
        return found


_REJECT = (
    sa.update(t.plan)
    .where(t.plan.c.id == sa.bindparam("plan"), t.plan.c.status.in_(("draft", "held", "approved")))
    .values(status="rejected")
)


def reject(engine: Engine, plan_id: int) -> Plan:
    """Nothing of it is written. Raises ConfigError when there is no such plan, or it waits no more."""
    with engine.store.write() as c:
        found = outbox.read(c, plan_id)
        if found is None:
            raise ConfigError(f"there is no plan {plan_id}: `ihub plan` makes one")
        if not c.execute(_REJECT, {"plan": plan_id}).rowcount:
            raise ConfigError(f"plan {plan_id} is {found.status}: only a plan that waits can be rejected")
        return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def apply(engine: Engine, plan_id: int, progress: Callable[[int, int], None] | None = None) -> PushResult:
    """Apply an approved plan. Safe to call again after anything, a kill included.

    Raises ConfigError for a plan that nobody approved, or that was rejected, replaced or taken back.
    """
    refuse_disconnected(engine, destination_of(engine, plan_id))
    with engine.store.read() as c:
        found = outbox.read(c, plan_id)
    if found is not None and found.status not in outbox.APPROVED:
        what = "waits for approval" if found.status in {"draft", "held"} else f"is {found.status}"
        raise ConfigError(f"plan {plan_id} {what}: `ihub approve {plan_id}`, or `ihub plan` makes a new one")
    if found is not None and found.kind == outbox.MERGE:
        from hub.engine import duplicates

        return await duplicates.apply(engine, plan_id, progress)
    return await carry_out(engine, plan_id, outbox.apply, progress)


async def deliver(engine: Engine, name: str = "") -> PushResult | None:
    """Plan, approve and apply without asking at one destination; None when nothing is due.

    Held back: a plan the brake stopped, and everything after a person took the newest plan back.
    """
    made = plan(engine, name)
    if not made.id:
        return None
    if made.status == "held":
        return PushResult(made.id, st.DEGRADED, st.PARTLY, detail=f"held: {made.held}")
    if made.status == "draft":
        with engine.store.read() as c:
            last = outbox.newest(c, scope(engine, name).connection_id, ("applied", "partly", "undone"))
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
    if found.kind == outbox.MERGE:
        raise ConfigError(
            f"plan {plan_id} merged records at {destination_of(engine, plan_id)}, where that cannot be taken back: "
            f"`ihub identity snapshot {plan_id}` shows what they were"
        )
    if found.status not in {"applied", "partly", "undone"}:
        raise ConfigError(f"plan {plan_id} is {found.status}: only an applied plan can be taken back")
    return await carry_out(engine, plan_id, outbox.undo, None)


_DESTINATION = (
    sa.select(t.connection.c.name)
    .join(t.plan, t.plan.c.connection_id == t.connection.c.id)
    .where(t.plan.c.id == sa.bindparam("plan"))
)


def destination_of(engine: Engine, plan_id: int) -> str:
    """The connection a plan is for; the system of record for a plan nobody knows."""
    with engine.store.read() as c:
        return scalar(c, _DESTINATION, plan=plan_id) or destination(engine)


async def carry_out(engine: Engine, plan_id: int, step: Any, progress: Callable[[int, int], None] | None) -> PushResult:
    """Take one step with a plan under its destination's lease. step: of `outbox`, given a `Run` and the plan."""
    name = destination_of(engine, plan_id)
    row = engine._row(name)
    connector = engine.connector(name, row)
    run_row = {"connection_id": row["id"], "kind": "push", "started_at": micros(engine.clock.now())}
    result = PushResult(plan_id, st.HEALTHY, st.OK)
    try:
        async with engine.lease(f"outbox:{name}") as fence:
            if fence is None:
                return PushResult(plan_id, st.HEALTHY, st.PARTLY, detail="another worker is applying")
            with engine.store.write() as c:
                [run_id] = add_ids(c, t.run, [run_row])
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
                    "id": run_id, "ended_at": micros(engine.clock.now()), "status": result.status, "error": result.detail,
                    "seen": done, "requests": connector.http.requests,
                }  # fmt: skip
                change(c, t.run, [ended])
    finally:
        await connector.aclose()
    return result
