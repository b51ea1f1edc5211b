"""Parties as evidence and live decisions give them: computed for what is touched, written where it differs.

Nothing is moved by a merge but who stands for whom today. `identifier.party_id` and what follows from it is a derived
value; taking a decision back and deriving again gives what was there before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import parties
from hub.identity import phones
from hub.identity.evidence import Evidence, Held, gather, subject, turning
from hub.identity.graph import Limits, Parts, Word, parts
from hub.identity.index import PERSONAL, Rules, rehome
from hub.identity.refresh import refresh
from hub.store import add_ids, among, change, fetch, micros, short_id, tell
from hub.store import tables as t


@dataclass(slots=True)
class Derived:
    """parties: every party that won or lost something. merged: former party -> the one that stands for it now.

    refused: words that would have joined two of the touched parties, each with the reason it did not.
    """

    parties: set[int] = field(default_factory=set)
    merged: dict[int, int] = field(default_factory=dict)
    refused: list[tuple[Word, str]] = field(default_factory=list)
    party_of: dict[int, int] = field(default_factory=dict)  # identifier -> party, of all that was looked at


def derive(c: Connection, identifier_ids: Iterable[int], rules: Rules, now: datetime) -> Derived:
    """Decide anew for these identifiers and all that evidence ties to them."""
    found = gather(c, identifier_ids, rules)
    made = parts(found.nodes, found.words, Limits(rules.most_addresses, rules.most_records))
    out = Derived()
    if found.turned:
        out.parties |= _turn(c, found, micros(now))
    homes = _homes(c, found, made, micros(now))
    moved: list[Held] = []
    for group in made.groups:
        home = homes[group[0]]
        for n in group:
            held = found.held[n]
            out.party_of[n] = home
            if held.party_id != home:
                moved.append(held)
                out.parties |= {held.party_id, home}
    out.refused = _open(made, out.party_of)
    if moved:
        parties.stay(c, sorted(_parted(found, out.party_of)))
        change(c, t.identifier, [{"id": h.node.id, "party_id": out.party_of[h.node.id]} for h in moved])
    _follow(c, found, {h.node.id for h in moved}, out)
    out.parties |= {  # whose people may belong to nobody now: another company names the same domain
        out.party_of[n] for word, _ in out.refused for n in (word.left, word.right)
        if found.held[n].node.scheme == "domain"
    }  # fmt: skip
    if not out.parties:
        return out
    _merged(c, out)
    at = micros(now)
    out.parties |= phones.settle(c, phones.of_parties(c, out.parties), at)
    out.parties |= refresh(c, out.parties, rules, now)
    return out


def _turn(c: Connection, found: Evidence, now: int) -> set[int]:
    """What turned out to be many people's is a mailbox of its own from now on, and what no longer is, somebody's.

    Returns the parties that lose or win an address by it. Records are compared by it, or no longer are.
    """
    from hub.identity import linker  # which derives, too

    shared = [h for h in found.turned if h.node.id in found.shared]
    freed = [h for h in found.turned if h.node.id in found.held]
    former = sorted({h.party_id for h in shared})
    parties.stay(c, former)
    for h in shared:
        home = phones.mailbox(c, "email", h.match, now)
        tell(c, _TURNED, [{"ident": h.node.id, "class": phones.SHARED, "party": home, "home": home}])
        h.party_id = home
    tell(c, _TURNED, [
        {"ident": h.node.id, "class": PERSONAL, "party": h.party_id, "home": None} for h in freed
    ])  # fmt: skip
    for end in _UNASKED if shared else ():
        tell(c, end, [{"values": [h.node.id for h in shared], "now": now}])
    rehome(c, former)
    for home, n in fetch(c, _AT_HOME, values=former):
        if n in found.held:
            found.held[n].home_id = home
    linker.restate(c, turning(found))
    return {*former, *(h.party_id for h in found.turned)}


_TURNED = (
    sa.update(t.identifier)
    .where(t.identifier.c.id == sa.bindparam("ident"))
    .values(sharing=sa.bindparam("class"), party_id=sa.bindparam("party"), home_id=sa.bindparam("home"))
)
_AT_HOME = sa.select(t.identifier.c.home_id, t.identifier.c.id).where(among(t.identifier.c.home_id))
_UNASKED = tuple(
    sa.update(t.decision)
    .where(among(end), t.decision.c.verdict == "unsure", t.decision.c.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("now"))
    for end in (t.decision.c.left_identifier_id, t.decision.c.right_identifier_id)
)


def _homes(c: Connection, found: Evidence, made: Parts, now: int) -> dict[int, int]:
    """First node of each group -> its party: the oldest home in it; one is made where there is none."""
    homes: dict[int, int] = {}
    lacking: list[Held] = []
    for group in made.groups:
        known = [home for n in group if (home := found.held[n].home_id) is not None]
        if known:
            homes[group[0]] = min(known)
        else:
            lacking.append(min((found.held[n] for n in group), key=lambda h: h.node.order))
    for held, party_id in zip(lacking, make(c, lacking, now), strict=True):
        held.home_id = party_id
        group = next(g for g in made.groups if held.node.id in g)
        homes[group[0]] = party_id
    return homes


def make(c: Connection, alone: list[Held], now: int) -> list[int]:
    """Parties of their own for identifiers that never had one, or whose was given up."""
    if not alone:
        return []
    public = [  # another spelling's party may have taken the first
        [short_id("p", h.kind, h.node.scheme, h.node.value, *more) for more in ((), ("alone",), ("alone", str(now)))]
        for h in alone
    ]
    taken = {name: (n, used) for n, name, used in fetch(c, _TAKEN, values=sorted({x for of in public for x in of}))}
    named = [next(x for x in of if x not in taken or not taken[x][1]) for of in public]
    rows = [
        {"public_id": name, "kind": h.kind, "created_at": now, "changed_at": now}
        for h, name in zip(alone, named, strict=True) if name not in taken
    ]  # fmt: skip
    new = iter(add_ids(c, t.party, rows))
    ids = [taken[name][0] if name in taken else next(new) for name in named]
    change(c, t.identifier, [{"id": h.node.id, "home_id": p} for h, p in zip(alone, ids, strict=True)])
    return ids


_TAKEN = sa.select(
    t.party.c.id, t.party.c.public_id,
    sa.or_(
        sa.exists().where(t.identifier.c.party_id == t.party.c.id), sa.exists().where(t.identifier.c.home_id == t.party.c.id)
    ),
).where(among(t.party.c.public_id))  # fmt: skip


def _open(made: Parts, party_of: dict[int, int]) -> list[tuple[Word, str]]:
    """Refused words between parties that are two in the end, one for each pair, the strongest."""
    found: dict[tuple[int, int], tuple[Word, str]] = {}
    for word, reason in made.refused:
        a, b = sorted((party_of[word.left], party_of[word.right]))
        if a != b:
            found.setdefault((a, b), (word, reason))
    return list(found.values())


def _parted(found: Evidence, party_of: dict[int, int]) -> set[int]:
    """Parties whose members are of several parties from now on."""
    into: dict[int, set[int]] = {}
    for n, held in found.held.items():
        into.setdefault(held.party_id, set()).add(party_of[n])
    return {party_id for party_id, homes in into.items() if len(homes) > 1}


_OF_RECORD = (
    sa.select(t.observation.c.record_id, t.observation.c.party_id).where(among(t.observation.c.record_id)).distinct()
)


def _follow(c: Connection, found: Evidence, moved: set[int], out: Derived) -> None:
    """What records say goes with the identifier that stands for them, and what was chosen for a home with that home."""
    gone: list[dict[str, int]] = []
    for rid, was in fetch(c, _OF_RECORD, values=sorted(found.listed)) if found.listed else ():
        who = subject(found, found.listed[rid])
        home = out.party_of[who] if who is not None else was
        if home != was:
            out.parties |= {was, home}
            gone.append({"record": rid, "home": home})
    tell(c, _SHOWN_OF, gone)
    tell(c, _SAID_OF, gone)
    homes = {home: out.party_of[n] for n in moved if (home := found.held[n].home_id) is not None}
    if homes and fetch(c, _ANY_CHOICE):
        tell(c, _CHOSEN_FOR, [{"was": home, "home": party_id} for home, party_id in homes.items()])


_SHOWN_OF, _SAID_OF = (
    sa.update(table).where(table.c.record_id == sa.bindparam("record")).values(party_id=sa.bindparam("home"))
    for table in (t.observation, t.statement)
)
_ANY_CHOICE = sa.select(t.choice.c.id).limit(1)
_CHOSEN_FOR = sa.update(t.choice).where(t.choice.c.home_id == sa.bindparam("was")).values(party_id=sa.bindparam("home"))


def join_whole(c: Connection, joins: dict[int, int], out: Derived, rules: Rules, now: datetime) -> None:
    """Parties (loser -> winner) whose members all belong together, which somebody made sure of: nothing to weigh."""
    if not joins:
        return
    final = {loser: _last(joins, winner) for loser, winner in joins.items()}
    rows = [{"loser": loser, "winner": winner} for loser, winner in final.items()]
    for table in (t.identifier, t.observation, t.statement, t.choice):
        tell(c, _WHOLE[table.name], rows)
    out.merged |= final
    out.parties |= {*final, *final.values()}
    touched = {*final, *final.values()}
    out.parties |= phones.settle(c, phones.of_parties(c, final.values()), micros(now))
    out.parties |= refresh(c, touched, rules, now)


def _last(joins: dict[int, int], party_id: int) -> int:
    while party_id in joins:
        party_id = joins[party_id]
    return party_id


_WHOLE = {
    table.name: sa.update(table)
    .where(table.c.party_id == sa.bindparam("loser"))
    .values(party_id=sa.bindparam("winner"))
    for table in (t.identifier, t.observation, t.statement, t.choice)
}
_HOLDERS = sa.select(t.identifier.c.home_id, t.identifier.c.party_id).where(among(t.identifier.c.home_id))


def _merged(c: Connection, out: Derived) -> None:
    for home, party_id in fetch(c, _HOLDERS, values=sorted(out.parties)):
        if home != party_id and home in out.parties:
            out.merged[home] = party_id


def current(c: Connection, party_id: int) -> int:
    """The party that stands for this one today: itself, unless it was joined into another."""
    found = fetch(c, _STANDS, home=party_id)
    return int(found[0][0]) if found and found[0][0] is not None else party_id


_STANDS = sa.select(t.identifier.c.party_id).where(t.identifier.c.home_id == sa.bindparam("home"))
