"""One change on its way to HubSpot, and how changes are put into batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.api import Change, HubError, Link, Receipt
from hub_hubspot.client import BATCH_LIMIT, Record
from hub_hubspot.objects import LINK_IDS, LINKED

Outcome = Literal["created", "updated", "unchanged", "deleted", "failed"]
BATCH_CHARS = 2_000_000


@dataclass(slots=True, eq=False)
class Item:
    """One change on its way. current: the object as it is there; wanted: the properties it should hold.

    is_fields: it is about fields of an object that is there, named by its id, and about nothing else of it.
    """

    change: Change
    type: str
    wanted: dict[str, str] = field(default_factory=dict)
    is_fields: bool = False
    current: Record | None = None
    outcome: Outcome | None = None
    remote_id: str = ""
    version: str = ""
    before: dict[str, Any] | None = None
    links: list[Link] = field(default_factory=list)
    unlinked: list[Link] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def fail(self, error: HubError | str) -> None:
        self.outcome = "failed"
        self.errors.append(error if isinstance(error, str) else error.message)

    def receipt(self) -> Receipt:
        if self.outcome is None:
            self.fail("HubSpot's answer did not name this object")
        return Receipt(
            key=self.change.key, outcome=self.outcome or "failed", remote_id=self.remote_id, version=self.version,
            before=self.before, links=tuple(self.links), unlinked=tuple(self.unlinked),
            error="; ".join(dict.fromkeys(self.errors)),
        )  # fmt: skip


def parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Batches of up to 100, of bounded size, without the same key twice in one."""
    part: list[Item] = []
    keys: set[str] = set()
    size = 0
    for item in items:
        chars = sum(map(len, item.wanted.values()))
        if part and (len(part) == BATCH_LIMIT or item.change.key in keys or size + chars > BATCH_CHARS):
            yield part
            part, keys, size = [], set(), 0
        part.append(item)
        keys.add(item.change.key)
        size += chars
    if part:
        yield part


def inline_links(item: Item) -> list[dict[str, Any]]:
    """Associations as a create takes them along; only those whose target is known."""
    found = []
    for link in item.change.links:
        type_id = LINK_IDS.get((item.type, LINKED[link.kind]))
        if link.remote_id and type_id:
            types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]
            found.append({"to": {"id": link.remote_id}, "types": types})
    return found
