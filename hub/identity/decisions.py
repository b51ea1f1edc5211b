"""What people decide about who is who, and taking it back. A decision adds a row; parties are derived from what stands.

One act may be several decisions (a split parts an address from each that holds it); they are named, shown and undone by
the id of the first.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import HubError
from hub.identity.derive import derive
from hub.identity.evidence import JOINING, Evidence, gather
from hub.identity.graph import HUMAN, Limits, parts
from hub.identity.index import Rules
from hub.store import add_ids, among, fetch, micros, tell
from hub.store import tables as t

i, d = t.identifier.c, t.decision.c


@dataclass(slots=True)
class Change:
    """act: what undoes it, 0 if there was nothing to do. parties: those whose members, name or company changed.

    merged: former party -> the one that stands for it now. entries: timeline rows that moved, once somebody let them.
    """

    act: int = 0
    parties: set[int] = field(default_factory=set)
    merged: dict[int, int] = field(default_factory=dict)
    entries: int = 0


class NotPossible(HubError):
    """What was asked for cannot be decided; the message says why."""


def note(c: Connection, rows: Sequence[dict[str, Any]], now: datetime, *, is_one_act: bool = True) -> list[int]:
    """Write decisions (reasons as a list), of one act or each its own; returns their ids."""
    blank = {"weight": None, "records": 0, "version": "", "revokes": None, "reasons": ()}
    filled = [{**blank, **r, "decided_at": micros(now)} for r in rows]
    for r in filled:
        r["reasons"] = json.dumps(r["reasons"], ensure_ascii=False)
    ids = add_ids(c, t.decision, filled)
    tell(c, _ACT, [{"decision": ident, "first": ids[0] if is_one_act else ident} for ident in ids])
    return ids


_ACT = sa.update(t.decision).where(d.id == sa.bindparam("decision")).values(act=sa.bindparam("first"))


def merge(c: Connection, left: int, right: int, rules: Rules, now: datetime, actor: str, why: str = "") -> Change:
    """Two parties are one. Raises NotPossible for one that has nothing that could join."""
    a, b = anchor(c, left), anchor(c, right)
    if left == right:
        raise NotPossible("they are one already")
    if a.kind != b.kind and "organization" in (a.kind, b.kind):
        raise NotPossible("a person and an organization are never one")
    return _act(c, [_row(a.id, b.id, "same", "merge", actor, why)], {a.id, b.id}, rules, now)


def different(c: Connection, left: int, right: int, rules: Rules, now: datetime, actor: str, why: str = "") -> Change:
    """Two parties are two, for ever or until this is undone, whatever evidence comes."""
    if left == right:
        raise NotPossible("they are one now: split it, naming what belongs to somebody else")
    a, b = anchor(c, left), anchor(c, right)
    return _act(c, [_row(a.id, b.id, "different", "different", actor, why)], {a.id, b.id}, rules, now)


def split(
    c: Connection, identifier_ids: Iterable[int], rules: Rules, now: datetime, actor: str, why: str = ""
) -> Change:
    """These identifiers of one party are another one's. Parted from all that evidence ties them to."""
    out = set(identifier_ids)
    found = gather(c, out, rules)
    if missing := out - found.held.keys():
        raise NotPossible(f"not joined to anybody by themselves, so not to be split off: {_names(c, missing)}")
    homes = {found.held[n].party_id for n in out}
    if len(homes) != 1:
        raise NotPossible("they are not of one party now")
    rest = {n for n, h in found.held.items() if h.party_id in homes} - out
    if not rest:
        raise NotPossible("nobody would be left: name a part of what the party has")
    pairs = {(w.left, w.right) if w.left in out else (w.right, w.left)
             for w in found.words if w.verdict == "same" and (w.left in out) != (w.right in out)
             and {w.left, w.right} <= out | rest}  # fmt: skip
    first = min(out, key=lambda n: found.held[n].node.order)
    pairs |= {(first, min(rest, key=lambda n: found.held[n].node.order))}
    rows = [_row(a, b, "different", "split", actor, why) for a, b in sorted(pairs)]
    return _act(c, rows, out | rest, rules, now)


def undo(c: Connection, act: int, rules: Rules, now: datetime, actor: str, why: str = "") -> Change:
    """Take an act back. What a person decided no longer counts; what a rule or the model joined is called different.

    Raises NotPossible where there is no such act, or it was taken back already.
    """
    rows = [_Decided(*row) for row in fetch(c, _OF_ACT, act=act)]
    if not rows:
        raise NotPossible(f"there is no act {act}: see `ihub identity history`")
    if all(r.revoked_at is not None for r in rows) or rows[0].verdict == "none":
        raise NotPossible(f"act {act} was taken back already, or is itself a taking back")
    ends = {e for r in rows for e in (r.left_identifier_id, r.right_identifier_id)}
    a, b = rows[0].left_identifier_id, rows[0].right_identifier_id
    if rows[0].kind == HUMAN:
        tell(c, _TAKE_BACK, [{"taken": act, "now": micros(now)}])
        row = _row(a, b, "none", "undo", actor, why) | {"revokes": act}
        change = _act(c, [row], ends, rules, now)
        _reopen(c, act)
        return change
    if rows[0].verdict != "same":
        raise NotPossible(f"act {act} joined nobody: answer it with `ihub identity review`")
    found = gather(c, ends, rules)
    if not ends <= found.held.keys() or found.held[a].party_id != found.held[b].party_id:
        raise NotPossible(f"act {act} joins nobody today")
    side = _side(found, a, b, rules)
    return split(c, side, rules, now, actor, why or f"undo of {act}")


class _Decided(NamedTuple):
    left_identifier_id: int
    right_identifier_id: int
    kind: str
    verdict: str
    revoked_at: int | None


_OF_ACT = (
    sa.select(d.left_identifier_id, d.right_identifier_id, d.kind, d.verdict, d.revoked_at)
    .where(d.act == sa.bindparam("act"))
    .order_by(d.id)
)
_TAKE_BACK = (
    sa.update(t.decision)
    .where(d.act == sa.bindparam("taken"), d.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("now"))
)


def _side(found: Evidence, a: int, b: int, rules: Rules) -> list[int]:
    """What stays with `b` when nothing ties a to b directly."""
    words = [w for w in found.words if {w.left, w.right} != {a, b}]
    groups = parts(found.nodes, words, Limits(rules.most_addresses, rules.most_records)).groups
    mine = next(g for g in groups if b in g)
    return [b] if a in mine else mine


def answer(c: Connection, review: int, verdict: str, rules: Rules, now: datetime, actor: str, why: str = "") -> Change:
    """Settle what the review queue asks: "same" or "different". Raises NotPossible for one that is not open."""
    row = c.execute(sa.select(t.decision).where(d.id == review, d.verdict == "unsure")).first()
    if row is None or row.revoked_at is not None:
        raise NotPossible(f"{review} is not in the review queue: see `ihub identity review`")
    ends = (row.left_identifier_id, row.right_identifier_id)
    return _act(c, [_row(*ends, verdict, "review", actor, why) | {"revokes": review}], set(ends), rules, now)


def _act(c: Connection, rows: list[dict[str, Any]], around: set[int], rules: Rules, now: datetime) -> Change:
    ids = note(c, rows, now)
    derived = derive(c, around, rules, now)
    close(c, around | derived.party_of.keys(), ids[0], now)
    return Change(ids[0], derived.parties, derived.merged)


def close(c: Connection, identifier_ids: Iterable[int], act: int, now: datetime) -> None:
    """Questions that this act answered: a person said that the two are different, or both sides are one party now."""
    asked = {ident: frozenset(of) for ident, *of in fetch(c, _ASKED, values=sorted(set(identifier_ids)))}
    between = sorted({party for of in asked.values() for party in of if len(of) == 2})
    said = {frozenset(of) for of in fetch(c, _SAID_APART, values=between)} if between else set()
    done = sorted(ident for ident, of in asked.items() if len(of) == 1 or of in said)
    tell(c, _CLOSED, [{"decision": ident, "now": micros(now), "by": act} for ident in done])


_a, _b = t.identifier.alias(), t.identifier.alias()
_BETWEEN = (
    sa.select(d.id, _a.c.party_id, _b.c.party_id)
    .join(_a, _a.c.id == d.left_identifier_id)
    .join(_b, _b.c.id == d.right_identifier_id)
    .where(d.revoked_at.is_(None))
)
_ASKED = sa.union_all(*(  # found by either end: SQLite would read all open ones
    _BETWEEN.where(among(end), d.verdict.concat("") == "unsure") for end in (d.left_identifier_id, d.right_identifier_id)
))  # fmt: skip
_SAID_APART = _BETWEEN.with_only_columns(_a.c.party_id, _b.c.party_id).where(
    among(_a.c.party_id), d.verdict == "different", d.kind == HUMAN
)
_CLOSED = (
    sa.update(t.decision)
    .where(d.id == sa.bindparam("decision"))
    .values(revoked_at=sa.bindparam("now"), revokes=sa.bindparam("by"))
)


def _reopen(c: Connection, act: int) -> None:
    """The questions that this act had answered are open again."""
    tell(c, _REOPENED, [{"act": act}])


_REOPENED = (
    sa.update(t.decision)
    .where(d.revokes == sa.bindparam("act"), d.verdict == "unsure")
    .values(revoked_at=sa.null(), revokes=sa.null())
)


def revoke(c: Connection, which: Any, now: datetime) -> None:
    """These no longer count from now on."""
    c.execute(sa.update(t.decision).where(which, d.revoked_at.is_(None)).values(revoked_at=micros(now)))


class Anchor(NamedTuple):
    """id: of the identifier. kind: of its party."""

    id: int
    kind: str


def anchor(c: Connection, party_id: int) -> Anchor:
    """The identifier that stands for a party in decisions: the one it was made for, else its first."""
    found = fetch(c, _ANCHOR, party=party_id)
    if not found:
        raise NotPossible("a shared mailbox, a list or a telephone number is nobody: it joins no one")
    return Anchor(*found[0])


_ANCHOR = (
    sa.select(i.id, t.party.c.kind)
    .join(t.party, t.party.c.id == i.party_id)
    .where(i.party_id == sa.bindparam("party"), i.sharing.in_(sorted(JOINING)))
    .order_by(sa.func.coalesce(i.home_id != i.party_id, sa.true()), i.id)
    .limit(1)
)


def _row(left: int, right: int, verdict: str, rule: str, actor: str, why: str) -> dict[str, Any]:
    return {
        "left_identifier_id": left, "right_identifier_id": right, "verdict": verdict, "kind": HUMAN, "rule": rule,
        "reasons": [{"field": "a person", "level": why}] if why else [], "actor": actor,
    }  # fmt: skip


def _names(c: Connection, identifier_ids: Iterable[int]) -> str:
    found = c.execute(sa.select(i.value).where(i.id.in_(list(identifier_ids)))).scalars()
    return ", ".join(sorted(found)) or "nothing that is known"
