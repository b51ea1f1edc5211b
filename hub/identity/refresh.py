"""What a party is called, whose it is and where it belongs, read afresh from what its identifiers and records say today."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.index import NAME_FROM_MAIL, NAME_FROM_RECORD, Index, PartyRow, Rules
from hub.store import among, change, fetch, micros, pairs_among
from hub.store import tables as t

BELONGS_TO = "organization"  # the field under which a record names the company that it belongs to

i, p, s = t.identifier.c, t.party.c, t.statement.c
_PARTIES = sa.select(
    p.id, p.name, p.name_rank, p.kind, p.organization_id, p.owner_identifier_id
).where(among(p.id))  # fmt: skip
_MEMBERS = sa.select(p.id).where(among(p.organization_id))
_HELD = (
    sa.select(i.party_id, i.scheme, i.value, i.sharing, t.node.c.is_own, t.node.c.owner_identifier_id, t.node.c.said_at)
    .outerjoin(t.node, t.node.c.identifier_id == i.id)
    .where(among(i.party_id))
    .order_by(i.id)
)
_RECORDS_SAY = (
    sa.select(s.party_id, s.field, s.value)
    .where(among(s.party_id), s.field.in_(("name", BELONGS_TO)))
    .order_by(s.observed_at, s.value)
)
_MAILS_SAY = (
    sa.select(i.party_id, t.participation.c.name)
    .join(t.identifier, i.id == t.participation.c.identifier_id)
    .where(among(i.party_id), i.sharing.in_(("personal", "own")), t.participation.c.name != "")
    .distinct()
)
_FIRMS = (
    sa.select(i.scheme, i.value, i.party_id)
    .join(t.party, p.id == i.party_id)
    .where(pairs_among(i.scheme, i.value), p.kind == "organization")
)


class _Party(NamedTuple):
    id: int
    name: str
    name_rank: int
    kind: str
    organization_id: int | None
    owner_identifier_id: int | None


def _parties(c: Connection, party_ids: Iterable[int]) -> dict[int, _Party]:
    return {row[0]: _Party(*row) for row in fetch(c, _PARTIES, values=sorted(party_ids))}


def refresh(c: Connection, party_ids: Collection[int], rules: Rules, now: datetime) -> set[int]:
    """Write what differs; returns the people of these organizations that belong to another one now."""
    rows = _parties(c, party_ids)
    firms = {pid for pid, r in rows.items() if r.kind == "organization"}
    members = {pid for (pid,) in fetch(c, _MEMBERS, values=sorted(firms))} - rows.keys() if firms else set()
    people = _parties(c, members) if members else {}
    looked = sorted(rows.keys() | members)
    said, held = fetch(c, _RECORDS_SAY, values=looked), fetch(c, _HELD, values=looked)
    names = {pid: (name, NAME_FROM_RECORD) for pid, name in _best_said(said).items()}
    unsaid = [pid for pid in sorted(rows) if pid not in names]
    names |= {pid: (name, NAME_FROM_MAIL) for pid, name in best_of_mails(c, unsaid).items()}
    kinds, owners = _standing(held)
    homes = _homes(c, (set(rows) - firms) | members, said, held, rules, now)
    found = []
    for pid, r in rows.items():
        name, rank = names.get(pid, ("", 0))
        kind = r.kind if r.kind in {"organization", "mailbox"} else kinds.get(pid, r.kind)
        home = homes.get(pid) if kind in {"person", "mailbox"} else None
        value = (name, rank, kind, home, owners.get(pid))
        if value != (r.name, r.name_rank, r.kind, r.organization_id, r.owner_identifier_id):
            found.append((pid, value))
    moved = {pid for pid, r in people.items() if homes.get(pid) != r.organization_id}
    found += [(pid, (r.name, r.name_rank, r.kind, homes.get(pid), r.owner_identifier_id))
              for pid in sorted(moved) for r in (people[pid],)]  # fmt: skip
    change(c, t.party, [
        {
            "id": pid, "name": name, "name_rank": rank, "kind": kind, "organization_id": home,
            "owner_identifier_id": owner, "changed_at": micros(now),
        }
        for pid, (name, rank, kind, home, owner) in found
    ])  # fmt: skip
    return moved


def _standing(held: Iterable[Any]) -> tuple[dict[int, str], dict[int, int]]:
    """(party -> own or person, party -> the owner that its record changed last names), of rows of `_HELD`."""
    kinds: dict[int, str] = {}
    owners: dict[int, tuple[int, int]] = {}
    for pid, _, _, sharing, is_own, owner, said_at in held:
        if sharing == "own" or is_own:
            kinds[pid] = "own"
        else:
            kinds.setdefault(pid, "person")
        if owner is not None:
            owners[pid] = max(owners.get(pid, (-1, 0)), (said_at, owner))
    return kinds, {pid: owner for pid, (_, owner) in owners.items()}


def best_of_records(c: Connection, party_ids: Sequence[int]) -> dict[int, str]:
    return _best_said(fetch(c, _RECORDS_SAY, values=party_ids))


def _best_said(said: Iterable[Any]) -> dict[int, str]:
    best: dict[int, tuple[bool, str]] = {}
    for pid, field, value in said:
        name = " ".join(value.split())[:512] if field == "name" else ""
        if name and "@" not in name:
            best[pid] = max(best.get(pid, (False, "")), (" " in name, name))
    return {pid: name for pid, (_, name) in best.items()}


def best_of_mails(c: Connection, party_ids: Sequence[int]) -> dict[int, str]:
    best: dict[int, tuple[bool, int, str]] = {}
    for pid, given in fetch(c, _MAILS_SAY, values=party_ids) if party_ids else ():
        name = " ".join(given.split())
        if name and "@" not in name:
            best[pid] = max(best.get(pid, (False, 0, "")), (" " in name, len(name), name))
    return {pid: name for pid, (_, _, name) in best.items()}


def _homes(
    c: Connection, party_ids: Collection[int], said: Iterable[Any], held: Iterable[Any], rules: Rules, now: datetime
) -> dict[int, int]:
    """Party -> its organization: what its records name, else what the first of its addresses shows that shows one."""
    homes: dict[int, int] = {}
    by_key: dict[tuple[str, str], list[int]] = {}
    for pid, named in {pid: value for pid, field, value in said if field == BELONGS_TO and pid in party_ids}.items():
        scheme, _, value = named.rpartition(":")  # a scheme may hold a colon
        by_key.setdefault((scheme, value), []).append(pid)
    for scheme, value, home in fetch(c, _FIRMS, values=sorted(by_key)) if by_key else ():
        homes |= dict.fromkeys(by_key[scheme, value], home)
    addresses = [
        (pid, value) for pid, scheme, value, sharing, *_ in held
        if scheme == "email" and sharing in {"personal", "role"} and pid in party_ids and pid not in homes
    ]  # fmt: skip
    return homes | homes_by_address(c, addresses, rules, now)


def homes_by_address(
    c: Connection, addresses: Sequence[tuple[int, str]], rules: Rules, now: datetime
) -> dict[int, int]:
    """Party -> the organization that the first of its addresses to show one shows."""
    if not addresses:
        return {}
    index = Index(c, rules, frozenset(), now)
    index.load(index.domains_of(("email", address) for _, address in addresses))
    found: dict[int, PartyRow] = {}
    for pid, address in addresses:
        if pid not in found and (home := index.organization(address.rpartition("@")[2])) is not None:
            found[pid] = home
    index.flush()
    return {pid: home.id for pid, home in found.items() if home.id is not None}
