"""Errors as problem documents (RFC 9457): one place for what each of ours means over HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from hub.access import Forbidden, Invalid
from hub.api import HubError
from hub.rest.described import MEDIA_TYPE, TITLES, methods_at
from hub.service.refusals import REFUSALS, status_of

ALWAYS = {
    "cache-control": "no-store", "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip


def problem(status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: str) -> Response:
    """more: field, fix."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of ours, of the framework and of nobody in particular becomes a problem document."""
    for kind in REFUSALS:
        app.add_exception_handler(kind, lambda _, exc: of_ours(exc))
    app.add_exception_handler(RequestValidationError, _of_a_request)
    app.add_exception_handler(HTTPException, _of_the_framework)
    app.add_exception_handler(Exception, lambda _, __: problem(500, "a mistake of ours; it is in the log", ALWAYS))


def of_ours(exc: Exception) -> Response:
    status = status_of(exc)
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


def _of_the_framework(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    headers = {name.lower(): value for name, value in (exc.headers or {}).items()}
    if exc.status_code == 405:
        headers["allow"] = ", ".join(methods_at(request.app, request.scope["path"])) or headers.get("allow", "")
    return problem(exc.status_code, exc.detail if exc.detail != TITLES.get(exc.status_code) else "", headers)
