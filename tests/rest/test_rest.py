"""REST: every route and every role, problem documents, sizes, and the same answers as the use cases give."""

import json
from typing import Any

import httpx
import pytest
from callers import API, KAY, NAMES, OPEN, ROUTES, Site
from databases import on_sqlite
from fastapi.routing import APIRoute
from world import START

from hub import inbox
from hub.access import Viewer, roles
from hub.rest import connections, hooks, operations, plans, who
from hub.rest import customers as customer_routes
from hub.rest import reports as report_routes
from hub.rest.guard import MOST_BYTES
from hub.service import Desk, customers
from hub.store import Store

ROUTERS = (customer_routes, who, plans, report_routes, connections, operations, hooks)


def described(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.send("GET", f"{API}/openapi.json").json()
    return found


def test_every_route_is_in_the_table(site: Site) -> None:
    found = {(m.upper(), p.removeprefix(API)) for p, of in described(site)["paths"].items() for m in of}
    assert found == set(ROUTES) | OPEN
    for route in [r for module in ROUTERS for r in module.router.routes] + operations.probes.routes:
        assert isinstance(route, APIRoute) and route.include_in_schema, route  # none that is not described


def test_every_route_asks_either_database_what_it_can_answer(site: Site) -> None:
    for (method, path), (_, query, body) in ROUTES.items():
        answer = site.ask(method, path.format(**NAMES) + query, json=body)
        assert answer.status_code in (200, 404, 409), (method, path, answer.text)


@on_sqlite
@pytest.mark.parametrize("role", roles.ROLES)
def test_a_route_is_open_to_the_roles_that_have_its_permission(site: Site, role: str) -> None:
    for (method, path), (permission, query, body) in ROUTES.items():
        url = path.format(**NAMES) + query
        answer = site.ask(method, url, role, json=body)
        is_allowed = role in roles.PERMISSIONS[permission].roles
        assert (answer.status_code == 403) is not is_allowed, (method, path, answer.text)
        assert answer.status_code in (200, 403, 404, 409), (method, path, answer.text)
        if not is_allowed:
            assert answer.json()["field"] == permission


@on_sqlite
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer x", "Basic eA==", "Bearer ihub_00000000_" + "0" * 38])
def test_without_a_token_that_opens_something_nothing_is_said(site: Site, given: str | None) -> None:
    for (method, path), (_, query, body) in ROUTES.items():
        url = path.format(**NAMES) + query
        answer = site.ask(method, url, headers={"authorization": given or ""}, json=body)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_answers_are_those_of_the_use_cases(site: Site) -> None:
    party = site.get("/parties?q=kay").json()["parties"][0]
    assert KAY in party["addresses"]
    here = Desk(site.world.engine, Viewer.local("tester"))
    page = site.get(f"/parties/{party['public_id']}/timeline?limit=1").json()
    assert page["entries"][0]["subject"] == "About m2"
    rest = site.get(f"/parties/{party['public_id']}/timeline?limit=1&before={page['next']}").json()
    assert [e["subject"] for e in rest["entries"]] == ["About m1"]
    assert rest["next"] is None
    told = customers.brief(here, party["public_id"])
    brief = site.get(f"/parties/{party['public_id']}").json()
    assert brief["last"]["public_id"] == told["last"]["public_id"]
    assert brief["relationship"]["interactions"] == 2
    entry = rest["entries"][0]["public_id"]
    assert site.get(f"/interactions/{entry}").json()["sources"][0]["connection"] == "a"
    assert site.get(f"/interactions/{entry}/body").json() == {"text": "New words.", "whole": "New words.\n> old"}
    assert len(site.get(f"/interactions/{entry}/conversation").json()["entries"]) == 2
    assert site.get("/health").json()["balanced"] is True


def test_reports_come_as_rows_and_as_files(site: Site) -> None:
    rows = site.get("/reports/volume?top=5").json()
    assert rows["figures"]["interactions"] == 1  # the other one is not over yet
    assert rows["report"] == "volume"
    found = site.get("/reports/volume.csv")
    assert found.headers["content-type"].startswith("text/csv")
    assert 'filename="volume.csv"' in found.headers["content-disposition"]
    assert found.text.splitlines()[0].split(",")[:1] == [rows["columns"][0]["name"]]
    wrong = site.get("/reports/silent-deals?days=x")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "days")
    assert site.get("/reports/silent-deals?nonsense=1").json()["field"] == "nonsense"


def test_an_answer_that_is_still_the_same_is_not_sent_again(site: Site) -> None:
    first = site.get("/parties?q=kay")
    same = site.get("/parties?q=kay", headers={"if-none-match": f'"x", {first.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    assert site.get("/parties?q=kay", headers={"if-none-match": '"x"'}).content == first.content
    assert first.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/parties", "q"), ("/parties?q=", "q"), (f"/parties?q={'x' * 201}", "q"), ("/parties?q=a&limit=0", "limit"),
        ("/parties?q=a&limit=x", "limit"), ("/parties/x/timeline?before=!", "before"), ("/plans/0", "number"),
        ("/parties/x/timeline?direction=sideways", "direction"), ("/parties/x/timeline?since=yesterday", "since"),
        ("/identity/reviews?above=nan", "above"), ("/identity/reviews?after=99999999999999999999", "after"),
        ("/parties/x/timeline?since=2026-01-01T00:00:00", "since"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(site: Site, path: str, field: str) -> None:
    party = site.get("/parties?q=kay").json()["parties"][0]["public_id"]
    answer = site.get(path.replace("/x/", f"/{party}/"))
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"{", 400), (b"null", 422), (b'{"act": "merge"}', 422), (b'{"act": "fly", "what": ["a"]}', 422),
        (b'{"act": "merge", "what": ["a", "b"], "actor": "me"}', 422),
        (b'{"act": "merge", "what": ["a", "b"]}', 404), (b'{"act": "undo", "what": ["x"]}', 422),
        (b'{"act": "merge", "what": ["a"]}', 422), (b'{"act": "merge", "what": [1, 2]}', 422), (b'{"act": "undo", "what": [1e400]}', 422),
        (b'{"act": "split", "what": [' + b'"a",' * 200 + b'"b"]}', 422), (b"[" * 100_000, 400), (b"\xff\xfe", 400),
        (b'{"act": "undo", "what": [9223372036854775808]}', 422), (b"x" * (MOST_BYTES + 1), 413),
        (b'{"act": "undo", "what": [4711]}', 409), (b'{"act": "accept", "what": [4711]}', 409),
    ],
)  # fmt: skip
def test_bad_bodies_are_refused_in_words(site: Site, body: bytes, status: int) -> None:
    answer = site.ask("POST", "/identity/acts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_addresses_and_methods_there_are_not(site: Site) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/parties", 405), ("GET", "/parties/", 404)):
        answer = site.ask(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)


@on_sqlite
def test_it_answers_over_a_real_socket(store: Store) -> None:
    site = Site(store)
    with inbox.serving(site.app, "127.0.0.1", 0) as url, httpx.Client(base_url=url) as client:
        assert (client.get("/healthz").text, client.get("/readyz").text) == ("ok", "ok")
        bearer = {"authorization": f"Bearer {site.tokens['viewer']}"}
        found = client.get(f"{API}/parties", params={"q": "kay"}, headers=bearer)
        assert found.json()["parties"][0]["addresses"] == [KAY]
        assert client.get(f"{API}/parties", params={"q": "kay"}).status_code == 401
        too_much = client.post(
            f"{API}/plans", headers=bearer, content=(b"x" * 100_000 for _ in range(20))
        )  # no length told
        assert too_much.status_code == 413


@on_sqlite
def test_acts_and_plans_are_made_over_http(store: Store) -> None:
    site = Site(store)
    kay = site.get("/parties?q=kay").json()["parties"][0]["public_id"]
    sam = site.get("/parties?q=sam").json()["parties"][0]["public_id"]
    preview = site.ask("POST", "/identity/acts", json={"act": "different", "what": [kay, sam], "is_preview": True})
    assert preview.json()["act"] is None
    done = site.ask("POST", "/identity/acts", json={"act": "different", "what": [kay, sam], "why": "two"}).json()
    assert site.get("/identity/acts").json()["acts"][0]["act"] == done["act"]
    assert site.ask("POST", "/identity/acts", json={"act": "undo", "what": [done["act"]]}).status_code == 200
    made = site.ask("POST", "/plans", json={})
    assert made.status_code == 201
    number = made.json()["plan"]
    assert site.get(f"/plans/{number}").json()["preview"]
    assert site.ask("POST", f"/plans/{number}/apply").status_code == 409  # nobody approved it
    assert site.ask("POST", f"/plans/{number}/approve", "agent").status_code == 403
    assert site.ask("POST", f"/plans/{number}/approve").json()["status"] == "approved"
    assert site.ask("POST", f"/plans/{number}/apply").json()["exit_code"] == 0
    assert site.ask("POST", f"/plans/{number}/undo").json()["exit_code"] == 0
    assert site.ask("POST", "/connections/a/sync").json()["status"] == "healthy"
    assert site.get("/plans").json()["plans"][0]["plan"] == number
    assert json.loads(site.get("/quarantine").content)["records"] == []
    assert START  # the clock is the world's
