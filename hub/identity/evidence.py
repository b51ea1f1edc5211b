"""What there is to go by for some identifiers: everything that speaks for or against their being one, read until no
further identifier turns up. What is told about these says nothing about any other, so they can be decided alone."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.graph import COMPANY, ONCE_LISTED, RULE, TOOL, Node, Word
from hub.identity.index import PERSONAL, Rules
from hub.store import among
from hub.store import tables as t

JOINING = frozenset({PERSONAL, "own", "id", "domain"})  # sharing classes that are somebody's own
ONE_RECORD, SAME_ADDRESS, ONE_ID = "one-record", "same-address", "same-record-at-source"
MOST = 5000  # identifiers looked at together; beyond that a person must have cut what joins them

i, o, d = t.identifier.c, t.observation.c, t.decision.c
_ALL_NODES = (
    sa.select(i.id, i.scheme, i.value, i.match_value, i.sharing, i.party_id, i.home_id, t.party.c.kind, t.node.c.fields)
    .join(t.party, t.party.c.id == i.party_id)
    .outerjoin(t.node, t.node.c.identifier_id == i.id)
    .where(i.sharing.in_(sorted(JOINING)))
)
_NODES = _ALL_NODES.where(among(i.id))
_beside = t.observation.alias()
_LISTED = (
    sa.select(o.record_id, o.identifier_id, o.last_seen_at)
    .where(o.record_id.in_(sa.select(_beside.c.record_id).where(among(_beside.c.identifier_id))))
    .order_by(o.record_id, o.identifier_id)
)
_ALIKE = sa.select(i.id, i.match_value).where(i.scheme == "email", among(i.match_value), i.sharing == PERSONAL)
_DECIDED = sa.select(
    d.id, d.left_identifier_id, d.right_identifier_id, d.verdict, d.kind, d.rule, d.weight, d.decided_at
).where(d.revoked_at.is_(None), d.verdict.in_(("same", "different")))
_LEFT, _RIGHT = (_DECIDED.where(among(end)) for end in (d.left_identifier_id, d.right_identifier_id))


@dataclass(slots=True)
class Held:
    """One identifier as it stands. kind: of its party."""

    node: Node
    match: str
    sharing: str
    party_id: int
    home_id: int | None
    kind: str
    shown: int = 0  # records that list it


@dataclass(slots=True)
class Evidence:
    """held: by identifier id. listed: record id -> the identifiers it shows or showed -> when it did last (microseconds)."""

    held: dict[int, Held] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)
    listed: dict[int, dict[int, int]] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        return [h.node for h in self.held.values()]


def gather(c: Connection, identifier_ids: Iterable[int], rules: Rules) -> Evidence:
    """The closure over live evidence around these identifiers; those that never join are left out."""
    found, decisions = Evidence(), dict[int, Word]()
    wanted = set(identifier_ids)
    seen: set[int] = set()
    while wanted and len(seen) <= MOST:
        values = {"values": sorted(wanted)}
        seen |= wanted
        fresh = {r.id: _held(r, rules) for r in c.execute(_NODES, values)}
        found.held |= fresh
        wanted = set()
        if not fresh:
            break
        values = {"values": sorted(fresh)}
        for record_id, identifier_id, at in c.execute(_LISTED, values):
            found.listed.setdefault(record_id, {})[identifier_id] = at
            wanted.add(identifier_id)
        matches = sorted({h.match for h in fresh.values() if h.sharing == PERSONAL})
        wanted.update(r.id for r in c.execute(_ALIKE, {"values": matches})) if matches else None
        for statement in (_LEFT, _RIGHT):
            for r in c.execute(statement, values):
                decisions[r[0]] = Word(r[1], r[2], r[4], r[5], r[3], r[6] or 0.0, r[7], r[0])
                wanted |= {r[1], r[2]} if r[3] == "same" else set()
        wanted -= seen
    _count(found)
    found.words = [*decisions.values(), *_of_records(found), *_of_addresses(found)]
    return found


def everything(c: Connection, rules: Rules) -> Evidence:
    """All of it at once."""
    found = Evidence({r.id: _held(r, rules) for r in c.execute(_ALL_NODES)})
    for record_id, identifier_id, at in c.execute(sa.select(o.record_id, o.identifier_id, o.last_seen_at)):
        if identifier_id in found.held:
            found.listed.setdefault(record_id, {})[identifier_id] = at
    told = [Word(r[1], r[2], r[4], r[5], r[3], r[6] or 0.0, r[7], r[0]) for r in c.execute(_DECIDED)]
    _count(found)
    found.words = [*told, *_of_records(found), *_of_addresses(found)]
    return found


def _held(r: Any, rules: Rules) -> Held:
    names: tuple[str, ...] = ()
    tool = r.scheme if r.sharing == "id" and rules.names_one(r.scheme) else ""
    called: tuple[str, ...] = ()
    if r.fields and r.scheme == "email":
        called = tuple(json.loads(r.fields).get("name", ()))
    elif r.fields and r.sharing == "id":
        told = json.loads(r.fields)
        names = (*told.get("name", ()), *(COMPANY + x for x in told.get("company", ())))
    return Held(
        Node(r.id, r.scheme, r.value, tool, names, called), r.match_value, r.sharing, r.party_id, r.home_id, r.kind
    )


def subject(found: Evidence, listed: Iterable[int]) -> int | None:
    """The identifier that stands for a record: its own id, which the fewest show, else an address; None when it shows none."""
    mine = [found.held[n] for n in listed if n in found.held]
    key = min((h.sharing != "id", h.shown, h.node.order, h.node.id) for h in mine) if mine else None
    return key[-1] if key else None


def _count(found: Evidence) -> None:
    for listed in found.listed.values():
        for n in listed:
            if n in found.held:
                found.held[n].shown += 1


def _of_records(found: Evidence) -> Iterable[Word]:
    """One record lists them all: its tool's ids because that says so, all else by the rule. A company's people are not it."""
    for record_id, listed in found.listed.items():
        if (first := subject(found, listed)) is None:
            continue
        head, today = found.held[first], max(listed.values())
        for n, at in listed.items():
            other = found.held.get(n)
            if other is None or n == first or (other.kind == "organization") is not (head.kind == "organization"):
                continue
            if other.sharing == "id" and other.node.scheme == head.node.scheme:
                yield Word(first, n, TOOL, ONE_ID, record=record_id)
            elif at == today:
                yield Word(first, n, RULE, ONE_RECORD, record=record_id)
            else:
                yield Word(first, n, RULE, ONCE_LISTED, weight=-1.0, record=record_id)


def _of_addresses(found: Evidence) -> Iterable[Word]:
    """Spellings of one mailbox."""
    alike: dict[str, list[Held]] = {}
    for h in found.held.values():
        if h.sharing == PERSONAL and h.node.scheme == "email":
            alike.setdefault(h.match, []).append(h)
    for same in alike.values():
        first, *others = sorted(same, key=lambda h: h.node.order)
        yield from (Word(first.node.id, h.node.id, RULE, SAME_ADDRESS) for h in others)
