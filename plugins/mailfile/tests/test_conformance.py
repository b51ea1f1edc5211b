"""Mail files against the clauses every connector is held to: an mbox that people and programs change."""

import hashlib
import os
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import FakeClock
from hub.testing import ConnectorSuite, Rig
from hub_mailfile import MailFile

PADDING = 20_000


class MboxRig(Rig):
    """One mbox file. Its first message ends in empty lines, which do not count: room to put things in unnoticed."""

    stream: ClassVar[str] = "messages"
    many: ClassVar[int] = 650
    cannot: ClassVar[dict[str, str]] = {
        "newest-first": "a file is read from its beginning, in whatever order its messages stand",
        "expire-cursor": "the cursor is a place in the file, which does not expire",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.path = folder / "mail.mbox"
        self.mails: dict[str, bytes] = {}  # by the id each had at first
        self.hidden: list[bytes] = []
        self.spoilt: dict[str, bytes] = {}
        self.lost: set[str] = set()
        self.count = 0
        self.writes = 0

    def settings(self, url: str) -> dict[str, Any]:
        return {"path": str(self.path), "account": "box@example.com"}

    def write(self) -> None:
        """The whole file anew, as a mail program does on clearing up."""
        entries = [self.entry(mail) for mail in self.standing()]
        self.path.write_bytes(b"".join([*entries[:1], b"\n" * PADDING, *entries[1:]]))
        self.stamp()

    def stamp(self) -> None:
        self.writes += 1
        at = 1_700_000_000_000_000_000 + self.writes  # as if the disk's clock were always fine enough
        os.utime(self.path, ns=(at, at))

    def standing(self) -> list[bytes]:
        return [self.spoilt.get(i, mail) for i, mail in self.mails.items() if i not in self.lost]

    def entry(self, mail: bytes) -> bytes:
        return b"From someone@example.org Tue Mar 10 12:00:00 2026\n" + mail + b"\n"

    def mail(self, at: datetime, *headers: str, sender: str = "", said: str = "") -> bytes:
        self.count += 1
        n = self.count
        sender = sender or f"person{n % 7}@example.org"
        head = [
            f"From: {sender}", "To: box@example.com", f"Subject: {said or f'Matter {n}'}",
            f"Message-ID: <m{n}@example.org>", f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000", *headers,
        ]  # fmt: skip
        return "\n".join([*head, "", f"Words of message {n}. {said}", ""]).encode()

    def put(self, mail: bytes) -> str:
        self.mails[named(mail)] = mail
        return named(mail)

    # What is there

    def existing(self) -> set[str]:
        return {named(mail) for mail in (*self.standing(), *self.hidden)}

    # What people do

    def populate(self, n: int) -> list[str]:
        ids = [self.put(self.mail(self.clock.now() - timedelta(minutes=n - i))) for i in range(n)]
        self.write()
        return ids

    def add(self) -> str:
        """Appended, as a mail program does on arrival."""
        mail = self.mail(self.clock.now())
        with self.path.open("ab") as file:
            file.write(self.entry(mail))
        self.stamp()
        return self.put(mail)

    def change(self, external_id: str) -> None:
        """The content of a message never changes; its labels do, and they stand in the message."""
        self.count += 1
        head, _, body = self.mails[external_id].partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"X-Gmail-Labels:")]
        self.mails[external_id] = b"\n".join([*lines, f"X-Gmail-Labels: Label{self.count}".encode(), b"", body])
        self.write()

    def delete(self, external_id: str) -> None:
        del self.mails[external_id]
        self.write()

    def private(self, text: str, domain: str) -> list[str]:
        now = self.clock.now()
        marked = self.put(self.mail(now, "X-Gmail-Labels: Inbox,Private", said=text))
        ids = [marked, self.put(self.mail(now, sender=f"adviser@{domain}", said=text))]
        self.write()
        return ids

    # What goes wrong

    def add_hidden(self, n: int) -> list[str]:
        """Messages come in, and the file keeps its size, its time and its end: no reader of changes notices."""
        self.hidden = [self.mail(self.clock.now()) for _ in range(n)]
        stat = self.path.stat()
        with self.path.open("r+b") as file:
            file.seek(PADDING // 2)
            file.write(b"".join(map(self.entry, self.hidden)))
        os.utime(self.path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        return [named(mail) for mail in self.hidden]

    def vanish(self, external_ids: Collection[str]) -> None:
        self.lost = {i for i, mail in self.mails.items() if named(mail) in external_ids}
        self.write()

    def poison(self, external_id: str) -> str:
        self.spoilt[external_id] = self.mails[external_id].partition(b"\n\n")[2]
        self.write()
        return named(self.spoilt[external_id])

    def revoke(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    def restore(self) -> None:
        self.spoilt, self.lost = {}, set()
        self.write()


def named(mail: bytes) -> str:
    """As the connector names messages: by their content, ends of lines aside."""
    return hashlib.sha256(mail.rstrip(b"\n")).hexdigest()[:20]


class TestMbox(ConnectorSuite):
    connector = MailFile
    rig = MboxRig
    quality = Path(__file__).parents[1] / "quality.toml"
