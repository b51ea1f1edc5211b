"""What evidence speaks for and something speaks against is asked: one open question for two parties, with the reason."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.identity.decisions import note
from hub.identity.graph import DIFFERENT, NOW_ANOTHERS, Word
from hub.store import among
from hub.store import tables as t

i, d = t.identifier.c, t.decision.c
_PARTY = sa.select(i.id, i.party_id).where(among(i.id))
_OF_PARTIES = sa.select(i.id, i.party_id).where(among(i.party_id))
_SETTLED = sa.select(d.left_identifier_id, d.right_identifier_id).where(
    among(d.left_identifier_id), d.revoked_at.is_(None), d.verdict.in_(("unsure", "different"))
)  # fmt: skip


def ask(c: Connection, refused: Iterable[tuple[Word, str]], now: datetime) -> None:
    """Put these into the review queue unless somebody answered or is asked already."""
    refused = [(w, why) for w, why in refused if why not in (DIFFERENT, NOW_ANOTHERS)]
    if not refused:
        return
    ends = sorted({e for w, _ in refused for e in (w.left, w.right)})
    party_of: dict[int, int] = dict(c.execute(_PARTY, {"values": ends}).tuples().all())
    around: dict[int, int] = dict(
        c.execute(_OF_PARTIES, {"values": sorted(set(party_of.values()))}).tuples().all()
    )  # fmt: skip
    settled = {
        frozenset((around[a], around[b]))
        for a, b in c.execute(_SETTLED, {"values": sorted(around)})
        if a in around and b in around
    }
    rows = []
    for word, why in refused:
        pair = frozenset((party_of[word.left], party_of[word.right]))
        if pair in settled:
            continue
        settled.add(pair)
        sides = sum(party in pair for party in around.values())
        rows.append({
            "left_identifier_id": word.left, "right_identifier_id": word.right, "verdict": "unsure", "kind": word.kind,
            "rule": word.rule, "weight": word.weight or None, "records": sides, "actor": "hub",
            "reasons": [{"field": "why", "level": why}],
        })  # fmt: skip
    note(c, rows, now, is_one_act=False)
