"""Party records of the tools: whose each is, by its ids, the addresses it lists and our own key on it.

What is clear is attached at once. Where a record ties two known parties, or speaks against what is known, all evidence
around it decides (`derive`).
"""

from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Identifier, Organization, Person
from hub.identity import linker, phones
from hub.identity.decisions import note
from hub.identity.derive import Derived, derive
from hub.identity.evidence import JOINING, ONE_RECORD
from hub.identity.graph import conflict
from hub.identity.index import NAME_FROM_RECORD, IdentifierRow, Index, Key, PartyRow, Rules
from hub.identity.normal import registrable_domain
from hub.identity.questions import ask
from hub.identity.refresh import refresh
from hub.identity.resolve import Moved, known, org_id, tool_says, unsettled
from hub.identity.said import name_keys, of_record
from hub.identity.told import HUB_KEY, bring_home, keep
from hub.store import among, fetch, micros, tell
from hub.store import tables as t

OUR_KEY = "our-key"  # the rule of what our own key on a record says


def observe(
    c: Connection,
    records: Iterable[tuple[int, Person | Organization]],
    rules: Rules,
    now: datetime,
    returned: Collection[int] = (),
) -> tuple[dict[int, int], list[Moved], set[int]]:
    """Take party records of the tools in: (record id, entity) pairs.

    returned: records that were gone and are there again: their number may have been given to somebody else.
    Returns record id -> party id, the merges this caused, and the records that are echoes of our own writes.
    """
    work = _Records(c, list(records), rules, now)
    work.left = _let_go(c, work, returned)
    work.unsettled += [work.keys[rid] for rid in returned if rid in work.keys]
    return work.run()


class _Records:
    """One page of party records."""

    def __init__(
        self, c: Connection, records: list[tuple[int, Person | Organization]], rules: Rules, now: datetime
    ) -> None:
        self.c, self.records, self.rules, self.now = c, records, rules, now
        self.index = index = Index(c, rules, frozenset(), now)
        self.keys = {rid: _keys(index, entity) for rid, entity in records}
        told = {k for ks in self.keys.values() for k in ks}
        index.load({*told, *index.domains_of(told), *(index.key(i) for _, e in records for i in _references(e))})
        index.judge(told)
        self.ours = self._by_public_id([v for ks in self.keys.values() for s, v in ks if s == HUB_KEY])
        self.newly = {
            k for rid, e in records if isinstance(e, Organization) for k in self.keys[rid] if index.find(k) is None
        }
        there = [row.party for row in map(index.find, {k for ks in self.keys.values() for k in ks}) if row]
        self.ids = self._ids_of(there)
        held = sorted({p.id for p in there if p.id is not None})
        self.addresses: dict[int, int] = dict(fetch(c, _HELD, values=held)) if held else {}
        self.unsettled: list[list[Key]] = []
        self.listed: list[tuple[str, list[IdentifierRow]]] = []  # (record, what it ties together)
        self.left: set[int] = set()
        self.our_words: list[tuple[Key, IdentifierRow]] = []
        self.moved: list[Moved] = []

    def run(self) -> tuple[dict[int, int], list[Moved], set[int]]:
        now = micros(self.now)
        party_of = {rid: self._take(rid, entity) for rid, entity in self.records}
        echoes = {rid for rid, _ in self.records if any(s == HUB_KEY for s, _ in self.keys[rid])}
        self.index.flush()
        self.moved += [Moved(p.id, p.id) for p in self.index.split if p.id]
        numbers, left, dropped = keep(self.c, self.index, self.records, self.keys, party_of, now)
        self.left |= dropped | unsettled(self.c, self.index, self.rules, self.now)
        if left:
            self.moved += [Moved(p, p) for p in sorted(left | refresh(self.c, left, self.rules, self.now))]
        settled = phones.settle(self.c, numbers, now) if numbers else set()
        self.moved += [Moved(pid, pid) for pid in sorted(settled)]
        self.moved += bring_home(self.c, {k: self.index.find(k) for k in self.newly}, now)
        self._part_hosts()
        derived = self._derive()
        found = {rid: known(p.id) for rid, p in party_of.items()}
        if derived.parties:
            self.moved += [Moved(loser, winner) for loser, winner in sorted(derived.merged.items())]
            still = derived.parties - {p for m in self.moved for p in (m.loser, m.winner)}
            self.moved += [Moved(pid, pid) for pid in sorted(still)]
            found |= dict(fetch(self.c, _OF_RECORDS, values=sorted(found)))
        return found, self.moved, echoes

    def _part_hosts(self) -> None:
        """People of a host that a company names as its own, below another company's domain, are that company's."""
        hosts = [v for s, v in self.newly if s == "domain" and registrable_domain(v) != v]
        if not hosts:
            return
        i = t.identifier.c
        there = sa.or_(*(i.value.endswith("@" + host, autoescape=True) for host in sorted(hosts)))
        people = set(self.c.execute(sa.select(i.party_id).where(i.scheme == "email", there)).scalars())
        refresh(self.c, people, self.rules, self.now)
        self.moved += [Moved(p, p) for p in sorted(people)]

    def _derive(self) -> Derived:
        """Settle what rules left open, weigh what is new, and ask what neither could decide."""
        self._say_ours()
        said = of_record(self.index, self.records, self.keys, self.rules, micros(self.now))
        news = linker.remember(self.c, said)
        self.left |= news.renamed
        out = Derived()
        if self.unsettled or self.left:
            rows = (self.index.find(k) for keys in self.unsettled for k in keys if k[0] != HUB_KEY)
            ends = {known(r.id) for r in rows if r is not None} | self.left
            out = derive(self.c, ends, self.rules, self.now)
            self._log(out)
            ask(self.c, out.refused, self.now)
        weighed = linker.weigh(self.c, news, self.rules, self.now)
        out.parties |= weighed.parties
        out.merged |= weighed.merged
        return out

    def _log(self, derived: Derived) -> None:
        """The record that made one party of two is written down as the reason."""
        for external_id, rows in self.listed:
            first, *others = rows
            home = derived.party_of.get(known(first.id))
            for r in others:
                if r.party is not first.party and home is not None and derived.party_of.get(known(r.id)) == home:
                    reasons = [{"field": "record", "level": "one record lists both", "value": external_id}]
                    note(self.c, [{
                        "left_identifier_id": first.id, "right_identifier_id": r.id, "verdict": "same", "kind": "rule",
                        "rule": ONE_RECORD, "reasons": reasons, "actor": "hub",
                    }], self.now)  # fmt: skip
                    first.party = r.party  # said once

    def _take(self, rid: int, entity: Person | Organization) -> PartyRow:
        keys, index = self.keys[rid], self.index
        who = self._party(entity, keys)
        before = (who.kind, org_id(who), who.organization)
        for key in keys:
            if key[0] in {"email", "domain"} and (
                (key[0] == "email" and who.kind == "organization") or self._sharing(key) not in JOINING
            ):
                index.ensure(key)  # shared by several people: a mailbox of its own, whoever lists it
            elif key[0] == "phone" and index.find(key) is not None:
                index.ensure(key)  # whose it is now is settled when all records are in
            elif key[0] != HUB_KEY:
                self._attach(key, who, name_keys(entity, self.rules.normalisers))
        who.rename(entity.name, NAME_FROM_RECORD)
        self._relations(entity, who)
        if who.id is not None and before != (who.kind, org_id(who), who.organization):
            self.moved.append(Moved(who.id, who.id))
        return who

    def _sharing(self, key: Key) -> str:
        """As it turned out to be, else as it looks."""
        row = self.index.find(key)
        return row.sharing if row is not None else self.index.sharing(*key)

    def _attach(self, key: Key, who: PartyRow, names: tuple[str, ...]) -> None:
        row = self.index.attach(key, who)
        if row.sharing == "id" and row.party is who:
            self.ids.setdefault(id(who), {})[key] = names

    def _party(self, entity: Person | Organization, keys: list[Key]) -> PartyRow:
        """The one party a record stands for; where there are several known ones, or doubts, the oldest for now."""
        is_org = isinstance(entity, Organization)
        rows: list[IdentifierRow] = []
        for key in keys:
            if key[0] == HUB_KEY:
                if key[1] in self.ours:
                    rows.append(self.ours[key[1]])
            elif key[0] != "phone" and not (is_org and key[0] == "email"):
                row = self.index.find(key)
                if row is not None and row.sharing in JOINING:
                    rows.append(row)
        rows = [r for r in rows if (r.party.kind == "organization") is is_org]
        found = list({id(r.party): r.party for r in rows}.values())
        who = min(found, key=lambda p: p.id or 1 << 62) if found else self._new(entity, keys)
        if len(found) > 1 or self._is_doubtful(entity, keys, who, rows):
            self.unsettled.append(keys)
            if rows:
                self.listed.append((entity.external_id, rows))
        self._ours(keys, who)
        if isinstance(entity, Person) and entity.is_own and who.kind == "person":
            who.kind, who.is_changed = "own", who.id is not None
            if who.id is not None:
                self.moved.append(Moved(who.id, who.id))
        return who

    def _is_doubtful(
        self, entity: Person | Organization, keys: list[Key], who: PartyRow, rows: list[IdentifierRow]
    ) -> bool:
        """Whether the party has another id of this record's tool, or records of other names, beside an address."""
        addresses = {k for k in keys if k[0] == "email"}
        if len(addresses) > 1 and len(addresses) + self.addresses.get(who.id or 0, 0) > self.rules.most_addresses:
            return True
        others = {k: names for k, names in self.ids.get(id(who), {}).items() if k not in keys}
        if not others or not rows:
            return False
        tools = {s for s, _ in keys if self.rules.names_one(s)}
        mine = name_keys(entity, self.rules.normalisers)
        names = {n for found in others.values() for n in found}
        return any(s in tools for s, _ in others) or bool(mine and names and conflict(set(mine), names))

    def _ours(self, keys: list[Key], who: PartyRow) -> None:
        """Our own key on a tool's record: the tool says whose it is."""
        own = next((k for k in keys if k[0] != HUB_KEY and self.index.sharing(*k) == "id"), None)
        for key in keys:
            if key[0] == HUB_KEY and key[1] in self.ours and own is not None:
                row = self.index.find(own)
                if row is None or row.party is not self.ours[key[1]].party or row.party is not who:
                    self.our_words.append((own, self.ours[key[1]]))

    def _say_ours(self) -> None:
        pairs = {(known(row.id), known(to.id)) for own, to in self.our_words if (row := self.index.find(own))}
        if not pairs:
            return
        d = t.decision.c
        said = sa.select(d.left_identifier_id, d.right_identifier_id).where(
            d.left_identifier_id.in_([a for a, _ in pairs]), d.rule == OUR_KEY, d.revoked_at.is_(None)
        )
        pairs -= {(a, b) for a, b in self.c.execute(said)}
        for a, b in sorted(pairs):
            note(self.c, [tool_says(a, b, OUR_KEY, "the record carries the key that the hub gave it")], self.now)

    def _new(self, entity: Person | Organization, keys: list[Key]) -> PartyRow:
        """A party for somebody unknown, named after the first identifier that is his own."""
        index, is_org = self.index, isinstance(entity, Organization)
        own = [k for k in keys if k[0] not in {"phone", HUB_KEY} and self._sharing(k) in JOINING]
        if is_org:
            own = [k for k in own if k[0] != "email"]
        seed = next((k for k in own if k[0] in {"email", "domain"}), own[0] if own else None)
        if seed is not None and seed[0] == "email":
            return index.ensure(seed).party
        kind = "organization" if is_org else "own" if isinstance(entity, Person) and entity.is_own else "person"
        told = next((k for k in keys if k[0] == HUB_KEY), None)
        return index.new_party(kind, seed or told or ("record", entity.external_id, *map(":".join, keys)))

    def _relations(self, entity: Person | Organization, who: PartyRow) -> None:
        index = self.index
        if isinstance(entity, Person):
            for given in entity.organizations:
                row = index.find(index.key(given))
                if row and row.party.kind == "organization":
                    if row.party is not who.organization and (
                        row.party.id is None or row.party.id != who.organization_id
                    ):
                        who.organization, who.is_changed = row.party, who.id is not None
                    break
        if entity.owner:
            owner = index.ensure(index.key(entity.owner))
            if owner.id is None:
                index.flush()
            if owner.id != who.owner_identifier_id:
                who.owner_identifier_id, who.is_changed = owner.id, who.id is not None

    def _by_public_id(self, public_ids: list[str]) -> dict[str, IdentifierRow]:
        """Our keys -> the identifier their party was made for, whoever has it today."""
        keys: dict[str, Key] = {}
        for public_id, scheme, value in fetch(self.c, _KEYS, values=sorted(set(public_ids))) if public_ids else ():
            keys.setdefault(public_id, (scheme, value))
        self.index.load(keys.values())
        return {public_id: row for public_id, key in keys.items() if (row := self.index.find(key))}

    def _ids_of(self, parties: Iterable[PartyRow]) -> dict[int, dict[Key, tuple[str, ...]]]:
        """Party -> the ids of tools it has, each with what its record is called."""
        rows = {p.id: p for p in parties if p.id is not None}
        found: dict[int, dict[Key, tuple[str, ...]]] = {}
        for party_id, scheme, value, fields in fetch(self.c, _IDS, values=sorted(rows)) if rows else ():
            found.setdefault(id(rows[party_id]), {})[scheme, value] = linker.names_in(fields)
        return found


_LISTED = sa.select(t.observation.c.record_id, t.observation.c.identifier_id).where(among(t.observation.c.record_id))


def _let_go(c: Connection, work: _Records, returned: Collection[int]) -> set[int]:
    """What these records listed before they were gone, and list no more, they never listed; returns those identifiers."""
    left = set()
    for rid, ident in fetch(c, _LISTED, values=sorted(returned)) if returned else ():
        rows = {row.id for k in work.keys.get(rid, ()) if (row := work.index.find(k)) is not None}
        if ident not in rows:
            tell(c, phones.UNLIST, [{"record": rid, "identifier": ident}])
            left.add(ident)
    return left


i, p = t.identifier.c, t.party.c
_KEYS = (
    sa.select(p.public_id, i.scheme, i.value)
    .join(t.identifier, sa.or_(i.home_id == p.id, i.party_id == p.id))
    .where(among(p.public_id))
    .order_by(p.id, sa.func.coalesce(i.home_id != p.id, sa.true()), i.id)
)
_HELD = (
    sa.select(t.identifier.c.party_id, sa.func.count())
    .where(among(t.identifier.c.party_id), t.identifier.c.scheme.concat("") == "email")  # by the party
    .group_by(t.identifier.c.party_id)
)
_IDS = (
    sa.select(t.identifier.c.party_id, t.identifier.c.scheme, t.identifier.c.value, t.node.c.fields)
    .outerjoin(t.node, t.node.c.identifier_id == t.identifier.c.id)
    .where(among(t.identifier.c.party_id), t.identifier.c.sharing == "id")
)
_OF_RECORDS = (
    sa.select(t.observation.c.record_id, t.observation.c.party_id).where(among(t.observation.c.record_id)).distinct()
)


def _keys(index: Index, entity: Person | Organization) -> list[Key]:
    return list(dict.fromkeys(index.key(i) for i in entity.identifiers if i.value.strip()))


def _references(entity: Person | Organization) -> list[Identifier]:
    found = list(entity.organizations) if isinstance(entity, Person) else []
    return [*found, entity.owner] if entity.owner else found
