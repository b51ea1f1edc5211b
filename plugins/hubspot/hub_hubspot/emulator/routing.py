"""From a URL to a handler. One table knows both URL dialects, classic and date-based."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hub_hubspot.emulator import batches, meta, objects
from hub_hubspot.emulator.answers import Answer, Call, Refusal, invalid, not_found
from hub_hubspot.emulator.associations import Pair
from hub_hubspot.emulator.portal import Shelf
from hub_hubspot.emulator.rows import Faults
from hub_hubspot.emulator.search import search
from hub_hubspot.emulator.tables import BY_NAME

if TYPE_CHECKING:
    from hub_hubspot.emulator import HubSpotEmulator

DATED = ("2026-03", "2026-09")
# area: (classic prefix, what of it comes before the version in a date-based path)
_AREAS = {
    "objects": (("crm/v3/objects", "crm/v4/objects"), "crm/objects"),
    "associations": (("crm/v4/associations",), "crm/associations"),
    "owners": (("crm/v3/owners",), "crm/owners"),
    "properties": (("crm/v3/properties",), "crm/properties"),
    "pipelines": (("crm/v3/pipelines",), "crm/pipelines"),
    "account": (("account-info/v3",), "account-info"),
    "preferences": (("communication-preferences/v4",), "communication-preferences"),
    "token": (("oauth/v1", "oauth/v3"), "oauth"),
}
_PREFIXES: dict[str, tuple[str, bool]] = {
    prefix: (area, dated)
    for area, (classic, stem) in _AREAS.items()
    for dated, prefixes in ((False, classic), (True, tuple(f"{stem}/{v}" for v in DATED)))
    for prefix in prefixes
}


def locate(call: Call) -> None:
    """Fill in area, parts and dialect from the path. Raises Refusal 404 for a path of no area."""
    segments = call.path.strip("/").split("/")
    for length in (3, 2):
        if found := _PREFIXES.get("/".join(segments[:length])):
            call.area, call.is_dated = found
            call.parts = tuple(s for s in segments[length:] if s)
            if call.path.startswith("/crm/v4/objects") and call.parts[2:3] != ("associations",):
                break
            if call.path.startswith("/crm/v3/objects") and call.parts[2:3] == ("associations",):
                break  # the v3 association API is a different one
            return
    raise not_found(f"No resource at {call.path}")


def dispatch(emulator: "HubSpotEmulator", call: Call) -> Answer:
    """The answer of an admitted call. Raises Refusal."""
    portal = emulator.portal
    if call.area == "account":
        if call.parts != ("details",) or call.method != "GET":
            raise not_found()
        return meta.account_details(portal, emulator.zone)
    if call.area == "preferences":
        return emulator.preferences.answer(call)
    if call.area == "owners":
        if call.method != "GET":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "method not allowed")
        return emulator.owners.get(call, call.parts[0]) if call.parts else emulator.owners.page(call)
    shelf = _shelf(emulator, call.parts[0] if call.parts else "")
    if call.area == "properties":
        return meta.properties(portal, shelf, call)
    if call.area == "pipelines":
        return meta.pipelines(portal, shelf, call)
    faults = Faults(emulator.faults, call, shelf.kind)
    if call.area == "associations":
        return _associations(emulator, shelf, faults, call)
    return _objects(emulator, shelf, faults, call)


def _shelf(emulator: "HubSpotEmulator", name: str) -> Shelf:
    kind = BY_NAME.get(name)
    if kind is None:
        raise invalid(f"Unable to infer object type from: {name}")
    return emulator.portal.shelves[kind.plural]


def _objects(emulator: "HubSpotEmulator", shelf: Shelf, faults: Faults, call: Call) -> Answer:
    portal, method, rest = emulator.portal, call.method, call.parts[1:]
    mints = emulator.flags.merge_mints_new_id
    if rest[1:2] == ("associations",):
        return _single_links(emulator, shelf, faults, call)
    if "associations" in call.query:  # links to types the caller may not read are left out; not verified
        named = [
            n for n in call.many("associations") if n not in BY_NAME or emulator.gate.may_read(call, BY_NAME[n].plural)
        ]
        call.query["associations"] = named
    collection: dict[tuple[str, tuple[str, ...]], Callable[[], Answer]] = {
        ("GET", ()): lambda: objects.list_objects(portal, shelf, faults, emulator.faults, call),
        ("POST", ()): lambda: objects.create_object(portal, shelf, faults, call),
        ("POST", ("search",)): lambda: search(portal, shelf, faults, emulator.faults, call),
        ("POST", ("batch", "read")): lambda: batches.batch_read(portal, shelf, faults, call),
        ("POST", ("batch", "create")): lambda: batches.batch_create(portal, shelf, faults, call),
        ("POST", ("batch", "update")): lambda: batches.batch_update(portal, shelf, faults, call),
        ("POST", ("batch", "upsert")): lambda: _upsert(emulator, shelf, faults, call),
        ("POST", ("batch", "archive")): lambda: batches.batch_archive(portal, shelf, call),
        ("POST", ("merge",)): lambda: objects.merge_objects(portal, shelf, faults, call, mints),
    }  # fmt: skip
    if handler := collection.get((method, rest)):
        return handler()
    if (method, rest, shelf.kind.plural) == ("POST", ("gdpr-delete",), "contacts"):
        return objects.gdpr_delete(portal, shelf, call)
    if len(rest) == 1 and method == "GET":
        return objects.get_object(portal, shelf, faults, call, rest[0])
    if len(rest) == 1 and method == "PATCH":
        return objects.patch_object(portal, shelf, faults, call, rest[0])
    if len(rest) == 1 and method == "DELETE":
        return objects.delete_object(portal, shelf, faults, rest[0])
    raise Refusal(405, "METHOD_NOT_ALLOWED", "method not allowed") if len(rest) < 2 else not_found()


def _upsert(emulator: "HubSpotEmulator", shelf: Shelf, faults: Faults, call: Call) -> Answer:
    """Upsert on engagements is in the specification, its live behaviour is not verified: a flag refuses it."""
    if shelf.kind.is_engagement and not emulator.flags.engagement_upsert:
        if emulator.flags.upsert_refusal == 404:
            raise not_found()
        raise invalid(f"Batch upsert is not supported for object type {shelf.kind.label}")
    return batches.batch_upsert(emulator.portal, shelf, faults, call)


def _associations(emulator: "HubSpotEmulator", shelf: Shelf, faults: Faults, call: Call) -> Answer:
    pair = Pair(emulator.portal, shelf, _shelf(emulator, call.parts[1] if len(call.parts) > 1 else ""), faults)
    if (call.method, call.parts[2:]) == ("GET", ("labels",)):
        return pair.labels()
    handlers: dict[tuple[str, ...], Callable[[Call], Answer]] = {
        ("batch", "read"): pair.read, ("batch", "create"): pair.create, ("batch", "archive"): pair.archive,
        ("batch", "labels", "archive"): pair.archive_labels, ("batch", "associate", "default"): pair.create_default,
    }  # fmt: skip
    handler = handlers.get(call.parts[2:]) if call.method == "POST" else None
    if handler is None:
        raise not_found()
    return handler(call)


def _single_links(emulator: "HubSpotEmulator", shelf: Shelf, faults: Faults, call: Call) -> Answer:
    """`/{from}/{id}/associations/...`."""
    source_id, rest = call.parts[1], call.parts[3:]
    is_default = rest[:1] == ("default",)
    rest = rest[1:] if is_default else rest
    if not rest or len(rest) > 2:
        raise not_found()
    pair = Pair(emulator.portal, shelf, _shelf(emulator, rest[0]), faults)
    if len(rest) == 1 and call.method == "GET" and not is_default:
        return pair.linked(call, source_id)
    if len(rest) == 2 and call.method == "PUT":
        return pair.put_default(source_id, rest[1]) if is_default else pair.put(source_id, rest[1], call.value())
    if len(rest) == 2 and call.method == "DELETE" and not is_default:
        return pair.delete(source_id, rest[1])
    raise not_found()
