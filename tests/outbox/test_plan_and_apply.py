"""What we owe the system of record: planned, applied as shown, each thing exactly once, and taken back."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from acorn import Killed, Vendor
from databases import on_sqlite
from world import START, US, World, crash_in_commit, mail, who

from hub import outbox
from hub import status as st
from hub.api import (
    AuthError,
    ConfigError,
    Identifier,
    Interaction,
    Organization,
    Person,
    RateLimited,
    Transient,
)
from hub.engine import push
from hub.engine.engine import LEASE_TTL
from hub.outbox import preview, read
from hub.store import LeaseLost, Store, acquire
from hub.store import tables as t


def hub(store: Store, *letters: Interaction, **more: Any) -> World:
    """A hub with a mailbox `a` already synced and an empty system of record `sor`."""
    source = Vendor()
    for letter in letters or default_letters():
        source.mail(letter)
    world = World(store, {"a": source, "sor": Vendor()}, sor="sor", **more)
    world.sync("a")
    return world


def default_letters() -> list[Interaction]:
    return [
        mail("m1"), mail("m2", f"sam@{US}", ["ana@kestrel.example"], minute=1),
        mail("m3", "bo@other.example", cc=["ana@kestrel.example"], minute=2), mail("m4", "cy@gmail.com", minute=3),
    ]  # fmt: skip


def sor(world: World) -> Vendor:
    return world.vendors["sor"]


def pushed(world: World, kind: str = "interaction") -> dict[str, Any]:
    """Title of each living object of a kind at the destination -> what was written."""
    held = sor(world).held(kind)
    found = {}
    for remote_id in held.values():
        entity: Any = sor(world).objects[remote_id][2].entity
        found[getattr(entity, "subject", "") or getattr(entity, "name", "") or str(entity.identifiers[0].value)] = (
            entity
        )
    return found


# --- plan and apply -----------------------------------------------------------------------------------------------


@on_sqlite
def test_a_plan_keeps_its_promise(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    assert plan.counts == {
        "interaction": {"create": 4, "update": 0, "delete": 0}, "person": {"create": 3, "update": 0, "delete": 0},
        "organization": {"create": 2, "update": 0, "delete": 0},
    }  # fmt: skip
    assert sor(world).log == []
    result = world.apply(plan.id)
    assert (result.status, result.exit_code) == (st.HEALTHY, st.OK)
    assert result.applied.done == {"created": plan.changes}
    held = {kind: len(sor(world).held(kind)) for kind in plan.counts}
    assert held == {kind: effects["create"] for kind, effects in plan.counts.items()}
    assert set(pushed(world)) == {"About m1", "About m2", "About m3", "About m4"}
    again = world.plan()
    assert (again.id, again.changes, again.unchanged) == (0, 0, 4)


@on_sqlite
def test_companies_come_before_people_and_people_before_what_hangs_on_them(store: Store) -> None:
    world = hub(store)
    world.apply(world.plan().id)
    kinds = [line.split()[1] for line in sor(world).log]
    assert kinds == sorted(kinds, key=["organization", "person", "interaction"].index)


@on_sqlite
def test_an_interaction_carries_everybody_and_its_links(store: Store) -> None:
    world = hub(store)
    world.apply(world.plan().id)
    entity = pushed(world)["About m3"]
    assert {(p.role, p.identifier.value) for p in entity.participants} == {
        ("from", "bo@other.example"), ("to", f"sam@{US}"), ("cc", "ana@kestrel.example"),
    }  # fmt: skip
    assert (entity.direction, entity.text, entity.kind) == ("inbound", "Text of m3", "message")
    [change] = [c for _, _, c in sor(world).objects.values() if c.key == entity.external_id]
    assert sorted(link.kind for link in change.links) == ["organization", "organization", "person", "person"]
    assert all(link.remote_id for link in change.links)


def test_our_own_people_and_mailing_lists_become_no_contacts(store: Store) -> None:
    world = hub(store, mail("m1", "info@kestrel.example", [f"sam@{US}", "dev@lists.other.example"]))
    world.apply(world.plan().id)
    assert pushed(world, "person") == {}
    assert set(pushed(world, "organization")) == {"kestrel.example"}


@on_sqlite
def test_what_changes_is_updated_and_what_goes_is_deleted(store: Store) -> None:
    world = hub(store)
    world.settle()
    world.vendors["a"].mail(mail("m1", text="Edited"))
    world.vendors["a"].delete("mail", "m3")
    world.sync("a")
    plan = world.plan()
    assert plan.counts == {"interaction": {"create": 0, "update": 1, "delete": 1}}
    assert world.apply(plan.id).applied.done == {"updated": 1, "deleted": 1}
    assert pushed(world)["About m1"].text == "Edited"
    assert "About m3" not in pushed(world)
    assert world.plan().id == 0
    world.vendors["a"].mail(mail("m3", "bo@other.example", cc=["ana@kestrel.example"], minute=2))
    world.sync("a")
    world.settle()
    assert "About m3" in pushed(world)


def test_a_change_that_is_taken_back_before_the_plan_is_no_change(store: Store) -> None:
    world = hub(store)
    world.settle()
    world.vendors["a"].mail(mail("m1", text="Edited"))
    world.sync("a")
    world.vendors["a"].mail(mail("m1"))
    world.sync("a")
    assert world.plan().changes == 0


@on_sqlite
def test_a_change_between_plan_and_apply_is_in_the_next_plan(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    world.vendors["a"].mail(mail("m1", text="Edited meanwhile"))
    world.sync("a")
    world.apply(plan.id)
    assert pushed(world)["About m1"].text == "Text of m1"
    assert world.plan().counts == {"interaction": {"create": 0, "update": 1, "delete": 0}}
    world.settle()
    assert pushed(world)["About m1"].text == "Edited meanwhile"


def test_a_page_whose_clock_was_read_before_the_plan_but_committed_after_is_not_lost(store: Store) -> None:
    from acorn import body

    from hub.api import Page, RawRecord
    from hub.engine.page import take

    world = hub(store)
    run = world.run("a")
    read_at = world.clock.now()
    world.settle()
    page = Page(records=[RawRecord("m1", body(mail("m1", text="Slow page")))], cursor="")
    take(run, page, read_at, None)
    world.settle()
    assert pushed(world)["About m1"].text == "Slow page"


@on_sqlite
def test_a_deletion_between_plan_and_apply_is_in_the_next_plan(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    world.vendors["a"].delete("mail", "m1")
    world.sync("a")
    world.apply(plan.id)
    world.settle()
    assert "About m1" not in pushed(world)


def test_people_the_destination_has_already_are_used_not_made_again(store: Store) -> None:
    world = hub(store)
    contact = Person(
        external_id="c77", identifiers=(Identifier("acorn:contacts", "c77"), Identifier("email", "ana@kestrel.example"))
    )
    company = Organization(
        external_id="c78", identifiers=(Identifier("acorn:companies", "c78"), Identifier("domain", "kestrel.example"))
    )
    sor(world).put("parties", "c77", contact)
    sor(world).put("parties", "c78", company)
    sor(world).objects["c77"] = ("person", "theirs", None)  # type: ignore[assignment]
    sor(world).objects["c78"] = ("organization", "theirs too", None)  # type: ignore[assignment]
    world.sync("sor")
    plan = world.plan()
    assert plan.counts["person"]["create"] == 2
    assert plan.counts["organization"]["create"] == 1
    world.apply(plan.id)
    linked = {link.remote_id for kind, _, c in sor(world).objects.values() if kind == "interaction" for link in c.links}
    assert {"c77", "c78"} <= linked


@on_sqlite
def test_what_came_from_the_destination_itself_is_not_pushed_back(store: Store) -> None:
    world = hub(store)
    sor(world).mail(mail("m1"))
    world.sync("sor")
    plan = world.plan()
    assert plan.counts["interaction"]["create"] == 3
    assert plan.not_due == {"already at the system of record": 1}
    world.settle()
    assert world.plan().changes == 0


def test_an_echo_is_no_change(store: Store) -> None:
    world = hub(store)
    world.settle()
    for key in sor(world).held("interaction"):
        sor(world).mail(mail(f"e-{key}", dedup_keys=(f"hub-key:{key}",), text="Their words"))
    for key, remote_id in sor(world).held("person").items():
        sor(world).put(
            "parties",
            remote_id,
            Person(
                external_id=remote_id, identifiers=(Identifier("acorn:contacts", remote_id), Identifier("hub-key", key))
            ),
        )
    result = world.sync("sor")
    assert sum(s.books.rules["duplicate:echo"] for s in result.streams) == 7
    assert world.plan().changes == 0
    world.check()


@pytest.mark.parametrize(
    ("create", "people"),
    [
        ("all", {"ana@kestrel.example", "bo@other.example", "cy@gmail.com"}),
        ("replied_to", {"ana@kestrel.example"}),
        ("none", set()),
    ],
)
def test_who_becomes_a_contact(store: Store, create: str, people: set[str]) -> None:
    world = hub(store, contacts={"create": create})
    world.settle()
    assert set(pushed(world, "person")) == people
    assert world.plan().changes == 0


@on_sqlite
def test_only_the_kinds_asked_for_are_pushed(store: Store) -> None:
    world = hub(store, system_of_record={"push": ("person", "organization")})
    world.settle()
    assert pushed(world) == {}
    assert len(pushed(world, "person")) == 3


@on_sqlite
def test_interactions_without_contacts_are_filed_where_they_can_be(store: Store) -> None:
    world = hub(store, system_of_record={"push": ("interaction",)})
    contact = Person(
        external_id="c77", identifiers=(Identifier("acorn:contacts", "c77"), Identifier("email", "ana@kestrel.example"))
    )
    sor(world).put("parties", "c77", contact)
    sor(world).objects["c77"] = ("person", "theirs", None)  # type: ignore[assignment]
    world.sync("sor")
    results = world.settle()
    assert [r.applied.failures for r in results] == [[]]
    assert set(pushed(world)) == {"About m1", "About m2", "About m3"}


def test_older_interactions_stay_out(store: Store) -> None:
    world = hub(
        store, mail("old", minute=-60 * 24 * 30), mail("new"), system_of_record={"push_since": START.date().isoformat()}
    )
    world.settle()
    assert set(pushed(world)) == {"About new"}


@on_sqlite
def test_nobody_to_file_it_under(store: Store) -> None:
    world = hub(store, mail("m1", f"sam@{US}", [f"kim@{US}"]), capture={"internal": "keep"})
    plan = world.plan()
    assert (plan.changes, plan.not_due) == (0, {"no contact or company to file it under": 1})


def test_two_sources_that_name_a_person_differently_settle(store: Store) -> None:
    source, other = Vendor(), Vendor()
    people: dict[str, Any] = {"participants": (who("ana@kestrel.example", "from", "Ana R."), who(f"sam@{US}", "to"))}
    source.mail(mail("m1", **people))
    other.mail(mail("m1", participants=(who("ana@kestrel.example", "from", "Ruiz, Ana"), who(f"sam@{US}", "to"))))
    world = World(store, {"a": source, "b": other, "sor": Vendor()}, sor="sor")
    world.sync()
    world.settle()
    name = pushed(world)["About m1"].participants[0].name
    for label in ("x", "y"):
        source.mail(mail("m1", labels=(label,), **people))  # rewritten rows may come back in another order
        world.sync()
        assert world.plan().changes == 0
    assert pushed(world)["About m1"].participants[0].name == name


def test_when_two_people_become_one_nothing_is_made_twice(store: Store) -> None:
    world = hub(store, mail("m1"), mail("m2", "ana@home.example", minute=1))
    world.settle()
    assert len(pushed(world, "person")) == 2
    world.vendors["a"].put(
        "parties",
        "7",
        Person(
            external_id="7",
            identifiers=(
                Identifier("acorn:contacts", "7"),
                Identifier("email", "ana@kestrel.example"),
                Identifier("email", "ana@home.example"),
            ),
        ),
    )
    world.sync("a")
    world.settle()
    assert len(pushed(world, "person")) == 2
    assert world.plan().changes == 0


def test_a_contact_somebody_deleted_at_the_destination_is_not_hung_upon(store: Store) -> None:
    world = hub(store)
    world.settle()
    for key, remote_id in sor(world).held("person").items():
        echo = (Identifier("acorn:contacts", remote_id), Identifier("hub-key", key))
        sor(world).put("parties", remote_id, Person(external_id=remote_id, identifiers=echo))
    world.sync("sor")
    dead = sor(world).held("person")[pushed(world, "person")["ana@kestrel.example"].external_id]
    del sor(world).objects[dead]
    sor(world).delete("parties", dead)
    world.sync("sor")
    world.vendors["a"].mail(mail("m9", minute=9))
    world.sync("a")
    results = world.settle()
    assert all(r.status == st.HEALTHY for r in results), results
    assert "About m9" in pushed(world)


# --- plans as things ----------------------------------------------------------------------------------------------


def test_a_newer_plan_supersedes_a_draft_but_not_an_approved_one(store: Store) -> None:
    world = hub(store)
    first, second = world.plan(), world.plan()
    assert second.id != first.id
    with store.read() as c:
        assert read(c, first.id).status == "superseded"  # type: ignore[union-attr]
        assert read(c, 10**6) is None
    with pytest.raises(ConfigError, match="superseded"):
        push.approve(world.engine, first.id)
    push.approve(world.engine, second.id, "someone")
    assert world.plan().id == second.id
    push.approve(world.engine, second.id)  # twice does no harm
    with pytest.raises(ConfigError, match="no plan"):
        push.approve(world.engine, 10**6)
    assert world.one(sa.select(t.plan.c.approved_by).where(t.plan.c.id == second.id)) == "someone"


@on_sqlite
def test_nothing_is_sent_of_a_plan_that_nobody_approved(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    for ruin in (lambda: None, lambda: push.reject(world.engine, plan.id)):
        ruin()
        with pytest.raises(ConfigError, match=r"waits for approval|is rejected"):
            asyncio.run(push.apply(world.engine, plan.id))
        refused = asyncio.run(
            push.carry_out(world.engine, plan.id, outbox.apply, None)
        )  # whoever goes past the question
        assert (refused.status, refused.applied.done) == (st.DEGRADED, {})
        assert pushed(world) == {}
    with pytest.raises(ConfigError, match="rejected"):
        push.reject(world.engine, plan.id)
    with pytest.raises(ConfigError, match="no plan"):
        push.reject(world.engine, 10**6)


def test_a_plan_can_be_looked_at(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    with store.read() as c:
        rows = preview(c, plan.id)
        again = read(c, plan.id)
    assert len(rows) == plan.changes
    assert {(r["kind"], r["title"], r["effect"]) for r in rows if r["kind"] == "interaction"} == {
        ("interaction", f"About m{i}", "create") for i in range(1, 5)
    }
    assert again is not None
    assert again.to_dict() == plan.to_dict()


def test_without_a_system_of_record_the_setting_is_named(store: Store) -> None:
    world = World(store, {"a": Vendor()})
    with pytest.raises(ConfigError, match="system_of_record.connection"):
        world.plan()


@on_sqlite
def test_the_brake_holds_a_plan_that_changes_much(store: Store) -> None:
    letters = [mail(f"m{i:02}", minute=i) for i in range(12)]
    world = hub(store, *letters, system_of_record={"brake_percent": 20.0, "brake_count": 3})
    world.settle()
    for i in range(3):
        world.vendors["a"].mail(mail(f"m{i:02}", minute=i, text="Edited"))
    world.sync("a")
    plan = world.plan()
    assert (plan.status, plan.held) == ("draft", "")
    for i in range(3, 6):
        world.vendors["a"].delete("mail", f"m{i:02}")
    world.sync("a")
    plan = world.plan()
    assert plan.status == "held"
    assert plan.held.startswith("6 of 14 objects there")
    assert world.apply(plan.id).exit_code == st.OK  # approving a held plan is the person's yes
    assert len(pushed(world)) == 9


# --- things that go wrong -----------------------------------------------------------------------------------------


def test_the_intent_is_on_disk_before_the_request_leaves(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    sor(world).kill_push = ("before", 1)
    with pytest.raises(Killed):
        world.apply(plan.id)
    states = world.all(
        sa.select(t.change.c.kind, t.change.c.state, sa.func.count()).group_by(t.change.c.kind, t.change.c.state)
    )
    assert sorted(states) == [("interaction", "due", 4), ("organization", "sent", 2), ("person", "due", 3)]
    assert world.one(sa.select(sa.func.count()).where(t.journal.c.answered_at.is_(None))) == 2


ALL = {"interaction": 4, "person": 3, "organization": 2}


def standing(world: World) -> dict[str, int]:
    return {kind: len(sor(world).held(kind)) for kind in ALL}


def test_killed_at_the_destination_and_started_again_each_thing_stands_once(emptied: Callable[[], Store]) -> None:
    for point, nth in [(point, nth) for point in ("before", "after") for nth in (1, 2, 3)]:
        world = hub(emptied())
        plan = world.plan()
        sor(world).kill_push = (point, nth)
        with pytest.raises(Killed):
            world.apply(plan.id)
        sor(world).kill_push = ("find", 1)
        with pytest.raises(Killed):
            world.restart().apply(plan.id)
        world = world.restart()
        assert world.plan().id == plan.id
        assert world.apply(plan.id).applied.is_complete
        assert standing(world) == ALL, (point, nth)
        assert world.plan().changes == 0


def test_killed_in_any_commit_each_thing_stands_once(emptied: Callable[[], Store], store: Store) -> None:
    for nth in range(1, 14) if store.is_sqlite else (3, 6, 9):
        world = hub(emptied())
        plan = world.plan()
        try:
            with crash_in_commit(store, nth):
                world.apply(plan.id)
        except Killed:
            world = world.restart()
            world.settle()
        assert standing(world) == ALL, nth
        assert world.plan().changes == 0


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(store: Store) -> None:
    world = hub(store)
    sor(world).drop_every = 2
    result = world.apply(world.plan().id)
    assert result.applied.is_complete
    assert len(sor(world).finds) >= 1
    assert len(sor(world).held()) == 9
    attempts = world.all(sa.select(t.journal.c.attempt, sa.func.count()).group_by(t.journal.c.attempt))
    assert dict(attempts)[2] >= 1


@on_sqlite
def test_a_destination_that_stays_away_is_tried_a_few_times_and_then_left_for_later(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    sor(world).push_trouble = [Transient("down")] * 99
    result = world.apply(plan.id)
    assert (result.status, result.exit_code) == (st.DEGRADED, st.FAILED)
    assert 2 <= sor(world).pushes <= 10
    sor(world).push_trouble = []
    assert world.apply(plan.id).applied.is_complete
    assert len(sor(world).held()) == 9


@on_sqlite
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RateLimited("slow", retry_after_s=60), st.WAITING, st.PARTLY), (AuthError("revoked"), st.RECONNECT, st.REAUTH)],
)
def test_trouble_at_the_destination_has_a_status_and_loses_nothing(
    store: Store, error: Exception, status: str, code: int
) -> None:
    world = hub(store)
    plan = world.plan()
    sor(world).push_trouble = [None, error]
    result = world.apply(plan.id)
    assert (result.status, result.exit_code) == (status, code)
    assert world.apply(plan.id).applied.is_complete
    assert len(sor(world).held()) == 9


def test_a_refused_object_strands_what_hangs_on_it_and_is_tried_again_in_the_next_plan(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    [key] = [
        k
        for (k,) in world.all(
            sa.select(t.party.c.public_id)
            .join(t.identifier, t.identifier.c.party_id == t.party.c.id)
            .where(t.identifier.c.value == "cy@gmail.com")
        )
    ]
    sor(world).refuse = {key: "the address is on our block list"}
    result = world.apply(plan.id)
    assert (result.status, result.exit_code) == (st.DEGRADED, st.PARTLY)
    errors = dict(result.applied.failures)
    assert errors[key] == "the address is on our block list"
    assert "could not be written" in " ".join(errors.values())
    assert set(pushed(world)) == {"About m1", "About m2", "About m3"}
    with store.read() as c:
        assert read(c, plan.id).status == "partly"  # type: ignore[union-attr]
    sor(world).refuse = {}
    plan = world.plan()
    assert plan.changes == 2
    world.apply(plan.id)
    assert "About m4" in pushed(world)


def test_one_worker_applies_at_a_time_and_one_that_lost_its_lease_records_nothing(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    fence = acquire(store, "outbox:sor", "elsewhere:1:x", world.clock.now(), LEASE_TTL)
    assert fence
    assert "another worker" in world.apply(plan.id).detail
    assert sor(world).log == []
    world.clock.advance(61)
    from hub import outbox

    stale = outbox.Run(
        store,
        world.engine.connector("sor"),
        world.engine._row("sor")["id"],
        world.clock,
        "outbox:sor",
        fence,
        LEASE_TTL,
    )
    world.apply(plan.id)
    count = len(sor(world).log)
    with store.write() as c:
        c.execute(sa.update(t.change).values(state="due"))
    with pytest.raises(LeaseLost):
        asyncio.run(outbox.apply(stale, plan.id))
    assert len(sor(world).log) == count


@on_sqlite
def test_progress_is_told(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    push.approve(world.engine, plan.id, "test")
    told: list[tuple[int, int]] = []
    asyncio.run(push.apply(world.engine, plan.id, lambda done, total: told.append((done, total))))
    assert told[-1] == (9, 9)
    assert told == sorted(told)


# --- undo ---------------------------------------------------------------------------------------------------------


@on_sqlite
def test_a_plan_can_be_taken_back_and_made_again(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    with pytest.raises(ConfigError, match="draft"):
        world.undo(plan.id)
    with pytest.raises(ConfigError, match="no plan"):
        world.undo(10**6)
    world.apply(plan.id)
    result = world.undo(plan.id)
    assert result.applied.is_complete
    assert sor(world).objects == {}
    kinds = [line.split()[1] for line in sor(world).log if line.startswith("undo")]
    assert kinds == sorted(kinds, key=["interaction", "person", "organization"].index)
    assert world.undo(plan.id).applied.done == {}
    world.settle()
    assert len(sor(world).held()) == 9


def test_undoing_an_update_brings_the_former_state_back(store: Store) -> None:
    world = hub(store)
    world.settle()
    before = msgspec.to_builtins(pushed(world))
    world.vendors["a"].mail(mail("m1", text="Edited"))
    world.sync("a")
    plan = world.plan()
    world.apply(plan.id)
    world.undo(plan.id)
    assert msgspec.to_builtins(pushed(world)) == before
    world.settle()
    assert pushed(world)["About m1"].text == "Edited"


def test_undoing_a_deletion_brings_it_back_once(store: Store) -> None:
    world = hub(store)
    world.settle()
    world.vendors["a"].delete("mail", "m1")
    world.sync("a")
    plan = world.plan()
    world.apply(plan.id)
    assert "About m1" not in pushed(world)
    world.undo(plan.id)
    assert "About m1" in pushed(world)
    world.vendors["a"].mail(mail("m1"))
    world.sync("a")
    world.settle()
    assert len(sor(world).held("interaction")) == 4


def test_an_undo_that_was_killed_goes_on(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    world.apply(plan.id)
    sor(world).kill_push = ("undo", 2)
    with pytest.raises(Killed):
        world.undo(plan.id)
    world = world.restart()
    assert world.undo(plan.id).applied.is_complete
    assert sor(world).objects == {}


def test_what_cannot_be_taken_back_is_named(store: Store) -> None:
    world = hub(store)
    plan = world.plan()
    world.apply(plan.id)
    key = next(iter(sor(world).held("person")))
    sor(world).refuse = {key: "has open deals"}
    result = world.undo(plan.id)
    assert (result.exit_code, result.applied.failures) == (st.PARTLY, [(key, "has open deals")])
    assert set(sor(world).held()) == {key}
