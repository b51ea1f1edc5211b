"""Next steps that an assistant proposes: each a plan of its own, one task at the system of record, written by nobody unasked.

The task's key there is made from who proposed it and under which key of theirs: proposed twice it is one plan, and applied
twice one task.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change, Identifier, Link, Task
from hub.outbox import nonces, places, plans
from hub.outbox.places import Party
from hub.outbox.wanted import PHASES, Wanted, state_hash
from hub.store import fetch, short_id
from hub.store import tables as t

MOST_WAITING = 50  # of one proposer's


@dataclass(frozen=True)
class Step:
    """about: the public id of whom it is about; owner: who is to do it, as the tool knows them, where it does."""

    about: str
    title: str
    text: str
    due_at: datetime
    owner: Identifier | None = None


@dataclass(frozen=True)
class Proposer:
    """actor: who answers for it; via: how they came; key: theirs for this proposal; named: how people know them."""

    actor: str
    via: str
    key: str
    named: str


class NotThere(Exception):
    """The customer has no record at the system of record that a task could be filed under."""


class TooMany(Exception):
    """So many of this proposer's wait already."""


class KeyUsed(Exception):
    """The key stands for another proposal."""


def find(c: Connection, connection_id: int, step: Step, by: Proposer) -> plans.Plan | None:
    """What was proposed before under the same key; whoever comes at the same time waits here. Raises KeyUsed."""
    c.execute(sa.select(t.connection.c.id).where(t.connection.c.id == connection_id).with_for_update())
    for plan_id, payload in fetch(c, _THIS, key=_key(by)):
        if _meant(msgspec.msgpack.decode(payload)) != _meant(msgspec.msgpack.decode(plans.encode(_wanted(step, by)))):
            raise KeyUsed
        return plans.read(c, plan_id)
    return None


def propose(c: Connection, connection_id: int, step: Step, by: Proposer, name: str, now: datetime) -> plans.Plan:
    """Store a proposal that `find` did not find, as a plan that waits. name: the customer's, for people.

    Raises NotThere and TooMany.
    """
    [about] = places.by_key(c, [step.about])
    places.load(c, connection_id, [about])
    if not about.places:
        raise NotThere
    if _waiting(c, by.actor) >= MOST_WAITING:
        raise TooMany
    nonces.begin(c)
    plan = plans.begin(c, connection_id, now, plans.STEP)
    plan.proposed = {"by": by.actor, "named": by.named, "via": by.via}
    return plans.finish(c, plan, plans.store(c, plan, [_wanted(step, by, about, name)]))


def _key(by: Proposer) -> str:
    return short_id("n", by.actor, by.key)


def keys_about(c: Connection, public_ids: set[str]) -> list[str]:
    """Keys of the proposals about these parties, for what has to go with them."""
    rows = fetch(c, _ALL) if public_ids else []
    return [key for key, payload in rows if {x["key"] for x in msgspec.msgpack.decode(payload)["links"]} & public_ids]


def waiting(c: Connection) -> list[int]:
    """The plans that wait for a person, the oldest first."""
    return [plan_id for plan_id, _ in fetch(c, _WAITING)]


_OWNERS = (
    sa.select(t.identifier.c.scheme, t.identifier.c.value)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .where(
        t.party.c.kind == "own",
        t.party.c.id.in_(
            sa.select(t.identifier.c.party_id).where(
                t.identifier.c.scheme == "email", t.identifier.c.value == sa.bindparam("address")
            )
        ),
    )
    .order_by(t.identifier.c.id)
)  # fmt: skip


def colleague(c: Connection, connector: str, address: str) -> tuple[bool, Identifier | None]:
    """(whether the address is one of ours, how the tool knows them: None where it does not)."""
    rows = fetch(c, _OWNERS, address=address)
    known = (Identifier(scheme, value) for scheme, value in rows if scheme.startswith(f"{connector}:"))
    return bool(rows), next(known, None)


def _wanted(step: Step, by: Proposer, about: Party | None = None, name: str = "") -> Wanted:
    links = tuple(about.links()) if about else (Link("person", step.about),)
    task = Task(external_id=_key(by), title=step.title, text=step.text, due_at=step.due_at, owner=step.owner)
    change = Change(key=_key(by), kind="task", op="upsert", entity=task, links=links)
    return Wanted(PHASES["task"], "create", change, state_hash(change, [about] if about else ()), title=name)


_THIS = sa.select(t.change.c.plan_id, t.change.c.payload).where(t.change.c.key == sa.bindparam("key"))
_OF_STEPS = sa.select(t.plan.c.id).where(t.plan.c.kind == plans.STEP)
_ALL = sa.select(t.change.c.key, t.change.c.payload).where(t.change.c.plan_id.in_(_OF_STEPS))
_WAITING = (
    sa.select(t.plan.c.id, t.plan.c.counts)
    .where(t.plan.c.kind == plans.STEP, t.plan.c.status == "draft")
    .order_by(t.plan.c.id)
)


def _meant(plain: dict[str, Any]) -> tuple[Any, ...]:
    """What was asked for, without what the tool has been learnt to call it since."""
    return plain["entity"], {x["key"] for x in plain["links"]}


def _waiting(c: Connection, actor: str) -> int:
    return sum(json.loads(counts)["proposed"]["by"] == actor for _, counts in fetch(c, _WAITING))
