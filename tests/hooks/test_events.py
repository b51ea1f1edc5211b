"""What is told of what happens: each kind of change once, by whatever way it came, and to nobody who may not see it."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from databases import on_sqlite
from receiving import Receiver, Rig
from world import START, US, World, mail

from hub import hooks
from hub.api import Consent, Deal, Entity, Identifier, Organization, Person, Service, Task
from hub.engine import disconnect as leaving
from hub.store import Store, marks, tables_access
from hub.store import tables as t
from hub.store import tables_hooks as h

ANA, BO = "ana@kestrel.example", "bo@other.example"


def email(address: str) -> Identifier:
    return Identifier("email", address)


def ana(*more: Identifier, **values: Any) -> Person:
    return Person(external_id="p1", identifiers=(email(ANA), *more), **{"name": "Ana Kestrel", **values})


def listen(rig: Rig, receiver: Receiver, *events: str, owner: str = "") -> str:
    return rig.endpoints.add(receiver.url, events or ["*"], owner=owner)[0].public_id


class Told:
    """What a receiver is told after each step."""

    def __init__(self, rig: Rig, receiver: Receiver, world: World) -> None:
        self.rig, self.receiver, self.world = rig, receiver, world

    def after(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """Sync, deliver; (type without hub. and .v1, data) of what came."""
        self.rig.clock.advance(60)
        self.world.sync(*names)
        return self.now()

    def now(self) -> list[tuple[str, dict[str, Any]]]:
        self.receiver.got.clear()
        self.rig.settle()
        return [(e["type"][4:-3], e["data"]) for e in self.receiver.events]

    def public(self, address: str) -> str:
        return str(self.world.one(
            sa.select(t.party.c.public_id).join(t.identifier, t.identifier.c.party_id == t.party.c.id)
            .where(t.identifier.c.value == address)
        ))  # fmt: skip


@pytest.fixture
def told(rig: Rig, receiver: Receiver, world: World) -> Told:
    return Told(rig, receiver, world)


def types(found: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return sorted(name for name, _ in found)


# --- nobody listens -------------------------------------------------------------------------------------------------------


def test_while_nobody_listens_nothing_is_noted(store: Store, world: World) -> None:
    world.vendors["a"].mail(mail("m1"))
    world.sync("a")
    with store.read() as c:
        assert marks.armed(c) == set()
        assert c.execute(sa.select(h.mark)).all() == []


@on_sqlite
def test_only_what_somebody_listens_to_is_noted(store: Store, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "deal.*")
    world.vendors["a"].mail(mail("m1"))
    world.sync("a")
    with store.read() as c:
        assert marks.armed(c) == {"item"}
        assert c.execute(sa.select(h.mark)).all() == []


def test_when_the_last_endpoint_goes_so_do_the_triggers(store: Store, rig: Rig, receiver: Receiver) -> None:
    first, second = listen(rig, receiver, "*"), listen(rig, receiver, "contact.*")
    with store.read() as c:
        assert marks.armed(c) == set(marks.GROUPS)
    rig.endpoints.remove(first)
    with store.read() as c:
        assert marks.armed(c) == {"party", "identity"}  # whose marks it needs
    rig.endpoints.remove(second)
    with store.read() as c:
        assert marks.armed(c) == set()


def test_triggers_outlive_a_migration(store: Store, rig: Rig, receiver: Receiver) -> None:
    """A migration may write a table anew, which drops its triggers; an older program's triggers become this one's."""
    listen(rig, receiver, "contact.*")
    with store.write() as c, marks.kept(c):
        name = next(n for n in marks._there(c) if "party_new" in n)
        marks._drop(c, name)
        assert "party" not in marks.armed(c)
    with store.read() as c:
        assert marks.armed(c) == {"party", "identity"}


# --- each kind --------------------------------------------------------------------------------------------------------------

ITEMS: list[tuple[str, Entity, Entity]] = [
    ("deal", Deal("d1", "Boat", about=(email(ANA),)), Deal("d1", "Ship", about=(email(ANA),))),
    ("service", Service("s1", "Boat", about=(email(ANA),)), Service("s1", "Ship", about=(email(ANA),))),
    ("task", Task("t1", "Boat", about=(email(ANA),)), Task("t1", "Ship", about=(email(ANA),))),
]


@on_sqlite
@pytest.mark.parametrize(("kind", "first", "then"), ITEMS, ids=[kind for kind, *_ in ITEMS])
def test_deals_services_and_tasks(
    told: Told, rig: Rig, receiver: Receiver, world: World, kind: str, first: Entity, then: Entity
) -> None:
    listen(rig, receiver, f"{kind}.*")
    a = world.vendors["a"]
    a.put("parties", "x1", first)
    ((name, data),) = told.after("a")
    assert name == f"{kind}.created"
    assert (data["kind"], data["changed"]) == (kind, [])
    assert told.public(ANA) in data["customers"]
    assert data["links"] == {"party": f"/api/v1/parties/{data['customers'][0]}"}
    a.put("parties", "x1", then)
    assert [(n, d["id"], d["changed"]) for n, d in told.after("a")] == [
        (f"{kind}.updated", data["id"], ["details", "title"])
    ]
    assert told.after("a") == []
    a.delete("parties", "x1")
    assert [(n, d["id"], d["customers"]) for n, d in told.after("a")] == [
        (f"{kind}.deleted", data["id"], data["customers"])
    ]


def test_contacts_and_organizations(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "contact.*", "organization.*")
    a = world.vendors["a"]
    a.put("parties", "p1", ana(fields={"phone": "+49 30 5550101"}))
    assert types(told.after("a")) == ["contact.created", "organization.created"]
    a.put("parties", "p1", ana(fields={"phone": "+49 30 5550102"}))
    ((name, data),) = told.after("a")
    assert (name, data["changed"], data["id"]) == ("contact.updated", ["phone"], told.public(ANA))
    a.put(
        "parties", "p1", ana(email("ana.k@kestrel.example"), name="Ana K. Kestrel", fields={"phone": "+49 30 5550102"})
    )
    ((name, data),) = told.after("a")
    assert (name, data["changed"]) == ("contact.updated", ["identifiers", "name"])
    a.put("parties", "p1", ana(email("ana.k@kestrel.example"), name="Ana K. Kestrel"))
    ((name, data),) = told.after("a")
    assert (name, data["changed"]) == ("contact.updated", ["phone"])
    a.put(
        "parties",
        "o1",
        Organization(external_id="o1", name="Kestrel", identifiers=(Identifier("domain", "kestrel.example"),)),
    )
    assert [(n, d["changed"]) for n, d in told.after("a")] == [("organization.updated", ["name"])]


@on_sqlite
def test_a_record_sent_again_unchanged_tells_nothing(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    """Also when its bytes differ: what counts is what it says."""
    a = world.vendors["a"]
    a.put("parties", "p1", ana(fields={"phone": "+49 30 5550101"}))
    a.mail(mail("m1"))
    world.sync("a")
    listen(rig, receiver)
    a.put("parties", "p1", ana(fields={"phone": "+49 30 5550101"}, changed_at=START))
    a.mail(mail("m1"))
    assert told.after("a") == []


def test_interactions_and_conversations(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "interaction.*", "conversation.*")
    a = world.vendors["a"]
    a.mail(mail("m1"))
    found = dict(told.after("a"))
    assert sorted(found) == ["conversation.created", "interaction.created"]
    entry, thread = found["interaction.created"], found["conversation.created"]
    who = {told.public(ANA), told.public("kestrel.example")}
    assert set(entry["customers"]) == set(thread["customers"]) == who
    assert (entry["kind"], entry["channel"], entry["direction"]) == ("message", "email", "inbound")
    assert entry["links"] == {"self": f"/api/v1/interactions/{entry['id']}"}
    assert thread["links"] == {"self": f"/api/v1/interactions/{entry['id']}/conversation"}
    a.mail(mail("m2", refs=["m1"], minute=1))
    found = dict(told.after("a"))
    assert sorted(found) == ["conversation.updated", "interaction.created"]
    assert (found["conversation.updated"]["id"], found["conversation.updated"]["changed"]) == (
        thread["id"],
        ["interactions"],
    )
    a.mail(mail("m1", subject="About something else", text="Words"))
    ((name, data),) = told.after("a")
    assert (name, data["changed"]) == ("interaction.updated", ["content", "subject"])
    a.mail(mail("m1", subject="About something else", text="Words", cc=[BO]))
    ((name, data),) = told.after("a")
    assert (name, data["changed"]) == ("interaction.updated", ["participants"])
    assert told.public(BO) in data["customers"]
    a.delete("mail", "m1")
    found = dict(told.after("a"))
    assert sorted(found) == ["conversation.updated", "interaction.deleted"]
    assert found["interaction.deleted"]["id"] == entry["id"]
    assert who <= set(found["interaction.deleted"]["customers"])
    a.delete("mail", "m2")
    found = dict(told.after("a"))
    assert sorted(found) == ["conversation.deleted", "interaction.deleted"]
    assert set(found["conversation.deleted"]["customers"]) == who
    a.mail(mail("m1"))
    assert "interaction.created" in dict(told.after("a"))


@on_sqlite
def test_two_conversations_that_turn_out_to_be_one(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "conversation.*")
    a = world.vendors["a"]
    a.mail(mail("m1"))
    a.mail(mail("m2", BO, minute=1))
    threads = sorted(d["id"] for _, d in told.after("a"))
    a.mail(mail("m3", refs=["m1", "m2"], minute=2))
    found = told.after("a")
    assert [(n, d["id"], d.get("merged_into")) for n, d in found if n == "conversation.deleted"] == [
        ("conversation.deleted", threads[1], threads[0])
    ]
    assert ("conversation.updated", threads[0]) in [(n, d["id"]) for n, d in found]


@on_sqlite
def test_a_copy_from_another_tool_is_no_second_entry(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "interaction.*")
    for vendor in world.vendors.values():
        vendor.mail(mail("m1"))
    assert types(told.after("a")) == ["interaction.created"]
    assert "interaction.created" not in types(told.after("b"))


def test_permissions(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver, "consent.*")
    a = world.vendors["a"]
    yes = Consent("c1", email(ANA), "email", "opted_in", START, "asked for it")
    a.put("parties", "p1", ana(), yes)
    ((name, data),) = told.after("a")
    assert (name, data["id"], data["channel"], data["state"]) == (
        "consent.created",
        told.public(ANA),
        "email",
        "opted_in",
    )
    assert data["links"] == {"party": f"/api/v1/parties/{told.public(ANA)}"}
    rig.clock.advance(60)
    a.put("parties", "p1", ana(), Consent("c1", email(ANA), "email", "opted_out", rig.clock.now()))
    ((name, data),) = told.after("a")
    assert (name, data["state"]) == ("consent.updated", "opted_out")
    assert told.after("a") == []


@on_sqlite
def test_issues(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    from hub.api import AuthError

    listen(rig, receiver, "issue.*")
    a = world.vendors["a"]
    a.mail(mail("m1"))
    a.trouble = [AuthError("the token was revoked")]
    ((name, data),) = told.after("a")
    assert (name, data["state"]) == ("issue.created", "open")
    ((again, closed),) = told.after("a")
    assert (again, closed["id"], closed["changed"], closed["state"]) == (
        "issue.updated",
        data["id"],
        ["state"],
        "closed",
    )


@on_sqlite
def test_what_cannot_be_relayed_now_is_relayed_later_and_once(
    told: Told, rig: Rig, receiver: Receiver, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(rig, receiver, "interaction.*")
    world.vendors["a"].mail(mail("m1"))
    world.sync("a")

    def dies(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as at:
        at.setattr("hub.hooks.line.enqueue", dies)
        with pytest.raises(ZeroDivisionError):
            rig.relay()
    with rig.store.read() as c:
        assert hooks.newest(c) == 0
    assert types(told.now()) == ["interaction.created"]
    assert rig.relay() == hooks.Relayed(0, 0)


@on_sqlite
def test_in_batches_the_same_is_told(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    """A batch that ends in the middle of a transaction takes along what else was noted of its things."""
    listen(rig, receiver, "interaction.*", "contact.*", "conversation.*")
    for n in range(4):
        world.vendors["a"].mail(mail(f"m{n}", f"p{n}@kestrel.example", minute=n))
    world.sync("a")
    while hooks.relay(rig.store, rig.clock.now(), "urn:uuid:test", batch=12).marks:
        pass
    found = types(told.now())
    assert [found.count(f"{kind}.created") for kind in ("interaction", "contact", "conversation")] == [4, 4, 4]
    assert not [name for name in found if name.endswith("deleted")]


# --- who is who -------------------------------------------------------------------------------------------------------------


def two_people(world: World) -> None:
    a = world.vendors["a"]
    a.put("parties", "p1", ana())
    a.put("parties", "p2", Person(external_id="p2", name="Bo Other", identifiers=(email(BO),)))
    world.sync("a")


def party(world: World, address: str) -> int:
    return int(world.one(sa.select(t.identifier.c.party_id).where(t.identifier.c.value == address)))


def test_a_merge_and_its_undoing(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    two_people(world)
    first, second = told.public(ANA), told.public(BO)
    listen(rig, receiver, "identity.*", "contact.*")
    done = world.engine.identities.merge(party(world, ANA), party(world, BO), "ines")
    winner = told.public(BO)
    loser = first if winner == second else second
    found = told.now()
    assert types(found) == ["contact.deleted", "contact.updated", "identity.merged"]
    by_name = dict(found)
    assert (by_name["identity.merged"]["from"], by_name["identity.merged"]["into"]) == (loser, winner)
    assert set(by_name["identity.merged"]["customers"]) == {loser, winner}
    assert (by_name["contact.deleted"]["id"], by_name["contact.deleted"]["merged_into"]) == (loser, winner)
    world.engine.identities.undo(done.act, "ines")
    found = told.now()
    by_name = dict(found)
    assert types(found) == ["contact.created", "contact.updated", "identity.split"]
    assert (by_name["identity.split"]["from"], by_name["identity.split"]["into"]) == (winner, loser)
    assert by_name["contact.created"]["id"] == loser


@on_sqlite
def test_what_is_only_tried_is_not_told(told: Told, rig: Rig, receiver: Receiver, world: World, store: Store) -> None:
    two_people(world)
    listen(rig, receiver)
    world.engine.identities.merge(party(world, ANA), party(world, BO), "ines", dry_run=True)
    with store.read() as c:
        assert c.execute(sa.select(h.mark)).all() == []
    assert told.now() == []


@on_sqlite
def test_somebody_who_never_stood_alone_is_not_told_of(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    """A page may make a party and join it in the same go: nobody ever saw it."""
    listen(rig, receiver, "contact.*", "identity.*")
    world.vendors["a"].put("parties", "p1", ana(email("ana.k@kestrel.example")))
    assert types(told.after("a")) == ["contact.created"]


def test_an_erasure_is_told(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    """Whoever was told of something is told that it went, though nothing of it is left here."""
    a = world.vendors["a"]
    a.put("parties", "p1", ana(), Deal("d1", "Boat", about=(email(ANA),)))
    a.mail(mail("m1"))
    world.vendors["b"].mail(mail("m2", BO))
    world.sync()
    people = {told.public(ANA), told.public("kestrel.example")}
    entry = world.one(sa.select(t.interaction.c.public_id).where(t.interaction.c.subject == "About m1"))
    listen(rig, receiver)
    asyncio.run(leaving.disconnect(world.engine, "a", erase=True))
    gone = {d["id"] for n, d in told.now() if n.endswith(".deleted")}
    assert people | {entry} <= gone
    assert told.public(BO) not in gone
    deals = [d for n, d in ((e["type"][4:-3], e["data"]) for e in receiver.events) if n == "deal.deleted"]
    assert len(deals) == 1


# --- who may hear it ----------------------------------------------------------------------------------------------------------


def private(world: World, name: str, owner: str) -> None:
    with world.store.write() as c:
        c.execute(sa.update(t.connection).where(t.connection.c.name == name).values(is_private=True, owner=owner))


OWNER = f"sam@{US}"


def test_a_private_mailbox_is_nobodys_business_but_its_owners(
    told: Told, rig: Rig, receiver: Receiver, world: World
) -> None:
    a, b = world.vendors["a"], world.vendors["b"]
    b.mail(mail("m0", "zoe@third.example"))
    world.sync()
    private(world, "a", OWNER)
    team, mine = listen(rig, receiver), listen(rig, receiver, owner=OWNER.upper())
    a.mail(mail("m1"))
    a.put("parties", "p1", ana(fields={"phone": "+49 30 5550101"}), Deal("d1", "Boat", about=(email(ANA),)),
          Consent("c1", email(ANA), "email", "opted_out", START))  # fmt: skip
    told.after("a")
    assert rig.log(team) == []
    assert {x["type"] for x in rig.log(mine)} == {
        f"hub.{kind}.created.v1"
        for kind in ("contact", "organization", "interaction", "conversation", "deal", "consent")
    }
    # What a tool of the team's tells of too is there for the team from then on; nothing else of the mailbox is.
    b.mail(mail("m1"))
    told.after("b")
    first = {x["type"] for x in rig.log(team)}
    assert first == {f"hub.{kind}.created.v1" for kind in ("contact", "organization", "interaction", "conversation")}
    # What goes from the mailbox goes for its owner alone.
    a.delete("mail", "m1")
    a.delete("parties", "p1")
    told.after("a")
    assert not [x for x in rig.log(team) if x["type"].endswith("deleted.v1")]
    assert "hub.deal.deleted.v1" in {x["type"] for x in rig.log(mine)}


@on_sqlite
def test_people_whom_only_a_private_copy_names_are_not_named_to_the_team(
    told: Told, rig: Rig, receiver: Receiver, world: World
) -> None:
    a, b = world.vendors["a"], world.vendors["b"]
    b.mail(mail("m0", "zoe@third.example"))
    world.sync()
    private(world, "a", OWNER)
    a.mail(mail("m1", cc=[BO]))  # the blind copy that only the mailbox shows
    world.sync("a")
    team = listen(rig, receiver, "interaction.*")
    b.mail(mail("m1", subject="About m1 again"))
    told.after("b")
    hidden = told.public(BO)
    assert all(hidden not in str(e) for e in receiver.events)
    assert len(rig.log(team)) == len(receiver.events)


@on_sqlite
def test_what_a_record_says_anew_was_known(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    a, b = world.vendors["a"], world.vendors["b"]
    a.mail(mail("m0", "zoe@third.example"))
    b.mail(mail("m1"))
    world.sync()
    private(world, "a", OWNER)
    listen(rig, receiver, "contact.*", "organization.*", "interaction.*")
    b.mail(mail("m1", subject="About something else"))
    assert types(told.after("b")) == ["interaction.updated"]


@on_sqlite
def test_a_permission_that_only_a_private_record_tells_of_is_not_told(
    told: Told, rig: Rig, receiver: Receiver, world: World
) -> None:
    a, b = world.vendors["a"], world.vendors["b"]
    b.put("parties", "p1", ana(), Consent("c1", email(ANA), "email", "opted_in", START, "asked for it"))
    a.mail(mail("m0"))
    world.sync()
    private(world, "a", OWNER)
    listen(rig, receiver, "consent.*")
    a.put("parties", "p9", ana(), Consent("c9", email(ANA), "email", "opted_out", START))
    assert told.after("a") == []
    b.put("parties", "p1", ana(), Consent("c1", email(ANA), "email", "unknown", START))
    assert types(told.after("b")) == ["consent.updated"]


def test_with_an_account_its_mailbox_is_closed_to_its_endpoint_too(
    told: Told, rig: Rig, receiver: Receiver, world: World
) -> None:
    a = world.vendors["a"]
    a.mail(mail("m0", "zoe@third.example"))
    world.sync()
    private(world, "a", OWNER)
    listen(rig, receiver, "interaction.*", owner=OWNER)
    a.mail(mail("m1"))
    assert types(told.after("a")) == ["interaction.created"]
    with rig.store.write() as c:
        row = {"public_id": "a1", "email": OWNER, "name": "Sam", "roles": "viewer", "created_at": 1, "changed_at": 1}
        c.execute(sa.insert(tables_access.account).values(**row, is_active=False))
    a.mail(mail("m2"))
    assert told.after("a") == []


@on_sqlite
def test_issues_of_a_private_mailbox_are_its_owners(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    from hub.api import AuthError

    a = world.vendors["a"]
    a.mail(mail("m1"))
    world.sync("a")
    private(world, "a", OWNER)
    team, mine = listen(rig, receiver, "issue.*"), listen(rig, receiver, "issue.*", owner=OWNER)
    a.mail(mail("m2"))
    a.trouble = [AuthError("the token was revoked")]
    told.after("a")
    assert rig.log(team) == []
    assert [x["type"] for x in rig.log(mine)] == ["hub.issue.created.v1"]


# --- how it is written ----------------------------------------------------------------------------------------------------------


@on_sqlite
def test_the_envelope(told: Told, rig: Rig, receiver: Receiver, world: World) -> None:
    listen(rig, receiver)
    world.vendors["a"].mail(mail("m1", subject="Words nobody may read", text="Nor these"))
    told.after("a")
    for (headers, body), e in zip(receiver.got, receiver.events, strict=True):
        assert e["specversion"] == "1.0"
        assert e["id"] == headers["webhook-id"]
        assert e["source"].startswith("urn:uuid:")
        assert e["type"] in hooks.TYPES
        assert e["dataschema"] == f"urn:interaction-hub:schema:{e['type']}"
        assert e["datacontenttype"] == "application/json"
        assert e["time"].endswith("Z")
        assert e["subject"] == e["data"]["id"]
        for word in (b"Words", b"Nor these", ANA.encode(), b"kestrel"):
            assert word not in body
        assert len(body) < 2000
    numbers = [int(e["sequence"]) for e in receiver.events]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len({e["source"] for e in receiver.events}) == 1


def test_all_types_are_reached_by_their_patterns() -> None:
    assert len(hooks.TYPES) == 28
    assert hooks.patterns(["hub.contact.created.v1", "Deal", "*.deleted", "*"]) == (
        "contact.created",
        "deal.*",
        "*.deleted",
        "*.*",
    )


@pytest.mark.parametrize("wrong", ["contacts.created", "contact.made", "identity.created", "", ".", "contact.*.v2"])
def test_a_pattern_that_chooses_nothing_is_refused(wrong: str) -> None:
    from hub.api import ConfigError

    with pytest.raises(ConfigError, match="no event is called"):
        hooks.patterns([wrong])
