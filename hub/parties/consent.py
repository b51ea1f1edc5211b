"""Permissions: every statement is kept, a refusal stands until the person lifts it with evidence.

A person is opted out on a channel when any tool ever told of a refusal at or after the last explicit opt-in that came
with evidence. A tool that forgets, overwrites or "re-subscribes" therefore changes nothing. The hub itself never tells
any tool that somebody opted in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Consent
from hub.store import add, among, fetch, instant, micros, put
from hub.store import tables as t
from hub.store import tell as carry_out

State = Literal["opted_in", "opted_out", "unknown"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a party stands on one channel. at: microseconds UTC of the statement that decides; None for unknown."""

    state: State
    at: int | None = None


def fold(last_out: int | None, last_in: int | None) -> Standing:
    """last_out: the latest refusal; last_in: the latest opt-in with evidence. A tie is a refusal."""
    if last_out is not None and (last_in is None or last_out >= last_in):
        return Standing("opted_out", last_out)
    return Standing("opted_in", last_in) if last_in is not None else Standing("unknown")


def tell(c: Connection, told: Sequence[tuple[int, Sequence[tuple[int, Consent]]]]) -> None:
    """What records say now: (record id, [(identifier id, consent)]). What they said before stays, as said before."""
    records = [rid for rid, _ in told]
    if not records:
        return
    carry_out(c, _PAST, [{"values": records}])
    rows = {
        (rid, iid, e.channel, e.state, micros(e.at)): {
            "record_id": rid, "identifier_id": iid, "channel": e.channel, "state": e.state, "at": micros(e.at),
            "evidence": e.evidence, "is_current": True,
        }
        for rid, consents in told
        for iid, e in consents
    }  # fmt: skip
    put(c, t.consent, list(rows.values()))


_FORGET = sa.delete(t.consent).where(among(t.consent.c.record_id))
_PAST = sa.update(t.consent).where(among(t.consent.c.record_id), t.consent.c.is_current).values(is_current=False)


def _folded() -> Any:
    """(party_id, channel, last_out, last_in) over all identifiers of each party."""
    says, at = t.consent.c, t.consent.c.at
    return (
        sa.select(
            t.identifier.c.party_id, says.channel,
            sa.func.max(sa.case((says.state == "opted_out", at))).label("last_out"),
            sa.func.max(sa.case((sa.and_(says.state == "opted_in", says.evidence != ""), at))).label("last_in"),
        )
        .join(t.identifier, t.identifier.c.id == says.identifier_id)
        .group_by(t.identifier.c.party_id, says.channel)
    )  # fmt: skip


_OF_PARTIES = _folded().where(among(t.identifier.c.party_id))


def standing(c: Connection, party_ids: Sequence[int]) -> dict[tuple[int, str], Standing]:
    """(party, channel) -> where it stands; channels nobody spoke of are left out."""
    rows = fetch(c, _OF_PARTIES, values=party_ids)
    return {(pid, channel): fold(last_out, last_in) for pid, channel, last_out, last_in in rows}


def opted_out() -> Any:
    """A subquery (party_id, channel, last_out) of everybody who is opted out."""
    f = _folded().subquery()
    stands = sa.and_(f.c.last_out.is_not(None), sa.or_(f.c.last_in.is_(None), f.c.last_out >= f.c.last_in))
    return sa.select(f.c.party_id, f.c.channel, f.c.last_out).where(stands).subquery()


_ADDRESSES = sa.select(t.identifier.c.id, t.identifier.c.party_id, t.identifier.c.scheme).where(
    among(t.identifier.c.party_id)
)
_TELLERS = (
    sa.select(t.identifier.c.party_id, t.consent.c.channel, t.consent.c.at, t.consent.c.record_id)
    .join(t.identifier, t.identifier.c.id == t.consent.c.identifier_id)
    .where(among(t.identifier.c.party_id), t.consent.c.state == "opted_out")
    .order_by(t.consent.c.record_id)
)
BY_PHONE = {"phone", "sms"}


def outlive(c: Connection, record_ids: Sequence[int], party_ids: Sequence[int], stand_in: int) -> None:
    """What these records told goes; a refusal that stands for one of the parties stays, for each of its addresses.

    It is told by the record `stand_in` from now on: address, channel and time, no evidence. For each address, because
    what joined them may go with the records, and nobody may be written to again for that.
    """
    put(c, t.consent, [{**r, "record_id": stand_in} for r in _for_each_address(c, party_ids)])
    carry_out(c, _FORGET, [{"values": record_ids}])


def stay(c: Connection, party_ids: Sequence[int]) -> None:
    """Before parties are parted: a refusal that stands for one stands for each of its addresses, whosever they are then."""
    rows = _for_each_address(c, party_ids)
    if rows:
        add(c, t.consent, rows)


def _for_each_address(c: Connection, party_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of `consent`: what stands refused for a party, by each of its addresses, told by the record that told it."""
    stands = standing(c, party_ids) if party_ids else {}
    refused = [(pid, channel, s.at) for (pid, channel), s in stands.items() if s.state == "opted_out"]
    addresses: dict[int, list[tuple[int, str]]] = {}
    tellers: dict[tuple[int, str, int], int] = {}
    people = sorted({pid for pid, _, _ in refused})
    for iid, pid, scheme in fetch(c, _ADDRESSES, values=people) if people else ():
        addresses.setdefault(pid, []).append((iid, scheme))
    for pid, channel, at, rid in fetch(c, _TELLERS, values=people) if people else ():
        tellers.setdefault((pid, channel, at), rid)
    rows = []
    for pid, channel, at in refused:
        wanted = "phone" if channel in BY_PHONE else "email"
        fitting = [iid for iid, scheme in addresses[pid] if scheme == wanted] or [iid for iid, _ in addresses[pid]]
        rows += [
            {
                "record_id": tellers[pid, channel, at or 0], "identifier_id": iid, "channel": channel,
                "state": "opted_out", "at": at, "evidence": "", "is_current": False,
            }
            for iid in fitting
        ]  # fmt: skip
    return rows


def history(c: Connection, party_id: int) -> list[dict[str, Any]]:
    """Everything told of a party's permissions, newest first, with who told it."""
    says = t.consent.c
    query = (
        sa.select(says.channel, says.state, says.at, says.evidence, says.is_current, t.connection.c.name)
        .join(t.identifier, t.identifier.c.id == says.identifier_id)
        .join(t.record, t.record.c.id == says.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(t.identifier.c.party_id == party_id)
        .order_by(says.at.desc(), says.state.desc(), t.connection.c.name)
    )
    return [
        {"channel": ch, "state": state, "at": instant(at), "evidence": evidence, "is_current": now, "source": name}
        for ch, state, at, evidence, now, name in c.execute(query)
    ]
