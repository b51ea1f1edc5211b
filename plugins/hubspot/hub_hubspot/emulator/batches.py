"""Handlers of the batch endpoints: up to 100 objects at a time, 207 where some inputs failed.

Bad values refuse the whole batch, unless every input carries an objectWriteTraceId: then each fails alone (207).
Ids that do not exist are always a 207.
"""

from collections.abc import Callable
from typing import Any

from hub_hubspot.emulator import values
from hub_hubspot.emulator.answers import Answer, Call, Refusal, batch, inputs_of, invalid, listed
from hub_hubspot.emulator.objects import attach, prepared
from hub_hubspot.emulator.portal import Portal, Record, Shelf
from hub_hubspot.emulator.rows import Faults, Rows

MAX_BATCH = 100


def batch_read(portal: Portal, shelf: Shelf, faults: Faults, call: Call) -> Answer:
    """Associations cannot be asked for here."""
    body = call.json()
    keys = list(dict.fromkeys(str(i.get("id", "")) for i in inputs_of(body, MAX_BATCH)))
    id_property = str(body.get("idProperty") or "")
    rows = Rows(
        portal, shelf, faults, [str(p) for p in listed(body, "properties")],
        history=[str(p) for p in listed(body, "propertiesWithHistory")],
    )  # fmt: skip
    results, missing = [], []
    for key in keys:
        record = portal.find(shelf, key, id_property, archived=call.flag("archived"))
        if record is None or not faults.exists(record.id):
            missing.append(key)
        else:
            results.append(rows.row(record))
    return batch(results, _missing(shelf, missing), values.iso(portal.now_ms()))


def batch_create(portal: Portal, shelf: Shelf, faults: Faults, call: Call) -> Answer:
    rows = Rows(portal, shelf, faults)

    def create(item: dict[str, Any]) -> dict[str, Any]:
        found, targets = prepared(portal, shelf, item)
        record = portal.create(shelf, found)
        attach(portal, shelf, record, targets)
        return rows.created(record)

    def check(item: dict[str, Any]) -> None:
        prepared(portal, shelf, item)

    return _run(portal, shelf, call, create, check, 201)


def batch_update(portal: Portal, shelf: Shelf, faults: Faults, call: Call) -> Answer:
    rows = Rows(portal, shelf, faults)

    def record_of(item: dict[str, Any]) -> Record | None:
        record = portal.find(shelf, str(item.get("id", "")), str(item.get("idProperty") or ""))
        return record if record and faults.exists(record.id) else None

    def update(item: dict[str, Any]) -> dict[str, Any] | None:
        record = record_of(item)
        if record is None:
            return None
        portal.check_lock(shelf, record.id)
        found = portal.check(shelf, item.get("properties"), record)
        changed = portal.update(shelf, record, found)
        return rows.updated(record, {**found, **changed})

    def check(item: dict[str, Any]) -> None:
        if record := record_of(item):
            portal.check_lock(shelf, record.id)
            portal.check(shelf, item.get("properties"), record)

    return _run(portal, shelf, call, update, check, 200, must_differ=True)


def batch_upsert(portal: Portal, shelf: Shelf, faults: Faults, call: Call) -> Answer:
    """Create or update by a unique property. Rows carry `new`. Inline associations are not part of the input.

    By e-mail address a batch is all or nothing ("partial upserts are not supported").
    """
    rows = Rows(portal, shelf, faults)

    def resolve(item: dict[str, Any]) -> tuple[Record | None, dict[str, str]]:
        if "associations" in item:
            raise invalid('Unrecognized field "associations": batch upsert takes no associations')
        key, id_property = str(item.get("id") or ""), str(item.get("idProperty") or "")
        if not key or id_property in {"", "hs_object_id"}:
            raise invalid("Each input of an upsert needs an id and the idProperty it is a value of")
        record = portal.find(shelf, key, id_property)
        properties = item.get("properties")
        if record is None and isinstance(properties, dict):
            properties = {**properties, id_property: key}
        found = portal.check(shelf, properties, record)
        if record is None:
            portal.check_required(shelf, found)
        else:
            portal.check_lock(shelf, record.id)
        return record, found

    def upsert(item: dict[str, Any]) -> dict[str, Any]:
        record, found = resolve(item)
        if record is None:
            return rows.created(portal.create(shelf, found), new=True)
        changed = portal.update(shelf, record, found)
        return rows.updated(record, {**found, **changed}, new=False)

    def check(item: dict[str, Any]) -> None:
        resolve(item)

    return _run(portal, shelf, call, upsert, check, 200, must_differ=True)


def batch_archive(portal: Portal, shelf: Shelf, call: Call) -> Answer:
    """204 whatever the ids are; those that do not exist are passed over."""
    for item in call.inputs(MAX_BATCH):
        if record := portal.find(shelf, str(item.get("id", ""))):
            portal.check_lock(shelf, record.id)
            portal.archive(shelf, record)
    return Answer(204)


def _run(
    portal: Portal, shelf: Shelf, call: Call, write: Callable[[dict[str, Any]], dict[str, Any] | None],
    check: Callable[[dict[str, Any]], None], status: int, *, must_differ: bool = False,
) -> Answer:  # fmt: skip
    """Carry out a batch. `write` gives None for an id that does not exist. `check` does all but the writing."""
    inputs = call.inputs(MAX_BATCH)
    by_email = any(i.get("idProperty") == "email" for i in inputs)
    is_partial = bool(inputs) and all(i.get("objectWriteTraceId") for i in inputs) and not by_email
    if must_differ:
        _check_ids(inputs)
    if not is_partial:
        for item in inputs:
            check(item)
        _check_own_duplicates(portal, shelf, inputs)
    results, missing, errors = [], [], []
    for item in inputs:
        try:
            row = write(item)
        except Refusal as refusal:
            if not is_partial:
                raise
            errors.append(refusal.row({"objectWriteTraceId": [str(item["objectWriteTraceId"])]}))
            continue
        if row is None:
            missing.append(str(item.get("id")))
        else:
            trace = item.get("objectWriteTraceId")
            results.append({**row, "objectWriteTraceId": trace} if trace else row)
    return batch(results, [*_missing(shelf, missing), *errors], values.iso(portal.now_ms()), status)


def _check_ids(inputs: list[dict[str, Any]]) -> None:
    keys = [str(i.get("id", "")) for i in inputs]
    twice = sorted({k for k in keys if keys.count(k) > 1})
    if twice:
        raise invalid(f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique")


def _check_own_duplicates(portal: Portal, shelf: Shelf, inputs: list[dict[str, Any]]) -> None:
    """A unique value given to two inputs of one batch, which no check against the stored objects can see."""
    for name in shelf.unique:
        given = [str(i["properties"].get(name) or "").strip() for i in inputs if isinstance(i.get("properties"), dict)]
        given = [g.lower() if name == "email" else g for g in given if g]
        if len(given) != len(set(given)):
            message = f"{name} has the same value in two inputs of this batch"
            raise values.refusal([values.Problem(name, "CONFLICTING_UNIQUE_VALUE", message)], portal.portal_id)


def _missing(shelf: Shelf, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    message = (
        f"Could not get some {shelf.kind.label} objects, they may be deleted or not exist. Check that ids are valid."
    )
    return [Refusal(404, "OBJECT_NOT_FOUND", message, context={"ids": ids}).row()]
