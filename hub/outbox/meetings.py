"""Meetings to come that stand in some tool and in no calendar, for the calendars that are told of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change
from hub.outbox.places import Party
from hub.outbox.wanted import (
    CANDIDATES,
    PHASES,
    Due,
    Scope,
    Wanted,
    candidates,
    deletions,
    entity_of,
    people_of,
    state_hash,
    texts_of,
    untouched,
)
from hub.store import among, fetch, micros
from hub.store import tables as t

_i = t.interaction.c
_in_calendars = sa.exists().where(
    t.source.c.interaction_id == _i.id, t.record.c.id == t.source.c.record_id, t.stream.c.id == t.record.c.stream_id,
    among(t.stream.c.connection_id, "calendars"), t.source.c.is_echo.is_(sa.false()),
)  # fmt: skip
_TO_COME = CANDIDATES.where(_i.kind == "meeting", _i.occurred_at > sa.bindparam("now"), sa.not_(_in_calendars))
_ADDRESSES = (
    sa.select(t.identifier.c.party_id, sa.func.min(t.identifier.c.value))
    .where(
        among(t.identifier.c.party_id), t.identifier.c.scheme == "email",
        t.identifier.c.sharing.in_(("personal", "own")),
    )
    .group_by(t.identifier.c.party_id)
)  # fmt: skip


def meetings(c: Connection, scope: Scope, due: Due, now: datetime) -> Iterator[list[Wanted]]:
    """One event each, made once, following its meeting until it has begun; called off where the meeting is."""
    due.unchanged += untouched(c, scope)
    for rows in candidates(c, scope, _TO_COME, now=micros(now), calendars=scope.calendars):
        ids = [row["id"] for row in rows]
        parties: dict[int, Party] = {}
        people, texts = people_of(c, ids, parties), texts_of(c, ids)
        addresses = _addresses(c, list(parties))
        found = []
        for row in rows:
            guests = _by_address(people.get(row["id"], []), addresses)
            entity = entity_of(row, guests, texts.get(row["id"], ""))
            entity = msgspec.structs.replace(entity, zone=row["zone"])
            key, remote_id = row["public_id"], row["remote_id"] or ""
            change = Change(key=key, kind="interaction", op="upsert", entity=entity, remote_id=remote_id)
            mark = state_hash(change)
            if row["written_hash"] is not None and bytes(row["written_hash"]) == mark:
                due.unchanged += 1
                due.seen_unchanged.append((key, row["changed_at"]))
            else:
                effect: Literal["create", "update"] = "update" if remote_id else "create"
                found.append(Wanted(PHASES["interaction"], effect, change, mark, row["changed_at"]))
        yield found
    yield deletions(c, scope)


def _addresses(c: Connection, party_ids: Sequence[int]) -> dict[int, str]:
    """An e-mail address of each party: a tool may name its people by numbers, and nobody can be invited by those."""
    return dict(fetch(c, _ADDRESSES, values=party_ids))


def _by_address(people: list[dict[str, Any]], addresses: dict[int, str]) -> list[dict[str, Any]]:
    """The people with an address, each once."""
    found: dict[str, dict[str, Any]] = {}
    for p in people:
        value = p["value"] if p["scheme"] == "email" else addresses.get(p["party_id"], "")
        if value:
            found.setdefault(value, {**p, "scheme": "email", "value": value})
    return [found[value] for value in sorted(found)]
