"""Google's refusals: the error body, and the ones the emulator gives by name.

Shape: `{"error": {"code", "message", "errors": [{"domain", "reason", "message", ...}]}}`.
"""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=UTF-8"


def ok(value: Any, **headers: str) -> Answer:
    return Answer(
        200, json.dumps(value, ensure_ascii=False).encode(), {k.replace("_", "-"): v for k, v in headers.items()}
    )


class Refused(Exception):
    """where: (locationType, location) of what is wrong, where Google names it."""

    def __init__(
        self, code: int, message: str, reason: str, domain: str = "global", where: tuple[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.domain = domain
        self.where = where

    def answer(self) -> Answer:
        item = {"domain": self.domain, "reason": self.reason, "message": str(self)}
        if self.where:
            item |= {"locationType": self.where[0], "location": self.where[1]}
        error = {"errors": [item], "code": self.code, "message": str(self)}
        headers = {"www-authenticate": 'Bearer realm="https://accounts.google.com/"'} if self.code == 401 else {}
        return Answer(self.code, json.dumps({"error": error}).encode(), headers)


def not_found() -> Refused:
    return Refused(404, "Not Found", "notFound")


def invalid(message: str, where: str = "") -> Refused:
    return Refused(400, message, "invalid", where=("parameter", where) if where else None)


def required(message: str) -> Refused:
    return Refused(400, message, "required")


def duplicate() -> Refused:
    return Refused(409, "The requested identifier already exists.", "duplicate")


def deleted() -> Refused:
    return Refused(410, "Resource has been deleted", "deleted")


def full_sync() -> Refused:
    message = "Sync token is no longer valid, a full sync is required."
    return Refused(410, message, "fullSyncRequired", "calendar", ("parameter", "syncToken"))


def precondition() -> Refused:
    return Refused(412, "Precondition Failed", "conditionNotMet", where=("header", "If-Match"))


def unauthenticated() -> Refused:
    return Refused(401, "Invalid Credentials", "authError", where=("header", "Authorization"))


def insufficient_scope() -> Refused:
    message = "Request had insufficient authentication scopes."
    return Refused(403, message, "insufficientPermissions")


def no_write() -> Refused:
    return Refused(403, "You need to have writer access to this calendar.", "requiredAccessLevel", "calendar")


def not_organizer() -> Refused:
    message = "Shared properties can only be changed by the organizer of the event."
    return Refused(403, message, "forbiddenForNonOrganizer", "calendar")
