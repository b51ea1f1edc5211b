"""A hub over one made-up mailbox whose system of record is a HubSpot portal, played by the emulator over real HTTP."""

from collections.abc import Sequence
from typing import Any

import httpx
import sqlalchemy as sa
from acorn import VENDORS, Acorn, Vendor
from portal import set_up_like
from world import START, US, TickingClock

from hub import settings as config
from hub.engine import Engine, push
from hub.outbox import Plan
from hub.plugins import Registry
from hub.store import Store
from hub.store import tables as t
from hub.testing import Running
from hub.testing.suite_bench import TLS
from hub_hubspot import HubSpot
from hub_hubspot.emulator import HubSpotEmulator

SECRETS = {"client_id": "test-client", "client_secret": "secret-of-portal", "refresh_token": "refresh-of-portal"}


_left: list[tuple[dict[str, Any], HubSpotEmulator]] = []  # by the first check: the connection's row, the portal


class Transport(httpx.AsyncHTTPTransport):
    """One pool for all syncs of a test; what a connector closes stays open until the end."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)

    async def aclose(self) -> None:
        """The test closes it."""

    async def really_close(self) -> None:
        await super().aclose()


class Crm:
    """Mailbox `a` (Acorn) and portal `crm`; `again` gives the same hub with other settings, as after a restart."""

    def __init__(self, store: Store, server: Running) -> None:
        self.store, self.clock, self.transport = store, TickingClock(START), Transport()
        self.mailbox = Vendor()
        VENDORS.clear()
        VENDORS["a"] = self.mailbox
        self.portal = HubSpotEmulator(
            now=self.clock.now, client_secret=SECRETS["client_secret"], refresh_token=SECRETS["refresh_token"]
        )
        server.put(self.portal)
        self.url = server.url
        self.applied = 0  # the plan applied last
        self.again()

    def again(self, **sections: Any) -> None:
        settings = {**SECRETS, "base_url": self.url, "tier": 110, "time_zone": "Europe/Berlin"}
        connections = {
            "a": {"connector": "acorn", "settings": {"account": "a"}},
            "crm": {"connector": "hubspot", "settings": settings, **sections.pop("crm", {})},
        }  # fmt: skip
        record = {"connection": "crm", "brake_percent": 100.0}
        plain = {"connections": connections, "system_of_record": record, "own": {"domains": [US]}, **sections}
        registry = Registry(connectors={"acorn": Acorn, "hubspot": HubSpot})
        self.engine = Engine(
            config.Settings.model_validate(plain), self.store, registry, clock=self.clock, transport=self.transport
        )

    async def sync(self, name: str, streams: Sequence[str] = ()) -> None:
        used = streams or [s for s, feed in self.mailbox.feeds.items() if feed.log]
        result = await self.engine.sync(name, streams=used, census=False)
        assert (result.status, result.exit_code) == ("healthy", 0), result.lines

    async def check(self) -> None:
        """Have the portal checked and set up. Once a process; later portals and stores get what that left behind."""
        if _left:
            row, portal = _left[0]
            set_up_like(self.portal, portal)
            with self.store.write() as c:
                c.execute(sa.insert(t.connection).values(row))
            return
        await self.engine.check("crm")
        with self.store.read() as c:
            query = sa.select(t.connection).where(t.connection.c.name == "crm")
            row = {k: v for k, v in c.execute(query).mappings().one().items() if k != "id"}
        portal = HubSpotEmulator()
        set_up_like(portal, self.portal)
        _left.append((row, portal))

    async def read_back(self) -> None:
        """What people do there, and our own contacts, after the search index has caught up."""
        self.clock.advance(3600)
        await self.sync("crm", ("contacts",))

    def plan(self) -> Plan:
        return push.plan(self.engine)

    async def apply(self) -> dict[str, int]:
        """Plan and apply once; nothing must be due then, and nothing have failed. What was done, by outcome."""
        plan = self.plan()
        if not plan.id:
            return {}
        self.applied = plan.id
        push.approve(self.engine, plan.id, "test")
        result = await push.apply(self.engine, plan.id)
        assert result.applied.failures == [], result.applied.failures
        assert self.plan().changes == 0
        return result.applied.done

    # --- looking --------------------------------------------------------------------------------------------------

    def held(self, kind: str) -> list[dict[str, Any]]:
        return list(self.portal.control("dump", {"type": kind}))

    def contacts(self) -> dict[str, str]:
        """Address -> contact, of every address that a contact lists."""
        found = {}
        for row in self.held("contacts"):
            more = row["properties"].get("hs_additional_emails") or ""
            for address in (row["properties"].get("email") or "", *more.split(";")):
                if address:
                    found[address] = row["id"]
        return found

    def filed(self) -> dict[str, frozenset[str]]:
        """Subject of each e-mail there -> the contacts it is associated with. Fails when one stands there twice."""
        found: dict[str, frozenset[str]] = {}
        for row in self.held("emails"):
            subject = row["properties"]["hs_email_subject"]
            assert subject not in found, f"{subject} stands there twice"
            found[subject] = frozenset(row["associations"].get("contacts", ()))
        return found

    def associations(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Every association of everything there."""
        kinds = ("contacts", "companies", "emails", "notes")
        return {
            f"{kind}/{row['id']}": {to: tuple(ids) for to, ids in sorted(row["associations"].items())}
            for kind in kinds for row in self.held(kind)
        }  # fmt: skip

    def writes(self) -> int:
        """Requests that changed something at the portal so far."""
        reads = ("/read", "/search", "/oauth/")
        return sum(method != "GET" and not any(x in path for x in reads) for method, path, _ in self.portal.requests)

    def party(self, address: str) -> str:
        """Public id of the party behind an address."""
        query = sa.select(t.party.c.public_id).join(t.identifier, t.identifier.c.party_id == t.party.c.id)
        with self.store.read() as c:
            return str(c.execute(query.where(t.identifier.c.value == address)).scalar_one())

    def timeline(self, address: str) -> set[str]:
        """Subjects on the timeline of the party behind an address."""
        query = (
            sa.select(t.interaction.c.subject)
            .join(t.link, t.link.c.interaction_id == t.interaction.c.id)
            .join(t.identifier, t.identifier.c.party_id == t.link.c.party_id)
            .where(t.identifier.c.value == address)
        )
        with self.store.read() as c:
            return set(c.execute(query).scalars())
