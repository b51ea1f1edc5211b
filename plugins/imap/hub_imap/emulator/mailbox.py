"""What the stand-in holds: folders of messages, each with its numbers as RFC 3501 and RFC 7162 count them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

ALL_RIGHTS = "lrswipkxtea"


@dataclass
class Message:
    uid: int
    data: bytes
    flags: set[str]
    received: datetime
    modseq: int


@dataclass
class Folder:
    """expunged: (mod-sequence, UID) of everything deleted. use: special-use flags. rights: ours (RFC 4314)."""

    name: str
    validity: int
    use: tuple[str, ...] = ()
    rights: str = ALL_RIGHTS
    next: int = 1
    modseq: int = 1
    messages: dict[int, Message] = field(default_factory=dict)
    expunged: list[tuple[int, int]] = field(default_factory=list)

    def add(self, data: bytes, flags: Iterable[str], received: datetime) -> int:
        self.modseq += 1
        uid, self.next = self.next, self.next + 1
        self.messages[uid] = Message(uid, data, set(flags), received, self.modseq)
        return uid

    def mark(self, uid: int, flags: set[str]) -> None:
        message = self.messages[uid]
        if message.flags != flags:
            self.modseq += 1
            message.flags, message.modseq = flags, self.modseq

    def remove(self, uids: Iterable[int]) -> None:
        gone = sorted(uid for uid in set(uids) if uid in self.messages)
        if gone:
            self.modseq += 1
        for uid in gone:
            del self.messages[uid]
            self.expunged.append((self.modseq, uid))

    def vanished_since(self, modseq: int) -> list[int]:
        return sorted(uid for at, uid in self.expunged if at > modseq)

    def renumber(self, validity: int) -> dict[int, int]:
        """As after a restored backup: a new UIDVALIDITY, every UID another; old UID -> new UID."""
        old, self.messages, self.next, self.expunged = self.messages, {}, 1, []
        self.validity = validity
        return {m.uid: self.add(m.data, m.flags, m.received) for m in old.values()}

    def forget_changes(self) -> None:
        """As after a repaired index: mod-sequences begin anew, UIDs stay."""
        self.modseq, self.expunged = 1, []
        for message in self.messages.values():
            message.modseq = 1
