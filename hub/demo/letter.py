"""One distinct message, and the copies of it that mailboxes hold.

A letter exists once; the sender's mailbox keeps it as sent, every own recipient's mailbox keeps a copy that carries
the trace headers of its delivery. All copies share the Message-ID and differ in bytes, as in real life.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from zlib import crc32

from hub.demo import mime
from hub.demo.mime import File, Header
from hub.demo.people import DOMAIN, LIST_ADDRESS, OWN, SUPPORT, TOMAS, Person

_MAILERS = {
    "plain": ("User-Agent", "Brook Mail 4.2"),
    "classic": ("User-Agent", "Brook Mail 3.9"),
    "outlook": ("X-Mailer", "Deskmail 16.0"),
    "html": ("X-Mailer", "Deskmail 15.1"),
    "phone": ("X-Mailer", "Pocket Mail (22.1)"),
}
MAILBOXES = (*(p.address for p in OWN), SUPPORT)
MAILBOX_OF = {address: p.address for p in OWN for address in (p.address, *p.aliases)} | {SUPPORT: SUPPORT}
"""Every own address, aliases included -> the mailbox that receives it."""


@dataclass(frozen=True)
class Letter:
    """key: stable name "thread/position". sent_at: aware, in the demo's wall-clock zone. text: the new part
    without signature and quotes; body: the plain whole.

    message_id has angle brackets and is "" where the header is missing; references: the ids of the chain before,
    oldest first. tags: why this letter is here ("newsletter", "bounce", ...). labels: a mailbox's own labels on it.
    core: the message without trace headers, CRLF line ends.
    """

    key: str
    thread: str
    sent_at: datetime
    sender: Person
    to: tuple[Person, ...]
    subject: str
    text: str
    body: str
    core: bytes
    message_id: str = ""
    references: tuple[str, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    tags: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()

    @property
    def recipients(self) -> tuple[Person, ...]:
        return (*self.to, *self.cc, *self.bcc)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """Every address on the letter, sender included."""
        return frozenset(p.address for p in (self.sender, *self.recipients))


@dataclass(frozen=True, slots=True)
class DemoMail:
    """A message as one mailbox holds it. raw: RFC 5322 bytes, CRLF; labels: "SENT", "INBOX", "UNREAD" or the
    mailbox's own; received_at: the mailbox's internal date, aware UTC. letter: which distinct message it is."""

    mailbox: str
    raw: bytes
    labels: tuple[str, ...]
    received_at: datetime
    letter: Letter


def message_id(sender: Person, rng: Random) -> str:
    """A new id in the form of the sender's mail program."""
    host = sender.address.partition("@")[2]
    token = f"{rng.getrandbits(96):024x}"
    if sender.client == "webmail":
        return f"<CA{token}@mail.{host}>"
    if sender.client in ("outlook", "html"):
        return f"<{token[:16].upper()}.{token[16:].upper()}@{host}>"
    if sender.client == "phone":
        return f"<{token[:8]}-{token[8:12]}-{token[12:16]}-{token[16:]}@{host}>"
    return f"<{token}@{host}>"


def post(
    key: str,
    sent_at: datetime,
    sender: Person,
    to: Sequence[Person],
    subject: str,
    text: str,
    *,
    rng: Random,
    body: str = "",
    html: str = "",
    cc: Sequence[Person] = (),
    bcc: Sequence[Person] = (),
    files: Sequence[File] = (),
    parent: Letter | None = None,
    headers: Sequence[Header] = (),
    tags: Sequence[str] = (),
    labels: Sequence[str] = (),
    in_reply_to: str | None = None,
    with_references: bool = True,
    with_id: bool = True,
) -> Letter:
    """Write one letter.

    body defaults to `text`; an `html` with sender.client "html" goes out without a plain part. in_reply_to replaces
    the usual header value ("" leaves the header out); with_references, with_id: whether those headers are there.
    """
    ident = message_id(sender, rng) if with_id else ""
    chain = (*parent.references, parent.message_id) if parent and parent.message_id else ()
    top: list[Header] = [
        ("Date", mime.date_header(sent_at)),
        ("From", mime.address(sender.mailbox)),
        ("To", mime.addresses([p.mailbox for p in to])),
    ]
    if cc:
        top.append(("Cc", mime.addresses([p.mailbox for p in cc])))
    top.append(("Subject", mime.encoded(subject)))
    if ident:
        top.append(("Message-Id" if sender.client == "phone" else "Message-ID", ident))
    answered = chain[-1] if chain and in_reply_to is None else in_reply_to
    if answered:
        top.append(("In-Reply-To", answered))
    if chain and with_references:
        top.append(("References", "\r\n ".join(chain)))
    if sender.client in _MAILERS:
        top.append(_MAILERS[sender.client])
    top += [*headers, ("MIME-Version", "1.0")]
    body = body or text
    boundary = f"{crc32(f'{key}{ident}'.encode()):08x}"
    entity = mime.content("" if sender.client == "html" and html else body, html, files, boundary)
    return Letter(
        key=key, thread=key.rpartition("/")[0], sent_at=sent_at, sender=sender, to=tuple(to), cc=tuple(cc),
        bcc=tuple(bcc), subject=subject, text=text, body=body, core=mime.head(top) + entity, message_id=ident,
        references=chain, tags=frozenset(tags), labels=tuple(labels),
    )  # fmt: skip


def with_tags(letter: Letter, *tags: str) -> Letter:
    return replace(letter, tags=letter.tags | set(tags))


def copies(letter: Letter, unread_after: datetime) -> Iterator[DemoMail]:
    """The copies own mailboxes hold: the sender's, then one per own recipient, at most one per mailbox.

    support@ is a shared mailbox whose mail also goes to the head of support, who is on the mailing list too.
    A letter to oneself is one copy with both labels. Copies received after `unread_after` are unread.
    """
    sender_box = MAILBOX_OF.get(letter.sender.address, "")
    boxes = [MAILBOX_OF[p.address] for p in letter.recipients if p.address in MAILBOX_OF]
    is_to_self = sender_box in boxes
    if SUPPORT in boxes or any(p.address == LIST_ADDRESS for p in letter.recipients):
        boxes.append(TOMAS.address)
    if sender_box:
        labels = ("SENT", "INBOX") if is_to_self else ("SENT",)
        raw = letter.core
        if letter.bcc:
            raw = mime.head([("Bcc", mime.addresses([p.mailbox for p in letter.bcc]))]) + raw
        yield DemoMail(sender_box, raw, labels + letter.labels, letter.sent_at.astimezone(UTC), letter)
    for box in dict.fromkeys(boxes):
        if box == sender_box:
            continue
        noise = crc32(f"{letter.key} {box}".encode())
        at = letter.sent_at.astimezone(UTC) + timedelta(seconds=2 + noise % 38)
        unread = ("UNREAD",) if at > unread_after else ()
        yield DemoMail(
            box, _trace(letter, box, at, noise) + letter.core, ("INBOX", *unread, *letter.labels), at, letter
        )


def _trace(letter: Letter, box: str, at: datetime, noise: int) -> bytes:
    host = letter.sender.address.partition("@")[2]
    back = "" if letter.tags & {"bounce", "auto_reply"} else letter.sender.address
    received = (
        f"from mail.{host} (mail.{host} [192.0.2.{noise % 250 + 1}])\r\n\tby mx.{DOMAIN} with ESMTPS id {noise:08x}"
        f"\r\n\tfor <{box}>; {mime.date_header(at)}"
    )
    return mime.head([("Delivered-To", box), ("Return-Path", f"<{back}>"), ("Received", received)])
