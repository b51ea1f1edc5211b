"""What people are told of identity: what somebody is made of, and decisions with their waterfall as they are read.

Reads only; each answer takes a bounded number of rows by their indexes. Shapes are plain dicts, as `ihub identity`
prints them in JSON: instants aware UTC, weights in bits. `hub.identity.why` answers why, and why not; `hub.identity.lists`
has what waits for a person, keys that say nothing, and who did what.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.evidence import JOINING
from hub.identity.index import Rules
from hub.identity.match.fields import GROUPS, IMPLIED
from hub.identity.match.online import LINK, NEW
from hub.identity.weights import SETTINGS
from hub.store import among, fetch, instant, instant_or_none, pairs_among
from hub.store import tables as t

Row = dict[str, Any]
MEANS = {
    "personal": "one person's own", "own": "one of yours", "id": "a tool's own id", "domain": "a company's domain",
    "role": "a desk, never one person", "own_role": "a desk of yours", "list": "a mailing list",
    "no_reply": "nobody reads it", "shared": "shared by several", "unknown": "one holder", "ambiguous": "says no country",
}  # fmt: skip
SAME, APART = "same", "apart"
_VERDICTS = {LINK: SAME, NEW: APART}
_i, _d, _o, _p = t.identifier.c, t.decision.c, t.observation.c, t.party.c
_MOST = 50  # decisions of one party
_BETWEEN_JOBS = timedelta(days=1)

# --- names of things --------------------------------------------------------------------------------------------------

_NAMED = (
    sa.select(_i.id, _i.scheme, _i.value, _i.sharing, _i.party_id, _p.public_id, _p.name)
    .join(t.party, _p.id == _i.party_id, isouter=True)
    .where(among(_i.id))
)


def named(c: Connection, identifier_ids: Iterable[int]) -> dict[int, Row]:
    """Identifiers as people know them, by id: {"scheme", "value", "sharing", "text", "party": public id, "name"}."""
    rows = fetch(c, _NAMED, values=sorted(set(identifier_ids)))
    return {
        r.id: {
            "scheme": r.scheme, "value": r.value, "sharing": r.sharing, "text": text_of(r.scheme, r.value),
            "party": r.public_id or "", "name": r.name or "",
        }
        for r in rows
    }  # fmt: skip


def text_of(scheme: str, value: str) -> str:
    """ "ana@kestrel.example", or "hubspot:contacts 7" for what a tool numbers."""
    return value if scheme in {"email", "phone", "domain", "name"} else f"{scheme} {value}"


def find(c: Connection, text: str, rules: Rules | None = None) -> int | None:
    """The identifier that `text` names exactly: an address, a number in any spelling, a domain, "hubspot:contacts:7" (or a
    blank before the number), or the record "crm/contacts/7". None where it names none, or a record that has none."""
    text = " ".join(text.split())
    options = [("email", text.lower()), ("domain", text.lower().removeprefix("www.")), ("phone", text)]
    options += [
        (scheme, value) for sign in (":", " ") for scheme, _, value in [text.rpartition(sign)] if scheme and value
    ]
    for scheme, value in options:
        found = c.execute(sa.select(_i.id).where(_i.scheme == scheme, _i.value == value)).scalar()
        if found is not None:
            return int(found)
    if sum(ch.isdigit() for ch in text) >= 6 and "@" not in text:
        alike = (
            sa.select(_i.id)
            .where(_i.scheme == "phone", _i.match_value == (rules or Rules()).match("phone", text))
            .order_by(_i.id)
        )
        if (found := c.execute(alike.limit(1)).scalar()) is not None:
            return int(found)
    connection, _, rest = text.partition("/")
    stream, _, external_id = rest.partition("/")
    query = _OF_RECORD.where(
        t.connection.c.name == connection, t.stream.c.name == stream, t.record.c.external_id == external_id
    )
    return c.execute(query.limit(1)).scalar() if external_id else None


_OF_RECORD = (
    sa.select(_i.id)
    .join(t.observation, _o.identifier_id == _i.id)
    .join(t.record, t.record.c.id == _o.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(_i.sharing.in_(sorted(JOINING)))
    .order_by(_i.sharing != "id", _i.id)
)


def owner(c: Connection, identifier_id: int) -> int:
    """The party that an identifier belongs to today; 0 for none."""
    return c.execute(sa.select(_i.party_id).where(_i.id == identifier_id)).scalar() or 0


def first_of(c: Connection, party_id: int) -> int:
    """The identifier that stands for a party where one is asked for: what may join before what may not; 0 for none."""
    query = sa.select(_i.id).where(_i.party_id == party_id).order_by(_i.sharing.not_in(sorted(JOINING)), _i.id)
    return c.execute(query.limit(1)).scalar() or 0


def told(c: Connection, rows: Sequence[Any]) -> list[Row]:
    """Decision rows as they are shown: both sides named, the waterfall apart from what else was noted."""
    names = named(c, {i for r in rows for i in (r.left_identifier_id, r.right_identifier_id)})
    return [
        {
            "decision": r.id, "act": r.act or r.id, "verdict": r.verdict, "kind": r.kind, "rule": r.rule, "weight": r.weight,
            "version": r.version, "actor": r.actor, "at": instant(r.decided_at), "revoked_at": instant_or_none(r.revoked_at),
            "left": names[r.left_identifier_id], "right": names[r.right_identifier_id], **reasons(r.reasons),
        }
        for r in rows
    ]  # fmt: skip


def reasons(text: str) -> Row:
    """A decision's reasons: {"lines": the waterfall, "without": field -> the verdict had it not been there, "notes": the rest}."""
    found = [r if isinstance(r, dict) else {"level": str(r)} for r in json.loads(text)]
    lines = waterfall([r for r in found if "weight" in r])
    without = verdicts({str(r["value"]): str(r["level"]) for r in found if r.get("field") == "without"})
    notes = [_note(r) for r in found if "weight" not in r and r.get("field") != "without"]
    return {"lines": lines, "without": without, "notes": [n for n in notes if n]}


def waterfall(lines: Sequence[Row]) -> list[Row]:
    """The lines, each with what it "counts": less than it weighs where another one says the same. These add up."""
    weights = {str(x["field"]): float(x["weight"]) for x in lines}
    counts, again = {}, set[str]()
    for name, weight in sorted(weights.items(), key=lambda w: -w[1]):
        implied = IMPLIED.get(name, {})
        if any(other in weights and (always or weights[other] > 0) for other, always in implied.items()):
            counts[name] = 0.0
            continue
        group = GROUPS.get(name)
        counts[name] = weight * SETTINGS.agreeing_again if group in again and weight > 0 else weight
        again |= {group} if group else set()
    return [{**x, "counts": round(counts[str(x["field"])], 2)} for x in lines]


def verdicts(found: dict[str, str]) -> dict[str, str]:
    """What the matcher calls them in the words used here: "same", "review" (a person is asked), "apart"."""
    return {name: _VERDICTS.get(verdict, verdict) for name, verdict in found.items()}


def _note(reason: Row) -> str:
    words = str(reason.get("level") or reason.get("field") or "")
    return f"{words}: {reason['value']}" if reason.get("value") and words else words


# --- one party --------------------------------------------------------------------------------------------------------

_THEIRS = sa.select(_i.id, _i.scheme, _i.value, _i.sharing).where(_i.party_id == sa.bindparam("party")).order_by(_i.id)
_SHOWN_BY = (
    sa.select(
        _o.record_id, _o.identifier_id, _o.first_seen_at, _o.last_seen_at, _i.scheme, _i.value, _i.sharing,
        (_i.party_id == _o.party_id).label("is_theirs"), t.record.c.external_id, t.record.c.gone_at,
        t.stream.c.name.label("stream"), t.connection.c.name.label("connection"),
    )
    .join(t.identifier, _i.id == _o.identifier_id)
    .join(t.record, t.record.c.id == _o.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(_o.party_id == sa.bindparam("party"))
    .order_by(_o.record_id, _i.sharing != "id", _i.id)
)  # fmt: skip
_SAID = sa.select(t.statement.c.record_id, t.statement.c.field, t.statement.c.value, t.statement.c.observed_at).where(
    t.statement.c.party_id == sa.bindparam("party"), t.statement.c.field.in_(("name", "organization"))
)
_TALKED = (
    sa.select(
        t.participation.c.identifier_id, sa.func.count(sa.distinct(t.interaction.c.id)),
        sa.func.min(t.interaction.c.occurred_at), sa.func.max(t.interaction.c.occurred_at),
    )
    .join(t.interaction, t.interaction.c.id == t.participation.c.interaction_id)
    .where(among(t.participation.c.identifier_id), t.interaction.c.gone_at.is_(None))
    .group_by(t.participation.c.identifier_id)
)  # fmt: skip


def show(c: Connection, party_id: int, rules: Rules | None = None) -> Row:
    """Everything one party is made of. Raises KeyError when there is none.

    {"party", "records": [{"connection", "stream", "external_id", "name", "lists", "since", "last_seen", "gone_at"}],
    "addresses": [{"text", "scheme", "sharing", "means", "since", "last", "entries", "records"}], "mailboxes": addresses
    its records list that are nobody's own, "employment": [{"organization", "since", "last", "until", "by"}], "part_of" and
    "parts": of an organization, the ones above and below it, [{"organization", "since", "by"}], "decisions": newest first,
    revoked ones too, "reviews": what a person is asked about it}
    """
    org = t.party.alias()
    query = sa.select(t.party, org.c.public_id.label("org_public"), org.c.name.label("org_name"))
    row = c.execute(query.outerjoin(org, org.c.id == _p.organization_id).where(_p.id == party_id)).mappings().first()
    if row is None:
        raise KeyError(party_id)
    theirs = c.execute(_THEIRS, {"party": party_id}).all()
    listed = c.execute(_SHOWN_BY, {"party": party_id}).all()
    said = {(r.record_id, r.field): r for r in c.execute(_SAID, {"party": party_id})}
    ids = [r.id for r in theirs]
    asks_dates = [r.id for r in theirs if row["kind"] in {"person", "mailbox"} and r.scheme in {"email", "phone"}]
    talked = {r[0]: r[1:] for r in c.execute(_TALKED, {"values": asks_dates})} if asks_dates else {}
    organization = {"public_id": row["org_public"], "name": row["org_name"]} if row["org_public"] else None
    addresses = _addresses(theirs, listed, talked)
    decisions = told(c, _decisions(c, ids))
    part_of, parts = _hierarchy(c, party_id, theirs) if row["kind"] == "organization" else ([], [])
    return {
        "party": {"public_id": row["public_id"], "kind": row["kind"], "name": row["name"], "organization": organization},
        "records": _records(listed, said), "addresses": addresses,
        "mailboxes": _unique([
            {"text": text_of(r.scheme, r.value), "scheme": r.scheme, "sharing": r.sharing, "means": MEANS.get(r.sharing, r.sharing)}
            for r in listed if not r.is_theirs and r.scheme in {"email", "phone"}
        ]),
        "employment": _employment(c, addresses, listed, said, rules or Rules()) if row["kind"] == "person" else [],
        "part_of": part_of, "parts": parts,
        "decisions": [d for d in decisions if d["verdict"] != "unsure"],
        "reviews": [d for d in decisions if d["verdict"] == "unsure" and d["revoked_at"] is None],
    }  # fmt: skip


_s = t.statement.c
_TOLD_OF = (
    sa.select(
        _s.party_id, _s.value, _s.observed_at, t.record.c.external_id, t.stream.c.name.label("stream"),
        t.connection.c.name.label("connection"), _p.public_id, _p.name,
    )
    .join(t.party, _p.id == _s.party_id)
    .join(t.record, t.record.c.id == _s.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(_s.field == sa.literal_column("'organization'"), _p.kind == "organization", t.record.c.gone_at.is_(None))
    .order_by(_s.observed_at, _s.record_id)
)  # fmt: skip
_TOLD_ABOVE = _TOLD_OF.where(_s.party_id == sa.bindparam("party"))
_TOLD_BELOW = _TOLD_OF.where(among(_s.value))
_FIRMS = sa.select(_i.scheme, _i.value, _i.party_id, _p.public_id, _p.name).join(t.party, _p.id == _i.party_id).where(
    pairs_among(_i.scheme, _i.value), _p.kind == "organization"
)  # fmt: skip


def _hierarchy(c: Connection, party_id: int, theirs: Sequence[Any]) -> tuple[list[Row], list[Row]]:
    """(what records say an organization is a part of, which ones say that they are a part of it)."""
    above = fetch(c, _TOLD_ABOVE, party=party_id)
    pairs = sorted({(scheme, value) for r in above for scheme, _, value in (r.value.rpartition(":"),)})
    firms = {f"{f.scheme}:{f.value}": f for f in fetch(c, _FIRMS, values=pairs)} if pairs else {}
    below = fetch(c, _TOLD_BELOW, values=[f"{r.scheme}:{r.value}" for r in theirs])
    return (
        _once((firms[r.value], r) for r in above if r.value in firms and firms[r.value].party_id != party_id),
        _once((r, r) for r in below if r.party_id != party_id),
    )


def _once(told: Iterable[tuple[Any, Any]]) -> list[Row]:
    """(organization, what says so) by organization, the earliest first."""
    found: dict[str, Row] = {}
    for firm, r in told:
        organization = {"public_id": firm.public_id, "name": firm.name}
        row = found.setdefault(
            firm.public_id, {"organization": organization, "since": instant(r.observed_at), "by": []}
        )
        row["by"].append(f"{r.connection}/{r.stream}/{r.external_id}")
    return list(found.values())


def _unique(rows: list[Row]) -> list[Row]:
    return list({r["text"]: r for r in rows}.values())


def _records(listed: Sequence[Any], said: dict[tuple[int, str], Any]) -> list[Row]:
    found: dict[int, Row] = {}
    for r in listed:
        name = said.get((r.record_id, "name"))
        row = found.setdefault(r.record_id, {
            "connection": r.connection, "stream": r.stream, "external_id": r.external_id, "name": name.value if name else "",
            "lists": [], "since": instant(r.first_seen_at), "last_seen": instant(r.last_seen_at),
            "gone_at": instant_or_none(r.gone_at),
        })  # fmt: skip
        row["since"] = min(row["since"], instant(r.first_seen_at))
        row["last_seen"] = max(row["last_seen"], instant(r.last_seen_at))
        if r.sharing != "id":
            row["lists"].append(text_of(r.scheme, r.value))
    return sorted(found.values(), key=lambda r: (r["since"], r["connection"], r["external_id"]))


def _addresses(theirs: Sequence[Any], listed: Sequence[Any], talked: dict[int, Any]) -> list[Row]:
    by: dict[int, list[Any]] = {}
    for r in listed:
        by.setdefault(r.identifier_id, []).append(r)
    found = []
    for r in theirs:
        if r.sharing == "id":
            continue
        entries, first, last = talked.get(r.id, (0, None, None))
        seen = by.get(r.id, [])
        since = [x for x in (first, *(s.first_seen_at for s in seen)) if x is not None]
        until = [x for x in (last, *(s.last_seen_at for s in seen)) if x is not None]
        found.append({
            "text": text_of(r.scheme, r.value), "scheme": r.scheme, "sharing": r.sharing,
            "means": MEANS.get(r.sharing, r.sharing), "since": instant(min(since)) if since else None,
            "last": instant(max(until)) if until else None, "entries": entries, "records": len(seen),
        })  # fmt: skip
    return found


_COMPANIES = (
    sa.select(_i.scheme, _i.value, _p.public_id, _p.name)
    .join(t.party, _p.id == _i.party_id)
    .where(_i.scheme == sa.bindparam("scheme"), among(_i.value), _p.kind == "organization")
)


def _employment(
    c: Connection, addresses: list[Row], listed: Sequence[Any], said: dict[tuple[int, str], Any], rules: Rules
) -> list[Row]:
    """Which organization from when to when: by the domains of their addresses, and by what their records name.

    It ended where another one's first evidence is younger than its last by more than a day.
    """
    told_by: dict[tuple[str, str], list[tuple[Any, Any, str]]] = {}
    for a in addresses:
        domain = rules.normalisers("domain", a["text"].rpartition("@")[2] if a["scheme"] == "email" else "")
        if domain.value and not domain.sharing and a["since"]:
            told_by.setdefault(("domain", domain.value), []).append((a["since"], a["last"], a["text"]))
    for r in {r.record_id: r for r in listed}.values():
        if statement := said.get((r.record_id, "organization")):
            scheme, _, value = statement.value.rpartition(":")
            ends = sorted((instant(statement.observed_at), instant(r.last_seen_at)))
            told_by.setdefault((scheme, value), []).append((ends[0], ends[1], f"{r.connection}/{r.stream}"))
    companies: dict[str, Row] = {}
    for scheme in sorted({s for s, _ in told_by}):
        values = sorted(v for s, v in told_by if s == scheme)
        for r in c.execute(_COMPANIES, {"scheme": scheme, "values": values}):
            evidence = told_by[r.scheme, r.value]
            row = companies.setdefault(
                r.public_id, {"organization": {"public_id": r.public_id, "name": r.name or r.value}, "told": []}
            )
            row["told"] += evidence
    found = [
        {
            "organization": row["organization"], "since": min(e[0] for e in row["told"]),
            "last": max(e[1] for e in row["told"]), "until": None, "by": sorted({e[2] for e in row["told"]}),
        }
        for row in companies.values()
    ]  # fmt: skip
    for row in found:
        if any(other["since"] - row["last"] > _BETWEEN_JOBS for other in found):
            row["until"] = row["last"]
    return sorted(found, key=lambda r: (r["since"], r["organization"]["public_id"]), reverse=True)


def _decisions(c: Connection, identifier_ids: Collection[int]) -> list[Any]:
    """Decisions about any of these, newest first; what an undo wrote to say so is told by the time it took away."""
    found: dict[int, Any] = {}
    for end in (_d.left_identifier_id, _d.right_identifier_id):
        query = sa.select(t.decision).where(among(end), _d.verdict != "none").order_by(_d.id.desc()).limit(_MOST)
        found |= {r.id: r for r in c.execute(query, {"values": sorted(identifier_ids)})}
    return [found[k] for k in sorted(found, reverse=True)][:_MOST]
