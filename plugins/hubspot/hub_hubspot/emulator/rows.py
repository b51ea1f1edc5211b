"""Objects as they appear in answers: which properties, inline associations, and what the data faults do to them."""

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from hub.testing import FaultBoard
from hub_hubspot.emulator.answers import Call
from hub_hubspot.emulator.portal import Portal, Record, Shelf
from hub_hubspot.emulator.tables import BY_NAME, LINK_TYPES, ObjectType

INLINE_LINKS = 100  # more than so many linked ids of one type come with their own paging
EXTRA = (
    "hs_object_source", "hs_object_source_id", "hs_object_source_label", "hs_body_preview", "hs_body_preview_html",
    "hs_body_preview_is_truncated",
)  # fmt: skip


class Faults:
    """What the switchboard does to the data of one request; asked once per request.

    hide: not in lists and searches; vanish: nowhere at all; poison: present, with values of the wrong shape.
    args of each: `ids` (of the type in the path) or `share` (0..1 of all ids, always the same ones).
    """

    def __init__(self, board: FaultBoard, call: Call, kind: ObjectType) -> None:
        self._hidden = _picker(board, "hide", call, kind)
        self._vanished = _picker(board, "vanish", call, kind)
        poison = board.hits("poison", call.path, call.method)
        self._poisoned = _chooser(poison.args, kind) if poison else None
        self._how = str(poison.args.get("how", "types")) if poison else ""

    def shows(self, id_: int) -> bool:
        """Whether lists and searches name this id."""
        return self.exists(id_) and not (self._hidden and self._hidden(id_))

    def exists(self, id_: int) -> bool:
        return not (self._vanished and self._vanished(id_))

    @property
    def is_filtering(self) -> bool:
        return self._hidden is not None or self._vanished is not None

    def spoil(self, shelf: Shelf, record: Record, row: dict[str, Any]) -> dict[str, Any]:
        """The row, ruined when its id is poisoned. how: types, enum, date or shape."""
        if self._poisoned is None or not self._poisoned(record.id):
            return row
        if self._how == "shape":
            return {**row, "properties": ["unexpected"]}
        wrong: dict[str, Any] = {"enum": "A_VALUE_OF_2031", "date": "yesterday-ish"}
        kinds = {"enum": {"enumeration"}, "date": {"datetime", "date"}}.get(self._how)
        spoilt = {
            name: wrong.get(self._how, {"unexpected": [value]})
            if kinds is None or shelf.properties[name].type in kinds
            else value
            for name, value in row["properties"].items()
        }
        return {**row, "properties": spoilt}


def _picker(board: FaultBoard, fault: str, call: Call, kind: ObjectType) -> Callable[[int], bool] | None:
    rule = board.hits(fault, call.path, call.method)
    return _chooser(rule.args, kind) if rule else None


def _chooser(args: dict[str, Any], kind: ObjectType) -> Callable[[int], bool]:
    if args.get("type", kind.plural) != kind.plural:
        return lambda id_: False
    if "ids" in args:
        ids = {str(i) for i in args["ids"]}
        return lambda id_: str(id_) in ids
    share = float(args.get("share", 1.0)) * 1000
    return lambda id_: zlib.crc32(f"{kind.plural}:{id_}".encode()) % 1000 < share


class Rows:
    """Renders the objects of one answer.

    wanted: property names, empty for the type's defaults; unknown ones are left out of the answer silently.
    """

    def __init__(
        self, portal: Portal, shelf: Shelf, faults: Faults, wanted: Iterable[str] = (), *,
        links: Iterable[str] = (), history: Iterable[str] = (),
    ) -> None:  # fmt: skip
        names = [*wanted] or [*shelf.kind.defaults]
        known = shelf.properties
        always = () if names == [*shelf.kind.defaults] else shelf.kind.always
        self._names = sorted({n for n in (*names, *always) if n in known and not known[n].archived_at})
        self._portal = portal
        self._shelf = shelf
        self._faults = faults
        self._links = [BY_NAME[name] for name in links]
        self._history = [n for n in history if n in known]
        self._url = f"https://app.hubspot.com/contacts/{portal.portal_id}/record/{shelf.kind.type_id}/"

    def row(self, record: Record, **more: Any) -> dict[str, Any]:
        get = record.properties.get
        row = self._base(record, {name: get(name) for name in self._names})
        if self._history:
            row["propertiesWithHistory"] = {name: self._past(record, name) for name in self._history}
        if self._links and (linked := self._linked(record)):
            row["associations"] = linked
        row.update(more)
        return self._faults.spoil(self._shelf, record, row)

    def created(self, record: Record, **more: Any) -> dict[str, Any]:
        """All properties that have a value, as the answer to a create gives more than was sent."""
        return {**self._base(record, dict(sorted(record.properties.items()))), **more}

    def updated(self, record: Record, changed: Iterable[str], **more: Any) -> dict[str, Any]:
        """What was written, and the properties HubSpot adds to the answer of an update."""
        held = record.properties
        names = {*changed, *self._shelf.kind.always, *(n for n in EXTRA if n in held)}
        return {**self._base(record, {name: held.get(name) for name in sorted(names)}), **more}

    def _base(self, record: Record, properties: dict[str, str | None]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": record.properties["hs_object_id"], "properties": properties, "createdAt": record.created_at,
            "updatedAt": record.updated_at, "archived": bool(record.archived_at),
            "url": self._url + record.properties["hs_object_id"],
        }  # fmt: skip
        if record.archived_at:
            row["archivedAt"] = record.archived_at
        return row

    @staticmethod
    def _past(record: Record, name: str) -> list[dict[str, Any]]:
        """Only the present value: the emulator keeps no older ones."""
        value = record.properties.get(name)
        source = record.properties["hs_object_source"]
        return [{"value": value, "timestamp": record.updated_at, "sourceType": source}] if value else []

    def _linked(self, record: Record) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for target in self._links:
            linked = self._portal.linked(self._shelf.kind.plural, record.id, target.plural)
            ids = sorted(linked)
            if not ids:
                continue
            shown = ids[:INLINE_LINKS]
            results = [
                {"id": str(i), "type": _link_name(self._shelf.kind, target, t)}
                for i in shown
                for t in sorted(linked[i])
            ]
            found[target.plural] = {"results": results}
            if len(ids) > len(shown):
                after = str(shown[-1] + 1)
                link = f"https://api.hubapi.com/crm/v3/objects/{self._shelf.kind.plural}/{record.id}/associations"
                paging = {"next": {"after": after, "link": f"{link}/{target.plural}?after={after}"}}
                found[target.plural]["paging"] = paging
        return found


def _link_name(source: ObjectType, target: ObjectType, type_id: int) -> str:
    """`contact_to_company` is the primary company; the plain link beside it says `_unlabeled`."""
    name = f"{source.singular}_to_{target.singular}"
    if LINK_TYPES[type_id].label is None and "companies" in {source.plural, target.plural}:
        has_primary = {source.plural, target.plural} & {"contacts", "deals", "tickets"}
        return f"{name}_unlabeled" if has_primary else name
    return name
