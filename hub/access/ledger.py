"""The ledger of access: who got in, who did not, who was given what. Rows are only ever added.

It names accounts by id, and a stranger by nothing: what somebody typed into a sign-in form may be a password.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import instant, micros
from hub.store.tables_access import access_event

ACTS = {
    "sign-in": "somebody signed in",
    "sign-in-refused": "somebody was not let in",
    "sign-out": "somebody signed out",
    "proof": "somebody signed in proved again to be it",
    "account-made": "an account was made",
    "account-roles": "an account got other roles",
    "account-disabled": "an account was disabled, its sessions and tokens with it",
    "account-enabled": "an account was enabled again",
    "account-code": "a one-time code was made, to set a password with",
    "account-password": "a password was set",
    "account-linked": "an account was tied to a sign-in provider's name for it",
    "tool-called": "an assistant asked something",
    "tool-refused": "an assistant was not given what it asked for",
    "sessions-ended": "sessions of an account were ended",
    "token-made": "a token was made",
    "token-revoked": "a token was revoked",
    "connection-seen": "a connection became one person's own, or the team's",
    "connection-signed-in": "an account was signed in for a connection, on a page",
    "connection-key": "keys of a connection were typed into the hub",
    "connection-let-go": "a connection was let go, on a page",
}


@dataclass(frozen=True)
class Event:
    """One row. actor: an account's public id, "local:<user>", or "" for a stranger."""

    id: int
    at: datetime
    act: str
    actor: str
    account_id: int | None
    address: str
    detail: dict[str, Any]


def note(
    c: Connection, now: datetime, act: str, actor: str, account_id: int | None = None, address: str = "", **detail: Any
) -> None:
    """Add a row, in the transaction of what it tells of."""
    if act not in ACTS:
        raise KeyError(act)
    c.execute(
        sa.insert(access_event).values(
            at=micros(now), act=act, actor=actor[:128], account_id=account_id, address=address[:64],
            detail=json.dumps(detail, sort_keys=True),
        )
    )  # fmt: skip


def events(c: Connection, limit: int = 50, before: int | None = None, account_id: int | None = None) -> list[Event]:
    """Newest first; before: only rows with a smaller id. account_id: only those about it."""
    query = sa.select(access_event).order_by(access_event.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(access_event.c.id < before)
    if account_id is not None:
        query = query.where(access_event.c.account_id == account_id)
    return [
        Event(r.id, instant(r.at), r.act, r.actor, r.account_id, r.address, json.loads(r.detail))
        for r in c.execute(query)
    ]
