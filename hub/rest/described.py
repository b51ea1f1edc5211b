"""The OpenAPI document: what FastAPI says of each route, completed by what holds for all of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import compile_path

from hub.access.once import LONGEST

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 409: "Conflict", 412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable",
}  # fmt: skip
_MEANING = {
    400: "the body is no JSON", 401: "no token that opens anything", 403: "the token or its owner's role may not; `field` names the permission",
    404: "there is no such thing, or none that the token's owner sees", 408: "the request did not arrive whole in 30 seconds",
    409: "not possible as things stand, or the same call is still under way",
    412: "it is not as If-Match says: read it again, and decide anew", 413: "the body has more than 1 MB",
    415: "the body is not JSON, or compressed", 422: "`field` is wrong; `fix` says what would do", 502: "a tool does not answer, or not as it should",
    503: "come again after Retry-After",
}  # fmt: skip
_TAG = {"description": "for If-None-Match, and If-Match where something is changed", "schema": {"type": "string"}}
_ONCE = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "a UUID, say: the same call with the same key is done once, and answered the same for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!#-~]+$"},
}  # fmt: skip
# Routes without an id in their address that look something up all the same, and those that wait for a tool.
_LOOKS_UP = {
    "identity_why_same", "identity_why_not", "identity_act", "plans_propose", "customers_items", "customers_search_text",
}  # fmt: skip
_CALLS_TOOLS = {
    "plans_apply", "plans_undo", "connections_sync", "connections_replay", "operations_decide", "webhooks_trial",
}  # fmt: skip


def described(app: FastAPI) -> dict[str, Any]:
    """Made once; the same object at each call."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path, of in document["paths"].items():
        for method, operation in of.items():
            _complete(path, method, operation)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    app.openapi_schema = document
    return document


def routes_at(app: FastAPI, path: str) -> list[str]:
    """The templates that an address fits, as the document has them: one, or several where a word stands for an id, too."""
    paths = described(app)["paths"]
    return [path] if path in paths else [p for p in paths if compile_path(p)[0].fullmatch(path)]


def methods_at(app: FastAPI, path: str) -> list[str]:
    """What may be done at an address; routes of one address are several, and each knows its own method alone."""
    found = {method.upper() for template in routes_at(app, path) for method in described(app)["paths"][template]}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    parameters, name = operation.get("parameters", []), operation["operationId"]
    codes = {401, 403, 422} if "security" in operation else set()
    if "{" in path or name in _LOOKS_UP:
        codes.add(404)
    if "requestBody" in operation:
        codes |= {400, 408, 413, 415}
    if method != "get":
        codes.add(409)
    if any(p["name"] == "if-match" for p in parameters):
        codes.add(412)
    if name in _CALLS_TOOLS:
        codes |= {502, 503}
    answers = operation["responses"]
    answers.pop("422", None)
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for code in sorted(codes):
        answers[str(code)] = {"description": f"{TITLES[code]}: {_MEANING[code]}", "content": problem}
    if method == "get":
        answers["200"]["headers"] = {"ETag": _TAG}
        answers["304"] = {"description": "the same as If-None-Match names"}
    if method == "post":
        operation.setdefault("parameters", []).append(_ONCE)
