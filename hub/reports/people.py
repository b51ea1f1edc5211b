"""Parties as reports show them: found by name or address, named, with their organization."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything, of_identifiers, rows
from hub.store import among, chunks, instant_or_none
from hub.store import tables as t
from hub.store import tables_search as s
from hub.store.words import words

MOST = 400  # parties that are looked at of all that fit
_PHONE = re.compile(r"[+(]{0,2}[0-9][0-9 ()./-]*")


def find(c: Connection, text: str, limit: int = 10, seen: Seen = everything) -> list[dict[str, Any]]:
    """Parties by public id, address or name; exact ones alone where there are any.

    Else those that have all the words in their names and addresses, the last one maybe as a beginning. Accents and case do
    not count. People come before organizations, then whose name begins with it, whose name has it; the busiest first. Of a
    beginning that very many have only some are looked at.
    """
    # What no database takes is in no name.
    wanted = text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").strip().lower()
    if not wanted:
        return []
    asked = ["".join(filter(str.isdecimal, wanted))] if _PHONE.fullmatch(wanted) else words(wanted)
    ids = _exact(c, wanted, seen)
    ids += [i for i in _named(c, asked, seen) if i not in ids]
    if not ids:
        ids = _loosely(c, asked, seen)
    busy = {pid: int(n or 0) for part in chunks(ids) for pid, n, _ in rows(c, _counted, seen, values=part)}
    called = sa.select(t.party.c.id, t.party.c.kind, t.party.c.name)
    order = {
        pid: (kind == "organization", _rank(asked, words(name)), -busy.get(pid, 0), pid)
        for part in chunks(ids)
        for pid, kind, name in c.execute(called.where(t.party.c.id.in_(part)))
    }
    best = sorted(order, key=order.__getitem__)[:limit]
    return list(describe(c, best, seen).values())


def _rank(asked: Sequence[str], name: Sequence[str]) -> int:
    """0: the whole name, 1: it begins so, 2: it has the words, 3: the address has some of them."""
    if not asked or list(asked) == list(name):
        return 0
    *head, last = asked
    if list(name[: len(head)]) == head and len(name) > len(head) and name[len(head)].startswith(last):
        return 1
    return 2 if all(w in name for w in head) and any(w.startswith(last) for w in name) else 3


# A party that was joined to another one has nothing left that points at it.
_STANDS = sa.or_(
    sa.exists().where(t.identifier.c.party_id == t.party.c.id),
    sa.exists().where(t.observation.c.party_id == t.party.c.id),
)


def _exact(c: Connection, wanted: str, seen: Seen) -> list[int]:
    """By public id, and by what is written in an address or a tool's id."""
    scheme = t.identifier.c.scheme
    schemes, one = [], c.execute(sa.select(sa.func.min(scheme))).scalar()
    while one is not None:
        schemes.append(one)
        one = c.execute(sa.select(sa.func.min(scheme)).where(scheme > one)).scalar()
    written = (scheme.in_(schemes), t.identifier.c.value == wanted, t.identifier.c.party_id.is_not(None))
    found = list(c.execute(sa.select(t.identifier.c.party_id).where(*written, of_identifiers(seen))).scalars())
    found += c.execute(sa.select(t.party.c.id).where(t.party.c.public_id == wanted, _STANDS, seen(t.party))).scalars()
    return list(dict.fromkeys(found))


def _named(c: Connection, asked: Sequence[str], seen: Seen) -> list[int]:
    """Whose whole name it is."""
    if not asked:
        return []
    long, _ = _rarest(c, [(w, False) for w in asked])
    query = sa.select(t.party.c.id, t.party.c.name).join(s.party_word, s.party_word.c.party_id == t.party.c.id)
    others = [_name_has(w, False) for w in set(asked) - {long}]
    query = query.where(s.party_word.c.word == long, *others, _STANDS, seen(t.party)).limit(MOST)
    return [pid for pid, name in c.execute(query) if words(name) == list(asked)]


def _loosely(c: Connection, asked: Sequence[str], seen: Seen) -> list[int]:
    """Who has all of the words, in the name or in addresses that are seen."""
    if not asked:
        return []
    each = [(w, n == len(asked)) for n, w in enumerate(asked, 1)]
    first = _rarest(c, each)
    p, i, pw, iw = t.party, t.identifier, s.party_word, s.identifier_word
    rest = [sa.or_(_name_has(w, begun), _address_has(w, begun, seen)) for w, begun in each if (w, begun) != first]
    by_name = sa.select(p.c.id).join(pw, pw.c.party_id == p.c.id).where(_is(pw.c.word, *first), *rest, _STANDS, seen(p))
    by_address = (
        sa.select(p.c.id)
        .join(i, i.c.party_id == p.c.id)
        .join(iw, iw.c.identifier_id == i.c.id)
        .where(_is(iw.c.word, *first), *rest, of_identifiers(seen))
    )
    found = [*c.execute(by_name.order_by(pw.c.word, pw.c.party_id).limit(MOST)).scalars()]
    found += c.execute(by_address.order_by(iw.c.word, iw.c.identifier_id).limit(MOST)).scalars()
    return list(dict.fromkeys(found))


def _rarest(c: Connection, each: Sequence[tuple[str, bool]]) -> tuple[str, bool]:
    """The word that fewest have, as far as is worth counting: where looking begins."""
    if len(each) == 1:
        return each[0]

    def count(one: tuple[str, bool]) -> int:
        some = [
            sa.select(sa.func.count()).select_from(sa.select(word).where(_is(word, *one)).limit(MOST).subquery())
            for word in (s.party_word.c.word, s.identifier_word.c.word)
        ]
        return sum(int(c.execute(query).scalar_one()) for query in some)

    return min(each, key=count)


def _is(column: "sa.ColumnElement[str]", word: str, is_begun: bool) -> "sa.ColumnElement[bool]":
    return sa.and_(column >= word, column < f"{word}\U0010ffff") if is_begun else column == word


def _name_has(word: str, is_begun: bool) -> "sa.ColumnElement[bool]":
    of = s.party_word.alias()
    return sa.exists().where(of.c.party_id == t.party.c.id, _is(of.c.word, word, is_begun))


def _address_has(word: str, is_begun: bool, seen: Seen) -> "sa.ColumnElement[bool]":
    one, of = t.identifier.alias(), s.identifier_word.alias()
    mine = (one.c.party_id == t.party.c.id, of.c.identifier_id == one.c.id)
    return sa.exists().where(*mine, _is(of.c.word, word, is_begun), of_identifiers(seen, one))


def describe(
    c: Connection, party_ids: Iterable[int], seen: Seen = everything, *, is_counted: bool = True
) -> dict[int, dict[str, Any]]:
    """Party id -> public_id, kind, name, addresses, organization, owner, interactions, last_at.

    is_counted: False leaves the last two at 0 and None, which for one of our own people spares reading a whole hub.
    """
    ids = list(dict.fromkeys(party_ids))
    found: dict[int, dict[str, Any]] = {}
    nameless: dict[int, list[dict[str, Any]]] = {}
    for part in chunks(ids):
        for r in rows(c, _parties, seen, values=part):
            organization = {"public_id": r.org_public, "name": r.org_name} if r.org_public else None
            if organization and not r.org_name:
                nameless.setdefault(r.organization_id, []).append(organization)
            found[r.id] = {
                "public_id": r.public_id, "kind": r.kind, "name": r.name, "addresses": [], "organization": organization,
                "owner_identifier_id": r.owner_identifier_id, "interactions": 0, "last_at": None,
            }  # fmt: skip
        for party_id, scheme, value in rows(c, _identifiers, seen, values=part):
            if scheme in {"email", "phone", "domain"}:
                found[party_id]["addresses"].append(value)
        for party_id, n, last in rows(c, _counted, seen, values=part) if is_counted else ():
            found[party_id]["interactions"], found[party_id]["last_at"] = int(n or 0), instant_or_none(last)
    for p in found.values():
        if not p["name"] and p["addresses"]:
            p["name"] = p["addresses"][0]
    for party_id, scheme, value in rows(c, _identifiers, everything, values=list(nameless)) if nameless else ():
        for organization in nameless[party_id] if scheme == "domain" else ():
            organization["name"] = organization["name"] or value
    return {i: found[i] for i in ids if i in found}


def _parties(_: Seen) -> "sa.Select[Any]":
    org = t.party.alias("org")
    named = (org.c.name.label("org_name"), org.c.public_id.label("org_public"))
    whole = sa.select(t.party, *named).outerjoin(org, org.c.id == t.party.c.organization_id)
    return whole.where(among(t.party.c.id))


def _identifiers(seen: Seen) -> "sa.Select[Any]":
    """Of all schemes: asked for some of them, SQLite would read all there are of these."""
    i = t.identifier.c
    return sa.select(i.party_id, i.scheme, i.value).where(among(i.party_id), of_identifiers(seen)).order_by(i.id)


def _counted(seen: Seen) -> "sa.Select[Any]":
    """(party, entries, the last one's instant): from the figures that are kept, where all of them may be seen."""
    k, v = t.link.c, t.volume.c
    if seen is not everything:
        counted = sa.select(k.party_id, sa.func.count(), sa.func.max(k.occurred_at)).where(
            among(k.party_id), seen(t.link)
        )
        return counted.group_by(k.party_id)
    last = sa.select(sa.func.max(k.occurred_at)).where(k.party_id == v.party_id).correlate(t.volume).scalar_subquery()
    return sa.select(v.party_id, sa.func.sum(v.count), last).where(among(v.party_id)).group_by(v.party_id)


def party_id(c: Connection, public_id: str, seen: Seen = everything) -> int | None:
    found: int | None = next((r[0] for r in rows(c, _of_public_id, seen, public_id=public_id)), None)
    return found


def _of_public_id(seen: Seen) -> "sa.Select[Any]":
    return sa.select(t.party.c.id).where(t.party.c.public_id == sa.bindparam("public_id"), seen(t.party))


def person_of(c: Connection, identifier_id: int | None, seen: Seen = everything) -> dict[str, Any] | None:
    """The party behind an identifier, with the identifier's own value as address when it is one."""
    row = next(iter(rows(c, _identifier, everything, identifier=identifier_id)), None) if identifier_id else None
    if row is None:
        return None
    who = describe(c, [row.party_id], seen, is_counted=False)[row.party_id]
    emails = [a for a in who["addresses"] if "@" in a]
    return {"name": who["name"] or row.value, "address": emails[0] if emails else "", "public_id": who["public_id"]}


def _identifier(_: Seen) -> "sa.Select[Any]":
    i = t.identifier.c
    return sa.select(i.party_id, i.value).where(i.id == sa.bindparam("identifier"))
