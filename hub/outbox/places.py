"""Where a party stands at a destination, and which associations there are ours.

Several contacts may stand for one person: made before two parties turned out to be one, or two in the tool itself. Each of
them gets the person's whole history: whoever opens either sees all of it, nothing has to be taken from one to be given
to the other, and a parting takes back exactly what a joining added. Which contacts stand for whom is read off the
tool's own records, and off what we wrote while they have not been read yet. The key of a party that was joined into
another waits: its contact is the other's meanwhile, and its own again when the party comes back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Link, Receipt
from hub.store import among, chunks, digest, fetch
from hub.store import tables as t


@dataclass(slots=True)
class Party:
    """A party as pushing needs it; key: its public id. places: ids of what stands for it there, the first first."""

    id: int
    key: str
    kind: str
    name: str = ""
    organization_id: int | None = None
    is_wanted: bool = False
    places: tuple[str, ...] | None = None

    @property
    def word(self) -> str:
        return "organization" if self.kind == "organization" else "person"

    def links(self) -> list[Link]:
        """To all that stands for it, the first last; without an id where that is to be made, or is looked up."""
        if self.places is None or len(self.places) < 2:
            return [Link(self.word, self.key)]  # type: ignore[arg-type]
        return [Link(self.word, self.key, place) for place in reversed(self.places)]  # type: ignore[arg-type]


def mark(associated: Iterable[str]) -> bytes:
    """8 bytes that name what an object is associated with: "kind:id there", or its key where it is not there yet."""
    return digest("\n".join(sorted(set(associated))).encode())[:8]


_HERE = t.stream.c.connection_id == sa.bindparam("connection_id")
_REMOTE = sa.select(t.remote.c.kind, t.remote.c.key, t.remote.c.remote_id).where(
    t.remote.c.connection_id == sa.bindparam("connection_id"), among(t.remote.c.key), t.remote.c.remote_id != "",
    t.remote.c.kind.in_(("person", "organization")),
)  # fmt: skip
_RECORDS = (
    sa.select(t.observation.c.party_id, t.record.c.external_id, t.record.c.gone_at, t.record.c.id)
    .distinct()
    .join(t.record, t.record.c.id == t.observation.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .where(_HERE, among(t.observation.c.party_id))
    .order_by(t.record.c.id)
)
_home = t.party.alias()
_JOINED = (
    sa.select(t.identifier.c.party_id, _home.c.public_id)
    .distinct()
    .join(_home, _home.c.id == t.identifier.c.home_id)
    .where(among(t.identifier.c.party_id), t.identifier.c.home_id != t.identifier.c.party_id)
    .order_by(_home.c.public_id)
)
_STANDS_FOR = (
    sa.select(t.record.c.external_id, t.record.c.gone_at, t.record.c.redirect_to, t.party.c.id, t.party.c.kind)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.observation, t.observation.c.record_id == t.record.c.id)
    .join(t.party, t.party.c.id == t.observation.c.party_id)
    .where(_HERE, among(t.record.c.external_id), t.party.c.kind != "own")  # our own users are numbered on their own
)

_ABSORBED = (  # ids that another record carries by now: merged there before they were ever read here
    sa.select(t.party.c.kind == "organization", t.identifier.c.value)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .join(t.observation, t.observation.c.identifier_id == t.identifier.c.id)
    .join(t.record, t.record.c.id == t.observation.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .where(
        _HERE, among(t.identifier.c.value), t.identifier.c.sharing == "id", t.record.c.external_id != t.identifier.c.value,
        t.identifier.c.scheme.endswith(":" + t.stream.c.name), t.record.c.gone_at.is_(None),
    )
)  # fmt: skip


_BY_KEY = sa.select(t.party.c.id, t.party.c.public_id, t.party.c.kind).where(among(t.party.c.public_id))


def by_key(c: Connection, keys: Iterable[str]) -> list[Party]:
    return [Party(*row) for row in fetch(c, _BY_KEY, values=sorted(keys))]


def load(c: Connection, connection_id: int, parties: Iterable[Party]) -> None:
    """Fill in `places` where they are not known yet.

    An object of ours that somebody deleted there is not there, though we wrote it; one whose record stands for somebody
    else by now is this party's only while it has no other: its address may still be what the tool knows this one by.
    """
    for part in chunks([p for p in parties if p.places is None]):
        by_id = {p.id: p for p in part}
        found: dict[int, dict[str, bool]] = {pid: {} for pid in by_id}
        for party_id, external_id, gone_at, _ in fetch(c, _RECORDS, connection_id=connection_id, values=sorted(by_id)):
            found[party_id][external_id] = found[party_id].get(external_id, False) or gone_at is None
        for party_id, remote_id, is_its_own in _written(c, connection_id, by_id):
            if is_its_own or not any(found[party_id].values()):
                found[party_id].setdefault(remote_id, True)
        for pid, places in found.items():
            by_id[pid].places = tuple(place for place, is_there in places.items() if is_there)


def _written(c: Connection, connection_id: int, by_id: dict[int, Party]) -> list[tuple[int, str, bool]]:
    """(party, id, whether its record, if there is one, stands for it) of what we wrote for it and those joined into it."""
    homes: dict[str, list[int]] = {p.key: [p.id] for p in by_id.values()}
    for party_id, key in fetch(c, _JOINED, values=sorted(by_id)):
        homes.setdefault(key, []).append(party_id)
    rows = fetch(c, _REMOTE, connection_id=connection_id, values=sorted(homes))
    wrote = [(pid, rid) for kind, key, rid in rows for pid in homes[key] if by_id[pid].word == kind]
    if not wrote:
        return []
    there = {"connection_id": connection_id, "values": sorted({rid for _, rid in wrote})}
    absorbed = {(bool(is_org), rid) for is_org, rid in fetch(c, _ABSORBED, **there)}
    wrote = [(pid, rid) for pid, rid in wrote if (by_id[pid].kind == "organization", rid) not in absorbed]
    told: dict[tuple[bool, str], set[int]] = {}
    for rid, _, _, party_id, kind in fetch(c, _STANDS_FOR, **there):
        told.setdefault((kind == "organization", rid), set()).add(party_id)
    whose = ((pid, rid, told.get((by_id[pid].kind == "organization", rid), {pid})) for pid, rid in wrote)
    return sorted(((pid, rid, pid in parties) for pid, rid, parties in whose), key=lambda w: not w[2])


def remote_ids(c: Connection, connection_id: int, parties: Sequence[Party]) -> dict[tuple[str, str], str]:
    """(kind, key) -> the id that stands for it there first, of those parties that anything stands for."""
    load(c, connection_id, parties)
    return {(p.word, p.key): p.places[0] for p in parties if p.places}


def stale(
    c: Connection, connection_id: int, kind: str, wanted: Mapping[str, Iterable[Party]]
) -> dict[str, tuple[Link, ...]]:
    """Key of an object of ours -> its associations that we wrote and that hold no longer.

    wanted: key -> the parties it belongs to today, their places loaded. What an absorbed object was associated with, its
    tool moved to the survivor; what was deleted there has none. An entry stays with the company it was with when only
    its person's employer is another now.
    """
    ours = _associated(c, connection_id, kind, list(wanted))
    became = _became(c, connection_id, {rid for held in ours.values() for _, rid in held})
    found: dict[str, list[Link]] = {}
    for key, held in ours.items():
        over = {}
        for (of, rid), link in held.items():
            for _ in became:  # at most that many, one after the other
                rid = became.get((of, rid), rid)
            if rid:
                over[of, rid] = Link(link.kind, link.key, rid)
        for p in wanted[key]:
            for place in p.places or ():
                over.pop((p.word, place), None)
        if over:
            found[key] = [over[k] for k in sorted(over)]
    parted = _parted(c, connection_id, found)
    return {key: kept for key, links in found.items() if (kept := tuple(x for x in links if (key, x) in parted))}


def _parted(c: Connection, connection_id: int, over: Mapping[str, list[Link]]) -> set[tuple[str, Link]]:
    """Of these all to people; those to companies where a person goes too, or the object stands for another company now."""
    people = {key for key, links in over.items() if any(x.kind == "person" for x in links)}
    asked = {x.key for key, links in over.items() if key not in people for x in links}
    companies = by_key(c, asked) if asked else []
    load(c, connection_id, companies)
    stands = {(p.key, place) for p in companies for place in p.places or ()}
    return {
        (key, x) for key, links in over.items() for x in links if key in people or (x.key, x.remote_id) not in stands
    }


def _became(c: Connection, connection_id: int, ids: set[str]) -> dict[tuple[str, str], str]:
    """(kind, id) of what is gone there -> the id it was merged into, "" if it was deleted."""
    found: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    while ids := ids - seen:
        seen |= ids
        rows = fetch(c, _STANDS_FOR, connection_id=connection_id, values=sorted(ids))
        ids = set()
        for rid, gone_at, redirect_to, _, kind in rows:
            if gone_at is not None:
                found["organization" if kind == "organization" else "person", rid] = redirect_to or ""
                ids.add(redirect_to or "")
    return found


_RECEIPTS = (
    sa.select(t.change.c.key, t.change.c.receipt)
    .join(t.plan, t.plan.c.id == t.change.c.plan_id)
    .where(
        t.plan.c.connection_id == sa.bindparam("connection_id"), t.change.c.kind == sa.bindparam("kind"),
        among(t.change.c.key), t.change.c.state == "done", t.change.c.receipt.is_not(None),
    )
    .order_by(t.change.c.id)
)  # fmt: skip


def _associated(
    c: Connection, connection_id: int, kind: str, keys: list[str]
) -> dict[str, dict[tuple[str, str], Link]]:
    """Key -> (kind, id there) of the associations that our receipts say we made and did not take away since."""
    found: dict[str, dict[tuple[str, str], Link]] = {}
    for part in chunks(keys):
        for key, data in fetch(c, _RECEIPTS, connection_id=connection_id, kind=kind, values=part):
            receipt = msgspec.msgpack.decode(data, type=Receipt)
            held = found.setdefault(key, {})
            if receipt.outcome in {"created", "deleted"}:
                held.clear()
            held.update({(link.kind, link.remote_id): link for link in receipt.links if link.remote_id})
            for link in receipt.unlinked:
                held.pop((link.kind, link.remote_id), None)
    return found
