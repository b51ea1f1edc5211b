"""Who is who: what a party is made of and why, what a person is asked, and acts, each shown before it is made."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import identity
from hub.access import accounts
from hub.access.errors import Forbidden, Invalid
from hub.access.roles import IDENTITY_DECIDE, IDENTITY_REVIEW
from hub.engine.foresee import foresee
from hub.identity import lists, showing, why
from hub.reports import Seen, everything
from hub.reports.people import party_id
from hub.reports.seen import of_identifiers
from hub.service.desk import Desk, NotFound
from hub.store import tables as t

Row = dict[str, Any]
ACTS = ("merge", "different", "split", "undo", "accept", "reject")
_TWO, _NUMBERED = ("merge", "different"), ("undo", "accept", "reject")


def party(desk: Desk, public_id: str) -> Row:
    """Everything one party is made of, with all decisions (`hub.identity.showing.show`). Raises NotFound."""
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        return showing.show(c, _party(c, public_id, seen), _rules(desk))


def why_same(desk: Desk, a: str, b: str) -> Row:
    """The evidence between two addresses, ids or parties that are one. Raises NotFound.

    {"is_same", "left", "right", "edges": `hub.identity.why.why_same`}
    """
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        left, right = (_identifier(desk, c, text, seen) for text in (a, b))
        sides, rules = showing.named(c, [left, right]), _rules(desk)
        is_same = showing.owner(c, left) == showing.owner(c, right)
        return {
            "is_same": is_same, "left": sides[left], "right": sides[right], "edges": why.why_same(c, left, right, rules),
        }  # fmt: skip


def why_not(desk: Desk, a: str, b: str) -> Row:
    """What stands between two (`hub.identity.why.why_not`). Raises NotFound."""
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        left, right = (_identifier(desk, c, text, seen) for text in (a, b))
        return why.why_not(c, left, right, _rules(desk))


def queue(desk: Desk, limit: int = 20, after: int | None = None, rule: str = "", above: float | None = None) -> Row:
    """{"questions", "total", "withheld"}: what a person is asked, what touches most first. Raises Invalid for a strange `after`.

    withheld: how many up to the end of this page are about somebody of whom private connections of others tell.
    """
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        shown: list[Row] = []
        withheld = 0
        while not shown:
            try:
                rows = lists.queue(c, limit, after, rule, above)
            except KeyError:
                raise Invalid(f"is {after}", field="after", fix="the number of a question that waits") from None
            veiled = _veiled(c, seen, {r[side]["party"] for r in rows for side in ("left", "right")})
            shown = [r for r in rows if not veiled & {r["left"]["party"], r["right"]["party"]}]
            withheld += len(rows) - len(shown)
            if not rows:
                break
            after = rows[-1]["review"]
        return {"questions": shown, "total": lists.waiting(c), "withheld": withheld}


def asked_by_rule(desk: Desk) -> list[Row]:
    """[{"rule", "questions"}]: how many questions there are, by the rule that could not decide, the most first."""
    with desk.reading(IDENTITY_REVIEW) as (c, _):
        found = lists.by_rule(c)
        return [{"rule": rule, "questions": n} for rule, n in sorted(found.items(), key=lambda r: (-r[1], r[0]))]


def question(desk: Desk, number: int) -> Row:
    """One question as `queue` has it. Raises NotFound for one that waits no more."""
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        found = lists.question(c, number)
        if found is None:
            raise NotFound(f"question {number} waits no more: somebody answered it, or evidence did")
        _unveiled(c, seen, {found[side]["party"] for side in ("left", "right")})
        return found


def act(desk: Desk, number: int) -> Row:
    """One act as `history` has it, the hub's own too. Raises NotFound."""
    found = [a for a in history(desk, 1, number + 1, with_the_hubs=True) if a["act"] == number]
    if not found:
        raise NotFound(f"there is no act {number}: the history has their numbers")
    return found[0]


def names(desk: Desk, actors: Collection[str]) -> dict[str, str]:
    """Who is meant by "actor": of those that are accounts, their names."""
    with desk.reading(IDENTITY_REVIEW) as (c, _):
        return accounts.names(c, actors)


def hubs(desk: Desk, limit: int = 50) -> list[Row]:
    """Keys that too many share to say anything: no one's in particular."""
    with desk.reading(IDENTITY_REVIEW) as (c, _):
        return lists.hubs(c, limit)


def history(desk: Desk, limit: int = 20, before: int | None = None, with_the_hubs: bool = False) -> list[Row]:
    """Who decided what, newest first; with_the_hubs: what it joined by itself, too."""
    with desk.reading(IDENTITY_REVIEW) as (c, seen):
        rows = lists.history(c, limit, before, with_the_hubs)
        veiled = _veiled(c, seen, {p for r in rows for p in _sides(r)})
        return [r for r in rows if not veiled & _sides(r)]


def expected(desk: Desk, act: str, *what: Any, why: str = "") -> Row:
    """What an act would change (`hub.engine.foresee`). act and what: as `perform` takes them."""
    given = _given(desk, act, what)
    return foresee(desk.engine, act, *given, actor=desk.viewer.actor, why=why)


def perform(desk: Desk, act: str, *what: Any, why: str = "") -> Row:
    """Make an act on identity: {"act": its number, to take it back by, "what", "changed": `expected` of it}.

    merge, different: two parties' public ids; split: addresses or ids of one party; undo: the number of an act; accept,
    reject: the number of a question. Raises NotFound, Invalid, and `hub.identity.NotPossible`.
    """
    given = _given(desk, act, what)
    changed = foresee(desk.engine, act, *given, actor=desk.viewer.actor, why=why)
    done = getattr(desk.engine.identities, act)(*given, desk.viewer.actor, why)
    return {"act": done.act, "what": act, "changed": changed}


def _given(desk: Desk, act: str, what: tuple[Any, ...]) -> tuple[Any, ...]:
    if act not in ACTS:
        raise Invalid(f"is {act!r}", field="act", fix=f"one of {', '.join(ACTS)}")
    desk.viewer.must(IDENTITY_DECIDE)
    if act in _NUMBERED and not (len(what) == 1 and type(what[0]) is int and 0 < what[0] < 2**53):
        raise Invalid("does not fit", field="what", fix=f"{act} takes one number: history and the queue give them")
    if act not in _NUMBERED and not (all(isinstance(x, str) for x in what) and len(what) == 2 if act in _TWO else what):
        names = "two public ids" if act in _TWO else "addresses or ids of one party"
        raise Invalid("does not fit", field="what", fix=f"{act} takes {names}")
    with desk.reading(IDENTITY_DECIDE) as (c, seen):
        if act in _TWO:
            return tuple(_party(c, one, seen) for one in what)
        if act == "split":
            return ([_identifier(desk, c, text, seen) for text in what],)
        if seen is not everything:
            of_act = showing.told(c, c.execute(sa.select(t.decision).where(t.decision.c.act == what[0])).all())
            asked = {side["party"] for side in lists.asked(c, what[0])}
            _unveiled(
                c, seen, {d[side]["party"] for d in of_act for side in ("left", "right")} if act == "undo" else asked
            )
    return what


def _sides(act: Row) -> set[str]:
    return {pair[side]["party"] for pair in act["pairs"] for side in ("left", "right")}


def _veiled(c: Connection, seen: Seen, public_ids: Collection[str]) -> set[str]:
    """Those of whom something is known that the viewer does not see: why they are one would show it."""
    if seen is everything or not public_ids:
        return set()
    p, i = t.party.c, t.identifier.c
    query = sa.select(p.public_id).join(t.identifier, i.party_id == p.id)
    return set(c.execute(query.where(p.public_id.in_(public_ids), sa.not_(of_identifiers(seen)))).scalars())


def _unveiled(c: Connection, seen: Seen, public_ids: Collection[str]) -> None:
    if veiled := _veiled(c, seen, public_ids):
        raise Forbidden(
            f"what is known of {min(veiled)} comes in part from connections that are private to somebody else: they decide",
            permission=IDENTITY_REVIEW,
        )


def _rules(desk: Desk) -> identity.Rules:
    return desk.engine.rules(desk.engine.own())


def _party(c: Connection, public_id: str, seen: Seen) -> int:
    found = party_id(c, public_id.strip().lower(), seen)
    if found is None:
        raise NotFound(f"there is no person or organization {public_id!r}: search gives their ids")
    return _seen_whole(c, identity.current(c, found), seen)


def _identifier(desk: Desk, c: Connection, text: str, seen: Seen) -> int:
    """What an address, an id, a record (crm/contacts/7) or a party's public id names."""
    found = showing.find(c, text, _rules(desk))
    if found is None and (pid := party_id(c, text.strip().lower(), seen)):
        found = showing.first_of(c, identity.current(c, pid))
    i = t.identifier.c
    if not found or not c.execute(sa.select(i.id).where(i.id == found, of_identifiers(seen))).scalar():
        raise NotFound(f"nothing is known of {text!r}: an address, an id, or a party's public id")
    _seen_whole(c, showing.owner(c, found), seen)
    return found


def _seen_whole(c: Connection, pid: int, seen: Seen) -> int:
    if seen is not everything:
        _unveiled(c, seen, set(c.execute(sa.select(t.party.c.public_id).where(t.party.c.id == pid)).scalars()))
    return pid
