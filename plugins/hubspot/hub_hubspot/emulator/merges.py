"""Merging two objects of one type, as HubSpot does it: irreversible, and the survivor may be a new record."""

from hub_hubspot.emulator.answers import Refusal, invalid
from hub_hubspot.emulator.portal import Portal, Record, Shelf, take
from hub_hubspot.emulator.tables import MERGEABLE
from hub_hubspot.emulator.values import keeps_stage

MAX_IDENTITIES = 250
OPT_OUT = "hs_email_optout"  # of the main address, which is the primary's


def merge(portal: Portal, shelf: Shelf, primary: Record, other: Record, *, mints_new_id: bool) -> Record:
    """Fold `other` into `primary`. The primary's values win; its gaps are filled from the other; of two lifecycle stages the
    further one stays.

    mints_new_id: the survivor is a third record and both old ids are absorbed (seen at the vendor in some cases).
    Raises: Refusal 400 for one record twice or a type without merging, 414 beyond 250 absorbed ids.
    """
    if shelf.kind.plural not in MERGEABLE:
        raise invalid(f"{shelf.kind.label} objects cannot be merged")
    if primary.id == other.id:
        raise invalid("primaryObjectId and objectIdToMerge must differ")
    absorbed = [other.id, *_ids(other)]
    absorbed = [*_ids(primary), *([primary.id] if mints_new_id else []), *absorbed]
    if len(absorbed) >= MAX_IDENTITIES:
        raise Refusal(414, "VALIDATION_ERROR", "Cannot have more than 250 identities on a profile")
    moved = {k: v for k, v in other.properties.items() if k not in primary.properties}
    addresses = _addresses(shelf, primary, other)
    given = {k: v for k, v in moved.items() if not shelf.properties[k].is_read_only}
    if (stage := other.properties.get("lifecyclestage", "")) and not keeps_stage(
        primary.properties.get("lifecyclestage", ""), stage
    ):
        given["lifecyclestage"] = stage
    given["hs_merged_object_ids"] = ";".join(map(str, absorbed))
    if addresses:
        given["hs_additional_emails"] = ";".join(addresses)
    survivor = primary
    portal.events.is_on, was_on = False, portal.events.is_on  # a merge is one event, not the changes it is made of
    if mints_new_id:
        kept = {k: v for k, v in primary.properties.items() if not shelf.properties[k].is_read_only or k == OPT_OUT}
        for old in (primary, other):
            portal.unindex(shelf, old)
        survivor = portal.create(shelf, {**kept, **given}, source="MERGE")
        portal.links.move(shelf.kind.plural, primary.id, survivor.id)
        _absorb(portal, shelf, primary, survivor)
    else:
        portal.unindex(shelf, other)
        portal.update(shelf, primary, given, source="MERGE")
    portal.links.move(shelf.kind.plural, other.id, survivor.id)
    _absorb(portal, shelf, other, survivor)
    for address in addresses:
        shelf.unique["email"][address] = survivor.id
    portal.events.is_on = was_on
    merged = [primary.id, other.id] if mints_new_id else [other.id]
    portal.events.merge(shelf.kind, primary.id, merged, survivor.id, len(moved), portal.now_ms())
    return survivor


def _ids(record: Record) -> list[int]:
    return [int(i) for i in record.properties.get("hs_merged_object_ids", "").split(";") if i]


def _addresses(shelf: Shelf, primary: Record, other: Record) -> list[str]:
    """The survivor's further addresses: all of both but the primary's own."""
    if shelf.kind.plural != "contacts":
        return []
    held = [primary.properties.get("hs_additional_emails", ""), other.properties.get("email", "")]
    held.append(other.properties.get("hs_additional_emails", ""))
    found = dict.fromkeys(a for text in held for a in text.split(";") if a)
    found.pop(primary.properties.get("email") or other.properties.get("email", ""), None)
    return list(found)


def _absorb(portal: Portal, shelf: Shelf, record: Record, survivor: Record) -> None:
    """The id vanishes: not listed, not archived, known only as another name of the survivor."""
    del shelf.records[record.id]
    take(shelf.live, record.id)
    shelf.aliases[record.id] = survivor.id
    for old, target in shelf.aliases.items():
        if target == record.id:
            shelf.aliases[old] = survivor.id
