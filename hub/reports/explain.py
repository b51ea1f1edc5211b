"""Why is this here: one timeline entry from its sources through every decision to the destination."""

import json
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.seen import Seen, everything
from hub.reports.timeline import entries, sources, text_of
from hub.store import instant, instant_or_none
from hub.store import tables as t


def explain(c: Connection, public_id: str, seen: Seen = everything) -> dict[str, Any]:
    """Everything the hub knows of one interaction. Raises KeyError when there is none."""
    row = (
        c.execute(sa.select(t.interaction).where(t.interaction.c.public_id == public_id, seen(t.interaction)))
        .mappings()
        .first()
    )
    if row is None:
        raise KeyError(public_id)
    iid = row["id"]
    text, full = text_of(c, iid)
    found = entries(c, [iid], seen)[0]
    return {
        **found, "text": text, "has_more": full != text, "is_gone": row["gone_at"] is not None,
        "sources": [s for _, s in sources(c, [iid], seen)],
        "fused_by": list(c.execute(sa.select(t.dedup_key.c.key).where(t.dedup_key.c.interaction_id == iid)).scalars()),
        "conversation": _conversation(c, row["conversation_id"], seen), "identity": _identity(c, iid, seen),
        "attachments": [dict(r) for r in c.execute(_files(iid)).mappings()], "pushes": _pushes(c, public_id),
    }  # fmt: skip


def _files(iid: int) -> Any:
    a = t.attachment.c
    return sa.select(a.filename, a.media_type, a.size, a.external_id).where(a.interaction_id == iid)


def _conversation(c: Connection, conversation_id: int | None, seen: Seen) -> dict[str, Any] | None:
    if conversation_id is None:
        return None
    mine = sa.and_(t.interaction.c.conversation_id == conversation_id, seen(t.interaction))
    n, first, last = c.execute(
        sa.select(
            sa.func.count(), sa.func.min(t.interaction.c.occurred_at), sa.func.max(t.interaction.c.occurred_at)
        ).where(mine)
    ).one()
    refs = c.execute(
        sa.select(t.thread_ref.c.ref)
        .where(t.thread_ref.c.conversation_id == conversation_id)
        .order_by(t.thread_ref.c.ref)
        .limit(20)
    ).scalars()
    return {
        "id": conversation_id, "interactions": n, "first_at": instant_or_none(first), "last_at": instant_or_none(last),
        "joined_by": list(refs),
    }  # fmt: skip


def _identity(c: Connection, iid: int, seen: Seen) -> list[dict[str, Any]]:
    """Each identifier that takes part: how it is shared, whose it is, and the decisions that made it so."""
    query = (
        sa.select(
            t.identifier.c.id, t.identifier.c.value, t.identifier.c.scheme, t.identifier.c.sharing,
            t.identifier.c.match_value, t.party.c.name, t.party.c.kind, t.party.c.public_id,
        )
        .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
        .join(t.party, t.party.c.id == t.identifier.c.party_id)
        .where(t.participation.c.interaction_id == iid, seen(t.participation))
        .distinct()
        .order_by(t.identifier.c.value)
    )  # fmt: skip
    found = []
    for r in c.execute(query).mappings():
        d = t.decision.c
        decisions = c.execute(
            sa.select(t.decision).where(
                sa.or_(d.left_identifier_id == r["id"], d.right_identifier_id == r["id"]),
                d.revoked_at.is_(None),
                d.verdict != "none",
            )
        ).mappings()
        found.append({
            "address": r["value"], "scheme": r["scheme"], "sharing": r["sharing"], "match_key": r["match_value"],
            "party": {"public_id": r["public_id"], "name": r["name"], "kind": r["kind"]},
            "decisions": [
                {"verdict": x["verdict"], "kind": x["kind"], "rule": x["rule"], "by": x["actor"], "at": instant(x["decided_at"]),
                 "act": x["act"], "weight": x["weight"], "version": x["version"], "reasons": json.loads(x["reasons"])}
                for x in decisions
            ],
        })  # fmt: skip
    return found


def _pushes(c: Connection, key: str) -> list[dict[str, Any]]:
    """Every change made of it at a destination, each attempt with its answer."""
    query = (
        sa.select(t.change, t.plan.c.status.label("plan_status"), t.connection.c.name.label("connection"))
        .join(t.plan, t.plan.c.id == t.change.c.plan_id)
        .join(t.connection, t.connection.c.id == t.plan.c.connection_id)
        .where(t.change.c.key == key)
        .order_by(t.change.c.id)
    )
    found = []
    for r in c.execute(query).mappings().all():
        receipt = msgspec.msgpack.decode(r["receipt"]) if r["receipt"] else {}
        attempts = c.execute(
            sa.select(t.journal).where(t.journal.c.change_id == r["id"]).order_by(t.journal.c.attempt)
        ).mappings()
        found.append({
            "plan": r["plan_id"], "plan_status": r["plan_status"], "destination": r["connection"], "effect": r["effect"],
            "state": r["state"], "outcome": r["outcome"], "remote_id": receipt.get("remote_id", ""), "error": r["error"],
            "attempts": [
                {"attempt": a["attempt"], "sent_at": instant(a["sent_at"]), "answered_at": instant_or_none(a["answered_at"]),
                 "outcome": a["outcome"]} for a in attempts
            ],
        })  # fmt: skip
    return found
