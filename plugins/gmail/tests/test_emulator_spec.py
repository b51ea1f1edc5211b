"""The Gmail emulator against Google's discovery document: paths, scopes, parameters, enums and answer shapes."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hub.testing import shared_path
from hub_gmail.emulator import GmailEmulator
from hub_gmail.emulator.api import COMMON_PARAMS, ENDPOINTS
from hub_gmail.emulator.history import TYPES
from hub_gmail.emulator.oauth import short
from hub_gmail.emulator.quota import UNITS
from hub_gmail.emulator.reads import FORMATS

ADA = "ada@example.com"
START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    path = shared_path("vendors/gmail/gmail.v1.discovery.json")
    if path is None:
        pytest.skip("the vendor's discovery document is not beside the checkout")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def methods(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By id without "gmail.users."."""
    found: dict[str, dict[str, Any]] = {}

    def walk(node: dict[str, Any]) -> None:
        for method in node.get("methods", {}).values():
            found[method["id"].removeprefix("gmail.users.")] = method
        for child in node.get("resources", {}).values():
            walk(child)

    walk(document["resources"]["users"])
    return found


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_each_method_is_the_documents(endpoint: Any, methods: dict[str, dict[str, Any]]) -> None:
    method = methods[endpoint.name]
    assert method["httpMethod"] == endpoint.method
    assert method["path"] == "gmail/v1/users/{userId}/" + endpoint.path
    in_query = {name for name, p in method["parameters"].items() if p["location"] == "query"}
    assert endpoint.params == in_query
    # Add-on scopes belong to scripts inside Gmail and are left out.
    assert endpoint.scopes == {short(s) for s in method["scopes"] if "addons" not in s}
    assert endpoint.name in UNITS


def test_enums_and_common_parameters(document: dict[str, Any], methods: dict[str, dict[str, Any]]) -> None:
    assert set(methods["history.list"]["parameters"]["historyTypes"]["enum"]) == set(TYPES)
    assert set(methods["messages.get"]["parameters"]["format"]["enum"]) == set(FORMATS)
    assert set(document["parameters"]) == COMMON_PARAMS
    assert set(TYPES.values()) < set(document["schemas"]["History"]["properties"])
    assert document["batchPath"] == "batch"


def mismatches(value: Any, schema: dict[str, Any], schemas: dict[str, Any], at: str) -> Iterator[str]:
    """What in `value` the schema does not allow: unknown keys, other types, number formats, enum values."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kind, form = schema.get("type"), schema.get("format")
    if kind == "object":
        if not isinstance(value, dict):
            yield f"{at}: not an object"
            return
        for key, inner in value.items():
            if key not in schema.get("properties", {}):
                yield f"{at}.{key}: unknown"
            else:
                yield from mismatches(inner, schema["properties"][key], schemas, f"{at}.{key}")
    elif kind == "array":
        if not isinstance(value, list) or not value:
            yield f"{at}: not a filled array"
            return
        for n, inner in enumerate(value):
            yield from mismatches(inner, schema["items"], schemas, f"{at}[{n}]")
    else:
        types: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
        patterns = {"uint64": r"\d+", "int64": r"-?\d+", "byte": r"[A-Za-z0-9_-]*"}
        if not isinstance(value, types[str(kind)]):
            yield f"{at}: {value!r} is no {kind}"
        elif isinstance(value, str) and form in patterns and not re.fullmatch(patterns[form], value):
            yield f"{at}: {value[:40]!r} is no {form}"
        elif "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {value!r} is not in the enum"


def test_the_checker_finds_what_is_wrong(document: dict[str, Any]) -> None:
    bad = {"id": 1, "historyId": "12a", "extra": "", "labelIds": [], "payload": {"body": {"data": "a="}}}
    found = list(mismatches(bad, {"$ref": "Message"}, document["schemas"], "m"))
    assert len(found) == 5


def rich_message() -> bytes:
    blob = base64.encodebytes(b"%PDF" * 1000)
    return (
        b"Message-ID: <r@example.org>\nDate: Mon, 22 Apr 2024 10:00:00 +0000\nFrom: b@example.org\n"
        b'To: ada@example.com\nSubject: Plan\nContent-Type: multipart/mixed; boundary="o"\n\n'
        b"--o\nContent-Type: text/plain\n\nwords\n"
        b'--o\nContent-Type: application/pdf; name="p.pdf"\nContent-Transfer-Encoding: base64\n\n' + blob + b"--o--\n"
    )


def test_every_answer_has_the_documents_shape(document: dict[str, Any], methods: dict[str, dict[str, Any]]) -> None:
    emulator = GmailEmulator(now=lambda: START)
    emulator.add_mailbox(ADA, aliases=("sales@example.com",))
    first = emulator.add_message(ADA, rich_message(), ("INBOX", "UNREAD", "Partners"))
    extra = [emulator.add_message(ADA, b"Subject: s\n\n") for _ in range(3)]
    raw = base64.urlsafe_b64encode(b"To: c@example.org\nSubject: Plan\n\nhi").rstrip(b"=").decode()
    start = str(emulator.mailboxes[ADA].history.floor)
    seen: set[str] = set()
    with emulator.serve() as running, httpx.Client(timeout=30) as client:
        headers = {"authorization": f"Bearer {emulator.access_token(ADA, ('full',))}"}

        def call(name: str, body: Any = None, ids: tuple[str, ...] = (), **params: Any) -> Any:
            seen.add(name)
            method = methods[name]
            path = re.sub(r"\{userId\}", "me", method["path"])
            for value in ids:
                path = re.sub(r"\{\w+\}", value, path, count=1)
            answer = client.request(
                method["httpMethod"], f"{running.url}/{path}", params=params, json=body, headers=headers
            )
            if "response" not in method:
                assert (answer.status_code, answer.content) == (204, b""), name
                return None
            assert answer.status_code == 200, answer.text
            wrong = list(mismatches(answer.json(), method["response"], document["schemas"], name))
            assert wrong == []
            return answer.json()

        call("getProfile")
        call("messages.list", maxResults=2)
        call("threads.list", maxResults=2)
        for form in FORMATS:
            call("messages.get", ids=(first,), format=form)
        for form in ("full", "metadata", "minimal"):
            call("threads.get", ids=(first,), format=form)
        part = call("messages.get", ids=(first,))["payload"]["parts"][1]
        call("messages.attachments.get", ids=(first, part["body"]["attachmentId"]))
        call("messages.modify", {"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]}, (first,))
        call("messages.trash", ids=(extra[0],))
        call("messages.untrash", ids=(extra[0],))
        call("messages.delete", ids=(extra[0],))
        call("messages.batchModify", {"ids": extra[1:], "addLabelIds": ["IMPORTANT"]})
        call("messages.batchDelete", {"ids": extra[1:]})
        call("messages.insert", {"raw": raw, "labelIds": ["INBOX"]}, internalDateSource="dateHeader")
        call("messages.import", {"raw": raw}, neverMarkSpam="true", processForCalendar="false")
        call("messages.send", {"raw": raw})
        draft = call("drafts.create", {"message": {"raw": raw}})["id"]
        call("drafts.update", {"message": {"raw": raw}}, (draft,))
        call("drafts.get", ids=(draft,), format="raw")
        call("drafts.list")
        call("drafts.send", {"id": draft})
        draft = call("drafts.create", {"message": {"raw": raw}})["id"]
        call("drafts.delete", ids=(draft,))
        call("history.list", startHistoryId=start)
        call("history.list", startHistoryId=start, maxResults=2, historyTypes=["messageAdded", "labelAdded"])
        call("labels.list")
        call("labels.get", ids=("INBOX",))
        call("labels.create", {"name": "New"})
        call("settings.sendAs.list")
        call("settings.sendAs.get", ids=("sales@example.com",))
        call("watch", {"topicName": "projects/p/topics/t"})
        call("stop")
    assert seen == {e.name for e in ENDPOINTS}
