"""Permissions as they were told, fields kept equal at destinations, answers to invitations, all-day spans.

Revision: 0004.
"""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "consent",
        sa.Column("record_id", ID, autoincrement=False, nullable=False),
        sa.Column("identifier_id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["identifier_id"], ["identifier.id"], name=op.f("fk_consent_identifier_id")),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_consent_record_id")),
        sa.PrimaryKeyConstraint("record_id", "identifier_id", "channel", "state", "at", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_identifier", "consent", ["identifier_id", "channel"], unique=False)
    op.create_table(
        "agreed",
        sa.Column("record_id", ID, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("theirs", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("written_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["record_id"], ["record.id"], name=op.f("fk_agreed_record_id")),
        sa.PrimaryKeyConstraint("record_id", "field", name=op.f("pk_agreed")),
    )
    op.create_table(
        "choice",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("party_id", ID, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("chosen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_choice_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_choice")),
    )
    op.create_index("ix_choice_party", "choice", ["party_id", "field"], unique=False)
    op.add_column("participation", sa.Column("answer", sa.String(length=12), server_default="", nullable=False))
    op.add_column("interaction", sa.Column("all_day_last", sa.String(length=10), nullable=True))
    _move_consents()


def _move_consents() -> None:
    """They stood among the items, one a record."""
    c = op.get_bind()
    names = ("record_id", "identifier_id", "channel", "state", "at", "evidence", "is_current")
    consent = sa.table("consent", *(sa.column(n) for n in names))
    rows = c.execute(sa.text(
        "SELECT i.record_id, p.identifier_id, i.entity FROM item i JOIN item_party p ON p.record_id = i.record_id "
        "WHERE i.kind = 'consent'"
    )).all()  # fmt: skip
    for record_id, identifier_id, entity in rows:
        e = json.loads(bytes(entity))
        at = round(datetime.fromisoformat(e["at"]).timestamp() * 1_000_000)
        values = (record_id, identifier_id, e["channel"], e["state"], at, e.get("evidence", ""), True)
        c.execute(sa.insert(consent).values(dict(zip(names, values, strict=True))))
    c.execute(sa.text("DELETE FROM item_party WHERE record_id IN (SELECT record_id FROM item WHERE kind = 'consent')"))
    c.execute(sa.text("DELETE FROM item WHERE kind = 'consent'"))
