"""The connector contract: what a plugin implements and the values that cross the border.

A connector holds no state between calls and opens no HTTP client of its own: the hub hands it `Services`.
All methods but `to_canonical` may call the vendor; the hub decides when, how often and what to do on errors
(`hub.api.errors`). Every method a vendor cannot support keeps its default, which says so.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, SecretStr

from hub.api.canonical import Consent, Entity, Interaction, Organization, Person, Task
from hub.api.http import Http, HttpProfile, Services
from hub.api.manifest import Budget, Manifest


class ConnectorSettings(BaseModel):
    """Base of a connector's settings; unknown keys are errors that name the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=ConnectorSettings)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One vendor object exactly as received. `body` is what the vendor sent for it, byte for byte.

    version: the vendor's own change marker, "" where there is none; informative, equality is by body.
    """

    external_id: str
    body: bytes
    version: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """An id the vendor named and did not give, with the reason ("gone", "forbidden", "too large")."""

    external_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Records that arrive together, and the cursor that is true once they are stored.

    cursor: opaque; saved in the transaction that stores the records, handed back on the next pull.
    is_full: this page is part of an enumeration of everything in the window. also_seen: ids enumerated
        but not fetched again. is_last: the enumeration is complete, so what it did not name is missing.
    gone: ids the vendor declares deleted. gaps: ids named and not given.
    total: the vendor's estimate of all records, where it gives one (progress only).
    """

    records: Sequence[RawRecord]
    cursor: str
    is_full: bool = False
    is_last: bool = False
    also_seen: Sequence[str] = ()
    gone: Sequence[str] = ()
    gaps: Sequence[Gap] = ()
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of history is wanted: `since` <= occurred < `until`; None is open. Aware UTC."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """One request of the hub: go on from `cursor` (None: from the start) in `window`.

    held: gives the stored bodies of those ids the hub already has (for cheap partial reads).
    """

    stream: str
    cursor: str | None
    window: Window
    held: Callable[[Sequence[str]], Mapping[str, bytes]] = field(default=lambda ids: {})


@dataclass(frozen=True, slots=True)
class Permission:
    """One row of the permission matrix: what was tried, whether it worked, and what to do if not."""

    stream: str
    action: Literal["read", "write"]
    is_granted: bool
    detail: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class PermissionMatrix:
    """`account_id` names the vendor account (budget and lease key); `label` is for people.

    own_identities: addresses the account itself sends as (send-as aliases); they are "us", not customers.
    capabilities: what was found out about the account ("upsert:emails", "unique-key:contacts").
    """

    account_id: str
    label: str
    permissions: tuple[Permission, ...]
    own_identities: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many records a backfill will read, how many budget units and how long at the vendor's limit."""

    records: int
    units: int
    seconds: float
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Census:
    """An enumeration of one period that shares no code with the change feed: ids, or only a count."""

    stream: str
    period: Window
    ids: frozenset[str] | None = None
    count: int | None = None


class Link(msgspec.Struct, frozen=True):
    """Another object at the destination: its kind, our key and, where known, its id there."""

    kind: Literal["person", "organization", "deal", "ticket"]
    key: str
    remote_id: str = ""


Pushable = Person | Organization | Interaction | Task | Consent


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What we owe a destination: the wanted state of one object, under our stable external key.

    kind: which of `Manifest.pushes`. entity: None only for a delete. remote_id: "" when not known to exist.
    absorbs: of a merge, the id of the party that becomes part of `remote_id`; `entity` is what is known of it, its addresses.
    links: what it is to be associated with; the same key may stand there more than once, with several ids.
    unlinks: associations of ours that hold no longer; all others it has are left as they are.
    expected_version: the version our before-image was read at; a mismatch is a `Conflict`.
    """

    key: str
    kind: str
    op: Literal["upsert", "delete", "merge"]
    entity: Pushable | None = None
    remote_id: str = ""
    absorbs: str = ""
    links: tuple[Link, ...] = ()
    unlinks: tuple[Link, ...] = ()
    expected_version: str = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The destination's answer for one change. `before` is the object's state before we wrote, for undo.

    links, unlinked: associations that this change made and took away; not those that stood, or stood no more, before.
    """

    key: str
    outcome: Literal["created", "updated", "unchanged", "deleted", "merged", "failed"]
    remote_id: str = ""
    version: str = ""
    before: dict[str, Any] | None = None
    links: tuple[Link, ...] = ()
    unlinked: tuple[Link, ...] = ()
    error: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An object at the destination that carries our key."""

    key: str
    remote_id: str
    version: str = ""


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One applied change as the journal kept it: enough to take it back."""

    change: Change
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A received call: raw body, header names in lower case, the full public URL."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook's "look again": wakes a stream, or one record of it; never the truth itself."""

    stream: str
    external_id: str = ""
    dedup_id: str = ""


class Connector(Generic[S]):
    """Base class of all connectors. Subclass, set `manifest` and `settings_model`, implement what applies."""

    manifest: ClassVar[Manifest]
    settings_model: ClassVar[type[ConnectorSettings]] = ConnectorSettings

    def __init__(self, settings: S, services: Services) -> None:
        self.settings = settings
        self.services = services
        self.http = Http(self.http_profile(), self.manifest, services, self.budgets())

    def budgets(self) -> tuple[Budget, ...]:
        """What may be spent per window; the manifest's, unless the account's plan or settings say otherwise."""
        return self.manifest.budgets

    def http_profile(self) -> HttpProfile:
        """Where and how to call: base URL, token source, extra hosts."""
        return HttpProfile(base_url="")

    async def aclose(self) -> None:
        await self.http.aclose()

    async def check(self) -> PermissionMatrix:
        """Prove each permission by reading one of each object."""
        raise NotImplementedError

    async def estimate(self, stream: str, window: Window) -> Estimate | None:
        """How much a backfill costs, before it starts; None where the vendor gives no hint."""
        return None

    def pull(self, pull: Pull) -> AsyncIterator[Page]:
        """Pages from the cursor on. Safe to repeat: the hub may ask for a stored page again.

        Raises CursorExpired when the vendor no longer knows the cursor; the hub then calls again with None.
        """
        raise NotImplementedError

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """These records now; an id missing from the answer does not exist any more."""
        raise NotImplementedError

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterable[Entity]:
        """Pure and total: entities, or `Unmapped` with the reason; RecordRejected for a broken record."""
        raise NotImplementedError

    async def census(self, stream: str, period: Window) -> Census | None:
        """Enumerate the period without using the change feed; None where the vendor cannot."""
        return None

    def writable(self, kind: str) -> frozenset[str]:
        """The names in `fields` of a "person" or an "organization" that `push` writes; none by default."""
        return frozenset()

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """Write changes of one kind, one receipt each, in order; idempotent by `Change.key`.

        A per-item refusal is a receipt "failed"; an exception means that no outcome is known for any item.
        A `Consent` is written only as "opted_out"; whoever has no place for it in the tool is "unchanged".
        A merge comes alone, and only for streams that declare `Stream.merge`. Look first whether it has been done: then,
        too, the receipt is "merged", with the id of the record that stands for both. Raise Transient with is_unknown while
        that cannot be told.
        """
        raise NotImplementedError

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        """Which of our keys exist at the destination. Must not rely on an index that lags."""
        raise NotImplementedError

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """Take applied changes back, from the before-image; idempotent."""
        raise NotImplementedError

    def verify_webhook(self, request: WebhookRequest) -> None:
        """Raise WebhookRejected unless the vendor signed exactly these bytes, recently."""
        raise NotImplementedError

    def parse_webhook(self, request: WebhookRequest) -> Iterable[Notice]:
        raise NotImplementedError

    async def forget(self) -> None:
        """Called when a connection is removed: end what lives on at the vendor, drop what the token store holds.

        Must do as much as it can when the sign-in is dead. Nothing to do for connectors without state.
        """


__all__ = [
    "Census", "Change", "Connector", "ConnectorSettings", "Estimate", "Found", "Gap", "JournalEntry", "Link",
    "Notice", "Page", "Permission", "PermissionMatrix", "Pull", "Pushable", "RawRecord", "Receipt", "SecretStr",
    "WebhookRequest", "Window",
]  # fmt: skip
