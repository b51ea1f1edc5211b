"""The HubSpot emulator's search: operators, limits, the cap, and the index that lags behind."""

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


def rule(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **({} if value is None else {"value": value}), **more}


def find(site: Site, type_: str, *rules: dict[str, Any], expect: int = 200, **body: Any) -> Any:
    groups = [{"filters": list(rules)}] if rules else []
    return site.call("POST", f"{V3}/{type_}/search", expect, {"filterGroups": groups, **body})


def people(site: Site) -> list[str]:
    rows: list[dict[str, Any]] = [
        {"email": "ada@example.com", "firstname": "Ada", "num_notes": "9"},
        {"email": "ben@example.org", "firstname": "Ben", "num_notes": "10", "lifecyclestage": "customer"},
        {"email": "cem@firm.example", "jobtitle": "Head of Sales"},
    ]
    return site.emulator.seed({"contacts": [{"properties": r} for r in rows]})["contacts"]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (rule("firstname", "EQ", "ADA"), [0]),
        (rule("firstname", "NEQ", "Ada"), [1]),
        (rule("firstname", "IN", values=["ada", "ben"]), [0, 1]),
        (rule("firstname", "IN", values=["Ada"]), []),
        (rule("firstname", "NOT_IN", values=["ada"]), [1]),
        (rule("lifecyclestage", "EQ", "customer"), [1]),
        (rule("lifecyclestage", "EQ", "CUSTOMER"), []),
        (rule("num_notes", "GT", "9"), [1]),
        (rule("num_notes", "GTE", "9"), [0, 1]),
        (rule("num_notes", "LT", "10"), [0]),
        (rule("num_notes", "LTE", "10"), [0, 1]),
        (rule("num_notes", "BETWEEN", "10", highValue="11"), [1]),
        (rule("jobtitle", "HAS_PROPERTY"), [2]),
        (rule("jobtitle", "NOT_HAS_PROPERTY"), [0, 1]),
        (rule("jobtitle", "CONTAINS_TOKEN", "sales"), [2]),
        (rule("jobtitle", "CONTAINS_TOKEN", "sale"), []),
        (rule("email", "CONTAINS_TOKEN", "*@example.com"), [0]),
        (rule("createdate", "GTE", "1"), [0, 1, 2]),
    ],
)
def test_operators(site: Site, filter_: dict[str, Any], expected: list[int]) -> None:
    ids = people(site)
    assert [r["id"] for r in find(site, "contacts", filter_)["results"]] == [ids[n] for n in expected]


def test_filters_of_a_group_are_all_needed_and_groups_are_alternatives(site: Site) -> None:
    ids = people(site)
    groups = [
        {"filters": [rule("firstname", "EQ", "ada"), rule("num_notes", "EQ", "9")]},
        {"filters": [rule("jobtitle", "HAS_PROPERTY")]},
    ]
    found = site.call("POST", f"{V3}/contacts/search", 200, {"filterGroups": groups})
    assert [r["id"] for r in found["results"]] == [ids[0], ids[2]]


def test_a_bare_filters_array_is_accepted(site: Site) -> None:
    ids = people(site)
    found = site.call("POST", f"{V3}/contacts/search", 200, {"filters": [rule("firstname", "EQ", "ben")]})
    assert [r["id"] for r in found["results"]] == [ids[1]]


def test_shape_and_paging_by_offset(site: Site) -> None:
    ids = people(site)
    found = find(site, "contacts", limit=2, sorts=[{"propertyName": "hs_object_id", "direction": "DESCENDING"}])
    assert (found["total"], found["paging"]) == (3, {"next": {"after": "2"}})
    assert [r["id"] for r in found["results"]] == ids[:0:-1]
    last = find(site, "contacts", limit=2, after="2", sorts=["-hs_object_id"])
    assert [r["id"] for r in last["results"]] == ids[:1]
    assert "paging" not in last
    assert "associations" not in last["results"][0]


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 0},
        {"after": "9900", "limit": 200},
        {"after": "10000"},
        {"sorts": ["email", "firstname"]},
        {"filterGroups": [{"filters": [rule("email", "HAS_PROPERTY")]}] * 6},
        {"filterGroups": [{"filters": [rule("email", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [rule("email", "HAS_PROPERTY")] * 5}] * 4},
        {"filters": [rule("email", "CONTAINS_TOKEN", "x" * 3000)]},
        {"filters": [rule("email", "LIKE", "x")]},
        {"filters": [rule("no_such_thing", "EQ", "x")]},
        {"filters": [rule("email", "IN")]},
        {"filters": [rule("createdate", "GT", "yesterday")]},
    ],
)
def test_what_is_not_allowed(site: Site, body: dict[str, Any]) -> None:
    assert site.call("POST", f"{V3}/contacts/search", 400, body)["category"] == "VALIDATION_ERROR"


def test_bodies_are_not_filterable(site: Site) -> None:
    find(site, "emails", rule("hs_email_html", "HAS_PROPERTY"), expect=400)
    find(site, "notes", rule("hs_body_preview", "CONTAINS_TOKEN", "x"), expect=400)


def test_ten_thousand_rows_at_most(site: Site) -> None:
    site.emulator.control("generate", {"contacts": 10_050})
    page = find(site, "contacts", limit=200, after="9800")
    assert (page["total"], page["paging"]["next"]["after"]) == (10_050, "10000")
    find(site, "contacts", limit=200, after="10000", expect=400)


def test_contacts_have_a_last_modified_property_of_their_own(site: Site) -> None:
    people(site)
    assert find(site, "contacts", rule("lastmodifieddate", "GTE", "1"))["total"] == 3
    assert find(site, "contacts", rule("hs_lastmodifieddate", "GTE", "1"))["total"] == 0


def test_window_by_time_and_id_gives_each_row_once(site: Site) -> None:
    ids = people(site)
    site.clock.advance(60)
    for _ in range(2):
        site.emulator.control("touch", {"type": "contacts", "id": ids[1]})
    since = str(site.emulator.now_ms() - 1000)
    found = find(site, "contacts", rule("lastmodifieddate", "GTE", since), rule("hs_object_id", "GT", "1"))
    assert [r["id"] for r in found["results"]] == [ids[1]]
    assert find(site, "contacts", rule("lastmodifieddate", "BETWEEN", "1", highValue=since))["total"] == 2


def test_archived_objects_are_never_found(site: Site) -> None:
    ids = people(site)
    site.emulator.control("delete", {"type": "contacts", "id": ids[0]})
    assert find(site, "contacts")["total"] == 2


def test_by_association(site: Site) -> None:
    ids = people(site)
    properties = {"hs_timestamp": "1700000000000"}
    rows = [{"properties": properties, "associations": [{"to": "contacts", "id": i}]} for i in ids[:2]]
    notes = site.emulator.seed({"notes": rows})["notes"]
    found = find(site, "notes", rule("associations.contact", "EQ", ids[1]))
    assert [r["id"] for r in found["results"]] == [notes[1]]


def test_by_unique_property(site: Site) -> None:
    body = {"name": "ihub_key", "label": "K", "type": "string", "fieldType": "text", "groupName": "g"}
    site.call("POST", "/crm/v3/properties/notes", 201, {**body, "hasUniqueValue": True})
    rows = [{"properties": {"hs_timestamp": "1700000000000", "ihub_key": k}} for k in "ab"]
    notes = site.emulator.seed({"notes": rows})["notes"]
    found = find(site, "notes", rule("ihub_key", "EQ", "b"), properties=["ihub_key"])
    assert [(r["id"], r["properties"]["ihub_key"]) for r in found["results"]] == [(notes[1], "b")]


def test_free_text_query(site: Site) -> None:
    ids = people(site)
    assert [r["id"] for r in find(site, "contacts", query="FIRM.ex")["results"]] == [ids[2]]


def test_new_and_changed_objects_appear_only_after_the_lag(stage: Stage) -> None:
    site = stage.open(search_lag_s=30)
    (old,) = site.emulator.seed({"contacts": [{"properties": {"firstname": "Old"}}]})["contacts"]
    site.call("POST", f"{V3}/contacts", 201, {"properties": {"firstname": "New"}})
    site.call("PATCH", f"{V3}/contacts/{old}", 200, {"properties": {"firstname": "Changed"}})
    assert [r["properties"]["firstname"] for r in find(site, "contacts")["results"]] == ["Old"]
    assert len(site.call("GET", f"{V3}/contacts", 200)["results"]) == 2
    site.clock.advance(31)
    assert [r["properties"]["firstname"] for r in find(site, "contacts")["results"]] == ["Changed", "New"]


def test_a_lag_switched_on_later_hides_only_later_writes(site: Site) -> None:
    ids = people(site)
    site.emulator.control("flags", {"search_lag_s": 10})
    site.call("PATCH", f"{V3}/contacts/{ids[0]}", 200, {"properties": {"firstname": "Zoe"}})
    assert find(site, "contacts", rule("firstname", "EQ", "ada"))["total"] == 1
    site.clock.advance(11)
    assert find(site, "contacts", rule("firstname", "EQ", "zoe"))["total"] == 1
