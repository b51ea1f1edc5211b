"""Identity as decisions over evidence: homes of identifiers, the waterfall of decisions, what is compared and counted.

Revision: 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HUMAN = sa.text("kind = 'human'")
OPEN = sa.text("verdict = 'unsure' AND revoked_at IS NULL")


def upgrade() -> None:
    op.add_column("identifier", sa.Column("home_id", ID, nullable=True))
    op.create_index("ix_identifier_home", "identifier", ["home_id"], unique=False)
    op.create_index(
        "ix_record_redirect", "record", ["stream_id", "redirect_to"], unique=False,
        sqlite_where=sa.text("redirect_to IS NOT NULL"), postgresql_where=sa.text("redirect_to IS NOT NULL"),
    )  # fmt: skip
    _fill_homes()
    op.add_column("decision", sa.Column("weight", sa.Float(), nullable=True))
    op.add_column("decision", sa.Column("records", sa.Integer(), server_default="0", nullable=False))
    op.add_column("decision", sa.Column("version", sa.String(length=64), server_default="", nullable=False))
    op.add_column("decision", sa.Column("act", sa.BigInteger(), nullable=True))
    op.add_column("decision", sa.Column("revokes", sa.BigInteger(), nullable=True))
    op.execute(sa.text("UPDATE decision SET act = id"))
    op.create_index("ix_decision_act", "decision", ["act"], unique=False)
    op.create_index("ix_decision_open", "decision", ["verdict"], unique=False, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_decision_people", "decision", ["act"], unique=False, sqlite_where=HUMAN, postgresql_where=HUMAN)
    op.add_column("choice", sa.Column("home_id", ID, nullable=True))
    op.execute(sa.text("UPDATE choice SET home_id = party_id"))
    op.create_table(
        "node",
        sa.Column("identifier_id", ID, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("is_own", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("owner_identifier_id", ID, nullable=True),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["identifier_id"], ["identifier.id"], name=op.f("fk_node_identifier_id")),
        sa.PrimaryKeyConstraint("identifier_id", name=op.f("pk_node")),
    )
    op.create_table(
        "match_key",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("identifier_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "identifier_id", name=op.f("pk_match_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hub_key",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_hub_key")),
    )
    op.create_table(
        "value_count",
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "value", name=op.f("pk_value_count")),
        sqlite_with_rowid=False,
    )


def _fill_homes() -> None:
    """Each party is the home of the first identifier it has; parties that were joined into another one had theirs, too,
    but which one is no longer known."""
    op.execute(sa.text(
        "UPDATE identifier SET home_id = party_id WHERE party_id IS NOT NULL AND id IN "
        "(SELECT MIN(id) FROM identifier GROUP BY party_id)"
    ))  # fmt: skip
