"""HubSpot's end points as typed calls: list, search, batch read and write, associations. No policy lives here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from hub.api import ContractBroken, Gone, Http, Response
from hub_hubspot.errors import Problem
from hub_hubspot.paths import Paths

LIST_LIMIT = 100
SEARCH_LIMIT = 200
BATCH_LIMIT = 100
LINK_READ_LIMIT = 1000
LINK_WRITE_LIMIT = 2000

Row = dict[str, msgspec.Raw]
T = TypeVar("T")


class Next(msgspec.Struct):
    after: str | int


class Paging(msgspec.Struct):
    next: Next | None = None


class Rows(msgspec.Struct):
    """One page of a list or search, each row still as the vendor's bytes."""

    results: list[Row]
    paging: Paging | None = None
    total: int | None = None

    @property
    def after(self) -> str:
        """The vendor's mark of the next page, "" on the last one."""
        return str(self.paging.next.after) if self.paging and self.paging.next else ""


class Record(msgspec.Struct):
    """An object in answers to batch calls. Property values are texts or null."""

    id: str
    properties: dict[str, str | None] = {}
    updatedAt: str = ""
    objectWriteTraceId: str = ""


class Batch(msgspec.Struct):
    results: list[Record] = []
    errors: list[Problem] = []


class _Id(msgspec.Struct):
    id: str | int


class _Target(msgspec.Struct):
    toObjectId: int | str


class _Linked(msgspec.Struct):
    from_: _Id = msgspec.field(name="from")
    to: list[_Target] = []
    paging: Paging | None = None


class _Links(msgspec.Struct):
    results: list[_Linked] = []


class _Pair(msgspec.Struct):
    from_: _Id = msgspec.field(name="from")
    to: _Id


class Linked(msgspec.Struct):
    """The answer to a batch of new associations; HubSpot may name each pair in both directions."""

    results: list[_Pair] = []
    errors: list[Problem] = []

    def pairs(self) -> set[tuple[str, str]]:
        found = {(str(p.from_.id), str(p.to.id)) for p in self.results}
        return found | {(b, a) for a, b in found}


def decode(response: Response, kind: type[T]) -> T:
    """The body as `kind`. Raises ContractBroken for HTML pages, cut bodies and shapes we do not know."""
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        media = response.headers.get("content-type", "no content type")
        raise ContractBroken(
            f"an answer of {len(response.body)} bytes of {media} has an unknown shape: {exc}",
            status=response.status,
            request_id=response.request_id,
        ) from exc


class Client:
    """HubSpot's calls over the hub's HTTP client."""

    def __init__(self, http: Http, paths: Paths) -> None:
        self.http = http
        self.paths = paths

    async def account(self) -> dict[str, Any]:
        answer = await self.http.json("GET", self.paths("account"))
        if not isinstance(answer, dict):
            raise ContractBroken("the account details are not an object")
        return answer

    async def page(
        self,
        kind: str,
        *,
        after: str = "",
        properties: Sequence[str] = (),
        links: Sequence[str] = (),
        archived: bool = False,
        limit: int = LIST_LIMIT,
    ) -> Rows:
        params: dict[str, Any] = {"limit": limit, "archived": "true" if archived else "false"}
        if properties:
            params["properties"] = ",".join(properties)
        if links:
            params["associations"] = ",".join(links)
        if after:
            params["after"] = after
        return decode(await self.http.request("GET", self.paths("objects", kind), params=params, cost="list"), Rows)

    async def owners(self, *, after: str = "", archived: bool = False, limit: int = LIST_LIMIT) -> Rows:
        params = {"limit": limit, "archived": "true" if archived else "false", **({"after": after} if after else {})}
        return decode(await self.http.request("GET", self.paths("owners"), params=params, cost="owners"), Rows)

    async def search(
        self,
        kind: str,
        filters: Sequence[tuple[str, str, str]],
        *,
        properties: Sequence[str] = (),
        limit: int = SEARCH_LIMIT,
        newest_by: str = "",
    ) -> Rows:
        """One search by id ascending, or newest first by a time property.

        filters: (property, operator, value), all of them must hold.
        """
        body = {
            "filterGroups": [{"filters": [_filter(*f) for f in filters]}] if filters else [],
            "sorts": [
                {
                    "propertyName": newest_by or "hs_object_id",
                    "direction": "DESCENDING" if newest_by else "ASCENDING",
                }
            ],
            "properties": list(properties),
            "limit": limit,
        }
        path = self.paths("search", kind)
        return decode(await self.http.request("POST", path, json=body, cost="search", safe=True), Rows)

    async def read(
        self, kind: str, ids: Iterable[str], properties: Sequence[str], id_property: str = ""
    ) -> list[Record]:
        """Those of the objects that exist, in no particular order."""
        found: list[Record] = []
        for part in chunks(list(dict.fromkeys(ids)), BATCH_LIMIT):
            found += decode(await self._read(kind, part, properties, id_property), Batch).results
        return found

    async def read_rows(self, kind: str, ids: Iterable[str], properties: Sequence[str]) -> Sequence[Row]:
        """As `read`, with each object still as the vendor's bytes."""
        found: list[Row] = []
        for part in chunks(list(dict.fromkeys(ids)), BATCH_LIMIT):
            found += decode(await self._read(kind, part, properties, ""), Rows).results
        return found

    async def _read(self, kind: str, ids: Sequence[str], properties: Sequence[str], id_property: str) -> Response:
        body: dict[str, Any] = {
            "inputs": [{"id": i} for i in ids],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        if id_property:
            body["idProperty"] = id_property
        return await self.http.request("POST", self.paths("batch", kind, "read"), json=body, cost="read", safe=True)

    async def write(self, kind: str, action: str, inputs: Sequence[Mapping[str, Any]], *, safe: bool) -> Batch:
        """batch/create, update or upsert. safe: the same call twice has the effect of one."""
        path = self.paths("batch", kind, action)
        return decode(await self.http.request("POST", path, json={"inputs": inputs}, cost="write", safe=safe), Batch)

    async def archive(self, kind: str, ids: Sequence[str]) -> None:
        """Into the recycle bin; ids that are there already do no harm."""
        for part in chunks(ids, BATCH_LIMIT):
            body = {"inputs": [{"id": i} for i in part]}
            path = self.paths("batch", kind, "archive")
            await self.http.request("POST", path, json=body, cost="write", safe=True)

    async def merge(self, kind: str, stays: str, absorbed: str) -> Record:
        """Fold one object into another, for good; the one that stands for both. Never sent twice by itself."""
        body = {"primaryObjectId": stays, "objectIdToMerge": absorbed}
        path = self.paths("merge", kind)
        return decode(await self.http.request("POST", path, json=body, cost="write", safe=False), Record)

    async def links(self, source: str, target: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Ids of `target` objects each id is associated with, in order of id; every asked id has an entry."""
        found: dict[str, set[str]] = {i: set() for i in ids}
        wanted: list[dict[str, str]] = [{"id": i} for i in found]
        path = self.paths("links", source, target, "read")
        while wanted:
            part, wanted = wanted[:LINK_READ_LIMIT], wanted[LINK_READ_LIMIT:]
            answer = decode(
                await self.http.request("POST", path, json={"inputs": part}, cost="links", safe=True), _Links
            )
            asked = {(i["id"], i.get("after", "")) for i in part}
            for row in answer.results:
                own = str(row.from_.id)
                found.setdefault(own, set()).update(str(t.toObjectId) for t in row.to)
                if row.paging and row.paging.next:
                    after = str(row.paging.next.after)
                    if (own, after) in asked:
                        raise ContractBroken(f"the associations of {source} {own} repeat their page {after!r}")
                    wanted.append({"id": own, "after": after})
        return {i: sorted(targets, key=by_number) for i, targets in found.items()}

    async def link(self, source: str, target: str, pairs: Sequence[tuple[str, str]]) -> Linked:
        """Associate without a label, at most 2,000 pairs; pairs that are associated stay so."""
        body = {"inputs": [{"from": {"id": a}, "to": {"id": b}} for a, b in pairs]}
        path = self.paths("links", source, target, "associate/default")
        return decode(await self.http.request("POST", path, json=body, cost="links", safe=True), Linked)

    async def unlink(self, source: str, target: str, pairs: Sequence[tuple[str, str]]) -> None:
        path = self.paths("links", source, target, "archive")
        for part in chunks(pairs, LINK_READ_LIMIT):
            body = {"inputs": [{"from": {"id": a}, "to": [{"id": b}]} for a, b in part]}
            await self.http.request("POST", path, json=body, cost="links", safe=True)

    async def one(self, kind: str, id_: str, properties: Sequence[str]) -> Record | None:
        """A single object; unlike a batch this follows an id that was merged away. None when it is gone."""
        params = {"properties": ",".join(properties)}
        try:
            path = f"{self.paths('objects', kind)}/{quote(id_, safe='')}"
            return decode(await self.http.request("GET", path, params=params, cost="read"), Record)
        except Gone:
            return None

    async def unsubscribed(self, address: str) -> Any:
        """Whether an address has left all mail, for the whole portal and for business units."""
        path = f"{self.paths('preferences', quote(address, safe=''))}/unsubscribe-all"
        return await self.http.json("GET", path, params={"channel": "EMAIL"}, cost="read")

    async def unsubscribe(self, address: str) -> None:
        path = f"{self.paths('preferences', quote(address, safe=''))}/unsubscribe-all"
        await self.http.request("POST", path, params={"channel": "EMAIL"}, cost="write", safe=True)

    async def may_unsubscribe(self, nobody: str) -> None:
        """Ask for a change that names neither a subscription nor a status: raises what HubSpot says to it."""
        path = self.paths("preferences", quote(nobody, safe=""))
        await self.http.request("POST", path, json={}, cost="write", safe=True)

    async def property(self, kind: str, name: str) -> dict[str, Any] | None:
        """A property's definition, or None when there is none of that name."""
        try:
            return _definition(await self.http.json("GET", self.paths("property", kind, name)), f"{kind}.{name}")
        except Gone:
            return None

    async def create_property(self, kind: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """The definition as HubSpot keeps it now."""
        answer = await self.http.json("POST", self.paths("properties", kind), json=definition, cost="write", safe=False)
        return _definition(answer, f"{kind}.{definition['name']}")


def _definition(answer: Any, place: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ContractBroken(f"the definition of {place} is not an object")
    return answer


def _filter(name: str, operator: str, value: str) -> dict[str, str]:
    found = {"propertyName": name, "operator": operator}
    return {**found, "value": value} if value else found


def by_number(text: str) -> tuple[int, str]:
    """Sort key that puts ids into numerical order."""
    return (int(text) if text.isdecimal() else 0, text)


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
