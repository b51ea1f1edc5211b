"""A local stand-in for HubSpot's CRM API: objects, associations, search, webhooks and their recorded quirks.

In: HTTP on loopback in either URL dialect. Out: what HubSpot would answer, as far as its documentation, specification
files and recorded answers say; guesses are marked as such where they are made.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs

from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from hub.testing import Emulator
from hub_hubspot.emulator import meta, routing
from hub_hubspot.emulator.answers import Answer, Call, Refusal
from hub_hubspot.emulator.control import Control
from hub_hubspot.emulator.events import Delivery, Events, sign_v1, sign_v2, sign_v3
from hub_hubspot.emulator.gate import Gate, Limits, Token
from hub_hubspot.emulator.portal import Portal
from hub_hubspot.emulator.preferences import Preferences
from hub_hubspot.emulator.tables import BY_NAME
from hub_hubspot.emulator.values import iso

__all__ = ["Delivery", "Flags", "HubSpotEmulator", "sign_v1", "sign_v2", "sign_v3"]


@dataclass
class Flags:
    """What may be switched while it runs. migration_s: answer everything 477 with this Retry-After; 0 is off.

    merge_mints_new_id: a merge's survivor is a third record. engagement_upsert: whether batch/upsert exists for
    engagements; where not it answers `upsert_refusal` (400 or 404). search_lag_s: how late search sees a write.
    """

    merge_mints_new_id: bool = False
    engagement_upsert: bool = True
    upsert_refusal: int = 400
    search_lag_s: float = 0.0
    migration_s: int = 0
    key_property: str = "ihub_key"


class HubSpotEmulator(Emulator):
    """One HubSpot portal.

    token: a static bearer token (service key, private app); scopes: what it may do, None is everything.
    client_id, client_secret, refresh_token: for the OAuth token endpoints; client_secret also signs webhooks.
    rate_per_10s, daily, search_per_s: limits, None is off. now: the clock, aware UTC.
    """

    name = "hubspot"

    def __init__(
        self,
        token: str = "test-token",  # noqa: S107
        *,
        scopes: Iterable[str] | None = None,
        client_id: str = "test-client",
        client_secret: str = "test-secret",  # noqa: S107
        refresh_token: str = "test-refresh",  # noqa: S107
        portal_id: int = 4_242_424,
        zone: str = "Europe/Berlin",
        rate_per_10s: int | None = None,
        daily: int | None = None,
        search_per_s: int | None = None,
        search_lag_s: float = 0.0,
        merge_mints_new_id: bool = False,
        engagement_upsert: bool = True,
        upsert_refusal: int = 400,
        webhook_url: str = "https://hub.example/webhooks/hubspot",
        now: Callable[[], datetime] | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__(seed)
        self._clock = now or (lambda: datetime.now(UTC))
        self.shift = timedelta(0)
        self.zone = zone
        self.webhook_url = webhook_url
        self.flags = Flags(merge_mints_new_id, engagement_upsert, upsert_refusal, search_lag_s)
        self.events = Events(portal_id, app_id=54321)
        self.portal = Portal(portal_id, self.now_ms, int(search_lag_s * 1000), self.events)
        self.portal.pipelines = meta.default_pipelines(iso(self.now_ms()))
        self.owners = meta.Owners(self.portal)
        self.preferences = Preferences(self.portal)
        granted = None if scopes is None else frozenset(scopes)
        self.gate = Gate(
            self.faults, self.now_ms, Limits(rate_per_10s, daily, search_per_s), client_id, client_secret,
            refresh_token, portal_id, zone, {token: Token(token, granted)}, granted,
        )  # fmt: skip
        self._control = Control(self)

    def now(self) -> datetime:
        return self._clock() + self.shift

    def now_ms(self) -> int:
        moment = self.now()
        return int(moment.timestamp()) * 1000 + moment.microsecond // 1000

    # Steering

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """See `Control` for the commands: seed, generate, merge, delete, touch, flags, now, dump and others."""
        with self.lock:
            return self._control.run(command, args)

    def state(self) -> dict[str, Any]:
        """Counts per type, objects that share an `ihub_key`, associations, what waits to be sent."""
        with self.lock:
            shelves = self.portal.shelves.items()
            return {
                "objects": {name: len(shelf.live) for name, shelf in shelves},
                "archived": {name: len(shelf.archived) for name, shelf in shelves},
                "absorbed": {name: len(shelf.aliases) for name, shelf in shelves if shelf.aliases},
                "duplicates": self._control.duplicates({}),
                "associations": self.portal.links.count(),
                "owners": len(self.owners.rows),
                "webhooks": {"pending": len(self.events.queue), "dropped": self.events.dropped},
                "refreshes": self.gate.refreshes,
                "blocklist": sorted(self.portal.blocklist),
                "now": iso(self.now_ms()),
            }

    def seed(
        self, objects: dict[str, list[dict[str, Any]]], owners: Sequence[dict[str, Any]] = ()
    ) -> dict[str, list[str]]:
        """Put objects down as if they had always been there; see `Control.seed`. Returns ids per type."""
        found = self.control("seed", {"objects": objects, "owners": list(owners)})
        return {**found["objects"], "owners": found["owners"]}

    def pending_webhooks(
        self, url: str | None = None, version: Literal["v1", "v2", "v3"] = "v3", attempt: int = 0, drain: bool = True
    ) -> list[Delivery]:
        """The requests HubSpot would send now, signed with the client secret; nothing is sent from here."""
        with self.lock:
            return self.events.deliveries(
                url or self.webhook_url, self.gate.client_secret, self.now_ms(), version=version, attempt=attempt,
                drain=drain,
            )  # fmt: skip

    def find(self, name: str, id_: str | int) -> dict[str, str] | None:
        """The properties of a live object, for tests in this process."""
        record = self.portal.shelves[BY_NAME[name].plural].get(int(id_))
        return dict(record.properties) if record else None

    # Serving

    def routes(self) -> Sequence[BaseRoute]:
        return [Mount("/", app=self._serve)]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(
            scope["method"], scope["path"], parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}, await _body(receive),
        )  # fmt: skip
        with self.lock:
            answer = self._answer(call)
        body = answer.encoded()
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        if body:
            headers.append((b"content-type", answer.media_type.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, call: Call) -> Answer:
        rates: dict[str, str] = {}
        try:
            routing.locate(call)
            if self.flags.migration_s:
                wait = {"Retry-After": str(self.flags.migration_s)}
                raise Refusal(477, "MIGRATION_IN_PROGRESS", "This account is being moved", headers=wait)
            if call.area == "token":
                if call.parts != ("token",) or call.method != "POST":
                    raise Refusal(404, "OBJECT_NOT_FOUND", "resource not found")
                return self.gate.trade(call)
            rates = self.gate.admit(call)
            answer = routing.dispatch(self, call)
        except Refusal as refusal:
            answer = refusal.answer()
        return Answer(answer.status, answer.body, {**rates, **answer.headers}, answer.media_type)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
