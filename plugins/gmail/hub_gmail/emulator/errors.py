"""Google's error bodies: what a refused call answers.

Shape: {"error": {"code", "message", "errors": [{"message", "domain", "reason"}], "status"}}.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

JSON_TYPE = "application/json; charset=UTF-8"

STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ABORTED", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE",
}  # fmt: skip


@dataclass
class Answer:
    """One HTTP answer, of a call of its own or of a part of a batch."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


def ok(value: Any) -> Answer:
    return Answer(200, msgspec.json.encode(value))


def nothing() -> Answer:
    """204, as delete, batchModify, batchDelete and stop answer."""
    return Answer(204, b"")


class Refused(Exception):
    """Raised anywhere below an end point; becomes the answer."""

    def __init__(self, status: int, message: str, reason: str, domain: str = "global", **extra: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.domain = domain
        self.extra = extra

    def answer(self) -> Answer:
        message = str(self)
        # 401 is the one refusal whose inner message differs from the outer one.
        inner = self.extra.get("inner", message)
        detail = {"message": inner, "domain": self.domain, "reason": self.reason}
        detail |= {k: self.extra[k] for k in ("location", "locationType") if k in self.extra}
        grpc = self.extra.get("grpc", STATUS.get(self.status, "UNKNOWN"))
        error = {"code": self.status, "message": message, "errors": [detail], "status": grpc}
        headers = {}
        if self.status == 401:
            headers["www-authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
        return Answer(self.status, msgspec.json.encode({"error": error}), JSON_TYPE, headers)


def not_found() -> Refused:
    return Refused(404, "Requested entity was not found.", "notFound")


def invalid(message: str) -> Refused:
    """A well-formed request asking for something Gmail does not do."""
    return Refused(400, message, "invalidArgument")


def malformed(message: str) -> Refused:
    """A parameter that cannot be read at all, as Google's front end refuses it."""
    return Refused(400, message, "badRequest")


def failed_precondition(message: str) -> Refused:
    return Refused(400, message, "failedPrecondition", grpc="FAILED_PRECONDITION")


def forbidden(message: str) -> Refused:
    return Refused(403, message, "forbidden")


def unauthenticated() -> Refused:
    return Refused(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
        "valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        "authError", inner="Invalid Credentials", location="Authorization", locationType="header",
    )  # fmt: skip


def login_required() -> Refused:
    return Refused(
        401,
        "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or "
        "other valid authentication credential.",
        "required", inner="Login Required.", location="Authorization", locationType="header",
    )  # fmt: skip


def insufficient_scope() -> Refused:
    return Refused(
        403, "Request had insufficient authentication scopes.", "insufficientPermissions",
        inner="Insufficient Permission",
    )  # fmt: skip
