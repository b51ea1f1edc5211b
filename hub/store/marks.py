"""Triggers that note which rows changed, in the change's own transaction; there only while somebody wants to know.

Every way a row may change is seen, whoever writes it, and nobody pays for it while nobody listens: `arm` installs them,
one by one, and takes away those that are not wanted any more. A trigger's name carries a hash of what it does, so a new
version of it replaces the old one. Nothing is noted but ids, names of fields and which connection a row came from.
"""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from hub.store.database import Store

PREFIX = "hub_mark_"
GROUPS = ("party", "item", "interaction", "conversation", "consent", "identity", "issue")


@dataclass(frozen=True)
class _Trigger:
    """groups: who needs it. marks: what follows SELECT: kind, row_id, op, fields, other, text [WHERE ...]."""

    groups: tuple[str, ...]
    table: str
    event: str
    marks: tuple[str, ...]
    when: str = ""


def _fields(*names: str, **called: str) -> str:
    """SQL: the names of those columns that differ between old and new, as the world calls them."""
    columns = {**{n: n for n in names}, **called}
    return " || ".join(
        f"CASE WHEN old.{col} <ne> new.{col} THEN '{name},' ELSE '' END" for col, name in columns.items()
    )


def _differ(*names: str) -> str:
    return " OR ".join(f"old.{name} <ne> new.{name}" for name in names)


_NEW_PARTY = "(SELECT party_id FROM identifier WHERE id = new.identifier_id)"
_NONE = "CAST(NULL AS BIGINT)"
_FROM = (  # the connection: its row outlives its streams
    "(SELECT stream.connection_id FROM record JOIN stream ON stream.id = record.stream_id WHERE record.id = old.record_id)"
)
_RECORD = "CAST(old.record_id AS TEXT)"
_ANY_PRIVATE = "EXISTS (SELECT 1 FROM connection WHERE is_private)"  # else what is new was no secret before
_PARTY = "(SELECT party_id FROM identifier WHERE id = old.identifier_id)"
_MOVE = "'move', new.id, 'm', '', new.party_id, CAST(old.party_id AS TEXT)"
_ENTRY = ("kind", "channel", "direction", "occurred_at", "ended_at", "subject", "status", "purpose", "files")
_ENTRY_MORE = {"hash": "content", "conversation_id": "conversation", "owner_identifier_id": "owner"}
_PARTY_MORE = {"organization_id": "organization", "owner_identifier_id": "owner", "public_id": "id"}
_ITEM = ("title", "state", "is_closed", "due_at", "url")
_ITEM_MORE = {"owner_identifier_id": "owner", "entity": "details"}
_LIVE = "old.gone_at IS NULL AND new.gone_at IS NULL"
_GONE = "old.gone_at IS NULL AND new.gone_at IS NOT NULL"
_BACK = "old.gone_at IS NOT NULL AND new.gone_at IS NULL"

_I, _TALK, _P, _X = ("interaction",), ("conversation",), ("party",), ("item",)
_SOURCES = ("interaction", "conversation")

_TRIGGERS = {
    "interaction_new": _Trigger(
        _I, "interaction", "INSERT", (f"'interaction', new.id, 'c', '', {_NONE}, new.public_id",), "new.gone_at IS NULL"
    ),
    "interaction_changed": _Trigger(
        _I, "interaction", "UPDATE",
        (f"'interaction', new.id, 'u', {_fields(*_ENTRY, **_ENTRY_MORE)}, {_NONE}, ''",),
        f"{_LIVE} AND ({_differ(*_ENTRY, *_ENTRY_MORE)})",
    ),
    "interaction_gone": _Trigger(
        _I, "interaction", "UPDATE", (f"'interaction', new.id, 'd', '', {_NONE}, new.public_id",), _GONE
    ),
    "interaction_back": _Trigger(
        _I, "interaction", "UPDATE", (f"'interaction', new.id, 'c', '', {_NONE}, new.public_id",), _BACK
    ),
    "interaction_dropped": _Trigger(
        _I, "interaction", "DELETE", (f"'interaction', old.id, 'd', '', {_NONE}, old.public_id",), "old.gone_at IS NULL"
    ),
    "link_new": _Trigger(_I, "link", "INSERT", ("'interaction', new.interaction_id, 'l+', '', new.party_id, ''",)),
    "link_gone": _Trigger(_SOURCES, "link", "DELETE", ("'interaction', old.interaction_id, 'l-', '', old.party_id, ''",)),
    "source_new": _Trigger(
        _SOURCES, "source", "INSERT",
        (f"'interaction', new.interaction_id, 's+', '', new.record_id, '' WHERE {_ANY_PRIVATE}",), "NOT new.is_echo",
    ),
    "source_gone": _Trigger(
        _SOURCES, "source", "DELETE", (f"'interaction', old.interaction_id, 's', '', {_FROM}, ''",), "NOT old.is_echo"
    ),
    "conversation_new": _Trigger(_TALK, "conversation", "INSERT", (f"'conversation', new.id, 'c', '', {_NONE}, ''",)),
    "conversation_gone": _Trigger(_TALK, "conversation", "DELETE", (f"'conversation', old.id, 'd', '', {_NONE}, ''",)),
    "conversation_grew": _Trigger(
        _TALK, "interaction", "INSERT", ("'conversation', new.conversation_id, 'u', '', new.id, ''",),
        "new.conversation_id IS NOT NULL",
    ),
    "conversation_moved": _Trigger(
        _TALK, "interaction", "UPDATE",
        tuple(f"'conversation', {of}.conversation_id, 'u', '', new.id, '' WHERE {of}.conversation_id IS NOT NULL"
              for of in ("old", "new")),
        "old.conversation_id <ne> new.conversation_id",
    ),
    "conversation_lost": _Trigger(
        _TALK, "interaction", "UPDATE", ("'conversation', new.conversation_id, 'u', '', new.id, ''",),
        f"new.conversation_id IS NOT NULL AND (({_GONE}) OR ({_BACK}))",
    ),
    "party_new": _Trigger(_P, "party", "INSERT", (f"'party', new.id, 'c', '', {_NONE}, new.kind",)),
    "party_changed": _Trigger(
        _P, "party", "UPDATE", (f"'party', new.id, 'u', {_fields('name', 'kind', **_PARTY_MORE)}, {_NONE}, old.kind",),
        _differ("name", "kind", *_PARTY_MORE),
    ),
    "party_gone": _Trigger(
        _P, "party", "DELETE", (f"'party', old.id, 'd', '', {_NONE}, old.kind || ' ' || old.public_id",)
    ),
    "identifier_new": _Trigger(
        _P, "identifier", "INSERT", ("'party', new.party_id, 'i+', '', new.id, ''",), "new.party_id IS NOT NULL"
    ),
    "identifier_moved": _Trigger(
        ("party", "identity"), "identifier", "UPDATE",
        (
            "'party', old.party_id, 'i-', '', new.id, '' WHERE old.party_id IS NOT NULL",
            "'party', new.party_id, 'i+', '', new.id, '' WHERE new.party_id IS NOT NULL",
            f"{_MOVE} WHERE old.party_id IS NOT NULL AND new.party_id IS NOT NULL",
        ),
        "old.party_id <ne> new.party_id",
    ),
    "identifier_gone": _Trigger(
        _P, "identifier", "DELETE", ("'party', old.party_id, 'i-', '', old.id, ''",), "old.party_id IS NOT NULL"
    ),
    "statement_new": _Trigger(
        _P, "statement", "INSERT", (f"'party', new.party_id, 'u', new.field || ',', {_NONE}, ''",),
        "new.field NOT IN ('name', 'organization')",
    ),
    "statement_changed": _Trigger(
        _P, "statement", "UPDATE", (f"'party', new.party_id, 'u', new.field || ',', {_NONE}, ''",),
        "old.value <ne> new.value AND new.field NOT IN ('name', 'organization')",
    ),
    "statement_gone": _Trigger(
        _P, "statement", "DELETE", (f"'party', old.party_id, 'u', old.field || ',', {_NONE}, ''",),
        "old.field NOT IN ('name', 'organization')",
    ),
    "choice_new": _Trigger(_P, "choice", "INSERT", (f"'party', new.party_id, 'u', new.field || ',', {_NONE}, ''",)),
    "observation_new": _Trigger(
        _P, "observation", "INSERT", (f"'party', new.party_id, 's+', '', new.record_id, '' WHERE {_ANY_PRIVATE}",)
    ),
    "participation_new": _Trigger(
        _P, "participation", "INSERT",
        (f"'party', {_NEW_PARTY}, 's+', '', new.record_id, '' WHERE {_NEW_PARTY} IS NOT NULL AND {_ANY_PRIVATE}",),
    ),
    "observation_gone": _Trigger(
        _P, "observation", "DELETE", (f"'party', old.party_id, 's', '', {_FROM}, {_RECORD}",)
    ),
    "participation_gone": _Trigger(
        _P, "participation", "DELETE", (f"'party', {_PARTY}, 's', '', {_FROM}, {_RECORD} WHERE {_PARTY} IS NOT NULL",)
    ),
    "item_new": _Trigger(
        _X, "item", "INSERT", (f"'item', new.record_id, 'c', '', {_NONE}, new.kind",), "new.gone_at IS NULL"
    ),
    "item_changed": _Trigger(
        _X, "item", "UPDATE", (f"'item', new.record_id, 'u', {_fields(*_ITEM, **_ITEM_MORE)}, {_NONE}, new.kind",),
        f"{_LIVE} AND ({_differ(*_ITEM, *_ITEM_MORE)})",
    ),
    "item_gone": _Trigger(
        _X, "item", "UPDATE", (f"'item', new.record_id, 'd', '', {_FROM}, new.kind",), _GONE
    ),
    "item_back": _Trigger(_X, "item", "UPDATE", (f"'item', new.record_id, 'c', '', {_NONE}, new.kind",), _BACK),
    "item_dropped": _Trigger(
        _X, "item", "DELETE", (f"'item', old.record_id, 'd', '', {_FROM}, old.kind",), "old.gone_at IS NULL"
    ),
    "item_left": _Trigger(
        _X, "item_party", "DELETE", (f"'item', old.record_id, 'p', '', {_PARTY}, '' WHERE {_PARTY} IS NOT NULL",)
    ),
    "consent_new": _Trigger(
        ("consent",), "consent", "INSERT", ("'consent', new.identifier_id, 'c', '', new.record_id, new.channel",)
    ),
    "consent_gone": _Trigger(
        ("consent",), "consent", "DELETE", (f"'consent', old.identifier_id, 'd', '', {_FROM}, old.channel",)
    ),
    "issue_new": _Trigger(("issue",), "issue", "INSERT", (f"'issue', new.id, 'c', '', {_NONE}, ''",)),
    "issue_closed": _Trigger(
        ("issue",), "issue", "UPDATE", (f"'issue', new.id, 'u', 'state,', {_NONE}, ''",),
        "old.closed_at IS NULL AND new.closed_at IS NOT NULL",
    ),
}  # fmt: skip


def arm(store: Store, groups: Collection[str]) -> None:
    """Have these groups' changes noted from now on, and no others'. Nothing happens where that is so already.

    One transaction per trigger: on PostgreSQL making one waits for whoever writes to the table, and must hold no other.
    """
    with store.read() as c:
        there = _there(c)
    wanted = {_name(base, c): base for base, made in _TRIGGERS.items() if set(made.groups) & set(groups)}
    for name in sorted(there - wanted.keys()):
        with store.write() as c:
            _drop(c, name)
    for name in sorted(wanted.keys() - there):
        with store.write() as c:
            if name not in _there(c):  # somebody else may have been here meanwhile
                _make(c, name, wanted[name])
    if there and not wanted:
        with store.write() as c:
            c.exec_driver_sql("DELETE FROM hook_mark")  # for nobody: who listens next hears of what comes then


def armed(c: Connection) -> set[str]:
    """Groups all of whose changes are noted."""
    there = _there(c)
    return {g for g in GROUPS if all(_name(base, c) in there for base, made in _TRIGGERS.items() if g in made.groups)}


@contextmanager
def kept(c: Connection) -> Iterator[None]:
    """What is noted before is noted after: for a migration, which may write a table anew or bring new versions."""
    before = {name.removeprefix(PREFIX).rpartition("_")[0] for name in _there(c)}
    yield
    wanted = {_name(base, c): base for base in before & _TRIGGERS.keys()}
    there = _there(c)
    for name in sorted(there - wanted.keys()):
        _drop(c, name)
    for name in sorted(wanted.keys() - there):
        _make(c, name, wanted[name])


def _there(c: Connection) -> set[str]:
    if c.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    return {name for (name,) in c.exec_driver_sql(query) if name.startswith(PREFIX)}


def _name(base: str, c: Connection) -> str:
    return f"{PREFIX}{base}_{hashlib.sha256(repr(_TRIGGERS[base]).encode()).hexdigest()[:8]}"


def _make(c: Connection, name: str, base: str) -> None:
    made, is_sqlite = _TRIGGERS[base], c.dialect.name == "sqlite"
    unequal = "IS NOT" if is_sqlite else "IS DISTINCT FROM"
    into = "INSERT INTO hook_mark (kind, row_id, op, fields, other, text) SELECT "
    body = " ".join(f"{into}{mark};" for mark in made.marks).replace("<ne>", unequal)
    when = f" WHEN ({made.when})".replace("<ne>", unequal) if made.when else ""
    on = f"CREATE TRIGGER {name} AFTER {made.event} ON {made.table} FOR EACH ROW{when}"
    if is_sqlite:
        c.exec_driver_sql(f"{on} BEGIN {body} END")
    else:
        c.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$mark$ BEGIN {body} RETURN NULL; END $mark$"
        )
        c.exec_driver_sql(f"{on} EXECUTE FUNCTION {name}()")


def _drop(c: Connection, name: str) -> None:
    c.exec_driver_sql(f"DROP TRIGGER {name}" if c.dialect.name == "sqlite" else f"DROP FUNCTION {name}() CASCADE")
