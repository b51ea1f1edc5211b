"""The nightly audit: due by its own schedule, run like a sync, applied or only shown as the settings say."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub.engine.identities import AUDIT
from hub.store import Store
from hub.store import tables as t
from tests.identity.test_joining import crowd, okonkwo
from tests.support.acorn import Vendor
from tests.support.world import World

pytestmark = pytest.mark.parametrize("kept_store", ["sqlite"], indirect=True)


def world(store: Store, audit: str) -> World:
    """A hub whose tool holds a crowd, and two records of one person that the online path did not see as one."""
    made = World(store, {"desk": Vendor(page_size=100)}, identity={"audit": audit, "audit_at": "0 3 * * *"})
    for one in (*crowd(), okonkwo("900", "wilhelmina.okonkwo@fir.example", "acorn:contacts")):
        made.vendors["desk"].put("parties", one.external_id, one)
    made.sync("desk")
    with store.write() as c:
        c.execute(sa.delete(t.match_key))
    made.vendors["desk"].put("parties", "w5", okonkwo("w5", "w.okonkwo@gmail.com", "beech:users"))
    made.sync("desk")
    return made


def joined(w: World) -> bool:
    with w.store.read() as c:
        party = sa.select(t.identifier.c.party_id).where(t.identifier.c.value.in_(("900", "w5")))
        return len(set(c.execute(party).scalars())) == 1


@pytest.mark.parametrize(("audit", "what"), [("apply", True), ("propose", False), ("off", None)])
def test_at_three_in_the_morning(store: Store, audit: str, what: bool | None) -> None:
    w = world(store, audit)
    assert AUDIT not in w.engine.due(w.clock.now())
    w.clock.advance(timedelta(hours=20).total_seconds())
    assert (AUDIT in w.engine.due(w.clock.now())) is (what is not None)
    if what is None:
        return
    result = asyncio.run(w.engine.sync(AUDIT))
    assert (result.status, result.exit_code) == ("healthy", 0)
    assert "1 to join" in result.lines[0]
    assert joined(w) is what
    assert ("nothing was changed" in result.lines[-1]) is not what
    assert AUDIT not in w.engine.due(w.clock.now())
    w.clock.advance(timedelta(hours=24).total_seconds())
    assert AUDIT in w.engine.due(w.clock.now())
