"""What of a timeline is asked for, who was in touch last, who belongs to a company, and which times are not covered."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acorn import Vendor
from estates import kept
from world import START, US, World, mail

from hub import reports
from hub.api import AuthError, Identifier, Organization
from hub.store import Store, micros
from hub.store import tables as t

ANA, BO, ZOE = "ana@kestrel.example", "bo@kestrel.example", "zoe@free.example"
SAM, KIM = f"sam@{US}", f"kim@{US}"


def estate(store: Store) -> World:
    """Ana and Bo of Kestrel, Zoe of nowhere; two tools, of which both tell of "both"; a campaign after everything."""
    first, second = Vendor(), Vendor()
    first.mail(mail("old", ANA, [SAM], minute=-60 * 24 * 400))
    first.mail(mail("both", ANA, [SAM], minute=10, purpose="sales"))
    second.mail(mail("both", ANA, [SAM], minute=10, purpose="sales"))
    second.mail(mail("kims", KIM, [ANA, BO], minute=20, purpose="support"))
    first.mail(mail("bos", BO, [SAM], minute=30))
    first.mail(mail("zoes", ZOE, [SAM], minute=25))
    sent = {"kind": "campaign_send", "dedup_keys": (), "thread_refs": ()}
    first.mail(mail("campaign", SAM, [ANA, BO, ZOE], minute=40, **sent))
    ids = (Identifier("acorn:companies", "c1"), Identifier("domain", "kestrel.example"))
    first.put("parties", "c1", Organization(external_id="c1", identifiers=ids, name="Kestrel Ltd"))
    world = World(store, {"a": first, "b": second})
    world.clock.advance(3600)
    world.sync()
    return world


@pytest.fixture
def view(kept_store: Store) -> World:
    return kept(kept_store, "filters", estate)


def public(world: World, text: str) -> str:
    with world.store.read() as c:
        return str(reports.find(c, text)[0]["public_id"])


def subjects(world: World, text: str, **asked: Any) -> list[str]:
    """What is on the timeline, page by page of two."""
    found, before = [], None
    with world.store.read() as c:
        while True:
            page = reports.timeline(c, public(world, text), limit=2, before=before, **asked)
            found += [e["subject"].removeprefix("About ") for e in page["entries"]]
            if not (before := page["next"]):
                return found


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, ["campaign", "kims", "both", "old"]),
        ({"purpose": "sales"}, ["both"]),
        ({"purpose": "support", "kind": "message"}, ["kims"]),
        ({"purpose": "support", "kind": "call"}, []),
        ({"connection": "a"}, ["campaign", "both", "old"]),
        ({"connection": "b"}, ["kims", "both"]),
        ({"connection": "nowhere"}, []),
        ({"connection": "b", "direction": "outbound"}, ["kims"]),
        ({"since": START}, ["campaign", "kims", "both"]),
    ],
)
def test_a_timeline_is_narrowed(view: World, asked: dict[str, Any], shown: list[str]) -> None:
    assert subjects(view, ANA, **asked) == shown


def test_entries_with_somebody_in_particular(view: World) -> None:
    assert subjects(view, ANA, person=public(view, BO)) == ["campaign", "kims"]
    assert subjects(view, "Kestrel Ltd", person=public(view, BO)) == ["campaign", "bos", "kims"]
    assert subjects(view, ANA, person=public(view, KIM), connection="b") == ["kims"]
    assert subjects(view, ANA, person="nobody") == []


def test_a_mark_from_before_1970_is_one_and_one_no_database_holds_is_none(view: World) -> None:
    with view.store.read() as c:
        assert reports.timeline(c, public(view, ANA), before="-5-3")["entries"] == []
        with pytest.raises(ValueError, match="9" * 30):
            reports.timeline(c, public(view, ANA), before=f"{'9' * 30}-1")


def test_who_was_in_touch_last(view: World) -> None:
    """By what was said, not by campaigns; a company shows as its people; nothing of what is still ahead."""
    with view.store.read() as c:
        found = [
            (row["party"]["name"], row["entry"]["subject"]) for row in reports.recent(c, START + timedelta(hours=1))
        ]
        assert found == [(BO, "About bos"), (ZOE, "About zoes"), (ANA, "About kims")]
        assert [r["party"]["name"] for r in reports.recent(c, START + timedelta(minutes=26), 1)] == [ZOE]
        assert [r["entry"]["subject"] for r in reports.recent(c, START)] == ["About old"]


def test_people_of_a_company_the_latest_first(view: World) -> None:
    with view.store.read() as c:
        found = reports.members(c, public(view, "Kestrel Ltd"))
        assert [(m["name"], m["interactions"]) for m in found] == [(ANA, 4), (BO, 3)]
        assert reports.members(c, public(view, ANA)) == []
        with pytest.raises(KeyError):
            reports.members(c, "nobody")


def told(world: World) -> list[tuple[str, str, Any, Any]]:
    with world.store.read() as c:
        return [(g["connection"], g["why"], g["since"], g["until"]) for g in reports.gaps(c, world.clock.now())]


def test_what_is_not_covered_is_told_with_its_times(store: Store) -> None:
    vendors = {"a": Vendor(), "b": Vendor(), "c": Vendor()}
    for name, vendor in vendors.items():
        vendor.mail(mail(f"of {name}"))
    since = START - timedelta(days=9)
    world = World(store, vendors, a={"since": since.date().isoformat()})
    world.sync("a", "b")
    vendors["c"].trouble = [AuthError("expired")]
    world.sync("c")
    assert told(world) == [("c", "unread", None, None), ("a", "before", None, since.replace(hour=0))]
    good = dict(world.all(sa.select(t.connection.c.name, t.stream.c.last_good_at).join(t.stream)))
    world.clock.advance(25 * 3600)
    world.sync("a")
    vendors["b"].trouble = [AuthError("expired")]
    world.sync("b")
    with store.write() as c:
        c.execute(sa.update(t.connection).where(t.connection.c.name == "c").values(is_paused=True))
    found = told(world)
    assert {(name, why) for name, why, _, _ in found} == {("a", "before"), ("b", "stopped"), ("c", "paused")}
    assert [micros(since) for name, _, since, _ in found if name == "b"] == [good["b"]]
    world.clock.advance(25 * 3600)
    assert ("a", "behind") in {(name, why) for name, why, _, _ in told(world)}
