"""What people decide about who is who, and taking it back. A decision adds a row; parties are derived from what stands.

One act may be several decisions (a split parts an address from each that holds it); they are named, shown and undone by
the id of the first.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import HubError
from hub.identity.derive import derive
from hub.identity.evidence import JOINING, Evidence, gather
from hub.identity.graph import HUMAN, Limits, parts
from hub.identity.index import Rules
from hub.store import add_ids, among, chunks, micros
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
    if ids:
        c.execute(sa.update(t.decision).where(d.id.in_(ids)).values(act=ids[0] if is_one_act else d.id))
    return ids


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
    rows = c.execute(sa.select(t.decision).where(d.act == act)).all()
    if not rows:
        raise NotPossible(f"there is no act {act}: see `ihub identity history`")
    if all(r.revoked_at is not None for r in rows) or rows[0].verdict == "none":
        raise NotPossible(f"act {act} was taken back already, or is itself a taking back")
    ends = {e for r in rows for e in (r.left_identifier_id, r.right_identifier_id)}
    a, b = rows[0].left_identifier_id, rows[0].right_identifier_id
    if rows[0].kind == HUMAN:
        revoke(c, d.act == act, now)
        row = _row(a, b, "none", "undo", actor, why) | {"revokes": act}
        change = _act(c, [row], ends, rules, now)
        _reopen(c, act)
        return change
    if rows[0].verdict != "same":
        raise NotPossible(f"act {act} joined nobody: answer it with `ihub identity review`")
    found = gather(c, ends, rules)
    if found.held[a].party_id != found.held[b].party_id:
        raise NotPossible(f"act {act} joins nobody today")
    side = _side(found, a, b, rules)
    return split(c, side, rules, now, actor, why or f"undo of {act}")


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
    ends = {"values": sorted(set(identifier_ids))}
    ids = {ident for statement in _ANSWERED for ident in c.execute(statement, ends).scalars()}
    for part in chunks(sorted(ids)):
        c.execute(sa.update(t.decision).where(d.id.in_(part)).values(revoked_at=micros(now), revokes=act))


def _answered(end: Any) -> Any:
    """Open questions between two parties of which a person said that they are two, or that are one by now."""
    verdict, left, right, a, b = t.decision.alias(), *(t.identifier.alias() for _ in range(4))
    across = sa.or_(
        sa.and_(a.c.party_id == left.c.party_id, b.c.party_id == right.c.party_id),
        sa.and_(a.c.party_id == right.c.party_id, b.c.party_id == left.c.party_id),
    )
    said = (
        sa.exists()
        .where(verdict.c.verdict == "different", verdict.c.kind == HUMAN, verdict.c.revoked_at.is_(None), across)
        .where(a.c.id == verdict.c.left_identifier_id, b.c.id == verdict.c.right_identifier_id)
        .where(sa.or_(a.c.party_id == left.c.party_id, b.c.party_id == left.c.party_id))
    )
    return (
        sa.select(d.id)
        .join(left, left.c.id == d.left_identifier_id)
        .join(right, right.c.id == d.right_identifier_id)
        .where(among(end), d.verdict == "unsure", d.revoked_at.is_(None))
        .where(sa.or_(said, left.c.party_id == right.c.party_id))
    )


_ANSWERED = tuple(_answered(end) for end in (d.left_identifier_id, d.right_identifier_id))


def _reopen(c: Connection, act: int) -> None:
    """The questions that this act had answered are open again."""
    answered = sa.update(t.decision).where(d.revokes == act, d.verdict == "unsure")
    c.execute(answered.values(revoked_at=None, revokes=None))


def revoke(c: Connection, which: Any, now: datetime) -> None:
    """These no longer count from now on."""
    c.execute(sa.update(t.decision).where(which, d.revoked_at.is_(None)).values(revoked_at=micros(now)))


def anchor(c: Connection, party_id: int) -> Any:
    """The identifier that stands for a party in decisions: the one it was made for, else its first. (id, kind)"""
    query = (
        sa.select(i.id, t.party.c.kind)
        .join(t.party, t.party.c.id == i.party_id)
        .where(i.party_id == party_id, i.sharing.in_(sorted(JOINING)))
        .order_by(sa.func.coalesce(i.home_id != party_id, sa.true()), i.id)
    )
    row = c.execute(query.limit(1)).first()
    if row is None:
        raise NotPossible("a shared mailbox, a list or a telephone number is nobody: it joins no one")
    return row


def _row(left: int, right: int, verdict: str, rule: str, actor: str, why: str) -> dict[str, Any]:
    return {
        "left_identifier_id": left, "right_identifier_id": right, "verdict": verdict, "kind": HUMAN, "rule": rule,
        "reasons": [{"field": "a person", "level": why}] if why else [], "actor": actor,
    }  # fmt: skip


def _names(c: Connection, identifier_ids: Iterable[int]) -> str:
    found = c.execute(sa.select(i.value).where(i.id.in_(list(identifier_ids)))).scalars()
    return ", ".join(sorted(found)) or "nothing that is known"
