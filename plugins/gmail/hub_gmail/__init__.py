"""Gmail: mail in, drafts out.

In: one mailbox over the Gmail API v1. Out: its messages, byte for byte as Gmail gives them, and the ids of
those that are gone; drafts written for a person to send. Source: Gmail API v1 discovery document (revision
20261005) and developers.google.com/workspace/gmail/api/guides: "sync", "batch", "push", "handle-errors".
"""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any, TypeVar

from hub.api import (
    Budget,
    Census,
    Change,
    ConfigError,
    Connector,
    ContractBroken,
    Entity,
    Estimate,
    Found,
    Gone,
    HttpProfile,
    HubError,
    JournalEntry,
    Manifest,
    Notice,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    Receipt,
    Response,
    Scope,
    ScopeError,
    Stream,
    Transient,
    WebhookRequest,
    Window,
    hookimpl,
)
from hub.api.google import SIGN_IN_HOST, connect
from hub_gmail import drafts, webhook
from hub_gmail.errors import explain
from hub_gmail.listing import LIST_SIZE, list_ids, list_page, search
from hub_gmail.mapping import to_entities
from hub_gmail.pull import Reader
from hub_gmail.settings import (
    API_HOST,
    DRAFT_SCOPE,
    MINUTE,
    NEW_BUDGET,
    READ_SCOPE,
    GmailSettings,
)
from hub_gmail.wire import ALIASES, DRAFTS, HISTORY, LABELS, LISTING, PROFILE, USERS, read

__all__ = ["Gmail", "GmailSettings", "connect"]

T = TypeVar("T")


class Gmail(Connector[GmailSettings]):
    """One mailbox. Stream `messages`: everything but drafts, chats and (unless wanted) spam and trash."""

    manifest = Manifest(
        name="gmail",
        title="Gmail",
        channels=("email",),
        streams=(Stream("messages", deletes="confirmed", census="ids", needs=(READ_SCOPE,)),),
        auth=("oauth", "service_account"),
        scopes=(
            Scope(READ_SCOPE, "reads messages, labels and send-as addresses; cannot change or send anything"),
            Scope(DRAFT_SCOPE, "writes drafts for a person to send; asked for only with push_drafts", False),
        ),
        budgets=(NEW_BUDGET,),
        hosts=(API_HOST, SIGN_IN_HOST),
        pushes=("interaction",),
        can_undo=True,
        webhooks=True,
        vendor_api="gmail v1 (20261005)",
        docs="plugins/gmail/README.md",
    )
    settings_model = GmailSettings

    def budgets(self) -> tuple[Budget, ...]:
        """The quota hangs on the age of the Google Cloud project, which only the settings know."""
        return (self.settings.budget(),)

    def http_profile(self) -> HttpProfile:
        token = self.settings.sign_in(self.token_name, self.settings.subject or self.settings.mailbox)
        return HttpProfile(base_url=self.settings.base_url, token=token, explain=self._explain)

    def _explain(self, response: Response) -> HubError | None:
        return explain(response, self.services.clock)

    @property
    def token_name(self) -> str:
        """Where the hub's token store keeps this mailbox's tokens; `ihub connect gmail` writes there too."""
        return f"gmail:{self.settings.mailbox}"

    async def forget(self) -> None:
        self.services.tokens.put(self.token_name, {})

    # -- what may we do, and what will it cost ----------------------------------------------------

    async def check(self) -> PermissionMatrix:
        """One call of each kind. Missing scopes become rows; a dead sign-in or the wrong mailbox raises."""
        rows: list[Permission] = []

        async def prove(stream: str, what: str, call: Awaitable[T]) -> T | None:
            try:
                answer = await call
            except ScopeError as exc:
                rows.append(Permission(stream, "read", False, f"{what}: {exc.message}", READ_SCOPE))
                return None
            rows.append(Permission(stream, "read", True, what, READ_SCOPE))
            return answer

        http = self.http
        profile = await prove("messages", "getProfile", read(http, "profile", PROFILE, cost="getProfile"))
        if await prove("messages", "messages.list and messages.get", self._read_one()) is None:
            start = None
        else:
            start = profile.historyId if profile else None
        if start is not None:
            params = {"startHistoryId": start, "maxResults": 1}
            await prove("messages", "history.list", read(http, "history", HISTORY, cost="history.list", params=params))
        labels = await prove("labels", "labels.list", read(http, "labels", LABELS, cost="labels.list"))
        aliases = await prove(
            "sendAs", "settings.sendAs.list", read(http, "settings/sendAs", ALIASES, cost="sendAs.list")
        )
        if self.settings.push_drafts:
            rows.append(await self._may_write())
        address = profile.emailAddress.lower() if profile else self.settings.mailbox
        own = {address, *(a.sendAsEmail.lower() for a in aliases.sendAs if _is_ours(a))} if aliases else {address}
        if self.settings.mailbox not in own:
            raise ConfigError(
                f"mailbox: the settings name {self.settings.mailbox}, but the sign-in is for {address}; "
                "connect the right account or mend the setting",
                connector="gmail",
            )
        named = [f"label:{x.id}={x.name}" for x in labels.labels if x.type == "user"] if labels else []
        return PermissionMatrix(address, address, tuple(rows), tuple(sorted(own)), tuple(named))

    async def _read_one(self) -> int:
        """List with a search and read one message whole, which gmail.metadata would not allow."""
        params = {"maxResults": 1, "q": search(self.settings, Window())}
        listing = await read(self.http, "messages", LISTING, cost="messages.list", params=params)
        for message in listing.messages:
            try:
                path = f"{USERS}messages/{message.id}"
                await self.http.request("GET", path, params={"format": "full"}, cost="messages.get")
            except Gone:
                pass  # deleted this very moment, and yet we were allowed to ask
        return len(listing.messages)

    async def _may_write(self) -> Permission:
        """Deleting a draft that does not exist needs the right to write drafts and changes nothing."""
        try:
            await read(self.http, "drafts", DRAFTS, cost="drafts.list", params={"maxResults": 1})
            await self.http.request("DELETE", USERS + "drafts/r0", cost="drafts.delete")
        except ScopeError as exc:
            return Permission("drafts", "write", False, f"drafts: {exc.message}", DRAFT_SCOPE)
        except (Gone, ContractBroken) as exc:
            if exc.status not in {400, 404}:
                raise
        return Permission("drafts", "write", True, "drafts.list and drafts.delete", DRAFT_SCOPE)

    async def estimate(self, stream: str, window: Window) -> Estimate:
        """Exact when it fits one list page; else the vendor's guess, between what was seen and the total."""
        profile = await read(self.http, "profile", PROFILE, cost="getProfile")
        listing = await list_page(self.http, self.settings, search(self.settings, window), "")
        is_exact = not listing.nextPageToken
        records = len(listing.messages)
        if not is_exact:
            is_all = window == Window() and not self.settings.query
            guess = profile.messagesTotal if is_all else (listing.resultSizeEstimate or 0)
            records = max(records + 1, min(guess, profile.messagesTotal))
        budget = self.settings.budget()
        units = 1 + (records // LIST_SIZE + 1) * budget.cost("messages.list") + records * budget.cost("messages.get")
        seconds = units / (budget.units_per_window * (1 - budget.reserve)) * MINUTE.total_seconds()
        return Estimate(records, units, seconds, is_exact)

    # -- in -----------------------------------------------------------------------------------------

    def pull(self, pull: Pull) -> AsyncIterator[Page]:
        self.manifest.stream(pull.stream)
        return Reader(self.http, self.settings, pull).pages()

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """These messages, whole. Those in the trash are left out like deleted ones."""
        done = await Reader(self.http, self.settings, Pull(stream, None, Window())).read(external_ids, {})
        for gap in done.gaps:
            if gap.reason != "gone":
                raise Transient(f"{gap.external_id} could not be read: {gap.reason}", connector="gmail")
        return done.records

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        return to_entities(raw)

    async def census(self, stream: str, period: Window) -> Census:
        """All ids of the period by messages.list, which shares nothing with the history feed."""
        ids: set[str] = set()
        async for page in list_ids(self.http, self.settings, search(self.settings, period)):
            ids.update(page)
        return Census(stream, period, frozenset(ids), len(ids))

    # -- out ----------------------------------------------------------------------------------------

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        self._must_push(*(change.kind for change in changes))
        return await drafts.push(self.http, changes, self.settings.batch_size)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        self._must_push(kind)
        return await drafts.find(self.http, keys, self.settings.batch_size)

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        self._must_push(*(entry.change.kind for entry in entries))
        return await drafts.undo(self.http, entries)

    def _must_push(self, *kinds: str) -> None:
        if not self.settings.push_drafts:
            raise ConfigError("push_drafts is off: set it and connect again to allow drafts", connector="gmail")
        if unknown := set(kinds) - set(self.manifest.pushes):
            raise ConfigError(f"gmail takes no {', '.join(sorted(unknown))}", connector="gmail")

    # -- doorbell -----------------------------------------------------------------------------------

    def verify_webhook(self, request: WebhookRequest) -> None:
        webhook.verify(request, self.settings, self.services.clock)

    def parse_webhook(self, request: WebhookRequest) -> Iterator[Notice]:
        return webhook.parse(request, self.settings)


def _is_ours(alias: Any) -> bool:
    return bool(alias.isPrimary or alias.verificationStatus in {"", "accepted"})


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Gmail]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"gmail": "hub_gmail.emulator:GmailEmulator"}
