"""One mapped interaction, turned into the values the timeline stores."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Protocol

import msgspec

from hub.api import Identifier, Interaction
from hub.own import Own
from hub.store import digest, micros, short_id

HUB_KEY, REVISION = "hub-key:", "revision:"
LAST_REVISION = 2**32 - 1
WHOLE, ENVELOPE, ECHO = b"\x00", b"\x01", b"\xff"
GONE: dict[str, Any] = {"rank": b"", "hash": b"", "snippet": "", "subject": ""}  # what is kept of what is gone
OWN_ROLES = frozenset({"from", "organizer", "author", "agent"})


class Who(Protocol):
    """What identity says of an identifier."""

    @property
    def identifier_id(self) -> int: ...
    @property
    def party_id(self) -> int: ...
    @property
    def organization_id(self) -> int: ...
    @property
    def kind(self) -> str: ...


@dataclass(slots=True)
class Mapped:
    """A landed record's interaction, ready to be reconciled.

    own_key: "<connection>/<stream>/<external id>", names it where no tool-independent key does.
    is_metadata_only: the policy kept the envelope only.
    hub_key: our own external key, when the tool hands back what we wrote; "" otherwise.
    keys: tool-independent names, at most 512 characters each. content: `content_hash` of the entity.
    beside: names what stands beside the content, so that two copies with one content have an order.
    """

    record_id: int
    own_key: str
    entity: Interaction
    who: Mapping[Identifier, Who]
    is_metadata_only: bool = False
    hub_key: str = field(init=False)
    keys: list[str] = field(init=False)
    public_id: str = field(init=False)
    content: bytes = field(init=False)
    beside: bytes = field(init=False)

    def __post_init__(self) -> None:
        given = self.entity.dedup_keys
        self.hub_key = next((k[len(HUB_KEY) :] for k in given if k.startswith(HUB_KEY)), "")
        self.keys = [k[:512] for k in given if not k.startswith(HUB_KEY)]
        self.public_id = short_id("i", min(self.keys, default=self.own_key))
        self.content = content_hash(self.entity)
        e = self.entity
        self.beside = digest(msgspec.msgpack.encode((e.direction, e.zone, e.owner, e.participants)))[:8]

    def at(self, now: datetime) -> datetime:
        """When it happened: the instant, else the start of its day, else when the source changed it, else now."""
        e = self.entity
        if e.occurred_at is not None:
            return e.occurred_at
        if e.all_day is not None:
            return datetime.combine(e.all_day, time(), UTC)
        return e.changed_at or now


def content_hash(e: Interaction) -> bytes:
    """Names what the timeline shows of it; the tool's own id, labels and change marker do not count."""
    return digest(msgspec.msgpack.encode((
        e.kind, e.channel, e.occurred_at, "/".join(days(e)), e.ended_at, e.subject, e.text, e.body, e.status,
        e.purpose, e.attachments,
    )))  # fmt: skip


def days(e: Interaction) -> list[str]:
    """The first day of what has dates instead of instants and, of several, the last one; [] for what has instants."""
    if e.all_day is None:
        return []
    last = e.all_day_last
    return [e.all_day.isoformat(), last.isoformat()] if last and last > e.all_day else [e.all_day.isoformat()]


def is_public_id(key: str) -> bool:
    """True for what `Mapped.public_id` may have made."""
    return key.startswith("i") and key.isalnum() and key.isascii() and len(key) <= 32


def rank(m: Mapped, now: datetime) -> bytes:
    """Order of sources: the lowest one's content is shown. Depends on the content alone, never on arrival.

    A copy of which only the envelope was kept comes after whole ones, our own echo last. Among whole ones the fuller goes
    first, and not whichever is a second older: the mail itself before the help desk's note of it. Among equally full ones
    the organizer's goes first: that is where a meeting is moved and where the answers of all guests arrive. Where no copy
    is the organizer's, the one that was moved more often goes first.
    """
    kind = ECHO if m.hub_key else ENVELOPE if m.is_metadata_only else WHOLE
    addresses = sum(p.identifier.scheme == "email" for p in m.entity.participants)
    lacking = 255 - min(2 * addresses + bool(m.entity.body), 255)
    is_a_guests, stale = "organizers-copy" not in m.entity.signals, LAST_REVISION - revision(m.entity)
    return (
        kind + struct.pack(">B?IQ", lacking, is_a_guests, stale, micros(m.at(now)) + (1 << 62)) + m.content + m.beside
    )


def revision(e: Interaction) -> int:
    """How often the source says that it was moved or rewritten; 0 where it does not say."""
    told = (s.removeprefix(REVISION) for s in e.signals if s.startswith(REVISION))
    return max((min(int(n[:10]), LAST_REVISION) for n in told if n.isascii() and n.isdecimal()), default=0)


def direction(m: Mapped, own: Own) -> str:
    """Seen from us: who spoke, and whether anybody else was there."""
    if m.entity.direction:
        return m.entity.direction
    people = m.entity.participants
    speakers = [p for p in people if p.role in OWN_ROLES]
    is_ours = [_is_own(p.identifier, m, own) for p in speakers or people]
    if not any(is_ours):
        return "inbound"
    if all(_is_own(p.identifier, m, own) for p in people) and len(people) > 1:
        return "internal"
    return "outbound"


def _is_own(identifier: Identifier, m: Mapped, own: Own) -> bool:
    if identifier.scheme == "email":
        return own.side(identifier.value) == "own"
    who = m.who.get(identifier)
    return who is not None and who.kind == "own"


def parties(m: Mapped) -> set[int]:
    """Everyone the timeline entry belongs to: each participant and each outsider's organization."""
    found = set()
    for p in m.entity.participants:
        who = m.who[p.identifier]
        found.add(who.party_id)
        if who.organization_id and who.kind != "own":
            found.add(who.organization_id)
    return found


def row(m: Mapped, own: Own, now: datetime, ranked: bytes) -> dict[str, Any]:
    """The interaction's own columns, as this source gives them."""
    e = m.entity
    at = m.at(now)
    owner = m.who.get(e.owner) if e.owner else None
    first, last = [*days(e), None, None][:2]
    return {
        "kind": e.kind, "channel": e.channel, "direction": direction(m, own), "occurred_at": micros(at),
        "ended_at": micros(e.ended_at) if e.ended_at else None, "all_day": first,
        "all_day_last": last, "zone": e.zone[:40], "subject": e.subject[:998], "snippet": snippet(e.text),
        "status": e.status[:32], "purpose": e.purpose, "owner_identifier_id": owner.identifier_id if owner else None, "rank": ranked,
        "is_metadata_only": m.is_metadata_only, "files": len(e.attachments), "hash": m.content,
        "changed_at": micros(now), "gone_at": None,
    }  # fmt: skip


def snippet(text: str) -> str:
    """The first words, on one line."""
    short = " ".join(text[:300].split())
    return short[:280] if len(short) >= 280 else " ".join(text[:600].split())[:280]
