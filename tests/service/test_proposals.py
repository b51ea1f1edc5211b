"""Next steps that an assistant proposes: stored, approved by a person with a nonce made for that content, and made once."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from acorn import Vendor
from databases import on_sqlite
from world import START, World, mail

from hub.access import Forbidden, Invalid, Sees, Viewer, roles
from hub.api import ConfigError, Identifier, Person, Task
from hub.engine import push
from hub.outbox import steps
from hub.service import Desk, NotFound, customers, plans, proposals
from hub.store import Store
from hub.store import tables as t

KAY, SAM = "kay@kestrel.example", "sam@ourco.example"
MAY = frozenset({roles.CUSTOMERS_READ, roles.PLANS_PROPOSE})
ASSISTANT = Viewer(7, "Ana", MAY, Sees(everything=True), "u7", "token abc")
PERSON = Viewer(8, "Ben", roles.ALL, Sees(everything=True), "u8", "session")
DUE = START.date() + timedelta(days=3)


@pytest.fixture
def world(store: Store) -> World:
    """Kay has a record at the system of record, which has Sam's number, too."""
    team, sor = Vendor(), Vendor()
    team.mail(mail("m1", KAY, [SAM]))
    sor.put("parties", "p1", Person(external_id="p1", identifiers=(Identifier("email", KAY),), name="Kay Hill"))
    own = (Identifier("email", SAM), Identifier("acorn:users", "77"))
    sor.put("parties", "p2", Person(external_id="p2", identifiers=own, name="Sam"))
    world = World(store, {"team": team, "sor": sor}, sor="sor")
    world.sync()
    world.settle()
    return world


def kay(world: World) -> str:
    return str(customers.search(Desk(world.engine, PERSON), KAY)[0]["public_id"])


def read(world: World) -> str:
    return proposals.version(customers.brief(Desk(world.engine, ASSISTANT), kay(world)))


def propose(
    world: World, what: str = "Send the offer", key: str = "key-0001", who: Viewer = ASSISTANT, **more: Any
) -> Any:
    given: dict[str, Any] = {"expected_version": read(world), "key": key, "due": DUE} | more
    return proposals.propose_step(Desk(world.engine, who), given.pop("customer", kay(world)), what, **given)


def nonce(world: World, plan: int, who: Viewer = PERSON) -> str:
    return str(plans.approval(Desk(world.engine, who), plan)["nonce"])


def written(world: World) -> list[Task]:
    found = [c.entity for kind, _, c in world.vendors["sor"].objects.values() if kind == "task"]
    return [x for x in found if isinstance(x, Task)]


def test_a_proposal_is_approved_by_a_person_written_once_and_taken_back(world: World) -> None:
    made = propose(world, owner=SAM.upper())
    assert (made["status"], made["destination"]) == ("draft", "sor")
    assert made["effect"]["about"] == {"public_id": kay(world), "name": "Kay Hill"}
    assert (made["effect"]["title"], made["effect"]["owner"]) == ("Send the offer", SAM)
    assert written(world) == []
    of = Desk(world.engine, PERSON)
    shown = plans.plan(of, made["plan"])
    assert [(p["kind"], p["effect"], p["title"], p["links"]) for p in shown["preview"]] == [
        ("task", "create", "Send the offer", 1)
    ]
    assert shown["kind"] == "step"
    assert plans.approve(of, made["plan"], nonce(world, made["plan"]))["status"] == "approved"
    assert asyncio.run(plans.apply(of, made["plan"]))["done"] == {"created": 1}
    [task] = written(world)
    assert (task.title, task.due_at) == ("Send the offer", datetime.fromisoformat(f"{DUE}T17:00:00+00:00"))
    assert (task.owner, task.text) == (Identifier("acorn:users", "77"), "Proposed by an assistant of Ana.")
    assert world.plan().changes == 0, "what was proposed has no source that could have ended"
    assert asyncio.run(plans.undo(of, made["plan"]))["exit_code"] == 0
    assert written(world) == []


def test_the_same_key_is_the_same_proposal(world: World) -> None:
    first = propose(world)
    world.vendors["team"].mail(mail("m2", KAY, [SAM], minute=9))
    assert propose(world) == first
    world.sync("team")
    assert propose(world, expected_version="whatever it was") == first
    for more in ({"what": "Send another offer"}, {"due": DUE + timedelta(days=1)}, {"owner": SAM}):
        with pytest.raises(Invalid, match="idempotency_key stands for another proposal"):
            propose(world, **more)
    assert propose(world, who=replace(ASSISTANT, actor="u9"))["plan"] != first["plan"], "a key is its caller's own"
    assert world.one(sa.select(sa.func.count()).select_from(t.plan).where(t.plan.c.kind == "step")) == 2


@on_sqlite
def test_what_was_read_must_still_be_so(world: World) -> None:
    version = read(world)
    world.vendors["team"].mail(mail("m2", KAY, [SAM], minute=9))
    world.sync("team")
    with pytest.raises(proposals.Stale) as refused:
        propose(world, expected_version=version)
    assert refused.value.version == read(world) != version
    assert refused.value.version in str(refused.value)
    assert propose(world, expected_version=refused.value.version)["status"] == "draft"


# --- the nonce --------------------------------------------------------------------------------------------------------


def test_without_its_nonce_nobody_approves(world: World) -> None:
    plan, other = propose(world)["plan"], propose(world, "Call Kay", "key-0002")["plan"]
    of = Desk(world.engine, PERSON)
    guesses = [
        "",
        "yes",
        "0" * 32,
        nonce(world, plan).upper(),
        nonce(world, other),
        nonce(world, plan)[:-1],
        "ä",
        "\ud800",
    ]
    guesses.append(nonce(world, plan, replace(PERSON, actor="u9")))  # somebody else was shown it
    for guess in guesses:
        with pytest.raises(ConfigError, match="was proposed by an assistant"):
            plans.approve(of, plan, guess)
        with pytest.raises(ConfigError, match="was proposed by an assistant"):
            push.approve(world.engine, plan, PERSON.actor, guess)  # below the use cases, as the command line calls it
    with pytest.raises(ConfigError, match="waits for approval"):
        asyncio.run(plans.apply(of, plan))
    assert written(world) == []
    assert plans.approve(of, plan, nonce(world, plan))["status"] == "approved"


@on_sqlite
def test_a_nonce_is_over_by_itself_and_once_used(world: World) -> None:
    of = Desk(world.engine, PERSON)
    plan = propose(world)["plan"]
    told = plans.approval(of, plan)
    assert timedelta(minutes=15) <= told["until"] - of.now <= timedelta(minutes=30)
    world.clock.advance((told["until"] - world.clock.now()).total_seconds())
    with pytest.raises(ConfigError, match="does not fit, or is over"):
        plans.approve(of, plan, told["nonce"])
    fresh = nonce(world, plan)
    plans.approve(of, plan, fresh)
    with pytest.raises(ConfigError, match="is approved"):
        plans.approve(of, plan, fresh)
    plans.reject(of, plan)
    with pytest.raises(ConfigError, match="is rejected"):
        plans.approve(of, plan, fresh)
    assert plans.approval(of, plan) == {}


@on_sqlite
def test_a_nonce_is_for_the_content_that_was_shown(world: World) -> None:
    of, plan = Desk(world.engine, PERSON), propose(world)["plan"]
    shown = nonce(world, plan)
    payload = msgspec.msgpack.decode(bytes(world.one(sa.select(t.change.c.payload).where(t.change.c.plan_id == plan))))
    payload["entity"]["title"] = "Pay eve"
    with world.store.write() as c:
        c.execute(sa.update(t.change).where(t.change.c.plan_id == plan).values(payload=msgspec.msgpack.encode(payload)))
    with pytest.raises(ConfigError, match="does not fit"):
        plans.approve(of, plan, shown)


@on_sqlite
def test_a_token_does_not_approve_what_it_proposed(world: World) -> None:
    both = replace(ASSISTANT, permissions=roles.ALL)
    plan = propose(world, who=both)["plan"]
    assert plans.approval(Desk(world.engine, both), plan) == {}
    with pytest.raises(Forbidden, match="somebody else, or in the browser"):
        plans.approve(Desk(world.engine, both), plan, nonce(world, plan, replace(both, via="session")))
    its_person = replace(both, via="session")
    assert plans.approve(Desk(world.engine, its_person), plan, nonce(world, plan, its_person))["status"] == "approved"


@on_sqlite
def test_plans_of_no_assistant_take_none(world: World) -> None:
    world.vendors["team"].mail(mail("m2", "kim@kestrel.example", [SAM], minute=9))
    world.sync("team")
    of = Desk(world.engine, PERSON)
    plan = plans.propose(of)["plan"]
    assert plans.approval(of, plan) == {}
    assert plans.approve(of, plan)["status"] == "approved"
    with pytest.raises(NotFound):
        plans.approval(of, 4711)


@on_sqlite
def test_what_nonces_are_made_of_is_in_no_answer(world: World) -> None:
    plan = propose(world)["plan"]
    of = Desk(world.engine, PERSON)
    seal = world.one(sa.select(t.meta.c.value).where(t.meta.c.key == "approvals"))
    told = [plans.plan(of, plan), plans.plans(of), plans.approval(of, plan), plans.review(of, plan), plans.overview(of)]
    assert seal not in str([told, propose(world)])
    assert len(seal) > 40


# --- proposals that are none ------------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"what": ""}, "what does not fit"), ({"what": "a\nb"}, "what does not fit"), ({"what": "x" * 201}, "what does not fit"),
        ({"what": "call\u202eyak"}, "what does not fit"), ({"key": " "}, "idempotency_key does not fit"),
        ({"due": date(2020, 1, 1)}, "due is over"), ({"due": date(2099, 1, 1)}, "due is over, or years away"),
        ({"due": datetime(2026, 12, 1, 9)}, "due has no zone"), ({"owner": "eve@evil.example"}, "owner is nobody of ours"),
        ({"owner": KAY}, "owner is nobody of ours"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(world: World, more: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        propose(world, **more)
    assert world.one(sa.select(sa.func.count()).select_from(t.plan).where(t.plan.c.kind == "step")) == 0


@on_sqlite
def test_whom_the_system_of_record_does_not_know_is_not_written_about(world: World) -> None:
    world.vendors["team"].mail(mail("m2", "kim@elsewhere.example", [SAM], minute=9))
    world.sync("team")
    of = Desk(world.engine, ASSISTANT)
    for address, says in (
        ("kim@elsewhere.example", "customer has no record at sor yet"),
        (SAM, "customer is own, not a customer"),
    ):
        party = customers.search(Desk(world.engine, PERSON), address)[0]["public_id"]
        version = proposals.version(customers.brief(of, party))
        with pytest.raises(Invalid, match=says):
            propose(world, customer=party, expected_version=version)
    with pytest.raises(NotFound):
        propose(world, customer="nobody")
    for missing in MAY:
        with pytest.raises(Forbidden, match=missing):
            proposals.propose_step(
                Desk(world.engine, replace(ASSISTANT, permissions=MAY - {missing})), kay(world), "x", DUE, expected_version="", key="k"
            )  # fmt: skip


@on_sqlite
def test_no_more_wait_than_people_can_look_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MOST_WAITING", 2)
    first = propose(world, key="key-1")["plan"]
    propose(world, key="key-2")
    with pytest.raises(Invalid, match="proposal would be more than 2 that wait"):
        propose(world, key="key-3")
    assert propose(world, key="key-3", who=replace(ASSISTANT, actor="u9"))["status"] == "draft"
    plans.reject(Desk(world.engine, PERSON), first)
    assert propose(world, key="key-3")["status"] == "draft"


@on_sqlite
def test_without_a_system_of_record_that_takes_tasks_there_is_nothing_to_propose(world: World) -> None:
    alone = World(world.store, world.vendors)
    with pytest.raises(ConfigError, match="no system of record is chosen"):
        propose(alone)


@on_sqlite
def test_what_is_proposed_goes_with_whom_it_is_about(world: World) -> None:
    about = kay(world)
    plan = propose(world)["plan"]
    with world.store.write() as c:
        plans.outbox.strip(c, [about])
    payload = world.one(sa.select(t.change.c.payload).where(t.change.c.plan_id == plan))
    assert b"offer" not in bytes(payload)
