"""The portal's objects: every write goes through here, so that indexes, times and webhook events agree."""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Any

from hub_hubspot.emulator import catalog, values
from hub_hubspot.emulator.answers import Refusal, invalid
from hub_hubspot.emulator.catalog import Property
from hub_hubspot.emulator.events import Events
from hub_hubspot.emulator.links import Links
from hub_hubspot.emulator.tables import BY_PLURAL, CHILD_TO_PARENT, TYPES, ObjectType

FIRST_ID = 1001  # the same for every type: an id says nothing without its type
LOCK_S = 2.0


class Record:
    """One object. properties: non-empty strings only. versions: (written at ms, properties) for the search lag."""

    __slots__ = ("archived_at", "created_at", "id", "properties", "updated_at", "updated_ms", "versions")

    def __init__(self, id_: int, created_at: str) -> None:
        self.id = id_
        self.properties: dict[str, str] = {}
        self.created_at = created_at
        self.updated_at = created_at
        self.updated_ms = 0
        self.archived_at = ""
        self.versions: list[tuple[int, dict[str, str]]] = []


class Shelf:
    """All objects of one type. live, archived: ids in ascending order; aliases: absorbed id -> survivor.

    changes: (last modified ms, id) ascending; an entry whose time is not the record's own any more is stale.
    unique: property -> value -> id of the live object holding it.
    """

    def __init__(self, kind: ObjectType, properties: dict[str, Property]) -> None:
        self.kind = kind
        self.properties = properties
        self.records: dict[int, Record] = {}
        self.live: list[int] = []
        self.archived: list[int] = []
        self.aliases: dict[int, int] = {}
        self.changes: list[tuple[int, int]] = []
        self.unique: dict[str, dict[str, int]] = {"email": {}} if kind.plural == "contacts" else {}
        self.next_id = FIRST_ID

    def get(self, id_: int | None, archived: bool = False) -> Record | None:
        record = self.records.get(id_) if id_ is not None else None
        return record if record and bool(record.archived_at) == archived else None

    def live_properties(self) -> list[Property]:
        return [p for p in self.properties.values() if not p.archived_at]


class Portal:
    """What the vendor holds. now_ms: the clock. lag_ms: how long search does not see a write; 0 keeps no history."""

    def __init__(self, portal_id: int, now_ms: Callable[[], int], lag_ms: int, events: Events) -> None:
        self.portal_id = portal_id
        self.now_ms = now_ms
        self.lag_ms = lag_ms
        self.events = events
        self.links = Links()
        definitions = catalog.built_in()
        self.shelves = {t.plural: Shelf(t, definitions[t.plural]) for t in TYPES}
        self.owner_ids: set[str] = set()
        self.pipelines: dict[str, list[dict[str, Any]]] = {}
        self.locks: dict[tuple[str, int], int] = {}
        self.blocklist: set[str] = set()

    # Reading

    def find(self, shelf: Shelf, key: str, id_property: str = "", *, archived: bool = False) -> Record | None:
        """The object with this id, or with this value of a unique property. Absorbed ids are not followed.

        Raises Refusal 400 when the property is not a unique one.
        """
        if id_property in {"", "hs_object_id"}:
            return shelf.get(int(key), archived) if key.isdecimal() else None
        if id_property not in shelf.unique:
            raise invalid(
                f"The property {id_property} is not a unique identifier of {shelf.kind.label}", "INVALID_ID_PROPERTY"
            )
        key = key.strip().lower() if id_property == "email" else key
        return shelf.get(shelf.unique[id_property].get(key), archived)

    def linked(self, source: str, source_id: int, target: str) -> dict[int, set[int]]:
        """Associations to objects that are alive."""
        alive = self.shelves[target]
        return {i: t for i, t in self.links.of(source, source_id, target).items() if alive.get(i)}

    # Checking

    def check(
        self, shelf: Shelf, given: Any, record: Record | None = None, *, is_trusted: bool = False
    ) -> dict[str, str]:
        """The stored forms of the given values. Raises Refusal naming every bad property.

        record: the object to be changed, None for a new one. is_trusted: may write read-only properties (seeding).
        """
        if not isinstance(given, dict):
            raise invalid("Invalid input JSON on line 1, column 2. Some required fields were not set: [properties]")
        problems: list[values.Problem] = []
        found: dict[str, str] = {}
        for name, value in given.items():
            definition = shelf.properties.get(name)
            try:
                if definition is None or definition.archived_at:
                    raise values.Problem(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
                if definition.is_read_only and not is_trusted:
                    message = f'"{name}" is a read only property; its value cannot be set.'
                    raise values.Problem(name, "READ_ONLY_VALUE", message)
                found[name] = values.normal(definition, value)
                self._check_reference(name, found[name])
            except values.Problem as problem:
                problems.append(problem)
        if problems:
            raise values.refusal(problems, self.portal_id)
        self._check_unique(shelf, found, record)
        return found

    def _check_reference(self, name: str, value: str) -> None:
        """Owners, pipelines and stages must exist."""
        if not value:
            return
        if name == "hubspot_owner_id" and value not in self.owner_ids:
            raise values.Problem(name, "INVALID_OWNER_ID", f"Owner {value} does not exist")
        elif name in {"pipeline", "hs_pipeline", "dealstage", "hs_pipeline_stage"}:
            known = self.pipelines.get("deals" if name in {"pipeline", "dealstage"} else "tickets", [])
            rows = known if name.endswith("pipeline") else [stage for p in known for stage in p["stages"]]
            if value not in {str(row["id"]) for row in rows}:
                raise values.Problem(name, "INVALID_OPTION", f"{name} {value} does not exist")

    def _check_unique(self, shelf: Shelf, found: dict[str, str], record: Record | None) -> None:
        for name, index in shelf.unique.items():
            value = found.get(name)
            holder = index.get(value) if value else None
            if holder is None or (record and holder == record.id):
                continue
            if name == "email":
                raise Refusal(409, "CONFLICT", f"Contact already exists. Existing ID: {holder}")
            message = f"{value} is already the value of {name} of another {shelf.kind.label}: {holder}"
            raise values.refusal([values.Problem(name, "CONFLICTING_UNIQUE_VALUE", message)], self.portal_id)

    def check_required(self, shelf: Shelf, found: Mapping[str, str]) -> None:
        missing = [name for name in shelf.kind.required if not any(found.get(choice) for choice in name.split("|"))]
        if missing:
            names = [name.split("|")[0] for name in missing]
            message = f"Error creating {shelf.kind.label}. Some required properties were not set."
            raise invalid(message, "REQUIRED_PROPERTIES_MISSING", {"properties": names})

    def check_lock(self, shelf: Shelf, id_: int) -> None:
        if self.locks.get((shelf.kind.plural, id_), 0) > self.now_ms():
            raise Refusal(423, "LOCKED", f"{shelf.kind.label}={id_} is locked by another operation")

    # Writing

    def create(
        self, shelf: Shelf, found: dict[str, str], *, id_: int | None = None, created_ms: int | None = None,
        source: str = "INTEGRATION",
    ) -> Record:  # fmt: skip
        """Put a new object down; `found` comes from `check`."""
        if shelf.kind.plural == "meetings" and not found.get("hs_timestamp"):
            found = {**found, "hs_timestamp": found["hs_meeting_start_time"]}
        now = self.now_ms() if created_ms is None else created_ms
        id_ = shelf.next_id if id_ is None else id_
        if id_ in shelf.records or id_ in shelf.aliases:
            raise ValueError(f"{shelf.kind.plural} {id_} exists")
        shelf.next_id = max(shelf.next_id, id_ + 1)
        record = Record(id_, values.iso(now))
        record.properties = {
            shelf.kind.created: record.created_at, "hs_object_id": str(id_), "hs_object_source": source,
            "hs_object_source_label": source, "hs_object_source_id": "emulator",
        }  # fmt: skip
        if shelf.kind.plural == "contacts" and not found.get("lifecyclestage"):
            record.properties["lifecyclestage"] = "lead"
        if shelf.kind.plural == "tickets":
            record.properties["hs_ticket_id"] = str(id_)
        shelf.records[id_] = record
        add(shelf.live, id_)
        self._write(shelf, record, found, now)
        self.events.creation(shelf.kind, record.id, found, source, now)
        return record

    def update(
        self, shelf: Shelf, record: Record, found: dict[str, str], *, source: str = "INTEGRATION",
        at_ms: int | None = None,
    ) -> dict[str, str]:  # fmt: skip
        """Change properties; any write moves the last-modified time. Returns what changed, derived values too."""
        now = self.now_ms() if at_ms is None else at_ms
        changed = self._write(shelf, record, found, now)
        self.events.changes(shelf.kind, record.id, changed, source, now)
        return changed

    def _write(self, shelf: Shelf, record: Record, found: dict[str, str], now: int) -> dict[str, str]:
        stage = found.get("lifecyclestage")
        if stage and values.keeps_stage(record.properties.get("lifecyclestage", ""), stage):
            found = {k: v for k, v in found.items() if k != "lifecyclestage"}
        found = {**found, **values.derived(shelf.kind, found)}
        before, properties = record.properties, dict(record.properties)
        changed = {k: v for k, v in found.items() if properties.get(k, "") != v}
        for name, value in changed.items():
            self._reindex(shelf, record.id, name, properties.get(name), value)
            if value:
                properties[name] = value
            else:
                properties.pop(name, None)
        if self.lag_ms and not record.versions and record.updated_ms:
            record.versions.append((0, before))  # written before there was a lag: search knows that state
        if self.lag_ms:
            record.versions.append((now, properties))
        record.updated_ms, record.properties = now, properties
        record.updated_at = properties[shelf.kind.modified] = values.iso(now)
        self._note_change(shelf, now, record.id)
        return changed

    @staticmethod
    def _reindex(shelf: Shelf, id_: int, name: str, before: str | None, after: str) -> None:
        index = shelf.unique.get(name)
        if index is None:
            return
        if before and index.get(before) == id_:
            del index[before]
        if after:
            index[after] = id_

    @staticmethod
    def _note_change(shelf: Shelf, now: int, id_: int) -> None:
        entry = (now, id_)
        if shelf.changes and entry < shelf.changes[-1]:
            insort(shelf.changes, entry)
        else:
            shelf.changes.append(entry)
        if len(shelf.changes) > 2 * len(shelf.records) + 10_000:
            shelf.changes = sorted((r.updated_ms, r.id) for r in shelf.records.values())

    def archive(self, shelf: Shelf, record: Record, *, source: str = "INTEGRATION") -> None:
        """To the recycle bin; e-mails are deleted for good."""
        if shelf.kind.plural == "emails":
            self.erase(shelf, record, source=source)
            return
        self.unindex(shelf, record)
        take(shelf.live, record.id)
        add(shelf.archived, record.id)
        record.archived_at = values.iso(self.now_ms())
        self.events.deletion(shelf.kind, record.id, source, self.now_ms())

    def restore(self, shelf: Shelf, record: Record) -> None:
        """Back from the recycle bin."""
        if not record.archived_at:
            return
        take(shelf.archived, record.id)
        add(shelf.live, record.id)
        record.archived_at = ""
        for name, index in shelf.unique.items():
            if value := record.properties.get(name):
                index[value] = record.id
        self.events.restore(shelf.kind, record.id, self.now_ms())

    def erase(self, shelf: Shelf, record: Record, *, source: str = "INTEGRATION", is_privacy: bool = False) -> None:
        """Nothing is left to read, not even as archived."""
        self.unindex(shelf, record)
        self.links.drop_all(shelf.kind.plural, record.id)
        del shelf.records[record.id]
        take(shelf.live if not record.archived_at else shelf.archived, record.id)
        if is_privacy:
            self.events.privacy_deletion(shelf.kind, record.id, self.now_ms())
        self.events.deletion(shelf.kind, record.id, source, self.now_ms())

    @staticmethod
    def unindex(shelf: Shelf, record: Record) -> None:
        for name, index in shelf.unique.items():
            held = [record.properties.get(name, "")]
            if name == "email":
                held += record.properties.get("hs_additional_emails", "").split(";")
            for value in held:
                if value and index.get(value) == record.id:
                    del index[value]

    def link(
        self, source: str, source_id: int, target: str, target_id: int, types: set[int], origin: str = "INTEGRATION"
    ) -> None:
        """Associate both ways. Does not touch the last-modified times, as observed at the vendor."""
        if self.links.add(source, source_id, target, target_id, types):
            self.events.association(
                BY_PLURAL[source], source_id, BY_PLURAL[target], target_id, False, origin, self.now_ms()
            )
        self._name_parents(source, target, (source_id, target_id))

    def unlink(self, source: str, source_id: int, target: str, target_id: int, types: set[int] | None = None) -> None:
        if self.links.remove(source, source_id, target, target_id, types):
            self.events.association(
                BY_PLURAL[source], source_id, BY_PLURAL[target], target_id, True, "INTEGRATION", self.now_ms()
            )
        self._name_parents(source, target, (source_id, target_id))

    def _name_parents(self, source: str, target: str, ids: tuple[int, int]) -> None:
        """A company's parent is one of its associations, and a property that nobody writes."""
        for id_ in ids if source == target == "companies" else ():
            parents = [other for other, types in self.links.of(source, id_, target).items() if CHILD_TO_PARENT in types]
            if record := self.shelves[source].records.get(id_):
                record.properties["hs_parent_company_id"] = str(parents[0]) if parents else ""

    def make_unique(self, shelf: Shelf, name: str) -> None:
        """Start to enforce a unique property; objects created later must differ in it."""
        shelf.unique[name] = {}
        for id_ in shelf.live:
            if value := shelf.records[id_].properties.get(name):
                shelf.unique[name][value] = id_


def add(ids: list[int], id_: int) -> None:
    if ids and id_ < ids[-1]:
        insort(ids, id_)
    else:
        ids.append(id_)


def take(ids: list[int], id_: int) -> None:
    place = bisect_left(ids, id_)
    if place < len(ids) and ids[place] == id_:
        del ids[place]
