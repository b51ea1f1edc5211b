"""The statements behind a party's fields, read from the store, and what is shown of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.parties.survive import CHOICE, HUB, Base, Rule, Said, as_echo, read_back, survive
from hub.store import among, fetch, instant, micros
from hub.store import tables as t

Rules = Mapping[str, Rule]  # by field
LAST_MEETING, LAST_CONTACT = "last_meeting", "last_contact"
DERIVED = frozenset({LAST_MEETING, LAST_CONTACT})  # counted from the timeline; ISO dates, UTC
_INNER = ("name", "organization")  # shown as the party's own name and company

_SAID = (
    sa.select(
        t.statement.c.party_id, t.statement.c.field, t.statement.c.value, t.connection.c.name,
        t.statement.c.observed_at, t.statement.c.record_id,
    )
    .join(t.record, t.record.c.id == t.statement.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    .where(among(t.statement.c.party_id), t.record.c.gone_at.is_(None), t.statement.c.field.not_in(_INNER))
)  # fmt: skip
_CHOSEN = sa.select(t.choice).where(among(t.choice.c.party_id)).order_by(t.choice.c.chosen_at)
_AGREED = sa.select(t.agreed).where(among(t.agreed.c.record_id))


def rule_of(rules: Rules, field: str) -> Rule:
    """The configured rule; what the hub counts itself is the hub's own."""
    return Rule(owner=HUB) if field in DERIVED else rules.get(field, Rule())


def load(
    c: Connection, party_ids: Sequence[int], now: datetime, derived: Collection[str] = ()
) -> tuple[dict[tuple[int, str], list[Said]], dict[tuple[int, str], Base]]:
    """Everything said of these parties, by (party, field), echoes marked; and, by (record, field), what was agreed.

    derived: which of `DERIVED` to count too.
    """
    rows = fetch(c, _SAID, values=party_ids)
    records = sorted({r[5] for r in rows})
    agreed = {
        (r.record_id, r.field): Base(r.value, r.theirs, r.before, r.written_at)
        for r in (fetch(c, _AGREED, values=records) if records else ())
    }
    said: dict[tuple[int, str], list[Said]] = {}
    for party_id, field, value, source, at, record_id in rows:
        one = Said(value, source, at, record_id)
        base = read_back(one, agreed.get((record_id, field)))
        said.setdefault((party_id, field), []).append(as_echo(one, base))
    for r in fetch(c, _CHOSEN, values=party_ids):
        said.setdefault((r.party_id, r.field), []).append(Said(r.value, CHOICE, r.chosen_at))
    for field in derived:
        for party_id, at in _last(c, party_ids, field == LAST_MEETING, now):
            day = instant(at).date().isoformat()
            said.setdefault((party_id, field), []).append(Said(day, HUB, at))
    return said, agreed


_LAST_TOUCH = (
    sa.select(t.link.c.party_id, sa.func.max(t.link.c.occurred_at))
    .where(among(t.link.c.party_id), t.link.c.occurred_at <= sa.bindparam("now"))
    .group_by(t.link.c.party_id)
)
_LAST_MET = _LAST_TOUCH.join(t.interaction, t.interaction.c.id == t.link.c.interaction_id).where(
    t.interaction.c.kind == "meeting"
)


def _last(c: Connection, party_ids: Sequence[int], only_meetings: bool, now: datetime) -> Sequence[Any]:
    """When each party was last met, or last in touch; what lies ahead is not yet."""
    return fetch(c, _LAST_MET if only_meetings else _LAST_TOUCH, values=party_ids, now=micros(now))


def shown(c: Connection, party_id: int, rules: Rules, now: datetime) -> list[dict[str, Any]]:
    """A party's fields for people: value, why it counts, who says so since when, and what the others say."""
    said, _ = load(c, [party_id], now, DERIVED)
    found = []
    for (_, field), told in sorted(said.items()):
        counts = survive(told, rule_of(rules, field))
        others = [s for s in told if s is not counts.said and s.value != counts.value]
        if not counts.value and not others:
            continue
        found.append({
            "field": field, "value": counts.value, "why": counts.why, **_told(counts.said),
            "others": [{"value": s.value, **_told(s)} for s in sorted(others, key=lambda s: -s.at)],
        })  # fmt: skip
    return found


def _told(s: Said | None) -> dict[str, Any]:
    return {"source": s.source, "since": instant(s.at)} if s else {"source": "", "since": None}


def choose(c: Connection, party_id: int, field: str, value: str, actor: str, now: datetime) -> None:
    """A person decides: the value counts over everything said so far."""
    row = {"party_id": party_id, "field": field, "value": value, "actor": actor, "chosen_at": micros(now)}
    c.execute(sa.insert(t.choice).values(**row))


__all__ = ["DERIVED", "Rules", "choose", "load", "rule_of", "shown"]
