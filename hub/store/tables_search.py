"""Where people and companies are found: the words of names and addresses. Texts have an index of their own (hub.store.texts)."""

from sqlalchemy import Column, ForeignKey, Index, String, Table

from hub.store.tables import Id, metadata
from hub.store.words import LONGEST

Word = String(LONGEST).with_variant(String(LONGEST, collation="C"), "postgresql")  # beginnings are ranges of it

party_word = Table(
    "party_word", metadata,
    Column("party_id", Id, ForeignKey("party.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("word", Word, primary_key=True),
    Index("ix_party_word_word", "word", "party_id"),
    sqlite_with_rowid=False,
)  # fmt: skip

identifier_word = Table(  # of addresses, numbers, domains; a tool's ids are found whole
    "identifier_word", metadata,
    Column("identifier_id", Id, ForeignKey("identifier.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("word", Word, primary_key=True),
    Index("ix_identifier_word_word", "word", "identifier_id"),
    sqlite_with_rowid=False,
)  # fmt: skip
