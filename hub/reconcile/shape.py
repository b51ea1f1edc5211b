"""One mapped interaction, turned into the values the timeline stores."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Protocol

import msgspec

from hub.api import Identifier, Interaction
from hub.own import Own
from hub.store import digest, micros, short_id

HUB_KEY = "hub-key:"
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
    """

    record_id: int
    own_key: str
    entity: Interaction
    who: Mapping[Identifier, Who]
    is_metadata_only: bool = False

    @property
    def hub_key(self) -> str:
        """Our own external key, when the tool hands back what we wrote; "" otherwise."""
        return next((k[len(HUB_KEY):] for k in self.entity.dedup_keys if k.startswith(HUB_KEY)), "")

    @property
    def keys(self) -> list[str]:
        """Tool-independent names, at most 512 characters each."""
        return [k[:512] for k in self.entity.dedup_keys if not k.startswith(HUB_KEY)]

    @property
    def public_id(self) -> str:
        return short_id("i", min(self.keys, default=self.own_key))

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
        e.kind, e.channel, e.occurred_at, str(e.all_day or ""), e.ended_at, e.subject, e.text, e.body, e.status,
        e.purpose, e.attachments,
    )))  # fmt: skip


def rank(at_us: int, content: bytes, is_echo: bool) -> bytes:
    """Order of sources: the lowest one's content is shown. Depends on the content alone, never on arrival."""
    return (b"\xff" if is_echo else b"\x00") + struct.pack(">Q", at_us + (1 << 62)) + content


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


def row(m: Mapped, own: Own, now: datetime, content: bytes, ranked: bytes) -> dict[str, Any]:
    """The interaction's own columns, as this source gives them."""
    e = m.entity
    at = m.at(now)
    owner = m.who.get(e.owner) if e.owner else None
    return {
        "kind": e.kind, "channel": e.channel, "direction": direction(m, own), "occurred_at": micros(at),
        "ended_at": micros(e.ended_at) if e.ended_at else None, "all_day": e.all_day.isoformat() if e.all_day else None,
        "zone": e.zone[:40], "subject": e.subject[:998], "snippet": snippet(e.text), "status": e.status[:32],
        "purpose": e.purpose, "owner_identifier_id": owner.identifier_id if owner else None, "rank": ranked,
        "is_metadata_only": m.is_metadata_only, "files": len(e.attachments), "hash": content,
        "changed_at": micros(now), "gone_at": None,
    }  # fmt: skip


def snippet(text: str) -> str:
    """The first words, on one line."""
    return " ".join(text[:600].split())[:280]
