"""Zendesk's end points as typed calls. Rows stay raw bytes, so that what is stored is what Zendesk sent."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from hub.api import ContractBroken, Gone, Http

API = "api/v2/"
LIST_SIZE = 100
SEARCH_SIZE = 1000
MOST_PAGES = 100_000

T = TypeVar("T")
Params = Mapping[str, str | int]


class Meta(msgspec.Struct):
    """The end of a cursor page. `after_cursor` stays filled on the last page: only has_more says that it is the last."""

    has_more: bool
    after_cursor: str | None = None


class Id(msgspec.Struct):
    """As much of a row as is needed to name it."""

    id: int
    created_at: str | None = None


class Comment(msgspec.Struct):
    """A comment as the event export and the comment list both give it. Only the id must be what it should: whatever else
    is odd about one comment is for the mapping to reject, and must not stop the others."""

    id: int
    created_at: Any = None
    type: Any = "Comment"
    author_id: Any = None
    body: Any = None
    public: Any = True
    attachments: Any = None
    via: Any = None
    data: Any = None
    metadata: Any = None

    @property
    def text(self) -> str:
        return self.body if isinstance(self.body, str) else ""

    @property
    def message_id(self) -> str:
        """The Message-ID of the mail this comment came in by; the list names it, the export does not always."""
        system = self.metadata.get("system") if isinstance(self.metadata, dict) else None
        value = system.get("message_id") if isinstance(system, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def channel(self) -> str:
        channel = self.via.get("channel") if isinstance(self.via, dict) else self.via
        return channel if isinstance(channel, str) else ""


class Context(msgspec.Struct):
    """What a comment needs to know of its ticket. comment_count: Zendesk's own count, None when not given."""

    id: int
    subject: Any = None
    requester_id: Any = None
    organization_id: Any = None
    external_id: Any = None
    tags: Any = ()
    status: Any = ""
    comment_count: int | None = None


class Client:
    """Calls of one account, each priced for the budget table."""

    def __init__(self, http: Http, subdomain: str) -> None:
        self.http = http
        self.subdomain = subdomain

    async def get(self, path: str, params: Params | None = None, cost: str = "") -> dict[str, Any]:
        answer = await self.http.json("GET", API + path, params=params, cost=cost)
        if not isinstance(answer, dict):
            raise ContractBroken(f"{path} did not answer with an object", connector="zendesk")
        return answer

    async def rows(self, path: str, key: str, params: Params | None = None, cost: str = "") -> list[msgspec.Raw]:
        """The rows of one answer, each exactly as sent."""
        response = await self.http.request("GET", API + path, params=params, cost=cost)
        return raw_rows(read(response.body, dict[str, msgspec.Raw], path), key, path)

    async def listed(
        self, path: str, key: str, params: Params | None = None, size: int = LIST_SIZE, cost: str = ""
    ) -> AsyncIterator[list[msgspec.Raw]]:
        """Pages of a cursor-paginated list. Raises ContractBroken when a page leads to itself."""
        after, seen = "", set[str]()
        for _ in range(MOST_PAGES):
            asked = {**(params or {}), "page[size]": size, **({"page[after]": after} if after else {})}
            response = await self.http.request("GET", API + path, params=asked, cost=cost)
            answer = read(response.body, dict[str, msgspec.Raw], path)
            if "meta" not in answer:
                raise ContractBroken(f"{path} gave a page without `meta`", connector="zendesk")
            meta = read(bytes(answer["meta"]), Meta, path)
            yield raw_rows(answer, key, path)
            if not meta.has_more:
                return
            after = meta.after_cursor or ""
            if not after or after in seen:
                raise ContractBroken(f"{path} says there is more and leads nowhere new", connector="zendesk")
            seen.add(after)

    async def comments(self, ticket_id: int | str) -> list[Comment]:
        """All comments of a ticket, oldest first. Raises Gone when there is no such ticket (any more)."""
        found: list[Comment] = []
        async for page in self.listed(f"tickets/{ticket_id}/comments", "comments"):
            found += [read(bytes(row), Comment, "comments") for row in page]
        return found

    async def contexts(self, ids: Iterable[int]) -> dict[int, Context]:
        """Tickets by id, with their own comment counts; deleted ones are left out."""
        found: dict[int, Context] = {}
        for part in chunks(sorted(set(ids))):
            params = {"ids": ",".join(map(str, part)), "include": "comment_count"}
            for row in await self.rows("tickets/show_many", "tickets", params):
                ticket = read(bytes(row), Context, "show_many")
                if ticket.status != "deleted":
                    found[ticket.id] = ticket
        return found

    async def by_external_id(self, external_id: str) -> list[dict[str, Any]]:
        """Tickets carrying an external id; it is not unique at Zendesk. Reads the database, not the search index."""
        answer = await self.get("tickets", {"external_id": external_id})
        return [t for t in answer.get("tickets", []) if t.get("external_id") == external_id]

    async def one(self, path: str, key: str) -> dict[str, Any] | None:
        """A single object; None when it is gone."""
        try:
            found = (await self.get(path)).get(key)
        except Gone:
            return None
        if isinstance(found, list):  # the specification gives a single rating as a list of one
            found = found[0] if found else None
        return found if isinstance(found, dict) else None


def read(body: bytes, kind: type[T], path: str) -> T:
    """Decode an answer. Raises ContractBroken, naming the end point but none of its content."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        where = str(exc).rpartition(" - at ")[2]
        raise ContractBroken(f"{path} answered in an unknown form ({where[:80]})", connector="zendesk") from exc


def raw_rows(answer: Mapping[str, msgspec.Raw], key: str, path: str) -> list[msgspec.Raw]:
    if key not in answer:
        raise ContractBroken(f"{path} answered without `{key}`", connector="zendesk")
    return read(bytes(answer[key]), list[msgspec.Raw], path)


def chunks(items: Sequence[Any], size: int = LIST_SIZE) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
