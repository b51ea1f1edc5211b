"""The model in the sync path: what is new or changed is weighed against the entities that share a key with it.

In the page's own transaction: what is sure is joined, what is likely is asked, and either is written down with its
waterfall. A page asks the database a fixed number of times, however many records it brings.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.crowds import restated
from hub.identity.decisions import note
from hub.identity.derive import Derived, derive, join_whole
from hub.identity.graph import COMPANY, MODEL, OTHER_NAMES, most_conflict
from hub.identity.index import Rules
from hub.identity.match import keys
from hub.identity.match.online import LINK, NEW, REVIEW, Decision, decide
from hub.identity.match.profile import Profile
from hub.identity.match.record import Record
from hub.identity.weights import SETTINGS, UNIQUE, Weights, count, weights
from hub.store import add, among, fetch, put, tell
from hub.store import tables as t

MAILBOXES = "mailboxes"  # beside the fields in `node.fields`
WEIGHED = "weighed"  # the rule of what the model decides

i, n = t.identifier.c, t.node.c
_STORED = sa.select(n.identifier_id, n.kind, n.fields, n.is_own, n.owner_identifier_id, n.said_at).where(
    among(n.identifier_id)
)
_SHARING = (
    sa.select(t.match_key.c.key, t.match_key.c.identifier_id, i.party_id, t.party.c.kind)
    .join(t.identifier, i.id == t.match_key.c.identifier_id)
    .join(t.party, t.party.c.id == i.party_id)
    .where(among(t.match_key.c.key))
)
_HUBS = sa.select(t.hub_key.c.key).where(among(t.hub_key.c.key))
_OF_PARTIES = (
    sa.select(i.party_id, i.id, i.scheme, i.sharing, n.kind, n.fields)
    .join(t.node, n.identifier_id == i.id)
    .where(among(i.party_id))
    .order_by(i.id)
)
_WHERE = sa.select(i.id, i.party_id, t.party.c.kind).join(t.party, t.party.c.id == i.party_id).where(among(i.id))
_d = t.decision.c
_APART = sa.select(_d.left_identifier_id, _d.right_identifier_id, _d.verdict).where(
    sa.or_(among(_d.left_identifier_id), among(_d.right_identifier_id)), _d.revoked_at.is_(None),
    _d.verdict.in_(("different", "unsure")),
)  # fmt: skip


_FORGET = sa.delete(t.node).where(among(n.identifier_id))
_UNKEY = sa.delete(t.match_key).where(
    t.match_key.c.key == sa.bindparam("k"), t.match_key.c.identifier_id == sa.bindparam("i")
)
_SKIPPED = (
    sa.update(t.hub_key)
    .where(t.hub_key.c.key == sa.bindparam("k"))
    .values(skipped=t.hub_key.c.skipped + sa.bindparam("n"))
)


class Stored(NamedTuple):
    """A row of `node`."""

    identifier_id: int
    kind: str
    fields: str
    is_own: bool
    owner_identifier_id: int | None
    said_at: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a page says of one identifier that may join others. fields: `hub.identity.match.record` gives them."""

    identifier_id: int
    kind: str
    fields: dict[str, tuple[str, ...]]
    mailboxes: tuple[str, ...] = ()
    is_own: bool = False
    owner_identifier_id: int | None = None
    said_at: int = 0

    @property
    def text(self) -> str:
        told = {**self.fields, MAILBOXES: self.mailboxes} if self.mailboxes else self.fields
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


_FIELDS = msgspec.json.Decoder(dict[str, tuple[str, ...]])


def record_of(identifier_id: int, kind: str, holder: str, fields: str) -> Record:
    """A stored node as it is compared."""
    told = _FIELDS.decode(fields)
    mailboxes = told.pop(MAILBOXES, ())
    return Record(str(identifier_id), kind, holder, told, mailboxes)


def hashed(key: str) -> int:
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True)
class News:
    """What a page says that was not said before, and the rows of `node` as they were."""

    fresh: list[Said]
    stored: dict[int, Stored]

    @property
    def names(self) -> set[int]:
        return {s.identifier_id for s in self.fresh}

    @property
    def renamed(self) -> set[int]:
        """Those that were called something else before."""
        was = {ident: set(names_in(r.fields)) for ident, r in self.stored.items()}
        told = {s.identifier_id: set(names_in(s.text)) for s in self.fresh}
        return {ident for ident, names in told.items() if ident in was and was[ident] != names}


def _stored(c: Connection, identifier_ids: Iterable[int]) -> list[Stored]:
    wanted = sorted(identifier_ids)
    return [Stored(*row) for row in fetch(c, _STORED, values=wanted)] if wanted else []


NOTHING = News([], {})


def remember(c: Connection, page: Iterable[Said]) -> News:
    """Keep what the page says of each identifier."""
    said = {s.identifier_id: s for s in page}
    stored = {r.identifier_id: r for r in _stored(c, said)}
    put(c, t.node, [
        {
            "identifier_id": s.identifier_id, "kind": s.kind, "fields": s.text, "is_own": s.is_own,
            "owner_identifier_id": s.owner_identifier_id, "said_at": s.said_at,
        }
        for s in said.values()
        if _differs(s, stored.get(s.identifier_id))
    ])  # fmt: skip
    return News([s for s in said.values() if _is_news(s, stored.get(s.identifier_id))], stored)


def weigh(c: Connection, news: News, rules: Rules, now: datetime) -> Derived:
    """Join what is surely the same as somebody known, ask what is likely; returns the parties that changed."""
    return _Page(c, news.fresh, news.stored, rules, now).run() if news.fresh else Derived()


def forget(c: Connection, identifier_ids: Iterable[int]) -> None:
    """These are compared no more."""
    rows = _stored(c, identifier_ids)
    gone = [record_of(r.identifier_id, r.kind, "", r.fields) for r in rows]
    _unkey(c, [(hashed(k), int(r.id)) for r in gone for k in keys.of(r)])
    tell(c, _FORGET, [{"values": [r.identifier_id for r in rows]}])
    count(c, [], gone)


def relist(c: Connection, identifier_ids: Iterable[int]) -> None:
    """Find and count these again after `forget` and `remember`, without weighing them."""
    rows = _stored(c, identifier_ids)
    records = [record_of(r.identifier_id, r.kind, "", r.fields) for r in rows]
    add(c, t.match_key, [{"key": hashed(k), "identifier_id": int(r.id)} for r in records for k in keys.of(r)])
    count(c, records)


def restate(c: Connection, turned: Mapping[int, tuple[Collection[str], Collection[str]]]) -> None:
    """Compare these without the first addresses, which are many people's now, and with the second, which no longer are."""
    rows = _stored(c, turned)
    forget(c, [r.identifier_id for r in rows])
    again = []
    for r in rows:
        was = record_of(r.identifier_id, r.kind, "", r.fields)
        fields, mailboxes = restated(was.fields, was.mailboxes, *turned[r.identifier_id])
        again.append({**r._asdict(), "fields": Said(r.identifier_id, r.kind, fields, mailboxes).text})
    put(c, t.node, again)
    relist(c, [r.identifier_id for r in rows])


def _unkey(c: Connection, pairs: Iterable[tuple[int, int]]) -> None:
    tell(c, _UNKEY, [{"k": key, "i": ident} for key, ident in pairs])


def names_in(fields: str | None) -> tuple[str, ...]:
    """What a record is called, as compared; of a row of `node`."""
    told = json.loads(fields) if fields else {}
    return (*told.get("name", ()), *(COMPANY + x for x in told.get("company", ())))


def _differs(s: Said, was: Stored | None) -> bool:
    return was is None or (s.kind, s.text, s.is_own, s.owner_identifier_id, s.said_at) != was[1:]


def _is_news(s: Said, was: Stored | None) -> bool:
    return was is None or was.fields != s.text


class _Page:
    """Candidates for all records of a page, read at once; what the page itself adds is seen by what comes later in it."""

    def __init__(
        self, c: Connection, fresh: list[Said], stored: dict[int, Stored], rules: Rules, now: datetime
    ) -> None:
        self.c, self.rules, self.now = c, rules, now
        self.notes: list[dict[str, Any]] = []
        self.fresh = sorted(fresh, key=lambda s: s.identifier_id)
        where = fetch(c, _WHERE, values=[s.identifier_id for s in self.fresh])
        self.party_of: dict[int, int] = {ident: party_id for ident, party_id, _ in where}
        self.records = {s.identifier_id: self._record(s) for s in self.fresh}
        gone = [record_of(r.identifier_id, r.kind, "", r.fields) for k, r in stored.items() if k in self.records]
        self.keys = {ident: {hashed(k): k for k in keys.of(r)} for ident, r in self.records.items()}
        self.weights: Weights = weights(c)
        self.entity_of_key: dict[int, set[int]] = {}
        self.nodes_of_key: dict[int, set[int]] = {}
        self.nodes: dict[int, dict[int, Record]] = {}
        self.of_tools: set[int] = set()
        self.whole: dict[int, Profile] = {}
        self.hubs: dict[int, str] = {}
        self.skipped: dict[int, int] = {}
        self._read(set(self.party_of.values()))
        self.may_join = {ident for ident, _, kind in where if kind in {"person", "organization"}}
        self.words = self._words([ident for party_id in self.party_of.values() for ident in self.nodes[party_id]])
        self._write(gone)

    def _record(self, s: Said) -> Record:
        return Record(str(s.identifier_id), s.kind, "", s.fields, s.mailboxes)

    # --- what is known ----------------------------------------------------------------------------------------------

    def _read(self, mine: set[int]) -> None:
        names = {h: k for of in self.keys.values() for h, k in of.items()}
        wanted = sorted(names)
        self.hubs = {h: names[h] for (h,) in fetch(self.c, _HUBS, values=wanted)}
        near = set(mine)
        for key, ident, party_id, kind in fetch(self.c, _SHARING, values=wanted):
            self.nodes_of_key.setdefault(key, set()).add(ident)
            if kind in {"person", "organization"}:
                self.entity_of_key.setdefault(key, set()).add(party_id)
                near.add(party_id)
        for party_id, ident, scheme, sharing, kind, fields in fetch(self.c, _OF_PARTIES, values=sorted(near)):
            holder = scheme if sharing == "id" and self.rules.names_one(scheme) else ""
            record = record_of(ident, kind, holder, fields)
            if sharing == "id":
                self.of_tools.add(ident)
            self.nodes.setdefault(party_id, {})[ident] = record
            if ident in self.records:
                self.records[ident] = record
        for record in self.records.values():
            for part, value, key in keys.alone(record):
                if part in UNIQUE:
                    self.weights.shared(part, value, len(self.nodes_of_key.get(hashed(key), ())))
        self.weights.prefetch(self.c, (r for of in self.nodes.values() for r in of.values()))

    def _words(self, mine: list[int]) -> dict[int, list[tuple[int, str]]]:
        """What was said or asked of these: identifier -> (another one, verdict)."""
        found: dict[int, list[tuple[int, str]]] = {}
        for a, b, verdict in fetch(self.c, _APART, values=sorted(mine)):
            found.setdefault(a, []).append((b, verdict))
            found.setdefault(b, []).append((a, verdict))
        ends = sorted(found.keys() - self.party_of.keys())
        self.elsewhere = {ident: party_id for ident, party_id, _ in fetch(self.c, _WHERE, values=ends)} if ends else {}
        return found

    def _write(self, gone: list[Record]) -> None:
        """Keys and counters of what is new. A key that too many share stops growing: from then on it says nothing."""
        before = {int(r.id): {hashed(k) for k in keys.of(r)} for r in gone}
        rows = []
        for ident, of in self.keys.items():
            for key in of.keys() - before.get(ident, set()):
                if key in self.hubs:
                    self.skipped[key] = self.skipped.get(key, 0) + 1
                    continue
                held = self.nodes_of_key.setdefault(key, set())
                held.add(ident)
                rows.append({"key": key, "identifier_id": ident})
                if len(self.entity_of_key.get(key, ())) > SETTINGS.fan_out:
                    self.hubs[key] = of[key]
                    self.skipped[key] = 0
        add(self.c, t.match_key, rows)
        _unkey(self.c, [(key, ident) for ident, was in before.items() for key in was - self.keys[ident].keys()])
        add(self.c, t.hub_key, [{"key": k, "name": self.hubs[k][:256], "skipped": 0} for k in self.skipped])
        tell(self.c, _SKIPPED, [{"k": k, "n": n} for k, n in self.skipped.items()])
        count(self.c, self.records.values(), gone)

    # --- what `decide` asks -----------------------------------------------------------------------------------------

    def entities(self, key: str, most: int) -> list[str]:
        h = hashed(key)
        if h in self.hubs:
            return [""] * (most + 1)
        return [str(p) for p in sorted(self.entity_of_key.get(h, ()))[: most + 1]]

    def profile(self, entity: str) -> Profile:
        party_id = int(entity)
        found = self.whole.get(party_id)
        if found is None:
            found = self.whole[party_id] = Profile.whole(self.nodes[party_id].values())
        return found

    # --- deciding ---------------------------------------------------------------------------------------------------

    def run(self) -> Derived:
        out, whole = Derived(), dict[int, int]()
        for ident in sorted(self.may_join):
            party_id = self.party_of[ident]
            apart, asked = self._apart(party_id)
            record, model = self.records[ident], self.weights.model
            mine, own = self.profile(str(party_id)), str(party_id)
            found = decide(record, model, self, apart, mine=mine, own=own, thorough=False)
            for key in self.keys[ident]:
                self.entity_of_key.setdefault(key, set()).add(party_id)
            if found.verdict == NEW:
                continue
            other = int(found.entity)
            if found.verdict == LINK and most_conflict(self._called(party_id), self._called(other)):
                found = replace(found, verdict=REVIEW, why=OTHER_NAMES, also=())
            if found.verdict == REVIEW and other in asked:
                continue  # what is sure by now was asked when less was known: it is joined
            self._note(ident, other, found)
            if found.verdict != LINK:
                continue
            if 1 in (len(self.nodes[party_id]), len(self.nodes[other])) and not found.also:
                winner, loser = sorted((party_id, other))
                whole[loser] = winner
                self._joined(loser, winner)
                continue
            for more in found.also:
                self._note(ident, int(more), found)
            self._write_notes()
            join_whole(self.c, whole, out, self.rules, self.now)
            whole = {}
            self._take(derive(self.c, [ident], self.rules, self.now), out)
        self._write_notes()
        join_whole(self.c, whole, out, self.rules, self.now)
        return out

    def _write_notes(self) -> None:
        note(self.c, self.notes, self.now, is_one_act=False)
        self.notes = []

    def _called(self, party_id: int) -> set[str]:
        """What the tools' records of a party are called."""
        mine = (r.fields for ident, r in self.nodes[party_id].items() if ident in self.of_tools)
        return {
            name for told in mine for name in (*told.get("name", ()), *(COMPANY + x for x in told.get("company", ())))
        }

    def _apart(self, party_id: int) -> tuple[set[frozenset[str]], set[int]]:
        """(pairs that a person called different, parties that somebody is asked about already)."""
        apart, asked = set(), set()
        for ident in self.nodes[party_id]:
            for other, verdict in self.words.get(ident, ()):
                if verdict == "different":
                    apart.add(frozenset((str(ident), str(other))))
                else:
                    asked.add(self.party_of.get(other, 0) or self.elsewhere[other])
        return apart, asked

    def _joined(self, loser: int, winner: int) -> None:
        for ident, record in self.nodes.pop(loser).items():
            self.nodes[winner][ident] = record
            self.party_of[ident] = winner
            for key in self.keys.get(ident) or map(hashed, keys.of(record)):
                held = self.entity_of_key.setdefault(key, set())
                held.discard(loser)
                held.add(winner)
        self.whole.pop(winner, None)
        self.whole.pop(loser, None)

    def _take(self, derived: Derived, out: Derived) -> None:
        out.parties |= derived.parties
        out.merged |= derived.merged
        out.refused += derived.refused
        for loser, winner in derived.merged.items():
            if loser in self.nodes and winner in self.nodes:
                self._joined(loser, winner)

    def _note(self, ident: int, other: int, found: Decision) -> None:
        """The decision with its waterfall, between the record and that of the entity's that agrees best with it."""
        lines = [
            {"field": x.field, "left": x.left, "right": x.right, "level": x.level, "weight": round(x.weight, 2)}
            for x in found.lines
        ]
        reasons: list[dict[str, Any]] = [*lines]
        if found.why:
            reasons.append({"field": "why", "level": found.why})
        reasons += [{"field": "without", "value": name, "level": verdict} for name, verdict in found.without.items()]
        sides = len(self.nodes[self.party_of[ident]]) + len(self.nodes[other])
        self.notes.append({
            "left_identifier_id": ident, "right_identifier_id": self._closest(other, found), "kind": MODEL,
            "verdict": "same" if found.verdict == LINK else "unsure", "rule": WEIGHED, "weight": round(found.weight, 2),
            "records": sides, "version": self.weights.version, "reasons": reasons, "actor": "hub",
        })  # fmt: skip

    def _closest(self, party_id: int, found: Decision) -> int:
        def agreement(ident: int) -> float:
            fields = self.nodes[party_id][ident].fields
            return sum(x.weight for x in found.lines if x.right in fields.get(x.field, ()))

        return max(self.nodes[party_id], key=lambda ident: (agreement(ident), -ident))
