"""Timeline links and the weekly rollup, always moved together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import add, bump_volume, chunks, micros, week_of
from hub.store.tables import identifier, interaction, link, participation, party

Row = dict[str, Any]


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
        old = {
            (p, at, iid): (ch, d)
            for p, at, iid, ch, d in c.execute(sa.select(link).where(link.c.interaction_id.in_(part)))
        }
        new = {}
        joined = (
            sa.select(
                interaction.c.id, interaction.c.occurred_at, interaction.c.channel, interaction.c.direction,
                party.c.id, party.c.organization_id, party.c.kind,
            )
            .join(participation, participation.c.interaction_id == interaction.c.id)
            .join(identifier, identifier.c.id == participation.c.identifier_id)
            .join(party, party.c.id == identifier.c.party_id)
            .where(interaction.c.id.in_(part), interaction.c.gone_at.is_(None))
        )  # fmt: skip
        for iid, at, ch, d, pid, org, kind in c.execute(joined):
            new[pid, at, iid] = (ch, d)
            if org and kind not in {"own", "organization"}:
                new[org, at, iid] = (ch, d)
        gone = [_row(k, v) for k, v in old.items() if new.get(k) != v]
        come = [_row(k, v) for k, v in new.items() if old.get(k) != v]
        if gone:
            c.execute(
                sa.delete(link).where(
                    link.c.party_id == sa.bindparam("p"), link.c.occurred_at == sa.bindparam("a"),
                    link.c.interaction_id == sa.bindparam("i"),
                ),
                [{"p": r["party_id"], "a": r["occurred_at"], "i": r["interaction_id"]} for r in gone],
            )  # fmt: skip
        add(c, link, come)
        deltas = Counter(_deltas(come, 1))
        deltas.update(_deltas(gone, -1))
        bump_volume(c, dict(deltas))
        moved += len(gone) + len(come)
        if stale := sorted({r["interaction_id"] for r in [*gone, *come]}):
            c.execute(sa.update(interaction).where(interaction.c.id.in_(stale)).values(changed_at=micros(now)))
    return moved


def follow(c: Connection, party_ids: Iterable[int], now: datetime) -> int:
    """After parties were joined, parted or changed organization: relink everything any of them takes part in.

    All of it counts as changed, what stays with its party too: another contact may stand for that one now.
    """
    ids: set[int] = set()
    wanted = sorted(set(party_ids))
    for part in chunks(wanted):
        ids.update(c.execute(sa.select(link.c.interaction_id).where(link.c.party_id.in_(part))).scalars())
        ids.update(
            c.execute(
                sa.select(participation.c.interaction_id)
                .join(identifier, identifier.c.id == participation.c.identifier_id)
                .where(identifier.c.party_id.in_(part))
            ).scalars()
        )
    moved = relink(c, ids, now)
    for part in chunks(sorted(ids)):
        c.execute(sa.update(interaction).where(interaction.c.id.in_(part)).values(changed_at=micros(now)))
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
