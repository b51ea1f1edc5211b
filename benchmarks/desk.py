"""A help desk's connector as small as they come: tickets by a cursor export, each a canonical interaction.

There is no ticket connector among the plugins yet; this one has the shape that the targets were measured with.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import msgspec

from hub.api import (
    Connector,
    ConnectorSettings,
    Entity,
    HttpProfile,
    Identifier,
    Interaction,
    Manifest,
    Page,
    Participation,
    Permission,
    PermissionMatrix,
    Pull,
    RawRecord,
    RecordRejected,
    StaticToken,
    Stream,
)

PATH = "api/v2/incremental/tickets/cursor.json"
PAGE_SIZE = 1000


class DeskSettings(ConnectorSettings):
    base_url: str


class _Party(msgspec.Struct):
    address: str | None = None
    name: str | None = None


class _Ends(msgspec.Struct):
    from_: _Party = msgspec.field(name="from")


class _Via(msgspec.Struct):
    channel: str
    source: _Ends


class _Ticket(msgspec.Struct):
    id: int
    url: str
    created_at: datetime
    updated_at: datetime
    status: str
    via: _Via
    subject: str | None = None
    description: str | None = None
    assignee_id: int | None = None


class _Page(msgspec.Struct):
    tickets: list[msgspec.Raw]
    after_cursor: str
    end_of_stream: bool


class _Key(msgspec.Struct):
    id: int


_page = msgspec.json.Decoder(_Page)
_key = msgspec.json.Decoder(_Key)
_ticket = msgspec.json.Decoder(_Ticket)


class Desk(Connector[DeskSettings]):
    manifest = Manifest(name="desk", title="Desk", channels=("helpdesk",), streams=(Stream("tickets"),))
    settings_model = DeskSettings

    def http_profile(self) -> HttpProfile:
        return HttpProfile(base_url=self.settings.base_url, token=StaticToken("bench"))

    async def check(self) -> PermissionMatrix:
        return PermissionMatrix("desk", "Desk", (Permission("tickets", "read", True),))

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        cursor = pull.cursor
        while True:
            answer = await self.http.request("GET", PATH, params={"cursor": cursor} if cursor else None)
            page = _page.decode(answer.body)
            records = [RawRecord(str(_key.decode(raw).id), bytes(raw)) for raw in page.tickets]
            cursor = page.after_cursor
            yield Page(records, cursor, is_full=pull.cursor is None, is_last=pull.cursor is None and page.end_of_stream)
            if page.end_of_stream:
                return

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        try:
            found = _ticket.decode(raw.body)
        except msgspec.MsgspecError as exc:
            raise RecordRejected(f"not a ticket: {exc}", external_id=raw.external_id) from exc
        sender = found.via.source.from_
        yield Interaction(
            external_id=raw.external_id,
            kind="ticket",
            channel="helpdesk",
            occurred_at=found.created_at,
            changed_at=found.updated_at,
            participants=(
                Participation(
                    identifier=Identifier("email", sender.address or ""), role="requester", name=sender.name or ""
                ),
            ),
            owner=Identifier("desk:agents", str(found.assignee_id)) if found.assignee_id else None,
            subject=found.subject or "",
            text=found.description or "",
            status=found.status,
            thread_refs=(f"desk-ticket:{found.id}",),
            url=found.url,
        )
