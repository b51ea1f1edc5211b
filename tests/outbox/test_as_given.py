"""What two spellings are compared by is nobody's address: what a tool gave is what is kept, shown and written to."""

from typing import Any

import sqlalchemy as sa
from acorn import Vendor
from databases import on_sqlite
from world import US, World, mail, who

from hub.api import Identifier, Person
from hub.store import Store
from hub.store import tables as t

ADDRESS, NUMBER = "a.na+news@googlemail.com", "030 / 2312 5100"


def people(vendor: Vendor) -> list[Any]:
    return [vendor.objects[remote_id][2].entity for remote_id in vendor.held("person").values()]


@on_sqlite
def test_a_contact_gets_the_address_and_the_number_as_they_were_given(store: Store) -> None:
    source, sor = Vendor(), Vendor()
    source.mail(mail("m1", ADDRESS, participants=(who(ADDRESS, "from", "Ana Ruiz"), who(f"sam@{US}", "to"))))
    given = (Identifier("acorn:parties", "7"), Identifier("email", ADDRESS), Identifier("phone", NUMBER))
    source.put("parties", "7", Person(external_id="7", identifiers=given, name="Ana Ruiz"))
    world = World(store, {"a": source, "sor": sor}, sor="sor", identity={"default_region": "DE"})
    world.sync("a")
    with store.read() as c:
        i = t.identifier.c
        keys = dict(c.execute(sa.select(i.value, i.match_value).where(i.scheme.in_(("email", "phone")))).tuples().all())
    assert (keys[ADDRESS], keys[NUMBER]) == ("ana@gmail.com", "+493023125100")
    world.apply(world.plan().id)
    [ana] = people(sor)
    assert {(x.scheme, x.value) for x in ana.identifiers} == {("email", ADDRESS), ("phone", NUMBER)}
