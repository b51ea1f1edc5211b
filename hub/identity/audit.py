"""Everybody weighed against everybody: what the online path decided one by one, decided again together.

The weights are learnt anew from the records, what rules and people say is taken as it stands, and all that the model
joins is joined from the beginning, in falling order. So the outcome does not depend on the order in which records came.
Differences to today are proposals; applying them replaces decisions of the model, and of nobody else.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity import evidence
from hub.identity.decisions import note, revoke
from hub.identity.derive import Derived, derive
from hub.identity.evidence import Evidence
from hub.identity.graph import HUMAN, MODEL, Limits, Word, parts
from hub.identity.index import Rules
from hub.identity.linker import WEIGHED, record_of
from hub.identity.match import batch
from hub.identity.match.keys import of as keys_of
from hub.identity.match.learn import learn
from hub.identity.match.model import Counts, Model
from hub.identity.match.profile import Profile, joined
from hub.identity.match.record import Record
from hub.identity.weights import LEARNT, SETTINGS, at_least, version_of, weights
from hub.store import among, put
from hub.store import tables as t

LEAST = 1000  # records from which weights can be learnt; below, the shipped ones serve
BRAKE = 0.2  # share of all parties that an audit may change without a person's word

d = t.decision.c
_NODES = (
    sa.select(t.node.c.identifier_id, t.node.c.kind, t.node.c.fields)
    .join(t.identifier, t.identifier.c.id == t.node.c.identifier_id)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .where(t.party.c.kind.in_(("person", "organization")), t.identifier.c.sharing.in_(sorted(evidence.JOINING)))
)
_LIVE = sa.select(d.id, d.left_identifier_id, d.right_identifier_id, d.verdict).where(
    d.kind == MODEL, d.rule == WEIGHED, d.revoked_at.is_(None), d.verdict.in_(("same", "unsure"))
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """what: "join" parties, "part" one, "ask" about two. parties: those of today. identifiers: all that they have.

    words: the decisions that are to stand between these identifiers: (left, right, weight, reasons).
    """

    what: Literal["join", "part", "ask"]
    parties: tuple[int, ...]
    identifiers: tuple[int, ...]
    words: tuple[tuple[int, int, float, str], ...] = ()
    weight: float = 0.0
    why: str = ""


@dataclass(slots=True)
class Audit:
    """What a look at everything found. settled: questions that are none any more (decision ids)."""

    records: int = 0
    parties: int = 0
    proposals: list[Proposal] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    learnt: str = ""

    def count(self, what: str) -> int:
        """Proposals to "join", "part" or "ask"."""
        return sum(p.what == what for p in self.proposals)

    @property
    def changed(self) -> int:
        """Parties that would have other members."""
        return len({p for one in self.proposals if one.what != "ask" for p in one.parties})

    @property
    def is_large(self) -> bool:
        return self.changed > 20 and self.changed > BRAKE * self.parties


def audit(c: Connection, rules: Rules) -> Audit:
    """Look at everything; changes nothing. c: a connection that sees one state."""
    found = evidence.everything(c, rules)
    records = _records(c, found)
    base = parts(found.nodes, [w for w in found.words if w.kind != MODEL], _limits(rules))
    ids = {r.id: n for n, r in records.items()}
    groups, first = _groups(base.groups, records)
    model = _model(c, records)
    apart = _apart(found, first)
    outcome = batch.audit(groups, {r.id: r for r in records.values()}, model, apart)
    wanted = [
        Word(ids[j.left], ids[j.right], MODEL, WEIGHED, weight=j.weight) for j in outcome.joins
    ]  # fmt: skip
    reasons = {(ids[p.left], ids[p.right]): _reasons(p) for p in (*outcome.joins, *outcome.reviews)}
    after = parts(found.nodes, [*(w for w in found.words if w.kind != MODEL), *wanted], _limits(rules))
    used = {(w.left, w.right) for w in after.used if w.kind == MODEL}
    wanted = [w for w in wanted if (w.left, w.right) in used]
    out = Audit(len(records), len({h.party_id for h in found.held.values()}))
    out.learnt = json.dumps(model.state(), sort_keys=True) if len(records) >= LEAST else ""
    out.proposals = _differences(found, after.groups, wanted, reasons)
    _questions(c, found, after.groups, outcome.reviews, ids, reasons, out)
    return out


def _limits(rules: Rules) -> Limits:
    return Limits(rules.most_addresses, rules.most_records)


def _records(c: Connection, found: Evidence) -> dict[int, Record]:
    """Identifier -> what is compared of it, under a name that is the same whenever it came."""
    records = {}
    for ident, kind, fields in c.execute(_NODES):
        if (held := found.held.get(ident)) is None:
            continue
        plain = record_of(ident, kind, held.node.tool, fields)
        records[ident] = Record(
            f"{held.node.scheme}:{held.node.value}", kind, plain.holder, plain.fields, plain.mailboxes
        )
    return records


def _groups(groups: list[list[int]], records: dict[int, Record]) -> tuple[list[Profile], dict[int, str]]:
    """(what is known of each group that has records, identifier -> the first record of its group)."""
    found, first = [], dict[int, str]()
    for group in groups:
        mine = sorted((records[n] for n in group if n in records), key=lambda r: r.id)
        if not mine:
            continue
        whole = Profile.of(mine[0])
        for other in mine[1:]:
            whole = joined(whole, Profile.of(other))
        found.append(whole)
        first |= dict.fromkeys(group, mine[0].id)
    return found, first


def _model(c: Connection, records: dict[int, Record]) -> Model:
    ordered = sorted(records.values(), key=lambda r: r.id)
    if len(ordered) >= LEAST:
        pairs = batch.candidates(map(keys_of, ordered), SETTINGS.block)
        return learn(SETTINGS, ordered, [Profile.of(r) for r in ordered], pairs)
    counts = Counts()
    for record in ordered:
        counts.add(record)
    at_least(counts)
    return Model.of(weights(c).model.state(), SETTINGS, counts)


def _apart(found: Evidence, first: dict[int, str]) -> set[frozenset[str]]:
    """Records of which a person said that they are two."""
    said = [w for w in found.words if w.verdict == "different" and w.kind == HUMAN]
    return {frozenset((first[w.left], first[w.right])) for w in said if w.left in first and w.right in first}


def _reasons(p: batch.Proposal) -> str:
    told: list[dict[str, Any]] = [
        {"field": x.field, "left": x.left, "right": x.right, "level": x.level, "weight": round(x.weight, 2)}
        for x in p.lines
    ]
    return json.dumps([*told, *([{"field": "why", "level": p.why}] if p.why else [])], ensure_ascii=False)


def _differences(
    found: Evidence, groups: list[list[int]], wanted: list[Word], reasons: dict[tuple[int, int], str]
) -> list[Proposal]:
    """One proposal for each set of parties whose members are not as they should be."""
    target = {n: at for at, group in enumerate(groups) for n in group}
    members: dict[int, list[int]] = {}
    for n, held in found.held.items():
        members.setdefault(held.party_id, []).append(n)
    words: dict[int, list[Word]] = {}
    for w in wanted:
        words.setdefault(target[w.left], []).append(w)
    out, seen = [], set[int]()
    for party_id in sorted(members):
        if party_id in seen:
            continue
        parties, ends = _touched(party_id, found, members, target, groups)
        seen |= parties
        into = {target[n] for n in ends}
        if len(parties) == len(into) == 1:
            continue
        told = [w for at in sorted(into) for w in words.get(at, ())]
        out.append(Proposal(
            "join" if len(into) < len(parties) else "part", tuple(sorted(parties)), tuple(sorted(ends)),
            tuple((w.left, w.right, w.weight, reasons[w.left, w.right]) for w in told),
            max((w.weight for w in told), default=0.0),
        ))  # fmt: skip
    return out


def _touched(
    party_id: int, found: Evidence, members: dict[int, list[int]], target: dict[int, int], groups: list[list[int]]
) -> tuple[set[int], set[int]]:
    """The parties and identifiers that hang together by what is and by what should be."""
    parties, ends, todo = set[int](), set[int](), [party_id]
    while todo:
        one = todo.pop()
        if one in parties:
            continue
        parties.add(one)
        for n in members[one]:
            if n not in ends:
                ends.update(groups[target[n]])
        todo += [found.held[n].party_id for n in ends]
    return parties, ends


def _questions(
    c: Connection, found: Evidence, groups: list[list[int]], reviews: Iterable[batch.Proposal], ids: dict[str, int],
    reasons: dict[tuple[int, int], str], out: Audit,
) -> None:  # fmt: skip
    """New ones are asked, the model's old ones that nobody would ask now are withdrawn; those of rules stay."""
    target = {n: at for at, group in enumerate(groups) for n in group}
    open_now: dict[frozenset[int], int] = {}
    for ident, left, right, verdict in c.execute(_LIVE):
        if verdict == "unsure" and left in target and right in target:
            open_now[frozenset((target[left], target[right]))] = ident
    asked = set()
    for p in reviews:
        left, right = ids[p.left], ids[p.right]
        pair = frozenset((target[left], target[right]))
        asked.add(pair)
        if pair not in open_now and len(pair) == 2:
            parties = tuple(sorted({found.held[left].party_id, found.held[right].party_id}))
            word = (left, right, p.weight, reasons[left, right])
            out.proposals.append(Proposal("ask", parties, (left, right), (word,), p.weight, p.why))
    out.settled = sorted(ident for pair, ident in open_now.items() if pair not in asked)


def apply(c: Connection, found: Audit, rules: Rules, now: datetime, actor: str) -> Derived:
    """Make it so, in this transaction. What has changed since the audit looked is left for the next one."""
    out = Derived()
    put(c, t.meta, [{"key": LEARNT, "value": found.learnt}] if found.learnt else [])
    version = version_of(found.learnt)
    revoke(c, d.id.in_(found.settled), now)
    for p in found.proposals:
        if not _stands(c, p):
            continue
        if p.what != "ask":
            between = sa.and_(d.left_identifier_id.in_(p.identifiers), d.right_identifier_id.in_(p.identifiers))
            revoke(c, sa.and_(d.kind == MODEL, d.rule == WEIGHED, between), now)
        for left, right, weight, reasons in p.words:
            note(c, [{
                "left_identifier_id": left, "right_identifier_id": right, "kind": MODEL, "rule": WEIGHED,
                "verdict": "unsure" if p.what == "ask" else "same", "weight": round(weight, 2), "version": version,
                "records": len(p.identifiers), "reasons": json.loads(reasons), "actor": actor,
            }], now)  # fmt: skip
        if p.what != "ask":
            done = derive(c, p.identifiers, rules, now)
            out.parties |= done.parties
            out.merged |= done.merged
    return out


_MEMBERS = sa.select(t.identifier.c.party_id, t.identifier.c.id).where(
    among(t.identifier.c.party_id), t.identifier.c.sharing.in_(sorted(evidence.JOINING))
)


def _stands(c: Connection, p: Proposal) -> bool:
    members = c.execute(_MEMBERS, {"values": list(p.parties)}).all()
    if p.what == "ask":
        return {party for party, _ in members} == set(p.parties)
    return {n for _, n in members} == set(p.identifiers)
