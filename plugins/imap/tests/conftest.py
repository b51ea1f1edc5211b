"""Stands for the tests: the stand-in and a real Dovecot, each with accounts of their own."""

import importlib.util
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import pytest

from hub.api import FakeClock, MemoryTokens, Services
from hub_imap import Imap, ImapSettings
from hub_imap.emulator import ImapEmulator

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BOX = "box@example.com"


def _beside(name: str) -> ModuleType:
    """A module of this folder; tests are imported by path and find each other so."""
    full = f"imap_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def raw_mail(n: int | str, at: datetime = START, sender: str = "", body: str = "", subject: str = "") -> bytes:
    sender = sender or "person@example.org"
    return (
        f"From: {sender}\r\nTo: {BOX}\r\nSubject: {subject or f'Matter {n}'}\r\nMessage-ID: <m{n}@example.org>\r\n"
        f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"{body or f'Words of message {n}.'}\r\n"
    ).encode()


class Stand:
    """A mailbox at some server, and connectors to it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock(START)
        self.tokens = MemoryTokens()
        self.given: dict[str, Any] = {"address": BOX, "host": "127.0.0.1", "security": "plain", **settings}

    def services(self) -> Services:
        return Services("box", self.clock, self.tokens, jitter=lambda: 0.5)

    def imap(self, **settings: Any) -> Imap:
        return Imap(ImapSettings(**{**self.given, **settings}), self.services())


class EmulatorStand(Stand):
    def __init__(self, level: str = "qresync", **more: Any) -> None:
        super().__init__()
        self.emulator = ImapEmulator(now=self.clock.now, level=level, **more)
        self.emulator.start()
        self.given |= {"port": self.emulator.imap_port, "password": self.emulator.password}

    def fill(self, n: int, folder: str = "INBOX") -> list[str]:
        return [self.emulator.add(folder, raw_mail(f"{folder}-{i}"), (), START) for i in range(n)]


@pytest.fixture
def mail() -> Any:
    return raw_mail


@pytest.fixture
def make_stand() -> Iterator[Any]:
    """Stands with a stand-in each."""
    made: list[EmulatorStand] = []

    def make(level: str = "qresync", **more: Any) -> EmulatorStand:
        made.append(EmulatorStand(level, **more))
        return made[-1]

    yield make
    for stand in made:
        stand.emulator.stop()


@pytest.fixture
def stand(make_stand: Any) -> Any:
    return make_stand()


@pytest.fixture(scope="session")
def dovecot_module() -> ModuleType:
    return _beside("dovecot")


@pytest.fixture(scope="session")
def served(dovecot_module: ModuleType) -> Iterator[Any]:
    """A real Dovecot for all tests; each takes an account of its own."""
    if reason := dovecot_module.missing():
        pytest.skip(f"NOT TESTED AGAINST A REAL SERVER: {reason}")
    with dovecot_module.running() as server:
        yield server


class DovecotStand(Stand):
    """One account at Dovecot; `line` is somebody else's connection to it."""

    def __init__(self, server: Any, user: str, password: str) -> None:
        import imaplib

        super().__init__(address=user, port=server.port, password=password)
        self.server = server
        self.user = user
        self.line = imaplib.IMAP4("127.0.0.1", server.port)
        self.line.login(user, password)

    @property
    def maildir(self) -> Path:
        return Path(self.server.root) / "home" / self.user / "Maildir"

    def append(self, data: bytes, folder: str = "INBOX", flags: str = "") -> None:
        typ, answer = self.line.append(folder, flags, None, data)  # type: ignore[arg-type]
        assert typ == "OK", answer

    def do(self, folder: str, *commands: tuple[str, ...]) -> None:
        """UID commands in a folder, and out of it again."""
        assert self.line.select(folder)[0] == "OK"
        for command in commands:
            typ, answer = self.line.uid(*command)
            assert typ == "OK", answer
        self.line.unselect()

    def delete(self, folder: str, uids: str) -> None:
        self.do(folder, ("STORE", uids, "+FLAGS", "(\\Deleted)"), ("EXPUNGE", uids))


@pytest.fixture
def make_real(served: Any, dovecot_module: ModuleType, request: Any) -> Iterator[Any]:
    made: list[DovecotStand] = []

    def make(server: Any = None) -> DovecotStand:
        made.append(
            DovecotStand(server or served, f"u{crc32(request.node.name.encode())}@example.com", dovecot_module.PASSWORD)
        )
        return made[-1]

    yield make
    for stand in made:
        stand.line.logout()


@pytest.fixture
def real(make_real: Any) -> Any:
    return make_real()
