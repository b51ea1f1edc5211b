"""Deterministic identity: which party stands behind each identifier of a page, and behind each party record.

The rules, all of them: the same normalised personal address is the same person; one vendor record is one person,
so the personal addresses it lists are too; a vendor id and our own key name exactly one party; role, list,
no-reply and phone identifiers are never merge keys; free-mail and own domains never make an organization. A phone
number belongs to the one party whose records list it (`phones`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Identifier, Organization, Person
from hub.identity import phones
from hub.identity.index import NAME_FROM_MAIL, NAME_FROM_RECORD, IdentifierRow, Index, Key, PartyRow, Rules
from hub.store import add, among, change, chunks, micros, put
from hub.store import tables as t

HUB_KEY = "hub-key"
BELONGS_TO = "organization"  # the field under which a person's record names its company


@dataclass(frozen=True, slots=True)
class Who:
    """An identifier's standing: its row, its party, and that party's organization (0: none)."""

    identifier_id: int
    party_id: int
    organization_id: int
    kind: str
    sharing: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything of `loser` now answers to `winner` (party ids).

    The same twice: the party stays, but its kind or its organization is another one now.
    """

    loser: int
    winner: int


def resolve(
    c: Connection, named: Mapping[Identifier, str], rules: Rules, now: datetime, lists: frozenset[str] = frozenset(),
    split: list[int] | None = None,
) -> dict[Identifier, Who]:  # fmt: skip
    """Parties for all identifiers a page mentions, made where unknown. Values of `named` are display names.

    split: filled with the parties that lost an address which turned out to be a mailing list, and with those that
    have it now: their interactions must be linked again.
    """
    index = Index(c, rules, lists, now)
    keys = {given: index.key(given) for given in named}
    index.load(keys.values())
    index.load(index.domains_of(k for k in keys.values() if index.find(k) is None))
    rows = {}
    for given in sorted(named):
        row = index.ensure(keys[given])
        rows[given] = row
        if row.sharing in {"personal", "own"}:
            row.party.rename(named[given], NAME_FROM_MAIL)
    index.flush()
    if split is not None and index.split:
        split += [p.id for p in index.split if p.id] + [
            _known(r.party.id) for r in rows.values() if r.sharing == "list"
        ]
    return {
        given: Who(_known(r.id), _known(r.party.id), _org_id(r.party), r.party.kind, r.sharing)
        for given, r in rows.items()
    }


def observe(
    c: Connection,
    records: Iterable[tuple[int, Person | Organization]],
    rules: Rules,
    now: datetime,
) -> tuple[dict[int, int], list[Moved], set[int]]:
    """Take party records of the tools in: (record id, entity) pairs.

    Returns record id -> party id, the merges this caused, and the records that are echoes of our own writes.
    """
    records = list(records)
    index = Index(c, rules, frozenset(), now)
    keys = {rid: _keys(index, entity) for rid, entity in records}
    index.load(k for ks in keys.values() for k in ks)
    index.load(index.domains_of(k for ks in keys.values() for k in ks))
    extra = [index.key(i) for _, e in records for i in _references(e)]
    index.load(extra)
    ours = _by_public_id(c, index, [v for ks in keys.values() for s, v in ks if s == HUB_KEY])
    newly = {k for rid, e in records if isinstance(e, Organization) for k in keys[rid] if index.find(k) is None}
    party_of: dict[int, PartyRow] = {}
    moved: list[Moved] = []
    echoes: set[int] = set()
    for rid, entity in records:
        who, merged = _party(c, index, entity, keys[rid], ours, micros(now))
        moved += merged
        before = (who.kind, _org_id(who), who.organization)
        if any(s == HUB_KEY for s, _ in keys[rid]):
            echoes.add(rid)
        for key in keys[rid]:
            if key[0] == "email" and (who.kind == "organization" or index.sharing(*key) not in {"personal", "own"}):
                index.ensure(key)  # shared by several people: a mailbox of its own, whoever lists it
            elif key[0] == "phone" and index.find(key) is not None:
                index.ensure(key)  # whose it is now is settled when all records are in
            elif key[0] != HUB_KEY:
                index.attach(key, who)
        who.rename(entity.name, NAME_FROM_RECORD)
        _relations(index, entity, who)
        if who.id is not None and before != (who.kind, _org_id(who), who.organization):
            moved.append(Moved(who.id, who.id))
        party_of[rid] = who
    index.flush()
    party_of = {rid: who.final() for rid, who in party_of.items()}  # a later record of the page may have joined two
    moved += [Moved(p.id, p.id) for p in index.split if p.id]
    numbers = _write(c, index, records, keys, party_of, micros(now))
    if moved:
        numbers |= phones.of_parties(c, [m.winner for m in moved])
    moved += [Moved(pid, pid) for pid in sorted(phones.settle(c, numbers, micros(now)))] if numbers else []
    moved += _bring_home(c, {k: index.find(k) for k in newly}, micros(now))
    return {rid: _known(p.id) for rid, p in party_of.items()}, moved, echoes


def join_own(c: Connection, addresses: Iterable[str], rules: Rules, now: datetime) -> list[Moved]:
    """The addresses one account sends as are one of us: their parties are joined, with the decision recorded.

    Shared and role addresses stay mailboxes of their own.
    """
    person = Person(
        external_id="send-as", identifiers=tuple(Identifier("email", a) for a in sorted(set(addresses))), is_own=True
    )
    index = Index(c, rules, frozenset(), now)
    keys = [k for k in _keys(index, person) if index.sharing(*k) in {"personal", "own"}]
    if len(keys) < 2:
        return []
    index.load(keys)
    who, moved = _party(c, index, person, keys, {}, micros(now))
    for key in keys:
        index.attach(key, who)
    index.flush()
    return moved


def _keys(index: Index, entity: Person | Organization) -> list[Key]:
    return list(dict.fromkeys(index.key(i) for i in entity.identifiers if i.value.strip()))


def _references(entity: Person | Organization) -> list[Identifier]:
    found = list(entity.organizations) if isinstance(entity, Person) else []
    return [*found, entity.owner] if entity.owner else found


def _by_public_id(c: Connection, index: Index, public_ids: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in chunks(sorted(set(public_ids))):
        rows = c.execute(sa.select(t.party.c.public_id, t.identifier.c.scheme, t.identifier.c.value).join(
            t.identifier, t.identifier.c.party_id == t.party.c.id).where(t.party.c.public_id.in_(part)))  # fmt: skip
        keys = [(public, (scheme, value)) for public, scheme, value in rows]
        index.load(k for _, k in keys)
        for public, key in keys:
            row = index.find(key)
            if row and row.party.id is not None:
                found[public] = row.party.id
    return found


def _party(
    c: Connection, index: Index, entity: Person | Organization, keys: list[Key], ours: dict[str, int], now: int
) -> tuple[PartyRow, list[Moved]]:
    """The one party a record stands for; several known ones are joined, the oldest staying."""
    is_org = isinstance(entity, Organization)
    found: list[PartyRow] = []
    for key in keys:
        if key[0] == HUB_KEY:
            if key[1] in ours:
                found.append(index._parties[ours[key[1]]])
            continue
        if key[0] == "phone" or (is_org and key[0] == "email"):
            continue
        row = index.find(key)
        if row is not None and (row.sharing in {"personal", "own", "id", "domain"}):
            found.append(row.party)
    parties = list({id(p): p for p in found if (p.kind == "organization") is is_org}.values())
    parties = parties or [_new(index, entity, keys)]
    winner = min(parties, key=lambda p: p.id or 1 << 62)
    moved = []
    for loser in parties:
        if loser is not winner:
            moved += _join(c, index, winner, loser, entity, now)
    if isinstance(entity, Person) and entity.is_own and winner.kind == "person":
        winner.kind, winner.is_changed = "own", winner.id is not None
        if winner.id is not None:
            moved.append(Moved(winner.id, winner.id))
    return winner, moved


def _new(index: Index, entity: Person | Organization, keys: list[Key]) -> PartyRow:
    keys = [k for k in keys if k[0] != "phone"]
    usable = [k for k in keys if k[0] != HUB_KEY] or keys
    seed = next(
        (k for k in usable if k[0] in {"email", "domain"}), usable[0] if usable else ("record", entity.external_id)
    )
    if isinstance(entity, Organization):
        return index.new_party("organization", seed)
    if seed[0] == "email":
        return index.ensure(seed).party if index.sharing(*seed) in {"personal", "own"} else index.new_party(
            "own" if entity.is_own else "person", ("record", f"{entity.external_id}:{seed[1]}")
        )  # fmt: skip
    return index.new_party("own" if entity.is_own else "person", seed)


def _join(
    c: Connection, index: Index, winner: PartyRow, loser: PartyRow, entity: Person | Organization, now: int
) -> list[Moved]:
    for row in index._rows.values():
        if row.party is loser:
            row.party, row.is_changed = winner, row.id is not None
    for p in (*index._parties.values(), *index._new_parties):
        p.organization = winner if p.organization is loser else p.organization
        p.organization_id = winner.id if loser.id and p.organization_id == loser.id else p.organization_id
    loser.into = winner
    winner.rename(loser.name, loser.name_rank)
    winner.organization_id = winner.organization_id or loser.organization_id
    winner.is_changed = winner.id is not None
    if loser in index._new_parties:
        index._new_parties.remove(loser)
        return []
    left, right = (
        c.execute(sa.select(sa.func.min(t.identifier.c.id)).where(t.identifier.c.party_id == p.id)).scalar()
        for p in (winner, loser)
    )
    c.execute(sa.update(t.identifier).where(t.identifier.c.party_id == loser.id).values(party_id=winner.id))
    for table in (t.observation, t.statement, t.choice):
        c.execute(sa.update(table).where(table.c.party_id == loser.id).values(party_id=winner.id))
    c.execute(sa.update(t.party).where(t.party.c.organization_id == loser.id).values(organization_id=winner.id))
    reasons = [{"field": "record", "level": "one record lists both", "value": entity.external_id}]
    c.execute(sa.insert(t.decision).values(
        left_identifier_id=left, right_identifier_id=right, verdict="same", kind="rule", rule="one-record",
        reasons=json.dumps(reasons), actor="hub", decided_at=now,
    ))  # fmt: skip
    return [Moved(_known(loser.id), _known(winner.id))]


def _relations(index: Index, entity: Person | Organization, who: PartyRow) -> None:
    if isinstance(entity, Person):
        for given in entity.organizations:
            row = index.find(index.key(given))
            if row and row.party.kind == "organization":
                if row.party is not who.organization and (row.party.id is None or row.party.id != who.organization_id):
                    who.organization, who.is_changed = row.party, who.id is not None
                break
    if entity.owner:
        owner = index.ensure(index.key(entity.owner))
        if owner.id is None:
            index.flush()
        if owner.id != who.owner_identifier_id:
            who.owner_identifier_id, who.is_changed = owner.id, who.id is not None


_WAITING = (
    sa.select(t.statement.c.value, t.statement.c.party_id, t.party.c.organization_id)
    .join(t.party, t.party.c.id == t.statement.c.party_id)
    .where(t.statement.c.field == sa.literal_column(f"'{BELONGS_TO}'"), among(t.statement.c.value))  # as its index says
)


def _bring_home(c: Connection, orgs: dict[Key, IdentifierRow | None], now: int) -> list[Moved]:
    """People whose records named an organization before it was known belong to it from now on."""
    homes = {
        _name_of(k): row.party.final().id for k, row in orgs.items() if row and row.party.final().kind == "organization"
    }
    rows = c.execute(_WAITING, {"values": sorted(homes)}).all() if homes else []
    found = {pid: homes[value] for value, pid, current in rows if current != homes[value]}
    change(c, t.party, [{"id": pid, "organization_id": org, "changed_at": now} for pid, org in sorted(found.items())])
    return [Moved(pid, pid) for pid in sorted(found)]


def _name_of(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


_FORGET = sa.delete(t.statement).where(among(t.statement.c.record_id))
_SAID = sa.select(t.statement.c.record_id, t.statement.c.field, t.statement.c.value, t.statement.c.observed_at).where(
    among(t.statement.c.record_id)
)
_NAMES = sa.select(t.statement.c.party_id, t.statement.c.value).where(
    among(t.statement.c.party_id), t.statement.c.field == "name"
)


def _write(
    c: Connection, index: Index, records: list[tuple[int, Person | Organization]], keys: dict[int, list[Key]],
    party_of: dict[int, PartyRow], now: int,
) -> set[str]:  # fmt: skip
    """Keep what the records say; returns the match keys of the telephone numbers they list, or listed before."""
    observations, statements, numbers = [], [], set()
    listed: dict[int, set[int]] = {rid: set() for rid, _ in records}
    rids = [rid for rid, _ in records]
    earlier = {(rid, name): (value, since) for rid, name, value, since in c.execute(_SAID, {"values": rids})}
    for rid, entity in records:
        who = party_of[rid]
        for key in keys[rid]:
            row = index.find(key) if key[0] != HUB_KEY else None
            if row is not None:
                listed[rid].add(_known(row.id))
                if key[0] == "phone":
                    numbers.add(row.match)
                observations.append({
                    "record_id": rid, "identifier_id": row.id, "party_id": who.id, "first_seen_at": now,
                    "last_seen_at": now,
                })  # fmt: skip
        at = micros(entity.changed_at) if entity.changed_at else now
        told = {**entity.fields, "name": entity.name}
        if isinstance(entity, Person) and entity.organizations:
            told[BELONGS_TO] = _name_of(index.key(entity.organizations[0]))
        for name, value in told.items():
            if not value and (name == "name" or (rid, name) not in earlier):
                continue  # a blank says something only where a value stood: it was emptied
            was, since = earlier.get((rid, name), ("", at))
            statements.append({
                "record_id": rid, "field": name, "party_id": who.id, "value": value,
                "observed_at": since if was == value else at,
            })  # fmt: skip
    numbers |= phones.forget(c, listed)
    put(c, t.observation, _unique(observations, "record_id", "identifier_id"), keep=("first_seen_at",))
    c.execute(_FORGET, {"values": rids})
    add(c, t.statement, statements)
    _rename(c, {_known(p.id): p for p in party_of.values()}, now)
    return numbers


def _rename(c: Connection, parties: dict[int, PartyRow], now: int) -> None:
    """The best of the names a party's records have today: one renamed at its source is renamed here."""
    best: dict[int, tuple[bool, str]] = {}
    for pid, value in c.execute(_NAMES, {"values": sorted(parties)}):
        name = " ".join(value.split())[:512]
        if "@" not in name:
            best[pid] = max(best.get(pid, (False, "")), (" " in name, name))
    renamed = [(pid, name) for pid, (_, name) in best.items() if name and parties[pid].name != name]
    change(c, t.party, [{"id": pid, "name": name, "changed_at": now} for pid, name in renamed])


def _unique(rows: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    return list({tuple(r[k] for k in columns): r for r in rows}.values())


def _org_id(who: PartyRow) -> int:
    if who.kind == "organization":
        return 0
    return (who.organization.id if who.organization else who.organization_id) or 0


def _known(value: int | None) -> int:
    if value is None:
        raise AssertionError("a row was used before it was written")
    return value
