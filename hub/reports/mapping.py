"""One customer's fields beside each other: what each tool says, since when, and which value counts by which rule."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub import parties
from hub.parties.survive import CHOICE, HUB
from hub.reports.people import describe, party_id
from hub.reports.seen import Seen, everything
from hub.store import chunks, instant
from hub.store import tables as t

Row = dict[str, Any]


def mapping(
    c: Connection, public_id: str, rules: Mapping[str, parties.Rules], now: datetime, seen: Seen = everything
) -> Row:
    """Raises KeyError for a party there is not, or that is not seen. rules: by kind of party.

    {"party": {"public_id", "kind", "name"}, "fields": [{"field", "value", "why", "source", "says": [{"source", "value", "since",
    "counts", "is_echo"}], newest first}], "hidden": how many statements come from private connections of others}
    """
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    who = describe(c, [pid], seen)[pid]
    said, _ = parties.load(c, [pid], now, parties.DERIVED)
    told = _shown(c, {s.record_id for all_said in said.values() for s in all_said if s.record_id}, seen)
    fields, hidden = [], 0
    for (_, field), everybody in sorted(said.items()):
        says = [s for s in everybody if not s.record_id or s.record_id in told]
        hidden += len(everybody) - len(says)
        counts = parties.survive(says, parties.rule_of(rules.get(who["kind"], {}), field))
        rows = [
            {
                "source": s.source, "value": s.value, "since": instant(s.at), "counts": s is counts.said,
                "is_echo": s.echo_of is not None, "is_tool": s.source not in {CHOICE, HUB},
            }
            for s in sorted(says, key=lambda s: -s.at)
        ]  # fmt: skip
        if rows:
            source = counts.said.source if counts.said else ""
            fields.append({"field": field, "value": counts.value, "why": counts.why, "source": source, "says": rows})
    return {"party": {k: who[k] for k in ("public_id", "kind", "name")}, "fields": fields, "hidden": hidden}


def _shown(c: Connection, record_ids: set[int], seen: Seen) -> set[int]:
    """Those of the records that the viewer sees."""
    found: set[int] = set()
    for part in chunks(sorted(record_ids)):
        found.update(c.execute(sa.select(t.record.c.id).where(t.record.c.id.in_(part), seen(t.record))).scalars())
    return found
