"""When customers were first answered, kept by conversation; the weekly rollup by week first, as reports read it.

Revision: 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_REPLIES = """
insert into reply (conversation_id, channel, began_at, answered_at)
select k.id, f.channel, f.occurred_at, (
  select min(o.occurred_at) from interaction o
  where o.conversation_id = f.conversation_id and o.occurred_at > f.occurred_at and o.direction = 'outbound'
    and o.gone_at is null and o.kind in ('message', 'comment', 'call'))
from conversation k join interaction f on f.id = (
  select e.id from interaction e
  where e.conversation_id = k.id and e.direction = 'inbound' and e.gone_at is null
    and e.kind in ('message', 'ticket', 'comment', 'form_submission')
  order by e.occurred_at, e.id limit 1)
"""


def upgrade() -> None:
    op.create_table(
        "reply",
        sa.Column("conversation_id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_reply")),
    )
    op.execute(_REPLIES)
    op.create_index("ix_reply_began", "reply", ["began_at", "channel", "answered_at"], unique=False)
    _by_week()


def _by_week() -> None:
    op.drop_index("ix_volume_week", table_name="volume")
    op.rename_table("volume", "volume_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter table volume_before drop constraint pk_volume")
    op.create_table(
        "volume",
        sa.Column("week", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("party_id", ID, autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("week", "party_id", "channel", "direction", name=op.f("pk_volume")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "insert into volume (week, party_id, channel, direction, count) select week, party_id, channel, direction, count "
        "from volume_before where count <> 0 order by week, party_id, channel, direction"
    )
    op.drop_table("volume_before")
    op.create_index("ix_volume_party", "volume", ["party_id"], unique=False)
