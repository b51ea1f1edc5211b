"""What records of the tools say of parties, kept: which identifiers they list, and each field since when it stands."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Organization, Person
from hub.identity import phones
from hub.identity.index import IdentifierRow, Index, Key, PartyRow
from hub.identity.refresh import BELONGS_TO
from hub.identity.resolve import Moved, known
from hub.store import among, change, fetch, micros, put, tell
from hub.store import tables as t

HUB_KEY = "hub-key"

_WAITING = (
    sa.select(t.statement.c.value, t.statement.c.party_id, t.party.c.organization_id)
    .join(t.party, t.party.c.id == t.statement.c.party_id)
    .where(
        t.statement.c.field == sa.literal_column(f"'{BELONGS_TO}'"),
        among(t.statement.c.value),  # as its index says
        t.party.c.kind != "organization",  # a part of a company is a company of its own
    )
)


def bring_home(c: Connection, orgs: dict[Key, IdentifierRow | None], now: int) -> list[Moved]:
    """People whose records named an organization before it was known belong to it from now on."""
    homes = {_name_of(k): row.party.id for k, row in orgs.items() if row and row.party.kind == "organization"}
    rows = fetch(c, _WAITING, values=sorted(homes)) if homes else []
    found = {pid: homes[value] for value, pid, current in rows if current != homes[value]}
    change(c, t.party, [{"id": pid, "organization_id": org, "changed_at": now} for pid, org in sorted(found.items())])
    return [Moved(pid, pid) for pid in sorted(found)]


def _name_of(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


_LISTED = (
    sa.select(t.observation.c.record_id, t.observation.c.identifier_id, t.identifier.c.scheme)
    .join(t.identifier, t.identifier.c.id == t.observation.c.identifier_id)
    .where(among(t.observation.c.record_id))
)
_FORGET = sa.delete(t.statement).where(
    t.statement.c.record_id == sa.bindparam("record"), t.statement.c.field == sa.bindparam("name")
)
_SAID = sa.select(
    t.statement.c.record_id, t.statement.c.field, t.statement.c.value, t.statement.c.observed_at, t.statement.c.party_id
).where(among(t.statement.c.record_id))
_NAMES = sa.select(t.statement.c.party_id, t.statement.c.value).where(
    among(t.statement.c.party_id), t.statement.c.field == "name"
)


def keep(
    c: Connection, index: Index, records: list[tuple[int, Person | Organization]], keys: dict[int, list[Key]],
    party_of: dict[int, PartyRow], now: int,
) -> tuple[set[str], set[int], set[int]]:  # fmt: skip
    """Keep what the records say.

    Returns the match keys of the telephone numbers they list, or listed before; the parties whose name or company they no
    longer say; and the identifiers that they listed before and list no more.
    """
    observations, numbers = [], set()
    statements: dict[tuple[int, str], dict[str, Any]] = {}
    listed: dict[int, set[int]] = {rid: set() for rid, _ in records}
    rids = [rid for rid, _ in records]
    earlier = {(rid, name): said for rid, name, *said in fetch(c, _SAID, values=rids)}
    for rid, entity in records:
        who = party_of[rid]
        for key in keys[rid]:
            row = index.find(key) if key[0] != HUB_KEY else None
            if row is not None:
                listed[rid].add(known(row.id))
                if key[0] == "phone":
                    numbers.add(row.match)
                observations.append({
                    "record_id": rid, "identifier_id": row.id, "party_id": who.id, "first_seen_at": now,
                    "last_seen_at": now,
                })  # fmt: skip
        at = micros(entity.changed_at) if entity.changed_at else now
        told = {**entity.fields, "name": entity.name}
        if above := next(iter(entity.organizations), None) if isinstance(entity, Person) else entity.parent:
            told[BELONGS_TO] = _name_of(index.key(above))
        for name, value in told.items():
            if not value and (name == "name" or (rid, name) not in earlier):
                continue  # a blank says something only where a value stood: it was emptied
            was, since, _ = earlier.get((rid, name), ("", at, 0))
            statements.setdefault((rid, name), {
                "record_id": rid, "field": name, "party_id": who.id, "value": value,
                "observed_at": since if was == value else at,
            })  # fmt: skip
    unsaid = [of for of in earlier if of not in statements]
    left = {known(party_of[rid].id) for rid, name in unsaid if name in (BELONGS_TO, "name")}
    no_more = [(ident, scheme) for rid, ident, scheme in fetch(c, _LISTED, values=rids) if ident not in listed[rid]]
    dropped = {ident for ident, scheme in no_more if scheme != "phone"}
    numbers |= phones.forget(c, listed) if len(dropped) < len(no_more) else set()
    put(c, t.observation, _unique(observations, "record_id", "identifier_id"), keep=("first_seen_at",))
    tell(c, _FORGET, [{"record": rid, "name": name} for rid, name in unsaid])
    put(c, t.statement, [
        r for of, r in statements.items() if earlier.get(of) != [r["value"], r["observed_at"], r["party_id"]]
    ])  # fmt: skip
    _rename(c, {known(p.id): p for p in party_of.values()}, now)
    return numbers, left, dropped


def _rename(c: Connection, parties: dict[int, PartyRow], now: int) -> None:
    """The best of the names a party's records have today: one renamed at its source is renamed here."""
    best: dict[int, tuple[bool, str]] = {}
    for pid, value in fetch(c, _NAMES, values=sorted(parties)):
        name = " ".join(value.split())[:512]
        if "@" not in name:
            best[pid] = max(best.get(pid, (False, "")), (" " in name, name))
    renamed = [(pid, name) for pid, (_, name) in best.items() if name and parties[pid].name != name]
    change(c, t.party, [{"id": pid, "name": name, "changed_at": now} for pid, name in renamed])


def _unique(rows: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    return list({tuple(r[k] for k in columns): r for r in rows}.values())
