"""Meetings to come that stand in a CRM and in no calendar reach the calendar once, follow and end there."""

from datetime import timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from acorn import Acorn, Vendor
from world import START, US, World, mail, who

from hub.api import ConfigError, Identifier, Interaction, Manifest, Participation, Person
from hub.plugins import Registry
from hub.store import Store

ANA = "ana@kestrel.example"
_AS_ACORN: dict[str, Any] = {f: getattr(Acorn.manifest, f) for f in Manifest.__dataclass_fields__}


class Diary(Acorn):
    """Acorn as a calendar."""

    manifest: ClassVar[Manifest] = Manifest(**{**_AS_ACORN, "name": "diary", "channels": ("calendar",)})


def meeting(key: str = "m1", hours: float = 24, **more: Any) -> Interaction:
    people = (
        Participation(identifier=Identifier("acorn:people", "77"), role="attendee", name="Ana"),
        who(f"sam@{US}", "organizer"),
    )  # fmt: skip
    told = {"kind": "meeting", "occurred_at": START + timedelta(hours=hours), "participants": people, "dedup_keys": ()}
    return mail(key, **(told | more))


def hub(store: Store, *meetings: Interaction, write_to: tuple[str, ...] = ("cal",)) -> World:
    crm = Vendor()
    ana = Person(external_id="77", identifiers=(Identifier("acorn:people", "77"), Identifier("email", ANA)), name="Ana")
    crm.put("parties", "77", ana)
    for one in meetings or (meeting(),):
        crm.mail(one)
    vendors = {"crm": crm, "cal": Vendor(), "colleague": Vendor()}
    diary = {"connector": "diary"}
    world = World(store, vendors, cal=diary, colleague=diary, meetings={"write_to": list(write_to)})
    world.engine.registry = Registry(connectors={"acorn": Acorn, "diary": Diary})
    world.sync("crm")
    return world


def deliver(world: World) -> int:
    plan = world.plan("cal")
    if plan.id:
        assert not world.apply(plan.id).applied.failures
    return plan.changes


def events(world: World) -> list[Interaction]:
    return [c.entity for _, _, c in world.vendors["cal"].objects.values() if isinstance(c.entity, Interaction)]


def test_it_is_made_once_with_addresses_instead_of_the_tools_numbers(store: Store) -> None:
    world = hub(store)
    assert deliver(world) == 1
    (event,) = events(world)
    assert {p.identifier.value for p in event.participants} == {ANA, f"sam@{US}"}
    assert (event.occurred_at, event.subject) == (START + timedelta(hours=24), "About m1")
    assert deliver(world) == 0


def test_it_follows_its_meeting_and_is_called_off_with_it(store: Store) -> None:
    world = hub(store)
    deliver(world)
    world.vendors["crm"].mail(meeting(hours=30))
    world.sync("crm")
    assert deliver(world) == 1
    assert [e.occurred_at for e in events(world)] == [START + timedelta(hours=30)]
    world.vendors["crm"].delete("mail", "m1")
    world.sync("crm")
    assert deliver(world) == 1
    assert events(world) == []


def test_what_is_over_or_stands_in_a_colleagues_calendar_is_left_alone(store: Store) -> None:
    twice = meeting("m3", dedup_keys=("ical:m3",))
    world = hub(store, meeting("m2", hours=-24), twice)
    world.vendors["colleague"].mail(msgspec.structs.replace(twice, external_id="e3"))
    world.sync("colleague")
    assert deliver(world) == 0
    assert events(world) == []


def test_only_meetings_go_there(store: Store) -> None:
    world = hub(store, mail("m4", minute=600))
    assert deliver(world) == 0


def test_a_tool_that_is_no_calendar_is_refused_with_the_fix(store: Store) -> None:
    world = hub(store, write_to=("crm",))
    with pytest.raises(ConfigError, match=r"meetings\.write_to.*crm.*is no calendar"):
        world.plan("crm")
