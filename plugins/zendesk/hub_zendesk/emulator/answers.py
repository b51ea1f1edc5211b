"""Answers and refusals in the forms Zendesk uses; there are several of each."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


class Refused(Exception):
    """A call that is turned down. The four envelopes are made by the functions below."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(content, status, dict(headers or {}), media_type="application/json; charset=utf-8")


def not_found() -> Refused:
    return Refused(404, {"error": "RecordNotFound", "description": "Not found"})


def no_end_point() -> Refused:
    return Refused(404, {"error": {"title": "InvalidEndpoint", "message": "Not found"}})


def forbidden(why: str = "You do not have access to this page. Please contact the account owner for help.") -> Refused:
    return Refused(403, {"error": {"title": "Forbidden", "message": why}})


def invalid(field: str, why: str, code: str = "InvalidValue") -> Refused:
    details = {field: [{"description": f"{field.capitalize()}: {why}", "error": code}]}
    return Refused(422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details})


def bad_value(description: str) -> Refused:
    return Refused(422, {"error": "InvalidValue", "description": description})


def too_deep() -> Refused:
    detail = {"code": "InvalidPaginationDepth", "title": "Invalid pagination depth", "detail": "Use cursor pagination"}
    return Refused(400, {"errors": [detail]})


def too_many(count: int, most: int) -> Refused:
    return Refused(400, {"error": "TooManyValues", "description": f"{count} values given", "max_count": most})


def conflict() -> Refused:
    said = "Safe Update prevented the update due to a newer version of the ticket"
    return Refused(409, {"error": "UpdateConflict", "description": said})
