"""What waits for a person, what is tied to nobody, which keys say nothing, and who did what. Reads only; shapes as in `hub.identity.showing`."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.evidence import JOINING
from hub.identity.showing import Row, named, text_of, told
from hub.store import among, instant
from hub.store import tables as t

_i, _d, _p, _o = t.identifier.c, t.decision.c, t.party.c, t.observation.c
_MOST = 50  # addresses shown of one side
ALL = 100_000  # questions answered in one go

# --- what waits for a person ------------------------------------------------------------------------------------------

# Literals: only so do the databases see that the index of open questions answers this.
_OPEN = (_d.verdict == sa.literal_column("'unsure'"), _d.revoked_at.is_(None))
_left, _right = t.identifier.alias(), t.identifier.alias()
RANK = sa.func.coalesce(_d.weight, 0.0) * sa.case((_d.records > 0, _d.records), else_=1)
_RANKED = sa.select(_d.id, RANK.label("rank")).where(*_OPEN).order_by(RANK.desc(), _d.id)
_WAITING = (  # without those that were answered by the two becoming one
    sa.select(t.decision, RANK.label("rank"), _left.c.party_id.label("mine"), _right.c.party_id.label("theirs"))
    .join(_left, _left.c.id == _d.left_identifier_id)
    .join(_right, _right.c.id == _d.right_identifier_id)
    .where(*_OPEN, _left.c.party_id != _right.c.party_id)
)


def queue(
    c: Connection, limit: int = 20, after: int | None = None, rule: str = "", above: float | None = None
) -> list[Row]:
    """What a person is asked, what touches most first (weight x records): both sides, the waterfall, why it was not automatic.

    after: the last question of the page before (KeyError where there is none). rule, above: only of this rule, of more than
    so many bits.
    """
    ranked = _RANKED.where(_d.rule == rule) if rule else _RANKED
    ranked = ranked.where(_d.weight > above) if above is not None else ranked
    pairs: dict[frozenset[int], Any] = {}  # two that became parts of one may each have been asked about
    for r in _first(c, ranked, limit, after):
        pairs.setdefault(frozenset((r.mine, r.theirs)), r)
    return _whole(c, list(pairs.values()))


def by_rule(c: Connection) -> dict[str, int]:
    """How many questions are open, by the rule that could not decide."""
    open_ones = _WAITING.subquery().c
    return dict(c.execute(sa.select(open_ones.rule, sa.func.count()).group_by(open_ones.rule)).tuples().all())


def question(c: Connection, review: int) -> Row | None:
    """One open question, as `queue` has it; None for one that waits no more."""
    return next(iter(_whole(c, c.execute(_WAITING.where(_d.id == review)).all())), None)


def _whole(c: Connection, rows: Sequence[Any]) -> list[Row]:
    """Rows of `_WAITING` as they are asked."""
    sides = _sides(c, {p for r in rows for p in (r.mine, r.theirs)})
    return [
        {
            **d, "review": r.id, "rank": r.rank, "records": r.records, "why": "; ".join(d["notes"]) or "not sure enough",
            "left": {**d["left"], **sides[r.mine]}, "right": {**d["right"], **sides[r.theirs]},
        }
        for r, d in zip(rows, told(c, rows), strict=True)
    ]  # fmt: skip


def _first(c: Connection, ranked: "sa.Select[Any]", limit: int, after: int | None) -> list[Any]:
    """The first rows of `_WAITING`, behind a question. Ordered by the decisions alone: thousands may wait."""
    rows: list[Any] = []
    mark: Any = None
    if after is not None:
        mark = c.execute(sa.select(RANK, _d.id).where(_d.id == after, _d.verdict == "unsure")).first()
        if mark is None:
            raise KeyError(after)
    while len(rows) < limit:
        behind = sa.true() if mark is None else sa.or_(mark[0] > RANK, sa.and_(mark[0] == RANK, _d.id > mark[1]))
        part = c.execute(ranked.where(behind).limit(limit)).all()
        if not part:
            break
        found = {r.id: r for r in c.execute(_WAITING.where(among(_d.id)), {"values": [r.id for r in part]})}
        rows += [found[r.id] for r in part if r.id in found]
        mark = (part[-1].rank, part[-1].id)
    return rows[:limit]


def asked(c: Connection, review: int) -> list[Row]:
    """The two sides of an open question: {"identifier", "text", "party", "name", "others": how many more it is made of}."""
    row = c.execute(_WAITING.where(_d.id == review)).first()
    if row is None:
        return []
    names = named(c, [row.left_identifier_id, row.right_identifier_id])
    of_party = sa.select(sa.func.count()).where(_i.sharing.in_(sorted(JOINING)))
    return [
        {"identifier": n, **names[n], "others": c.execute(of_party.where(_i.party_id == pid)).scalar_one() - 1}
        for n, pid in ((row.left_identifier_id, row.mine), (row.right_identifier_id, row.theirs))
    ]


def waiting(c: Connection) -> int:
    """How many questions are open."""
    return c.execute(sa.select(sa.func.count()).select_from(_WAITING.subquery())).scalar_one()


_SIDE = sa.select(_p.id, _p.public_id, _p.name, _p.kind).where(among(_p.id))
_OF_SIDES = sa.select(_i.party_id, _i.scheme, _i.value, _i.sharing).where(among(_i.party_id)).order_by(_i.id)
_ENTRIES = sa.select(t.link.c.party_id, sa.func.count()).where(among(t.link.c.party_id)).group_by(t.link.c.party_id)


def _sides(c: Connection, party_ids: Collection[int]) -> dict[int, Row]:
    """{"party", "name", "kind", "addresses", "ids", "entries"} of each party."""
    values = {"values": sorted(party_ids)}
    found: dict[int, Row] = {
        r.id: {"party": r.public_id, "name": r.name, "kind": r.kind, "addresses": [], "ids": [], "entries": 0}
        for r in c.execute(_SIDE, values)
    }
    for pid, scheme, value, sharing in c.execute(_OF_SIDES, values):
        into = found[pid]["ids" if sharing == "id" else "addresses"]
        if len(into) < _MOST:
            into.append(text_of(scheme, value))
    for pid, n in c.execute(_ENTRIES, values):
        found[pid]["entries"] = n
    return found


# --- what is tied to nobody -------------------------------------------------------------------------------------------

_entry, _part, _beside, _other = t.interaction.c, t.participation.c, t.participation.alias(), t.identifier.alias()
_IS_LISTED = sa.exists().where(_o.party_id == _other.c.party_id)
_SOMEBODY = sa.exists().where(  # beside whom the entry is filed
    _beside.c.interaction_id == _part.interaction_id, _other.c.id == _beside.c.identifier_id,
    sa.or_(_other.c.sharing.in_(("personal", "id", "domain")), _IS_LISTED),
)  # fmt: skip
_NOBODYS = sa.or_(  # by the index of kind and name
    sa.and_(
        _p.kind == "mailbox", _p.organization_id.is_(None), _i.sharing.in_(("role", "shared", "ambiguous", "unknown"))
    ),
    sa.and_(_p.kind == "person", _p.name == "", _i.scheme == "phone", ~sa.exists().where(_o.party_id == _p.id)),
)
_ORPHANED = (
    sa.select(
        _i.id, _i.scheme, _i.value, _i.sharing, _p.public_id, sa.func.count(sa.distinct(_entry.id)).label("entries"),
        sa.func.min(_entry.occurred_at).label("since"), sa.func.max(_entry.occurred_at).label("last"),
    )
    .select_from(t.party)
    .join(t.identifier, _i.party_id == _p.id)
    .join(t.participation, _part.identifier_id == _i.id)
    .join(t.interaction, _entry.id == _part.interaction_id)
    .where(_NOBODYS, _entry.gone_at.is_(None), ~_SOMEBODY)
    .group_by(_i.id, _i.scheme, _i.value, _i.sharing, _p.public_id)
)  # fmt: skip


def orphans(c: Connection, limit: int = 20, after: int = 0) -> list[Row]:
    """Numbers and desks whose entries are tied to nobody known, in the order they turned up; `after` an "identifier".

    {"identifier", "text", "scheme", "sharing", "party", "rule": why they are nobody's, "entries", "since", "last"}
    """
    rows = c.execute(_ORPHANED.where(_i.id > after).order_by(_i.id).limit(limit))
    return [
        {
            "identifier": r.id, "text": text_of(r.scheme, r.value), "scheme": r.scheme, "sharing": r.sharing,
            "party": r.public_id, "rule": _nobodys(r), "entries": r.entries, "since": instant(r.since), "last": instant(r.last),
        }
        for r in rows
    ]  # fmt: skip


def orphaned(c: Connection) -> int:
    """How many identifiers `orphans` lists in all."""
    return c.execute(sa.select(sa.func.count()).select_from(_ORPHANED.subquery())).scalar_one()


def _nobodys(r: Any) -> str:
    if r.scheme != "phone":
        return "a desk, and its company is not known" if r.sharing == "role" else "shared by several"
    if sum(ch.isdigit() for ch in r.value) < 3:
        return "the number was withheld"
    return {
        "shared": "listed by several", "ambiguous": "no record lists this number, and it does not say its country",
    }.get(r.sharing, "no record lists this number")  # fmt: skip


# --- keys that say nothing --------------------------------------------------------------------------------------------

_KEYS = {
    "e": "address", "t": "telephone", "T": "end of a telephone number", "n": "number", "h": "name before the @", "nn": "name",
    "ss": "sound of a name", "b": "birth date", "p": "postcode", "a": "street address", "w": "word of a company's name",
    "j": "beginning of a company's name",
}  # fmt: skip
_WEAK = {
    "d": "month of birth", "D": "birthday", "y": "day and year of birth", "c": "sound of a town", "p": "postcode area",
    "a": "street", "o": "employer", "j": "occupation",
}  # fmt: skip


def hubs(c: Connection, limit: int = 50) -> list[Row]:
    """Keys that more share than can be told apart: {"key", "what", "value", "skipped": times it was of no use}."""
    h = t.hub_key.c
    rows = c.execute(sa.select(h.name, h.skipped).order_by(h.skipped.desc(), h.name).limit(limit))
    return [{"key": r.name, **readable(r.name), "skipped": r.skipped} for r in rows]


def readable(key: str) -> Row:
    """A key of `match.keys` in words: {"what": "telephone", "value": "+4930123456"}."""
    bare = key.removeprefix("organization ")
    short, is_alone, value = bare.partition(":")
    if is_alone and short in _KEYS:
        return {"what": _KEYS[short], "value": value}
    first, _, second = bare.partition("&")
    is_sound = len(first) <= 5 and first[1:].isdigit()  # "m453"; of weak ones only a short postcode looks so, too
    one = f"{_KEYS['ss']} {first}" if is_sound else _weak(first)
    return {"what": "two weak ones", "value": f"{one}, {_weak(second)}"}


def _weak(key: str) -> str:
    return f"{_WEAK.get(key[:1], 'key')} {key[1:]}"


# --- who did what -----------------------------------------------------------------------------------------------------

_BY_PEOPLE = _d.kind == sa.literal_column("'human'")  # a literal, as the index of people's decisions has it
_OF_ACTS = sa.select(t.decision).where(among(_d.act)).order_by(_d.act.desc(), _d.id)


def history(c: Connection, limit: int = 20, before: int | None = None, everything: bool = False) -> list[Row]:
    """What was decided, newest first: people's acts, with `everything` also what rules and the model joined.

    {"act", "actor", "at", "kind", "verdict", "rule", "why", "pairs": [{"left", "right"}], "decisions": how many, "revoked_at",
    "revokes": the act it took back, "answers": the question it settled, "can_undo", "kept": why it cannot be undone}.
    before: the last act of the page before.
    """
    query = (
        sa.select(_d.act).where(_d.act.is_not(None), _d.verdict != "unsure").group_by(_d.act).order_by(_d.act.desc())
    )
    query = query if everything else query.where(_BY_PEOPLE)
    query = query.where(_d.act < before) if before is not None else query
    acts = list(c.execute(query.limit(limit)).scalars())
    rows = [r for r in c.execute(_OF_ACTS, {"values": acts}).all() if r.verdict != "unsure"]
    found: dict[int, list[Row]] = {}
    revokes = {r.act: (r.verdict == "none", r.revokes) for r in rows if r.revokes is not None}
    for d in told(c, rows):
        found.setdefault(d["act"], []).append(d)
    return [_act(parts, *revokes.get(act, (False, None))) for act, parts in found.items()]


def _act(parts: list[Row], is_undo: bool, settles: int | None) -> Row:
    """One act of one or several decisions. settles: the act it took back, or the question it answered."""
    first = parts[0]
    verdicts = {d["verdict"] for d in parts}
    live = [d for d in parts if d["revoked_at"] is None]
    kept = "it was taken back" if not live else "it took another one back" if is_undo else ""
    return {
        "act": first["act"], "actor": first["actor"], "at": first["at"], "kind": first["kind"],
        "verdict": first["verdict"] if len(verdicts) == 1 else "several", "rule": first["rule"],
        "why": "; ".join(dict.fromkeys(n for d in parts for n in d["notes"])),
        "pairs": [{"left": d["left"], "right": d["right"]} for d in parts[:3]], "decisions": len(parts),
        "revoked_at": first["revoked_at"] if not live else None, "revokes": settles if is_undo else None,
        "answers": None if is_undo else settles, "can_undo": not kept, "kept": kept,
    }  # fmt: skip
