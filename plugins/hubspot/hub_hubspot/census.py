"""Counting a portal by another way than search: the list, and the associations of the parties around it.

The change feed is search. The list reads HubSpot's record store instead, and the association graph a third
one: what hangs on a contact and is in neither of the first two still shows up.
"""

from collections.abc import AsyncIterator

import msgspec

from hub.api import Census, ContractBroken, ScopeError, Window
from hub_hubspot.client import LINK_READ_LIMIT, Client, Row, chunks
from hub_hubspot.objects import OBJECTS, ObjectType
from hub_hubspot.pull import row_id
from hub_hubspot.texts import instant


class _Row(msgspec.Struct):
    id: str | int
    properties: dict[str, str | None] = {}
    createdAt: str | None = None


class _Count:
    """Ids of one type whose time lies in the period."""

    def __init__(self, kind: ObjectType, period: Window) -> None:
        self.kind = kind
        self.period = period
        self.seen: set[str] = set()
        self.inside: set[str] = set()

    @property
    def properties(self) -> list[str]:
        return ["hs_timestamp" if self.kind.is_engagement else "hs_object_id"]

    def add(self, row: Row) -> None:
        try:
            found = msgspec.json.decode(msgspec.json.encode(row), type=_Row)
        except msgspec.ValidationError:  # a poisoned row: it is there, whatever it says of its time
            found = _Row(row_id(row))
        self.seen.add(str(found.id))
        text = found.properties.get("hs_timestamp") if self.kind.is_engagement else found.createdAt
        try:
            at = instant(text)
        except ValueError:
            at = None
        since, until = self.period.since, self.period.until
        if at is None or not ((since and at < since) or (until and at >= until)):
            self.inside.add(str(found.id))


async def census(client: Client, stream: str, period: Window) -> Census:
    """Ids of a stream in the period: by hs_timestamp for interactions, by time of creation for everything else.

    Cost: one call per 100 objects, and as many for the contacts (or companies) whose associations are followed.
    """
    kind = OBJECTS[stream]
    count = _Count(kind, period)
    async for row in _everything(client, kind.name, count.properties):
        count.add(row)
    anchor = "companies" if stream == "contacts" else "contacts"
    try:
        anchors = [str(msgspec.json.decode(r["id"])) async for r in _everything(client, anchor, ["hs_object_id"])]
        linked: set[str] = set()
        for part in chunks(anchors, LINK_READ_LIMIT):
            for ids in (await client.links(anchor, stream, part)).values():
                linked.update(ids)
    except ScopeError:
        linked = set()
    for row in await client.read_rows(stream, sorted(linked - count.seen), count.properties):
        count.add(row)
    return Census(stream, period, ids=frozenset(count.inside), count=len(count.inside))


async def _everything(client: Client, kind: str, properties: list[str]) -> AsyncIterator[Row]:
    after = ""
    seen: set[str] = set()
    while True:
        rows = await client.page(kind, after=after, properties=properties)
        for row in rows.results:
            yield row
        if not rows.after:
            return
        if rows.after in seen:
            raise ContractBroken(f"the list of {kind} repeats its page after {rows.after}")
        seen.add(rows.after)
        after = rows.after
