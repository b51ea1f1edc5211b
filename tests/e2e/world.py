"""A whole world on loopback: a mail tool, a CRM and the hub's folder beside them, steered by one clock.

Used by the end-to-end tests, the fault tests and the evidence scripts. Nothing is replaced: real HTTP, real database.
"""

import email.utils
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub import settings
from hub.api import Clock
from hub.engine import Engine, SyncResult, push
from hub.engine.push import PushResult
from hub.testing import Emulator, Running
from hub_gmail.emulator import GmailEmulator
from hub_hubspot.emulator import HubSpotEmulator
from tests.e2e import checks
from tests.e2e.clocks import START, OneTransport, TickingClock
from tests.support.emptying import empty_database

TOKEN = "made-up-token"


class Wire:
    """Stands between the line and a vendor, and tells `hook` of every request: when, method, path.

    when: "asked" before the vendor does anything, "done" once it has, "answered" when the answer is out.
    """

    def __init__(self, app: ASGIApp, hook: Callable[[str, str, str], None]) -> None:
        self._app = app
        self._hook = hook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope.get("path", ""), scope.get("method", "")
        if scope["type"] != "http" or path.startswith("/_emulator"):
            await self._app(scope, receive, send)
            return
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        self._hook("asked", method, path)
        await self._app(scope, receive, keep)
        self._hook("done", method, path)
        for message in kept:
            await send(message)
        self._hook("answered", method, path)


class World:
    """Build, fill the emulators, then `async with world.up():`. One mail connection per mailbox and file, one CRM.

    config: further lines for hub.toml, put before the connections. gmail: a mail tool to use instead of a new one.
    crm_streams: only these of the CRM; all when empty. Gmail's older, larger quota keeps long runs short.
    """

    def __init__(
        self,
        folder: Path,
        mailboxes: Sequence[str],
        domains: Sequence[str],
        *,
        clock: Clock | None = None,
        lists: Sequence[str] = (),
        config: str = "",
        files: Sequence[Path] = (),
        gmail: GmailEmulator | None = None,
        patience_s: float = 90.0,
        crm_streams: Sequence[str] = (),
        has_crm: bool = True,
    ) -> None:
        self.folder = folder
        self.clock = clock or TickingClock()
        self.gmail = gmail or GmailEmulator(now=self.clock.now)
        self.hubspot = HubSpotEmulator(token=TOKEN, now=self.clock.now)
        self.mailboxes: dict[str, str] = {}
        self.files = {f"file{n}": path for n, path in enumerate(files)}
        self.path = folder / "hub.toml"
        self.patience_s = patience_s
        self.hooks: list[Callable[[str, str, str, str], None]] = []
        self._words = (tuple(domains), tuple(lists), config, tuple(crm_streams))
        self._has_crm = has_crm
        self._transport: OneTransport | None = None
        self._engine: Engine | None = None
        self._counted: dict[str, int] = {}
        self.add_mailboxes(dict.fromkeys(mailboxes, ()))
        for emulator in (self.gmail, self.hubspot):
            self._watch(emulator)

    def add_mailboxes(self, addresses: Mapping[str, Iterable[str]]) -> None:
        """Further mailboxes, each a connection: address -> its aliases. To be called before serving."""
        for address, aliases in addresses.items():
            self.mailboxes[_name(address)] = address
            if address not in self.gmail.mailboxes:
                self.gmail.add_mailbox(address, aliases)

    def _watch(self, emulator: Emulator) -> None:
        inner = emulator.app()

        def hook(when: str, method: str, path: str) -> None:
            for each in self.hooks:
                each(emulator.name, when, method, path)

        emulator.app = lambda: Wire(inner, hook)  # type: ignore[method-assign]

    @contextmanager
    def served(self) -> Iterator["World"]:
        with ExitStack() as stack:
            gmail, hubspot = (stack.enter_context(e.serve()) for e in (self.gmail, self.hubspot))
            self.configure(gmail, hubspot)
            try:
                yield self
            finally:
                if self._engine is not None:
                    self._engine.close()
                    self._engine = None

    @asynccontextmanager
    async def up(self) -> AsyncIterator["World"]:
        """Served, and everything closed at the end."""
        with self.served():
            try:
                yield self
            finally:
                if self._transport is not None:
                    await self._transport.really_close()
                    self._transport = None

    def configure(self, gmail: Running, hubspot: Running) -> None:
        """Write hub.toml and the secrets it refers to."""
        domains, lists, extra, streams = self._words
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "token.txt").write_text(TOKEN)
        if not (database := self.folder / "data" / "hub.db").exists():
            database.parent.mkdir(parents=True)
            database.write_bytes(empty_database())
        lines = [
            f'[hub]\ndata_dir = "{(self.folder / "data").as_posix()}"',
            f"[own]\ndomains = {list(domains)}\nlists = {list(lists)}",
            extra,
        ]
        if self._has_crm:
            lines += [
                '[system_of_record]\nconnection = "hubspot"\n[connections.hubspot]\nconnector = "hubspot"',
                f"streams = {list(streams)}\n[connections.hubspot.settings]",
                f'base_url = "{hubspot.url}/"\ntoken = {{ file = "token.txt" }}',
            ]
        for name, address in self.mailboxes.items():
            (self.folder / f"{name}.txt").write_text(f"1//refresh-{address}")
            lines += [
                f'[connections.{name}]\nconnector = "gmail"\n[connections.{name}.settings]',
                'project_created = "2020-01-01"',
                f'mailbox = "{address}"\nbase_url = "{gmail.url}/"\ntoken_url = "{gmail.url}/token"',
                f'client_id = "made-up"\nrefresh_token = {{ file = "{name}.txt" }}',
            ]
        for name, file in self.files.items():
            lines += [f'[connections.{name}]\nconnector = "mailfile"\n[connections.{name}.settings]']
            lines += [f'path = "{file.as_posix()}"']
        self.path.write_text("\n".join(lines) + "\n")

    # --- the hub ------------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = self.another()
        return self._engine

    def another(self, clock: Clock | None = None, transport: httpx.AsyncBaseTransport | None = None) -> Engine:
        """A further engine on the same folder, as a second worker would have; the caller closes it."""
        if transport is None:
            transport = self._transport = self._transport or OneTransport()
        return Engine.open(
            settings.load(self.path), clock=clock or self.clock, transport=transport, patience_s=self.patience_s
        )

    def restart(self) -> None:
        """The process ended and a new one began."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    async def sync(self, name: str, **options: Any) -> SyncResult:
        return await self.engine.sync(name, **options)

    async def sync_all(self, **options: Any) -> list[SyncResult]:
        return [await self.sync(name, **options) for name in self.engine.names()]

    async def push(self) -> PushResult | None:
        """Plan, say yes, apply; None when there was nothing to do."""
        plan = push.plan(self.engine)
        if not plan.id:
            return None
        push.approve(self.engine, plan.id, "a test")
        return await push.apply(self.engine, plan.id)

    def digest(self) -> str:
        with self.engine.store.read() as c:
            return checks.digest(c)

    # --- the vendors --------------------------------------------------------------------------------------------

    def deliver(self, mails: Sequence[tuple[bytes, tuple[str, ...]]], address: str = "") -> list[str]:
        """Put (raw, labels) into a mailbox, the first one unless named; the ids."""
        address = address or next(iter(self.mailboxes.values()))
        return [self.gmail.add_message(address, raw, labels) for raw, labels in mails]

    def asked(self, name: str) -> list[tuple[str, str, int]]:
        """Requests to a vendor since the last asking, sign-in left out."""
        emulator: Emulator = self.hubspot if name == "hubspot" else self.gmail
        with emulator.lock:
            since, self._counted[name] = self._counted.get(name, 0), len(emulator.requests)
            return [r for r in emulator.requests[since:] if not r[1].endswith("/token")]

    def dump(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hubspot.control("dump", {"type": kind})
        return found


def _name(address: str) -> str:
    return "mail_" + "".join(c if c.isalnum() else "_" for c in address.partition("@")[0])


def letters(count: int, *, first: int = 0, mailbox: str = "sam@ourco.example") -> list[tuple[bytes, tuple[str, ...]]]:
    """Made-up mail of one mailbox: customers of seven firms, every third letter our answer in their thread."""
    found: list[tuple[bytes, tuple[str, ...]]] = []
    for n in range(first, first + count):
        who = f"person{n // 3 % 11}@firm{n // 3 % 7}.example"
        parent = n - n % 3
        is_ours = n % 3 == 1
        sender, to = (mailbox, who) if is_ours else (who, mailbox)
        at = START - timedelta(days=30) + timedelta(hours=n)
        thread = f"In-Reply-To: <m{n - 1}@firm.example>\r\nReferences: <m{parent}@firm.example>\r\n"
        thread = thread if n > parent else ""
        words = f"Letter {n} about matter {parent}.\r\n\r\nGruesse, {sender.partition('@')[0].title()}"
        raw = (
            f"From: {sender.partition('@')[0].title()} <{sender}>\r\nTo: <{to}>\r\nMessage-ID: <m{n}@firm.example>\r\n"
            f"Date: {email.utils.format_datetime(at)}\r\nSubject: {'Re: ' if n > parent else ''}Matter {parent}\r\n"
            f"{thread}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n"
        )
        found.append((raw.encode(), ("SENT",) if is_ours else ("INBOX",)))
    return found
