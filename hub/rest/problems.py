"""Errors as problem documents (RFC 9457): one place for what each of ours means over HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hub.access import Forbidden, Invalid, ProofNeeded, SignInRefused
from hub.api import AuthError, ConfigError, HubError, RateLimited, Transient
from hub.identity import NotPossible
from hub.service import NotFound

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
    422: "Unprocessable Content", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable",
}  # fmt: skip
_STATUS: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (NotFound, 404), (ProofNeeded, 403), (Forbidden, 403), (SignInRefused, 401), (Invalid, 422), (NotPossible, 409),
    (ConfigError, 409), (RateLimited, 503), (Transient, 502), (AuthError, 502), (HubError, 502),
)  # fmt: skip


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: str) -> Response:
    """more: field, fix."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of ours, of the framework and of nobody in particular becomes a problem document."""
    app.add_exception_handler(HubError, _of_ours)
    app.add_exception_handler(NotPossible, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_a_request)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(Exception, lambda _, __: problem(500, "a mistake of ours; it is in the log"))


def _of_ours(_: Request, exc: Exception) -> Response:
    status = next(code for kind, code in _STATUS if isinstance(exc, kind))
    more: dict[str, str] = {}
    headers: dict[str, str] = {}
    detail = exc.message if isinstance(exc, HubError) else str(exc)
    if isinstance(exc, Invalid):
        more = {"field": exc.field, "fix": exc.fix}
        detail = f"{exc.field} {exc.message}"
    if isinstance(exc, Forbidden):
        more = {"field": exc.permission}
    retry = getattr(exc, "retry_after_s", None)
    if status == 503 and retry:
        headers["retry-after"] = str(max(1, round(retry)))
    return problem(status, detail, headers, **more)


def _of_a_request(_: Request, exc: Exception) -> Response:
    """The first thing that is wrong, by the name the caller knows."""
    found: Mapping[str, Any] = exc.errors()[0] if isinstance(exc, RequestValidationError) else {}
    place = [str(p) for p in found.get("loc", ())]
    if found.get("type") == "json_invalid":
        return problem(400, f"the body is no JSON: {found.get('ctx', {}).get('error', '')}", field="body")
    where, name = place[0] if place else "", ".".join(place[1:]) or "body"
    return problem(422, f"{name} in the {where}: {found.get('msg', 'is wrong')}", field=name)


def _of_the_framework(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    headers = dict(exc.headers or {})
    return problem(exc.status_code, exc.detail if exc.detail != TITLES.get(exc.status_code) else "", headers)
