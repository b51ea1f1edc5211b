"""A rig for the connector's tests: the emulator over real HTTP, a clock that moves when told, a small model hub."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from hub.api import FakeClock, MemoryTokens, Page, Pull, Services, Window
from hub.testing import FaultBoard
from hub_gmail import Gmail, GmailSettings
from hub_gmail.emulator import GmailEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
EVERYTHING = Window()


def raw_mail(box: str, n: int, at: datetime, sender: str = "", body: str = "", subject: str = "") -> bytes:
    sender = sender or f"person{n % 7}@example.org"
    return (
        f"From: {sender}\r\nTo: {box}\r\nSubject: {subject or f'Matter {n}'}\r\nMessage-ID: <m{n}@example.org>\r\n"
        f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{body or f'Words of message {n}.'}\r\n"
    ).encode()


class Model:
    """What a hub would hold after storing pages: bodies by id; an enumeration's end takes away what it did not name."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.cursor: str | None = None
        self.seen: set[str] = set()
        self.gaps: list[Any] = []

    @property
    def ids(self) -> set[str]:
        return set(self.bodies)

    def held(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {i: self.bodies[i] for i in ids if i in self.bodies}

    def store(self, page: Page) -> None:
        for record in page.records:
            self.bodies[record.external_id] = record.body
        for gone in page.gone:
            self.bodies.pop(gone, None)
        self.gaps += page.gaps
        if page.is_full:
            self.seen |= {r.external_id for r in page.records} | set(page.also_seen)
            if page.is_last:
                self.bodies = {i: b for i, b in self.bodies.items() if i in self.seen}
                self.seen = set()
        self.cursor = page.cursor

    def labels(self, external_id: str) -> set[str]:
        return set(msgspec.json.decode(self.bodies[external_id])["labelIds"])


class Recorder(httpx.AsyncHTTPTransport):
    """httpx's own transport, which also notes what is asked. Without TLS, to spare reading root certificates."""

    def __init__(self, sent: list[tuple[str, str]]) -> None:
        super().__init__(verify=False)
        self._sent = sent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._sent.append((request.method, request.url.path))
        return await super().handle_async_request(request)


class Rig:
    """A mailbox of its own in the emulator that all tests share, and connectors to it."""

    def __init__(self, emulator: GmailEmulator, url: str, clock: FakeClock, address: str) -> None:
        self.address = address
        emulator.add_mailbox(address, aliases=[f"alias.{address}"])
        self.emulator = emulator
        self.url = url
        self.clock = clock
        self.tokens = MemoryTokens()
        self.open: list[Gmail] = []
        self.count = 0
        self.sent: list[tuple[str, str]] = []

    @property
    def faults(self) -> FaultBoard:
        return self.emulator.faults

    @property
    def box(self) -> Any:
        """The mailbox inside the emulator."""
        return self.emulator.mailboxes[self.address]

    def services(self) -> Services:
        transport = Recorder(self.sent)
        return Services(self.address, self.clock, self.tokens, transport=transport, jitter=lambda: 0.5)

    def gmail(self, **settings: Any) -> Gmail:
        given = {
            "mailbox": self.address, "client_id": "client", "refresh_token": f"1//refresh-{self.address}",
            "base_url": self.url, "token_url": f"{self.url}/token", "auth_url": f"{self.url}/o/oauth2/v2/auth",
            **settings,
        }  # fmt: skip
        gmail = Gmail(GmailSettings(**given), self.services())
        self.open.append(gmail)
        return gmail

    def fill(self, n: int, labels: Iterable[str] = ("INBOX",), *, days: float = 0, **mail: Any) -> list[str]:
        """n messages, a minute apart, the newest a minute and `days` days ago."""
        ids = []
        for _ in range(n):
            self.count += 1
            at = self.clock.now() - timedelta(days=days, minutes=n - len(ids))
            raw = raw_mail(self.address, self.count, at, **mail)
            ids.append(self.emulator.add_message(self.address, raw, labels))
        return ids

    def label(self, ids: Sequence[str], add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self.do("label", ids=list(ids), add=list(add), remove=list(remove))

    def do(self, command: str, **args: Any) -> Any:
        with self.emulator.lock:
            return self.emulator.control(command, {"address": self.address, **args})

    def existing(self) -> set[str]:
        """What is in the mailbox now and belongs on a timeline."""
        return {m.id for m in self.box.messages.values() if not {"TRASH", "SPAM", "DRAFT", "CHAT"} & set(m.labels)}

    def requests(self) -> list[tuple[str, str]]:
        """(method, last path segment) of the calls since the last asking, sign-in left out."""
        calls = [(method, path.rpartition("/")[2]) for method, path in self.sent if path != "/token"]
        self.sent.clear()
        return calls

    async def pages(self, gmail: Gmail, model: Model, window: Window = EVERYTHING) -> AsyncIterator[Page]:
        async for page in gmail.pull(Pull("messages", model.cursor, window, model.held)):
            yield page

    async def sync(self, gmail: Gmail, model: Model, window: Window = EVERYTHING) -> list[Page]:
        """Pull to the end, each page stored before the next is asked for."""
        pages = []
        async for page in self.pages(gmail, model, window):
            model.store(page)
            pages.append(page)
        return pages


@pytest.fixture
def make_model() -> type[Model]:
    return Model


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[GmailEmulator, str, FakeClock]]:
    clock = FakeClock(START)
    emulator = GmailEmulator(now=clock.now)
    with emulator.serve() as running:
        yield emulator, running.url, clock


@pytest.fixture
async def rig(served: tuple[GmailEmulator, str, FakeClock]) -> AsyncIterator[Rig]:
    emulator, url, clock = served
    emulator.sent.clear()
    rig = Rig(emulator, url, clock, f"box{len(emulator.mailboxes)}@example.com")
    yield rig
    for gmail in rig.open:
        await gmail.aclose()
    emulator.faults.clear()
    emulator.quota.per_minute = None
    emulator.control("consent", {})


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """List pages of 40 and stored pages of 15, so that a small mailbox has many of both."""
    monkeypatch.setattr("hub_gmail.listing.LIST_SIZE", 40)
    monkeypatch.setattr("hub_gmail.pull.LIST_SIZE", 40)
    monkeypatch.setattr("hub_gmail.pull.PAGE_RECORDS", 15)
