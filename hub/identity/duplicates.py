"""Records of one tool that are held to be one person or company, as their tool could merge them. Reads only.

No tool takes a merge back, so more is asked than to be one here: a person or the tool must have said so, or a rule that
leaves no doubt; nothing may be open between the two, and nothing may speak against it that keeps others apart.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.graph import HUMAN, MODEL, conflict
from hub.identity.index import Rules
from hub.identity.linker import names_in
from hub.identity.showing import Row
from hub.identity.why import why_same
from hub.store import among
from hub.store import tables as t

ASKED = "a question about the two is open"
NOT_ONE = "they are not one here any more"
OTHER_NAMES = "their records have other names: who knows that they are one merges them in the tool"
WEIGHED = "only weights join them, and nobody said so"
NOT_KEPT = "nothing is kept of one of them, so that there would be no snapshot"
_r, _o, _i, _d, _p = t.record.c, t.observation.c, t.identifier.c, t.decision.c, t.party.c
_OWN_IDS = (
    sa.select(
        _r.id, _r.external_id, _r.hash, t.stream.c.name.label("stream"), _i.id.label("identifier"), _i.party_id,
        _p.public_id, _p.kind, _p.name, t.raw.c.record_id.is_not(None).label("is_kept"),
    )
    .join(t.stream, t.stream.c.id == _r.stream_id)
    .join(t.observation, _o.record_id == _r.id)
    .join(t.identifier, sa.and_(_i.id == _o.identifier_id, _i.sharing == "id", _i.value == _r.external_id))
    .join(t.party, _p.id == _i.party_id)
    .outerjoin(t.raw, t.raw.c.record_id == _r.id)
    .where(
        _i.scheme.endswith(":" + t.stream.c.name), _r.gone_at.is_(None), _p.kind.in_(("person", "organization")),
        _r.redirect_to.is_(None),  # else it was merged, and has not been read again yet
    )
    .order_by(_r.id)
)  # fmt: skip
_SHOWN = sa.select(_o.record_id, _o.identifier_id).where(among(_o.record_id))
_OPEN = sa.select(_d.left_identifier_id, _d.right_identifier_id).where(
    sa.or_(among(_d.left_identifier_id), among(_d.right_identifier_id)), _d.verdict == "unsure", _d.revoked_at.is_(None)
)
_CALLED = sa.select(t.node.c.fields).where(t.node.c.identifier_id == sa.bindparam("identifier"))
_s = t.statement.c
_SAYING = (
    sa.select(_s.record_id, sa.func.count())
    .where(among(_s.record_id), _s.value != "")
    .group_by(_s.record_id)
)  # fmt: skip
_REFUSING = (
    sa.select(t.consent.c.record_id)
    .where(among(t.consent.c.record_id), t.consent.c.is_current, t.consent.c.state == "opted_out")
    .distinct()
)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two records of a stream for one party: `absorbs` could become part of `stays`, and `why` not the other way round.

    because: what makes them one, in words. reason: what speaks against merging them, "" for nothing.
    """

    stream: str
    stays: Row
    absorbs: Row
    why: str
    because: tuple[str, ...]
    reason: str = ""


def duplicates(c: Connection, connection_id: int, streams: Collection[str], rules: Rules) -> tuple[list[Twins], int]:
    """(pairs, how many further records of the same parties wait until these are merged and read again).

    Each record is in one pair at most: a merge changes the record that stays. Rows of `Twins` are {"id", "external_id",
    "hash", "stream", "identifier", "party_id", "public_id", "kind", "name"}. Cost: one pass over the streams' records.
    """
    mine = _OWN_IDS.where(t.stream.c.connection_id == connection_id, t.stream.c.name.in_(sorted(streams)))
    counted = mine.order_by(None).subquery()
    several = (
        sa.select(counted.c.party_id).group_by(counted.c.party_id, counted.c.stream).having(sa.func.count() > 1)
    )  # fmt: skip
    groups: dict[tuple[int, str], dict[int, Row]] = {}
    for row in c.execute(mine.where(_i.party_id.in_(several))).mappings():
        groups.setdefault((row["party_id"], row["stream"]), {})[row["id"]] = dict(row)
    found, waiting = [], 0
    for of in groups.values():
        if len(of) < 2:
            continue
        ranked = _ranked(c, list(of.values()))
        pairs = list(zip(ranked[::2], ranked[1::2], strict=False))
        waiting += len(ranked) - 1 - len(pairs)
        found += [_twins(c, one, other, rules) for one, other in pairs]
    return found, waiting


def between(c: Connection, record_ids: Sequence[int], rules: Rules) -> str:
    """What speaks today against merging these two records, "" for nothing."""
    rows = {r["id"]: dict(r) for r in c.execute(_OWN_IDS.where(_r.id.in_(record_ids))).mappings()}
    if len(rows) < 2:
        return NOT_ONE
    one, other = rows.values()
    return _told(c, one, other, rules)[1]


def _ranked(c: Connection, rows: list[Row]) -> list[Row]:
    """The one to stay first: a refusal must not depend on what the tool makes of it, then what says most, then the oldest."""
    values = {"values": [r["id"] for r in rows]}
    says = dict(c.execute(_SAYING, values).tuples().all())
    refusing = set(c.execute(_REFUSING, values).scalars())
    for r in rows:
        r["says"], r["refuses"] = says.get(r["id"], 0), r["id"] in refusing
    return sorted(rows, key=lambda r: (not r["refuses"], -r["says"], len(r["external_id"]), r["external_id"]))


def _twins(c: Connection, stays: Row, absorbs: Row, rules: Rules) -> Twins:
    if stays["refuses"] and not absorbs["refuses"]:
        why = "it holds the refusal to be written to"
    elif stays["says"] > absorbs["says"]:
        why = f"it says more: {stays['says']} fields against {absorbs['says']}"
    else:
        why = "both say as much; its number is the lower one"
    because, reason = _told(c, stays, absorbs, rules)
    return Twins(stays["stream"], stays, absorbs, why, because, reason)


def _told(c: Connection, one: Row, other: Row, rules: Rules) -> tuple[tuple[str, ...], str]:
    """(what makes them one, what speaks against a merge all the same)."""
    way = why_same(c, one["identifier"], other["identifier"], rules)
    because = tuple(_words(e) for e in way)
    kinds = {e["kind"] for e in way}
    if not way:
        return because, NOT_ONE
    if not (one["is_kept"] and other["is_kept"]):
        return because, NOT_KEPT
    if _is_asked(c, one["id"], other["id"]):
        return because, ASKED
    if conflict(_names(c, one["identifier"]), _names(c, other["identifier"])):
        return because, OTHER_NAMES
    return because, WEIGHED if MODEL in kinds and HUMAN not in kinds else ""


def _words(edge: Row) -> str:
    weight = f" ({edge['weight']:.1f} bits)" if edge["weight"] is not None else ""
    act = f", act {edge['act']}" if edge["act"] else ""
    return f"{edge['left']['text']} is {edge['right']['text']}: {edge['because']}{weight}{act}"


def _is_asked(c: Connection, one: int, other: int) -> bool:
    shown: dict[int, set[int]] = {one: set(), other: set()}
    for record_id, identifier_id in c.execute(_SHOWN, {"values": [one, other]}):
        shown[record_id].add(identifier_id)
    asked = c.execute(_OPEN, {"values": sorted(shown[one])}).all()
    return any(_across(pair, shown[one], shown[other]) for pair in asked)


def _across(pair: Iterable[Any], one: set[int], other: set[int]) -> bool:
    left, right = pair
    return (left in one and right in other) or (left in other and right in one)


def _names(c: Connection, identifier_id: int) -> set[str]:
    """Keys of what a record is called, as the graph compares them."""
    return set(names_in(c.execute(_CALLED, {"identifier": identifier_id}).scalar()))
