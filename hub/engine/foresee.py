"""What an act on identity would change, found by making it and taking it back before anybody can see it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import parties, reconcile
from hub.engine.engine import Engine
from hub.engine.identities import Identities
from hub.identity import Change
from hub.identity.showing import text_of
from hub.store import among, fetch, micros
from hub.store import tables as t

Row = dict[str, Any]
_i, _p = t.identifier.c, t.party.c
_HELD = sa.select(_i.id, _i.scheme, _i.value, _i.party_id).where(among(_i.party_id)).order_by(_i.id)
_WHO = sa.select(_p.id, _p.public_id, _p.name, _p.kind).where(among(_p.id))
_FILED_ANEW = sa.select(t.interaction.c.public_id).where(t.interaction.c.changed_at == sa.bindparam("now"))
_WRITTEN = (
    sa.select(t.connection.c.name, sa.func.count())
    .join(t.remote, t.remote.c.connection_id == t.connection.c.id)
    .where(t.remote.c.kind == "interaction", t.remote.c.remote_id != "", among(t.remote.c.key))
    .group_by(t.connection.c.name)
    .order_by(t.connection.c.name)
)


@dataclass(slots=True)
class _State:
    """Some parties at one moment. held: identifier -> (party, text). fields: (party, field) -> the value that counts."""

    who: dict[int, Row] = field(default_factory=dict)
    held: dict[int, tuple[int, str]] = field(default_factory=dict)
    fields: dict[tuple[int, str], str] = field(default_factory=dict)
    refusals: set[tuple[int, str]] = field(default_factory=set)


class _Look(Identities):
    """Acts that are not kept, and what they came to."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.changed: set[int] = set()
        self.after = _State()
        self.entries: list[str] = []

    def _act(self, decide: Callable[[Connection, datetime], Change], dry_run: bool) -> Change:
        def looked(c: Connection, now: datetime) -> Change:
            change = decide(c, now)
            reconcile.follow(c, change.parties, now)  # which marks what it files anew
            self.entries = [public_id for (public_id,) in fetch(c, _FILED_ANEW, now=micros(now))]
            self.changed, self.after = change.parties, _state(c, self._engine, change.parties)
            return change

        return super()._act(looked, dry_run=True)


def foresee(engine: Engine, verb: str, *what: Any, actor: str, why: str = "") -> Row:
    """What `engine.identities.<verb>(*what, actor, why)` would do. Raises what it raises.

    {"parties": [{"public_id", "name", "was": its name before, "kind", "is_new", "is_emptied"}], "moves": [{"text", "from", "to"}: public ids],
    "entries": timeline entries filed under others than before, "fields": [{"party", "field", "before", "after"}], "refusals":
    [{"party", "channel", "is_new": it did not stand for this one before}], "written": {connection: entries it holds that
    the next plan looks at again}}
    """
    look = _Look(engine)
    getattr(look, verb)(*what, actor, why)
    changed, after = look.changed, look.after
    with engine.store.read() as c:
        before = _state(c, engine, changed)
        moved = {
            n: (p, after.held[n][0]) for n, (p, _) in before.held.items() if n in after.held and after.held[n][0] != p
        }
        written = dict(fetch(c, _WRITTEN, values=look.entries)) if look.entries else {}
    who = before.who | after.who
    for pid, row in who.items():
        texts = [text for state in (after, before) for p, text in state.held.values() if p == pid]
        row["was"] = before.who.get(pid, row)["name"]
        row["name"] = next((n for n in (row["name"], row["was"], *texts) if n), row["public_id"])
    inhabited = [{p for p, _ in state.held.values()} for state in (before, after)]
    return {
        "parties": [
            {**row, "is_new": pid not in inhabited[0], "is_emptied": pid not in inhabited[1]}
            for pid, row in sorted(who.items())
            if pid in inhabited[0] | inhabited[1]
        ],
        "moves": [
            {"text": before.held[n][1], "from": who[a]["public_id"], "to": who[b]["public_id"]}
            for n, (a, b) in sorted(moved.items())
        ],
        "entries": len(look.entries),
        "fields": [
            {"party": who[pid]["public_id"], "field": name, "before": before.fields.get((pid, name), ""), "after": value}
            for (pid, name), value in sorted(after.fields.items())
            if pid in inhabited[1] and value != before.fields.get((pid, name), "")
        ],
        "refusals": [
            {"party": who[pid]["public_id"], "channel": channel, "is_new": (pid, channel) not in before.refusals}
            for pid, channel in sorted(after.refusals)
        ],
        "written": written,
    }  # fmt: skip


def _state(c: Connection, engine: Engine, party_ids: Collection[int]) -> _State:
    wanted = sorted(party_ids)
    found = _State()
    for r in fetch(c, _WHO, values=wanted):
        found.who[r.id] = {"public_id": r.public_id, "name": r.name, "kind": r.kind}
    for r in fetch(c, _HELD, values=wanted):
        found.held[r.id] = (r.party_id, text_of(r.scheme, r.value))
    s, now = engine.settings.fields, engine.clock.now()
    said, _ = parties.load(c, wanted, now)
    for (pid, name), told in said.items():
        rules = s.organization if found.who[pid]["kind"] == "organization" else s.person
        rule = parties.Rule(rules[name].owner, rules[name].precedence) if name in rules else parties.Rule()
        found.fields[pid, name] = parties.survive(told, rule).value
    stands = parties.standing(c, wanted)
    found.refusals = {key for key, s in stands.items() if s.state == "opted_out"}
    return found
