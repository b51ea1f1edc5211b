"""What a connector declares about itself, before any code of it runs."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

API_VERSION = 1

Deletes = Literal["confirmed", "suspected", "undetectable"]


@dataclass(frozen=True)
class Stream:
    """One kind of vendor object we follow.

    deletes: how a deletion is known. overlap: how far behind the cursor every pull reads again.
    census: what `Connector.census` can give independently of the change feed.
    cap: rows after which the vendor silently truncates one enumeration (0: none known).
    needs: scopes without which this stream is a declared gap.
    """

    name: str
    deletes: Deletes = "undetectable"
    overlap: timedelta = timedelta(0)
    census: Literal["ids", "counts", "none"] = "none"
    cap: int = 0
    needs: tuple[str, ...] = ()
    carries: Literal["interactions", "parties", "objects", "reference"] = "interactions"


@dataclass(frozen=True)
class Scope:
    """One permission, and what it is for in words an admin can weigh."""

    name: str
    why: str
    is_required: bool = True


@dataclass(frozen=True)
class Budget:
    """How many units may be spent per window per vendor account, shared by pull and push.

    units: cost of one call by method name; `default_units` for methods not named.
    reserve: share of each window kept for interactive reads.
    """

    name: str
    units_per_window: int
    window: timedelta
    units: dict[str, int] = field(default_factory=dict)
    default_units: int = 1
    reserve: float = 0.05

    def cost(self, method: str) -> int:
        return self.units.get(method, self.default_units)


@dataclass(frozen=True)
class Manifest:
    """name: entry-point and config name. pushes: object types `push` accepts. hosts: where the token may go.

    Every connector states the contract version it was built for; the hub lists and skips a mismatch.
    """

    name: str
    title: str
    channels: tuple[str, ...]
    streams: tuple[Stream, ...]
    auth: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    budgets: tuple[Budget, ...] = ()
    hosts: tuple[str, ...] = ()
    pushes: tuple[str, ...] = ()
    can_undo: bool = False
    can_be_system_of_record: bool = False
    webhooks: bool = False
    vendor_api: str = ""
    docs: str = ""
    api_version: int = API_VERSION

    def stream(self, name: str) -> Stream:
        for stream in self.streams:
            if stream.name == name:
                return stream
        known = ", ".join(s.name for s in self.streams)
        raise KeyError(f"{self.name} has no stream {name!r}; it has: {known}")
