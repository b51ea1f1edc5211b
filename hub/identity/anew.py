"""Parties after records were erased: what no record says of them any more is not said by the hub either.

Joins stay: that two addresses are one person's was decided, and what stands on it (a refusal for one) must go on standing.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity import linker, phones
from hub.identity.decisions import note
from hub.identity.derive import Derived, join_whole
from hub.identity.evidence import ERASED, JOINING, ONE_RECORD
from hub.identity.index import NAME_FROM_MAIL, NAME_FROM_RECORD, Rules, rehome
from hub.identity.match.keys import of as keys_of
from hub.identity.refresh import best_of_mails, best_of_records, homes_by_address
from hub.identity.said import of_mail
from hub.identity.weights import SETTINGS
from hub.store import add, among, change, chunks, fetch, micros, short_id, tell
from hub.store import tables as t

i, p = t.identifier.c, t.party.c

_PARTIES = sa.select(p.id, p.name, p.name_rank, p.kind, p.organization_id).where(among(p.id))
_MAILS_SAY = (
    sa.select(i.party_id, t.participation.c.name)
    .join(t.identifier, i.id == t.participation.c.identifier_id)
    .where(among(i.party_id), i.sharing.in_(("personal", "own")), t.participation.c.name != "")
    .distinct()
)
_STILL_SAID = _MAILS_SAY.with_only_columns(i.party_id).join(
    t.party, sa.and_(p.id == i.party_id, p.name == t.participation.c.name)
)
_POINTED_AT = [
    sa.exists().where(table.c.identifier_id == i.id)
    for table in (t.observation, t.participation, t.item_party, t.consent)
]
_ADDRESSES = (
    sa.select(i.party_id, i.value)
    .where(among(i.party_id), i.scheme == "email", i.sharing.in_(("personal", "role")), sa.or_(*_POINTED_AT))
    .order_by(i.id)
)


def unsay(c: Connection, party_ids: Sequence[int], rules: Rules, now: datetime) -> dict[int, str]:
    """Names that no record and no message gives any more go; returns the former names of those parties."""
    uncall(c, party_ids, rules, now)
    found: dict[int, Any] = {r.id: r for r in c.execute(_PARTIES, {"values": list(party_ids)})}
    best = best_of_records(c, list(found))
    kept: set[int] = set(c.execute(_STILL_SAID, {"values": list(found)}).scalars())
    unsaid = [pid for pid, r in found.items() if r.name and pid not in best and pid not in kept]
    fuller = best_of_mails(c, unsaid)
    rows: list[dict[str, Any]] = [
        {"id": pid, "name": name, "name_rank": NAME_FROM_RECORD} for pid, name in best.items()
    ]
    rows += [
        {"id": pid, "name": fuller.get(pid, ""), "name_rank": NAME_FROM_MAIL if pid in fuller else 0} for pid in unsaid
    ]
    rows = [r for r in rows if found[r["id"]].name != r["name"]]
    change(c, t.party, [{**r, "changed_at": micros(now)} for r in rows])
    return {r["id"]: found[r["id"]].name for r in rows}


_CALLED = (
    sa.select(i.id, i.value, t.participation.c.name)
    .join(t.node, t.node.c.identifier_id == i.id)
    .outerjoin(t.participation, t.participation.c.identifier_id == i.id)
    .where(among(i.party_id), i.sharing == "personal")
    .distinct()
)


def uncall(c: Connection, party_ids: Sequence[int], rules: Rules, now: datetime) -> None:
    """Addresses are compared by what the remaining mail calls them."""
    called: dict[int, tuple[str, set[str]]] = {}
    for ident, address, name in c.execute(_CALLED, {"values": list(party_ids)}):
        called.setdefault(ident, (address, set()))[1].add(name or "")
    linker.forget(c, called)
    linker.remember(c, of_mail(c, called, rules, micros(now)))
    linker.relist(c, called)


def leave_home(c: Connection, party_ids: Sequence[int], rules: Rules, now: datetime) -> None:
    """Owner and company as the addresses alone give them: what the remaining records say comes on top."""
    addresses = c.execute(_ADDRESSES, {"values": list(party_ids)}).tuples().all()
    homes = homes_by_address(c, addresses, rules, now)
    rows = []
    for r in c.execute(_PARTIES, {"values": list(party_ids)}).all():
        home = homes.get(r.id) if r.kind in {"person", "mailbox"} else None
        rows.append({"id": r.id, "organization_id": home, "owner_identifier_id": None})
    change(c, t.party, rows)


def unlist(c: Connection, record_ids: Collection[int], now: datetime) -> set[int]:
    """Drop what these records showed; returns the parties that won or lost a telephone number by it."""
    _keep_joined(c, record_ids, now)
    numbers = phones.forget(c, {rid: set() for rid in record_ids})
    values = {"values": list(record_ids)}
    c.execute(sa.delete(t.observation).where(among(t.observation.c.record_id)), values)
    c.execute(sa.delete(t.statement).where(among(t.statement.c.record_id)), values)
    return phones.settle(c, numbers, micros(now)) if numbers else set()


_SHOWN = (
    sa.select(t.observation.c.record_id, i.id, i.sharing, i.party_id)
    .join(t.identifier, i.id == t.observation.c.identifier_id)
    .where(among(t.observation.c.record_id), i.sharing.in_(sorted(JOINING)))
    .order_by(t.observation.c.record_id, i.id)
)


_SAID_SAME = sa.select(
    t.decision.c.id, t.decision.c.left_identifier_id, t.decision.c.right_identifier_id, t.decision.c.rule
).where(
    among(t.decision.c.left_identifier_id), t.decision.c.verdict == "same", t.decision.c.revoked_at.is_(None)
)  # fmt: skip
_STANDS = sa.update(t.decision).where(t.decision.c.id == sa.bindparam("decision")).values(rule=ERASED)


def _keep_joined(c: Connection, record_ids: Collection[int], now: datetime) -> None:
    """That two addresses are one person's stays decided when the record that said so is gone; what it said of him is not."""
    shown: dict[int, list[Any]] = {}
    for r in c.execute(_SHOWN, {"values": list(record_ids)}):
        shown.setdefault(r.record_id, []).append(r)
    ends = sorted({r.id for rows in shown.values() for r in rows})
    said = {frozenset(pair): (ident, rule) for ident, *pair, rule in fetch(c, _SAID_SAME, values=ends)}
    for rows in shown.values():
        addresses = [r for r in rows if r.sharing != "id"]
        for r in addresses[1:]:
            if r.party_id != addresses[0].party_id:
                continue
            ident, rule = said.get(frozenset((addresses[0].id, r.id)), (0, ""))
            if rule == ONE_RECORD:  # told of the record that listed both; from now on it is all there is
                tell(c, _STANDS, [{"decision": ident}])
            elif not ident:
                note(c, [{
                    "left_identifier_id": addresses[0].id, "right_identifier_id": r.id, "verdict": "same",
                    "kind": "rule", "rule": ERASED, "reasons": _BLURRED, "actor": "hub",
                }], now)  # fmt: skip
    linker.forget(c, {r.id for rows in shown.values() for r in rows if r.sharing == "id"})


# --- what nothing points at -----------------------------------------------------------------------------------------

_OWNERS = sa.union(
    *(
        sa.select(column).where(column.is_not(None))
        for column in (t.item.c.owner_identifier_id, t.interaction.c.owner_identifier_id, p.owner_identifier_id)
    )
).subquery()
_member, _address = t.party.alias(), t.identifier.alias()
_HAS_MEMBERS = sa.exists().where(
    _member.c.organization_id == i.party_id, _address.c.party_id == _member.c.id, _address.c.scheme == "email",
    sa.or_(_address.c.value.like("%@" + i.value), _address.c.value.like("%." + i.value)),
)  # fmt: skip
_ORPHANS = sa.select(i.id, i.scheme, i.value, i.match_value, i.party_id).where(
    i.id > sa.bindparam("after"), i.id <= sa.bindparam("last"),
    sa.not_(sa.or_(*_POINTED_AT)),
    i.id.not_in(sa.select(_OWNERS)),
    sa.or_(i.scheme != "domain", sa.not_(_HAS_MEMBERS)),
)  # fmt: skip


def drop_orphans(
    c: Connection, after: int, last: int, keep: Collection[str], rules: Rules, now: datetime
) -> tuple[int, dict[int, str], set[int]]:
    """Delete the identifiers with ids above `after` up to `last` that nothing points at.

    Returns how many; the parties that had them: id -> public id as it was; and those whose members are another's now.

    keep: addresses that stand for somebody without any record. A party that loses the identifier its public id was made
    of gets one made of another: the first would come back to somebody else.
    """
    found = [r for r in c.execute(_ORPHANS, {"after": after, "last": last}).all() if r.value not in keep]
    theirs = {"values": sorted({r.party_id for r in found})}
    losers = {pid: public_id for pid, public_id in c.execute(sa.select(p.id, p.public_id).where(among(p.id)), theirs)}
    for part in chunks([r.id for r in found]):
        d = t.decision.c
        c.execute(sa.delete(t.decision).where(sa.or_(d.left_identifier_id.in_(part), d.right_identifier_id.in_(part))))
        linker.forget(c, part)
        c.execute(sa.delete(t.identifier).where(i.id.in_(part)))
    moved = _leave_for_older(c, set(losers), rules, now)
    rehome(c, theirs["values"])
    made = {
        short_id("p", kind, r.scheme, value): r.party_id
        for r in found
        for kind in ("person", "own", "mailbox", "organization")
        for value in (r.value, r.match_value)
    }
    for part in chunks(sorted(made)):
        for pid, public_id in c.execute(sa.select(p.id, p.public_id).where(p.public_id.in_(part))).all():
            _rename_key(c, pid, public_id)
    return len(found), losers, moved


_OTHER_HOMES = (
    sa.select(i.party_id, sa.func.min(i.home_id))
    .where(
        among(i.party_id), i.home_id.is_not(None), i.party_id.not_in(sa.select(i.home_id).where(i.home_id.is_not(None)))
    )
    .group_by(i.party_id)
)


def _leave_for_older(c: Connection, party_ids: set[int], rules: Rules, now: datetime) -> set[int]:
    """Parties that lost what they were made for, and have members that were parties themselves, are the oldest of those."""
    found = dict(c.execute(_OTHER_HOMES, {"values": sorted(party_ids)}).tuples().all())
    out = Derived()
    join_whole(c, found, out, rules, now)
    return out.parties


def _rename_key(c: Connection, party_id: int, public_id: str) -> None:
    left = sa.select(i.scheme, i.match_value, p.kind).join(t.party, p.id == i.party_id).where(p.id == party_id)
    for scheme, value, kind in c.execute(left.order_by(i.id)).all():
        new = short_id("p", kind, scheme, value)
        if c.execute(sa.select(p.id).where(p.public_id == new)).scalar() is None:
            c.execute(sa.update(t.party).where(p.id == party_id).values(public_id=new))
            r, other = t.remote.c, t.remote.alias().c
            there = sa.exists().where(other.connection_id == r.connection_id, other.kind == r.kind, other.key == new)
            c.execute(sa.update(t.remote).where(r.key == public_id, sa.not_(there)).values(key=new))
            return


_EMPTY = sa.select(p.id, p.public_id).where(
    *(
        sa.not_(sa.exists().where(table.c.party_id == p.id))
        for table in (t.identifier, t.observation, t.statement, t.link)
    ),
    sa.not_(sa.exists().where(i.home_id == p.id)),
    sa.not_(sa.exists().where(_member.c.organization_id == p.id)),
)


def drop_empty(c: Connection, size: int) -> list[str]:
    """Delete up to `size` parties that nothing leads to, people before their companies; returns their public ids."""
    gone = c.execute(_EMPTY.limit(size)).all()
    for part in chunks([pid for pid, _ in gone]):
        for table in (t.volume, t.choice):
            c.execute(sa.delete(table).where(table.c.party_id.in_(part)))
        c.execute(sa.delete(t.party).where(p.id.in_(part)))
    return [public_id for _, public_id in gone]


_NODES = (
    sa.select(t.node.c.identifier_id, t.node.c.kind, t.node.c.fields, i.party_id, p.kind)
    .join(t.identifier, i.id == t.node.c.identifier_id)
    .join(t.party, p.id == i.party_id)
)


def drop_hubs(c: Connection) -> None:
    """Keys that few enough share, now that others are gone, say something again; of those that nobody has nothing is kept.

    Who else shares such a key was not written down: everybody is looked through, where there are such keys at all.
    """
    hubs = set(c.execute(sa.select(t.hub_key.c.key)).scalars())
    held: dict[int, set[int]] = {}
    entities: dict[int, set[int]] = {}
    for ident, kind, fields, party_id, party_kind in c.execute(_NODES) if hubs else ():
        for key in hubs.intersection(map(linker.hashed, keys_of(linker.record_of(ident, kind, "", fields)))):
            held.setdefault(key, set()).add(ident)
            if party_kind in {"person", "organization"}:
                entities.setdefault(key, set()).add(party_id)
    free = sorted(key for key in hubs if len(entities.get(key, ())) <= SETTINGS.fan_out)
    add(c, t.match_key, [{"key": key, "identifier_id": ident} for key in free for ident in sorted(held.get(key, ()))])
    for part in chunks(free):
        c.execute(sa.delete(t.hub_key).where(t.hub_key.c.key.in_(part)))


_BLURRED = [{"field": "record", "level": "one record listed both", "value": "(erased)"}]
_VALUES = ("left", "right", "value")


def blur_decisions(c: Connection, identifier_ids: Iterable[int]) -> None:
    """Decisions about these identifiers stand, without naming the record that gave the reason, or what it said."""
    for part in chunks(sorted(set(identifier_ids))):
        mine = sa.or_(t.decision.c.left_identifier_id.in_(part), t.decision.c.right_identifier_id.in_(part))
        for ident, kind, rule, told in c.execute(
            sa.select(t.decision.c.id, t.decision.c.kind, t.decision.c.rule, t.decision.c.reasons).where(mine)
        ).all():
            reasons = json.loads(told)
            if kind == "rule" and rule == ONE_RECORD:
                reasons = _BLURRED
            elif kind != "human":
                reasons = [{k: "(erased)" if k in _VALUES and v else v for k, v in r.items()} for r in reasons]
            change(c, t.decision, [{"id": ident, "reasons": json.dumps(reasons)}])
