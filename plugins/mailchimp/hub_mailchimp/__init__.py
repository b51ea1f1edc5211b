"""Mailchimp Marketing: members, campaigns and what recipients did with them in; fields, tags, notes and opt-outs out.

In: members of all audiences as people with their consent, and each send, open, click, bounce and unsubscribe as an
interaction. Out: merge fields, tags and notes of members that exist, and an unsubscribe. Never a subscription.
`members`, `reports` and `catalog` read, `mapping` translates, `push` writes, `lookup` finds what was written.
Source: Mailchimp Marketing API 3.0 (specification 3.0.55); the README says what is known and what is not.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any

from hub.api import (
    Budget,
    Census,
    Change,
    Connector,
    Entity,
    Estimate,
    Found,
    HttpProfile,
    HubError,
    JournalEntry,
    Manifest,
    Notice,
    Page,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    Response,
    Scope,
    Services,
    Stream,
    WebhookRequest,
    Window,
    hookimpl,
)
from hub_mailchimp import errors, webhooks
from hub_mailchimp.catalog import Catalog
from hub_mailchimp.client import PLACE, Client, profile_of
from hub_mailchimp.mapping import Mapper
from hub_mailchimp.members import OVERLAP, Members
from hub_mailchimp.push import Writer
from hub_mailchimp.reports import PARTS, SETTLING, Reports
from hub_mailchimp.settings import MailchimpSettings
from hub_mailchimp.setup import check

__all__ = ["Mailchimp", "MailchimpSettings"]


class Mailchimp(Connector[MailchimpSettings]):
    """One Mailchimp account."""

    manifest = Manifest(
        name="mailchimp",
        title="Mailchimp",
        channels=("email",),
        streams=(
            Stream("audiences", deletes="suspected", needs=("lists",), carries="reference"),
            Stream(
                "members",
                deletes="suspected",
                overlap=OVERLAP,
                census="ids",
                needs=("lists",),
                carries="parties",
                ids="address",
            ),
            Stream("campaigns", deletes="suspected", needs=("campaigns",), carries="reference"),
            Stream("sends", overlap=SETTLING, census="ids", needs=("reports",)),
            # Mailchimp keeps at most 1,000 opens and 1,000 clicks of a recipient per campaign.
            Stream("activity", overlap=SETTLING, cap=1000, needs=("reports",)),
            Stream("unsubscribes", overlap=SETTLING, needs=("reports",)),
        ),
        auth=("api_key", "oauth"),
        # Mailchimp has no scopes: these are the parts of its API that a user's role or a plan can close, each by a 403.
        scopes=(
            Scope("lists", "knows who is in which audience and what they agreed to; writes fields, tags and notes"),
            Scope("campaigns", "names what was sent", is_required=False),
            Scope("reports", "brings sends, opens, clicks, bounces and unsubscribes", is_required=False),
        ),
        # Mailchimp limits open connections, ten to a key, and states no rate. This pace is what ten connections carry
        # when each call takes a second; `connections` in the settings bounds how many are open.
        budgets=(Budget("calls", 100, timedelta(seconds=10)),),
        hosts=("login.mailchimp.com", "*.api.mailchimp.com"),
        pushes=("person", "interaction", "consent"),
        can_undo=True,
        webhooks=True,
        vendor_api="Marketing API 3.0.55",
        docs="https://mailchimp.com/developer/marketing/",
    )
    settings_model = MailchimpSettings

    def __init__(self, settings: MailchimpSettings, services: Services) -> None:
        super().__init__(settings, services)
        self.client = Client(self)
        self._mapper = Mapper(settings)
        self._writer = Writer(self.client)

    def http_profile(self) -> HttpProfile:
        # Mailchimp itself gives up after 120 s. Four tries, because a key that is stopped is not to be pressed.
        return profile_of(self.settings, explain=self._explain, attempts=4, deadline_s=125.0)

    def _explain(self, response: Response) -> HubError | None:
        return errors.explain(response, self.services.clock)

    async def check(self) -> PermissionMatrix:
        """Reads one of each object, and makes our merge field where it is missing."""
        return await check(self.client, self.manifest)

    async def estimate(self, stream: str, window: Window) -> Estimate | None:
        if stream == "members":
            return await Members(self.client).estimate()
        return await Reports(self.client, stream).estimate(window) if stream in PARTS else None

    def _reader(self, stream: str) -> Catalog | Members | Reports:
        self.manifest.stream(stream)
        if stream == "members":
            return Members(self.client)
        return Reports(self.client, stream) if stream in PARTS else Catalog(self.client, stream)

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        async for page in self._reader(pull.stream).pages(pull):
            yield page

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        return await self._reader(stream).fetch(external_ids)

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        return self._mapper.entities(stream, raw)

    async def census(self, stream: str, period: Window) -> Census | None:
        if stream == "members":
            return await Members(self.client).census(period)
        return await Reports(self.client, stream).census(period) if stream in PARTS else None

    def writable(self, kind: str) -> frozenset[str]:
        """What `merge_fields` names; tags are only ever added, so they are no field with a value."""
        return frozenset(self.settings.merge_fields) if kind == "person" else frozenset()

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return await self._writer.push(changes)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        return await self._writer.lookup.find(kind, keys)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        return await self._writer.undo(entries)

    def verify_webhook(self, request: WebhookRequest) -> None:
        s = self.settings
        signing = s.webhook_signing_secret.get_secret_value()
        webhooks.verify(request, s.webhook_secret.get_secret_value(), signing, self.services.clock.now())

    def parse_webhook(self, request: WebhookRequest) -> Iterable[Notice]:
        return webhooks.notices(request)

    async def forget(self) -> None:
        self.services.tokens.put(PLACE, {})


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Mailchimp]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"mailchimp": "hub_mailchimp.emulator:MailchimpEmulator"}
