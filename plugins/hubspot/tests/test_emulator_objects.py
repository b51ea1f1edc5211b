"""The HubSpot emulator's objects: each recorded or documented quirk has one test. Real HTTP on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest

from hub_hubspot.emulator.stage import Site, Stage

V3 = "/crm/v3/objects"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
def site(stage: Stage) -> Site:
    return stage.open()


def note(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"properties": {"hs_timestamp": "2026-01-02T03:04:05Z", "hs_note_body": text, **more}}


def add_key(site: Site, type_: str) -> None:
    body = {"name": "ihub_key", "label": "Key", "type": "string", "fieldType": "text", "groupName": "g"}
    site.call("POST", f"/crm/v3/properties/{type_}", 201, {**body, "hasUniqueValue": True})


# Shapes


def test_every_property_value_is_a_string_or_null(site: Site) -> None:
    properties = {"dealname": "D", "pipeline": "default", "dealstage": "closedwon", "amount": 12.5}
    made = site.call("POST", f"{V3}/deals", 201, {"properties": properties})
    asked = "amount,closedate,hs_object_id,dealname"
    read = site.call("GET", f"{V3}/deals/{made['id']}", 200, properties=asked)["properties"]
    assert read["amount"] == "12.5"
    assert read["hs_object_id"] == made["id"]
    assert all(v is None or isinstance(v, str) for v in read.values())


def test_requested_and_empty_is_null_but_requested_and_unknown_is_left_out(site: Site) -> None:
    made = site.call("POST", f"{V3}/tasks", 201, {"properties": {"hs_timestamp": "1700000000000"}})
    found = site.call("GET", f"{V3}/tasks", 200, properties="hs_task_body,no_such_thing")["results"][0]
    assert found["id"] == made["id"]
    assert found["properties"]["hs_task_body"] is None
    assert "no_such_thing" not in found["properties"]
    assert set(found["properties"]) == {"hs_task_body", "hs_createdate", "hs_lastmodifieddate", "hs_object_id"}


def test_default_properties_of_a_contact_list(site: Site) -> None:
    site.emulator.seed({"contacts": [{"properties": {"email": "a@example.com", "phone": "1"}}]})
    row = site.call("GET", f"{V3}/contacts", 200)["results"][0]
    expected = {"createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"}
    assert set(row["properties"]) == expected
    assert row["createdAt"] == "2026-11-21T09:00:00.000Z"
    assert row["url"].endswith(f"/record/0-1/{row['id']}")


def test_a_create_answers_with_more_than_was_sent(site: Site) -> None:
    made = site.call("POST", f"{V3}/notes", 201, note("<p>Hello &amp; <b>bye</b></p>"))
    assert made["properties"]["hs_body_preview"] == "Hello & bye"
    assert made["properties"]["hs_object_source"] == "INTEGRATION"
    changed = site.call("PATCH", f"{V3}/notes/{made['id']}", 200, {"properties": {"hs_note_body": "new"}})
    assert changed["properties"]["hs_body_preview"] == "new"
    assert "hs_timestamp" not in changed["properties"]


def test_one_object_at_both_url_dialects_and_by_type_id(site: Site) -> None:
    made = site.call("POST", "/crm/objects/2026-09/0-46", 201, note())
    for path in ("/crm/v3/objects/notes", "/crm/v3/objects/0-46", "/crm/objects/2026-03/notes"):
        assert site.call("GET", f"{path}/{made['id']}", 200)["id"] == made["id"]
    site.call("GET", f"/crm/objects/2025-09/notes/{made['id']}", 404)


def test_ids_are_unique_only_within_a_type(site: Site) -> None:
    found = site.emulator.seed({"contacts": [{}], "companies": [{"properties": {"name": "A"}}]})
    assert found["contacts"] == found["companies"]


# Paging


def fill(site: Site, count: int) -> list[str]:
    rows = [{"properties": {"email": f"p{n}@example.com"}} for n in range(count)]
    return site.emulator.seed({"contacts": rows})["contacts"]


def test_after_is_the_last_id_plus_one_and_the_last_page_has_no_paging(site: Site) -> None:
    ids = fill(site, 5)
    first = site.call("GET", f"{V3}/contacts", 200, limit=3)
    assert first["paging"]["next"]["after"] == str(int(ids[2]) + 1)
    last = site.call("GET", f"{V3}/contacts", 200, limit=3, after=first["paging"]["next"]["after"])
    assert [r["id"] for r in last["results"]] == ids[3:]
    assert "paging" not in last


def test_the_paging_link_names_a_path_that_does_not_answer(site: Site) -> None:
    fill(site, 3)
    link = site.call("GET", f"{V3}/contacts", 200, limit=1)["paging"]["next"]["link"]
    assert "/crm/objects/v3/contacts" in link
    site.call("GET", link.removeprefix("https://api.hubapi.com"), 404)


def test_an_after_far_beyond_the_end_gives_page_one_again(site: Site) -> None:
    ids = fill(site, 4)
    page = site.call("GET", f"{V3}/contacts", 200, limit=2, after="99999999")
    assert [r["id"] for r in page["results"]] == ids[:2]


def test_ten_a_page_by_default_and_a_hundred_at_most(site: Site) -> None:
    fill(site, 12)
    assert len(site.call("GET", f"{V3}/contacts", 200)["results"]) == 10
    assert site.call("GET", f"{V3}/contacts", 400, limit=101)["category"] == "VALIDATION_ERROR"
    site.call("GET", f"{V3}/contacts", 400, limit=51, propertiesWithHistory="email")


# Writing


def test_unknown_property_is_refused_in_the_recorded_shape(site: Site) -> None:
    body = site.call("POST", f"{V3}/contacts", 400, {"properties": {"nope": "1", "email": "a@example.com"}})
    assert body["category"] == "VALIDATION_ERROR"
    assert body["message"].startswith('Property values were not valid: [{"isValid": false')
    assert body["errors"][0]["code"] == "PROPERTY_DOESNT_EXIST"
    assert body["errors"][0]["context"]["propertyName"] == ["nope"]


@pytest.mark.parametrize(
    ("type_", "properties", "code"),
    [
        ("contacts", {"createdate": "2020-01-01"}, "READ_ONLY_VALUE"),
        ("contacts", {"email": "not an address"}, "INVALID_EMAIL"),
        ("contacts", {"lifecyclestage": "nobody"}, "INVALID_OPTION"),
        ("contacts", {"hubspot_owner_id": "5"}, "INVALID_OWNER_ID"),
        ("companies", {"name": "A", "annualrevenue": "much"}, "INVALID_LONG"),
        ("deals", {"dealname": "A", "pipeline": "default", "dealstage": "nowhere"}, "INVALID_OPTION"),
        ("notes", {"hs_timestamp": "soon"}, "INVALID_DATE"),
        ("notes", {"hs_timestamp": "1700000000000", "hs_note_body": "x" * 65_537}, "PROPERTY_VALUE_TOO_LONG"),
        ("communications", {"hs_communication_logged_from": "PHONE"}, "INVALID_OPTION"),
        ("emails", {"hs_email_headers": "{"}, "INVALID_JSON"),
        ("emails", {"hs_email_from_email": "a@example.com"}, "READ_ONLY_VALUE"),
    ],
)
def test_bad_values_are_named(site: Site, type_: str, properties: dict[str, str], code: str) -> None:
    body = site.call("POST", f"{V3}/{type_}", 400, {"properties": properties})
    assert body["errors"][0]["code"] == code


@pytest.mark.parametrize(
    ("type_", "missing"),
    [
        ("companies", ["domain"]), ("deals", ["dealname", "dealstage", "pipeline"]),
        ("tickets", ["subject", "hs_pipeline_stage", "hs_pipeline"]), ("notes", ["hs_timestamp"]),
        ("emails", ["hs_timestamp", "hs_email_direction"]), ("tasks", ["hs_timestamp"]), ("calls", ["hs_timestamp"]),
        ("communications", ["hs_timestamp", "hs_communication_channel_type"]), ("meetings", ["hs_timestamp"]),
    ],
)  # fmt: skip
def test_required_properties(site: Site, type_: str, missing: list[str]) -> None:
    body = site.call("POST", f"{V3}/{type_}", 400, {"properties": {}})
    assert body["context"]["properties"] == missing


def test_a_meeting_takes_its_timestamp_from_its_start(site: Site) -> None:
    made = site.call("POST", f"{V3}/meetings", 201, {"properties": {"hs_meeting_start_time": "2026-05-01T10:00:00Z"}})
    assert made["properties"]["hs_timestamp"] == "2026-05-01T10:00:00Z"


def test_values_are_normalised(site: Site) -> None:
    given = {"email": "  Ada@Example.COM ", "phone": " +49 (0)30 1 "}
    made = site.call("POST", f"{V3}/contacts", 201, {"properties": given})
    assert made["properties"]["email"] == "ada@example.com"
    assert made["properties"]["phone"] == " +49 (0)30 1 "
    company = site.call("POST", f"{V3}/companies", 201, {"properties": {"domain": "Firm.EXAMPLE"}})
    assert company["properties"]["domain"] == "firm.example"
    task = site.call("POST", f"{V3}/tasks", 201, {"properties": {"hs_timestamp": 1700000000123}})
    assert task["properties"]["hs_timestamp"] == "2023-11-14T22:13:20.123Z"


def test_email_headers_fill_the_read_only_addresses(site: Site) -> None:
    headers = (
        '{"from":{"email":"a@example.com","firstName":"A"},"to":[{"email":"b@example.com"},{"email":"c@example.com"}]}'
    )
    properties = {"hs_timestamp": "1700000000000", "hs_email_direction": "EMAIL", "hs_email_headers": headers}
    made = site.call("POST", f"{V3}/emails", 201, {"properties": properties})["properties"]
    assert made["hs_email_from_email"] == "a@example.com"
    assert made["hs_email_to_email"] == "b@example.com;c@example.com"


def test_duplicate_address_is_a_conflict_that_tells_the_existing_id(site: Site) -> None:
    (id_,) = fill(site, 1)
    body = site.call("POST", f"{V3}/contacts", 409, {"properties": {"email": "P0@example.com"}})
    assert (body["category"], body["message"]) == ("CONFLICT", f"Contact already exists. Existing ID: {id_}")


def test_any_write_moves_the_last_modified_time_even_an_equal_one(site: Site) -> None:
    made = site.call("POST", f"{V3}/notes", 201, note("same"))
    site.clock.advance(5)
    changed = site.call("PATCH", f"{V3}/notes/{made['id']}", 200, note("same"))
    assert changed["updatedAt"] == "2026-11-21T09:00:05.000Z"
    assert changed["properties"]["hs_lastmodifieddate"] == changed["updatedAt"]


def test_a_deal_is_closed_by_its_stage(site: Site) -> None:
    made = site.call(
        "POST",
        f"{V3}/deals",
        201,
        {"properties": {"dealname": "Crates", "pipeline": "default", "dealstage": "contractsent"}},
    )
    path = f"{V3}/deals/{made['id']}"
    for stage, closed, won in (
        ("closedlost", "true", "false"),
        ("closedwon", "true", "true"),
        ("contractsent", "false", "false"),
    ):
        site.call("PATCH", path, 200, {"properties": {"dealstage": stage}})
        row = site.call("GET", path, 200, properties="hs_is_closed,hs_is_closed_won")["properties"]
        assert (row["hs_is_closed"], row["hs_is_closed_won"]) == (closed, won)


def test_an_empty_string_clears_and_the_lifecycle_only_moves_forward(site: Site) -> None:
    made = site.call("POST", f"{V3}/contacts", 201, {"properties": {"firstname": "A", "lifecyclestage": "customer"}})
    path = f"{V3}/contacts/{made['id']}"
    site.call("PATCH", path, 200, {"properties": {"firstname": "", "lifecyclestage": "lead"}})
    row = site.call("GET", path, 200, properties="firstname,lifecyclestage")["properties"]
    assert (row["firstname"], row["lifecyclestage"]) == (None, "customer")
    site.call("PATCH", path, 200, {"properties": {"lifecyclestage": ""}})
    site.call("PATCH", path, 200, {"properties": {"lifecyclestage": "lead"}})
    assert site.call("GET", path, 200, properties="lifecyclestage")["properties"]["lifecyclestage"] == "lead"


def test_inline_associations_on_create_and_in_lists(site: Site) -> None:
    found = site.emulator.seed({"contacts": [{}], "companies": [{"properties": {"name": "F"}}]})
    contact, company = found["contacts"][0], found["companies"][0]
    spec = {"associationCategory": "HUBSPOT_DEFINED"}
    links = [
        {"to": {"id": contact}, "types": [{**spec, "associationTypeId": 202}]},
        {"to": {"id": company}, "types": [{**spec, "associationTypeId": 190}]},
    ]
    made = site.call("POST", f"{V3}/notes", 201, {**note(), "associations": links})
    row = site.call("GET", f"{V3}/notes", 200, associations="contacts,companies,deals")["results"][0]
    assert row["id"] == made["id"]
    assert row["associations"]["contacts"]["results"] == [{"id": contact, "type": "note_to_contact"}]
    assert row["associations"]["companies"]["results"] == [{"id": company, "type": "note_to_company"}]
    assert "deals" not in row["associations"]


def test_inline_associations_in_the_wrong_direction_or_to_nobody_are_refused(site: Site) -> None:
    (contact,) = fill(site, 1)
    for id_, type_id in ((contact, 201), ("77", 202)):
        link = {"to": {"id": id_}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]}
        site.call("POST", f"{V3}/notes", 400, {**note(), "associations": [link]})
    assert site.emulator.state()["objects"]["notes"] == 0


def test_long_inline_associations_have_paging_of_their_own(site: Site) -> None:
    links = [{"to": "contacts", "id": i} for i in fill(site, 120)]
    site.emulator.seed({"companies": [{"properties": {"name": "Big"}, "associations": links}]})
    row = site.call("GET", f"{V3}/companies", 200, associations="contacts")["results"][0]
    assert row["associations"]["contacts"]["paging"]["next"]["after"]


# Missing, archived, erased


def test_a_missing_ticket_or_task_is_an_html_page_at_the_classic_address(site: Site) -> None:
    for type_ in ("tickets", "tasks"):
        answer = site.client.get(f"{V3}/{type_}/5")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "x-hubspot-notfound" in answer.headers
        assert site.call("GET", f"/crm/objects/2026-03/{type_}/5", 404)["category"] == "OBJECT_NOT_FOUND"
    assert site.call("GET", f"{V3}/contacts/5", 404)["category"] == "OBJECT_NOT_FOUND"


def test_archived_objects_are_in_the_recycle_bin_and_come_back(site: Site) -> None:
    (id_,) = fill(site, 1)
    site.call("DELETE", f"{V3}/contacts/{id_}", 204)
    site.call("DELETE", f"{V3}/contacts/{id_}", 204)
    site.call("GET", f"{V3}/contacts/{id_}", 404)
    assert site.call("GET", f"{V3}/contacts", 200)["results"] == []
    row = site.call("GET", f"{V3}/contacts", 200, archived="true")["results"][0]
    assert (row["id"], row["archived"], row["archivedAt"]) == (id_, True, "2026-11-21T09:00:00.000Z")
    assert site.call("GET", f"{V3}/contacts/{id_}", 200, archived="true")["id"] == id_
    site.emulator.control("restore", {"type": "contacts", "id": id_})
    assert "archivedAt" not in site.call("GET", f"{V3}/contacts/{id_}", 200)


def test_deleted_emails_are_gone_for_good(site: Site) -> None:
    properties = {"hs_timestamp": "1700000000000", "hs_email_direction": "EMAIL"}
    made = site.call("POST", f"{V3}/emails", 201, {"properties": properties})
    site.call("DELETE", f"{V3}/emails/{made['id']}", 204)
    assert site.call("GET", f"{V3}/emails", 200, archived="true")["results"] == []


def test_gdpr_deletion_leaves_nothing_and_blocks_unknown_addresses(site: Site) -> None:
    (id_,) = fill(site, 1)
    path = f"{V3}/contacts/gdpr-delete"
    site.call("POST", path, 204, {"objectId": "p0@example.com", "idProperty": "email"})
    site.call("GET", f"{V3}/contacts/{id_}", 404, archived="true")
    site.call("POST", path, 204, {"objectId": "Nobody@example.com", "idProperty": "email"})
    assert site.emulator.state()["blocklist"] == ["nobody@example.com"]


# Batches


def test_batch_create_is_201_and_batch_archive_is_204_and_empty(site: Site) -> None:
    made = site.call("POST", f"{V3}/notes/batch/create", 201, {"inputs": [note("a"), note("b")]})
    assert made["status"] == "COMPLETE"
    ids = [{"id": r["id"]} for r in made["results"]]
    answer = site.client.post(f"{V3}/notes/batch/archive", json={"inputs": ids})
    assert (answer.status_code, answer.content) == (204, b"")


def test_batch_of_more_than_a_hundred_is_refused(site: Site) -> None:
    site.call("POST", f"{V3}/notes/batch/create", 400, {"inputs": [note()] * 101})


def test_batch_read_reports_missing_ids_in_a_207_without_associations(site: Site) -> None:
    (id_,) = fill(site, 1)
    body = {"inputs": [{"id": id_}, {"id": "5"}], "properties": ["email"]}
    found = site.call("POST", f"{V3}/contacts/batch/read", 207, body, associations="companies")
    assert [r["properties"]["email"] for r in found["results"]] == ["p0@example.com"]
    assert "associations" not in found["results"][0]
    assert found["numErrors"] == 1
    assert found["errors"][0]["context"]["ids"] == ["5"]
    assert found["errors"][0]["category"] == "OBJECT_NOT_FOUND"


def test_batch_read_by_a_unique_property(site: Site) -> None:
    fill(site, 2)
    body = {"inputs": [{"id": "P1@example.com"}], "idProperty": "email", "properties": ["email"]}
    found = site.call("POST", f"{V3}/contacts/batch/read", 200, body)
    assert found["results"][0]["properties"]["email"] == "p1@example.com"
    site.call("POST", f"{V3}/contacts/batch/read", 400, {**body, "idProperty": "phone"})


def test_one_bad_input_refuses_the_batch_unless_every_input_has_a_trace_id(site: Site) -> None:
    inputs = [note("good"), note("bad", nope="1")]
    site.call("POST", f"{V3}/notes/batch/create", 400, {"inputs": inputs})
    assert site.emulator.state()["objects"]["notes"] == 0
    traced = [{**row, "objectWriteTraceId": str(n)} for n, row in enumerate(inputs)]
    found = site.call("POST", f"{V3}/notes/batch/create", 207, {"inputs": traced})
    assert [r["objectWriteTraceId"] for r in found["results"]] == ["0"]
    assert found["errors"][0]["context"]["objectWriteTraceId"] == ["1"]


def test_batch_update_reports_missing_ids_and_refuses_repeated_ones(site: Site) -> None:
    (id_,) = fill(site, 1)
    change = {"properties": {"firstname": "New"}}
    found = site.call(
        "POST", f"{V3}/contacts/batch/update", 207, {"inputs": [{"id": id_, **change}, {"id": "5", **change}]}
    )
    assert len(found["results"]) == found["numErrors"] == 1
    body = site.call("POST", f"{V3}/contacts/batch/update", 400, {"inputs": [{"id": id_, **change}] * 2})
    assert "Duplicate IDs" in body["message"]


def test_two_inputs_with_one_unique_value_make_no_duplicate(site: Site) -> None:
    twins = [{"properties": {"email": "t@example.com"}}, {"properties": {"email": "T@example.com"}}]
    site.call("POST", f"{V3}/contacts/batch/create", 400, {"inputs": twins})
    assert site.emulator.state()["objects"]["contacts"] == 0


def test_upsert_by_a_unique_property_says_what_is_new(site: Site) -> None:
    add_key(site, "notes")
    row = {"id": "k1", "idProperty": "ihub_key", **note("one")}
    first = site.call("POST", f"{V3}/notes/batch/upsert", 200, {"inputs": [row]})["results"][0]
    again = site.call("POST", f"{V3}/notes/batch/upsert", 200, {"inputs": [row]})["results"][0]
    assert (first["new"], again["new"], first["id"]) == (True, False, again["id"])
    found = site.call("GET", f"{V3}/notes/k1", 200, idProperty="ihub_key", properties="ihub_key")
    assert found["properties"]["ihub_key"] == "k1"
    assert site.emulator.state()["duplicates"] == {}


def test_upsert_takes_no_inline_associations(site: Site) -> None:
    add_key(site, "notes")
    row = {"id": "k1", "idProperty": "ihub_key", **note(), "associations": []}
    site.call("POST", f"{V3}/notes/batch/upsert", 400, {"inputs": [row]})


def test_upsert_of_contacts_by_address_is_all_or_nothing(site: Site) -> None:
    def row(email: str, **properties: str) -> dict[str, Any]:
        return {"id": email, "idProperty": "email", "properties": properties, "objectWriteTraceId": email}

    good, bad = row("a@example.com", firstname="A"), row("b@example.com", nope="1")
    site.call("POST", f"{V3}/contacts/batch/upsert", 400, {"inputs": [good, bad]})
    assert site.emulator.state()["objects"]["contacts"] == 0
    found = site.call("POST", f"{V3}/contacts/batch/upsert", 200, {"inputs": [good]})
    assert found["results"][0]["properties"]["email"] == "a@example.com"


@pytest.mark.parametrize("status", [400, 404])
def test_upsert_on_engagements_can_be_refused(stage: Stage, status: int) -> None:
    site = stage.open(engagement_upsert=False, upsert_refusal=status)
    add_key(site, "notes")
    add_key(site, "contacts")
    row = {"id": "k1", "idProperty": "ihub_key", "properties": {}}
    site.call("POST", f"{V3}/notes/batch/upsert", status, {"inputs": [{**row, **note()}]})
    site.call("POST", f"{V3}/contacts/batch/upsert", 200, {"inputs": [row]})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/crm/v3/objects/notes", {"properties": []}),
        ("/crm/v3/objects/notes", {"properties": {"hs_timestamp": {"at": 1}}}),
        ("/crm/v3/objects/notes", {"properties": {"hs_timestamp": "1"}, "associations": [{"to": "5"}]}),
        ("/crm/v3/objects/notes/batch/create", {"inputs": "all"}),
        ("/crm/v3/objects/notes/batch/read", {"inputs": [{"id": "1"}], "properties": 1.5}),
        ("/crm/v3/objects/notes/search", {"filterGroups": True}),
        ("/crm/v3/objects/notes/search", {"sorts": -1}),
        ("/crm/v4/associations/notes/contacts/batch/create", {"inputs": [{"from": [], "to": "x", "types": [{}]}]}),
        ("/crm/v4/associations/notes/contacts/batch/archive", {"inputs": [{"from": "1", "to": []}, {"to": ["x"]}]}),
        ("/crm/v3/objects/nothings", {"properties": {}}),
    ],
)
def test_requests_of_the_wrong_shape_are_400(site: Site, path: str, body: Any) -> None:
    assert site.call("POST", path, 400, body)["category"] == "VALIDATION_ERROR"


# Properties, pipelines, owners, account


def test_a_unique_property_is_enforced_and_cannot_be_changed(site: Site) -> None:
    add_key(site, "notes")
    site.call("POST", f"{V3}/notes", 201, note(ihub_key="k"))
    body = site.call("POST", f"{V3}/notes", 400, note(ihub_key="k"))
    assert body["errors"][0]["code"] == "CONFLICTING_UNIQUE_VALUE"
    site.call("PATCH", "/crm/v3/properties/notes/ihub_key", 400, {"hasUniqueValue": False})
    assert site.call("GET", "/crm/properties/2026-09/notes/ihub_key", 200)["hasUniqueValue"] is True
    same = {"name": "ihub_key", "label": "K", "type": "string", "fieldType": "text", "groupName": "g"}
    site.call("POST", "/crm/v3/properties/notes", 409, same)


def test_ten_unique_properties_at_most(site: Site) -> None:
    body = {"label": "K", "type": "string", "fieldType": "text", "groupName": "g", "hasUniqueValue": True}
    for n in range(10):
        site.call("POST", "/crm/v3/properties/calls", 201, {**body, "name": f"k{n}"})
    site.call("POST", "/crm/v3/properties/calls", 400, {**body, "name": "k10"})


def test_pipelines_and_account(site: Site) -> None:
    stages = site.call("GET", "/crm/v3/pipelines/deals", 200)["results"][0]["stages"]
    assert "closedwon" in [s["id"] for s in stages]
    assert site.call("GET", "/crm/pipelines/2026-03/tickets/0/stages", 200)["results"][0]["label"] == "New"
    details = site.call("GET", "/account-info/v3/details", 200)
    assert (details["portalId"], details["timeZone"], details["utcOffset"]) == (4242424, "Europe/Berlin", "+01:00")


def test_deactivated_owners_are_listed_apart_and_have_no_user_id(site: Site) -> None:
    site.emulator.seed({}, owners=[{"email": "a@example.com"}, {"email": "old@example.com", "archived": True}])
    active = site.call("GET", "/crm/v3/owners", 200)["results"]
    gone = site.call("GET", "/crm/owners/2026-09", 200, archived="true")["results"]
    assert [o["email"] for o in active] == ["a@example.com"]
    assert (gone[0]["email"], gone[0]["userId"]) == ("old@example.com", None)
    assert gone[0]["userIdIncludingInactive"]
    made = site.call("POST", f"{V3}/notes", 201, note(hubspot_owner_id=active[0]["id"]))
    assert made["properties"]["hubspot_owner_id"] == active[0]["id"]
