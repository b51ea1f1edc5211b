"""The table of methods and the way of one call: sign-in, scope, quota, handler.

Paths, scopes and query parameters are those of the discovery document (a test compares them).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import msgspec

from hub_calendar.emulator.errors import (
    Answer,
    Refused,
    insufficient_scope,
    invalid,
    no_write,
    not_found,
    unauthenticated,
)
from hub_calendar.emulator.oauth import Token, short
from hub_calendar.emulator.store import Calendar

if TYPE_CHECKING:
    from hub_calendar.emulator import CalendarEmulator

PREFIX = "/calendar/v3/"
COMMON_PARAMS = frozenset({"alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp"})


@dataclass
class Call:
    """calendar: the one the path names. headers: lower-case names. body: {} when none was sent."""

    emulator: "CalendarEmulator"
    name: str
    path: str
    asker: str
    ids: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def calendar(self) -> Calendar:
        """Raises 404 for a calendar that is not there or not shared: Google does not say which."""
        name = self.ids["calendarId"].lower()
        found = self.emulator.calendars.get(self.asker if name == "primary" else name)
        if found is None or self.asker not in found.roles:
            raise not_found()
        return found

    def writable(self) -> Calendar:
        calendar = self.calendar
        if calendar.roles[self.asker] not in {"owner", "writer"}:
            raise no_write()
        return calendar

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        value = self.one(name, "false").lower()
        if value not in {"true", "false"}:
            raise invalid(f"Invalid boolean value: {value}", name)
        return value == "true"

    def size(self, default: int, most: int) -> int:
        value = self.one("maxResults", str(default))
        if not value.isdigit() or int(value) < 1:
            raise invalid("Invalid value for maxResults", "maxResults")
        return min(int(value), most)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Endpoint:
    """name: the discovery id without "calendar.". path: below /calendar/v3/. scopes: short names, any one does."""

    name: str
    method: str
    path: str
    scopes: frozenset[str]
    params: frozenset[str]
    handler: Handler
    pattern: re.Pattern[str]


def endpoint(name: str, method: str, path: str, scopes: str, handler: Handler, params: str = "") -> Endpoint:
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
    return Endpoint(name, method, path, frozenset(scopes.split()), frozenset(params.split()), handler, pattern)


def answer(
    emulator: "CalendarEmulator",
    endpoints: tuple[Endpoint, ...],
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Answer:
    """Carry out one call. target: path and query as sent."""
    try:
        return _carry_out(emulator, endpoints, method, target, headers, body)
    except Refused as refused:
        return refused.answer()


def _carry_out(
    emulator: "CalendarEmulator",
    endpoints: tuple[Endpoint, ...],
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Answer:
    path, _, raw_query = target.partition("?")
    found, ids = _find(endpoints, method, path)
    if found is None:
        page = b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p><b>404.</b> That's an error."
        return Answer(404, page, content_type="text/html; charset=UTF-8")
    token = _token(emulator, headers, path, method)
    scopes = token.scopes
    if fault := emulator.faults.hits("deny_scope", path, method):
        scopes -= {short(str(fault.args.get("scope", s))) for s in scopes}
    if not scopes & found.scopes:
        raise insufficient_scope()
    if fault := emulator.faults.hits("quota", path, method):
        raise emulator.quota.over(str(fault.args.get("scope", "user")))
    query = parse_qs(raw_query, keep_blank_values=True)
    emulator.quota.spend(query.get("quotaUser", [token.address])[-1], found.name, emulator.now().timestamp())
    for name in query:
        if name not in found.params and name not in COMMON_PARAMS:
            raise invalid(f"Unknown name: {name}", name)
    return found.handler(Call(emulator, found.name, path, token.address, ids, query, headers, _json(body)))


def _find(endpoints: tuple[Endpoint, ...], method: str, path: str) -> tuple[Endpoint | None, dict[str, str]]:
    if path.startswith(PREFIX):
        for candidate in endpoints:
            match = candidate.pattern.fullmatch(path.removeprefix(PREFIX)) if candidate.method == method else None
            if match:
                return candidate, {name: unquote(value) for name, value in match.groupdict().items()}
    return None, {}


def _token(emulator: "CalendarEmulator", headers: Mapping[str, str], path: str, method: str) -> Token:
    """The bearer token's meaning, sign-in faults included. Raises Refused (401)."""
    kind, _, access = headers.get("authorization", "").partition(" ")
    if emulator.faults.hits("expire_token", path, method):
        emulator.oauth.tokens.pop(access, None)
    token = emulator.oauth.lookup(access) if kind.lower() == "bearer" else None
    if token is None or emulator.faults.hits("revoke_token", path, method):
        raise unauthenticated()
    return token


def _json(data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, "Parse Error", "parseError") from None
    if not isinstance(body, dict):
        raise Refused(400, "Parse Error", "parseError")
    return body
