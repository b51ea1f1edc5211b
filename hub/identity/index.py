"""The working set of one page: identifiers and parties loaded in bulk, changed in memory, written in bulk."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Identifier
from hub.identity import normal, phones
from hub.identity.normalisers import Normalisers, installed
from hub.own import Own, is_list
from hub.store import add_ids, among, change, fetch, micros, pairs_among, short_id
from hub.store.tables import identifier, observation, party

PERSONAL = "personal"
MATCHED = frozenset({PERSONAL, "id", "domain", *phones.CLASSES})  # found by their match keys, not only as written
NAME_FROM_MAIL, NAME_FROM_RECORD = 1, 3
# Where anybody has a page: what is named as a company's web site says nothing about whose it is.
PAGE_HOSTS = frozenset({
    "facebook.com", "instagram.com", "linkedin.com", "linktr.ee", "twitter.com", "x.com", "youtube.com", "tiktok.com",
    "pinterest.com", "goo.gl", "bit.ly",
})  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The deterministic rules' settings: who we are, and which words and domains are nobody's own."""

    own: Own = field(default_factory=Own)
    free_domains: frozenset[str] = field(default_factory=normal.free_domains)
    role_localparts: frozenset[str] = field(default_factory=normal.role_localparts)
    strip_plus: bool = True
    plus_counts_at: frozenset[str] = frozenset()  # domains where ana+news@ is another mailbox than ana@ all the same
    gmail_dots: bool = True
    default_region: str = ""  # of telephone numbers that do not say their country: two letters, "" for none
    address_ids: frozenset[str] = frozenset()  # schemes of tools' ids of which one entity may have several
    most_addresses: int = 10  # of one party; what evidence would add above is asked
    most_records: int = 100
    registry: Normalisers | None = None  # None: that of all installed packages

    @cached_property
    def normalisers(self) -> Normalisers:
        """What everything is compared by, under these settings."""
        return _configured(
            self.registry or installed(), self.strip_plus, self.gmail_dots, self.plus_counts_at, self.role_localparts,
            self.free_domains,
        )  # fmt: skip

    def match(self, scheme: str, value: str) -> str:
        """What an identifier is found by, and is one with; what no normaliser makes anything of is found as written."""
        if scheme == "email":
            return self.normalisers(scheme, value).value or value
        if scheme == "phone":
            return self.normalisers(scheme, value, self.default_region).value or phones.match(value)[0][:512]
        return value

    def names_one(self, scheme: str) -> bool:
        """Whether two ids of this scheme are two entities, unless their tool or a person says otherwise."""
        return ":" in scheme and scheme not in self.address_ids


@lru_cache(maxsize=8)
def _configured(by: Normalisers, *settings: Any) -> Normalisers:
    """One for all pages, with what it remembers."""
    return by.configured(*settings)


@dataclass(slots=True, eq=False)
class PartyRow:
    id: int | None
    public_id: str
    kind: str
    name: str = ""
    name_rank: int = 0
    organization: "PartyRow | None" = None
    organization_id: int | None = None
    owner_identifier_id: int | None = None
    is_changed: bool = False
    is_homeless: bool = False  # new, and nothing was made its home yet

    def rename(self, name: str, rank: int) -> None:
        """Take the better name: the higher rank, then the fuller one, then the alphabet (never the arrival order)."""
        name = " ".join(name.split())[:512]
        if not name or "@" in name:
            return
        mine = (self.name_rank, " " in self.name, len(self.name) if self.name_rank < 2 else 0, self.name)
        if (rank, " " in name, len(name) if rank < 2 else 0, name) > mine:
            self.name, self.name_rank, self.is_changed = name, rank, True


@dataclass(slots=True, eq=False)
class IdentifierRow:
    id: int | None
    scheme: str
    value: str
    match: str
    sharing: str
    party: PartyRow
    is_changed: bool = False
    home_id: int | None = None
    is_home: bool = False  # its party was made for it
    is_contested: bool = False  # a domain that records of several organizations name


Key = tuple[str, str]


_ROWS = (
    sa.select(
        identifier.c.id, identifier.c.scheme, identifier.c.value, identifier.c.match_value, identifier.c.sharing,
        identifier.c.home_id, party.c.id, party.c.public_id, party.c.kind, party.c.name, party.c.name_rank, party.c.organization_id,
        party.c.owner_identifier_id,
    )
    .join(party, party.c.id == identifier.c.party_id)
    .order_by(identifier.c.id)
)  # fmt: skip
_STORED = _ROWS.where(pairs_among(identifier.c.scheme, identifier.c.match_value))
_CONTESTED = (
    sa.select(identifier.c.value)
    .join(observation, observation.c.identifier_id == identifier.c.id)
    .where(identifier.c.scheme == "domain", among(identifier.c.value), observation.c.party_id != identifier.c.party_id)
    .distinct()
)
_NAMED = sa.select(party.c.id).where(party.c.public_id == sa.bindparam("name"))
_STORED_AS_WRITTEN = _ROWS.where(pairs_among(identifier.c.scheme, identifier.c.value))


class Index:
    """Use within one transaction: `load`, then ask and change, then `flush`."""

    def __init__(self, c: Connection, rules: Rules, lists: frozenset[str], now: datetime) -> None:
        self._c = c
        self._rules = rules
        self._lists = lists | rules.own.lists
        self._now = micros(now)
        self._rows: dict[Key, IdentifierRow] = {}
        self._by_match: dict[Key, IdentifierRow] = {}
        self._parties: dict[int, PartyRow] = {}
        self._sharing: dict[Key, str] = {}
        self._new_parties: list[PartyRow] = []
        self._new_rows: list[IdentifierRow] = []
        self.split: list[PartyRow] = []
        self.unsettled: list[PartyRow] = []  # other settings match or judge an address of these otherwise now

    def key(self, given: Identifier) -> Key:
        """The normalised (scheme, value) under which an identifier is one row."""
        scheme, value = given.scheme, given.value
        if scheme == "email":
            value = normal.email(value)
        elif scheme == "phone":
            value = phones.written(value)
        elif scheme == "domain":
            value = value.strip().lower().removeprefix("www.")
            value = normal.host(value) or value
        return scheme, value[:512]

    def load(self, keys: Iterable[Key]) -> None:
        """Read these identifiers, those that match them, and their parties."""
        wanted = {key for key in keys if key not in self._rows}
        self._read(_STORED, {(scheme, self._match(scheme, value)) for scheme, value in wanted})
        self._contest({v for s, v in wanted if s == "domain" and (s, v) in self._rows})
        # A key may be of another region's time, or of other settings'.
        self._read(_STORED_AS_WRITTEN, {k for k in wanted if k[0] in {"phone", "email"} and k not in self._rows})

    def _contest(self, domains: set[str]) -> None:
        for (value,) in fetch(self._c, _CONTESTED, values=sorted(domains)) if domains else ():
            self._rows["domain", value].is_contested = True

    def _read(self, statement: sa.Select[Any], pairs: set[Key]) -> None:
        for row in fetch(self._c, statement, values=sorted(pairs)) if pairs else ():
            ident_id, scheme, value, match, sharing, home_id, party_id, public, kind, name, rank, org_id, owner_id = row
            who = self._parties.get(party_id)
            if who is None:
                who = PartyRow(party_id, public, kind, name, rank, None, org_id, owner_id)
                self._parties[party_id] = who
            row = IdentifierRow(ident_id, scheme, value, match, sharing, who, home_id=home_id)
            if scheme == "email" and sharing == PERSONAL and match != (today := self._match(scheme, value)):
                row.match, row.is_changed = today, True
                self.unsettled.append(who)
            self._remember(row)

    def _remember(self, row: IdentifierRow) -> None:
        self._rows.setdefault((row.scheme, row.value), row)
        if row.sharing in MATCHED:
            self._by_match.setdefault((row.scheme, row.match), row)

    def _match(self, scheme: str, value: str) -> str:
        return self._rules.match(scheme, value)

    def sharing(self, scheme: str, value: str) -> str:
        """How many people may stand behind an identifier: only `personal` ones are ever merge keys."""
        key = (scheme, value)
        found = self._sharing.get(key)
        if found is None:
            found = self._sharing[key] = self._judge(scheme, value)
        return found

    def _judge(self, scheme: str, value: str) -> str:
        if scheme == "domain":
            return "domain" if self._is_a_companys(value) else "free_domain"
        if scheme == "phone":
            return phones.KNOWN if self._match(scheme, value).startswith("+") else phones.AMBIGUOUS
        if scheme != "email":
            return "id"
        if value in self._lists or is_list(value):
            return "list"
        found, side = self._rules.normalisers(scheme, value), self._rules.own.side(value)
        if not found.value or found.sharing == "no_reply":
            return "no_reply"  # nobody's, or no address at all
        if found.sharing in {"shared", "public_handle"}:
            return phones.SHARED
        if found.sharing == "role":
            return "own_role" if side == "own" else "role"
        return "own" if side == "own" else PERSONAL

    def _is_a_companys(self, domain: str) -> bool:
        """False for domains that many companies name as theirs: where mail or pages are free, and our own."""
        return not (
            self._rules.normalisers("domain", domain).sharing not in {"", "personal"}
            or normal.is_among(domain, PAGE_HOSTS)
            or self._rules.own.has_domain(domain)
        )

    def find(self, key: Key) -> IdentifierRow | None:
        """The identifier, or the one that matches it; None when both are unknown."""
        found = self._rows.get(key)
        if found is None and self.sharing(*key) in MATCHED:
            found = self._by_match.get((key[0], self._match(*key)))
        return found

    def attach(self, key: Key, who: PartyRow) -> IdentifierRow:
        """The identifier's row, made to belong to `who` when it is new."""
        row = self._rows.get(key)
        if row is None:
            match = self._match(*key)
            like = self._by_match.get((key[0], match)) if key[0] in {"phone", "email"} else None
            is_like = like is not None and (key[0] == "phone" or like.sharing == phones.SHARED)
            row = IdentifierRow(
                None, key[0], key[1], match, like.sharing if like and is_like else self.sharing(*key), who
            )
            row.is_home, who.is_homeless = who.is_homeless, False
            self._new_rows.append(row)
            self._remember(row)
            if row.scheme == "email" and row.sharing in {PERSONAL, "role"} and who.kind in {"person", "mailbox"}:
                self._place(who, row.value)
        return row

    def _place(self, who: PartyRow, address: str) -> None:
        """The first address that shows a company says where somebody belongs, until a record does."""
        if who.organization is None and who.organization_id is None:
            who.organization = self.organization(address.rpartition("@")[2])
            who.is_changed |= who.id is not None and who.organization is not None

    def ensure(self, key: Key) -> IdentifierRow:
        """The identifier's row, with a party of the right kind made for it when it is new."""
        row = self._rows.get(key)
        if row is not None:
            if row.scheme == "email":
                self._reclassify(row)
            elif row.scheme == "phone":
                self._match_anew(row)
            return row
        match = self.find(key)
        if match:
            return self.attach(key, match.party)
        return self.attach(key, self._party_for(key))

    def judge(self, keys: Iterable[Key]) -> None:
        """Addresses that records list: whose each is, by today's configuration."""
        for row in [row for key in sorted(keys) if key[0] == "email" and (row := self._rows.get(key)) is not None]:
            self._reclassify(row)

    def _reclassify(self, row: IdentifierRow) -> None:
        """An address may turn out to be a mailing list's; ours, a desk's or no longer when the configuration changes."""
        now, was = self.sharing(row.scheme, row.value), row.sharing
        if now == was or was == "list" or (was == phones.SHARED and now != "list" and "own" not in now):
            return
        self.split.append(row.party)
        self._by_match = {k: r for k, r in self._by_match.items() if r is not row}
        row.sharing, row.is_changed = now, row.id is not None
        if "list" not in (now, was) and PERSONAL in (now, was) and "own" not in now + was:
            self.unsettled.append(row.party)  # what it tied together, or is to
        if now in {"list", "role", "no_reply"} and row.party.kind != "mailbox":
            row.party = self._mailbox(row)  # nobody's, whoever it was taken for
            row.is_home, row.party.is_homeless = True, False
            self.split.append(row.party)
            if now != "role":
                return
        if row.party.kind != "mailbox" or (was in {"role", "own_role", "no_reply"} and now in {PERSONAL, "own"}):
            row.party.kind = "own" if now == "own" else "person"
        row.party.organization, row.party.organization_id = None, None
        if now in {PERSONAL, "role"}:
            self.load(self.domains_of([(row.scheme, row.value)]))
            row.party.organization = self.organization(row.value.rpartition("@")[2])
        row.party.is_changed = row.party.id is not None

    def _mailbox(self, row: IdentifierRow) -> PartyRow:
        """A new one; under another name where the address was a mailbox's before, and is somebody's party's name since."""
        seed: tuple[str, ...] = (row.scheme, row.value)
        while fetch(self._c, _NAMED, name=short_id("p", "mailbox", *seed)):
            seed += ("again",)
        return self.new_party("mailbox", seed)

    def _match_anew(self, row: IdentifierRow) -> None:
        """A number may turn out to be another one's spelling when the default region changes."""
        match = self._match(row.scheme, row.value)
        if match == row.match:
            return
        self._by_match = {k: r for k, r in self._by_match.items() if r is not row}
        like = self._by_match.get((row.scheme, match))
        row.match, row.sharing, row.is_changed = match, self.sharing(row.scheme, row.value), row.id is not None
        if like is not None:
            self.split.append(row.party)
            row.party, row.sharing = like.party, like.sharing
        self._remember(row)

    def _party_for(self, key: Key) -> PartyRow:
        scheme, value = key
        sharing = self.sharing(scheme, value)
        kind = {"own": "own", PERSONAL: "person", "domain": "organization"}.get(sharing, "mailbox")
        if sharing in {"id", phones.KNOWN}:
            kind = "person"
        seed = self._match(scheme, value) if sharing in {PERSONAL, *phones.CLASSES} else value
        return self.new_party(kind, (scheme, seed))

    def new_party(self, kind: str, seed: tuple[str, ...]) -> PartyRow:
        who = PartyRow(None, short_id("p", kind, *seed), kind, is_homeless=True)
        self._new_parties.append(who)
        return who

    def organization(self, host: str) -> PartyRow | None:
        """The organization behind a mail domain; None for free-mail, own and unregistrable domains."""
        domain = self._rules.normalisers("domain", host).value
        if not domain or not self._is_a_companys(domain) or not self._is_a_companys(host):
            return None
        exact = self._rows.get(("domain", host))  # a company may be known by a part of another one's domain
        row = exact if exact is not None and exact.sharing == "domain" else self.ensure(("domain", domain))
        return None if row.is_contested or row.party.kind != "organization" else row.party

    def domains_of(self, keys: Iterable[Key]) -> list[Key]:
        """The domain identifiers that `ensure` may need for these addresses."""
        hosts = {v.rpartition("@")[2] for s, v in keys if s == "email"}
        return [("domain", d) for d in hosts | {self._rules.normalisers("domain", h).value for h in hosts} if d]

    def changed(self, who: PartyRow) -> None:
        who.is_changed = True

    def flush(self) -> None:
        """Write everything new and changed. Parties first, organizations before their people."""
        for is_org in (True, False):
            batch = [p for p in self._new_parties if (p.kind == "organization") is is_org]
            rows = [{"public_id": p.public_id, "created_at": self._now, **self._party_values(p)} for p in batch]
            for p, new_id in zip(batch, add_ids(self._c, party, rows), strict=True):
                p.id, p.is_changed = new_id, False
                self._parties[new_id] = p
        identifiers = [
            {
                "scheme": r.scheme, "value": r.value, "match_value": r.match, "sharing": r.sharing,
                "party_id": r.party.id, "home_id": r.party.id if r.is_home else None,
            }
            for r in self._new_rows
        ]  # fmt: skip
        for r, new_id in zip(self._new_rows, add_ids(self._c, identifier, identifiers), strict=True):
            r.id = new_id
        moved = [r for r in self._rows.values() if r.is_changed]
        values = [
            {
                "id": r.id, "match_value": r.match, "sharing": r.sharing, "party_id": r.party.id,
                "home_id": r.party.id if r.is_home else r.home_id,
            }
            for r in moved
        ]  # fmt: skip
        change(self._c, identifier, values)
        altered = [p for p in self._parties.values() if p.is_changed]
        change(self._c, party, [{"id": p.id, **self._party_values(p)} for p in altered])
        for r in moved:
            r.is_changed = False
        rehome(self._c, [p.id for p in self.split if p.id])
        for p in altered:
            p.is_changed = False
        self._new_parties.clear()
        self._new_rows.clear()

    def _party_values(self, p: PartyRow) -> dict[str, Any]:
        return {
            "kind": p.kind, "name": p.name, "name_rank": p.name_rank,
            "organization_id": p.organization.id if p.organization else p.organization_id,
            "owner_identifier_id": p.owner_identifier_id, "changed_at": self._now,
        }  # fmt: skip


_LAST = sa.select(identifier.c.party_id, sa.func.min(identifier.c.id)).where(
    among(identifier.c.party_id),
    identifier.c.party_id.not_in(sa.select(identifier.c.home_id).where(identifier.c.home_id.is_not(None))),
).group_by(identifier.c.party_id)  # fmt: skip


def rehome(c: Connection, party_ids: Iterable[int]) -> None:
    """Parties whose own identifier went elsewhere for good are the first other one's that they have."""
    wanted = sorted(set(party_ids))
    if wanted:
        found = fetch(c, _LAST, values=wanted)
        change(c, identifier, [{"id": ident, "home_id": party_id} for party_id, ident in found])
