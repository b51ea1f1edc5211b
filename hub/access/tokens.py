"""Tokens for programs: named, with scopes and an end, shown once, worth at most what their owner may do at that moment."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access import roles
from hub.access.accounts import account_of, get
from hub.access.errors import Forbidden, Invalid
from hub.access.keys import hashed, new_token, read_token
from hub.access.ledger import note
from hub.access.viewer import Sees, Viewer
from hub.store import Store, instant, instant_or_none, micros
from hub.store.tables_access import account, api_token

USUAL, LONGEST = timedelta(days=90), timedelta(days=365)
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Token:
    """id: the eight signs after "ihub_", which the ledger names it by."""

    id: str
    account_id: int
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """live, expired or revoked."""
        return "revoked" if self.revoked_at else "expired" if self.expires_at <= now else "live"


def create(
    c: Connection,
    by: Viewer,
    account_id: int,
    name: str,
    scopes: Iterable[str],
    now: datetime,
    lasts: timedelta = USUAL,
) -> tuple[str, Token]:
    """(the token, which is never shown again; what is kept of it).

    By its owner or by the operator at the machine; nobody gives a token what they may not do, nor the owner.
    Raises Forbidden, Invalid.
    """
    by.must(roles.TOKENS_OWN)
    if by.account_id not in (None, account_id):
        raise Forbidden(
            "a token is made by its owner, or with `ihub token create` at the machine", permission=roles.TOKENS_OWN
        )
    owner = get(c, account_id)
    wanted = roles.checked_scopes(scopes)
    label = " ".join(name.split())
    if not label or len(label) > 64:
        raise Invalid("must have 1 to 64 characters", field="name", fix="say what will use the token")
    if not timedelta(0) < lasts <= LONGEST:
        raise Invalid("must be 1 to 365 days", field="days", fix="leave it out for 90")
    if not owner.is_active:
        raise Invalid("is disabled", field="account", fix="enable it first")
    most = owner.permissions & by.permissions
    if over := sorted(wanted - most):
        fix = f"one of: {', '.join(sorted(most))}"
        raise Invalid(f"{over[0]} is more than {owner.email} may do", field="scope", fix=fix)
    number, token = new_token()
    values = {
        "id": number, "account_id": account_id, "name": label, "created_at": micros(now), "expires_at": micros(now + lasts)
    }  # fmt: skip
    c.execute(sa.insert(api_token).values(**values, hash=hashed(token), scopes=" ".join(sorted(wanted))))
    note(c, now, "token-made", by.actor, account_id, token=number, name=label, scopes=sorted(wanted))
    return token, Token(number, account_id, label, wanted, now, now + lasts, None, None)


def viewer(store: Store, text: str, now: datetime) -> Viewer | None:
    """Who the bearer of a token is; None for one that is wrong, expired or revoked, or whose account is disabled.

    Writes at most once a minute, when it was last used.
    """
    number = read_token(text)
    if number is None:
        return None
    with store.read() as c:
        row = c.execute(
            sa.select(api_token, account).join(account, account.c.id == api_token.c.account_id).where(api_token.c.id == number)
            .with_only_columns(*api_token.c, *(col.label(f"of_{col.name}") for col in account.c))
        ).first()  # fmt: skip
    kept = bytes(row.hash) if row else bytes(32)
    if not hmac.compare_digest(kept, hashed(text)) or row is None:
        return None
    found, owner = _token(row), account_of(row, "of_")
    if found.state(now) != "live" or not owner.is_active:
        return None
    if found.used_at is None or now - found.used_at >= _USED_EVERY:
        with store.write() as c:
            c.execute(sa.update(api_token).where(api_token.c.id == number).values(used_at=micros(now)))
    return Viewer(
        owner.id, owner.name, found.scopes & owner.permissions, Sees(owner.email), owner.public_id, f"token {number}"
    )


def listed(c: Connection, account_id: int | None = None) -> list[Token]:
    """Newest first; account_id: only this account's."""
    query = sa.select(api_token).order_by(api_token.c.created_at.desc(), api_token.c.id)
    if account_id is not None:
        query = query.where(api_token.c.account_id == account_id)
    return [_token(row) for row in c.execute(query)]


def revoke(c: Connection, by: Viewer, token_id: str, now: datetime) -> Token:
    """By its owner or by who manages accounts. Raises Invalid for one that is not there or is over."""
    row = c.execute(sa.select(api_token).where(api_token.c.id == token_id)).first()
    is_own = row is not None and by.account_id == row.account_id
    by.must(roles.TOKENS_OWN if is_own else roles.USERS_MANAGE)
    if row is None or row.revoked_at is not None:
        what = "was revoked already" if row else "is not there"
        raise Invalid(f"{token_id} {what}", field="token", fix="`ihub token list` shows them")
    c.execute(sa.update(api_token).where(api_token.c.id == token_id).values(revoked_at=micros(now)))
    note(c, now, "token-revoked", by.actor, row.account_id, token=token_id)
    return _token(row)


def _token(row: Any) -> Token:
    return Token(
        row.id, row.account_id, row.name, frozenset(row.scopes.split()), instant(row.created_at), instant(row.expires_at),
        instant_or_none(row.used_at), instant_or_none(row.revoked_at),
    )  # fmt: skip
