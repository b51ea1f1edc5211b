"""Writing to a portal: upsert by our unique property, associations in a second call, one receipt per change.

Each change is looked up before it is written (a batch read by unique value, which does not go through the lagging
search index): that gives the before-image for undo, tells what needs no write, and finds what an earlier attempt
with an unknown outcome left behind.

How new objects are made depends on the portal, per object type:
- upsert: our unique property and batch/upsert. Sending twice has the effect of once.
- keyed: the property, but no upsert. batch/create; after an unknown outcome, look up by key.
- marked: no such property. Our key stands in the text; it is looked for among the objects associated with the same
  contacts and companies. Contacts go by their e-mail address; companies cannot be written safely and are refused.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from hub.api import (
    Change,
    Conflict,
    Gone,
    HubError,
    Interaction,
    Organization,
    Person,
    Receipt,
    RecordRejected,
    ScopeError,
    Transient,
)
from hub_hubspot import fields
from hub_hubspot.client import BATCH_LIMIT, Client, Record, chunks
from hub_hubspot.errors import Problem, row_error
from hub_hubspot.items import Item, Outcome, inline_links, parts
from hub_hubspot.linker import Linker
from hub_hubspot.lookup import LookUp, Mode, marker_of
from hub_hubspot.objects import OBJECTS, PUSHED
from hub_hubspot.outbound import BODIES, differing, object_type, properties
from hub_hubspot.settings import HubSpotSettings

NO_KEY = "the portal has no unique property {0} on {1}: grant {2} and run check, or create it by hand"


class Writer:
    """Pushes to one portal; remembers what it learned about each object type while the connection is open."""

    def __init__(self, client: Client, settings: HubSpotSettings, zone: Callable[[], Awaitable[tzinfo]]) -> None:
        self.client = client
        self.zone = zone
        self.key_property = settings.key_property
        self.tables = {kind: fields.writable(kind, settings) for kind in fields.OBJECT}
        self.lookup = LookUp(client, settings.key_property)
        self.modes = self.lookup.modes

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One receipt per change, in order. Raises what makes every outcome unknown: quota, sign-in, outage."""
        has_days = any(isinstance(c.entity, Interaction) and c.entity.all_day for c in changes)
        zone = await self.zone() if has_days else UTC
        items = [self._item(c, zone) for c in changes]
        for kind in dict.fromkeys(i.type for i in items if i.outcome is None and i.change.op == "upsert"):
            waiting = [i for i in items if i.outcome is None and i.change.op == "upsert" and i.type == kind]
            try:
                await self._upsert(kind, waiting)
            except ScopeError as exc:
                if len(waiting) == len(items):
                    raise
                for item in waiting:  # the other object types of this call go on
                    if item.outcome is None:
                        item.fail(exc)
        for part in chunks([i for i in items if i.outcome is None and i.change.op == "delete"], BATCH_LIMIT):
            await self._delete(part)
        return [i.receipt() for i in items]

    def _item(self, change: Change, zone: tzinfo) -> Item:
        item = Item(change, "", remote_id=change.remote_id)
        if change.op == "delete":
            item.type = object_type(change.entity) if change.entity else ""
        elif change.entity is None:
            item.fail("an upsert without an entity")
        else:
            try:
                item.type = object_type(change.entity)
                table = self.tables.get(change.kind, {})
                item.wanted = properties(change.entity, table=table, zone=zone)
                if change.remote_id and isinstance(change.entity, Person | Organization):
                    item.wanted |= fields.named(change.entity.fields, table)
                    item.is_fields = not (change.entity.identifiers or change.entity.name or change.links)
            except RecordRejected as exc:
                item.fail(exc)
            else:
                if item.type not in PUSHED.get(change.kind, ()):
                    item.fail(f"a {type(change.entity).__name__} is not a {change.kind}")
        return item

    # Upserts

    async def _upsert(self, kind: str, items: Sequence[Item]) -> None:
        linker = Linker(self.client, self.lookup, kind)
        for part in parts(items):
            await self.lookup.look_up(kind, part)
            new: list[Item] = []
            known: list[Item] = []
            for item in part:
                if item.outcome is None:
                    (known if item.current else new).append(item)
            await self._create(kind, new)
            await self._update(kind, [i for i in known if self._plan_update(i)])
            await linker.add([i for i in part if i.outcome in {"created", "updated", "unchanged"}])
        await linker.flush()
        await linker.part([i for i in items if i.change.unlinks and i.outcome in {"created", "updated", "unchanged"}])

    def _plan_update(self, item: Item) -> bool:
        """Decide what to change in an existing object; False when nothing needs to be, or nothing may be."""
        current, change = item.current, item.change
        if current is None:
            return False
        item.remote_id, item.version = current.id, current.updatedAt
        if change.expected_version and current.updatedAt and current.updatedAt != change.expected_version:
            item.fail(f"conflict: changed at HubSpot at {current.updatedAt}, after our before-image")
            return False
        wanted = dict(item.wanted)
        if item.is_fields:
            pass  # found by its id, it needs no key of ours
        elif self.modes.get(item.type) == "marked":
            self._mark(item, wanted)
        else:
            wanted[self.key_property] = change.key
        item.wanted = differing(wanted, current.properties)
        if item.wanted:
            item.before = {name: current.properties.get(name) for name in item.wanted}
            return True
        # Ours by key, unknown to the hub and already as wanted: an earlier attempt whose answer was lost made it.
        is_lost_answer = item.type not in {"contacts", "companies"} and not change.remote_id
        item.outcome = "created" if is_lost_answer else "unchanged"
        return False

    def _mark(self, item: Item, wanted: dict[str, str]) -> None:
        body = BODIES.get(item.type)
        if body and item.change.entity:
            wanted[body] = properties(item.change.entity, item.change.key).get(body, "")

    async def _update(self, kind: str, items: Sequence[Item]) -> None:
        inputs = {i.change.key: {"id": i.remote_id, "properties": i.wanted} for i in items}
        await self._send(kind, "update", items, inputs, "updated", by_id=True)

    async def _create(self, kind: str, items: Sequence[Item]) -> None:
        mode = self.modes.get(kind, "upsert")
        if mode == "marked":
            items = [i for i in items if self._may_create_marked(kind, i)]
        if not items:
            return
        if mode == "upsert":
            try:
                await self._send(kind, "upsert", items, {
                    i.change.key: {
                        "id": i.change.key, "idProperty": self.key_property,
                        "properties": {**self._required(i), self.key_property: i.change.key},
                    }
                    for i in items
                }, "created")  # fmt: skip
            except _NoUpsert:
                self.modes[kind] = "keyed"
                await self._create(kind, [i for i in items if i.outcome is None])
                return
        else:
            await self._create_once(kind, items, mode)
        if kind == "contacts":
            await self._adopt([i for i in items if i.outcome is None and i.remote_id])

    def _required(self, item: Item) -> dict[str, str]:
        """A task needs a time on HubSpot's timeline; without a due date it is when it was last changed."""
        if item.type == "tasks" and "hs_timestamp" not in item.wanted:
            changed_at = getattr(item.change.entity, "changed_at", None)
            millis = int((changed_at or self.client.http.services.clock.now()).timestamp() * 1000)
            return {**item.wanted, "hs_timestamp": str(millis)}
        return item.wanted

    def _may_create_marked(self, kind: str, item: Item) -> bool:
        if kind in BODIES or (kind == "contacts" and item.wanted.get("email")):
            return True
        item.fail(NO_KEY.format(self.key_property, kind, OBJECTS[kind].schema))
        return False

    async def _create_once(self, kind: str, items: Sequence[Item], mode: Mode) -> None:
        """batch/create with inline associations; an unknown outcome is looked up before anything is sent again."""
        for attempt in (1, 2, 3):
            inputs: dict[str, dict[str, Any]] = {}
            for item in items:
                wanted = dict(self._required(item))
                if mode == "keyed":
                    wanted[self.key_property] = item.change.key
                else:
                    self._mark(item, wanted)
                inputs[item.change.key] = {"properties": wanted, "associations": inline_links(item)}
            try:
                await self._send(kind, "create", items, inputs, "created", safe=False)
            except Transient as exc:
                if not exc.is_unknown or attempt == 3:
                    raise
                await self.lookup.look_up(kind, items)
                for item in items:
                    if item.current and item.outcome is None:
                        item.outcome, item.remote_id = "created", item.current.id
                        item.version = item.current.updatedAt
                items = [i for i in items if i.outcome is None]
            else:
                return
            if not items:
                return

    async def _adopt(self, items: Sequence[Item]) -> None:
        """Contacts that turned out to exist: read them, then update them instead."""
        if not items:
            return
        names = self.lookup.known("contacts", {self.key_property, *(n for i in items for n in i.wanted)})
        found = {r.id: r for r in await self.client.read("contacts", [i.remote_id for i in items], names)}
        ready, taken = [], dict[str, str]()
        for item in items:
            item.current = found.get(item.remote_id)
            if item.current is None:
                item.fail(f"HubSpot says contact {item.remote_id} exists and does not give it")
                continue
            self.lookup.check_holder(item, taken)
            if item.outcome is None and self._plan_update(item):
                ready.append(item)
        await self._update("contacts", ready)

    async def _send(
        self, kind: str, action: str, items: Sequence[Item], inputs: dict[str, dict[str, Any]], outcome: Outcome,
        *, by_id: bool = False, safe: bool = True,
    ) -> None:  # fmt: skip
        """One batch write; the outcome of each row goes to its item. A refused batch is halved until one row stands."""
        if not items:
            return
        rows = [{**inputs[i.change.key], "objectWriteTraceId": i.change.key} for i in items]
        try:
            answer = await self.client.write(kind, action, rows, safe=safe)
        except (RecordRejected, Conflict, Gone) as exc:
            if action == "upsert" and _says_no_upsert(exc):
                raise _NoUpsert from exc
            if len(items) == 1:
                self._refused(items[0], exc)
                return
            half = len(items) // 2
            await self._send(kind, action, items[:half], inputs, outcome, by_id=by_id, safe=safe)
            await self._send(kind, action, items[half:], inputs, outcome, by_id=by_id, safe=safe)
            return
        if action == "upsert" and not answer.results and answer.errors:
            first = row_error(answer.errors[0])
            if _says_no_upsert(first):
                raise _NoUpsert from first
        named = {(i.remote_id if by_id else i.change.key): i for i in items}
        for record in answer.results:
            item = named.get(
                record.id if by_id else record.objectWriteTraceId or record.properties.get(self.key_property) or ""
            )
            if item:
                item.outcome, item.remote_id, item.version = outcome, record.id, record.updatedAt
        self._spread(items, answer.errors)
        if not by_id and (lost := [i for i in items if i.outcome is None and not i.remote_id]):
            await self._ask_again(kind, lost, outcome)

    async def _ask_again(self, kind: str, items: Sequence[Item], outcome: Outcome) -> None:
        """Rows of a good answer that could not be told apart: look them up."""
        await self.lookup.look_up(kind, items)
        for item in items:
            if item.current and item.outcome is None:
                item.outcome, item.remote_id, item.version = outcome, item.current.id, item.current.updatedAt

    def _spread(self, items: Sequence[Item], errors: Iterable[Problem]) -> None:
        """Give each error of a 207 to its row; one that names no row goes to every row without an answer."""
        by_name = {i.change.key: i for i in items} | {i.remote_id: i for i in items if i.remote_id}
        for problem in errors:
            named = problem.named("objectWriteTraceId", "ids", "id")
            hit = [by_name[n] for n in named if n in by_name] or [i for i in items if i.outcome is None]
            for item in hit:
                if item.outcome is None:
                    self._refused(item, row_error(problem))

    def _refused(self, item: Item, error: HubError) -> None:
        """A duplicate contact is to be adopted; everything else is this row's failure."""
        if isinstance(error, Conflict) and error.existing_id and item.type == "contacts" and not item.remote_id:
            item.remote_id = error.existing_id
        elif isinstance(error, Gone):
            item.fail(f"gone: {error.message}")
        else:
            item.fail(error)

    # Deletes and look-ups

    async def _delete(self, items: Sequence[Item]) -> None:
        """Archive. A change that does not tell its object type is looked for by key in all that its kind can be."""
        for kind in dict.fromkeys(k for i in items for k in _types(i)):
            found = await self._to_delete(kind, [i for i in items if i.outcome is None and kind in _types(i)])
            await self.client.archive(kind, [record.id for _, record in found])
            for item, record in found:
                item.outcome, item.remote_id, item.before = "deleted", record.id, dict(record.properties)
        for item in items:
            item.outcome = item.outcome or "unchanged"

    async def _to_delete(self, kind: str, items: Sequence[Item]) -> list[tuple[Item, Record]]:
        """The objects of one type that are meant. Ids are unique only within a type, so an id alone is trusted only
        where the type is certain, or the text carries our key."""
        names = [*OBJECTS[kind].properties, self.key_property]
        by_key = await self.lookup.by_key(kind, [i.change.key for i in items], names)
        is_marked = self.modes.get(kind) == "marked" and kind in BODIES
        rest = [
            i for i in items
            if i.change.key not in by_key and i.change.remote_id and (len(_types(i)) == 1 or is_marked)
        ]  # fmt: skip
        records = await self.client.read(kind, [i.change.remote_id for i in rest], self.lookup.known(kind, names))
        by_id = {r.id: r for r in records}
        found = [(i, by_key[i.change.key]) for i in items if i.change.key in by_key]
        for item in rest:
            record = by_id.get(item.change.remote_id)
            if record and (len(_types(item)) == 1 or marker_of(kind, record) == item.change.key):
                found.append((item, record))
        return found


class _NoUpsert(Exception):
    """This object type has no batch/upsert by our property."""


def _says_no_upsert(error: HubError) -> bool:
    words = error.message.lower()
    if isinstance(error, Gone) or error.status in {404, 405}:
        return True
    return "non-unique" in words or "not a unique" in words or ("upsert" in words and "support" in words)


def _types(item: Item) -> tuple[str, ...]:
    """The object types a deleted change may be of."""
    return (item.type,) if item.type else PUSHED.get(item.change.kind, ())
