"""HubSpot: contacts, companies, deals, tickets, tasks and all engagements in; timeline out, undone at will.

In: a portal's CRM objects through either URL dialect. Out: canonical people, organizations and interactions, and
engagements, contacts and companies written back, each exactly once. `paths` has the addresses, `objects` what is
read, `pull` the order of reading, `mapping` and `outbound` the two translations, `push`, `merging` and `undo` the writing.
Source: HubSpot's developer documentation and specification files (as stored 2026-03); the README says what is known.
"""

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hub.api import (
    Budget,
    Budgeter,
    Census,
    Change,
    Connector,
    Entity,
    Estimate,
    Found,
    HttpProfile,
    HubError,
    JournalEntry,
    Notice,
    Page,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    Response,
    Services,
    WebhookRequest,
    Window,
    hookimpl,
)
from hub_hubspot import census, errors, fields, webhooks
from hub_hubspot.client import LIST_LIMIT, Client
from hub_hubspot.consent import OptOuts
from hub_hubspot.manifest import MANIFEST
from hub_hubspot.mapping import Mapper
from hub_hubspot.merging import Merger
from hub_hubspot.objects import OBJECTS
from hub_hubspot.paths import Paths
from hub_hubspot.pull import OwnersReader, Reader, record, row_id, text_of
from hub_hubspot.push import Writer
from hub_hubspot.settings import HubSpotSettings
from hub_hubspot.setup import Account, Setup
from hub_hubspot.undo import Undoer

__all__ = ["HubSpot", "HubSpotSettings"]
PLACE = "hubspot-portal"


class HubSpot(Connector[HubSpotSettings]):
    """One portal."""

    manifest = MANIFEST
    settings_model = HubSpotSettings

    def __init__(self, settings: HubSpotSettings, services: Services) -> None:
        known = (services.tokens.get(PLACE) or {}).get("zone")
        self.time_zone = settings.time_zone or errors.known_zone(known if isinstance(known, str) else "")
        self._has_asked = False
        super().__init__(settings, services)
        self.client = Client(self.http, Paths(settings.api_version))
        self._mapper = Mapper(settings)
        self._writer = Writer(self.client, settings, self._zone)
        self._opt_outs = OptOuts(self.client)
        self._merger = Merger(self.client)

    def budgets(self) -> tuple[Budget, ...]:
        """The portal's subscription decides, which only the settings know, and where its day begins."""
        return self.settings.budgets(self.time_zone)

    def http_profile(self) -> HttpProfile:
        s = self.settings
        return HttpProfile(base_url=s.base_url, token=s.token_source(), explain=self._explain, observe=self._observe)

    def _explain(self, response: Response) -> HubError | None:
        return errors.explain(response, self.services.clock, self.time_zone)

    def _observe(self, response: Response, budgeter: Budgeter) -> None:
        errors.observe(response, budgeter, self.services.clock, self.time_zone)

    async def check(self) -> PermissionMatrix:
        """Reads one of each object, probes writing, and makes our unique property where it is missing."""
        matrix, account = await Setup(self.client, self.settings).run()
        self._learn(account)
        return matrix

    def _learn(self, account: Account) -> None:
        """The portal's zone, kept for the runs to come where the settings do not name one."""
        zone = "" if self.settings.time_zone else errors.known_zone(account.zone)
        if zone:
            self.time_zone = zone
            if (self.services.tokens.get(PLACE) or {}).get("zone") != zone:
                self.services.tokens.put(PLACE, {"zone": zone})

    async def _zone(self) -> tzinfo:
        """The portal's zone, asked for once where nobody has yet; UTC where HubSpot does not say."""
        if not self.time_zone and not self._has_asked:
            self._learn(await Setup(self.client, self.settings).account())
            self._has_asked = True
        return ZoneInfo(self.time_zone or "UTC")

    async def estimate(self, stream: str, window: Window) -> Estimate | None:
        if stream == "owners":
            return None
        filters = []
        if OBJECTS[stream].is_engagement:
            for bound, operator in ((window.since, "GTE"), (window.until, "LT")):
                if bound:
                    filters.append(("hs_timestamp", operator, str(int(bound.timestamp() * 1000))))
        total = (await self.client.search(stream, filters, properties=["hs_object_id"], limit=1)).total or 0
        units = math.ceil(total / LIST_LIMIT) + 1
        return Estimate(total, units, units / (self.settings.tier / 10))

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        self.manifest.stream(pull.stream)
        clock = self.services.clock
        if pull.stream == "owners":
            pages = OwnersReader(self.client, self.settings, clock).pages(pull)
        else:
            pages = Reader(self.client, self.settings, clock, OBJECTS[pull.stream]).pages(pull)
        async for page in pages:
            yield page

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        if stream == "owners":
            wanted, found, after = set(external_ids), list[RawRecord](), ""
            while True:
                rows = await self.client.owners(after=after)
                found += [RawRecord(row_id(r), msgspec.json.encode(r), text_of(r, "updatedAt")) for r in rows.results]
                if not rows.after or rows.after == after:
                    return [r for r in found if r.external_id in wanted]
                after = rows.after
        reader = Reader(self.client, self.settings, self.services.clock, OBJECTS[stream])
        given = await self.client.read_rows(stream, external_ids, reader.properties)
        links = await reader.links_of([row_id(r) for r in given])
        return [record(row_id(r), r, links[row_id(r)]) for r in given]

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        return self._mapper.entities(stream, raw)

    async def census(self, stream: str, period: Window) -> Census | None:
        return None if stream == "owners" else await census.census(self.client, stream, period)

    def writable(self, kind: str) -> frozenset[str]:
        return frozenset(fields.writable(kind, self.settings))

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        if changes and changes[0].kind == "consent":
            return await self._opt_outs.push(changes)
        if changes and changes[0].op == "merge":
            return await self._merger.push(changes)
        return await self._writer.push(changes)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        return await self._writer.lookup.find(kind, keys)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        return await Undoer(self.client).undo(entries)

    def verify_webhook(self, request: WebhookRequest) -> None:
        s = self.settings
        webhooks.verify(request, s.signing_secret(), self.services.clock.now(), s.webhook_versions)

    def parse_webhook(self, request: WebhookRequest) -> Iterable[Notice]:
        return webhooks.notices(request)


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [HubSpot]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"hubspot": "hub_hubspot.emulator:HubSpotEmulator"}
