"""The thin thread: a mail goes in at one end, hangs on a contact at the other, and follows what happens to it."""

from pathlib import Path
from typing import Any

import pytest

from hub import reports
from hub.engine import push
from tests.e2e import checks
from tests.e2e.world import World, letters

pytestmark = pytest.mark.anyio
MAIL = "mail_sam"
STREAMS = ("contacts", "companies", "emails")


def world_of(folder: Path) -> World:
    return World(folder, ["sam@ourco.example"], ["ourco.example"], crm_streams=STREAMS)


def shape(world: World) -> list[tuple[str, list[str]]]:
    """Subjects of the CRM's e-mails and the addresses they hang on."""
    people = {o["id"]: o["properties"]["email"] for o in world.dump("contacts")}
    found = []
    for o in world.dump("emails"):
        linked = sorted(people[i] for i in o["associations"].get("contacts", ()))
        found.append((o["properties"]["hs_email_subject"], linked))
    return sorted(found)


async def test_a_question_and_its_answer_reach_the_contact(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.deliver(letters(2))
    async with world.up():
        await world.sync_all()
        applied = await world.push()
        assert applied is not None
        assert applied.applied.done == {"created": 4}  # a contact, a company, two e-mails
        customer = "person0@firm0.example"
        assert shape(world) == [("Matter 0", [customer]), ("Re: Matter 0", [customer])]
        await world.sync_all()  # our own writings come back and are known as such
        assert push.plan(world.engine).changes == 0
        with world.engine.store.read() as c:
            who = reports.find(c, customer)[0]
            entries = reports.timeline(c, who["public_id"])["entries"]
            assert [(e["direction"], e["subject"]) for e in entries] == [
                ("outbound", "Re: Matter 0"), ("inbound", "Matter 0"),
            ]  # fmt: skip
            told = reports.explain(c, entries[0]["public_id"])
            assert sorted(s["is_echo"] for s in told["sources"]) == [False, True]
            assert [p["outcome"] for p in told["pushes"]] == ["created"]
            assert checks.invariants(c) == []


async def test_a_mail_deleted_at_the_source_leaves_the_timeline_and_the_crm(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    ids = world.deliver(letters(12))
    async with world.up():
        await world.sync_all()
        await world.push()
        await world.sync_all()
        world.gmail.control("delete", {"address": "sam@ourco.example", "ids": ids[:1]})
        result = await world.sync(MAIL)
        assert result.streams[0].books.counts["deleted"] == 1
        applied = await world.push()
        assert applied is not None
        assert applied.applied.done == {"deleted": 1}
        assert "Matter 0" not in [subject for subject, _ in shape(world)]
        assert len(shape(world)) == 11
        await world.sync_all()
        assert push.plan(world.engine).changes == 0


async def test_mail_to_a_person_merged_in_the_crm_hangs_on_the_survivor(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.deliver(letters(6))
    async with world.up():
        await world.sync_all()
        await world.push()
        ids = {o["properties"]["email"]: o["id"] for o in world.dump("contacts")}
        kept, gone = ids["person0@firm0.example"], ids["person1@firm1.example"]
        world.hubspot.control("merge", {"type": "contacts", "primary": kept, "other": gone})
        world.clock.advance(hours=2)  # type: ignore[attr-defined]
        await world.sync_all()
        world.deliver([letters(4)[3]], "sam@ourco.example")  # a copy of a letter of the one who is gone: known
        late = letters(1, first=36)[0]  # person1 again
        world.deliver([(late[0].replace(b"person1@firm5", b"person1@firm1"), late[1])])
        await world.sync_all()
        await world.push()
        people = {o["id"] for o in world.dump("contacts")}
        assert people == {kept}
        hung = [o["associations"]["contacts"] for o in world.dump("emails")]
        assert hung == [[kept]] * 7
        assert push.plan(world.engine).changes == 0


async def test_an_apply_can_be_taken_back_and_made_again(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.deliver(letters(9))
    world.hubspot.seed({"contacts": [{"properties": {"email": "person0@firm0.example", "jobtitle": "Owner"}}]})
    async with world.up():
        await world.sync_all()
        before = held(world)
        applied = await world.push()
        assert applied is not None
        after = shape(world)
        undone = await push.undo(world.engine, applied.plan_id)
        assert (undone.status, undone.exit_code) == ("healthy", 0)
        assert held(world) == before
        await world.sync_all()
        await world.push()
        assert shape(world) == after
        assert world.hubspot.state()["duplicates"] == {}


def held(world: World) -> dict[str, list[Any]]:
    """What the CRM holds, by what people would see of it."""
    return {
        "contacts": sorted(o["properties"]["email"] for o in world.dump("contacts")),
        "companies": sorted(o["properties"]["domain"] for o in world.dump("companies")),
        "emails": shape(world),
    }
