"""What is stored of each Zendesk object: the row as sent, with what belongs to it and comes from elsewhere.

- tickets: `{"ticket": <row>, "merged": [ids merged into it], "into": id it was merged into}`
- comments: `{"ticket": <what the comment needs of it>, "comment": <fields both sources of comments give>}`
- everything else: the row itself.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from hub.api import RawRecord
from hub_zendesk.client import Comment, Context, read

MERGED_TAG = "closed_by_merge"


class TicketHead(msgspec.Struct):
    """As much of a ticket row as the order of reading needs."""

    id: int
    created_at: Any = None
    updated_at: Any = None
    generated_timestamp: Any = None
    status: Any = ""
    tags: Any = ()

    @property
    def is_merged_away(self) -> bool:
        return self.status == "closed" and isinstance(self.tags, list) and MERGED_TAG in self.tags

    @property
    def version(self) -> str:
        return str(self.generated_timestamp or self.updated_at or "")


class TicketBody(msgspec.Struct):
    """A stored ticket."""

    ticket: msgspec.Raw
    merged: list[int] = []
    into: int | None = None


class _CommentTicket(msgspec.Struct, omit_defaults=True):
    id: int
    subject: Any = None
    requester_id: Any = None
    organization_id: Any = None
    external_id: Any = None
    tags: Any = []


class _Comment(msgspec.Struct, omit_defaults=True):
    """The part of a comment that the export and the list agree on, so that both give one and the same record."""

    id: int
    created_at: Any = None
    type: Any = "Comment"
    author_id: Any = None
    body: Any = None
    public: Any = True
    attachments: Any = []
    via: Any = None
    data: Any = None
    message_id: str = ""


class CommentBody(msgspec.Struct):
    """A stored comment."""

    ticket: _CommentTicket
    comment: _Comment


def ticket_record(row: msgspec.Raw, merged: Iterable[int] = (), into: int | None = None) -> RawRecord:
    head = read(bytes(row), TicketHead, "tickets")
    extra = (b',"merged":' + msgspec.json.encode(sorted(merged))) if merged else b""
    extra += b',"into":%d' % into if into is not None else b""
    return RawRecord(str(head.id), b'{"ticket":' + bytes(row) + extra + b"}", head.version)


def comment_id(ticket_id: int, number: int) -> str:
    """A comment can only be read through its ticket: the id names both."""
    return f"{ticket_id}-{number}"


def split_id(external_id: str) -> tuple[str, str]:
    """(ticket id, comment id); "" for what is not there."""
    ticket, _, comment = external_id.partition("-")
    return ticket, comment


def comment_record(ticket: Context, comment: Comment) -> RawRecord:
    kept = CommentBody(
        _CommentTicket(
            ticket.id, ticket.subject, ticket.requester_id, ticket.organization_id, ticket.external_id, ticket.tags or []
        ),
        _Comment(
            comment.id, comment.created_at, comment.type, comment.author_id, comment.body, comment.public,
            comment.attachments or [], comment.via, comment.data, comment.message_id,
        ),
    )  # fmt: skip
    return RawRecord(comment_id(ticket.id, comment.id), msgspec.json.encode(kept))


def row_record(row: msgspec.Raw) -> RawRecord:
    head = read(bytes(row), TicketHead, "rows")
    return RawRecord(str(head.id), bytes(row), str(head.updated_at or ""))
