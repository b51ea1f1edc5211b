"""Parties as reports show them: found by name or address, named, with their organization."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything, of_identifiers
from hub.store import chunks, instant_or_none
from hub.store import tables as t


def find(c: Connection, text: str, limit: int = 10, seen: Seen = everything) -> list[dict[str, Any]]:
    """Parties whose public id, address or name matches `text`: exact ones first, then by name and address part."""
    wanted = text.strip().lower()
    if not wanted:
        return []
    ids: list[int] = []
    # A party that was joined to another one has nothing left that points at it.
    stands = sa.or_(
        sa.exists().where(t.identifier.c.party_id == t.party.c.id),
        sa.exists().where(t.observation.c.party_id == t.party.c.id),
    )
    exact = sa.select(t.party.c.id).where(
        sa.or_(t.party.c.public_id == wanted, sa.func.lower(t.party.c.name) == wanted), stands, seen(t.party)
    )
    shown = of_identifiers(seen)
    by_identifier = sa.select(t.identifier.c.party_id).where(t.identifier.c.value == wanted, shown)
    name = sa.func.lower(t.party.c.name)
    loose = sa.select(t.party.c.id).where(name.contains(wanted, autoescape=True), stands, seen(t.party)).limit(200)
    part = t.identifier.c.value.contains(wanted, autoescape=True)
    loose_id = sa.select(t.identifier.c.party_id).where(part, shown).limit(200)
    for query in (by_identifier, exact):
        ids += [i for i in c.execute(query).scalars() if i not in ids]
    if not ids:
        for query in (loose, loose_id):
            ids += [i for i in c.execute(query).scalars() if i not in ids]
    found = list(describe(c, ids, seen).values())
    found.sort(key=lambda p: (p["kind"] == "organization", -(p["interactions"])))
    return found[:limit]


def describe(c: Connection, party_ids: Iterable[int], seen: Seen = everything) -> dict[int, dict[str, Any]]:
    """Party id -> public_id, kind, name, addresses, organization, owner, interactions, last_at."""
    ids = list(dict.fromkeys(party_ids))
    found: dict[int, dict[str, Any]] = {}
    org = t.party.alias("org")
    for part in chunks(ids):
        query = sa.select(t.party, org.c.name.label("org_name"), org.c.public_id.label("org_public")).outerjoin(
            org, org.c.id == t.party.c.organization_id
        )
        for r in c.execute(query.where(t.party.c.id.in_(part))).mappings():
            found[r["id"]] = {
                "public_id": r["public_id"], "kind": r["kind"], "name": r["name"], "addresses": [],
                "organization": {"public_id": r["org_public"], "name": r["org_name"]} if r["org_public"] else None,
                "owner_identifier_id": r["owner_identifier_id"], "interactions": 0, "last_at": None,
            }  # fmt: skip
        idents = sa.select(t.identifier.c.party_id, t.identifier.c.scheme, t.identifier.c.value).where(
            t.identifier.c.party_id.in_(part),
            t.identifier.c.scheme.in_(("email", "phone", "domain")),
            of_identifiers(seen),
        )
        for party_id, _, value in c.execute(idents.order_by(t.identifier.c.id)):
            found[party_id]["addresses"].append(value)
        counted = sa.select(t.link.c.party_id, sa.func.count(), sa.func.max(t.link.c.occurred_at)).where(seen(t.link))
        for party_id, n, last in c.execute(counted.where(t.link.c.party_id.in_(part)).group_by(t.link.c.party_id)):
            found[party_id]["interactions"], found[party_id]["last_at"] = n, instant_or_none(last)
    for p in found.values():
        if not p["name"] and p["addresses"]:
            p["name"] = p["addresses"][0]
        if p["organization"] and not p["organization"]["name"]:
            p["organization"]["name"] = _domain_of(c, p["organization"]["public_id"])
    return {i: found[i] for i in ids if i in found}


def _domain_of(c: Connection, public_id: str) -> str:
    query = sa.select(t.identifier.c.value).join(t.party, t.party.c.id == t.identifier.c.party_id)
    return (
        c.execute(query.where(t.party.c.public_id == public_id, t.identifier.c.scheme == "domain").limit(1)).scalar()
        or ""
    )


def party_id(c: Connection, public_id: str, seen: Seen = everything) -> int | None:
    return c.execute(sa.select(t.party.c.id).where(t.party.c.public_id == public_id, seen(t.party))).scalar()


def person_of(c: Connection, identifier_id: int | None, seen: Seen = everything) -> dict[str, Any] | None:
    """The party behind an identifier, with the identifier's own value as address when it is one."""
    if identifier_id is None:
        return None
    query = sa.select(t.identifier.c.party_id, t.identifier.c.scheme, t.identifier.c.value)
    row = c.execute(query.where(t.identifier.c.id == identifier_id)).first()
    if row is None:
        return None
    who = describe(c, [row[0]], seen)[row[0]]
    emails = [a for a in who["addresses"] if "@" in a]
    name = who["name"] or row[2]
    return {"name": name, "address": emails[0] if emails else "", "public_id": who["public_id"]}
