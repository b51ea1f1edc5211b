"""Opt-outs that a destination has to hear of: a refusal told to one tool holds in all that the configuration names.

Nothing else about permissions is ever written: no opt-in, no way back.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change, Consent, Identifier
from hub.outbox.wanted import PHASES, Due, Scope, Wanted
from hub.parties import opted_out
from hub.store import among, chunks, digest, instant, short_id
from hub.store import tables as t

CHANNEL: Final = "email"
SCHEME = "email"


def refusals(c: Connection, scope: Scope, due: Due, made: Sequence[str] = ()) -> Iterator[list[Wanted]]:
    """One change per address that the destination holds without saying that its person is opted out.

    made: addresses of people it gets by the same plan: nobody is to be there for a moment without the refusal.
    """
    addresses: dict[str, list[dict[str, Any]]] = {}
    for row in c.execute(_held(scope)).mappings():
        addresses.setdefault(row["value"], []).append(dict(row))
    for value, last_out in c.execute(_OF_NEW, {"values": sorted(set(made) - addresses.keys())}) if made else ():
        addresses[value] = [{"value": value, "hash": b"", "last_out": last_out, "says": False}]
    for part in chunks(sorted(addresses)):
        keys = {value: short_id("c", CHANNEL, value) for value in part}
        sent = _sent(c, scope.connection_id, list(keys.values()))
        found = []
        for value, key in keys.items():
            rows = addresses[value]
            silent = sorted(bytes(r["hash"]) for r in rows if not r["says"])
            if not silent:
                due.unchanged += 1
                continue
            mark = digest(b"".join([str(rows[0]["last_out"]).encode(), *silent]))
            if sent.get(key) == mark:
                due.not_due["opt-outs written and not read back yet"] += 1
                continue
            entity = Consent(
                external_id=key, identifier=Identifier(SCHEME, value), channel=CHANNEL, state="opted_out",
                at=instant(rows[0]["last_out"]),
            )  # fmt: skip
            change = Change(key=key, kind="consent", op="upsert", entity=entity)
            found.append(Wanted(PHASES["consent"], "update", change, mark, title=value))
        yield found


def _held(scope: Scope) -> Any:
    """Addresses in the destination's living records whose person is opted out, and whether each record says so."""
    o, r, i, said = t.observation.c, t.record.c, t.identifier.c, t.consent.c
    out = opted_out()
    says = sa.exists().where(
        said.record_id == r.id, said.channel == CHANNEL, said.state == "opted_out", said.is_current
    )
    return (
        sa.select(i.value, r.hash, out.c.last_out, says.label("says"))
        .select_from(t.observation)
        .join(t.record, r.id == o.record_id)
        .join(t.stream, t.stream.c.id == r.stream_id)
        .join(t.identifier, i.id == o.identifier_id)
        .join(out, sa.and_(out.c.party_id == i.party_id, out.c.channel == CHANNEL))
        .where(
            t.stream.c.connection_id == scope.connection_id,
            t.stream.c.name.in_(scope.streams),
            r.gone_at.is_(None),
            i.scheme == SCHEME,
        )
        .order_by(i.value, r.id)
    )


_OUT = opted_out()
_OF_NEW = (
    sa.select(t.identifier.c.value, _OUT.c.last_out)
    .join(_OUT, sa.and_(_OUT.c.party_id == t.identifier.c.party_id, _OUT.c.channel == CHANNEL))
    .where(t.identifier.c.scheme == SCHEME, among(t.identifier.c.value))
)


def _sent(c: Connection, connection_id: int, keys: list[str]) -> dict[str, bytes]:
    r = t.remote.c
    query = sa.select(r.key, r.hash).where(r.connection_id == connection_id, r.kind == "consent", r.key.in_(keys))
    return {key: bytes(mark) for key, mark in c.execute(query) if mark is not None}
