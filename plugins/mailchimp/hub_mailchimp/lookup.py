"""Finding members by address, and what we wrote by our key: by reading, never by a search that may lag."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hub.api import Found, Gone
from hub_mailchimp.client import Client, Row, fields, text

_MARKER = re.compile(r"\[ihub:([^\[\]\s]+)\]\s*$")


@dataclass(frozen=True)
class Place:
    """A member: its audience, and its record as it is now."""

    audience: str
    row: Row

    @property
    def external_id(self) -> str:
        return f"{self.audience}/{text(self.row, 'contact_id') or text(self.row, 'id')}"

    @property
    def path(self) -> str:
        return f"lists/{self.external_id.replace('/', '/members/', 1)}"

    @property
    def hash_path(self) -> str:
        """Tags and notes know a member by the hash of its address only."""
        return f"lists/{self.audience}/members/{text(self.row, 'id')}"

    @property
    def merge_fields(self) -> dict[str, Any]:
        found = self.row.get("merge_fields")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class KeptNote:
    """A note of ours: remote_id is "audience/contact/note"."""

    key: str
    remote_id: str
    text: str


class LookUp:
    """Looks things up at one account."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.key_field = client.settings.key_field

    async def members(self, addresses: Iterable[str]) -> list[Place]:
        """Every member with one of these addresses, in the order of the audiences."""
        hashes = dict.fromkeys(hashlib.md5(a.strip().lower().encode()).hexdigest() for a in addresses)  # noqa: S324
        audiences = await self.client.audience_ids() if hashes else []
        found = [await self.member(audience, h) for audience in audiences for h in hashes]
        return list({place.external_id: place for place in found if place}.values())

    async def member(self, audience: str, who: str) -> Place | None:
        """One member by contact id or hash of the address; None when there is none."""
        try:
            return Place(audience, await self.client.get(f"lists/{audience}/members/{who}", exclude_fields="_links"))
        except Gone:
            return None

    async def by_id(self, external_id: str) -> Place | None:
        audience, _, contact = external_id.partition("/")
        return await self.member(audience, contact) if contact else None

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        """Walks the members, those changed last first, until all keys are found: a page a thousand members.

        For interactions the notes of each member that has any are read too: one call each.
        """
        wanted, found = set(keys), dict[str, Found]()
        if kind == "consent":  # carries no key; pushing it again reads the status first
            return []
        async for place in self._walk(
            "last_note.note_id" if kind == "interaction" else f"merge_fields.{self.key_field}"
        ):
            if wanted <= found.keys():
                break
            if kind != "interaction":
                if (key := str(place.merge_fields.get(self.key_field) or "")) in wanted:
                    found.setdefault(key, Found(key=key, remote_id=place.external_id))
            elif place.row.get("last_note"):
                for note in await self.notes(place):
                    before = found.get(note.key)
                    if note.key in wanted and (before is None or note.remote_id not in before.remote_id.split()):
                        ids = f"{before.remote_id} {note.remote_id}" if before else note.remote_id
                        found[note.key] = Found(key=note.key, remote_id=ids)
        return [found[k] for k in dict.fromkeys(keys) if k in found]

    async def _walk(self, name: str) -> AsyncIterator[Place]:
        named = fields("total_items", "members.contact_id", "members.id", f"members.{name}")
        params = {"sort_field": "last_changed", "sort_dir": "DESC", "fields": named}
        for audience in await self.client.audience_ids():
            for status in ({}, {"status": "archived"}):
                async for rows in self.client.all_rows(f"lists/{audience}/members", "members", **params, **status):
                    for row in rows:
                        yield Place(audience, row)

    async def notes(self, place: Place) -> list[KeptNote]:
        """The notes of ours on a member, by the marker in their last line."""
        found = []
        async for rows in self.client.all_rows(
            f"{place.hash_path}/notes", "notes", exclude_fields="_links,notes._links"
        ):
            for row in rows:
                if match := _MARKER.search(text(row, "note")):
                    found.append(KeptNote(match.group(1), f"{place.external_id}/{row['id']}", text(row, "note")))
        return found


def marker(key: str) -> str:
    return f"[ihub:{key}]"


def note_path(remote_id: str) -> str:
    audience, contact, note = remote_id.split("/")
    return f"lists/{audience}/members/{contact}/notes/{note}"
