"""Next steps that assistants propose: stored, shown, and written to the system of record only once a person approved them."""

import json
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from typing import Any
from zoneinfo import ZoneInfo

from hub.access import Invalid
from hub.access.roles import PLANS_PROPOSE
from hub.api import ConfigError
from hub.engine import push
from hub.outbox import steps
from hub.service import customers
from hub.service.desk import Desk

Row = dict[str, Any]
LONGEST = 200  # characters of a step, and of a key
FARTHEST = timedelta(days=5 * 366)
_ENDS = time(17)  # of a day that is given without a time, where the hub is
_TOLD = ("party", "responsible", "next_step", "relationship")  # and the last entry; the rest is how fresh it is


class Stale(ConfigError):
    """The customer's brief says something else by now. version: the one it has."""

    def __init__(self, version: str) -> None:
        super().__init__(f"the brief has changed since: read it again; its version is {version}")
        self.version = version


def version(brief: Row) -> str:
    """Names what a brief told: another one as soon as anything of it is another. brief: as `customers.brief` gave it.

    The same for all who see the same rows, may they read texts or not.
    """
    last = {**brief["last"], "snippet": ""} if brief["last"] else None
    told = json.dumps([last, *(brief[name] for name in _TOLD)], sort_keys=True, default=str)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def propose_step(
    desk: Desk, customer: str, what: str, due: datetime | date, *, owner: str = "", expected_version: str, key: str
) -> Row:
    """Propose one task at the system of record, for a person to approve; nothing is written to any tool by this.

    customer: a public id; due: a day, or an instant; owner: a colleague's address; expected_version: `version` of the brief that
    the proposal comes from; key: the caller's own for this proposal, under which it is made once.
    -> {"plan", "status", "destination", "effect": {"creates", "title", "due_at", "owner", "about"}, "next": what is to be done}.
    Raises Forbidden, NotFound, Stale, ConfigError without a system of record that takes tasks, and Invalid.
    """
    desk.viewer.must(PLANS_PROPOSE)
    what, key, at = _line(what, "what"), _line(key, "idempotency_key"), _instant(desk, due)
    known = customers.brief(desk, customer)
    about = known["party"]
    if about["kind"] not in {"person", "organization"}:
        raise Invalid(f"is {about['kind']}, not a customer", field="customer", fix="name a person or an organization")
    destination, connection_id, connector = _takes_tasks(desk)
    named = about["name"] or customer
    with desk.engine.store.write() as c:
        doer, owner_id = _owner(c, connector, owner)
        text = f"Proposed by an assistant of {desk.viewer.name or desk.viewer.actor}."
        if doer and owner_id is None:
            text += f" For {doer}."
        step = steps.Step(customer, what, text, at, owner_id)
        by = steps.Proposer(desk.viewer.actor, desk.viewer.via, key, desk.viewer.name)
        try:
            plan = steps.find(c, connection_id, step, by)
            if plan is None:
                if expected_version != (fresh := version(known)):
                    raise Stale(fresh)
                _in_time(desk, at)
                plan = steps.propose(c, connection_id, step, by, named, desk.now)
        except steps.KeyUsed:
            raise Invalid(
                "stands for another proposal", field="idempotency_key", fix="take a new one for each"
            ) from None
        except steps.NotThere:
            fix = "the next plan may make the contact there; propose the step then"
            raise Invalid(f"has no record at {destination} yet", field="customer", fix=fix) from None
        except steps.TooMany:
            fix = "a person approves or rejects those first"
            raise Invalid(f"would be more than {steps.MOST_WAITING} that wait", field="proposal", fix=fix) from None
    return {
        "plan": plan.id, "status": plan.status, "destination": destination,
        "effect": {
            "creates": "task", "title": what, "due_at": at, "owner": doer, "about": {"public_id": customer, "name": named},
        },
        "next": f"Nothing is written yet. A person looks at plan {plan.id} and approves it, or rejects it; no assistant can.",
    }  # fmt: skip


def _line(text: str, field: str) -> str:
    """One line that shows all it says. Raises Invalid."""
    line = text.strip()
    if not 1 <= len(line) <= LONGEST or not line.isprintable():
        raise Invalid("does not fit", field=field, fix=f"one line of 1 to {LONGEST} characters that can be seen")
    return line


def _instant(desk: Desk, due: datetime | date) -> datetime:
    if not isinstance(due, datetime):
        due = datetime.combine(due, _ENDS, ZoneInfo(str(desk.engine.settings.hub.timezone)))
    if due.tzinfo is None:
        raise Invalid("has no zone", field="due", fix="a day, 2026-12-01, or an instant, 2026-12-01T09:00:00+01:00")
    return due.astimezone(UTC)


def _in_time(desk: Desk, at: datetime) -> None:
    if not desk.now < at <= desk.now + FARTHEST:
        raise Invalid("is over, or years away", field="due", fix="a day from today on, within five years")


def _takes_tasks(desk: Desk) -> tuple[str, int, str]:
    """(name, row, connector) of the system of record. Raises ConfigError."""
    name = push.destination(desk.engine)
    manifest = desk.engine.registry.get(desk.engine.settings.connections[name].connector).manifest
    if "task" not in manifest.pushes:
        raise ConfigError(f"{name} is the system of record, and {manifest.title} takes no tasks from here")
    return name, push.scope(desk.engine, name).connection_id, manifest.name


def _owner(c: Any, connector: str, address: str) -> tuple[str, Any]:
    address = address.strip().lower()
    if not address:
        return "", None
    is_ours, known = steps.colleague(c, connector, address)
    if not is_ours:
        raise Invalid("is nobody of ours", field="owner", fix="a colleague's address, as the tools have it")
    return address, known
