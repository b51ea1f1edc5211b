"""What the system of record should hold, read off the timeline, and how it differs from what we last wrote there.

Other destinations are owed only fields and opt-outs (hub.outbox.fields, hub.outbox.refusals). Only what changed since
our last write is looked at. Contacts and companies that the system of record already has are used as they are; those we
make are made once and overwritten in nothing but the fields the configuration names; interactions follow the timeline.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change, Identifier, Interaction, Link, Organization, Participation, Person
from hub.outbox import places
from hub.outbox.places import Party
from hub.parties import Rules
from hub.store import among, digest, fetch, instant, instant_or_none, micros, scalar, unpack
from hub.store import tables as t

PHASES = {"organization": 0, "person": 1, "consent": 2, "interaction": 3, "task": 4, "fields": 5}
GONE_PHASE = 6


@dataclass(frozen=True)
class Scope:
    """What is pushed where. create: who may become a contact ("all", "replied_to", "none").

    kinds: of the timeline; none for a destination that is not the system of record. fields: by "person" and
    "organization", those kept equal there with their rules. consents: whether opt-outs go there. streams: where its
    records of people and organizations come from.
    """

    connection_id: int
    create: Literal["all", "replied_to", "none"] = "all"
    since: datetime | None = None
    kinds: frozenset[str] = frozenset({"organization", "person", "interaction"})
    fields: Mapping[str, Rules] = field(default_factory=dict)
    consents: bool = False
    streams: tuple[str, ...] = ()
    calendars: tuple[int, ...] = ()


@dataclass(slots=True)
class Wanted:
    """One change that is due: its phase, promised effect and the hash of the wanted state.

    as_of: the interaction's `changed_at` that this state was read at; 0 for parties. stored_as: the word for it in
    plans and their counts, the change's kind unless said. note: what is to be remembered once it is done.
    """

    phase: int
    effect: Literal["create", "update", "delete", "merge"]
    change: Change
    hash: bytes
    as_of: int = 0
    stored_as: str = ""
    note: dict[str, Any] | None = None
    title: str = ""


@dataclass
class Due:
    """The books of a plan: due = changes + unchanged; `not_due` counts what needs no push, by reason.

    agreed: rows to store for fields that were found equal.
    """

    unchanged: int = 0
    seen_unchanged: list[tuple[str, int]] = field(default_factory=list)
    not_due: Counter[str] = field(default_factory=Counter)
    agreed: list[dict[str, Any]] = field(default_factory=list)


def timeline(c: Connection, scope: Scope, due: Due) -> Iterator[list[Wanted]]:
    """Everything of the timeline due at the system of record now, in slices; fills `due` on the way."""
    due.unchanged += untouched(c, scope)
    parties: dict[int, Party] = {}
    orgs: dict[int, Party] = {}
    for part in candidates(c, scope):
        yield _interactions(c, scope, part, parties, orgs, due)
    yield deletions(c, scope)
    yield _parties(c, scope, parties, orgs)


_i, _r = t.interaction.c, t.remote.c
_TO = _r.connection_id == sa.bindparam("of")
CANDIDATES = (
    sa.select(t.interaction, _r.remote_id, _r.hash.label("written_hash"))
    .outerjoin(t.remote, sa.and_(_TO, _r.kind == "interaction", _r.key == _i.public_id))
    .where(
        _i.id > sa.bindparam("after"), _i.gone_at.is_(None), _i.occurred_at >= sa.bindparam("since"),
        sa.or_(_r.written_at.is_(None), _i.changed_at != _r.written_at),
    )
    .order_by(_i.id)
    .limit(500)
)  # fmt: skip
EVER = -(2**63)


def candidates(
    c: Connection, scope: Scope, query: sa.Select[Any] = CANDIDATES, **given: Any
) -> Iterator[list[dict[str, Any]]]:
    """Living interactions never written, or changed since, in slices; query: `CANDIDATES`, with further conditions.

    "Since" is told by another `changed_at` than the one written, not by a later one: clocks of two workers, and a page
    that took long to commit, must not hide a change.
    """
    given |= {"of": scope.connection_id, "since": micros(scope.since) if scope.since else EVER, "after": 0}
    while rows := fetch(c, query, **given):
        given["after"] = rows[-1].id
        yield [row._asdict() for row in rows]


def _interactions(
    c: Connection,
    scope: Scope,
    rows: list[dict[str, Any]],
    parties: dict[int, Party],
    orgs: dict[int, Party],
    due: Due,
) -> list[Wanted]:
    found = []
    ids = [row["id"] for row in rows]
    people = people_of(c, ids, parties)
    at_source = _from_destination(c, scope, ids)
    _load_parties(c, [p.organization_id for p in parties.values() if p.organization_id], orgs)
    places.load(c, scope.connection_id, [*parties.values(), *orgs.values()])
    makes = frozenset() if scope.create == "none" else scope.kinds
    answered = (
        _answered(c, {p["party_id"] for ps in people.values() for p in ps}) if scope.create == "replied_to" else set()
    )
    texts = texts_of(c, ids)
    about: dict[str, list[Party]] = {}
    for row in rows:
        iid = row["id"]
        if iid in at_source:
            due.not_due["already at the system of record"] += 1
            continue
        belongs = _belongs(scope, people.get(iid, []), parties, orgs, answered)
        belongs = [p for p in belongs if p.word in makes or p.places]
        linked = [link for p in belongs for link in p.links()]
        if not linked:
            due.not_due["no contact or company to file it under"] += 1
            continue
        entity = entity_of(row, people.get(iid, []), texts.get(iid, ""))
        change = Change(
            key=row["public_id"], kind="interaction", op="upsert", entity=entity, links=tuple(linked),
            remote_id=row["remote_id"] or "",
        )  # fmt: skip
        mark = state_hash(change, belongs)
        if row["written_hash"] is not None and bytes(row["written_hash"]) == mark:
            due.unchanged += 1
            due.seen_unchanged.append((row["public_id"], row["changed_at"]))
        elif "interaction" in scope.kinds:
            effect: Literal["create", "update"] = "update" if row["remote_id"] else "create"
            found.append(Wanted(PHASES["interaction"], effect, change, mark, row["changed_at"]))
            if row["remote_id"]:
                about[change.key] = belongs
    part_from(c, scope, found, about)
    return found


def part_from(c: Connection, scope: Scope, found: Sequence[Wanted], about: Mapping[str, Sequence[Party]]) -> None:
    """Name in these changes of objects that are there the associations of ours that hold no longer."""
    if about:
        over = places.stale(c, scope.connection_id, found[0].change.kind, about)
        for w in found:
            if w.change.key in over:
                w.change = msgspec.structs.replace(w.change, unlinks=over[w.change.key])


def state_hash(change: Change, about: Iterable[Party] = ()) -> bytes:
    """Names the wanted state: 8 bytes for the content, 8 for what it is associated with (`places.mark`)."""
    content = digest(msgspec.msgpack.encode((change.op, change.entity)))[:8]
    return content + places.mark(f"{p.word}:{place}" for p in about for place in p.places or (p.key,))


_PEOPLE = (
    sa.select(
        t.participation.c.interaction_id, t.participation.c.role, t.participation.c.name.label("given"),
        t.participation.c.answer, t.identifier.c.scheme, t.identifier.c.value,
        t.party.c.id.label("party_id"), t.party.c.public_id, t.party.c.kind, t.party.c.name, t.party.c.organization_id,
    )
    .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .join(t.source, t.source.c.record_id == t.participation.c.record_id)
    .where(among(t.participation.c.interaction_id))
    .order_by(t.source.c.rank, t.source.c.record_id)  # what the best copy says, of name and answer
)  # fmt: skip


def people_of(c: Connection, ids: Sequence[int], parties: dict[int, Party]) -> dict[int, list[dict[str, Any]]]:
    """Participants of each interaction, every identifier and role once, in a stable order."""
    people: dict[int, dict[tuple[str, str], dict[str, Any]]] = {}
    for r in fetch(c, _PEOPLE, values=ids):
        kept = people.setdefault(r.interaction_id, {}).setdefault((r.role, r.value), r._asdict())
        if kept["answer"] in {"", "unanswered"} and r.answer:
            kept["answer"] = r.answer  # a copy that knows of no answer yet does not take one back
        if r.party_id not in parties:
            parties[r.party_id] = Party(r.party_id, r.public_id, r.kind, r.name, r.organization_id)
    return {iid: [found[k] for k in sorted(found)] for iid, found in people.items()}


_TOLD = (
    sa.select(t.source.c.interaction_id)
    .join(t.record, t.record.c.id == t.source.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .where(
        t.stream.c.connection_id == sa.bindparam("of"), t.source.c.is_echo.is_(sa.false()),
        among(t.source.c.interaction_id),
    )
)  # fmt: skip


def _from_destination(c: Connection, scope: Scope, ids: Sequence[int]) -> set[int]:
    """Interactions the system of record told us of itself, other than echoes of what we wrote."""
    return {iid for (iid,) in fetch(c, _TOLD, of=scope.connection_id, values=ids)}


_p = t.party.c
_PARTIES = sa.select(_p.id, _p.public_id, _p.kind, _p.name, _p.organization_id).where(among(_p.id))


def _load_parties(c: Connection, ids: Iterable[int], into: dict[int, Party]) -> None:
    if wanted := sorted(set(ids) - set(into)):
        into.update((row[0], Party(*row)) for row in fetch(c, _PARTIES, values=wanted))


_ANSWERED = sa.select(t.link.c.party_id).where(among(t.link.c.party_id), t.link.c.direction == "outbound").distinct()


def _answered(c: Connection, party_ids: set[int]) -> set[int]:
    """People somebody of ours has written to."""
    return {pid for (pid,) in fetch(c, _ANSWERED, values=sorted(party_ids))}


def _belongs(
    scope: Scope, people: list[dict[str, Any]], parties: dict[int, Party], orgs: dict[int, Party], answered: set[int]
) -> list[Party]:
    """The people and organizations an interaction belongs to; marks those that must exist for it."""
    found: dict[tuple[str, str], Party] = {}
    for p in people:
        who = parties[p["party_id"]]
        if who.kind == "person":
            if scope.create == "replied_to" and who.id not in answered:
                continue
            who.is_wanted = True
            found["person", who.key] = who
        if who.kind in {"person", "mailbox"} and who.organization_id in orgs:
            org = orgs[who.organization_id]
            org.is_wanted = True
            found["organization", org.key] = org
    return [found[k] for k in sorted(found)]


_TEXTS = sa.select(t.body.c.interaction_id, t.body.c.codec, t.body.c.text).where(among(t.body.c.interaction_id))


def texts_of(c: Connection, ids: Sequence[int]) -> dict[int, str]:
    return {iid: unpack(codec, text).decode("utf-8", "replace") for iid, codec, text in fetch(c, _TEXTS, values=ids)}


def entity_of(row: dict[str, Any], people: list[dict[str, Any]], text: str) -> Interaction:
    participants = tuple(
        Participation(
            identifier=Identifier(p["scheme"], p["value"]), role=p["role"], name=p["given"] or p["name"],
            answer=p["answer"],
        )
        for p in people
    )  # fmt: skip
    first, last = (date.fromisoformat(row[n]) if row[n] else None for n in ("all_day", "all_day_last"))
    return Interaction(
        external_id=row["public_id"], kind=row["kind"], channel=row["channel"], direction=row["direction"],
        occurred_at=None if first else instant(row["occurred_at"]), ended_at=instant_or_none(row["ended_at"]),
        all_day=first, all_day_last=last, subject=row["subject"], text=text, status=row["status"], participants=participants,
    )  # fmt: skip


_DELETED = (
    sa.select(_r.key, _r.remote_id)
    .outerjoin(t.interaction, _i.public_id == _r.key)
    .where(
        _TO, _r.kind == "interaction", _r.is_ours.is_(sa.true()), sa.or_(_i.gone_at.is_not(None), _i.id.is_(None)),
        _r.remote_id != "",
    )
    .order_by(_r.key)
)  # fmt: skip


def deletions(c: Connection, scope: Scope) -> list[Wanted]:
    """What we wrote and what has left the timeline since, or was erased."""
    found = []
    for key, remote_id in fetch(c, _DELETED, of=scope.connection_id):
        change = Change(key=key, kind="interaction", op="delete", remote_id=remote_id)
        found.append(Wanted(GONE_PHASE, "delete", change, state_hash(change)))
    return found


def _parties(c: Connection, scope: Scope, parties: dict[int, Party], orgs: dict[int, Party]) -> list[Wanted]:
    """People and organizations that must exist at the destination for the interactions to hang on."""
    found = []
    wanted = [p for p in parties.values() if p.is_wanted] + [o for o in orgs.values() if o.is_wanted]
    places.load(c, scope.connection_id, wanted)
    for p in sorted(wanted, key=lambda p: p.key):
        kind = p.word
        if p.places or kind not in scope.kinds or scope.create == "none":
            continue
        entity = _organization(c, p) if kind == "organization" else _person(c, p)
        org = orgs.get(p.organization_id or 0)
        links = (Link("organization", org.key),) if org and kind == "person" else ()
        change = Change(key=p.key, kind=kind, op="upsert", entity=entity, links=links)
        found.append(Wanted(PHASES[kind], "create", change, state_hash(change)))
    return found


_HELD = (
    sa.select(t.identifier.c.scheme, t.identifier.c.value, t.identifier.c.home_id)
    .where(t.identifier.c.party_id == sa.bindparam("party"))
    .order_by(t.identifier.c.id)
)


def _own(c: Connection, p: Party, *schemes: str) -> tuple[Identifier, ...]:
    """The party's identifiers without those that were joined to it: these are not told to a tool as a fact.

    They would come back as that tool's word, and go on holding together what a person parts.
    """
    rows = [r for r in fetch(c, _HELD, party=p.id) if r.scheme in schemes]
    mine = [r for r in rows if r.scheme == "phone" or r.home_id in {None, p.id}]  # a number is joined by no decision
    is_known = any(r.scheme != "phone" for r in mine)
    return tuple(Identifier(r.scheme, r.value) for r in (mine if is_known else rows))


def _person(c: Connection, p: Party) -> Person:
    return Person(external_id=p.key, identifiers=_own(c, p, "email", "phone"), name=p.name)


def _organization(c: Connection, p: Party) -> Organization:
    domains = _own(c, p, "domain")
    name = p.name or (domains[0].value if domains else "")
    return Organization(external_id=p.key, identifiers=domains, name=name)


_UNTOUCHED = (
    sa.select(sa.func.count())
    .select_from(t.remote.join(t.interaction, _i.public_id == _r.key))
    .where(_TO, _r.kind == "interaction", _i.gone_at.is_(None), _r.written_at == _i.changed_at)
)


def untouched(c: Connection, scope: Scope) -> int:
    """Interactions written earlier and not changed since: nothing had to be looked at."""
    return int(scalar(c, _UNTOUCHED, of=scope.connection_id))
