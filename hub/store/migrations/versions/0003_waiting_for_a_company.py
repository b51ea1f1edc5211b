"""Finds the people whose records name a company that is seen only now.

Revision: 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.text("field = 'organization'")
    op.create_index(
        "ix_statement_organization", "statement", ["value"], unique=False, sqlite_where=named, postgresql_where=named
    )
