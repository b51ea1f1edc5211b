"""Records that their tool merged: which id stands for which today, however and in whatever order it was told.

The survivor's record may name those it absorbed, the absorbed one's may point at its survivor, or nobody says anything:
then, in a stream declared so, one that vanishes while another lists all its addresses was merged into that one. What we had
a tool merge ourselves points from the moment of its receipt on.
A pointer is kept on the absorbed record's row, so that it holds whenever the survivor turns up.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import RawRecord, Redirect
from hub.store import among, chunks, fetch, scalar, tell, unpack
from hub.store import tables as t

MERGED = "merged at source"  # the rule under which an absorbed record is gone
LONGEST = 100  # pointers followed one after the other; no tool merges that deep
PERSONAL = ("personal", "own")

r, o, i, s = t.record.c, t.observation.c, t.identifier.c, t.statement.c
_INTO = sa.select(r.external_id, r.redirect_to).where(
    r.stream_id == sa.bindparam("stream_id"), r.redirect_to.is_not(None), among(r.redirect_to)
)
_OF = sa.select(r.redirect_to).where(r.stream_id == sa.bindparam("stream_id"), r.external_id == sa.bindparam("ext"))
_POINT = (
    sa.update(t.record)
    .where(r.stream_id == sa.bindparam("stream_id"), r.external_id == sa.bindparam("ext"))
    .values(redirect_to=sa.bindparam("at"))
)
_HEARD = sa.select(o.record_id).where(among(o.record_id))
_ANY_ENTRY = (
    sa.select(t.remote.c.key)
    .where(t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.kind == "interaction")
    .limit(1)
)
_POINTING = sa.select(r.id, r.redirect_to).where(among(r.id), r.redirect_to.is_not(None))
_RAWS = (
    sa.select(r.id, r.external_id, t.raw.c.codec, t.raw.c.body)
    .join(t.raw, t.raw.c.record_id == r.id)
    .where(r.stream_id == sa.bindparam("stream_id"), among(r.external_id), r.gone_at.is_(None))
    .order_by(r.id)
)
_LISTED = (
    sa.select(o.record_id, i.match_value)
    .join(t.identifier, i.id == o.identifier_id)
    .where(among(o.record_id), i.scheme == "email", i.sharing.in_(PERSONAL))
)
_ALSO_LISTED = (
    sa.select(i.match_value, r.id, r.external_id)
    .distinct()
    .join(t.observation, o.identifier_id == i.id)
    .join(t.record, r.id == o.record_id)
    .where(
        i.scheme == "email", among(i.match_value), i.sharing.in_(PERSONAL), r.gone_at.is_(None),
        r.stream_id == sa.bindparam("stream_id"),
    )
)  # fmt: skip
_NAMES = sa.select(s.record_id, s.value).where(among(s.record_id), s.field == "name")


def absorbed(c: Connection, stream_id: int, external_ids: Iterable[str]) -> dict[str, list[str]]:
    """Survivor -> the ids merged into it, straight or through others, as their own records pointed."""
    found: dict[str, list[str]] = {}
    leads_to = {ext: ext for ext in external_ids}
    while leads_to:
        further = {}
        for ext, into in fetch(c, _INTO, stream_id=stream_id, values=sorted(leads_to)):
            survivor = leads_to[into]
            ids = found.setdefault(survivor, [])
            if ext != survivor and ext not in ids:
                ids.append(ext)
                further[ext] = survivor
        leads_to = further
    return found


def path(c: Connection, stream_id: int, told: Redirect, page: Mapping[str, str]) -> list[str]:
    """The ids from the absorbed one to the last that stands for it; more than once the same, or more than `LONGEST`: no end.

    page: id -> what it points at, "" for nothing, of records that arrive now: their word counts over what is stored.
    """
    ids = [told.external_id, told.into]
    while len(ids) <= LONGEST and ids[-1] not in ids[:-1]:
        last = ids[-1]
        into = page[last] if last in page else scalar(c, _OF, stream_id=stream_id, ext=last)
        if not into:
            break
        ids.append(into)
    return ids


def has_no_end(ids: Sequence[str]) -> bool:
    return len(ids) > LONGEST or ids[-1] in ids[:-1]


def point(c: Connection, stream_id: int, into: Mapping[str, str]) -> None:
    """Remember on the rows of absorbed records (those that were ever held) what stands for them."""
    tell(c, _POINT, [{"stream_id": stream_id, "ext": ext, "at": survivor} for ext, survivor in into.items()])


def pointing(c: Connection, record_ids: Iterable[int]) -> dict[int, str]:
    """Those of these records that point at another one, with its id."""
    return dict(fetch(c, _POINTING, values=sorted(record_ids)))


def unheard(c: Connection, connection_id: int, record_ids: Sequence[int]) -> set[int]:
    """Those of these records that identity has not heard of, where entries were written: who they stand for has one more."""
    new = set(record_ids) - {rid for (rid,) in fetch(c, _HEARD, values=record_ids)}
    return new if new and scalar(c, _ANY_ENTRY, of=connection_id) else set()


def raws(c: Connection, stream_id: int, external_ids: Iterable[str]) -> list[tuple[int, RawRecord]]:
    """(record id, raw form) of those that are held and not gone."""
    rows = fetch(c, _RAWS, stream_id=stream_id, values=sorted(external_ids))
    return [(rid, RawRecord(ext, unpack(codec, body))) for rid, ext, codec, body in rows]


def recognised(c: Connection, stream_id: int, record_ids: Sequence[int]) -> dict[int, str]:
    """Vanished record -> the id of the one left that took its place: it alone lists all its addresses, under no other name."""
    going, found = set(record_ids), dict[int, str]()
    for part in chunks(list(record_ids)):
        listed: dict[int, set[str]] = {}
        for rid, match in fetch(c, _LISTED, values=part):
            listed.setdefault(rid, set()).add(match)
        holders: dict[str, dict[int, str]] = {}
        wanted = sorted(set().union(*listed.values()))
        for match, rid, ext in fetch(c, _ALSO_LISTED, stream_id=stream_id, values=wanted) if wanted else ():
            if rid not in going:
                holders.setdefault(match, {})[rid] = ext
        names = _names(c, {*listed, *(rid for of in holders.values() for rid in of)})
        for rid, matches in listed.items():
            first, *rest = (holders.get(m, {}) for m in matches)
            takers = {x: ext for x, ext in first.items() if all(x in of for of in rest)}
            if len(takers) == 1:
                [(taker, ext)] = takers.items()
                mine, theirs = names.get(rid, set()), names.get(taker, set())
                if mine <= theirs or theirs <= mine:
                    found[rid] = ext
    return found


def _names(c: Connection, record_ids: Iterable[int]) -> dict[int, set[str]]:
    said = fetch(c, _NAMES, values=sorted(record_ids))
    return {rid: set(re.findall(r"\w+", value.casefold())) for rid, value in said}
