"""Zendesk Support: tickets with their comments, people, organizations and ratings in; internal notes and tasks out.

In: one account's incremental exports. Out: canonical conversations, interactions and parties, and internal notes,
tasks and fields written back, each exactly once and never publicly. `pull` has the order of reading, `mapping` and
`outbound` the two translations, `push` the writing, `census` the second count. Source: Zendesk's API reference and its
published specification; the README says what is known.
"""

import math
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from hub.api import (
    AuthError,
    Budget,
    Budgeter,
    Census,
    Change,
    Connector,
    Entity,
    Estimate,
    Found,
    Gone,
    HttpProfile,
    HubError,
    JournalEntry,
    Notice,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    RecordRejected,
    Response,
    ScopeError,
    Services,
    WebhookRequest,
    Window,
    hookimpl,
)
from hub_zendesk import census, errors, webhooks
from hub_zendesk.client import API, Client, Context, read
from hub_zendesk.manifest import MANIFEST
from hub_zendesk.mapping import Mapper
from hub_zendesk.outbound import places
from hub_zendesk.pull import CommentReader, Exports, RowReader, TicketReader
from hub_zendesk.push import UPDATE, Writer
from hub_zendesk.settings import ZendeskSettings
from hub_zendesk.texts import SWITCH_OFF

__all__ = ["Zendesk", "ZendeskSettings"]

_PROBES = {  # stream: a cheap call that needs what reading the stream needs; exports answer to admins only
    "users": ("incremental/users/cursor", "user-export"),
    "organizations": ("incremental/organizations", "export"),
    "tickets": ("incremental/tickets/cursor", "export"),
    "comments": ("incremental/ticket_events", "export"),
    "satisfaction_ratings": ("satisfaction_ratings", ""),
    "metric_events": ("incremental/ticket_metric_events", "export"),
}
_WRITES: dict[
    str, tuple[str, str, dict[str, Any], str]
] = {  # write scope: a write to an object that does not exist, which is asked for permission first
    "tickets:write": ("tickets", "tickets/0", {"ticket": {}}, UPDATE),
    "users:write": ("users", "users/0", {"user": {}}, "user-update"),
    "organizations:write": ("organizations", "organizations/0", {"organization": {}}, ""),
}
_SAMPLE = 100


class Zendesk(Connector[ZendeskSettings]):
    """One account."""

    manifest = MANIFEST
    settings_model = ZendeskSettings

    def __init__(self, settings: ZendeskSettings, services: Services) -> None:
        super().__init__(settings, services)
        self.client = Client(self.http, settings.subdomain)
        self._mapper = Mapper(settings)
        self._writer = Writer(self.client, settings)

    def budgets(self) -> tuple[Budget, ...]:
        """The account's plan decides, which only the settings know."""
        return self.settings.budgets()

    def http_profile(self) -> HttpProfile:
        s = self.settings
        return HttpProfile(
            base_url=s.root, token=s.token_source(), headers=s.headers(), explain=self._explain, observe=self._observe
        )

    def _explain(self, response: Response) -> HubError | None:
        return errors.explain(response)

    def _observe(self, response: Response, budgeter: Budgeter) -> None:
        errors.observe(response, budgeter)

    async def forget(self) -> None:
        self.services.tokens.put(self.settings.token_name, {})

    # -- what may we do, and what will it cost

    async def check(self) -> PermissionMatrix:
        """One row per stream and write scope; rows that only warn say so in their detail.

        Raises AuthError when nobody is signed in: Zendesk answers "Anonymous user" with status 200 then.
        """
        me = (await self.client.get("users/me")).get("user") or {}
        if not me.get("id"):
            raise AuthError("Zendesk answers as if nobody were signed in: check e-mail address and API token")
        rows = [await self._reads(stream.name, stream.needs[0], str(me.get("role"))) for stream in MANIFEST.streams]
        for scope, (stream, path, body, cost) in _WRITES.items():
            rows.append(await self._writes(scope, stream, path, body, cost))
        rows += [*self._about_sign_in(), await self._suspended()]
        label = f"{self.settings.subdomain}.zendesk.com as {me.get('name')}"
        own = (str(me["email"]).lower(),) if me.get("email") else ()
        return PermissionMatrix(self.settings.subdomain, label, tuple(rows), own, (f"role:{me.get('role')}",))

    async def _reads(self, stream: str, scope: str, role: str) -> Permission:
        path, cost = _PROBES[stream]
        since = int(self.services.clock.now().timestamp()) - 600
        try:
            await self.http.request("GET", API + path, params={"start_time": since, "per_page": 1}, cost=cost)
        except ScopeError as exc:
            hint = "" if role == "admin" else f"; exports answer to admins only, and this is an {role}"
            return Permission(stream, "read", False, f"{exc.message}{hint}", scope)
        return Permission(stream, "read", True, path, scope)

    async def _writes(self, scope: str, stream: str, path: str, body: dict[str, Any], cost: str) -> Permission:
        try:
            await self.http.request("PUT", API + path, json=body, cost=cost, safe=True)
        except ScopeError as exc:
            return Permission(stream, "write", False, exc.message, scope)
        except (Gone, RecordRejected):
            pass  # it is asked whether we may before it is asked what
        return Permission(stream, "write", True, f"PUT {path}", scope)

    def _about_sign_in(self) -> list[Permission]:
        """API tokens end; and a token is given out even for scopes that do not exist."""
        if not self.settings.client_id:
            end = f"API tokens stop working on {SWITCH_OFF}: create an OAuth client and set client_id and client_secret"
            return [Permission("sign-in", "read", True, f"warning: {end}")]
        stored = self.services.tokens.get(self.settings.token_name) or {}
        granted = set(str(stored.get("scope") or "").replace(",", " ").split())
        lacking = [s for s in self.settings.scopes if not granted & {s, s.partition(":")[2], "read write"}]
        if not granted or not lacking:
            return []
        return [Permission("sign-in", "read", False, f"asked for and not granted: {', '.join(lacking)}", lacking[0])]

    async def _suspended(self) -> Permission:
        """Mail Zendesk holds back is no ticket yet and is not read: say how much of it there is."""
        try:
            answer = await self.client.get("suspended_tickets", {"per_page": 1})
        except (ScopeError, Gone) as exc:
            return Permission("suspended_tickets", "read", True, f"not read, and not counted: {exc.message}")
        waiting = answer.get("count", len(answer.get("suspended_tickets", [])))
        said = f"{waiting} suspended mails wait in Zendesk and are not read; recovered ones come as tickets"
        return Permission("suspended_tickets", "read", True, said)

    async def estimate(self, stream: str, window: Window) -> Estimate | None:
        """Tickets by search, others by their counts; comments by a sample of the newest tickets' own counts."""
        if stream == "metric_events":
            return None
        if stream in {"tickets", "comments"}:
            records, per_minute = await census.count(self.client, window), 10
            if stream == "comments":
                records = math.ceil(records * await self._comments_per_ticket())
        else:
            answer = (await self.client.get(f"{stream}/count"))["count"]
            records, per_minute = int(answer["value"]), 20 if stream == "users" else 10
        calls = math.ceil(records / self.settings.page_size) + 1
        return Estimate(records, calls, calls / per_minute * 60)

    async def _comments_per_ticket(self) -> float:
        params: dict[str, str | int] = {"sort": "-id", "include": "comment_count", "page[size]": _SAMPLE}
        counts = [
            read(bytes(r), Context, "tickets").comment_count or 1
            for r in await self.client.rows("tickets", "tickets", params)
        ]
        return sum(counts) / len(counts) if counts else 1.0

    # -- in

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        self.manifest.stream(pull.stream)
        exports = Exports(self.client, self.settings)
        if pull.stream == "tickets":
            pages = TicketReader(exports).pages(pull)
        elif pull.stream == "comments":
            pages = CommentReader(exports).pages(pull)
        else:
            pages = RowReader(exports, self.services.clock).pages(pull)
        async for page in pages:
            yield page

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        exports = Exports(self.client, self.settings)
        if stream == "tickets":
            return await TicketReader(exports).fetch(external_ids)
        if stream == "comments":
            return await CommentReader(exports).fetch(external_ids)
        return await RowReader(exports, self.services.clock).fetch(stream, external_ids)

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        return self._mapper.entities(stream, raw)

    async def census(self, stream: str, period: Window) -> Census | None:
        return await census.census(self.client, stream, period)

    # -- out

    def writable(self, kind: str) -> frozenset[str]:
        attributes, custom = places(kind, self.settings)
        return frozenset({*attributes, *custom})

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        return await self._writer.push(changes)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        return await self._writer.find(kind, keys)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        return await self._writer.undo(entries)

    # -- the doorbell

    def verify_webhook(self, request: WebhookRequest) -> None:
        webhooks.verify(request, self.settings.webhook_secret.get_secret_value(), self.services.clock.now())

    def parse_webhook(self, request: WebhookRequest) -> Iterable[Notice]:
        return webhooks.notices(request)


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Zendesk]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"zendesk": "hub_zendesk.emulator:ZendeskEmulator"}
