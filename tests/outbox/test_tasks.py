"""Next steps of other tools, filed once at the system of record, changed and ended there as at their source."""

from datetime import timedelta
from typing import Any

from acorn import Vendor
from world import START, World, mail

from hub.api import Identifier, Task
from hub.store import Store

ANA = "ana@kestrel.example"
KINDS = {"push": ["person", "organization", "interaction", "task"]}


def task(title: str = "Send the offer", about: str = ANA, **more: Any) -> Task:
    return Task(
        external_id="t1", title=title, about=(Identifier("email", about),), due_at=START + timedelta(days=2), **more
    )


def hub(store: Store, *tasks: Task, **record: Any) -> World:
    vendor = Vendor()
    vendor.mail(mail("m1"))
    for one in tasks:
        vendor.put("parties", one.external_id, one)
    world = World(store, {"desk": vendor, "sor": Vendor()}, sor="sor", system_of_record=KINDS | record)
    world.sync("desk")
    return world


def written(world: World) -> list[Task]:
    return [
        c.entity
        for kind, _, c in world.vendors["sor"].objects.values()
        if kind == "task" and isinstance(c.entity, Task)
    ]


def test_a_task_is_filed_once_under_its_person(store: Store) -> None:
    world = hub(store, task())
    world.settle()
    assert [(w.title, w.due_at) for w in written(world)] == [("Send the offer", START + timedelta(days=2))]
    change = next(c for kind, _, c in world.vendors["sor"].objects.values() if kind == "task")
    assert [link.kind for link in change.links] == ["person"]
    assert world.plan().changes == 0


def test_it_follows_its_source_and_ends_with_it(store: Store) -> None:
    world = hub(store, task())
    world.settle()
    world.vendors["desk"].put("parties", "t1", task("Send the better offer", is_done=True))
    world.sync("desk")
    world.settle()
    assert [(w.title, w.is_done) for w in written(world)] == [("Send the better offer", True)]
    world.vendors["desk"].delete("parties", "t1")
    world.sync("desk")
    world.settle()
    assert written(world) == []


def test_tasks_of_strangers_and_finished_ones_are_counted_and_not_filed(store: Store) -> None:
    world = hub(store, task(about="nobody@elsewhere.example"))
    world.settle()
    assert world.plan().not_due["tasks of nobody known there"] == 1
    world.vendors["desk"].put("parties", "t1", task(is_done=True))
    world.sync("desk")
    assert world.plan().not_due["tasks done already"] == 1
    assert written(world) == []


def test_without_the_word_no_task_is_filed(store: Store) -> None:
    world = hub(store, task(), push=["person", "organization", "interaction"])
    world.settle()
    assert written(world) == []
