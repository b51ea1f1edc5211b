"""Use cases: who may ask what, and that a private mailbox shows in no answer to anybody but its owner."""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from cryptography.fernet import Fernet
from estates import kept
from world import World, mail, who

from hub.access import Forbidden, Invalid, Sees, Viewer, roles
from hub.api import ConfigError, Identifier, Person
from hub.service import Desk, NotFound, customers, health, hooks, people, plans, reports
from hub.service import who as identities
from hub.store import Store, marks
from hub.store import tables as t

ANA, BEN = "ana@ourco.example", "ben@ourco.example"
KAY, SECRET = "kay@kestrel.example", "canary"


def estate(store: Store) -> World:
    """Ana's mailbox is her own. In it: a mail with somebody nobody else knows, and Kay's second, private address."""
    vendors = {"anas": Vendor(), "team": Vendor(), "sor": Vendor()}
    world = World(store, vendors, sor="sor", anas={"private": True, "owner": ANA})
    world.engine.keep_private()
    both = mail(
        "both",
        KAY,
        participants=(who(KAY, "from", "Kay Hill"), who(ANA, "to", "Ana")),
        text="Both of us know.",
        body="Both of us know.",
    )
    alone = mail("secret", f"{SECRET}@clinic.example", [KAY], subject=f"About my {SECRET}", body=f"my {SECRET} words")
    vendors["anas"].mail(alone)
    vendors["anas"].mail(both)
    vendors["team"].mail(both)
    vendors["team"].mail(mail("order", "kim@kestrel.example", body="Order more."))
    for tool, number, address in (("anas", "7", f"{SECRET}.kay@home.example"), ("team", "8", "kay@elsewhere.example")):
        ids = (Identifier("acorn:users", number), Identifier("email", KAY), Identifier("email", address))
        vendors[tool].put("parties", f"p{number}", Person(external_id=number, identifiers=ids, name="Kay Hill"))
    vendors["team"].put("mail", "broken", {"not": "a record"})
    world.sync()
    return world


@pytest.fixture
def world(kept_store: Store) -> World:
    """The estate, only looked at: built once a database."""
    return kept(kept_store, "service", estate)


def desk(world: World, email: str = "", permissions: frozenset[str] = roles.ALL) -> Desk:
    viewer = Viewer(1, email, permissions, Sees(email), "u1") if email else Viewer.local("tester")
    return Desk(world.engine, viewer)


def party(world: World, text: str) -> str:
    return str(customers.search(desk(world), text)[0]["public_id"])


def entry(world: World, subject: str) -> str:
    return str(world.one(sa.select(t.interaction.c.public_id).where(t.interaction.c.subject == subject)))


# --- who may ask ------------------------------------------------------------------------------------------------------

ASKED: dict[str, tuple[Callable[..., Any], str, tuple[Any, ...]]] = {
    "search": (customers.search, roles.CUSTOMERS_READ, ("kay",)),
    "search_text": (customers.search_text, roles.BODIES_READ, ("kay",)),
    "brief": (customers.brief, roles.CUSTOMERS_READ, ("nobody",)),
    "timeline": (customers.timeline, roles.CUSTOMERS_READ, ("nobody",)),
    "recent": (customers.recent, roles.CUSTOMERS_READ, ()),
    "gaps": (customers.gaps, roles.CUSTOMERS_READ, ()),
    "members": (customers.members, roles.CUSTOMERS_READ, ("nobody",)),
    "entry": (customers.entry, roles.CUSTOMERS_READ, ("nothing",)),
    "body": (customers.body, roles.BODIES_READ, ("nothing",)),
    "conversation": (customers.conversation, roles.CUSTOMERS_READ, ("nothing",)),
    "beginning_with": (customers.beginning_with, roles.CUSTOMERS_READ, ("i",)),
    "health": (health.health, roles.HEALTH_READ, ()),
    "quarantine": (health.quarantine, roles.QUARANTINE_REPLAY, ()),
    "replay": (health.replay, roles.QUARANTINE_REPLAY, ("nowhere",)),
    "sync": (health.sync, roles.CONNECTIONS_MANAGE, ("nowhere",)),
    "listing": (reports.listing, roles.REPORTS_READ, ()),
    "report": (reports.report, roles.REPORTS_READ, ("volume",)),
    "page": (reports.page, roles.REPORTS_READ, ("volume",)),
    "spreadsheet": (reports.spreadsheet, roles.REPORTS_READ, ("nothing",)),
    "endpoints": (hooks.endpoints, roles.HOOKS_MANAGE, ()),
    "endpoint": (hooks.endpoint, roles.HOOKS_MANAGE, ("ep_x",)),
    "event_types": (hooks.event_types, roles.HOOKS_MANAGE, ()),
    "add": (hooks.add, roles.HOOKS_MANAGE, ("http://127.0.0.1/", ["*"])),
    "edit": (hooks.edit, roles.HOOKS_MANAGE, ("ep_x",)),
    "pause": (hooks.pause, roles.HOOKS_MANAGE, ("ep_x",)),
    "resume": (hooks.resume, roles.HOOKS_MANAGE, ("ep_x",)),
    "rotate": (hooks.rotate, roles.HOOKS_MANAGE, ("ep_x",)),
    "remove": (hooks.remove, roles.HOOKS_MANAGE, ("ep_x",)),
    "deliveries": (hooks.deliveries, roles.HOOKS_MANAGE, ("ep_x",)),
    "resend": (hooks.resend, roles.HOOKS_MANAGE, ("ep_x", "evt_x")),
    "replay_events": (hooks.replay, roles.HOOKS_MANAGE, ("ep_x", 0)),
    "test": (hooks.test, roles.HOOKS_MANAGE, ("ep_x",)),
    "overview": (plans.overview, roles.PLANS_READ, ()),
    "review": (plans.review, roles.PLANS_READ, (99,)),
    "plans": (plans.plans, roles.PLANS_READ, ()),
    "plan": (plans.plan, roles.PLANS_READ, (99,)),
    "propose": (plans.propose, roles.PLANS_PROPOSE, ("nowhere",)),
    "approval": (plans.approval, roles.PLANS_APPROVE, (99,)),
    "approve": (plans.approve, roles.PLANS_APPROVE, (99,)),
    "reject": (plans.reject, roles.PLANS_APPROVE, (99,)),
    "apply": (plans.apply, roles.PLANS_APPROVE, (99,)),
    "undo": (plans.undo, roles.PLANS_APPROVE, (99,)),
    "party": (identities.party, roles.IDENTITY_REVIEW, ("nobody",)),
    "why_same": (identities.why_same, roles.IDENTITY_REVIEW, ("a", "b")),
    "why_not": (identities.why_not, roles.IDENTITY_REVIEW, ("a", "b")),
    "queue": (identities.queue, roles.IDENTITY_REVIEW, ()),
    "asked_by_rule": (identities.asked_by_rule, roles.IDENTITY_REVIEW, ()),
    "question": (identities.question, roles.IDENTITY_REVIEW, (99,)),
    "names": (identities.names, roles.IDENTITY_REVIEW, (["u1"],)),
    "act": (identities.act, roles.IDENTITY_REVIEW, (99,)),
    "hubs": (identities.hubs, roles.IDENTITY_REVIEW, ()),
    "history": (identities.history, roles.IDENTITY_REVIEW, ()),
    "expected": (identities.expected, roles.IDENTITY_DECIDE, ("merge", "nobody", "nobody")),
    "perform": (identities.perform, roles.IDENTITY_DECIDE, ("merge", "nobody", "nobody")),
    "people": (people.listing, roles.USERS_MANAGE, ()),
    "person": (people.person, roles.USERS_MANAGE, ("nobody",)),
    "myself": (people.myself, roles.TOKENS_OWN, ()),
    "account": (people.add, roles.USERS_MANAGE, ("x@ourco.example", "", ["no role"])),
    "code": (people.code, roles.USERS_MANAGE, ("nobody",)),
    "set_roles": (people.set_roles, roles.USERS_MANAGE, ("nobody", ["viewer"])),
    "enable": (people.enable, roles.USERS_MANAGE, ("nobody", True)),
    "end_sessions": (people.end_sessions, roles.USERS_MANAGE, ("nobody",)),
    "make_token": (people.make_token, roles.TOKENS_OWN, ("Sheet", ["reports.read"], 30)),
    "revoke_token": (people.revoke_token, roles.USERS_MANAGE, ("nothing",)),
    "events": (people.events, roles.LEDGER_READ, ()),
}


def test_every_use_case_is_in_the_table() -> None:
    found = {
        call
        for module in (customers, health, hooks, people, plans, reports, identities)
        for name, call in vars(module).items()
        if inspect.isfunction(call) and call.__module__ == module.__name__ and not name.startswith("_")
    }
    assert found - {hooks.manager, hooks.courier} == {call for call, _, _ in ASKED.values()}


def ask(call: Callable[..., Any], *given: Any) -> Any:
    found = call(*given)
    return asyncio.run(found) if inspect.iscoroutine(found) else found


@pytest.mark.parametrize("name", ASKED)
def test_a_use_case_asks_for_its_permission_and_for_no_other(world: World, name: str) -> None:
    call, permission, given = ASKED[name]
    with pytest.raises(Forbidden, match=permission):
        ask(call, desk(world, BEN, roles.ALL - {permission}), *given)
    try:
        ask(call, desk(world, BEN, frozenset({permission})), *given)
    except (NotFound, ConfigError, Invalid):
        pass  # what was asked for is not there: but it was looked for


# --- what is private --------------------------------------------------------------------------------------------------


def test_a_private_mailbox_shows_to_its_owner_alone(world: World) -> None:
    assert customers.search(desk(world, BEN), SECRET) == []
    assert [p["name"] for p in customers.search(desk(world, ANA), SECRET)] != []
    kay = party(world, KAY)
    for email in (BEN, "cleo@ourco.example"):
        of = desk(world, email)
        told = [customers.brief(of, kay), customers.timeline(of, kay), customers.search(of, "kay")]
        told += [customers.recent(of), customers.gaps(of)]
        told += [reports.report(of, name) for name in reports.reports.REPORTS]
        told += [identities.queue(of), identities.history(of, with_the_hubs=True), identities.hubs(of)]
        told += [
            customers.entry(of, entry(world, "About both")),
            customers.conversation(of, entry(world, "About both")),
        ]
        assert SECRET not in json.dumps(told, default=str), email
        assert [e["subject"] for e in customers.timeline(of, kay)["entries"]] == ["About both"]
        assert customers.brief(of, kay)["relationship"]["interactions"] == 1
        assert customers.brief(of, kay)["relationship"]["by_channel"] == {"email": 1}
    whole = customers.timeline(desk(world, ANA), kay)
    assert [e["subject"] for e in whole["entries"]] == [f"About my {SECRET}", "About both"]
    assert customers.brief(desk(world, ANA), kay)["relationship"]["by_channel"] == {"email": 2}


def test_words_of_a_private_mailbox_are_found_by_its_owner_alone(world: World) -> None:
    for asked, whose in ((SECRET, None), ("know", None), ("my", party(world, KAY))):
        for email in (BEN, "cleo@ourco.example"):
            page = customers.search_text(desk(world, email), asked, party=whose)
            assert [e["subject"] for e in page["entries"]] == (["About both"] if asked == "know" else [])
        assert customers.search_text(desk(world, ANA), asked, party=whose)["entries"] != []
    [both] = customers.search_text(desk(world, BEN), "know")["entries"]
    assert {s["connection"] for s in both["sources"]} == {"team"}
    with pytest.raises(NotFound, match="no person"):
        customers.search_text(desk(world, BEN), "know", party=party(world, f"{SECRET}@clinic.example"))
    for wrong in ({"limit": 0}, {"before": "x"}):
        with pytest.raises(Invalid, match="limit|before"):
            customers.search_text(desk(world), "know", **wrong)


def test_what_is_not_seen_is_as_if_it_were_not_there(world: World) -> None:
    hidden, of = entry(world, f"About my {SECRET}"), desk(world, BEN)
    stranger = party(world, f"{SECRET}@clinic.example")
    for call, given in ((customers.entry, hidden), (customers.body, hidden), (customers.conversation, hidden)):
        with pytest.raises(NotFound, match=f"no entry '{given}'"):
            call(of, given)
    for call in (customers.brief, customers.timeline, identities.party):
        with pytest.raises(NotFound, match=f"no person or organization '{stranger}'"):
            call(of, stranger)
    assert customers.beginning_with(of, hidden[:4]) in (
        [],
        [i for i in customers.beginning_with(of, hidden[:4]) if i != hidden],
    )
    with pytest.raises(NotFound, match="nothing is known of"):
        identities.why_same(of, f"{SECRET}.kay@home.example", KAY)


def test_evidence_from_a_private_connection_is_judged_by_who_sees_it(world: World) -> None:
    kay = party(world, KAY)
    for call, given in (
        (identities.party, (kay,)), (identities.why_same, (KAY, KAY)), (identities.expected, ("split", KAY)),
        (identities.perform, ("merge", kay, kay)),
    ):  # fmt: skip
        with pytest.raises(Forbidden, match="private to somebody else") as refused:
            call(desk(world, BEN), *given)
        assert SECRET not in str(refused.value)
    shown = identities.party(desk(world, ANA), kay)
    assert f"{SECRET}.kay@home.example" in {a["text"] for a in shown["addresses"]}


def test_texts_are_for_who_may_read_them(world: World) -> None:
    of = replace(desk(world), viewer=Viewer(1, ANA, roles.allowed(["operator"]), Sees(ANA), "u1"))
    kay, both = party(world, KAY), entry(world, "About both")
    told = [
        customers.timeline(of, kay),
        customers.entry(of, both),
        customers.brief(of, kay),
        customers.conversation(of, both),
    ]
    assert "know" not in json.dumps(told, default=str)
    assert customers.body(desk(world, ANA), both) == {"text": "Both of us know.", "whole": "Both of us know."}


# --- asked well, and badly --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, -1, customers.MOST + 1])
def test_pages_have_a_size(world: World, limit: int) -> None:
    with pytest.raises(Invalid, match="limit"):
        customers.timeline(desk(world), party(world, KAY), limit=limit)


@pytest.mark.parametrize("mark", ["x", "12-", "-", "1-x"])
def test_a_strange_mark_is_refused(world: World, mark: str) -> None:
    with pytest.raises(Invalid, match="before"):
        customers.timeline(desk(world), party(world, KAY), before=mark)


def test_an_act_there_is_not_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="merge, different, split"):
        identities.perform(desk(world), "apply", "x")
    with pytest.raises(Invalid, match="after"):
        identities.queue(desk(world), after=4711)


def test_who_is_who_is_changed_and_changed_back(store: Store) -> None:
    world = estate(store)
    of = desk(world)
    kay, kim = party(world, KAY), party(world, "kim@kestrel.example")
    before = customers.timeline(of, kay)
    expected = identities.expected(of, "merge", kay, kim)
    assert party(world, "kim@kestrel.example") == kim  # looked at, not done
    done = identities.perform(of, "merge", kay, kim, why="one desk")
    assert done["changed"] == expected
    assert party(world, "kim@kestrel.example") == party(world, KAY)
    assert identities.history(of)[0]["actor"] == of.viewer.actor
    assert len(customers.timeline(of, party(world, KAY))["entries"]) == 3
    identities.perform(of, "undo", done["act"])
    assert customers.timeline(of, kay) == before


def test_a_plan_is_proposed_approved_made_and_taken_back(store: Store) -> None:
    world = estate(store)
    of = desk(world)
    made = plans.propose(of)
    shown = plans.plan(of, made["plan"])
    assert shown["destination"] == "sor"
    assert shown["preview"]
    assert plans.plans(of)[0]["plan"] == made["plan"]
    assert plans.approve(of, made["plan"])["status"] == "approved"
    assert plans.plans(of)[0]["approved_by"] == of.viewer.actor
    assert asyncio.run(plans.apply(of, made["plan"]))["exit_code"] == 0
    assert asyncio.run(plans.undo(of, made["plan"]))["exit_code"] == 0
    again = plans.propose(of)
    assert plans.reject(of, again["plan"])["status"] == "rejected"
    with pytest.raises(ConfigError, match="rejected"):
        plans.approve(of, again["plan"])


def test_records_that_failed_are_shown_and_taken_in_again(store: Store) -> None:
    world = estate(store)
    of = desk(world)
    assert [r["external_id"] for r in health.quarantine(of)] == ["broken"]
    rows = asyncio.run(health.replay(of, "team"))
    assert sum(r["seen"] for r in rows) == 1
    assert {x["connection"] for x in health.health(of)["connections"]} == {"anas", "team", "sor"}
    assert asyncio.run(health.sync(of, "team"))["connection"] == "team"


@pytest.fixture
def told_of(store: Store) -> Iterator[Store]:
    """Nothing is noted any more when the test is over: other tests use the same database."""
    yield store
    marks.arm(store, ())


def test_an_endpoint_of_somebody_s_private_mailbox_is_theirs_alone(
    told_of: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    world = World(told_of, {"team": Vendor()})
    ana, ben = desk(world, ANA), desk(world, BEN)
    own = hooks.add(ana, "https://hooks.example/a", ["*"], is_own=True)
    shared = hooks.add(ben, "https://hooks.example/b", ["deal.*"])
    assert (own["owner"], shared["owner"]) == (ANA, "")
    assert [e["endpoint"] for e in hooks.endpoints(ben)] == [shared["endpoint"]]
    assert len(hooks.endpoints(ana)) == len(hooks.endpoints(desk(world))) == 2
    for call, given in (
        (hooks.endpoint, ()), (hooks.edit, ("https://evil.example/",)), (hooks.rotate, ()), (hooks.deliveries, ()),
        (hooks.pause, ()), (hooks.resume, ()), (hooks.remove, ()), (hooks.resend, ("evt",)), (hooks.replay, (0,)), (hooks.test, ()),
    ):  # fmt: skip
        with pytest.raises(NotFound, match="no endpoint"):
            ask(call, ben, own["endpoint"], *given)
    assert hooks.edit(ana, own["endpoint"], description="mine")["description"] == "mine"
    assert hooks.rotate(ana, own["endpoint"])["secret"] != own["secret"]
    assert hooks.pause(ben, shared["endpoint"], "later")["state"] == "paused"
    assert hooks.resume(ben, shared["endpoint"])["state"] == "active"
    assert hooks.replay(ben, shared["endpoint"], 0) == {"events": 0}
    with pytest.raises(NotFound, match="no event"):
        hooks.resend(ben, shared["endpoint"], "evt_x")
    hooks.remove(ben, shared["endpoint"])
    assert hooks.endpoints(ben) == []
    with pytest.raises(Forbidden, match="mailbox"):
        hooks.add(desk(world), "https://hooks.example/c", ["*"], is_own=True)
