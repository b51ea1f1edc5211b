"""Opt-outs that a destination has to hear of: a refusal told to one tool holds in all that the configuration names.

Nothing else about permissions is ever written: no opt-in, no way back.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Change, Consent, Identifier
from hub.outbox.wanted import PHASES, Due, Scope, Wanted
from hub.parties import opted_out
from hub.store import among, chunks, digest, fetch, instant, short_id
from hub.store import tables as t

CHANNEL: Final = "email"
SCHEME = "email"


def refusals(c: Connection, scope: Scope, due: Due, made: Sequence[str] = ()) -> Iterator[list[Wanted]]:
    """One change per address that the destination holds without saying that its person is opted out.

    made: addresses of people it gets by the same plan: nobody is to be there for a moment without the refusal.
    """
    addresses: dict[str, list[tuple[bytes, int, bool]]] = {}  # of each record that lists it: hash, since when, says so
    for value, *row in fetch(c, _HELD, of=scope.connection_id, streams=scope.streams):
        addresses.setdefault(value, []).append((bytes(row[0]), row[1], bool(row[2])))
    for value, last_out in fetch(c, _OF_NEW, values=sorted(set(made) - addresses.keys())) if made else ():
        addresses[value] = [(b"", last_out, False)]
    for part in chunks(sorted(addresses)):
        keys = {value: short_id("c", CHANNEL, value) for value in part}
        sent = _sent(c, scope.connection_id, list(keys.values()))
        found = []
        for value, key in keys.items():
            rows = addresses[value]
            silent = sorted(mark for mark, _, says in rows if not says)
            if not silent:
                due.unchanged += 1
                continue
            last_out = rows[0][1]
            mark = digest(b"".join([str(last_out).encode(), *silent]))
            if sent.get(key) == mark:
                due.not_due["opt-outs written and not read back yet"] += 1
                continue
            entity = Consent(
                external_id=key, identifier=Identifier(SCHEME, value), channel=CHANNEL, state="opted_out",
                at=instant(last_out),
            )  # fmt: skip
            change = Change(key=key, kind="consent", op="upsert", entity=entity)
            found.append(Wanted(PHASES["consent"], "update", change, mark, title=value))
        yield found


_OUT = opted_out()
_o, _r, _i, _said = t.observation.c, t.record.c, t.identifier.c, t.consent.c
_says = sa.exists().where(
    _said.record_id == _r.id, _said.channel == CHANNEL, _said.state == "opted_out", _said.is_current
)
_HELD = (  # addresses in the destination's living records whose person is opted out, and whether each record says so
    sa.select(_i.value, _r.hash, _OUT.c.last_out, _says.label("says"))
    .select_from(t.observation)
    .join(t.record, _r.id == _o.record_id)
    .join(t.stream, t.stream.c.id == _r.stream_id)
    .join(t.identifier, _i.id == _o.identifier_id)
    .join(_OUT, sa.and_(_OUT.c.party_id == _i.party_id, _OUT.c.channel == CHANNEL))
    .where(
        t.stream.c.connection_id == sa.bindparam("of"), among(t.stream.c.name, "streams"), _r.gone_at.is_(None),
        _i.scheme == SCHEME,
    )
    .order_by(_i.value, _r.id)
)  # fmt: skip
_OF_NEW = (
    sa.select(t.identifier.c.value, _OUT.c.last_out)
    .join(_OUT, sa.and_(_OUT.c.party_id == t.identifier.c.party_id, _OUT.c.channel == CHANNEL))
    .where(t.identifier.c.scheme == SCHEME, among(t.identifier.c.value))
)


_SENT = sa.select(t.remote.c.key, t.remote.c.hash).where(
    t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.kind == "consent", among(t.remote.c.key)
)


def _sent(c: Connection, connection_id: int, keys: list[str]) -> dict[str, bytes]:
    rows = fetch(c, _SENT, of=connection_id, values=keys)
    return {key: bytes(mark) for key, mark in rows if mark is not None}
