"""The tables of webhooks out: who is told, what changed, what was said of it, and how each telling went.

Marks are what triggers write (`hub.store.marks`), in the transaction of the change. The relay makes events of them, and of
each event a delivery for every endpoint that wants it. `turn` keeps the order: whoever is first for a key goes.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from hub.store.tables import Id, Micros, metadata

mark = Table(  # a row changed; ids alone, until the relay has looked
    "hook_mark", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("row_id", BigInteger, nullable=False),
    Column("op", String(4), nullable=False),
    Column("fields", String(256), nullable=False, server_default=""),  # names, a comma behind each
    Column("other", BigInteger),
    Column("text", String(64), nullable=False, server_default=""),
)  # fmt: skip

endpoint = Table(
    "hook_endpoint", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("description", String(256), nullable=False, server_default=""),
    Column("events", Text, nullable=False),  # patterns, a space between them
    Column("owner", String(254), nullable=False, server_default=""),  # whose private mailbox it may hear of; "": nobody's
    Column("state", String(12), nullable=False),  # active, paused, disabled
    Column("reason", String(256), nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("changed_at", Micros, nullable=False),
    Column("last_ok_at", Micros),
    Column("failing_since", Micros),
    Column("in_a_row", Integer, nullable=False, server_default="0"),  # tries that failed since the last that did not
    Column("held_until", Micros),
)  # fmt: skip

event = Table(  # as it is sent; its id is the cursor, and rises for every customer
    "hook_event", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("audience", String(254), nullable=False),  # the owner whose eyes it was written for
    Column("type", String(48), nullable=False),
    Column("subject", String(48), nullable=False),
    Column("at", Micros, nullable=False),
    Column("lanes", Text, nullable=False),  # JSON: what it keeps its place in line for
    Column("body", Text, nullable=False),
    Index("ix_hook_event_subject", "subject"),
    Index("ix_hook_event_at", "at"),
)  # fmt: skip

delivery = Table(
    "hook_delivery", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("endpoint_id", Id, ForeignKey("hook_endpoint.id"), nullable=False),
    Column("event_id", Id, ForeignKey("hook_event.id"), nullable=False),
    Column("state", String(8), nullable=False),  # waiting (for its turn), due, done, failed
    Column("tries", Integer, nullable=False, server_default="0"),  # of this round
    Column("next_at", Micros, nullable=False),
    Column("ended_at", Micros),
    UniqueConstraint("endpoint_id", "event_id"),
    Index("ix_hook_delivery_due", "endpoint_id", "state", "next_at"),
    Index("ix_hook_delivery_line", "endpoint_id", "state", "event_id"),
    Index("ix_hook_delivery_event", "event_id"),
)  # fmt: skip

turn = Table(  # a delivery's place in line, for each of its keys, until it is over
    "hook_turn", metadata,
    Column("endpoint_id", Id, primary_key=True, autoincrement=False),
    Column("key", String(48), primary_key=True),
    Column("event_id", Id, primary_key=True, autoincrement=False),
    Index("ix_hook_turn_event", "endpoint_id", "event_id"),
    sqlite_with_rowid=False,
)  # fmt: skip

attempt = Table(
    "hook_attempt", metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("delivery_id", Id, ForeignKey("hook_delivery.id"), nullable=False),
    Column("at", Micros, nullable=False),
    Column("ms", Integer, nullable=False),
    Column("status", Integer),  # None: no answer
    Column("error", String(256), nullable=False, server_default=""),
    Column("answer", Text, nullable=False, server_default=""),  # the beginning, redacted
    Index("ix_hook_attempt_delivery", "delivery_id"),
)  # fmt: skip
