"""Webhooks out: endpoints, marks, events, deliveries; issues that are of no connection.

Revision: 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("issue") as issue:
        issue.add_column(sa.Column("about", sa.String(length=64), server_default="", nullable=False))
        issue.alter_column("connection_id", existing_type=ID, nullable=True)
    op.create_table(
        "hook_mark",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("op", sa.String(length=4), nullable=False),
        sa.Column("fields", sa.String(length=256), server_default="", nullable=False),
        sa.Column("other", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.String(length=64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_mark")),
    )
    op.create_table(
        "hook_endpoint",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.String(length=256), server_default="", nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=254), server_default="", nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=256), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_ok_at", sa.BigInteger(), nullable=True),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("in_a_row", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_endpoint")),
        sa.UniqueConstraint("public_id", name=op.f("uq_hook_endpoint_public_id")),
    )
    op.create_table(
        "hook_event",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=254), nullable=False),
        sa.Column("type", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=48), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lanes", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_event")),
        sa.UniqueConstraint("public_id", name=op.f("uq_hook_event_public_id")),
    )
    op.create_index("ix_hook_event_subject", "hook_event", ["subject"], unique=False)
    op.create_index("ix_hook_event_at", "hook_event", ["at"], unique=False)
    _deliveries()


def _deliveries() -> None:
    op.create_table(
        "hook_delivery",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["hook_endpoint.id"], name=op.f("fk_hook_delivery_endpoint_id")),
        sa.ForeignKeyConstraint(["event_id"], ["hook_event.id"], name=op.f("fk_hook_delivery_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_delivery")),
        sa.UniqueConstraint("endpoint_id", "event_id", name=op.f("uq_hook_delivery_endpoint_id_event_id")),
    )
    op.create_index("ix_hook_delivery_due", "hook_delivery", ["endpoint_id", "state", "next_at"], unique=False)
    op.create_index("ix_hook_delivery_line", "hook_delivery", ["endpoint_id", "state", "event_id"], unique=False)
    op.create_index("ix_hook_delivery_event", "hook_delivery", ["event_id"], unique=False)
    op.create_table(
        "hook_turn",
        sa.Column("endpoint_id", ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=48), nullable=False),
        sa.Column("event_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "key", "event_id", name=op.f("pk_hook_turn")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_hook_turn_event", "hook_turn", ["endpoint_id", "event_id"], unique=False)
    op.create_table(
        "hook_attempt",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=256), server_default="", nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["hook_delivery.id"], name=op.f("fk_hook_attempt_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_attempt")),
    )
    op.create_index("ix_hook_attempt_delivery", "hook_attempt", ["delivery_id"], unique=False)
