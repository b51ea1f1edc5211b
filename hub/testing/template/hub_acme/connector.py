"""Reads Acme: may we, how much is it, all of it, what changed, single records, and a second count."""

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from hub.api import (
    Census,
    Connector,
    ContractBroken,
    CursorExpired,
    Entity,
    Estimate,
    Gone,
    HttpProfile,
    Page,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    ScopeError,
    StaticToken,
    Window,
)  # fmt: skip
from hub.testing.template.hub_acme.mapping import is_in, read, to_interaction
from hub.testing.template.hub_acme.settings import MANIFEST, OVERLAP, PER_MINUTE, PER_PAGE, SCOPE, AcmeSettings

T = TypeVar("T")


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """since: read up to here; None while everything is read for the first time.

    began: when the walk under way began, None between walks. place: how far it is, in Acme's own words.
    """

    since: datetime | None = None
    began: datetime | None = None
    place: str = ""


class Account(msgspec.Struct):
    id: str
    name: str
    email: str


class Listing(msgspec.Struct):
    """One page. items: as received, byte for byte. next: the place to go on from, "" at the end."""

    items: list[msgspec.Raw]
    next: str = ""
    total: int = 0


class Named(msgspec.Struct):
    id: str


class Acme(Connector[AcmeSettings]):
    """One account. Stream `messages`."""

    manifest = MANIFEST
    settings_model = AcmeSettings

    def http_profile(self) -> HttpProfile:
        return HttpProfile(self.settings.base_url, StaticToken(self.settings.token.get_secret_value()))

    async def check(self) -> PermissionMatrix:
        account = await self._get("me", Account)
        try:
            await self._list(Window(), limit=1)
        except ScopeError as exc:
            row = Permission("messages", "read", False, exc.message, SCOPE)
        else:
            row = Permission("messages", "read", True, scope=SCOPE)
        return PermissionMatrix(account.id, account.name, (row,), own_identities=(account.email,))

    async def estimate(self, stream: str, window: Window) -> Estimate:
        total = (await self._list(window, limit=1)).total
        calls = math.ceil(total / PER_PAGE) + 1
        return Estimate(total, calls, calls / PER_MINUTE * 60, is_exact=True)

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        """Everything, newest first, where there is no cursor yet; else what changed since."""
        cursor = self._read_cursor(pull.cursor)
        is_full = cursor.since is None
        while cursor.began:
            if cursor.since is None:
                answer = await self._list(pull.window, before=cursor.place)
            else:
                answer = await self._changes(cursor.since - OVERLAP, after=cursor.place)
            found = [_record(item) for item in answer.items]
            records = [r for r in found if is_full or is_in(r.external_id, r.body, pull.window)]
            # What changes while we walk is read by the next walk: it asks from the beginning of this one.
            cursor = replace(cursor, place=answer.next) if answer.next else Cursor(since=cursor.began)
            is_last = is_full and not answer.next
            yield Page(records, msgspec.json.encode(cursor).decode(), is_full, is_last, total=answer.total or None)

    def _read_cursor(self, text: str | None) -> Cursor:
        """Where to go on; a walk that is over is followed by the next. One we cannot read starts from scratch."""
        try:
            cursor = msgspec.json.decode(text, type=Cursor) if text else Cursor()
        except msgspec.DecodeError as exc:
            raise CursorExpired("not a cursor of this connector") from exc
        return replace(cursor, began=cursor.began or self.services.clock.now())

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        """One call each; an id that is left out does not exist any more."""
        found = []
        for external_id in external_ids:
            try:
                response = await self.http.request("GET", f"messages/{quote(external_id, safe='')}")
            except Gone:
                continue
            found.append(_record(response.body))
        return found

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        yield to_interaction(read(raw.external_id, raw.body))

    async def census(self, stream: str, period: Window) -> Census:
        """Every id of the period from the full list, which shares nothing with the change feed."""
        ids: set[str] = set()
        answer = await self._list(period)
        while True:
            ids.update(_record(item).external_id for item in answer.items)
            if not answer.next:
                return Census(stream, period, frozenset(ids))
            answer = await self._list(period, before=answer.next)

    # What we ask Acme

    async def _list(self, window: Window, before: str = "", limit: int = PER_PAGE) -> Listing:
        """Newest first by the time sent."""
        bounds = {"since": window.since, "until": window.until}
        params = {name: at.isoformat() for name, at in bounds.items() if at is not None}
        return await self._get("messages", Listing, limit=limit, before=before, **params)

    async def _changes(self, since: datetime, after: str) -> Listing:
        """Oldest first by the time changed, which is `since` or later."""
        return await self._get("messages/changes", Listing, limit=PER_PAGE, since=since.isoformat(), after=after)

    async def _get(self, path: str, kind: type[T], **params: Any) -> T:
        response = await self.http.request("GET", path, params=params)
        return _decoded(response.body, kind)


def _decoded(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Raises ContractBroken for an answer of another shape, such as a page for people."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ContractBroken(f"expected {kind.__name__}: {exc}") from exc


def _record(body: bytes | msgspec.Raw) -> RawRecord:
    return RawRecord(_decoded(body, Named).id, bytes(body))
