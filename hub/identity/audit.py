"""Everybody weighed against everybody: what the online path decided one by one, decided again together.

The weights are learnt anew, from the records and from what people answered; what rules and people say is taken as it
stands, and all that the model joins is joined from the beginning, in falling order. So the outcome does not depend on
the order in which records came. Differences to today are proposals; applying them replaces decisions of the model, and
of nobody else.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity import evidence
from hub.identity.answers import answers
from hub.identity.crowds import restated
from hub.identity.decisions import note, revoke
from hub.identity.derive import Derived, derive
from hub.identity.differences import Proposal, differences, stray
from hub.identity.evidence import Evidence
from hub.identity.graph import HUMAN, MODEL, Limits, Word, parts
from hub.identity.index import Rules
from hub.identity.linker import WEIGHED, record_of
from hub.identity.match import batch
from hub.identity.match.keys import of as keys_of
from hub.identity.match.learn import Answer, learn, teach
from hub.identity.match.model import Counts, Model
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record
from hub.identity.questions import ask
from hub.identity.weights import LEARNT, SETTINGS, at_least, version_of
from hub.store import among, chunks, fetch, put
from hub.store import tables as t

LEAST = 1000  # records from which weights can be learnt; below, the shipped ones serve, and what people answered
BRAKE = 0.2  # share of all parties that an audit may change without a person's word

d = t.decision.c
_NODES = sa.select(t.node.c.identifier_id, t.node.c.kind, t.node.c.fields)
_OPEN = (
    sa.select(d.id, d.left_identifier_id, d.right_identifier_id)
    .where(d.kind == MODEL, d.rule == WEIGHED, d.revoked_at.is_(None), d.verdict == "unsure")
    .order_by(d.id)
)


@dataclass(slots=True)
class Audit:
    """What a look at everything found. settled: questions that are none any more (decision ids).

    stray: decisions of the model that join nobody and are not to: (id, left, right). They would come true by surprise, where
    something else changes.
    """

    records: int = 0
    parties: int = 0
    proposals: list[Proposal] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    stray: list[tuple[int, int, int]] = field(default_factory=list)
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
    said = answers(found, base, records)
    model = model_for(records.values(), said)
    apart = _apart(found, first)
    outcome = batch.audit(groups, {r.id: r for r in records.values()}, model, apart)
    wanted = [
        Word(ids[j.left], ids[j.right], MODEL, WEIGHED, weight=round(j.weight, 2))  # as it is kept
        for j in outcome.joins
    ]
    reasons = {(ids[p.left], ids[p.right]): _reasons(p) for p in (*outcome.joins, *outcome.reviews)}
    after = parts(found.nodes, [*(w for w in found.words if w.kind != MODEL), *wanted], _limits(rules))
    used = {(w.left, w.right) for w in after.used if w.kind == MODEL}
    wanted = [w for w in wanted if (w.left, w.right) in used]
    out = Audit(len(records), len({h.party_id for h in found.held.values()}))
    is_learnt = len(records) >= LEAST or any(a.is_same for a in said)
    out.learnt = json.dumps(model.state(), sort_keys=True) if is_learnt else ""
    out.proposals = differences(found, after.groups, wanted, reasons)
    out.stray = stray(found.words, after.used)
    why = {(w.left, w.right): reason for w, reason in after.refused if w.kind == MODEL}
    barred = [replace(j, why=why[pair]) for j in outcome.joins if (pair := (ids[j.left], ids[j.right])) in why]
    _questions(c, found, after.groups, [*barred, *outcome.reviews], ids, reasons, out)
    return out


def _limits(rules: Rules) -> Limits:
    return Limits(rules.most_addresses, rules.most_records)


def _records(c: Connection, found: Evidence) -> dict[int, Record]:
    """Identifier -> what is compared of it, under a name that is the same whenever it came."""
    records = {}
    turning = evidence.turning(found)
    for ident, kind, fields in c.execute(_NODES):
        held = found.held.get(ident)
        if held is None or held.kind not in ("person", "organization"):
            continue
        plain = record_of(ident, kind, held.node.tool, fields)
        told, mailboxes = plain.fields, plain.mailboxes
        if ident in turning:
            told, mailboxes = restated(told, mailboxes, *turning[ident])
        records[ident] = Record(f"{held.node.scheme}:{held.node.value}", kind, plain.holder, told, mailboxes)
    return records


def _groups(groups: list[list[int]], records: dict[int, Record]) -> tuple[list[Profile], dict[int, str]]:
    """(what is known of each group that has records, identifier -> the first record of its group)."""
    found, first = [], dict[int, str]()
    for group in groups:
        mine = sorted((records[n] for n in group if n in records), key=lambda r: r.id)
        if not mine:
            continue
        found.append(Profile.whole(mine))
        first |= dict.fromkeys(group, mine[0].id)
    return found, first


def model_for(records: Iterable[Record], said: Sequence[Answer] = ()) -> Model:
    """The weights that hold for these records, which people said this of."""
    ordered = sorted(records, key=lambda r: r.id)
    if len(ordered) >= LEAST:
        pairs = batch.candidates(map(keys_of, ordered), SETTINGS.block)
        return learn(SETTINGS, ordered, [Profile.of(r) for r in ordered], pairs, said)
    counts = Counts()
    for record in ordered:
        counts.add(record)
    at_least(counts)
    model = Model.shipped(SETTINGS, counts)
    teach(model, said)
    return model


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


def _questions(
    c: Connection, found: Evidence, groups: list[list[int]], reviews: Iterable[batch.Proposal], ids: dict[str, int],
    reasons: dict[tuple[int, int], str], out: Audit,
) -> None:  # fmt: skip
    """New ones are asked, the model's old ones that nobody would ask now are withdrawn; those of rules stay."""
    target = {n: at for at, group in enumerate(groups) for n in group}
    open_now: dict[frozenset[int], list[int]] = {}
    for ident, left, right in c.execute(_OPEN):
        if left in target and right in target:
            open_now.setdefault(frozenset((target[left], target[right])), []).append(ident)
    asked, seen = set(), set[frozenset[int]]()
    for p in sorted(reviews, key=lambda p: (-p.weight, p.left, p.right)):
        left, right = ids[p.left], ids[p.right]
        pair = frozenset((target[left], target[right]))
        asked.add(pair)
        if pair not in open_now and len(pair) == 2 and pair not in seen:
            seen.add(pair)
            parties = tuple(sorted({found.held[left].party_id, found.held[right].party_id}))
            word = (left, right, p.weight, reasons[left, right])
            out.proposals.append(Proposal("ask", parties, (left, right), (word,), p.weight, p.why))
    out.settled = sorted(ident for pair, of in open_now.items() for ident in (of[1:] if pair in asked else of))


def apply(c: Connection, found: Audit, rules: Rules, now: datetime, actor: str) -> Derived:
    """Make it so, in this transaction. What has changed since the audit looked is left for the next one."""
    out = Derived()
    put(c, t.meta, [{"key": LEARNT, "value": found.learnt}])
    version = version_of(found.learnt)
    _revoke(c, found.settled, now)
    _revoke(c, _still_stray(c, found.stray), now)
    for p in sorted(found.proposals, key=lambda p: p.what != "ask"):  # questions first: they stand as it was seen
        if not _stands(c, p):
            continue
        if p.what != "ask":
            between = sa.and_(d.left_identifier_id.in_(p.identifiers), d.right_identifier_id.in_(p.identifiers))
            revoke(c, sa.and_(d.kind == MODEL, d.rule == WEIGHED, d.verdict == "same", between), now)
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
            out.refused += done.refused
    ask(c, out.refused, now)
    return out


def _revoke(c: Connection, decisions: Iterable[int], now: datetime) -> None:
    for part in chunks(list(decisions)):
        revoke(c, d.id.in_(part), now)


_PARTY = sa.select(t.identifier.c.id, t.identifier.c.party_id).where(among(t.identifier.c.id))


def _still_stray(c: Connection, stray: Sequence[tuple[int, int, int]]) -> list[int]:
    ends = sorted({n for _, left, right in stray for n in (left, right)})
    party_of = dict(fetch(c, _PARTY, values=ends)) if ends else {}
    return [ident for ident, left, right in stray if party_of.get(left) != party_of.get(right)]


_MEMBERS = sa.select(t.identifier.c.party_id, t.identifier.c.id).where(
    among(t.identifier.c.party_id), evidence.MAY_JOIN
)


def _stands(c: Connection, p: Proposal) -> bool:
    members = c.execute(_MEMBERS, {"values": list(p.parties)}).all()
    if p.what == "ask":
        return {party for party, _ in members} == set(p.parties)
    return {n for _, n in members} == set(p.identifiers)
