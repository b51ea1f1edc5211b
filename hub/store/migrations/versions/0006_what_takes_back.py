"""What an act takes back or answers is found by its number, however many decisions there are.

Revision: 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TOLD = sa.text("revokes IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_decision_revokes", "decision", ["revokes"], unique=False, sqlite_where=TOLD, postgresql_where=TOLD
    )
