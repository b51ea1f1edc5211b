"""Handlers of the associations API (v4 and its date-based twin). Object ids are numbers here, strings elsewhere."""

from typing import Any

from hub_hubspot.emulator import values
from hub_hubspot.emulator.answers import Answer, Call, Refusal, batch, invalid, not_found
from hub_hubspot.emulator.portal import Portal, Shelf
from hub_hubspot.emulator.rows import Faults
from hub_hubspot.emulator.tables import DEFAULT_LINK, LINK_TYPES, link_types

MAX_READ, MAX_WRITE = 1_000, 2_000
MAX_LIMIT = 500


class Pair:
    """One request about links from one object type to another."""

    def __init__(self, portal: Portal, source: Shelf, target: Shelf, faults: Faults) -> None:
        self._portal = portal
        self._source = source
        self._target = target
        self._faults = faults
        self._from, self._to = source.kind.plural, target.kind.plural
        if (self._from, self._to) not in DEFAULT_LINK:
            raise invalid(f"{source.kind.label} to {target.kind.label} is not a valid association")

    # Batches

    def read(self, call: Call) -> Answer:
        """Objects without links are not in `results` but in `errors`, and the status is 207."""
        results, errors = [], []
        for item in call.inputs(MAX_READ):
            id_, after = str(item.get("id", "")), str(item.get("after") or "")
            row: dict[str, Any] = {"from": {"id": id_}}
            if row_to := self._page(id_, after, MAX_LIMIT):
                results.append(row | row_to)
            else:
                errors.append(self._none(id_))
        return batch(results, errors, values.iso(self._portal.now_ms()))

    def create(self, call: Call) -> Answer:
        """Labelled or plain links; ids that do not exist are errors of their own in a 207."""
        results, errors = [], []
        for item in call.inputs(MAX_WRITE):
            types = self._types(item.get("types"))
            source_id, target_id = _ids(item)
            if refusal := self._bad_end(source_id, target_id):
                errors.append(refusal.row())
                continue
            self._portal.link(self._from, int(source_id), self._to, int(target_id), types)
            results.append(self._labels(source_id, target_id, types))
        return batch(results, errors, values.iso(self._portal.now_ms()), 201)

    def create_default(self, call: Call) -> Answer:
        results, errors = [], []
        for item in call.inputs(MAX_WRITE):
            source_id, target_id = _ids(item)
            if refusal := self._bad_end(source_id, target_id):
                errors.append(refusal.row())
                continue
            self._portal.link(self._from, int(source_id), self._to, int(target_id), set())
            results += self._both_ways(source_id, target_id)
        return batch(results, errors, values.iso(self._portal.now_ms()))

    def archive(self, call: Call) -> Answer:
        for item in call.inputs(MAX_WRITE):
            targets = item.get("to")
            for target in targets if isinstance(targets, list) else [targets]:
                self.delete(*_ids({"from": item.get("from"), "to": target}))
        return Answer(204)

    def archive_labels(self, call: Call) -> Answer:
        """Takes away only the named association types."""
        for item in call.inputs(MAX_WRITE):
            types = self._types(item.get("types"))
            source_id, target_id = _ids(item)
            if source_id.isdecimal() and target_id.isdecimal():
                self._portal.unlink(self._from, int(source_id), self._to, int(target_id), types)
        return Answer(204)

    def labels(self) -> Answer:
        rows = [
            {"category": "HUBSPOT_DEFINED", "typeId": t.type_id, "label": t.label}
            for t in link_types(self._from, self._to)
        ]
        return Answer(200, {"results": rows})

    # Single objects

    def linked(self, call: Call, source_id: str) -> Answer:
        """All links of one object, 500 at a time. Raises Refusal 404 for an object that does not exist."""
        if self._missing(self._source, source_id):
            raise not_found()
        limit = call.number("limit", MAX_LIMIT, MAX_LIMIT)
        found = self._page(source_id, call.one("after"), limit) or {"to": []}
        body: dict[str, Any] = {"results": found["to"]}
        return Answer(200, body | ({"paging": found["paging"]} if "paging" in found else {}))

    def put(self, source_id: str, target_id: str, specs: Any) -> Answer:
        types = self._types(specs)
        if refusal := self._bad_end(source_id, target_id):
            raise refusal
        self._portal.link(self._from, int(source_id), self._to, int(target_id), types)
        return Answer(201, self._labels(source_id, target_id, types))

    def put_default(self, source_id: str, target_id: str) -> Answer:
        if refusal := self._bad_end(source_id, target_id):
            raise refusal
        self._portal.link(self._from, int(source_id), self._to, int(target_id), set())
        return batch(self._both_ways(source_id, target_id), [], values.iso(self._portal.now_ms()))

    def delete(self, source_id: str, target_id: str) -> Answer:
        if source_id.isdecimal() and target_id.isdecimal():
            self._portal.unlink(self._from, int(source_id), self._to, int(target_id))
        return Answer(204)

    # Shared

    def _types(self, specs: Any) -> set[int]:
        """Association type ids of a request. Raises Refusal 400 for the wrong direction or unknown ids."""
        try:
            types = {int(s["associationTypeId"]) for s in specs}
        except (KeyError, TypeError, ValueError) as exc:
            raise invalid("types must be a list of {associationCategory, associationTypeId}") from exc
        for type_id in types:
            known = LINK_TYPES.get(type_id)
            if known is None or (known.source, known.target) != (self._from, self._to):
                ends = f"from {self._source.kind.label} to {self._target.kind.label}"
                raise invalid(f"Association type {type_id} is not valid {ends}", "INVALID_ASSOCIATION_TYPE")
        if not types:
            raise invalid("types must not be empty")
        return types

    def _missing(self, shelf: Shelf, id_: str) -> bool:
        record = self._portal.find(shelf, id_)
        return record is None or (shelf is self._source and not self._faults.exists(record.id))

    def _bad_end(self, source_id: str, target_id: str) -> Refusal | None:
        for shelf, id_ in ((self._source, source_id), (self._target, target_id)):
            if self._missing(shelf, id_):
                return invalid(f"{shelf.kind.label}={id_} is not valid")
        return None

    def _page(self, source_id: str, after: str, limit: int) -> dict[str, Any] | None:
        """{"to": [...], "paging"?} of one object; None when it has no links or does not exist."""
        if self._missing(self._source, source_id):
            return None
        linked = self._portal.linked(self._from, int(source_id), self._to)
        start = int(after) if after.isdecimal() else 0
        ids = sorted(i for i in linked if i >= start)
        if not ids:
            return None
        rows = [{"toObjectId": i, "associationTypes": _specs(linked[i])} for i in ids[:limit]]
        if len(ids) <= limit:
            return {"to": rows}
        upto = str(ids[limit - 1] + 1)
        path = f"/crm/v4/objects/{self._from}/{source_id}/associations/{self._to}"
        return {"to": rows, "paging": {"next": {"after": upto, "link": f"https://api.hubapi.com{path}?after={upto}"}}}

    def _none(self, id_: str) -> dict[str, Any]:
        source, target = self._source.kind, self._target.kind
        context = {"fromObjectId": [id_], "fromObjectType": [source.singular], "toObjectType": [target.singular]}
        message = f"No {target.singular} is associated with {source.singular} {id_}."
        refusal = Refusal(
            404, "OBJECT_NOT_FOUND", message, context=context, sub_category="crm.associations.NO_ASSOCIATIONS_FOUND"
        )
        return refusal.row()

    def _labels(self, source_id: str, target_id: str, types: set[int]) -> dict[str, Any]:
        return {
            "fromObjectTypeId": self._source.kind.type_id, "fromObjectId": int(source_id),
            "toObjectTypeId": self._target.kind.type_id, "toObjectId": int(target_id),
            "labels": [label for t in sorted(types) if (label := LINK_TYPES[t].label)],
        }  # fmt: skip

    def _both_ways(self, source_id: str, target_id: str) -> list[dict[str, Any]]:
        ends = ((self._from, source_id, self._to, target_id), (self._to, target_id, self._from, source_id))
        return [
            {"from": {"id": a_id}, "to": {"id": b_id},
             "associationSpec": {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": DEFAULT_LINK[a, b]}}
            for a, a_id, b, b_id in ends
        ]  # fmt: skip


def _specs(types: set[int]) -> list[dict[str, Any]]:
    return [{"category": "HUBSPOT_DEFINED", "typeId": t, "label": LINK_TYPES[t].label} for t in sorted(types)]


def _ids(item: dict[str, Any]) -> tuple[str, str]:
    try:
        return str(item["from"]["id"]), str(item["to"]["id"])
    except (KeyError, TypeError) as exc:
        raise invalid("Each input needs from.id and to.id") from exc
