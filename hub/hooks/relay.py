"""From marks to events, and from events to the lines of the endpoints that want them: one transaction for each batch.

Who may hear of what is decided here, before anything is stored. An event is written once for each audience, that is, for
all endpoints with the same eyes, as the bytes that every try will send.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.hooks import kinds, line
from hub.hooks.changes import MOST_CUSTOMERS, changes
from hub.hooks.endpoints import Endpoint, endpoints
from hub.hooks.told import Change, Mark
from hub.store import Store, add, among, fetch, instant, micros, tell
from hub.store.tables_access import account
from hub.store.tables_hooks import event, mark

BATCH = 5_000  # some tenths of a second, in which nobody else writes to SQLite
REST = "/api/v1"

_m = mark.c
_COLUMNS = (_m.id, _m.kind, _m.row_id, _m.op, _m.fields, _m.other, _m.text)
_MARKS = sa.select(*_COLUMNS).where(_m.id > sa.bindparam("after")).order_by(_m.id).limit(sa.bindparam("most"))
_ANY = sa.select(_m.id).limit(1)
_BARRED = sa.select(account.c.email).where(account.c.is_active.is_(sa.false()))  # their mailboxes are nobody's any more
_LAST = sa.select(sa.func.coalesce(sa.func.max(event.c.id), 0))
_TAKE = sa.delete(mark).where(among(_m.id))


@dataclass(frozen=True)
class Relayed:
    """marks: how many were read; 0 when there were none. events: how many were made of them."""

    marks: int = 0
    events: int = 0


def relay(store: Store, now: datetime, source: str, base_url: str = "", batch: int = BATCH) -> Relayed:
    """Turn what was noted into events, and put each in line wherever it is wanted.

    source: of this installation (`endpoints.source`). base_url: of the REST API, in front of the links.
    Call it until it reads nothing. Whatever goes wrong, the marks stay, and nothing is told twice or not at all.
    """
    with store.read() as c:
        if not fetch(c, _ANY):
            return Relayed()
    with store.write() as c:
        there = endpoints(c)
        line.lock(c, [e.id for e in there])
        found = _whole([Mark(*row) for row in fetch(c, _MARKS, after=0, most=batch)], c, batch)
        barred, made = {email for (email,) in fetch(c, _BARRED)}, 0
        for owner in sorted({e.owner for e in there}):
            listening = [e for e in there if e.owner == owner]
            named = [
                (what, kinds.type_of(what.resource, what.action))
                for what in changes(c, found, "" if owner in barred else owner)
            ]
            wanted = [(what, name) for what, name in named if any(kinds.matches(e.events, name) for e in listening)]
            made += len(wanted)
            _write(c, owner, listening, wanted, now, source, base_url)
        tell(c, _TAKE, [{"values": [m.id for m in found]}])
    return Relayed(len(found), made)


def _whole(found: list[Mark], c: Connection, batch: int) -> list[Mark]:
    """With what was noted of the same things a little later: a batch should not end in the middle of a transaction."""
    if len(found) < batch:
        return found
    things = {(m.kind, m.row_id) for m in found}
    later = (Mark(*row) for row in fetch(c, _MARKS, after=found[-1].id, most=batch // 4))
    return found + [m for m in later if (m.kind, m.row_id) in things]


def _write(
    c: Connection, audience: str, listening: Sequence[Endpoint], wanted: Sequence[tuple[Change, str]], now: datetime,
    source: str, base_url: str,
) -> None:  # fmt: skip
    rows: list[dict[str, Any]] = []
    first = int(fetch(c, _LAST)[0][0]) + 1  # ours to name: whoever else relays waits for the endpoints' rows
    for number, (what, name) in enumerate(wanted, first):
        keys = sorted({what.subject, *what.customers[:MOST_CUSTOMERS]})
        at = what.at if what.at is not None else micros(now)
        rows.append({
            "id": number, "public_id": f"evt_{secrets.token_hex(12)}", "audience": audience, "type": name, "subject": what.subject,
            "at": micros(now), "lanes": json.dumps(keys), "body": "",
        })  # fmt: skip
        rows[-1]["body"] = _body(what, name, rows[-1]["public_id"], number, at, source, base_url)
    add(c, event, rows)
    for to in listening:
        line.enqueue(c, to.id, [
            (row["id"], json.loads(row["lanes"])) for row in rows if kinds.matches(to.events, row["type"])
        ], micros(now))  # fmt: skip


def _body(what: Change, name: str, public_id: str, number: int, at: int, source: str, base_url: str) -> str:
    """The event as it is sent: CloudEvents 1.0, structured JSON. Ids and names of fields; no values, no texts."""
    changed = what.fields if what.action == "updated" else []
    base = f"{base_url.rstrip('/')}{REST}/"
    data = {
        "id": what.subject, "kind": what.kind, "changed": changed, "customers": what.customers[:MOST_CUSTOMERS],
        **what.more, "links": {name: base + path for name, path in what.links.items()},
    }  # fmt: skip
    return json.dumps(
        envelope(name, public_id, what.subject, at, source) | {"sequence": f"{number:020d}"} | {"data": data},
        ensure_ascii=False,
    )


def envelope(name: str, public_id: str, subject: str, at: int, source: str) -> dict[str, Any]:
    """CloudEvents' own attributes. at: microseconds."""
    return {
        "specversion": "1.0", "id": public_id, "source": source, "type": name, "subject": subject,
        "time": instant(at).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json", "dataschema": f"urn:interaction-hub:schema:{name}",
    }  # fmt: skip
