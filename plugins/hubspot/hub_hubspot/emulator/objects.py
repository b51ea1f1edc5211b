"""Handlers of the objects API: single objects, lists, merge and GDPR deletion. Batches are in `batches`."""

from bisect import bisect_left
from typing import Any

from hub.testing import FaultBoard
from hub_hubspot.emulator.answers import NOT_FOUND_PAGE, Answer, Call, Refusal, invalid, not_found
from hub_hubspot.emulator.merges import merge
from hub_hubspot.emulator.portal import Portal, Record, Shelf
from hub_hubspot.emulator.rows import Faults, Rows
from hub_hubspot.emulator.tables import BY_NAME, LINK_TYPES

MAX_LIMIT = 100
MAX_LIMIT_WITH_HISTORY = 50


def list_objects(portal: Portal, shelf: Shelf, faults: Faults, board: FaultBoard, call: Call) -> Answer:
    """`GET /{type}`: by ascending id, `after` being the last id + 1."""
    history = call.many("propertiesWithHistory")
    limit = call.number("limit", 10, MAX_LIMIT_WITH_HISTORY if history else MAX_LIMIT)
    is_archived = call.flag("archived")
    ids = shelf.archived if is_archived else shelf.live
    after = call.one("after")
    page = _page(shelf, faults, ids, after, limit)
    rows = Rows(
        portal, shelf, faults, call.many("properties"), links=_link_names(call.many("associations")), history=history
    )
    body: dict[str, Any] = {"results": [rows.row(shelf.records[i]) for i in page[:limit]]}
    if len(page) > limit:
        upto = str(page[limit - 1] + 1)
        if after and board.hits("page_loop", call.path, call.method):
            upto = after
        # As recorded: the link names a path that does not answer.
        link = (
            f"https://api.hubapi.com/crm/objects/v3/{shelf.kind.plural}?limit={limit}&offset_param=after&after={upto}"
        )
        body["paging"] = {"next": {"after": upto, "link": link}}
    return Answer(200, body)


def _page(shelf: Shelf, faults: Faults, ids: list[int], after: str, limit: int) -> list[int]:
    """Up to limit + 1 ids from `after` on. Far beyond the last id the vendor begins again, as recorded."""
    if after and not after.isdecimal():
        raise invalid(f"Invalid after: {after}", "INVALID_INTEGER")
    start = int(after or 0)
    if start > shelf.next_id:
        start = 0
    place = bisect_left(ids, start)
    if not faults.is_filtering:
        return ids[place : place + limit + 1]
    found: list[int] = []
    while place < len(ids) and len(found) <= limit:
        if faults.shows(ids[place]):
            found.append(ids[place])
        place += 1
    return found


def _link_names(names: list[str]) -> list[str]:
    for name in names:
        if name not in BY_NAME:
            raise invalid(f"{name} is not a valid object type", "INVALID_OBJECT_TYPE")
    return names


def one(portal: Portal, shelf: Shelf, faults: Faults, call: Call, key: str) -> Record:
    """The object a single GET or PATCH names; an absorbed id leads to its survivor. Raises Refusal 404."""
    id_property = call.one("idProperty")
    if not id_property and key.isdecimal() and int(key) in shelf.aliases:
        key = str(shelf.aliases[int(key)])
    record = portal.find(shelf, key, id_property, archived=call.method == "GET" and call.flag("archived"))
    if record is None or not faults.exists(record.id):
        raise not_found()
    return record


def get_object(portal: Portal, shelf: Shelf, faults: Faults, call: Call, key: str) -> Answer:
    links = _link_names(call.many("associations"))
    rows = Rows(portal, shelf, faults, call.many("properties"), links=links, history=call.many("propertiesWithHistory"))
    try:
        return Answer(200, rows.row(one(portal, shelf, faults, call, key)))
    except Refusal as refusal:
        # Recorded in 2024 for these two, at the classic address only.
        if refusal.status == 404 and shelf.kind.plural in {"tickets", "tasks"} and not call.is_dated:
            return NOT_FOUND_PAGE
        raise


def create_object(portal: Portal, shelf: Shelf, faults: Faults, call: Call) -> Answer:
    body = call.json()
    found, targets = prepared(portal, shelf, body)
    record = portal.create(shelf, found)
    attach(portal, shelf, record, targets)
    return Answer(201, Rows(portal, shelf, faults).created(record))


def patch_object(portal: Portal, shelf: Shelf, faults: Faults, call: Call, key: str) -> Answer:
    record = one(portal, shelf, faults, call, key)
    portal.check_lock(shelf, record.id)
    found = portal.check(shelf, call.json().get("properties"), record)
    changed = portal.update(shelf, record, found)
    return Answer(200, Rows(portal, shelf, faults).updated(record, {**found, **changed}))


def delete_object(portal: Portal, shelf: Shelf, faults: Faults, key: str) -> Answer:
    """204 for an object already archived too."""
    record = portal.find(shelf, key)
    if record is None or not faults.exists(record.id):
        if portal.find(shelf, key, archived=True):
            return Answer(204)
        raise not_found()
    portal.check_lock(shelf, record.id)
    portal.archive(shelf, record)
    return Answer(204)


def merge_objects(portal: Portal, shelf: Shelf, faults: Faults, call: Call, mints_new_id: bool) -> Answer:
    body = call.json()
    found = []
    for name in ("primaryObjectId", "objectIdToMerge"):
        record = portal.find(shelf, str(body.get(name, "")))
        if record is None or not faults.exists(record.id):
            raise not_found(f"{shelf.kind.label}={body.get(name)} does not exist")
        portal.check_lock(shelf, record.id)
        found.append(record)
    survivor = merge(portal, shelf, found[0], found[1], mints_new_id=mints_new_id)
    return Answer(200, Rows(portal, shelf, faults).created(survivor))


def gdpr_delete(portal: Portal, shelf: Shelf, call: Call) -> Answer:
    """Nothing stays readable. An address nobody has is put on the blocklist, as documented."""
    body = call.json()
    key, id_property = str(body.get("objectId") or ""), str(body.get("idProperty") or "")
    if not key:
        raise invalid("Invalid input JSON on line 1, column 2. Some required fields were not set: [objectId]")
    record = portal.find(shelf, key, id_property) or (
        portal.find(shelf, key, archived=True) if not id_property else None
    )
    if record is None:
        if id_property != "email":
            raise not_found()
        portal.blocklist.add(key.strip().lower())
        return Answer(204)
    portal.erase(shelf, record, is_privacy=True)
    return Answer(204)


Target = tuple[str, int, set[int]]


def prepared(portal: Portal, shelf: Shelf, body: dict[str, Any]) -> tuple[dict[str, str], list[Target]]:
    """A create request's properties and link targets, checked; nothing is written yet. Raises Refusal."""
    found = portal.check(shelf, body.get("properties"))
    portal.check_required(shelf, found)
    return found, _targets(portal, shelf, body.get("associations") or [])


def _targets(portal: Portal, shelf: Shelf, associations: Any) -> list[Target]:
    """[(type, id, association type ids)] of inline associations; targets must exist, directions must be right."""
    found: list[Target] = []
    try:
        given = [(str(a["to"]["id"]), {int(t["associationTypeId"]) for t in a["types"]}) for a in associations]
    except (KeyError, TypeError, ValueError) as exc:
        raise invalid(
            "associations must be a list of {to: {id}, types: [{associationCategory, associationTypeId}]}"
        ) from exc
    for id_, types in given:
        known = [LINK_TYPES.get(t) for t in types]
        kinds = {t.target for t in known if t and t.source == shelf.kind.plural}
        if len(kinds) != 1 or None in known or any(t and t.source != shelf.kind.plural for t in known):
            raise invalid(
                f"Association types {sorted(types)} do not start at {shelf.kind.label}", "INVALID_ASSOCIATION_TYPE"
            )
        target = portal.shelves[kinds.pop()]
        if portal.find(target, id_) is None:
            raise invalid(f"{target.kind.label}={id_} is not valid", "INVALID_OBJECT_IDS")
        found.append((target.kind.plural, int(id_), types))
    return found


def attach(portal: Portal, shelf: Shelf, record: Record, targets: list[Target]) -> None:
    for target, id_, types in targets:
        portal.link(shelf.kind.plural, record.id, target, id_, types)
