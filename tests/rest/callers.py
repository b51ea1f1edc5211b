"""A small hub behind REST with a token for each role, and what every route needs."""

import asyncio
import atexit
from typing import Any

import httpx
from acorn import Vendor
from world import World, mail

from hub import reports
from hub.access import Door, Viewer, accounts, roles, tokens
from hub.rest import create_app
from hub.store import Store

API = "/api/v1"
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}  # what a load balancer asks, without a token
KAY = "kay@kestrel.example"
NAMES = {"public_id": "nobody", "number": 99, "name": "nowhere", "endpoint": "ep_x", "event": "evt_x", "item": "itm_99"}
# What each route needs; a request that would be right but for names that are not there.
ROUTES: dict[tuple[str, str], tuple[str, str, Any]] = {
    ("GET", "/parties"): (roles.CUSTOMERS_READ, "?q=kay", None),
    ("GET", "/parties/{public_id}"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/parties/{public_id}/timeline"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/parties/{public_id}/people"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/search"): (roles.BODIES_READ, "?q=kay", None),
    ("GET", "/items"): (roles.CUSTOMERS_READ, "?kind=deal", None),
    ("GET", "/items/{item}"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/interactions/{public_id}"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/interactions/{public_id}/body"): (roles.BODIES_READ, "", None),
    ("GET", "/interactions/{public_id}/conversation"): (roles.CUSTOMERS_READ, "", None),
    ("GET", "/identity/parties/{public_id}"): (roles.IDENTITY_REVIEW, "", None),
    ("GET", "/identity/why-same"): (roles.IDENTITY_REVIEW, "?a=x&b=y", None),
    ("GET", "/identity/why-not"): (roles.IDENTITY_REVIEW, "?a=x&b=y", None),
    ("GET", "/identity/reviews"): (roles.IDENTITY_REVIEW, "", None),
    ("GET", "/identity/reviews/{number}"): (roles.IDENTITY_REVIEW, "", None),
    ("GET", "/identity/hubs"): (roles.IDENTITY_REVIEW, "", None),
    ("GET", "/identity/acts"): (roles.IDENTITY_REVIEW, "", None),
    ("GET", "/identity/acts/{number}"): (roles.IDENTITY_REVIEW, "", None),
    ("POST", "/identity/acts"): (roles.IDENTITY_DECIDE, "", {"act": "merge", "what": ["a", "b"]}),
    ("GET", "/plans"): (roles.PLANS_READ, "", None),
    ("POST", "/plans"): (roles.PLANS_PROPOSE, "", {"destination": "nowhere"}),
    ("GET", "/plans/{number}"): (roles.PLANS_READ, "", None),
    ("GET", "/plans/{number}/approval"): (roles.PLANS_APPROVE, "", None),
    ("POST", "/plans/{number}/approve"): (roles.PLANS_APPROVE, "", None),
    ("POST", "/plans/{number}/reject"): (roles.PLANS_APPROVE, "", None),
    ("POST", "/plans/{number}/apply"): (roles.PLANS_APPROVE, "", None),
    ("POST", "/plans/{number}/undo"): (roles.PLANS_APPROVE, "", None),
    ("GET", "/webhooks"): (roles.HOOKS_MANAGE, "", None),
    ("POST", "/webhooks"): (roles.HOOKS_MANAGE, "", {"url": "http://127.0.0.1/"}),
    ("GET", "/webhooks/events"): (roles.HOOKS_MANAGE, "", None),
    ("GET", "/webhooks/{endpoint}"): (roles.HOOKS_MANAGE, "", None),
    ("PATCH", "/webhooks/{endpoint}"): (roles.HOOKS_MANAGE, "", {}),
    ("DELETE", "/webhooks/{endpoint}"): (roles.HOOKS_MANAGE, "", None),
    ("POST", "/webhooks/{endpoint}/pause"): (roles.HOOKS_MANAGE, "", {}),
    ("POST", "/webhooks/{endpoint}/resume"): (roles.HOOKS_MANAGE, "", None),
    ("POST", "/webhooks/{endpoint}/rotate"): (roles.HOOKS_MANAGE, "", None),
    ("GET", "/webhooks/{endpoint}/deliveries"): (roles.HOOKS_MANAGE, "", None),
    ("POST", "/webhooks/{endpoint}/deliveries/{event}/resend"): (roles.HOOKS_MANAGE, "", None),
    ("POST", "/webhooks/{endpoint}/replay"): (roles.HOOKS_MANAGE, "", {"after": 0}),
    ("POST", "/webhooks/{endpoint}/test"): (roles.HOOKS_MANAGE, "", None),
    ("GET", "/reports"): (roles.REPORTS_READ, "", None),
    **{
        ("GET", f"/reports/{name}{kind}"): (roles.REPORTS_READ, "", None)
        for name in reports.REPORTS
        for kind in ("", ".csv")
    },
    ("GET", "/health"): (roles.HEALTH_READ, "", None),
    ("GET", "/issues"): (roles.HEALTH_READ, "", None),
    ("GET", "/coverage"): (roles.HEALTH_READ, "", None),
    ("GET", "/metrics"): (roles.HEALTH_READ, "", None),
    ("POST", "/holds/{number}/decide"): (roles.PLANS_APPROVE, "", {"remove": False}),
    ("GET", "/connections"): (roles.CONNECTIONS_READ, "", None),
    ("GET", "/connections/{name}"): (roles.CONNECTIONS_READ, "", None),
    ("GET", "/connections/{name}/runs"): (roles.HEALTH_READ, "", None),
    ("GET", "/runs/{number}"): (roles.HEALTH_READ, "", None),
    ("GET", "/quarantine"): (roles.QUARANTINE_REPLAY, "", None),
    ("POST", "/connections/{name}/replay"): (roles.QUARANTINE_REPLAY, "", None),
    ("POST", "/connections/{name}/sync"): (roles.CONNECTIONS_MANAGE, "", None),
}


class Site:
    """A small hub behind the app, and a token for each role."""

    def __init__(self, store: Store) -> None:
        vendors = {"a": Vendor(), "sor": Vendor()}
        self.world = self.world_of(store, vendors)
        vendors["a"].mail(mail("m1", KAY, text="New words.", body="New words.\n> old"))
        vendors["a"].mail(mail("m2", KAY, refs=("m1",), minute=5))
        self.seed(vendors["a"])
        self.world.sync()
        self.app = create_app(self.world.engine, Door(store, self.world.engine.clock))
        self.tokens = {role: self.token(role) for role in roles.ROLES}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://hub.example")
        self._runner = asyncio.Runner()  # one loop for all calls: starting one takes longer than most of them
        atexit.register(self._runner.close)

    def world_of(self, store: Store, vendors: dict[str, Vendor]) -> World:
        return World(store, vendors, sor="sor")

    def seed(self, vendor: Vendor) -> None:
        """What else is in the mailbox."""

    def token(self, role: str, name: str = "") -> str:
        """Of a new account with this role."""
        now = self.world.engine.clock.now()
        store = self.world.store
        local = Viewer.local("tester")
        with store.write() as c:
            made, _ = accounts.create(c, local, f"{name or role}@ourco.example", role.title(), [role], now)
            scopes = roles.allowed([role])
            text, _ = tokens.create(c, local, made.id, "tests", scopes, now)
        return text

    def ask(self, method: str, path: str, role: str = "admin", **more: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        return self.send(method, path if path == "/metrics" else API + path, headers=headers, **more)

    def send(self, method: str, url: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, url, **more))

    def get(self, path: str, role: str = "admin", **more: Any) -> Any:
        return self.ask("GET", path, role, **more)
