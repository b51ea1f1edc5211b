"""The HubSpot emulator's associations, merges and webhooks."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from hub.testing import shared_path
from hub_hubspot.emulator import sign_v1, sign_v2, sign_v3, tables
from hub_hubspot.emulator.stage import Site, Stage

V3, V4 = "/crm/v3/objects", "/crm/v4"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
def site(stage: Stage) -> Site:
    return stage.open()


def spec(type_id: int) -> list[dict[str, Any]]:
    return [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]


def people(site: Site, count: int) -> list[str]:
    rows = [{"properties": {"email": f"p{n}@example.com", "firstname": f"P{n}"}} for n in range(count)]
    return site.emulator.seed({"contacts": rows})["contacts"]


def note(site: Site, *contacts: str) -> str:
    links = [{"to": "contacts", "id": c} for c in contacts]
    rows = [{"properties": {"hs_timestamp": "1700000000000"}, "associations": links}]
    return site.emulator.seed({"notes": rows})["notes"][0]


# Associations


def test_a_companys_parent_is_an_association_and_a_property_that_nobody_writes(site: Site) -> None:
    above, below = site.emulator.seed({"companies": [{"properties": {"name": n}} for n in ("Pine", "Pine North")]})[
        "companies"
    ]
    path = f"{V4}/objects/companies/{below}/associations/companies/{above}"
    read = f"{V3}/companies/{below}?properties=hs_parent_company_id"
    site.call("PUT", path, 201, spec(14))
    assert site.call("GET", read, 200)["properties"]["hs_parent_company_id"] == above
    site.call("PATCH", f"{V3}/companies/{below}", 400, {"properties": {"hs_parent_company_id": "1"}})
    site.call("DELETE", path, 204)
    assert not site.call("GET", read, 200)["properties"]["hs_parent_company_id"]


def test_batch_create_links_both_ways_and_ids_are_numbers(site: Site) -> None:
    (contact,), target = people(site, 1), note(site)
    inputs = [{"from": {"id": target}, "to": {"id": contact}, "types": spec(202)}]
    made = site.call("POST", f"{V4}/associations/notes/contacts/batch/create", 201, {"inputs": inputs})
    assert made["results"][0]["fromObjectId"] == int(target)
    assert made["results"][0]["toObjectTypeId"] == "0-1"
    body = {"inputs": [{"id": contact}]}
    back = site.call("POST", "/crm/associations/2026-09/0-1/0-46/batch/read", 200, body)["results"][0]
    assert back["from"]["id"] == contact
    assert back["to"] == [
        {"toObjectId": int(target), "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 201, "label": None}]}
    ]


def test_an_id_that_does_not_exist_is_a_207_in_the_recorded_words(site: Site) -> None:
    contact, target = people(site, 1)[0], note(site)
    inputs = [{"from": {"id": target}, "to": {"id": c}, "types": spec(202)} for c in ("1234", contact)]
    made = site.call("POST", f"{V4}/associations/notes/contacts/batch/create", 207, {"inputs": inputs})
    assert made["errors"][0]["message"] == "CONTACT=1234 is not valid"
    assert made["errors"][0]["category"] == "VALIDATION_ERROR"
    assert len(made["results"]) == 1


def test_the_wrong_direction_is_an_error(site: Site) -> None:
    (contact,), target = people(site, 1), note(site)
    inputs = [{"from": {"id": target}, "to": {"id": contact}, "types": spec(201)}]
    site.call("POST", f"{V4}/associations/notes/contacts/batch/create", 400, {"inputs": inputs})
    site.call("PUT", f"{V4}/objects/notes/{target}/associations/contacts/{contact}", 400, spec(201))
    assert site.emulator.state()["associations"] == 0


def test_objects_without_links_are_errors_of_a_207_and_not_results(site: Site) -> None:
    first, second = people(site, 2)
    note(site, first)
    body = {"inputs": [{"id": first}, {"id": second}]}
    found = site.call("POST", f"{V4}/associations/contacts/notes/batch/read", 207, body)
    assert [r["from"]["id"] for r in found["results"]] == [first]
    assert found["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert found["errors"][0]["context"]["fromObjectId"] == [second]


def test_batch_sizes(site: Site) -> None:
    people(site, 1)
    path = f"{V4}/associations/contacts/notes/batch"
    site.call("POST", f"{path}/read", 400, {"inputs": [{"id": "1"}] * 1001})
    row = {"from": {"id": "1"}, "to": {"id": "1"}, "types": spec(201)}
    site.call("POST", f"{path}/create", 400, {"inputs": [row] * 2001})
    assert site.call("POST", f"{path}/create", 207, {"inputs": [row] * 2000})["numErrors"] == 2000


def test_single_put_get_and_delete(site: Site) -> None:
    (contact,), target = people(site, 1), note(site)
    path = f"{V4}/objects/notes/{target}/associations"
    both = site.call("PUT", f"{path}/default/contacts/{contact}", 200)["results"]
    assert [r["associationSpec"]["associationTypeId"] for r in both] == [202, 201]
    assert site.call("PUT", f"{path}/contacts/{contact}", 201, spec(202))["labels"] == []
    assert site.call("GET", f"{path}/contacts", 200)["results"][0]["toObjectId"] == int(contact)
    site.call("DELETE", f"{path}/contacts/{contact}", 204)
    assert site.call("GET", f"/crm/objects/2026-03/notes/{target}/associations/contacts", 200)["results"] == []


def test_links_of_one_object_are_paged(site: Site) -> None:
    contacts = people(site, 5)
    path = f"{V4}/objects/notes/{note(site, *contacts)}/associations/contacts"
    page = site.call("GET", path, 200, limit=3)
    rest = site.call("GET", path, 200, limit=3, after=page["paging"]["next"]["after"])
    assert [str(r["toObjectId"]) for r in page["results"] + rest["results"]] == contacts
    assert "paging" not in rest


def test_the_first_company_becomes_the_primary_one(site: Site) -> None:
    (contact,) = people(site, 1)
    companies = site.emulator.seed({"companies": [{"properties": {"name": n}} for n in "AB"]})["companies"]
    for company in companies:
        site.call("PUT", f"{V4}/objects/contacts/{contact}/associations/default/companies/{company}", 200)
    path = f"{V4}/objects/contacts/{contact}/associations/companies"
    labels = [[t["label"] for t in r["associationTypes"]] for r in site.call("GET", path, 200)["results"]]
    assert labels == [["Primary", None], [None]]
    rows = site.call("GET", f"{V3}/contacts/{contact}", 200, associations="companies")["associations"]["companies"]
    assert {"id": companies[1], "type": "contact_to_company_unlabeled"} in rows["results"]
    assert {"id": companies[0], "type": "contact_to_company"} in rows["results"]


def test_labels_can_be_taken_away_alone_and_archive_takes_all(site: Site) -> None:
    (contact,) = people(site, 1)
    link = {"to": "contacts", "id": contact}
    rows = [{"properties": {"name": "A"}, "associations": [link]}]
    (company,) = site.emulator.seed({"companies": rows})["companies"]
    path = f"{V4}/associations/contacts/companies/batch"
    ends = {"from": {"id": contact}, "to": {"id": company}}
    site.call("POST", f"{path}/labels/archive", 204, {"inputs": [{**ends, "types": spec(1)}]})
    found = site.call("POST", f"{path}/read", 200, {"inputs": [{"id": contact}]})["results"][0]["to"][0]
    assert [t["typeId"] for t in found["associationTypes"]] == [279]
    site.call("POST", f"{path}/archive", 204, {"inputs": [{**ends, "to": [ends["to"]]}]})
    assert site.emulator.state()["associations"] == 0


def test_labels_of_a_pair(site: Site) -> None:
    rows = site.call("GET", f"{V4}/associations/contacts/companies/labels", 200)["results"]
    assert {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"} in rows
    assert {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None} in rows


def test_association_changes_do_not_move_the_last_modified_time(site: Site) -> None:
    (contact,), target = people(site, 1), note(site)
    before = site.call("GET", f"{V3}/notes/{target}", 200)["updatedAt"]
    site.clock.advance(60)
    site.call("PUT", f"{V4}/objects/notes/{target}/associations/default/contacts/{contact}", 200)
    assert site.call("GET", f"{V3}/notes/{target}", 200)["updatedAt"] == before


def test_links_to_archived_objects_are_not_shown(site: Site) -> None:
    first, second = people(site, 2)
    target = note(site, first, second)
    site.call("DELETE", f"{V3}/contacts/{first}", 204)
    found = site.call("GET", f"{V4}/objects/notes/{target}/associations/contacts", 200)["results"]
    assert [r["toObjectId"] for r in found] == [int(second)]


def test_association_type_ids_are_those_of_the_documentation() -> None:
    path = shared_path("vendors/hubspot/association-type-ids.json")
    if path is None:
        pytest.skip("the vendor's files are not beside the checkout")
    published = {i for rows in json.loads(path.read_text())["ids"].values() for i in rows.values()}
    assert set(tables.LINK_TYPES) <= published
    ids = json.loads(path.read_text())["ids"]
    for (source, target), type_id in tables.DEFAULT_LINK.items():
        one, other = tables.BY_PLURAL[source].singular, tables.BY_PLURAL[target].singular
        assert ids[one][f"{one} to {other}"] == type_id


def test_object_types_are_those_of_the_documentation() -> None:
    path = shared_path("vendors/hubspot/object-types.json")
    if path is None:
        pytest.skip("the vendor's files are not beside the checkout")
    for plural, facts in json.loads(path.read_text())["objects"].items():
        kind = tables.BY_PLURAL[plural]
        assert (kind.type_id, kind.modified) == (facts["typeId"], facts["lastmodified"])
        assert set(kind.defaults) == set(facts["search_default"])


# Merges


@pytest.mark.parametrize("mints_new_id", [False, True])
def test_merge(stage: Stage, mints_new_id: bool) -> None:
    site = stage.open(merge_mints_new_id=mints_new_id)
    primary, other = people(site, 2)
    target = note(site, other)
    body = {"primaryObjectId": primary, "objectIdToMerge": other}
    survivor = site.call("POST", f"{V3}/contacts/merge", 200, body)
    absorbed = [primary, other] if mints_new_id else [other]
    assert (survivor["id"] == primary) is not mints_new_id
    assert survivor["properties"]["hs_merged_object_ids"] == ";".join(absorbed)
    assert survivor["properties"]["hs_additional_emails"] == "p1@example.com"
    assert survivor["properties"]["firstname"] == "P0"
    listed = [site.call("GET", f"{V3}/contacts", 200, archived=a)["results"] for a in ("false", "true")]
    assert [[r["id"] for r in rows] for rows in listed] == [[survivor["id"]], []]
    linked = site.call("GET", f"{V4}/objects/notes/{target}/associations/contacts", 200)["results"]
    assert [r["toObjectId"] for r in linked] == [int(survivor["id"])]


def test_an_absorbed_id_works_on_single_requests_only(site: Site) -> None:
    primary, other = people(site, 2)
    site.emulator.control("merge", {"type": "contacts", "primary": primary, "other": other})
    assert site.call("GET", f"{V3}/contacts/{other}", 200)["id"] == primary
    change = {"properties": {"firstname": "New"}}
    assert site.call("PATCH", f"{V3}/contacts/{other}", 200, change)["id"] == primary
    site.call("POST", f"{V3}/contacts/batch/update", 207, {"inputs": [{"id": other, **change}]})
    site.call("POST", f"{V3}/contacts/batch/read", 207, {"inputs": [{"id": other}]})


def test_the_absorbed_address_still_leads_to_the_survivor(site: Site) -> None:
    primary, other = people(site, 2)
    site.emulator.control("merge", {"type": "contacts", "primary": primary, "other": other})
    assert site.call("GET", f"{V3}/contacts/p1@example.com", 200, idProperty="email")["id"] == primary
    body = site.call("POST", f"{V3}/contacts", 409, {"properties": {"email": "p1@example.com"}})
    assert body["message"].endswith(f"Existing ID: {primary}")


def test_more_than_250_identities_are_refused(site: Site) -> None:
    ids = people(site, 251)
    for other in ids[1:250]:
        site.emulator.control("merge", {"type": "contacts", "primary": ids[0], "other": other})
    body = {"primaryObjectId": ids[0], "objectIdToMerge": ids[250]}
    refused = site.call("POST", f"{V3}/contacts/merge", 414, body)
    assert refused["message"] == "Cannot have more than 250 identities on a profile"


def test_engagements_cannot_be_merged(site: Site) -> None:
    body = {"primaryObjectId": note(site), "objectIdToMerge": note(site)}
    site.call("POST", f"{V3}/notes/merge", 400, body)


# Webhooks


def test_events_of_a_contact(site: Site) -> None:
    made = site.call("POST", f"{V3}/contacts", 201, {"properties": {"email": "a@example.com"}})
    site.call("PATCH", f"{V3}/contacts/{made['id']}", 200, {"properties": {"firstname": "A"}})
    site.call("DELETE", f"{V3}/contacts/{made['id']}", 204)
    (delivery,) = site.emulator.pending_webhooks()
    events = json.loads(delivery.body)
    assert [e["subscriptionType"] for e in events] == [
        "contact.creation", "contact.propertyChange", "contact.propertyChange", "contact.deletion",
    ]  # fmt: skip
    assert {e["objectId"] for e in events} == {int(made["id"])}
    assert [e.get("propertyName") for e in events[1:3]] == ["email", "firstname"]
    assert site.emulator.pending_webhooks() == []


def test_engagements_have_no_events_and_links_one_per_side(site: Site) -> None:
    (contact,) = people(site, 1)
    companies = site.emulator.seed({"companies": [{"properties": {"name": "A"}}]})["companies"]
    site.call("POST", f"{V3}/notes", 201, {"properties": {"hs_timestamp": "1700000000000"}})
    assert site.emulator.pending_webhooks() == []
    site.call("PUT", f"{V4}/objects/contacts/{contact}/associations/default/companies/{companies[0]}", 200)
    events = json.loads(site.emulator.pending_webhooks()[0].body)
    assert [e["associationType"] for e in events] == ["CONTACT_TO_COMPANY", "COMPANY_TO_CONTACT"]


def test_a_merge_is_one_event_that_names_the_new_object(stage: Stage) -> None:
    site = stage.open(merge_mints_new_id=True)
    primary, other = people(site, 2)
    survivor = site.emulator.control("merge", {"type": "contacts", "primary": primary, "other": other})["id"]
    (event,) = json.loads(site.emulator.pending_webhooks()[0].body)
    assert event["subscriptionType"] == "contact.merge"
    assert event["primaryObjectId"] == int(primary)
    assert event["mergedObjectIds"] == [int(primary), int(other)]
    assert event["newObjectId"] == int(survivor)


def test_privacy_deletion_sends_two_events(site: Site) -> None:
    (contact,) = people(site, 1)
    site.call("POST", f"{V3}/contacts/gdpr-delete", 204, {"objectId": contact})
    events = json.loads(site.emulator.pending_webhooks()[0].body)
    assert {e["subscriptionType"] for e in events} == {"contact.privacyDeletion", "contact.deletion"}


def test_deliveries_hold_a_hundred_events_and_are_signed(site: Site) -> None:
    for count in (100, 20):
        site.call("POST", f"{V3}/contacts/batch/create", 201, {"inputs": [{"properties": {}}] * count})
    deliveries = site.emulator.pending_webhooks(url="https://hub.example/hook?a=b%2Fc")
    assert [len(json.loads(d.body)) for d in deliveries] == [100, 20]
    headers = deliveries[0].headers
    signed = b"POSThttps://hub.example/hook?a=b/c" + deliveries[0].body
    signed += headers["x-hubspot-request-timestamp"].encode()
    expected = b64encode(hmac.new(b"test-secret", signed, hashlib.sha256).digest()).decode()
    assert headers["x-hubspot-signature-v3"] == expected


def test_signatures_match_the_published_vectors() -> None:
    path = shared_path("vendors/hubspot/object-types.json")
    if path is None:
        pytest.skip("the vendor's files are not beside the checkout")
    vectors = json.loads(path.read_text())["signature_test_vectors"]
    secret, body = vectors["client_secret"], vectors["body_v1"].encode()
    assert sign_v1(secret, body) == vectors["v1_sha256_hex"]
    assert sign_v2(secret, "GET", vectors["v2_get_uri"], b"") == vectors["v2_sha256_hex"]
    third = vectors["v3_computed_here"]
    assert sign_v3(secret, "POST", third["uri"], body, third["timestamp"]) == third["base64_hmac_sha256"]
