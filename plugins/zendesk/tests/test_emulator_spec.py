"""Every call the connector makes and every answer the emulator gives against Zendesk's published specification.

The specification (2024-03) is older than some of what Zendesk does; what is known to differ stands in the tables below,
each row with the page or recording it comes from.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator

from hub.api import (
    Change,
    Identifier,
    Interaction,
    JournalEntry,
    Link,
    Organization,
    Participation,
    Person,
    Pull,
    RawRecord,
    Services,
    Task,
    Window,
)
from hub.testing import shared_path
from hub_zendesk import Zendesk
from hub_zendesk.emulator import ADMIN
from hub_zendesk.stand import START, TLS, Stand

# Parameters the specification does not list: (path, name) -> where they are documented.
PARAMETERS = {
    ("/api/v2/incremental/*", "per_page"): "guide Using the Incremental Export API: per_page, at most 1000",
    ("/api/v2/incremental/ticket_events", "include"): "the specification's own text: sideload comment_events",
    ("/api/v2/tickets", "sort"): "reference Tickets, List Tickets: cursor pagination sorts by updated_at, id, status",
    ("*", "page[size]"): "guide Pagination: cursor pagination on list end points",
    ("*", "page[after]"): "guide Pagination: cursor pagination on list end points",
    ("*", "per_page"): "guide Pagination: offset pagination on list end points",
    ("*", "include"): "guide Side-loading: comment_count on tickets",
    ("/api/v2/satisfaction_ratings", "start_time"): "reference Satisfaction Ratings, List: filters",
    ("/api/v2/satisfaction_ratings", "end_time"): "reference Satisfaction Ratings, List: filters",
}
# Answers not held against the specification: its schema is another object's.
UNCHECKED = {"/api/v2/incremental/ticket_events": "the specification gives the schema of metric events"}
# What is in answers although the schema does not have it.
VALUES = {
    r"GET /api/v2/incremental/tickets/cursor 200 tickets/\d+/status: enum .*, not deleted": (
        "guide Using the Incremental Export API: deleted tickets come with this status (1,032 recorded rows)"
    ),
}


@cache
def document() -> dict[str, Any]:
    path = shared_path("vendors/zendesk/zendesk-support-2024-03.openapi.json")
    if path is None:
        pytest.skip("the vendor's specification is not beside the checkout")
    found: dict[str, Any] = json.loads(path.read_text())
    _open_to_null(found["components"]["schemas"])
    return found


def _open_to_null(node: Any) -> None:
    """OpenAPI's `nullable` in JSON Schema; and null for any typed field: live rows hold null where the specification
    says text or number (recorded tickets of 2026-05: external_id, type, due_at, group_id ...)."""
    if isinstance(node, list):
        for inner in node:
            _open_to_null(inner)
    elif isinstance(node, dict):
        for inner in node.values():
            _open_to_null(inner)
        if isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        if "enum" in node and isinstance(node["enum"], list):
            node["enum"] = [*node["enum"], None]


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def template(path: str) -> str:
    """The specification's path for a called one; those without variables first."""
    path = path.removesuffix(".json")
    for known in sorted(document()["paths"], key=lambda p: p.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", known), path):
            return str(known)
    return ""


def problems(value: Any, schema: dict[str, Any]) -> list[str]:
    validator = Draft202012Validator({**schema, "components": document()["components"]})
    return [
        f"{'/'.join(map(str, e.absolute_path))}: {e.validator} {str(e.validator_value)[:80]}, not {str(e.instance)[:20]}"
        for e in validator.iter_errors(value)
    ]


class Recorder(httpx.AsyncHTTPTransport):
    """Passes calls on and keeps what was said."""

    def __init__(self) -> None:
        super().__init__(verify=TLS)
        self.said: list[tuple[httpx.Request, int, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        self.said.append((request, response.status_code, body))

        async def again() -> AsyncIterator[bytes]:
            yield body

        headers = [(k, v) for k, v in response.headers.raw if k.lower() != b"transfer-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=again())


async def everything(desk: Stand, connector: Zendesk) -> None:
    """Each method of the connector, with something to do."""
    await connector.check()
    for stream in connector.manifest.streams:
        await connector.estimate(stream.name, Window())
        records: list[RawRecord] = []
        async for page in connector.pull(Pull(stream.name, None, Window())):
            records += page.records
            cursor = page.cursor
        async for _ in connector.pull(Pull(stream.name, cursor, Window())):
            pass
        if stream.name != "metric_events":
            assert records, stream.name
            assert await connector.fetch(stream.name, [r.external_id for r in records[:3]])
            await connector.census(stream.name, Window(since=START.replace(year=2020)))
    ada = Identifier("email", "ada@example.org")
    sent = Interaction(
        external_id="i", kind="message", channel="email", direction="outbound", subject="Offer", text="Words.",
        occurred_at=START, participants=(Participation(identifier=ada, role="to"),),
    )  # fmt: skip
    ticket = next(i for i, t in desk.desk.tickets.items() if t["status"] == "open")
    company = Organization(external_id="o", name="Oak", identifiers=(Identifier("domain", "oak.example"),))
    person = Person(external_id="p", name="Ada", identifiers=(ada,), fields={"phone": "+15550100"})
    changes = [
        Change(key="org", kind="organization", op="upsert", entity=company),
        Change(key="per", kind="person", op="upsert", entity=person),
        Change(key="one", kind="interaction", op="upsert", entity=sent),
        Change(key="two", kind="interaction", op="upsert", entity=sent, links=(Link("ticket", "t", str(ticket)),)),
        Change(key="task", kind="task", op="upsert", entity=Task(external_id="t", title="Call", due_at=START)),
    ]
    for change in changes:
        (receipt,) = await connector.push([change])
        assert receipt.outcome in {"created", "updated"}, receipt
        (again,) = await connector.push([change])
        assert again.outcome in {"created", "unchanged"}
        assert [f.key for f in await connector.find(change.kind, [change.key])] == [change.key]
        (undone,) = await connector.undo([JournalEntry(change=change, receipt=receipt)])
        assert undone.outcome in {"deleted", "updated"}
    known = next(i for i, u in desk.desk.users.items() if u["email"] == "ada@example.org" and u["active"])
    bare = Person(external_id="f", fields={"phone": "", "description": "", "renewal": ""})
    for entity in (Person(external_id="f", fields={"phone": "1", "description": "x", "renewal": "2026-03-10"}), bare):
        change = Change(key="f", kind="person", op="upsert", entity=entity, remote_id=str(known))
        assert [r.outcome for r in await connector.push([change])] == ["updated"]


@pytest.fixture
def said(desk: Stand) -> list[tuple[httpx.Request, int, bytes]]:
    document()
    desk.desk.custom["users"].append("renewal")
    ada = desk.user("Ada", "ada@example.org")
    desk.desk.put_organization({"name": "Pine", "domain_names": ["pine.example"]}, desk.desk.back(5000))
    via = {"channel": "email", "source": {"from": {"address": "ada@example.org"}, "to": {}, "rel": None}}
    mail = {"body": "It burns.", "author_id": ada, "via": via, "message_id": "<m1@example.org>"}
    first = desk.ticket(mail, {"body": "Ours.", "public": False}, requester_id=ada, ago=4000)
    second = desk.ticket(ago=3000)
    desk.desk.put_rating({"ticket_id": first, "score": "bad", "comment": "Slow."}, desk.desk.back(2000))
    desk.desk.delete_ticket(desk.ticket(ago=2500))
    desk.desk.merge_tickets(first, [second], ADMIN)
    desk.wait(200)
    recorder = Recorder()

    async def run() -> None:
        services = Services("team", desk.clock, desk.tokens, desk.ledger, recorder, jitter=lambda: 0.5)
        connector = Zendesk(
            Zendesk.settings_model.model_validate(
                desk.settings(plan="support-team", user_fields={"renewal": "renewal"})
            ),
            services,
        )
        try:
            await everything(desk, connector)
        finally:
            await connector.aclose()

    asyncio.run(run())
    return [s for s in recorder.said if "/oauth/" not in str(s[0].url)]


def test_every_call_and_every_answer_is_the_specifications(said: list[tuple[httpx.Request, int, bytes]]) -> None:
    wrong: list[str] = []
    differs: Counter[str] = Counter()
    paths: set[str] = set()
    for request, status, body in said:
        url = urlsplit(str(request.url))
        path = template(url.path)
        where = f"{request.method} {path or url.path}"
        operation = document()["paths"].get(path, {}).get(request.method.lower())
        if operation is None:
            wrong.append(f"{where}: no such call")
            continue
        paths.add(where)
        common = document()["paths"][path].get("parameters", [])
        known = {resolve(p)["name"] for p in [*common, *operation.get("parameters", [])]}
        for name, _ in parse_qsl(url.query):
            if name not in known:
                row = next(
                    (k for k in PARAMETERS if k[1] == name and (k[0] in {path, "*"} or _under(path, k[0]))), None
                )
                differs[f"{path} {name}"] += 1
                if row is None:
                    wrong.append(f"{where}: parameter {name}")
        content = resolve(operation.get("requestBody", {})).get("content", {}).get("application/json")
        if request.content and content:
            wrong += [f"{where} body {p}" for p in problems(json.loads(request.content), content["schema"])]
        if status >= 400:
            continue  # errors are not in the specification
        answers = operation["responses"]
        if str(status) not in answers:
            wrong.append(f"{where}: status {status}, not one of {sorted(answers)}")
            continue
        schema = resolve(answers[str(status)]).get("content", {}).get("application/json", {}).get("schema")
        if path in UNCHECKED:
            differs[f"{path} answer"] += 1
        elif schema and body:
            wrong += [f"{where} {status} {p}" for p in problems(json.loads(body), schema)]
    explained = {w for w in wrong if any(re.match(v, w) for v in VALUES)}
    assert sorted(set(wrong) - explained) == []
    assert explained  # none is listed that does not happen
    print(f"{len(said)} calls of {len(paths)} kinds; differences: {sorted(differs)} and {sorted(explained)}")
    assert len(said) >= 80
    assert len(paths) >= 30
    assert len(differs) <= 25, differs


def _under(path: str, pattern: str) -> bool:
    return pattern.endswith("*") and path.startswith(pattern[:-1])
