"""The tables that reports alone read: figures kept beside the rows they follow from."""

from sqlalchemy import Column, Index, String, Table

from hub.store.tables import Id, Micros, metadata

# Kept in the transaction that moves an entry (hub.store.replies): the first thing the customer said in a conversation
# and when one of us first answered it. A conversation in which no customer said anything has no row.
reply = Table(
    "reply", metadata,
    Column("conversation_id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(16), nullable=False),
    Column("began_at", Micros, nullable=False),
    Column("answered_at", Micros),  # None: it waits
    Index("ix_reply_began", "began_at", "channel", "answered_at"),
)  # fmt: skip
