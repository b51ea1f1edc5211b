"""Words of texts, names and addresses. Every text there is gets read once.

Revision: 0011.
"""

import sqlalchemy as sa
from alembic import op

from hub.store import names, texts

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.String(length=60).with_variant(sa.String(length=60, collation="C"), "postgresql")


def upgrade() -> None:
    c = op.get_bind()
    if c.dialect.name == "sqlite":
        # Nothing but which word is in which entry: the text is in its own table, and what it says is compared there.
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5(words, content='', columnsize=0, detail='none', tokenize='ascii')"
        )
        op.execute("CREATE VIRTUAL TABLE search_word USING fts5vocab('search', 'instance')")
    else:
        op.execute(
            "CREATE TABLE search (interaction_id BIGINT CONSTRAINT pk_search PRIMARY KEY, words TSVECTOR NOT NULL)"
        )
    texts.index_all(c)
    if c.dialect.name != "sqlite":
        op.execute("CREATE INDEX ix_search_words ON search USING gin (words)")
    for of in ("party", "identifier"):
        op.create_table(
            f"{of}_word",
            sa.Column(f"{of}_id", ID, autoincrement=False, nullable=False),
            sa.Column("word", WORD, nullable=False),
            sa.ForeignKeyConstraint([f"{of}_id"], [f"{of}.id"], name=op.f(f"fk_{of}_word_{of}_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint(f"{of}_id", "word", name=op.f(f"pk_{of}_word")),
            sqlite_with_rowid=False,
        )
    names.index_all(c)
    for of in ("party", "identifier"):
        op.create_index(f"ix_{of}_word_word", f"{of}_word", ["word", f"{of}_id"], unique=False)
