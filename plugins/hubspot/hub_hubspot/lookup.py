"""What is at HubSpot already: objects by our key, by id, by address, or by the marker in their text.

All of it reads records and associations, never the search index, which lags behind.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from hub.api import Found, RecordRejected, ScopeError
from hub_hubspot.client import BATCH_LIMIT, LINK_READ_LIMIT, Client, Record, chunks
from hub_hubspot.items import Item
from hub_hubspot.objects import LINKED, MERGED, PUSHED
from hub_hubspot.outbound import BODIES
from hub_hubspot.texts import plain, split_marker

Mode = Literal["upsert", "keyed", "marked"]


class LookUp:
    """Looks changes up before they are written; learns on the way how each object type can be written (`modes`)."""

    def __init__(self, client: Client, key_property: str) -> None:
        self.client = client
        self.key_property = key_property
        self.modes: dict[str, Mode] = {}

    async def look_up(self, kind: str, items: Sequence[Item]) -> None:
        """Fill in `current`, by key, then by id, then by what else is unique; fail those that are not there."""
        names = sorted({self.key_property, *(n for i in items for n in i.wanted)})
        by_key = await self.by_key(kind, [i.change.key for i in items if not i.is_fields], names)
        for item in items:
            item.current = None if item.is_fields else by_key.get(item.change.key)
        by_id = [i for i in items if i.current is None and i.change.remote_id]
        if by_id:
            found = {
                r.id: r
                for r in await self.client.read(kind, [i.change.remote_id for i in by_id], self.known(kind, names))
            }
            for item in by_id:
                item.current = found.get(item.change.remote_id)
                if item.current is None and item.is_fields:
                    item.current = await self._survivor(kind, item.change.remote_id, names)
                if item.current is None:
                    item.fail("gone: HubSpot has no such object any more; it was deleted or merged there")
        rest = [i for i in items if i.current is None and i.outcome is None]
        if kind == "contacts":
            await self._by_address(rest, names)
        elif self.modes.get(kind) == "marked":
            await self._by_marker(kind, rest, names)
        taken: dict[str, str] = {}
        for item in items:
            if item.current and item.outcome is None and not item.is_fields:
                self.check_holder(item, taken)

    async def by_key(self, kind: str, keys: Sequence[str], names: Sequence[str]) -> dict[str, Record]:
        if self.modes.get(kind) == "marked" or not keys:
            return {}
        try:
            records = await self.client.read(kind, keys, names, self.key_property)
        except RecordRejected as exc:
            if self.key_property not in exc.message and "unique" not in exc.message.lower():
                raise
            self.modes[kind] = "marked"
            return {}
        self.modes.setdefault(kind, "upsert")
        return {k: r for r in records if (k := r.properties.get(self.key_property))}

    async def _survivor(self, kind: str, absorbed: str, names: Sequence[str]) -> Record | None:
        """The object another one was merged into; it must say so itself."""
        found = await self.client.one(kind, absorbed, [*self.known(kind, names), MERGED])
        merged = (found.properties.get(MERGED) or "").split(";") if found else ()
        return found if found and (found.id == absorbed or absorbed in merged) else None

    async def _by_address(self, items: Sequence[Item], names: Sequence[str]) -> None:
        """People HubSpot knows already, by their address: they get our key instead of a twin."""
        wanted = {i.wanted["email"].lower(): i for i in items if i.wanted.get("email")}
        if not wanted:
            return
        names = [*self.known("contacts", names), "hs_additional_emails"]
        for record in await self.client.read("contacts", wanted, names, "email"):
            main, more = record.properties.get("email") or "", record.properties.get("hs_additional_emails") or ""
            for address in (main, *more.split(";")):
                if item := wanted.get(address.strip().lower()):
                    item.current = record

    async def _by_marker(self, kind: str, items: Sequence[Item], names: Sequence[str]) -> None:
        """Our own objects without a key property: read what hangs on the same contacts and companies."""
        body = BODIES.get(kind)
        waiting = {i.change.key: i for i in items}
        if body is None or not waiting:
            return
        anchors: dict[str, set[str]] = {}
        for waiter in items:
            for link in waiter.change.links:
                if link.remote_id:
                    anchors.setdefault(LINKED[link.kind], set()).add(link.remote_id)
        candidates: set[str] = set()
        for anchor, ids in anchors.items():
            for part in chunks(sorted(ids), LINK_READ_LIMIT):
                for linked in (await self.client.links(anchor, kind, part)).values():
                    candidates.update(linked)
        for part in chunks(sorted(candidates), BATCH_LIMIT):
            for record in await self.client.read(kind, part, [*self.known(kind, names), body]):
                if item := waiting.get(marker_of(kind, record)):
                    item.current = record

    def known(self, kind: str, names: Iterable[str]) -> list[str]:
        return [n for n in names if n != self.key_property or self.modes.get(kind) != "marked"]

    def check_holder(self, item: Item, taken: dict[str, str]) -> None:
        """An object that carries another key, or was just given one, is not ours to take over."""
        if item.current is None:
            return
        holder = item.current.properties.get(self.key_property) or taken.get(item.current.id, "")
        if holder and holder != item.change.key:
            item.remote_id = item.current.id
            item.fail(f"{item.type} {item.current.id} stands for another record already (key {holder})")
        else:
            taken[item.current.id] = item.change.key

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        """Objects of a kind that carry one of our keys. Reads by unique value, not through search."""
        found: list[Found] = []
        for name in PUSHED.get(kind, ()):
            for part in chunks(list(dict.fromkeys(keys)), BATCH_LIMIT):
                try:
                    records = await self.by_key(name, part, [self.key_property])
                except ScopeError:
                    if len(PUSHED[kind]) == 1:
                        raise
                    break  # a type we may not read is a type we never wrote
                found += [Found(key=k, remote_id=r.id, version=r.updatedAt) for k, r in records.items()]
        return found


def marker_of(kind: str, record: Record) -> str:
    """Our key out of the text of an object, "" where there is none."""
    return split_marker(plain(record.properties.get(BODIES[kind]) or ""))[1]
