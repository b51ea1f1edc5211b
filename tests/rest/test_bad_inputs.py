"""72 bad inputs through REST: each refused by one clear problem document, or stored and shown harmlessly; none is a 500."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from acorn import Vendor
from callers import API, KAY, ROUTES, Site
from cryptography.fernet import Fernet
from databases import on_sqlite
from estates import kept
from hostile import ELSEWHERE, REQUESTS, TEXTS, Bad
from world import mail, who

from hub.access import Door
from hub.rest import create_app
from hub.store import Store, marks


class Hostile(Site):
    """Every text is said by somebody who is called so."""

    def seed(self, vendor: Vendor) -> None:
        for n, text in TEXTS.items():
            people = (who(f"n{n}@firm{n}.example", "from", text), who("sam@ourco.example", "to"))
            vendor.mail(mail(f"h{n}", participants=people, subject=text, text=text, body=text))


@pytest.fixture
def bad(kept_store: Store, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())  # else webhooks are refused for want of one
    return kept(kept_store, "hostile", Hostile)


def test_each_of_the_72_is_driven_somewhere() -> None:
    assert sorted({*TEXTS, *REQUESTS, *ELSEWHERE}) == list(range(1, 73))


def harmless(answer: httpx.Response) -> Any:
    """What was answered, which is JSON (or a CSV file) and says so."""
    assert answer.status_code < 500, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) >= {"type", "title", "status", "detail"}
        assert problem["status"] == answer.status_code
        assert problem["detail"] or answer.status_code == 404
        return problem
    if answer.headers["content-type"] == "application/json":
        return answer.json()
    return answer.text


@pytest.mark.parametrize("number", TEXTS)
def test_a_bad_text_is_harmless_wherever_it_is_given(bad: Hostile, number: int) -> None:
    text = TEXTS[number]
    given, party = quote(text[:200], safe=""), bad.get(f"/parties?q={KAY}").json()["parties"][0]["public_id"]
    of_kay = f"/parties/{party}/timeline"
    for path in (
        f"/parties?q={given}", f"/search?q={given}", f"/parties/{given}", f"{of_kay}?channel={given[:32]}",
        f"{of_kay}?connection={quote(text[:20])}", f"/items?party={given}", f"/identity/why-same?a={given}&b={KAY}",
        f"/reports/volume?account={given}", f"/connections/{given}/runs",
    ):  # fmt: skip
        harmless(bad.get(path))
    act = {"act": "merge", "what": [text[:200] or "-", party], "why": text[:500], "is_preview": True}
    assert harmless(bad.ask("POST", "/identity/acts", json=act))["status"] in (404, 422)
    harmless(bad.ask("POST", "/plans", json={"destination": text[:64]}))


@on_sqlite
def test_what_strangers_say_is_shown_as_they_said_it_and_as_json(bad: Hostile) -> None:
    for number, text in TEXTS.items():
        party = bad.get(f"/parties?q=n{number}@firm{number}.example").json()["parties"][0]["public_id"]
        page = harmless(bad.get(f"/parties/{party}/timeline"))
        entry = page["entries"][0]
        body = harmless(bad.get(f"/interactions/{entry['public_id']}/body"))
        assert body["whole"].split() == text.split() or number in (26, 27, 40, 47), number
        harmless(bad.get(f"/interactions/{entry['public_id']}"))
        harmless(bad.get(f"/parties/{party}"))


def test_no_cell_of_a_file_is_a_formula(bad: Hostile) -> None:
    rows = list(csv.reader(io.StringIO(harmless(bad.get("/reports/volume.csv?top=100")))))
    assert len(rows) > 20
    assert not [cell for row in rows for cell in row if cell[:1] in "=+@\t\r" and cell]


def refused(bad: Hostile, requests: list[Bad]) -> None:
    party = bad.get(f"/parties?q={KAY}").json()["parties"][0]["public_id"]
    for asked in requests:
        answer = bad.ask(asked.method, asked.path.replace("PARTY", party), content=asked.body, headers=asked.headers)
        harmless(answer)
        assert answer.status_code in asked.statuses, (asked.method, asked.path, (asked.body or b"")[:80], answer.text)


@on_sqlite
@pytest.mark.parametrize("number", REQUESTS)
def test_a_bad_request_is_refused_in_words(bad: Hostile, number: int) -> None:
    refused(bad, REQUESTS[number])


def test_what_is_odd_and_gets_as_far_as_the_database(bad: Hostile) -> None:
    for number in (12, 52, 56, 57, 69):
        refused(bad, REQUESTS[number])


@on_sqlite
def test_any_route_takes_a_body_as_json_or_not_at_all(bad: Hostile) -> None:
    for (method, path), (_, query, body) in ROUTES.items():
        if body is not None:
            url = path.format(public_id="x", number=1, name="x", endpoint="x", event="x", item="x") + query
            answer = bad.ask(method, url, content=json.dumps(body), headers={"content-type": "text/plain"})
            assert answer.status_code == 415, (method, path)


@on_sqlite
def test_a_request_that_never_comes_is_let_go(bad: Hostile) -> None:
    app = create_app(bad.world.engine, Door(bad.world.store, bad.world.engine.clock), patience_s=0.01)
    scope = {
        "type": "http", "method": "POST", "path": f"{API}/plans", "raw_path": b"", "query_string": b"", "headers": [],
        "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("h", 1), "client": ("c", 1),
    }  # fmt: skip
    sent: list[Any] = []

    async def said(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        await asyncio.Event().wait()

    asyncio.run(app(scope, nothing, said))
    assert sent[0]["status"] == 408
    assert b"not whole" in sent[1]["body"]


@pytest.fixture
def telling(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    yield Site(store)
    marks.arm(store, ())


def test_a_bad_text_that_is_kept_comes_back_as_it_was(telling: Site) -> None:
    made = telling.ask("POST", "/webhooks", json={"url": "https://hooks.example/in"}).json()["endpoint"]
    for text in TEXTS.values():
        edited = harmless(telling.ask("PATCH", f"/webhooks/{made}", json={"description": text[:256]}))
        assert edited["description"].split() == text[:256].split()
        harmless(telling.ask("POST", f"/webhooks/{made}/pause", json={"why": text[:200]}))
    url = {"url": "https://hooks.example/" + quote(TEXTS[30])}
    assert harmless(telling.ask("PATCH", f"/webhooks/{made}", json=url))["url"] == url["url"]
