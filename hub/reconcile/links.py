"""Timeline links and the weekly rollup, always moved together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add, among, bump_volume, chunks, fetch, micros, tell, week_of
from hub.store.tables import identifier, interaction, link, participation, party

Row = dict[str, Any]


_LINKS = sa.select(link.c.party_id, link.c.occurred_at, link.c.interaction_id, link.c.channel, link.c.direction).where(
    among(link.c.interaction_id)
)
_TAKING_PART = (
    sa.select(
        interaction.c.id, interaction.c.occurred_at, interaction.c.channel, interaction.c.direction,
        party.c.id, party.c.organization_id, party.c.kind,
    )
    .join(participation, participation.c.interaction_id == interaction.c.id)
    .join(identifier, identifier.c.id == participation.c.identifier_id)
    .join(party, party.c.id == identifier.c.party_id)
    .where(among(interaction.c.id), interaction.c.gone_at.is_(None))
)  # fmt: skip
_UNLINK = sa.delete(link).where(
    link.c.party_id == sa.bindparam("party_id"), link.c.occurred_at == sa.bindparam("occurred_at"),
    link.c.interaction_id == sa.bindparam("interaction_id"),
)  # fmt: skip
_CHANGED = sa.update(interaction).where(among(interaction.c.id)).values(changed_at=sa.bindparam("now"))
_LINKED = sa.select(link.c.interaction_id).where(among(link.c.party_id))
_NAMED = (
    sa.select(participation.c.interaction_id)
    .join(identifier, identifier.c.id == participation.c.identifier_id)
    .where(among(identifier.c.party_id))
)


def insert_new(c: Connection, rows: Sequence[Row]) -> None:
    """Links of interactions that had none."""
    add(c, link, list(rows))
    bump_volume(c, _deltas(rows, 1))


def relink(c: Connection, interaction_ids: Iterable[int], now: datetime) -> int:
    """Compute the links of these interactions afresh from who takes part now; returns how many rows moved.

    An interaction that is gone has none. One whose links moved counts as changed: what we wrote of it is stale.
    """
    moved = 0
    for part in chunks(sorted(set(interaction_ids)), 200):
        old = {(p, at, iid): (ch, d) for p, at, iid, ch, d in fetch(c, _LINKS, values=part)}
        new = {}
        for iid, at, ch, d, pid, org, kind in fetch(c, _TAKING_PART, values=part):
            new[pid, at, iid] = (ch, d)
            if org and kind not in {"own", "organization"}:
                new[org, at, iid] = (ch, d)
        gone = [_row(k, v) for k, v in old.items() if new.get(k) != v]
        come = [_row(k, v) for k, v in new.items() if old.get(k) != v]
        tell(c, _UNLINK, gone)
        add(c, link, come)
        deltas = Counter(_deltas(come, 1))
        deltas.update(_deltas(gone, -1))
        bump_volume(c, dict(deltas))
        moved += len(gone) + len(come)
        if stale := sorted({r["interaction_id"] for r in [*gone, *come]}):
            tell(c, _CHANGED, [{"values": stale, "now": micros(now)}])
    return moved


def follow(c: Connection, party_ids: Iterable[int], now: datetime) -> int:
    """After parties were joined, parted or changed organization: relink everything any of them takes part in.

    All of it counts as changed, what stays with its party too: another contact may stand for that one now.
    """
    wanted = sorted(set(party_ids))
    ids = {iid for query in (_LINKED, _NAMED) for (iid,) in fetch(c, query, values=wanted)} if wanted else set()
    moved = relink(c, ids, now)
    tell(c, _CHANGED, [{"values": sorted(ids), "now": micros(now)}] if ids else [])
    return moved


def _row(key: tuple[int, int, int], value: tuple[str, str]) -> Row:
    return {
        "party_id": key[0], "occurred_at": key[1], "interaction_id": key[2], "channel": value[0], "direction": value[1],
    }  # fmt: skip


def _deltas(rows: Sequence[Row], sign: int) -> dict[tuple[int, int, str, str], int]:
    counts: Counter[tuple[int, int, str, str]] = Counter()
    for r in rows:
        counts[r["party_id"], week_of(r["occurred_at"]), r["channel"], r["direction"]] += sign
    return counts
