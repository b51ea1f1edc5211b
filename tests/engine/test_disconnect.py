"""Letting a connection go, and erasing what only it told: nothing of it is found, everything else stands."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from acorn import Acorn, Killed, Vendor
from cryptography.fernet import Fernet
from world import START, US, World, crash_in_commit, mail, who

from hub import parties, reports
from hub import status as st
from hub.api import (
    Attachment,
    ConfigError,
    Consent,
    Deal,
    Identifier,
    Note,
    Organization,
    Person,
    Task,
    Transient,
)  # fmt: skip
from hub.engine import disconnect as leaving
from hub.store import Store, acquire, unpack
from hub.store import tables as t

ANA, BO, CAI = "ana@kestrel.example", "bo@other.example", "cai@canary.example"
SAM = f"sam@{US}"
CANARY = "canary"


def disconnect(world: World, name: str = "a", **kwargs: Any) -> leaving.Disconnected:
    return asyncio.run(leaving.disconnect(world.engine, name, **kwargs))


def email(address: str) -> Identifier:
    return Identifier("email", address)


def scene() -> dict[str, Vendor]:
    """Two tools and a system of record. What only "a" knows says "canary" wherever a tool can say anything."""
    a, b, crm = Vendor(own=(SAM, f"canary-desk@{US}")), Vendor(), Vendor()
    common = mail("m1", ANA, minute=1, thread_refs=("message-id:<m1>",))
    b.mail(common)
    b.mail(mail("m2", BO, minute=2))
    b.mail(mail("m5", ANA, minute=5, thread_refs=("message-id:<m5>", "message-id:<m1>")))
    b.put("parties", "p1", Person(external_id="p1", identifiers=(email(ANA),), fields={"title": "Dr"}))
    b.put("parties", "p2", Person(external_id="p2", identifiers=(email(BO),), name="Bo Other"))
    # The fuller copy, so that it is the one shown; it ties two conversations together.
    a.mail(mail(
        "canary-1", ANA, cc=[CAI], text="canary text", subject="canary subject", body="canary body", url="https://canary.example/1",
        dedup_keys=("message-id:<m1>", "x-canary-key:1"), minute=1, zone="Canary/Zone", status="canary-status",
        thread_refs=("message-id:<m1>", "canary-thread:1", "message-id:<m2>"), owner=email(f"canary-owner@{US}"),
        attachments=(Attachment(external_id="canary-file", filename="canary.pdf", media_type="x/canary"),),
        participants=(who(ANA, "from", "Ana Canary"), who(SAM, "to", "Sam Canary"), who(CAI, "cc", "Cai Canary")),
    ))  # fmt: skip
    for n in range(3, 9):
        key = f"canary-{n}"
        more = {"subject": f"canary {n}", "text": f"canary {n}", "thread_refs": (f"canary-thread:{n % 2}",)}
        a.mail(mail(key, CAI, cc=["ana.canary@elsewhere.example"], minute=n, **more))
    a.put_raw("mail", "canary-bad", reject="canary reason")
    a.put(
        "parties", "canary-p1",
        Person(
            external_id="canary-p1", name="Ana Canary Kestrel", owner=email(f"canary-owner@{US}"),
            identifiers=(email(ANA), email("ana.canary@elsewhere.example"), Identifier("phone", "+49 30 5555 0199")),
            fields={"phone": "canary-field", "title": "canary-title"}, organizations=(Identifier("domain", "canary-org.example"),),
        ),
        Consent(
            external_id="x", identifier=email("ana.canary@elsewhere.example"), channel="email", state="opted_in", at=START,
            evidence="canary evidence",
        ),
        Task(external_id="x", title="canary task", about=(email(ANA),), owner=email(SAM)),
    )  # fmt: skip
    a.put("parties", "canary-o", Organization(
        external_id="o", name="Canary Organization", identifiers=(Identifier("domain", "canary-org.example"),)))  # fmt: skip
    a.put("parties", "canary-deal", Deal(external_id="d", title="canary deal", about=(email(CAI),)))
    a.put("parties", "canary-note", Note(external_id="n", discussed="canary problem", about=(email(CAI),)))
    return {"a": a, "b": b, "crm": crm}


PUSH = {"push": ["organization", "person", "interaction", "task"]}


def whole(store: Store) -> World:
    """The scene, synced, pushed and with every trace of work that may hold content: plans, holds, census, issues."""
    world = World(store, scene(), sor="crm", system_of_record=PUSH)
    world.sync(streams=["mail", "parties"])
    world.settle()
    world.vendors["a"].mail(mail("canary-9", CAI, minute=30, text="canary 9"))
    world.sync("a", streams=["mail", "parties"])
    world.plan()
    with store.write() as c:
        seen = {"opened_at": 1, "last_seen_at": 1}
        c.execute(
            sa.insert(t.issue).values(
                connection_id=connection(world), stream_id=None, cause="sign-in", detail="canary issue", **seen
            )
        )
        c.execute(
            sa.insert(t.hold).values(
                kind="mass_delete", stream_id=stream_of(world), opened_at=1, detail="canary", ids='["canary-4"]'
            )
        )
    return world


def connection(world: World, name: str = "a") -> int:
    return int(world.one(sa.select(t.connection.c.id).where(t.connection.c.name == name)))


def stream_of(world: World, name: str = "a") -> int:
    return int(
        world.one(sa.select(sa.func.min(t.stream.c.id)).where(t.stream.c.connection_id == connection(world, name)))
    )


def rows(store: Store) -> Iterator[tuple[str, str]]:
    """(table.column, its content as text) of everything stored, unpacked."""
    with store.read() as c:
        for table in t.metadata.sorted_tables:
            for row in c.execute(sa.select(table)).mappings():
                for name, value in row.items():
                    if isinstance(value, bytes | memoryview):
                        data = bytes(value)
                        if name in {"body", "text", "full_text"}:
                            data = unpack(row["codec"], data)
                        yield f"{table.name}.{name}", data.decode("utf-8", "replace")
                    elif isinstance(value, str):
                        yield f"{table.name}.{name}", value


def found(store: Store, *words: str) -> dict[str, str]:
    wanted = words or (CANARY,)
    return {place: text for place, text in rows(store) if any(w in text.lower() for w in wanted)}


def test_the_scene_has_a_canary_everywhere(store: Store) -> None:
    """The search below can find something: each table that can hold content of a connection does."""
    tables = {place.partition(".")[0] for place in found(whole(store).store)}
    expected = (
        "record raw quarantine hold issue party identifier statement interaction body source dedup_key participation thread_ref "
        "attachment item consent change decision connection"
    )  # fmt: skip
    assert tables >= set(expected.split())


def test_nothing_only_it_knew_is_left(store: Store) -> None:
    world = whole(store)
    going = leaving.would_go(world.engine, "a")
    assert (going["records"], going["quarantined"], going["interactions"], going["shared"]) == (13, 1, 7, 1)
    result = disconnect(world, erase=True)
    assert (result.exit_code, result.problem) == (st.OK, "")
    assert result.erased is not None
    assert (result.erased["records"], result.erased["interactions"]) == (13, 7)
    assert not found(store, CANARY, "5555 0199", "555501")
    if store.is_sqlite:
        file = Path(str(store.engine.url.database))
        beside = file.with_name(file.name + "-wal")
        assert CANARY.encode() not in file.read_bytes().lower() + (
            beside.read_bytes().lower() if beside.exists() else b""
        )
    world.check()
    assert not any(leaving.would_go(world.engine, "a").values())


def expected(store: Store) -> dict[str, Any]:
    """The timeline of a hub that never had "a"."""
    vendors = {name: v for name, v in scene().items() if name != "a"}
    fresh = World(store, vendors, sor="crm")
    fresh.sync(streams=["mail", "parties"])
    return {"timeline": fresh.timeline(), "people": people(fresh)}


def people(world: World) -> list[Any]:
    p, o = t.party.c, t.party.alias().c
    query = sa.select(p.kind, p.name, o.name).select_from(t.party.outerjoin(o.id.table, o.id == p.organization_id))
    return sorted(str(row) for row in world.all(query))


def test_what_others_tell_too_is_as_if_it_had_never_been(emptied: Callable[[], Store]) -> None:
    wanted = expected(emptied())
    world = whole(emptied())
    assert world.timeline() != wanted["timeline"]
    disconnect(world, erase=True)
    assert world.timeline() == wanted["timeline"]
    assert people(world) == wanted["people"]
    counted = world.restart().sync("b", streams=["mail", "parties"], census=True)
    assert (counted.status, counted.exit_code) == (st.HEALTHY, st.OK)
    assert world.timeline() == wanted["timeline"]
    world.check()


def test_killed_anywhere_and_run_again_it_ends_the_same(
    emptied: Callable[[], Store], store: Store, monkeypatch
) -> None:
    from hub.engine import erase

    monkeypatch.setattr(erase, "SLICE", 4)
    wanted = expected(emptied())
    for nth in (2, 5, 8, 12) if store.is_sqlite else (6,):
        world = whole(emptied())
        with crash_in_commit(store, nth), pytest.raises(Killed):
            disconnect(world, erase=True)
        world = world.restart(a={"enabled": False})
        disconnect(world, erase=True)
        assert world.timeline() == wanted["timeline"], nth
        assert not found(store), nth
        world.check()


def test_coming_back_it_starts_from_nothing(emptied: Callable[[], Store]) -> None:
    new = World(emptied(), scene())
    new.sync("b", "a", streams=["mail", "parties"])
    fresh = new.timeline(), people(new)
    world = World(emptied(), scene())
    world.sync(streams=["mail", "parties"])
    disconnect(world, erase=True)
    world = world.restart()
    result = world.sync("a", streams=["mail", "parties"])
    assert (result.status, result.streams[0].books.counts["new"]) == (st.HEALTHY, 6)
    assert (world.timeline(), people(world)) == fresh
    assert not world.engine.is_disconnected("a")
    world.check()


def test_what_was_written_of_it_is_to_be_deleted_and_the_brake_holds_it(store: Store) -> None:
    world = whole(store)
    there = set(world.vendors["crm"].held("interaction"))
    disconnect(world, erase=True)
    stands = set(world.timeline())
    strict = world.restart(system_of_record={**PUSH, "brake_percent": 1.0, "brake_count": 1})
    plan = strict.plan()
    assert plan.status == "held"
    assert plan.counts["interaction"]["delete"] == len(there - stands) == 6
    assert plan.counts["task"]["delete"] == 1
    world = world.restart(system_of_record=PUSH)
    world.settle()
    assert set(world.vendors["crm"].held("interaction")) == stands
    assert not world.vendors["crm"].held("task")
    standing = [change.entity for _, key, change in world.vendors["crm"].objects.values() if key in stands]
    assert CANARY not in str(standing).lower()


def test_what_was_created_can_still_be_taken_back(store: Store) -> None:
    world = World(store, scene(), sor="crm")
    world.sync(streams=["mail", "parties"])
    plan = world.plan()
    world.apply(plan.id)
    assert world.vendors["crm"].objects
    disconnect(world, erase=True)
    assert world.undo(plan.id).exit_code == st.OK
    assert not world.vendors["crm"].objects


def test_a_value_kept_equal_elsewhere_is_not_remembered_either(store: Store) -> None:
    vendors = scene()
    crm = vendors["crm"] = Vendor(writes=frozenset({"phone", "title"}))
    crm.put("parties", "c1", Person(external_id="c1", identifiers=(email(ANA),), fields={"title": "Dr"}))
    fields = {"person": {"phone": {"owner": "a", "write_to": ["crm"]}, "title": {"owner": "b", "write_to": ["crm"]}}}
    world = World(store, vendors, fields=fields)
    world.sync(streams=["mail", "parties"])
    assert world.apply(world.plan("crm").id).exit_code == st.OK
    assert {"agreed.value", "change.payload"} <= set(found(store, "canary-field"))
    disconnect(world, erase=True)
    assert not found(store)
    assert [value for (value,) in world.all(sa.select(t.agreed.c.value))] == ["Dr"]  # "b" says it too


def test_two_addresses_of_one_person_stay_one_without_saying_which_record_told_it(store: Store) -> None:
    a, b = Vendor(), Vendor()
    b.mail(mail("m1", ANA))
    b.mail(mail("m2", BO, minute=1))
    a.put("parties", "canary", Person(external_id="canary", identifiers=(email(ANA), email(BO))))
    world = World(store, {"a": a, "b": b})
    world.sync("b", "a", streams=["mail", "parties"])
    assert "decision.reasons" in found(store)
    disconnect(world, erase=True)
    assert not found(store)
    assert world.one(sa.select(sa.func.count()).select_from(t.decision)) == 1
    owners = sa.select(t.identifier.c.party_id).where(t.identifier.c.value.in_((ANA, BO)))
    assert len(set(world.all(owners))) == 1
    world.check()


# --- refusals -------------------------------------------------------------------------------------------------------


def refused(world: World) -> set[str]:
    out = parties.opted_out()
    query = sa.select(t.identifier.c.value).join(out, out.c.party_id == t.identifier.c.party_id)
    return {value for (value,) in world.all(query)}


def consent(address: str, state: str, days: int = 0, evidence: str = "") -> Consent:
    at = START + timedelta(days=days)
    return Consent(external_id="x", identifier=email(address), channel="email", state=state, at=at, evidence=evidence)  # type: ignore[arg-type]


def test_a_refusal_outlives_whoever_told_it(store: Store) -> None:
    a, b = Vendor(), Vendor()
    a.put(
        "parties",
        "1",
        Person(external_id="1", identifiers=(email(ANA),), name="Ana"),
        consent(ANA, "opted_out", 1, "canary"),
    )
    a.put(
        "parties",
        "2",
        Person(external_id="2", identifiers=(email(BO),)),
        consent(BO, "opted_out"),
    )
    a.put("parties", "3", consent(BO, "opted_in", 2, "came back"))
    a.put("parties", "4", Person(external_id="4", identifiers=(email(CAI), email("cai@home.example"))))
    b.put("parties", "5", consent("cai@home.example", "opted_out", 1))
    world = World(store, {"a": a, "b": b})
    world.sync(streams=["parties"])
    assert refused(world) == {ANA, CAI, "cai@home.example"}
    disconnect(world, erase=True)
    assert refused(world) == {ANA, CAI, "cai@home.example"}  # CAI was known by the joined address alone
    assert world.one(sa.select(t.party.c.name).where(t.party.c.name != "")) is None
    kept = world.all(sa.select(t.consent.c.evidence, t.consent.c.is_current).where(t.consent.c.evidence != ""))
    assert not kept
    disconnect(world, "b", erase=True)
    disconnect(world, erase=True)
    assert refused(world) == {ANA, CAI, "cai@home.example"}
    b.put(
        "parties", "6", Person(external_id="6", identifiers=(email(ANA),)), consent(ANA, "opted_in", -1, "an old form")
    )
    world.restart().sync("b", streams=["parties"])
    assert ANA in refused(world)


# --- without erasing ------------------------------------------------------------------------------------------------


def test_what_was_stored_stays_and_the_secrets_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    ended: list[str] = []

    async def forget(self: Acorn) -> None:
        ended.append(self.settings.account)
        self.services.tokens.put("oauth", {})

    monkeypatch.setattr(Acorn, "forget", forget)
    world = World(store, scene(), sor="crm")
    world.sync(streams=["mail", "parties"])
    for name in ("a", "b"):
        world.engine.secrets.put(name, "oauth", {"refresh_token": "x"}, world.clock.now())
    before = world.timeline()
    result = disconnect(world)
    assert (result.exit_code, result.erased, ended) == (st.OK, None, ["a"])
    assert world.all(sa.select(t.secret.c.connection)) == [("b",)]
    assert world.timeline() == before
    now = world.clock.now() + timedelta(days=3)
    assert "a" not in world.engine.due(now)
    with store.read() as c:
        [row] = reports.health(c, ["a"], now)["connections"]
    assert {row["status"], *(s["status"] for s in row["streams"])} == {"paused"}


def test_a_vendor_that_cannot_be_told_keeps_nothing_here(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    world = World(store, scene(), sor="crm")
    for error in (Transient("acorn.example does not answer"), ZeroDivisionError("a bug")):

        async def forget(self: Acorn, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Acorn, "forget", forget)
        world.engine.secrets.put("a", "oauth", {"refresh_token": "x"}, world.clock.now())
        result = disconnect(world)
        assert result.exit_code == st.PARTLY
        assert ("does not answer" if isinstance(error, Transient) else "ZeroDivisionError") in result.problem
        assert not world.all(sa.select(t.secret.c.connection))


def test_nothing_is_taken_away_under_a_worker(store: Store) -> None:
    world = World(store, scene(), sor="crm")
    world.sync("a")
    acquire(store, "connection:a", "another", world.clock.now(), timedelta(seconds=60))
    with pytest.raises(Transient, match="a is being worked on right now"):
        disconnect(world, erase=True)
    assert world.timeline()
    with pytest.raises(ConfigError, match="there is no connection 'x'"):
        disconnect(world, "x")


def test_a_system_of_record_let_go_is_not_written_to_and_its_marks_go(store: Store) -> None:
    world = whole(store)
    with store.read() as c:
        before = c.execute(sa.select(sa.func.count()).select_from(t.interaction)).scalar_one()
    disconnect(world, "crm")
    with pytest.raises(ConfigError, match="crm is disconnected"):
        world.plan()
    disconnect(world, "crm", erase=True)
    for table in (t.remote, t.plan, t.change, t.journal):
        assert not world.all(sa.select(sa.func.count()).select_from(table).having(sa.func.count() > 0)), table
    assert world.one(sa.select(sa.func.count()).select_from(t.interaction)) == before
    world.check()


def test_its_section_may_be_gone_before(store: Store) -> None:
    """The settings no longer name it: the vendor cannot be told, what it brought can go all the same."""
    wanted_world = whole(store)
    vendors = {name: v for name, v in wanted_world.vendors.items() if name != "a"}
    world = World(store, vendors, sor="crm", clock=wanted_world.clock)
    world.clock.advance(61)
    vendors["b"].delete("mail", "m1")  # the copy that is left belongs to a tool nobody can ask
    assert world.sync("b").status == st.HEALTHY
    result = disconnect(world, erase=True)
    assert (result.exit_code, result.section) == (st.PARTLY, False)
    assert "not in the settings" in result.problem
    assert not found(store)
    world.check()


def test_payloads_of_plans_are_still_read(store: Store) -> None:
    """What is left of a change is a change: explanations and undo read it."""
    world = whole(store)
    disconnect(world, erase=True)
    for (payload,) in world.all(sa.select(t.change.c.payload)):
        assert {"key", "kind", "op", "remote_id", "links"} <= set(msgspec.msgpack.decode(payload))
    for (books,) in world.all(sa.select(t.run.c.books).where(t.run.c.books != "{}")):
        assert json.loads(books)["is_balanced"]
