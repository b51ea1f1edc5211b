"""A mailbox over IMAP: mail in; drafts out, or mail sent over SMTP where that is switched on.

In: one account on any IMAP4rev1 server. Out: its messages byte for byte with their folder and marks, and the names of
those that are gone. Sources: RFC 3501, 4315 (UIDPLUS), 4314 (ACL), 5530 (response codes), 6154 (SPECIAL-USE), 7162
(CONDSTORE, QRESYNC), 5321 and 6409 (SMTP).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hub.api import (
    Budget,
    Census,
    Change,
    ConfigError,
    Connector,
    Entity,
    Estimate,
    Found,
    HttpProfile,
    HubError,
    JournalEntry,
    Manifest,
    OAuthRefresh,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RateLimited,
    RawRecord,
    Receipt,
    Scope,
    ScopeError,
    StaticToken,
    Stream,
    TokenSource,
    Transient,
    Window,
    hookimpl,
)
from hub_imap import smtp
from hub_imap.drafts import Desk
from hub_imap.mapping import is_within, occurred, to_entities
from hub_imap.places import external_id, parse_id
from hub_imap.pull import PAGE_RECORDS, READ_RIGHTS, Reader
from hub_imap.settings import COMMANDS_PER_MINUTE, ImapSettings, command_budget
from hub_imap.wire import Session, opened

__all__ = ["Imap", "ImapSettings"]

WRITE_RIGHTS = "acl:it"
ATTEMPTS = 5
BACKOFF_S = 2.0
LONGEST_WAIT_S = 90.0
DAY_FORMAT = "%d-%b-%Y"

T = TypeVar("T")


class Imap(Connector[ImapSettings]):
    """One mailbox. Stream `mail`: every folder but drafts, junk and trash, or those the settings name."""

    manifest = Manifest(
        name="imap",
        title="Mailbox (IMAP and SMTP)",
        channels=("email",),
        streams=(Stream("mail", deletes="confirmed", census="ids", needs=(READ_RIGHTS,)),),
        auth=("password", "token", "oauth"),
        scopes=(
            Scope(READ_RIGHTS, "lists and reads folders without marking anything as read; one's own mailbox has it"),
            Scope(WRITE_RIGHTS, "writes and removes our own drafts; used only with `push`", False),
        ),
        budgets=(command_budget(COMMANDS_PER_MINUTE),),
        pushes=("interaction",),
        can_undo=True,
        vendor_api="IMAP4rev1 (RFC 3501), QRESYNC (RFC 7162)",
        docs="plugins/imap/README.md",
    )
    settings_model = ImapSettings

    def __init__(self, settings: ImapSettings, services: Any) -> None:
        super().__init__(settings, services)
        self._source = self._sign_in()
        self._lines = asyncio.Semaphore(settings.connections)

    def budgets(self) -> tuple[Budget, ...]:
        """What a server lets one do is only in its owner's hands, and so in the settings."""
        return self.settings.budgets()

    def http_profile(self) -> HttpProfile:
        """HTTP serves to trade refresh tokens, and for nothing else."""
        return HttpProfile(base_url=self.settings.token_url)

    def _sign_in(self) -> TokenSource | None:
        s = self.settings
        if s.client_id:
            secret, refresh = s.client_secret.get_secret_value(), s.refresh_token.get_secret_value()
            return OAuthRefresh(self.token_name, s.token_url, s.client_id, secret, refresh)
        token = s.access_token.get_secret_value()
        return StaticToken(token) if token else None

    @property
    def token_name(self) -> str:
        return f"imap:{self.settings.sign_in_name}@{self.settings.host}"

    async def forget(self) -> None:
        self.services.tokens.put(self.token_name, {})

    async def _once(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Work over a line of its own."""
        async with self._lines, opened(self.http, self.settings, self._source) as session:
            return await work(session)

    async def _steadily(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """The same for work that may be repeated: lines that break are opened again, refusals waited out."""
        attempt = 0
        while True:
            try:
                return await self._once(work)
            except (Transient, RateLimited) as exc:
                attempt += 1
                await self._wait(exc, attempt)

    async def _wait(self, exc: Transient | RateLimited, attempt: int) -> None:
        """Wait before the next attempt; raises the error when there is no sense in one."""
        exc.connector = "imap"
        if isinstance(exc, RateLimited):
            if exc.until is not None:
                raise exc  # the budget's own word: it has waited as long as it may
            asked = exc.retry_after_s or BACKOFF_S
            if asked > LONGEST_WAIT_S:
                exc.until = self.http.budget.block(asked)
                raise exc
            seconds = min(asked * 2 ** (attempt - 1), LONGEST_WAIT_S)
        else:
            seconds = BACKOFF_S * 2 ** (attempt - 1) * (0.5 + self.services.jitter())
        if attempt >= ATTEMPTS:
            raise exc
        await self.services.clock.sleep(seconds)

    # -- what may we do, and what will it cost ------------------------------------------------------

    async def check(self) -> PermissionMatrix:
        """Open every folder that is to be read; read one message; with `push`, open the drafts for writing."""
        s = self.settings
        rows, capabilities = await self._steadily(self._proven)
        if s.push == "send":
            rows.append(await self._may_send())
        own = tuple(sorted({s.address, *(alias.lower() for alias in s.aliases)}))
        account = f"{s.sign_in_name}@{s.host}" if "@" not in s.sign_in_name else s.sign_in_name
        return PermissionMatrix(f"imap:{account}", s.address, tuple(rows), own, capabilities)

    async def _proven(self, session: Session) -> tuple[list[Permission], tuple[str, ...]]:
        line, rows, read = session.line, list[Permission](), list[str]()
        reader = Reader(session, self.settings, Pull("mail", None, Window()))
        folders = await reader.folders()
        if not folders:
            raise ConfigError("folders: there is none to read", connector="imap", stream="mail")
        for folder in folders:
            try:
                rights = await session.do(line.rights, folder.name)
                if rights is not None and "r" not in rights:
                    raise ScopeError(f"folder {folder.path!r}: our rights are {rights!r}")
                now = await reader.select(folder.name)
                if now.count:
                    newest = await session.do(line.search, ["UID", f"{now.next - 1}"])
                    await session.do(line.heads, newest)
            except ScopeError as exc:
                rows.append(Permission("mail", "read", False, exc.message, READ_RIGHTS))
            else:
                read.append(folder.path)
        if read:
            more = f" and {len(read) - 12} more" if len(read) > 12 else ""
            rows.append(Permission("mail", "read", True, f"folders {', '.join(read[:12])}{more}", READ_RIGHTS))
        if self.settings.push != "off":
            rows.append(await self._may_write(session))
        names = {"QRESYNC", "CONDSTORE", "UIDPLUS", "ACL", "SPECIAL-USE"} & line.capabilities
        return rows, tuple(sorted(f"imap:{name.lower()}" for name in names))

    async def _may_write(self, session: Session) -> Permission:
        desk = Desk(session, self.settings, "")
        try:
            is_granted = await desk.can_write()
        except ScopeError as exc:
            return Permission("drafts", "write", False, f"drafts: {exc.message}", WRITE_RIGHTS)
        words = "drafts folder opens for writing" if is_granted else "the drafts folder may only be read"
        return Permission("drafts", "write", is_granted, words, WRITE_RIGHTS)

    async def _may_send(self) -> Permission:
        try:
            await asyncio.to_thread(smtp.prove, self.settings, await self._token())
        except HubError as exc:
            return Permission("smtp", "write", False, exc.message, "smtp")
        return Permission("smtp", "write", True, f"signed in at {self.settings.smtp_host}", "smtp")

    async def _token(self) -> str:
        return await self._source.token(self.services, self.http.client) if self._source else ""

    async def estimate(self, stream: str, window: Window) -> Estimate:
        """Exact for everything; for a window by days, which are coarser than the window."""
        return await self._steadily(lambda session: self._estimated(session, window))

    async def _estimated(self, session: Session, window: Window) -> Estimate:
        reader = Reader(session, self.settings, Pull("mail", None, window))
        records = 0
        folders = await reader.folders()
        criteria = [
            *(["SENTSINCE", window.since.strftime(DAY_FORMAT)] if window.since else []),
            *(["SENTBEFORE", window.until.strftime(DAY_FORMAT)] if window.until else []),
        ]
        for folder in folders:
            now = await reader.select(folder.name)
            records += len(await session.search(criteria, now)) if criteria else now.count
        commands = 4 * len(folders) + 3 * (records // PAGE_RECORDS + 1)
        return Estimate(records, commands, commands * 0.05 + records * 0.01, is_exact=not criteria)

    # -- in -----------------------------------------------------------------------------------------

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        """Pages over one line. One that breaks is opened again, and reading goes on from the last page given."""
        self.manifest.stream(pull.stream)
        attempt = 0
        while True:
            try:
                async with self._lines, opened(self.http, self.settings, self._source) as session:
                    async for page in Reader(session, self.settings, pull).pages():
                        yield page
                        pull, attempt = replace(pull, cursor=page.cursor), 0
                    return
            except (Transient, RateLimited) as exc:
                attempt += 1
                await self._wait(exc, attempt)

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """These messages, whole. Those moved to a folder that is not read are left out like deleted ones."""
        refs = [place for name in external_ids if (place := parse_id(name)) is not None]
        if not refs:
            return []

        return await self._steadily(
            lambda session: Reader(session, self.settings, Pull(stream, None, Window())).fetch(refs)
        )

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        return to_entities(raw)

    async def census(self, stream: str, period: Window) -> Census:
        """Names of all messages of the period by SEARCH, folder by folder; nothing of it is in the change feed."""
        ids = await self._steadily(lambda session: self._enumerated(session, period))
        return Census(stream, period, ids, len(ids))

    async def _enumerated(self, session: Session, period: Window) -> frozenset[str]:
        reader = Reader(session, self.settings, Pull("mail", None, period))
        found: set[str] = set()
        for folder in await reader.folders():
            now = await reader.select(folder.name)
            if period == Window():
                uids = await session.search(["ALL"], now)
            else:
                heads = [head async for head in reader.heads(now)]
                uids = [h.uid for h in heads if is_within(occurred(h.date, h.received), period)]
            found.update(external_id(folder.name, now.validity, uid) for uid in uids)
        return frozenset(found)

    # -- out ----------------------------------------------------------------------------------------

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        self._must_push(*(change.kind for change in changes))
        token = await self._token()
        return await self._once(lambda session: Desk(session, self.settings, token).push(changes))

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        self._must_push(kind)
        return await self._steadily(lambda session: Desk(session, self.settings, "").find(keys))

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        self._must_push(*(entry.change.kind for entry in entries))
        return await self._once(lambda session: Desk(session, self.settings, "").undo(entries))

    def _must_push(self, *kinds: str) -> None:
        if self.settings.push == "off":
            raise ConfigError('push is off: set it to "drafts" or "send"', connector="imap")
        if unknown := set(kinds) - set(self.manifest.pushes):
            raise ConfigError(f"imap takes no {', '.join(sorted(unknown))}", connector="imap")


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Imap]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"imap": "hub_imap.emulator:ImapEmulator"}
