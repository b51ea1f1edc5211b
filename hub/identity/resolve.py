"""Which party stands behind each identifier of a page, and behind each record of a tool.

By rule: the same normalised personal address is the same person; one vendor record is one person, so the personal
addresses it lists are too; a vendor id and our own key name exactly one party; role, list, no-reply and phone
identifiers are never merge keys; free-mail and own domains never make an organization. A phone number belongs to the
one party whose records list it (`phones`). Where rules speak against each other, or tie two known parties, all that is
known of them decides (`derive`); what rules leave open is weighed (`linker`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Identifier
from hub.identity import linker
from hub.identity.anew import uncall
from hub.identity.decisions import note
from hub.identity.derive import Derived, derive
from hub.identity.graph import TOOL
from hub.identity.index import NAME_FROM_MAIL, PERSONAL, Index, Key, PartyRow, Rules
from hub.identity.phones import SHARED
from hub.identity.questions import ask
from hub.identity.said import of_mail
from hub.store import among, fetch, micros
from hub.store import tables as t

SEND_AS = "send-as"  # the rule of what an account says of its own addresses


@dataclass(frozen=True, slots=True)
class Who:
    """An identifier's standing: its row, its party, and that party's organization (0: none)."""

    identifier_id: int
    party_id: int
    organization_id: int
    kind: str
    sharing: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything of `loser` now answers to `winner` (party ids).

    The same twice: the party stays, but its members, its kind or its organization are others now.
    """

    loser: int
    winner: int


def resolve(
    c: Connection, named: Mapping[Identifier, str], rules: Rules, now: datetime, lists: frozenset[str] = frozenset(),
    split: list[int] | None = None, called: Iterable[tuple[Identifier, str]] = (),
) -> dict[Identifier, Who]:  # fmt: skip
    """Parties for all identifiers a page mentions, made where unknown. Values of `named` are display names.

    called: all that the page calls them, where it gives several names.
    split: filled with the parties whose members changed, as by an address that turned out to be a mailing list, or two
    that turned out to be one: their interactions must be linked again.
    """
    index = Index(c, rules, lists, now)
    keys = {given: index.key(given) for given in named}
    index.load(keys.values())
    index.load(index.domains_of(k for k in keys.values() if index.find(k) is None))
    rows = {}
    for given in sorted(named):
        row = index.ensure(keys[given])
        rows[given] = row
        if row.sharing in {"personal", "own"}:
            row.party.rename(named[given], NAME_FROM_MAIL)
    index.flush()
    if split is not None and index.split:
        split += [p.id for p in index.split if p.id] + [known(r.party.id) for r in rows.values() if r.sharing == "list"]
    again = unsettled(c, index, rules, now)
    who = {
        given: Who(known(r.id), known(r.party.id), org_id(r.party), r.party.kind, r.sharing)
        for given, r in rows.items()
    }
    names: dict[int, tuple[str, set[str]]] = {}
    for given, name in (*named.items(), *called):
        row = rows[given]
        if name and row.scheme == "email" and row.sharing in (PERSONAL, SHARED):
            names.setdefault(known(row.id), (row.value, set()))[1].add(name)
    news = linker.remember(c, of_mail(c, names, rules, micros(now))) if names else linker.NOTHING
    again |= {known(r.id) for r in rows.values() if r.id in news.names and r.match != r.value}
    derived = derive(c, again, rules, now) if again else Derived()
    ask(c, derived.refused, now)
    weighed = linker.weigh(c, news, rules, now)
    derived.parties |= weighed.parties
    if not derived.parties:
        return who
    if split is not None:
        split += sorted(derived.parties)
    _name_again(c, {keys[given]: name for given, name in named.items() if name}, rules, now)
    return _again(c, who)


_MEMBERS = sa.select(t.identifier.c.id).where(among(t.identifier.c.party_id))


def unsettled(c: Connection, index: Index, rules: Rules, now: datetime) -> set[int]:
    """What is to be decided anew since settings changed: all that is one with addresses that are matched or judged otherwise.

    Call it after `flush`. What mail calls these addresses is read again, too.
    """
    parties = sorted({known(p.id) for p in index.unsettled})
    if not parties:
        return set()
    uncall(c, parties, rules, now)
    return {ident for (ident,) in fetch(c, _MEMBERS, values=parties)}


def _name_again(c: Connection, called: Mapping[Key, str], rules: Rules, now: datetime) -> None:
    """Parties were named afresh by the mail that is kept; this page's is not yet."""
    index = Index(c, rules, frozenset(), now)
    index.load(called)
    for key, name in called.items():
        row = index.find(key)
        if row is not None and row.sharing in {"personal", "own"}:
            row.party.rename(name, NAME_FROM_MAIL)
    index.flush()


_STANDING = (
    sa.select(t.identifier.c.id, t.party.c.id, t.party.c.organization_id, t.party.c.kind)
    .join(t.party, t.party.c.id == t.identifier.c.party_id)
    .where(among(t.identifier.c.id))
)


def _again(c: Connection, who: dict[Identifier, Who]) -> dict[Identifier, Who]:
    ids = sorted({w.identifier_id for w in who.values()})
    now = {ident: (party, org or 0, kind) for ident, party, org, kind in fetch(c, _STANDING, values=ids)}
    return {g: Who(w.identifier_id, *now[w.identifier_id], w.sharing) for g, w in who.items()}


def join_own(c: Connection, addresses: Iterable[str], rules: Rules, now: datetime) -> list[Moved]:
    """The addresses one account sends as are one of us: their parties are joined, with the decision recorded.

    Shared and role addresses stay mailboxes of their own.
    """
    index = Index(c, rules, frozenset(), now)
    keys = [index.key(Identifier("email", a)) for a in sorted(set(addresses)) if a.strip()]
    keys = [k for k in keys if index.sharing(*k) in {"personal", "own"}]
    if len(keys) < 2:
        return []
    index.load(keys)
    index.load(index.domains_of(keys))
    rows = [index.ensure(k) for k in keys]
    for row in rows:
        if row.party.kind == "person":
            row.party.kind, row.party.is_changed = "own", row.party.id is not None
    index.flush()
    if again := unsettled(c, index, rules, now):
        derive(c, again, rules, now)
    first, *others = sorted(rows, key=lambda r: known(r.id))
    if all(r.party is first.party for r in others):
        return []
    ids = [known(r.id) for r in rows]
    linker.forget(c, ids)  # whoever it was taken for: our own people are not weighed
    linker.remember(c, [linker.Said(n, "person", {}, is_own=True, said_at=micros(now)) for n in ids])
    linker.relist(c, ids)
    for r in others:
        note(c, [tool_says(known(first.id), known(r.id), SEND_AS, "one account sends as both")], now)
    derived = derive(c, [known(first.id)], rules, now)
    gone = [Moved(loser, winner) for loser, winner in sorted(derived.merged.items())]
    return gone + [Moved(p, p) for p in sorted(derived.parties - {x for m in gone for x in (m.loser, m.winner)})]


def tool_says(left: int, right: int, rule: str, level: str) -> dict[str, Any]:
    return {
        "left_identifier_id": left, "right_identifier_id": right, "verdict": "same", "kind": TOOL, "rule": rule,
        "reasons": [{"field": "record", "level": level}], "actor": "hub",
    }  # fmt: skip


def org_id(who: PartyRow) -> int:
    if who.kind == "organization":
        return 0
    return (who.organization.id if who.organization else who.organization_id) or 0


def known(value: int | None) -> int:
    if value is None:
        raise AssertionError("a row was used before it was written")
    return value
