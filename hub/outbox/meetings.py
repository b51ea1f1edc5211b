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
from hub.store import among, micros
from hub.store import tables as t


def meetings(c: Connection, scope: Scope, due: Due, now: datetime) -> Iterator[list[Wanted]]:
    """One event each, made once, following its meeting until it has begun; called off where the meeting is."""
    i = t.interaction.c
    due.unchanged += untouched(c, scope)
    in_calendars = sa.exists().where(
        t.source.c.interaction_id == i.id, t.record.c.id == t.source.c.record_id,
        t.stream.c.id == t.record.c.stream_id, t.stream.c.connection_id.in_(scope.calendars),
        t.source.c.is_echo.is_(sa.false()),
    )  # fmt: skip
    only = (i.kind == "meeting", i.occurred_at > micros(now), sa.not_(in_calendars))
    for rows in candidates(c, scope, *only):
        ids = [row["id"] for row in rows]
        parties: dict[int, Party] = {}
        people, texts = people_of(c, ids, parties), texts_of(c, ids)
        addresses = _addresses(c, list(parties))
        found = []
        for row in rows:
            guests = _by_address(people.get(row["id"], []), addresses)
            entity = entity_of(row, guests, texts.get(row["id"], ("", "")))
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
    i = t.identifier.c
    query = (
        sa.select(i.party_id, sa.func.min(i.value))
        .where(among(i.party_id), i.scheme == "email", i.sharing.in_(("personal", "own")))
        .group_by(i.party_id)
    )
    return {pid: value for pid, value in c.execute(query, {"values": list(party_ids)})}


def _by_address(people: list[dict[str, Any]], addresses: dict[int, str]) -> list[dict[str, Any]]:
    """The people with an address, each once."""
    found: dict[str, dict[str, Any]] = {}
    for p in people:
        value = p["value"] if p["scheme"] == "email" else addresses.get(p["party_id"], "")
        if value:
            found.setdefault(value, {**p, "scheme": "email", "value": value})
    return [found[value] for value in sorted(found)]
