"""What there is to go by for some identifiers: everything that speaks for or against their being one, read until no
further identifier turns up. What is told about these says nothing about any other, so they can be decided alone."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.crowds import MOST_CLAIMS, Claim, is_crowd
from hub.identity.graph import COMPANY, HUMAN, ONCE_LISTED, RULE, TOOL, Node, Word
from hub.identity.index import PERSONAL, Rules
from hub.identity.phones import SHARED
from hub.store import among, fetch
from hub.store import tables as t

JOINING = frozenset({PERSONAL, "own", "id", "domain"})  # sharing classes that are somebody's own
ONE_RECORD, SAME_ADDRESS, ONE_ID = "one-record", "same-address", "same-record-at-source"
ERASED = "record-erased"  # the rule of what a record said that is erased: a decision stands for it
MOST = 5000  # identifiers looked at together; beyond that a person must have cut what joins them

i, o, d = t.identifier.c, t.observation.c, t.decision.c
MAY_JOIN = sa.or_(i.sharing.in_(sorted(JOINING)), sa.and_(i.sharing == SHARED, i.scheme == "email"))
_ALL_NODES = (
    sa.select(i.id, i.scheme, i.value, i.match_value, i.sharing, i.party_id, i.home_id, t.party.c.kind, t.node.c.fields)
    .join(t.party, t.party.c.id == i.party_id)
    .outerjoin(t.node, t.node.c.identifier_id == i.id)
    .where(MAY_JOIN)
)
_NODES = _ALL_NODES.where(among(i.id))
_mine = t.identifier.alias()
_AROUND = _ALL_NODES.where(  # with what is of one party today: most of what there is to find
    i.party_id.in_(sa.select(_mine.c.party_id).where(among(_mine.c.id)))
)
_SPELLED = _ALL_NODES.where(i.scheme == "email", among(i.match_value))
_ALL_LISTED = sa.select(o.record_id, o.identifier_id, o.last_seen_at).order_by(o.record_id, o.identifier_id)
_beside = t.observation.alias()
_LISTED = (
    sa.select(o.record_id, o.identifier_id, o.last_seen_at, MAY_JOIN)
    .join(t.identifier, i.id == o.identifier_id)
    .where(o.record_id.in_(sa.select(_beside.c.record_id).where(among(_beside.c.identifier_id))))
    .order_by(o.record_id, o.identifier_id)
)
_LATEST = sa.select(sa.func.max(_beside.c.last_seen_at)).where(_beside.c.record_id == o.record_id).scalar_subquery()
_CLAIMS = (
    sa.select(o.identifier_id, sa.func.count())
    .where(among(o.identifier_id), o.last_seen_at == _LATEST)
    .group_by(o.identifier_id)
)  # fmt: skip
_ALIKE = sa.select(i.id).where(i.scheme == "email", among(i.match_value), i.sharing.in_((PERSONAL, SHARED)))
_DECIDED = sa.select(
    d.id, d.left_identifier_id, d.right_identifier_id, d.verdict, d.kind, d.rule, d.weight, d.decided_at
).where(
    d.revoked_at.is_(None), d.verdict.in_(("same", "different")),
    sa.or_(d.kind != RULE, d.rule == ERASED),  # what a rule reads off records is read there, as long as they say it
)  # fmt: skip
_ABOUT = sa.union_all(*(_DECIDED.where(among(end)) for end in (d.left_identifier_id, d.right_identifier_id)))


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
    """held: by identifier id. listed: record id -> the identifiers it shows or showed -> when it did last (microseconds).

    shared: addresses of too many people to be anybody's, whatever the store holds them for; they tie nobody.
    """

    held: dict[int, Held] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)
    listed: dict[int, dict[int, int]] = field(default_factory=dict)
    shared: dict[int, Held] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        return [h.node for h in self.held.values()]

    @property
    def turned(self) -> list[Held]:
        """Addresses that the store holds for shared and evidence for somebody's own, or the other way round."""
        return [
            *(h for h in self.shared.values() if h.sharing != SHARED),
            *(h for h in self.held.values() if h.sharing == SHARED),
        ]


def gather(c: Connection, identifier_ids: Iterable[int], rules: Rules) -> Evidence:
    """The closure over live evidence around these identifiers; those that never join are left out."""
    found, decisions = Evidence(), dict[int, Word]()
    wanted, seen, query = set(identifier_ids), set[int](), _AROUND
    while wanted and len(seen) <= MOST:
        fresh = {row[0]: _held(row, rules) for row in fetch(c, query, values=sorted(wanted))}
        seen |= wanted | fresh.keys()
        query, wanted = _NODES, set()
        if any(h.sharing == SHARED for h in fresh.values()):
            wanted = _set_aside(c, fresh, found, rules)
        found.held |= fresh
        if not fresh:
            break
        mine = sorted(fresh)
        for record_id, identifier_id, at, may_join in fetch(c, _LISTED, values=mine):
            found.listed.setdefault(record_id, {})[identifier_id] = at
            if may_join:
                wanted.add(identifier_id)
        if matches := sorted({h.match for h in fresh.values() if _is_an_address(h)}):
            wanted.update(n for (n,) in fetch(c, _ALIKE, values=matches))
        for row in fetch(c, _ABOUT, values=mine):
            word = decisions[row[0]] = _word(row)
            wanted |= {word.left, word.right} if word.verdict == "same" else set()
        wanted -= seen
    return _settled(found, list(decisions.values()), rules)


def everything(c: Connection, rules: Rules) -> Evidence:
    """All of it at once."""
    found = Evidence({row[0]: _held(row, rules) for row in fetch(c, _ALL_NODES)})
    for record_id, identifier_id, at in fetch(c, _ALL_LISTED):
        found.listed.setdefault(record_id, {})[identifier_id] = at
    return _settled(found, [_word(row) for row in fetch(c, _DECIDED)], rules)


def _settled(found: Evidence, decisions: list[Word], rules: Rules) -> Evidence:
    """Shared addresses apart, and in words what the rest says."""
    for n in _crowded(found, decisions, rules):
        found.shared[n] = found.held.pop(n)
    for listed in found.listed.values():
        for n in listed:
            if n in found.held:
                found.held[n].shown += 1
    found.words = [*decisions, *_of_records(found), *_of_addresses(found)]
    return found


def _held(row: Any, rules: Rules) -> Held:
    ident, scheme, value, match, sharing, party_id, home_id, kind, fields = row
    names: tuple[str, ...] = ()
    tool = scheme if sharing == "id" and rules.names_one(scheme) else ""
    called: tuple[str, ...] = ()
    if fields and scheme == "email":
        called = tuple(json.loads(fields).get("name", ()))
    elif fields and sharing == "id":
        told = json.loads(fields)
        names = (*told.get("name", ()), *(COMPANY + x for x in told.get("company", ())))
    if sharing == SHARED:
        home_id, kind = None, "person"  # a mailbox's party is no home for anybody: what it is if it is somebody's own
    return Held(Node(ident, scheme, value, tool, names, called), match, sharing, party_id, home_id, kind)


def _word(row: Any) -> Word:
    ident, left, right, verdict, kind, rule, weight, at = row
    return Word(left, right, kind, rule, verdict, weight or 0.0, at, ident)


# --- addresses of many ----------------------------------------------------------------------------------------------


def _is_an_address(h: Held) -> bool:
    return h.node.scheme == "email" and h.sharing in (PERSONAL, SHARED)


def _crowded(found: Evidence, decisions: Iterable[Word], rules: Rules) -> list[int]:
    """Addresses, in all their spellings, that are nobody's own by who lists them today."""
    by_match: dict[str, list[int]] = {}
    for n, h in found.held.items():
        if _is_an_address(h):
            by_match.setdefault(h.match, []).append(n)
    claims: dict[str, list[Claim]] = {}
    for listed in found.listed.values():
        today = max(listed.values())
        mine = [found.held[n] for n, at in listed.items() if at == today and n in found.held]
        claim: Claim | None = None
        for match in {h.match for h in mine if _is_an_address(h)}:
            claim = claim or _claim([h.node for h in mine if h.sharing == "id"])
            claims.setdefault(match, []).append(claim)
    many = {match: of for match, of in claims.items() if len(of) > MOST_CLAIMS}
    if not many:
        return []
    near: dict[int, list[tuple[int, int]]] = {}
    for w in decisions:
        if w.verdict == "same" and w.kind in (TOOL, HUMAN):
            near.setdefault(w.left, []).append((w.left, w.right))
            near.setdefault(w.right, []).append((w.left, w.right))
    return [
        n
        for match, of in many.items()
        if is_crowd(of, (tie for x in of for n in x.ids for tie in near.get(n, ())), rules.most_records)
        for n in by_match[match]
    ]


def _claim(ids: list[Node]) -> Claim:
    return Claim(
        frozenset(n.id for n in ids), frozenset(n.tool for n in ids if n.tool),
        frozenset(name for n in ids for name in n.names),
    )  # fmt: skip


def _set_aside(c: Connection, fresh: dict[int, Held], found: Evidence, rules: Rules) -> set[int]:
    """Takes out of `fresh` the shared addresses that still are; gives all spellings of those that are somebody's own again.

    Only who lists an address itself is looked at, and of very many nobody: it costs no more the more they are.
    """
    asked = sorted({h.match for h in fresh.values() if h.sharing == SHARED})
    spelled = {row[0]: _held(row, rules) for row in fetch(c, _SPELLED, values=asked)}
    count: dict[str, int] = {}
    for n, claims in fetch(c, _CLAIMS, values=sorted(spelled)):
        count[spelled[n].match] = count.get(spelled[n].match, 0) + claims
    few = {n for n, h in spelled.items() if count.get(h.match, 0) <= rules.most_records + MOST_CLAIMS}
    around = Evidence()
    if few:
        for record_id, identifier_id, at, _ in fetch(c, _LISTED, values=sorted(few)):
            around.listed.setdefault(record_id, {})[identifier_id] = at
        beside = sorted({n for listed in around.listed.values() for n in listed} | few)
        around.held = {row[0]: _held(row, rules) for row in fetch(c, _NODES, values=beside)}
        told = [_word(row) for row in fetch(c, _ABOUT, values=beside)]
        few -= set(_crowded(around, told, rules))
    for n in [n for n, h in fresh.items() if h.sharing == SHARED and n not in few]:
        found.shared[n] = fresh.pop(n)
    return few - fresh.keys()


def turning(found: Evidence) -> dict[int, tuple[list[str], list[str]]]:
    """Records, by their own identifier, that list what turned: addresses (of many people now, somebody's own again)."""
    turned = {h.node.id: (h.match, int(h.node.id in found.held)) for h in found.turned}
    out: dict[int, tuple[list[str], list[str]]] = {}
    for listed in found.listed.values() if turned else ():
        if turned.keys().isdisjoint(listed):
            continue
        own, today = subject(found, listed), max(listed.values())
        for n, at in listed.items():
            if n in turned and at == today and own is not None and found.held[own].kind != "organization":
                address, which = turned[n]
                out.setdefault(own, ([], []))[which].append(address)
    return out


# --- what rules read ------------------------------------------------------------------------------------------------


def subject(found: Evidence, listed: Iterable[int]) -> int | None:
    """The identifier that stands for a record: its own id, which the fewest show, else an address; None when it shows none."""
    mine = [found.held[n] for n in listed if n in found.held]
    key = min((h.sharing != "id", h.shown, h.node.order, h.node.id) for h in mine) if mine else None
    return key[-1] if key else None


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
        if _is_an_address(h):
            alike.setdefault(h.match, []).append(h)
    for same in alike.values():
        first, *others = sorted(same, key=lambda h: h.node.order)
        yield from (Word(first.node.id, h.node.id, RULE, SAME_ADDRESS) for h in others)
