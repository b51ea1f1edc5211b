"""The smallest hub that keeps the contract: a dict of bodies, the cursor stored with them, deletions confirmed.

It stands in for the real one so that a connector can be tested with `hub.api` alone; the hub's own tests run the same
clauses through the real engine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from hub.api import (
    Change,
    Clock,
    Connector,
    CursorExpired,
    Entity,
    Interaction,
    JournalEntry,
    Organization,
    Page,
    Person,
    Pull,
    RawRecord,
    Receipt,
    RecordRejected,
    Redirect,
    Tombstone,
    Transient,
    Window,
)

BRAKE = 0.3
TRIES = 6
Then = Callable[[Page], None] | None


@dataclass
class Timeline:
    """Stored records, mapped. `into`: absorbed id -> the record it was merged into."""

    entities: dict[str, tuple[Entity, ...]] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    into: dict[str, str] = field(default_factory=dict)

    @property
    def live(self) -> set[str]:
        """Ids of what still stands: neither deleted nor absorbed. Rejected records stand, in quarantine."""
        return {*self.entities, *self.rejected} - self.gone - set(self.into)

    def times(self) -> dict[str, datetime]:
        """When each interaction occurred, by external id; those without a time left out."""
        found = {}
        for external_id, entities in self.entities.items():
            for entity in entities:
                if isinstance(entity, Interaction) and entity.occurred_at is not None:
                    found[external_id] = entity.occurred_at
        return found

    def ours(self, keys: Iterable[str]) -> set[str]:
        """Ids of records that carry one of our keys."""
        wanted = set(keys)
        return {i for i, entities in self.entities.items() if any(_keys(e) & wanted for e in entities)}


def _keys(entity: Entity) -> set[str]:
    if isinstance(entity, Interaction):
        return {k.removeprefix("hub-key:") for k in entity.dedup_keys if k.startswith("hub-key:")}
    if isinstance(entity, Person | Organization):
        return {i.value for i in entity.identifiers if i.scheme == "hub-key"}
    return set()


class Landed:
    """One stream as a hub holds it. A page and its cursor are stored together or not at all."""

    def __init__(self, stream: str, window: Window | None = None) -> None:
        self.stream = stream
        self.window = window or Window()
        self.bodies: dict[str, bytes] = {}
        self.cursor: str | None = None
        self.gaps: dict[str, str] = {}
        self.held: set[str] = set()
        self.rewritten: list[str] = []
        self._named: set[str] = set()

    def kept(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {i: self.bodies[i] for i in ids if i in self.bodies}

    def restart(self) -> None:
        """Enumerate everything again at the next pull."""
        self.cursor = None
        self._named = set()

    async def pull(
        self, connector: Connector[Any], *, stop: int = 0, is_lost: bool = False, then: Then = None
    ) -> list[Page]:
        """Pull to the end, or `stop` pages; is_lost: we die before the last of them is stored.

        then: called once, with the first page, as soon as that is stored.
        """
        pages: list[Page] = []
        self.rewritten = []
        try:
            await self._read(connector, pages, stop, is_lost, then)
        except CursorExpired:
            if self.cursor is None:
                raise
            self.restart()
            await self._read(connector, pages, stop, is_lost, then)
        return pages

    async def _read(self, connector: Connector[Any], pages: list[Page], stop: int, is_lost: bool, then: Then) -> None:
        stream: Any = connector.pull(Pull(self.stream, self.cursor, self.window, self.kept))
        async with aclosing(stream):
            async for page in stream:
                pages.append(page)
                is_over = len(pages) == stop
                if not (is_over and is_lost):
                    await self._store(connector, page)
                if then is not None and len(pages) == 1:
                    then(page)
                if is_over:
                    return

    async def _store(self, connector: Connector[Any], page: Page) -> None:
        for record in page.records:
            if self.bodies.get(record.external_id, record.body) != record.body:
                self.rewritten.append(record.external_id)
            self.bodies[record.external_id] = record.body
        for external_id in page.gone:
            self.bodies.pop(external_id, None)
        for gap in page.gaps:
            if gap.reason != "gone":
                self.gaps[gap.external_id] = gap.reason
        if page.is_full:
            named = {r.external_id for r in page.records} | {g.external_id for g in page.gaps if g.reason != "gone"}
            self._named |= named | set(page.also_seen)
            if page.is_last:
                await self._end_enumeration(connector)
        self.cursor = page.cursor

    async def _end_enumeration(self, connector: Connector[Any]) -> None:
        """What a complete enumeration did not name is asked for; when it is very much, a person is asked instead."""
        missing = set(self.bodies) - self._named
        self.held, self._named = set(), set()
        if len(missing) >= BRAKE * len(self.bodies) and len(self.bodies) >= 10:
            self.held = missing
        elif missing:
            await self.refetch(connector, sorted(missing))

    async def refetch(self, connector: Connector[Any], ids: Sequence[str]) -> None:
        """Take these records as they are now; those the vendor does not give any more are gone."""
        try:
            alive = {r.external_id: r.body for r in await connector.fetch(self.stream, ids)}
        except NotImplementedError:
            alive = {}
        for external_id in ids:
            if external_id in alive:
                self.bodies[external_id] = alive[external_id]
            else:
                self.bodies.pop(external_id, None)

    def timeline(self, connector: Connector[Any]) -> Timeline:
        """Every stored body mapped. Only RecordRejected may come out of the mapping."""
        found = Timeline()
        for external_id, body in self.bodies.items():
            try:
                entities = tuple(connector.to_canonical(self.stream, RawRecord(external_id, body)))
            except RecordRejected as exc:
                found.rejected[external_id] = exc.message
                continue
            found.entities[external_id] = entities
            for entity in entities:
                if isinstance(entity, Tombstone):
                    found.gone.add(entity.external_id)
                elif isinstance(entity, Redirect):
                    found.into[entity.external_id] = entity.into
        return found


class Journal:
    """Pushes with the intent written first, and a look-up before anything of unknown outcome is sent again."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sent: set[str] = set()
        self.done: dict[str, JournalEntry] = {}

    async def push(self, connector: Connector[Any], changes: Sequence[Change]) -> list[Receipt]:
        """Raises the last Transient after six tries."""
        waiting = list(changes)
        for attempt in range(1, TRIES + 1):
            waiting = await self._looked_up(connector, waiting)
            self.sent.update(c.key for c in waiting)
            try:
                receipts = await connector.push(waiting)
            except Transient:
                if attempt == TRIES:
                    raise
                await self.clock.sleep(0.5 * 2**attempt)
                continue
            for change, receipt in zip(waiting, receipts, strict=True):
                self.done[change.key] = JournalEntry(change=change, receipt=receipt)
            return receipts
        raise AssertionError("unreachable")

    async def _looked_up(self, connector: Connector[Any], changes: Sequence[Change]) -> list[Change]:
        unknown = [c.key for c in changes if c.key in self.sent and c.key not in self.done]
        if not unknown:
            return list(changes)
        found = {f.key: f.remote_id for f in await connector.find(changes[0].kind, unknown)}
        return [replace(c, remote_id=found[c.key]) if c.key in found else c for c in changes]
