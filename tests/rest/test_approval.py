"""What an assistant proposed, approved over REST: by somebody else's token, with the nonce made for exactly that."""

from datetime import timedelta

from acorn import Vendor
from callers import Site
from databases import on_sqlite
from world import START, World, mail

from hub.access import Sees, Viewer, roles
from hub.api import Identifier, Person
from hub.service import Desk, customers, proposals
from hub.store import Store

KAY = "kay@kestrel.example"


class Proposed(Site):
    """Kay has a record at the system of record, so that a step can be filed there."""

    def world_of(self, store: Store, vendors: dict[str, Vendor]) -> World:
        known = Person(external_id="p1", identifiers=(Identifier("email", KAY),), name="Kay Hill")
        vendors["sor"].put("parties", "p1", known)
        return super().world_of(store, vendors)

    def seed(self, vendor: Vendor) -> None:
        vendor.mail(mail("m3", KAY, minute=9))


@on_sqlite
def test_a_proposal_takes_its_nonce(store: Store) -> None:
    site = Proposed(store)
    site.world.settle()
    desk = Desk(site.world.engine, Viewer(7, "Ana", roles.ALL, Sees(everything=True), "u7", "token abc"))
    kay = customers.search(desk, KAY)[0]["public_id"]
    due, version = (START + timedelta(days=3)).date(), proposals.version(customers.brief(desk, kay))
    plan = proposals.propose_step(desk, kay, "Send the offer", due, expected_version=version, key="k-1")["plan"]
    assert site.get(f"/plans/{plan}/approval", "viewer").status_code == 403
    for body in (None, {"nonce": ""}, {"nonce": "guessed"}):
        refused = site.ask("POST", f"/plans/{plan}/approve", json=body)
        assert refused.status_code == 409
        assert "nonce" in refused.json()["detail"]
    nonce = site.get(f"/plans/{plan}/approval").json()["nonce"]
    others = site.ask("POST", f"/plans/{plan}/approve", "operator", json={"nonce": nonce})
    assert others.status_code == 409  # it is for whoever was shown the plan
    assert site.ask("POST", f"/plans/{plan}/approve", json={"nonce": nonce}).json()["status"] == "approved"
    assert site.get(f"/plans/{plan}/approval").json() == {"nonce": None, "until": None}
