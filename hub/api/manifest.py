"""What a connector declares about itself, before any code of it runs."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

API_VERSION = 1
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")

Deletes = Literal["confirmed", "suspected", "undetectable"]


@dataclass(frozen=True)
class Merge:
    """What a tool does when it is asked to make two records of a stream one, which no tool takes back.

    calls: requests that one merge takes with the reading before it. fills: where the record that stays has no value, it
    gets the other's; else what only the other has is lost. own: fields (docs/fields.md) for which the tool has a rule of
    its own. notes: what else becomes of the two, in sentences for whoever decides.
    """

    calls: int
    fills: bool = False
    own: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """One kind of vendor object we follow.

    deletes: how a deletion is known. overlap: how far behind the cursor every pull reads again.
    census: what `Connector.census` can give independently of the change feed.
    cap: rows after which the vendor silently truncates one enumeration (0: none known).
    needs: scopes without which this stream is a declared gap.
    merges: "silent" where a record merged into another just vanishes and the other does not name it; the hub then
    takes one that vanishes for merged into the one left that lists all its addresses.
    merge: what `Connector.push` can do about two records of it that are one; None where it cannot merge.
    """

    name: str
    deletes: Deletes = "undetectable"
    overlap: timedelta = timedelta(0)
    census: Literal["ids", "counts", "none"] = "none"
    cap: int = 0
    needs: tuple[str, ...] = ()
    carries: Literal["interactions", "parties", "objects", "reference"] = "interactions"
    ids: Literal["entity", "address"] = "entity"
    merges: Literal["told", "silent"] = "told"
    merge: Merge | None = None


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
    reserve: share of each window kept for interactive reads. zone: where the midnight is that ends a window of one day;
    "" is UTC.
    """

    name: str
    units_per_window: int
    window: timedelta
    units: dict[str, int] = field(default_factory=dict)
    default_units: int = 1
    reserve: float = 0.05
    zone: str = ""

    def __post_init__(self) -> None:
        if self.zone and self.window != timedelta(days=1):
            raise ValueError(f"budget {self.name!r}: only a window of one day has a zone")

    def cost(self, method: str) -> int:
        return self.units.get(method, self.default_units)


@dataclass(frozen=True)
class Manifest:
    """name: entry-point and config name. pushes: object types `push` accepts.

    hosts: where the token may go, beside the base URL's own host; "*.tool.example" is any host that has exactly one label
    before that, for tools that give each account an address of its own.

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

    def __post_init__(self) -> None:
        for host in self.hosts:
            if not _HOST.fullmatch(host.removeprefix("*.")) or (host.startswith("*.") and host.count(".") < 2):
                raise ValueError(f"hosts: {host!r} is neither a host nor a pattern such as *.tool.example")

    def allows(self, host: str) -> bool:
        """Whether `host`, as it goes over the wire (ASCII, lower case), is one of `hosts` or fits a pattern of them."""
        label, _, rest = host.partition(".")
        if _LABEL.fullmatch(label) and f"*.{rest}" in self.hosts:
            return True
        return host in self.hosts and "*" not in host

    def stream(self, name: str) -> Stream:
        for stream in self.streams:
            if stream.name == name:
                return stream
        known = ", ".join(s.name for s in self.streams)
        raise KeyError(f"{self.name} has no stream {name!r}; it has: {known}")
