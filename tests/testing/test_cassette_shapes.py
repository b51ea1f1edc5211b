"""What our written cassettes answer, against the vendors' published specifications: a cassette does not invent a shape.

Checked where the specification files are beside the checkout: each address is one of the specification's, and each good
answer has the shape it gives there and no field more. Error bodies stand in no specification.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from hub.testing import shared_path

# Addresses that are in no specification, and why.
UNSPECIFIED = {
    "/batch/gmail/v1": "guide Batching requests: the parts are whole answers; the document names the path in batchPath",
    "/oauth2/metadata": "guide Access data on behalf of other users with OAuth 2: another host than the API",
}
# What the vendors send although their specification says otherwise.
DEVIATIONS = {
    "zendesk tickets/1/status: 'deleted' is not one of": "page Incremental Exports: deleted tickets come with this status",
    "zendesk /tickets/generated_timestamp is not": "page Incremental Exports: what the export is ordered by",
    "mailchimp members/2/merge_fields: '' is not of type": "tap-mailchimp 1.4.0: the merge fields may be null or empty text",
}

PLUGINS = Path(__file__).parents[2] / "plugins"
WRITTEN = [p for p in sorted(PLUGINS.glob("*/tests/cassettes/*.yaml")) if not p.stem.startswith("recorded-")]
Schema = dict[str, Any]
Operation = tuple[re.Pattern[str], str, dict[str, Schema], Schema]  # path, method, schema by status, the document


@cache
def operations(tool: str) -> list[Operation]:
    folder = shared_path(f"vendors/{tool}")
    files = sorted(folder.glob("*.json")) if folder else []
    found: list[Operation] = []
    for document in (json.loads(file.read_text("utf-8")) for file in files):
        if "paths" in document:
            found += _openapi(document, "/3.0" if tool == "mailchimp" else "")
        elif "resources" in document:
            found += _discovery(document, document, document["servicePath"])
    return sorted(found, key=lambda each: each[0].pattern.count("[^/]+"))  # the most literal path first


def _openapi(document: dict[str, Any], prefix: str) -> Iterator[Operation]:
    _relax(document)
    for path, methods in document["paths"].items():
        for method in set(methods) & {"get", "post", "put", "patch"}:
            schemas = {}
            for status, answer in methods[method]["responses"].items():
                content = _resolved(document, answer).get("content", {})
                schemas[status] = next((c.get("schema", {}) for c in content.values()), {})
            yield _pattern(prefix + path), method.upper(), schemas, document


def _discovery(document: dict[str, Any], node: dict[str, Any], prefix: str) -> Iterator[Operation]:
    if node is document:
        _relax(document["schemas"])
    for method in node.get("methods", {}).values():
        _relax(method.get("response", {}))
        yield (
            _pattern("/" + prefix + method["path"]),
            method["httpMethod"],
            {"200": method.get("response", {})},
            document,
        )
    for child in node.get("resources", {}).values():
        yield from _discovery(document, child, prefix)


def _pattern(path: str) -> re.Pattern[str]:
    literal = [re.escape(part) for part in re.split(r"\{[^}]+\}", path)]
    return re.compile("[^/]+".join(literal) + r"(\.json)?/?")


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _relax(node: Any) -> None:
    """Into JSON Schema's words. What is not set is null in recorded answers, whatever the specification says of it."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str) and node["type"] != "any":
            node["type"] = [node["type"], "null"]
        elif node.get("type") == "any":
            del node["type"]
        if isinstance(node.get("required"), bool):
            del node["required"]
        if isinstance(node.get("enum"), list):
            node["enum"] = [*node["enum"], None]
        if isinstance(node.get("$ref"), str) and "/" not in node["$ref"]:
            node["$ref"] = f"#/schemas/{node['$ref']}"
        for value in node.values():
            _relax(value)
    elif isinstance(node, list):
        for value in node:
            _relax(value)


def exchanges() -> Iterator[Any]:
    for path in WRITTEN:
        for n, exchange in enumerate(yaml.safe_load(path.read_text("utf-8"))["interactions"]):
            yield pytest.param(path.parts[-4], exchange, id=f"{path.parts[-4]}/{path.stem}/{n}")


def unknown(value: Any, schema: Schema, document: Schema, at: str = "") -> Iterator[str]:
    """Fields that an answer has and its schema does not name."""
    schema = _resolved(document, schema)
    if isinstance(value, list):
        for each in value:
            yield from unknown(each, schema.get("items", {}), document, at)
    elif isinstance(value, dict) and "properties" in schema and "additionalProperties" not in schema:
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield f"{at}/{name} is not in the specification"
            else:
                yield from unknown(inner, schema["properties"][name], document, f"{at}/{name}")


@pytest.mark.parametrize(("tool", "exchange"), list(exchanges()))
def test_an_answer_has_the_shape_its_vendor_publishes(tool: str, exchange: dict[str, Any]) -> None:
    asked, answered = exchange["request"], exchange["response"]
    path, status = unquote(urlsplit(asked["uri"]).path), answered["status"]["code"]
    if not operations(tool):
        pytest.skip("the vendor's specification is not beside the checkout")
    if path in UNSPECIFIED or status >= 400:
        return
    schemas, document = next(o[2:] for o in operations(tool) if o[1] == asked["method"] and o[0].fullmatch(path))
    schema = schemas.get(str(status)) or schemas.get("default") or schemas["200"]
    rooted = {"components": document.get("components"), "schemas": document.get("schemas"), **schema}
    value = json.loads(answered["body"]["string"])
    found = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in Draft202012Validator(rooted).iter_errors(value)
    ]
    found += unknown(value, schema, document)
    assert [each for each in found if not any(f"{tool} {each}".startswith(known) for known in DEVIATIONS)] == []
