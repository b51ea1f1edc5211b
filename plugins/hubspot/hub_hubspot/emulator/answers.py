"""The shapes of answers: a parsed request, a response, and refusals in HubSpot's error format."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec

encode = msgspec.json.encode


@dataclass(slots=True)
class Call:
    """One request. area: which API it addresses; parts: the path after the area; is_dated: a date-based URL."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes
    area: str = ""
    parts: tuple[str, ...] = ()
    is_dated: bool = False

    def one(self, name: str, default: str = "") -> str:
        return self.query[name][-1] if name in self.query else default

    def many(self, name: str) -> list[str]:
        """Values given as `a=1&a=2` or `a=1,2`, without repeats."""
        values = [part.strip() for value in self.query.get(name, ()) for part in value.split(",")]
        return list(dict.fromkeys(v for v in values if v))

    def flag(self, name: str) -> bool:
        return self.one(name, "false").lower() == "true"

    def number(self, name: str, default: int, top: int) -> int:
        """A count between 1 and `top`. Raises Refusal 400 outside."""
        text = self.one(name, str(default))
        if not text.isdecimal() or not 1 <= int(text) <= top:
            raise invalid(f"{name} must be a number between 1 and {top}, it was {text!r}")
        return int(text)

    def value(self) -> Any:
        """The body, whatever JSON it is. Raises Refusal 400 when it is none."""
        try:
            return msgspec.json.decode(self.raw or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise invalid(f"Invalid input JSON on line 1, column 1: {exc}") from exc

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises Refusal 400 when it is something else."""
        body = self.value()
        if not isinstance(body, dict):
            raise invalid("Invalid input JSON on line 1, column 1: an object is expected")
        return body

    def inputs(self, top: int) -> list[dict[str, Any]]:
        """The `inputs` of a batch request, at most `top` objects."""
        return inputs_of(self.json(), top)


def listed(body: dict[str, Any], name: str) -> list[Any]:
    """A field that is a list or absent. Raises Refusal 400 for anything else."""
    found = body.get(name) or []
    if not isinstance(found, list):
        raise invalid(f"Invalid input JSON on line 1, column 2: {name} must be a list")
    return found


def inputs_of(body: dict[str, Any], top: int) -> list[dict[str, Any]]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(i, dict) for i in inputs):
        raise invalid("Invalid input JSON on line 1, column 2. Some required fields were not set: [inputs]")
    if len(inputs) > top:
        raise invalid(f"The maximum batch size is {top}, {len(inputs)} inputs were given", "too_many_inputs")
    return inputs


@dataclass(slots=True)
class Answer:
    """A response. `body` is bytes as sent, or anything that becomes JSON; None is an empty body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json;charset=utf-8"

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else encode(self.body)


class Refusal(Exception):
    """An error answer. detail: one entry of `errors`; raised anywhere below a handler."""

    def __init__(
        self,
        status: int,
        category: str,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        context: dict[str, list[str]] | None = None,
        sub_category: str = "",
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.errors = errors
        self.context = context
        self.sub_category = sub_category
        self.extra = extra or {}
        self.headers = headers or {}

    def answer(self) -> Answer:
        body: dict[str, Any] = {
            "status": "error", "message": self.message, "correlationId": str(uuid.uuid4()), "category": self.category,
        }  # fmt: skip
        if self.sub_category:
            body["subCategory"] = self.sub_category
        if self.context is not None:
            body["context"] = self.context
        if self.errors is not None:
            body["errors"] = self.errors
        body.update(self.extra)
        return Answer(self.status, {k: v for k, v in body.items() if v is not None}, self.headers)

    def row(self, context: dict[str, list[str]] | None = None) -> dict[str, Any]:
        """The same as one entry of a 207 answer's `errors`; the specification wants every field there."""
        row = {
            "status": "error", "category": self.category, "message": self.message,
            "context": {**(self.context or {}), **(context or {})}, "errors": self.errors or [], "links": {},
        }  # fmt: skip
        return {**row, "subCategory": self.sub_category} if self.sub_category else row


def invalid(message: str, code: str = "", context: dict[str, list[str]] | None = None) -> Refusal:
    """400 VALIDATION_ERROR with, where there is a code, one entry in `errors`."""
    errors = [{"message": message, "code": code, "context": context or {}}] if code else None
    return Refusal(400, "VALIDATION_ERROR", message, errors=errors, context=context)


def not_found(message: str = "resource not found", context: dict[str, list[str]] | None = None) -> Refusal:
    return Refusal(404, "OBJECT_NOT_FOUND", message, context=context)


NOT_FOUND_PAGE = Answer(
    404,
    b"<!DOCTYPE html><html><head><title>Resource not found</title></head>"
    b"<body><h1>Resource not found</h1></body></html>",
    {"x-hubspot-notfound": "true"},
    "text/html;charset=utf-8",
)


def batch(results: list[Any], errors: list[dict[str, Any]], now: str, status: int = 200) -> Answer:
    """A batch answer: `status`, or 207 when some inputs failed."""
    body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Answer(207 if errors else status, body)
