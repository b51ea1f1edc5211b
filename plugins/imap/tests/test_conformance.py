"""IMAP against the clauses every connector is held to: a server with QRESYNC, and one with nothing but RFC 3501."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import FakeClock
from hub.testing import ConnectorSuite, Rig
from hub.testing.suite import Effort
from hub_imap import Imap
from hub_imap.emulator import ImapEmulator
from hub_imap.emulator.reading import value
from hub_imap.pull import READ_RIGHTS

BOX = "box@example.com"
UNREAD = {"Drafts", "Junk", "Trash"}
QUALITY = Path(__file__).parents[1] / "quality.toml"


class ImapRig(Rig):
    """One mailbox, signed in by OAuth."""

    stream: ClassVar[str] = "mail"
    level: ClassVar[str] = "qresync"

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.imap = self.emulator = ImapEmulator(now=clock.now, level=self.level)
        self.imap.start()
        self.count = 0

    def close(self) -> None:
        self.imap.stop()

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "address": BOX, "host": "127.0.0.1", "port": self.imap.imap_port, "security": "plain", "client_id": "hub",
            "refresh_token": self.imap.refresh_token, "token_url": f"{url}/token", "push": "drafts",
        }  # fmt: skip

    # What is there

    def existing(self) -> set[str]:
        return {
            f"{f.name}/{f.validity}/{uid}" for f in self.imap.folders.values() if f.name not in UNREAD for uid in f.messages
        }  # fmt: skip

    def remote_state(self) -> Any:
        return {
            f.name: (f.validity, f.next, f.modseq, {uid: sorted(m.flags) for uid, m in f.messages.items()})
            for f in self.imap.folders.values()
        }

    def written(self) -> dict[str, int]:
        drafts = self.imap.folders["Drafts"].messages.values()
        keys = [value(m.data, "x-interaction-hub-key") for m in drafts]
        return {key: keys.count(key) for key in keys if key}

    # What people do

    def mail(
        self, at: datetime, folder: str = "INBOX", sender: str = "", said: str = "", flags: Sequence[str] = ()
    ) -> str:
        self.count += 1
        n = self.count
        raw = (
            f"From: {sender or f'person{n % 7}@example.org'}\r\nTo: {BOX}\r\nSubject: {said or f'Matter {n}'}\r\n"
            f"Message-ID: <m{n}@example.org>\r\nDate: {at:%a, %d %b %Y %H:%M:%S} +0000\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\nWords of message {n}. {said}\r\n"
        ).encode()
        return self.imap.add(folder, raw, flags, at)

    def populate(self, n: int) -> list[str]:
        """In two folders, every fifth in the second."""
        now = self.clock.now()
        where = ["Kunden/Jürgen" if i % 5 == 4 else "INBOX" for i in range(n)]
        return [self.mail(now - timedelta(minutes=n - i), where[i]) for i in range(n)]

    def add(self) -> str:
        return self.mail(self.clock.now())

    def add_late(self) -> str:
        return self.mail(self.clock.now() - timedelta(days=3))

    def change(self, external_id: str) -> None:
        folder, uid = self.imap.place(external_id)
        folder.mark(uid, folder.messages[uid].flags ^ {"\\Flagged"})

    def delete(self, external_id: str) -> None:
        folder, uid = self.imap.place(external_id)
        folder.remove([uid])

    def private(self, text: str, domain: str) -> list[str]:
        now = self.clock.now()
        return [
            self.mail(now, "Private", said=text),
            self.mail(now, flags=["Private"], said=text),
            self.mail(now, sender=f"adviser@{domain}", said=text),
        ]

    # What goes wrong

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.imap.faults.add("hide", ids=ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.imap.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        if rule := self.imap.faults.args("poison"):
            rule["ids"].append(external_id)
        else:
            self.imap.faults.add("poison", ids=[external_id], how="nil")

    def expire_cursor(self) -> None:
        for folder in self.imap.folders.values():
            folder.forget_changes()

    def deny_scope(self) -> str:
        self.imap.faults.add("deny_scope", folder="INBOX")
        return READ_RIGHTS

    def revoke(self) -> None:
        self.imap.is_revoked = True

    def expire_token(self) -> None:
        self.imap.tokens.clear()

    def refreshes(self) -> int:
        return self.imap.issued

    def spend_day(self) -> None:
        self.imap.faults.add("quota")

    def limit(self) -> None:
        self.imap.per_minute = 600

    def refusals(self) -> int:
        return self.imap.refusals


class TestImap(ConnectorSuite):
    connector = Imap
    rig = ImapRig
    quality = QUALITY
    effort = Effort(cycles=20)


class PlainRig(ImapRig):
    """A server with nothing but RFC 3501: what has gone is found by comparing UIDs."""

    level: ClassVar[str] = "plain"


class TestPlainServer(ConnectorSuite):
    connector = Imap
    rig = PlainRig
    quality = QUALITY
    clauses = ("W1", "W4", "W11")
