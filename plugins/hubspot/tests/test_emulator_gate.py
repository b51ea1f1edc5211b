"""The HubSpot emulator's door (tokens, scopes, limits) and its fault switchboard and control commands."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hub_hubspot.emulator import HubSpotEmulator
from hub_hubspot.emulator.stage import Site, Stage

V3 = "/crm/v3/objects"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage().running() as running:
        yield running


@pytest.fixture
def site(stage: Stage) -> Site:
    return stage.open()


def fill(site: Site, count: int) -> list[str]:
    rows = [{"properties": {"email": f"p{n}@example.com"}} for n in range(count)]
    return site.emulator.seed({"contacts": rows})["contacts"]


def listed(site: Site, **params: Any) -> list[str]:
    return [r["id"] for r in site.call("GET", f"{V3}/contacts", 200, limit=100, **params)["results"]]


def refresh(site: Site, version: str = "v1", **form: str) -> httpx.Response:
    given = {"client_id": "test-client", "client_secret": "test-secret", "refresh_token": "test-refresh"}
    return site.client.post(f"/oauth/{version}/token", data={"grant_type": "refresh_token", **given, **form})


def with_token(site: Site, token: str) -> httpx.Response:
    return site.client.get(f"{V3}/contacts", headers={"authorization": f"Bearer {token}"})


# Tokens and scopes


def test_an_unknown_token_is_401(site: Site) -> None:
    answer = with_token(site, "wrong")
    assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")


@pytest.mark.parametrize("version", ["v1", "v3", "2026-03"])
def test_refreshed_tokens_live_half_an_hour(site: Site, version: str) -> None:
    answer = refresh(site, version).json()
    assert (answer["expires_in"], answer["hub_id"]) == (1800, 4242424)
    assert with_token(site, answer["access_token"]).status_code == 200
    site.clock.advance(1801)
    assert with_token(site, answer["access_token"]).json()["category"] == "EXPIRED_AUTHENTICATION"
    assert with_token(site, refresh(site).json()["access_token"]).status_code == 200


def test_a_wrong_refresh_token_is_400(site: Site) -> None:
    answer = refresh(site, refresh_token="stolen")
    assert (answer.status_code, answer.json()["status"]) == (400, "BAD_REFRESH_TOKEN")
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/crm/v3/objects/contacts", "crm.objects.contacts.read"),
        ("POST", "/crm/v3/objects/contacts", "crm.objects.contacts.write"),
        ("POST", "/crm/v3/objects/0-2/search", "crm.objects.companies.read"),
        ("GET", "/crm/v3/objects/tickets", "tickets"),
        ("GET", "/crm/v3/objects/emails", "sales-email-read"),
        ("POST", "/crm/v3/objects/notes/batch/upsert", "crm.objects.contacts.write"),
        ("GET", "/crm/v3/owners", "crm.objects.owners.read"),
        ("POST", "/crm/v3/properties/deals", "crm.schemas.deals.write"),
        ("POST", "/crm/v4/associations/contacts/tickets/batch/read", "tickets"),
    ],
)
def test_a_missing_scope_is_named(site: Site, method: str, path: str, scope: str) -> None:
    site.emulator.faults.add("deny_scope", scope=scope)
    body = site.call(method, path, 403, {} if method == "POST" else None)
    assert body["category"] == "MISSING_SCOPES"
    assert body["errors"][0]["context"]["requiredGranularScopes"] == [scope]


def test_tokens_have_scopes_of_their_own(stage: Stage) -> None:
    site = stage.open(scopes=["crm.objects.contacts.read"])
    site.call("GET", f"{V3}/contacts", 200)
    site.call("GET", f"{V3}/deals", 403)
    site.emulator.control("token", {"value": "test-token", "scopes": ["crm.objects.deals.read"]})
    site.call("GET", f"{V3}/contacts", 403)
    site.call("GET", f"{V3}/deals", 200)


def test_inline_links_to_a_type_without_scope_are_left_out(site: Site) -> None:
    (contact,) = fill(site, 1)
    ticket = {"subject": "T", "hs_pipeline": "0", "hs_pipeline_stage": "1"}
    site.emulator.seed({"tickets": [{"properties": ticket, "associations": [{"to": "contacts", "id": contact}]}]})
    assert "tickets" in site.call("GET", f"{V3}/contacts", 200, associations="tickets")["results"][0]["associations"]
    site.emulator.faults.add("deny_scope", scope="tickets")
    assert "associations" not in site.call("GET", f"{V3}/contacts", 200, associations="tickets")["results"][0]


# Limits


def test_ten_second_limit_with_headers(stage: Stage) -> None:
    site = stage.open(rate_per_10s=2, daily=100)
    first = site.client.get(f"{V3}/contacts").headers
    assert first["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert (first["x-hubspot-ratelimit-max"], first["x-hubspot-ratelimit-remaining"]) == ("2", "1")
    assert (first["x-hubspot-ratelimit-daily"], first["x-hubspot-ratelimit-daily-remaining"]) == ("100", "99")
    site.call("GET", f"{V3}/contacts", 200)
    body = site.call("GET", f"{V3}/contacts", 429)
    assert (body["errorType"], body["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
    site.clock.advance(11)
    site.call("GET", f"{V3}/contacts", 200)


def test_search_has_a_limit_of_its_own_and_no_rate_headers(stage: Stage) -> None:
    site = stage.open(rate_per_10s=1, search_per_s=2)
    for _ in range(2):
        headers = site.client.post(f"{V3}/contacts/search", json={}).headers
        assert not [h for h in headers if h.startswith("x-hubspot-ratelimit")]
    body = site.call("POST", f"{V3}/contacts/search", 429, {})
    assert body["message"] == "You have reached your secondly limit."
    site.clock.advance(1.5)
    site.call("POST", f"{V3}/contacts/search", 200, {})


def test_the_daily_limit_ends_at_midnight_of_the_portal(stage: Stage) -> None:
    site = stage.open(daily=1)
    site.call("GET", f"{V3}/contacts", 200)
    body = site.call("GET", f"{V3}/contacts", 429)
    assert (body["message"], body["policyName"]) == ("You have reached your daily limit.", "DAILY")
    site.clock.advance(timedelta(hours=13, minutes=59).total_seconds())
    site.call("GET", f"{V3}/contacts", 429)
    site.clock.advance(120)  # 10:00 in Berlin + 14 hours
    site.call("GET", f"{V3}/contacts", 200)


def test_oauth_apps_get_no_daily_headers(stage: Stage) -> None:
    site = stage.open(rate_per_10s=110, daily=100)
    headers = with_token(site, refresh(site).json()["access_token"]).headers
    assert headers["x-hubspot-ratelimit-max"] == "110"
    assert "x-hubspot-ratelimit-daily" not in headers


def test_a_url_that_is_too_long_is_414(site: Site) -> None:
    site.call("GET", f"{V3}/contacts", 414, properties=",".join(["email"] * 2000))


# Faults


def test_hidden_objects_are_missing_from_lists_and_search_only(site: Site) -> None:
    ids = fill(site, 5)
    site.emulator.faults.add("hide", path="/contacts", ids=[ids[1]])
    assert listed(site) == [i for i in ids if i != ids[1]]
    assert site.call("POST", f"{V3}/contacts/search", 200, {})["total"] == 4
    assert site.call("GET", f"{V3}/contacts/{ids[1]}", 200)["id"] == ids[1]


def test_vanished_objects_are_nowhere_not_even_archived(site: Site) -> None:
    ids = fill(site, 40)
    site.emulator.faults.add("vanish", type="contacts", share=0.3)
    left = listed(site)
    gone = [i for i in ids if i not in left]
    assert 5 <= len(gone) <= 20
    site.call("GET", f"{V3}/contacts/{gone[0]}", 404)
    assert listed(site, archived="true") == []
    assert site.call("POST", f"{V3}/contacts/batch/read", 207, {"inputs": [{"id": gone[0]}]})["results"] == []


@pytest.mark.parametrize("how", ["types", "enum", "date", "shape"])
def test_poisoned_objects_have_values_of_the_wrong_kind(site: Site, how: str) -> None:
    ids = fill(site, 2)
    site.emulator.faults.add("poison", ids=[ids[0]], how=how)
    rows = site.call("GET", f"{V3}/contacts", 200, properties="email,lifecyclestage")["results"]
    spoilt, sound = (r["properties"] for r in rows)
    assert sound["lifecyclestage"] == "lead"
    if how == "types":
        assert isinstance(spoilt["email"], dict)
    elif how == "enum":
        assert (spoilt["email"], spoilt["lifecyclestage"]) == ("p0@example.com", "A_VALUE_OF_2031")
    elif how == "date":
        assert spoilt["createdate"] == "yesterday-ish"
    else:
        assert isinstance(spoilt, list)


def test_page_loop_gives_the_same_after_for_ever(site: Site) -> None:
    fill(site, 9)
    site.emulator.faults.add("page_loop")
    after = site.call("GET", f"{V3}/contacts", 200, limit=2)["paging"]["next"]["after"]
    page = site.call("GET", f"{V3}/contacts", 200, limit=2, after=after)
    assert page["paging"]["next"]["after"] == after
    search = site.call("POST", f"{V3}/contacts/search", 200, {"limit": 2, "after": "2"})
    assert search["paging"]["next"]["after"] == "2"


def test_an_expired_token_needs_one_refresh(site: Site) -> None:
    token = refresh(site).json()["access_token"]
    site.emulator.faults.add("expire_token", times=1)
    assert with_token(site, token).status_code == 401
    assert with_token(site, token).status_code == 401
    assert with_token(site, refresh(site).json()["access_token"]).status_code == 200


def test_a_revoked_grant_refuses_calls_and_refreshing(site: Site) -> None:
    site.emulator.faults.add("revoke_token")
    site.call("GET", f"{V3}/contacts", 401)
    assert refresh(site).status_code == 400
    site.emulator.faults.clear()
    site.call("GET", f"{V3}/contacts", 200)


@pytest.mark.parametrize(("policy", "words"), [("DAILY", "daily"), ("TEN_SECONDLY_ROLLING", "ten_secondly_rolling")])
def test_quota_fault(site: Site, policy: str, words: str) -> None:
    site.emulator.faults.add("quota", policy=policy, times=1)
    body = site.call("GET", f"{V3}/contacts", 429)
    assert (body["policyName"], body["message"]) == (policy, f"You have reached your {words} limit.")
    site.call("GET", f"{V3}/contacts", 200)


def test_locked_records_answer_423_for_two_seconds(site: Site) -> None:
    (id_,) = fill(site, 1)
    site.emulator.control("lock", {"type": "contacts", "id": id_})
    change = {"properties": {"firstname": "A"}}
    site.call("PATCH", f"{V3}/contacts/{id_}", 423, change)
    site.clock.advance(2.1)
    site.call("PATCH", f"{V3}/contacts/{id_}", 200, change)


def test_a_moving_account_answers_477_with_retry_after(site: Site) -> None:
    site.emulator.control("flags", {"migration_s": 7})
    answer = site.client.get(f"{V3}/contacts")
    assert (answer.status_code, answer.headers["retry-after"]) == (477, "7")


def test_a_dropped_answer_was_carried_out() -> None:
    emulator = HubSpotEmulator()
    with emulator.serve() as served, httpx.Client(base_url=served.url) as client:
        emulator.faults.add("drop_answer", method="POST", times=1)
        with pytest.raises(httpx.HTTPError):
            client.post(f"{V3}/contacts", json={"properties": {}}, headers={"authorization": "Bearer test-token"})
    assert emulator.state()["objects"]["contacts"] == 1


# Control over HTTP


def test_seed_state_dump_and_clock_over_http(site: Site) -> None:
    body = {
        "owners": [{"id": "70", "email": "o@example.com"}],
        "objects": {
            "contacts": [{"id": "501", "properties": {"email": "a@example.com", "hubspot_owner_id": "70"}}],
            "notes": [
                {
                    "properties": {"hs_timestamp": "1700000000000", "hs_note_body": "n"},
                    "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-02-01T00:00:00Z",
                    "associations": [{"to": "contact", "id": "501"}],
                }
            ],
        },
    }  # fmt: skip
    found = site.call("POST", "/_emulator/seed", 200, body)
    assert found == {"owners": ["70"], "objects": {"contacts": ["501"], "notes": ["1001"]}}
    row = site.call("GET", f"{V3}/notes/1001", 200)
    assert (row["createdAt"], row["updatedAt"]) == ("2025-01-01T00:00:00.000Z", "2025-02-01T00:00:00.000Z")
    state = site.call("GET", "/_emulator/state", 200)
    assert (state["objects"]["contacts"], state["associations"], state["webhooks"]["pending"]) == (1, 1, 0)
    dump = site.call("POST", "/_emulator/dump", 200, {"type": "notes", "properties": ["hs_note_body"]})
    assert dump == [{"id": "1001", "properties": {"hs_note_body": "n"}, "associations": {"contacts": ["501"]}}]
    assert site.call("POST", "/_emulator/now", 200, {"advance_s": 60}) == {"now": "2026-11-21T09:01:00.000Z"}
    assert site.call("POST", "/_emulator/now", 200, {"at": "2027-01-01T00:00:00Z"})["now"].startswith("2027-01-01")


def test_doubled_keys_are_counted(site: Site) -> None:
    body = {"name": "ihub_key", "label": "K", "type": "string", "fieldType": "text", "groupName": "g"}
    site.call("POST", "/crm/v3/properties/notes", 201, body)
    row = {"properties": {"hs_timestamp": "1700000000000", "ihub_key": "k"}}
    site.call("POST", f"{V3}/notes/batch/create", 201, {"inputs": [row, row]})
    assert site.emulator.state()["duplicates"] == {"notes": {"k": 2}}


def test_generated_objects_are_many_and_linked(site: Site) -> None:
    site.call("POST", "/_emulator/generate", 200, {"contacts": 20, "emails": 30})
    state = site.emulator.state()
    assert (state["objects"]["contacts"], state["objects"]["emails"], state["associations"]) == (20, 30, 30)
    rows = site.call("GET", f"{V3}/emails", 200, limit=100, properties="hs_email_from_email")["results"]
    assert rows[0]["properties"]["hs_email_from_email"].endswith(".example")


def test_an_unknown_command_names_the_known_ones(site: Site) -> None:
    with pytest.raises(KeyError, match="known: associate, delete"):
        site.emulator.control("explode", {})
