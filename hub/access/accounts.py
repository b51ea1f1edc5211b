"""Accounts: who may sign in. There is no default password and no default account.

Whoever gets an account gets a one-time code with it, which sets the password; an admin who was asked for help makes another
one. The first account of all is made with a code that the command line prints.
"""

import re
import unicodedata
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from secrets import token_bytes
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access import roles, sessions
from hub.access.errors import Forbidden, Invalid
from hub.access.keys import hashed, new_code, read_code
from hub.access.ledger import note
from hub.access.passwords import Passwords
from hub.access.viewer import Sees, Viewer
from hub.store import Store, add, add_ids, instant, instant_or_none, micros
from hub.store.tables_access import account, account_code, api_token

CODE_LASTS = timedelta(hours=24)
_ADDRESS = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{1,189}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
)


@dataclass(frozen=True)
class Account:
    """email: folded. roles: in the order of `roles.ROLES`. public_id: what the ledger calls it."""

    id: int
    public_id: str
    email: str
    name: str
    roles: tuple[str, ...]
    is_active: bool
    has_password: bool
    created_at: datetime
    changed_at: datetime
    signed_in_at: datetime | None

    @cached_property
    def permissions(self) -> frozenset[str]:
        return roles.allowed(self.roles)

    def viewer(self, via: str = "session") -> Viewer:
        return Viewer(self.id, self.name, self.permissions, Sees(self.email), self.public_id, via)


def fold(email: str) -> str:
    """An address in the one spelling it is kept in. Raises Invalid.

    ASCII only: folding other letters would make two addresses one. A domain in other letters is written as "xn--...".
    """
    found = email.strip()
    low = found.lower() if found.isascii() else found
    if not _ADDRESS.fullmatch(low):
        fix = "write it as ana@example.com" if found.isascii() else 'write it in ASCII, a domain as "xn--..."'
        raise Invalid("is no address", field="email", fix=fix)
    return low


def create(
    c: Connection, by: Viewer, email: str, name: str, given: Iterable[str], now: datetime
) -> tuple[Account, str]:
    """(the account, a one-time code that sets its password). Raises Forbidden, Invalid."""
    held = roles.checked_roles(given)
    _may_touch(by, held)
    made = insert(c, fold(email), name, held, by.actor, now)
    return made, _new_code(c, made.id, now)


def insert(
    c: Connection, email: str, name: str, held: tuple[str, ...], actor: str, now: datetime, **detail: Any
) -> Account:
    """An account without a password. email: folded. Raises Invalid where the address has one."""
    if find(c, email):
        raise Invalid("has an account already", field="email", fix="`ihub user show` it, or take another")
    called = _name(name) if name.strip() else email.partition("@")[0]
    public_id = "u" + b32encode(token_bytes(15)).decode().lower()
    row = {
        "public_id": public_id, "email": email, "name": called, "roles": " ".join(held), "created_at": micros(now),
        "changed_at": micros(now),
    }  # fmt: skip
    [number] = add_ids(c, account, [row])
    note(c, now, "account-made", actor or public_id, number, roles=list(held), **detail)
    return get(c, number)


def code(c: Connection, by: Viewer, account_id: int, now: datetime) -> str:
    """Another one-time code, which sets a password; earlier ones are worth nothing from here on."""
    found = get(c, account_id)
    _may_touch(by, found.roles)
    if not found.is_active:
        raise Invalid("is disabled", field="account", fix="enable it first")
    note(c, now, "account-code", by.actor, account_id)
    return _new_code(c, account_id, now)


def first_code(c: Connection, by: Viewer, now: datetime) -> str:
    """A code that makes the first account, an admin's. Raises Invalid where there are accounts."""
    by.must(roles.USERS_MANAGE)
    if has_any(c):
        raise Invalid(
            "exist already", field="accounts", fix="`ihub user add` makes more, `ihub user code EMAIL` lets one in"
        )
    c.execute(sa.delete(account_code).where(account_code.c.account_id.is_(None)))
    note(c, now, "account-code", by.actor)
    return _new_code(c, None, now)


def set_up(
    store: Store, passwords: Passwords, typed: str, email: str, name: str, password: str, now: datetime
) -> Account:
    """Make the first account with its code. Raises Invalid; the code is then as good as before."""
    folded = fold(email)
    called = _name(name)
    passwords.check(password, folded, called)
    with store.read() as c:
        _code_row(c, typed, now, is_first=True)
    kept = passwords.hash(password)
    with store.write() as c:
        _take_code(c, typed, now, is_first=True)
        if has_any(c):
            raise Invalid("was made already", field="account", fix="sign in")
        made = insert(c, folded, called, ("admin",), "", now)
        _keep_password(c, made, kept, now)
        return get(c, made.id)


def set_password(store: Store, passwords: Passwords, typed: str, password: str, now: datetime) -> Account:
    """Set a password with a one-time code; whoever was signed in with the old one is not any more.

    Raises Invalid: for a password that may not be, the code is as good as before.
    """
    with store.read() as c:
        of = _code_row(c, typed, now)
        found = get(c, of)
    passwords.check(password, found.email, found.name)
    kept = passwords.hash(password)
    with store.write() as c:
        _take_code(c, typed, now)
        _keep_password(c, found, kept, now)
        return get(c, of)


def change_password(c: Connection, found: Account, kept: str, now: datetime, session: str) -> None:
    """By the person itself, signed in with this session, which stays. kept: the new one's hash."""
    _keep_password(c, found, kept, now, but=session)


def set_roles(c: Connection, by: Viewer, account_id: int, given: Iterable[str], now: datetime) -> Account:
    """Raises Forbidden, Invalid: nobody takes the role of the last admin who can sign in."""
    found, held = get(c, account_id), roles.checked_roles(given)
    _may_touch(by, (*found.roles, *held))
    if "admin" not in held:
        _must_not_be_last(c, found)
    return put_roles(c, found, held, by.actor, now)


def put_roles(
    c: Connection, found: Account, held: tuple[str, ...], actor: str, now: datetime, **detail: Any
) -> Account:
    if held == found.roles:
        return found
    _change(c, found.id, now, roles=" ".join(held))
    note(c, now, "account-roles", actor, found.id, before=list(found.roles), after=list(held), **detail)
    return get(c, found.id)


def disable(c: Connection, by: Viewer, account_id: int, now: datetime) -> Account:
    """Nobody signs in with it; its sessions, tokens and codes end at once. Raises Forbidden, Invalid."""
    found = get(c, account_id)
    _may_touch(by, found.roles)
    if not found.is_active:
        raise Invalid("is disabled already", field="account", fix="`ihub user enable` takes it back")
    _must_not_be_last(c, found)
    _change(c, found.id, now, is_active=False)
    ended = sessions.end_of_account(c, found.id)
    live = sa.and_(api_token.c.account_id == found.id, api_token.c.revoked_at.is_(None))
    revoked = c.execute(sa.update(api_token).where(live).values(revoked_at=micros(now))).rowcount
    c.execute(sa.delete(account_code).where(account_code.c.account_id == found.id))
    note(c, now, "account-disabled", by.actor, found.id, sessions=ended, tokens=revoked)
    return get(c, found.id)


def enable(c: Connection, by: Viewer, account_id: int, now: datetime) -> Account:
    """It may sign in again; what was ended stays ended. Raises Forbidden, Invalid."""
    found = get(c, account_id)
    _may_touch(by, found.roles)
    if found.is_active:
        raise Invalid("is enabled already", field="account", fix="nothing is to be done")
    _change(c, found.id, now, is_active=True)
    note(c, now, "account-enabled", by.actor, found.id)
    return get(c, found.id)


def end_sessions(c: Connection, by: Viewer, account_id: int, now: datetime, *, only: str = "", but: str = "") -> int:
    """End all sessions of an account, by its owner or who manages accounts; `only`, `but`: as `sessions.end_of_account`."""
    found = get(c, account_id)
    if by.account_id != account_id:
        _may_touch(by, found.roles)
    ended = sessions.end_of_account(c, account_id, only=only, but=but)
    note(c, now, "sessions-ended", by.actor, account_id, sessions=ended)
    return ended


# --- looking ----------------------------------------------------------------------------------------------------------


def get(c: Connection, account_id: int) -> Account:
    """Raises Invalid for one there is not."""
    row = c.execute(sa.select(account).where(account.c.id == account_id)).first()
    if row is None:
        raise Invalid("is not there", field="account", fix="`ihub user list` shows them")
    return account_of(row)


def find(c: Connection, email: str) -> Account | None:
    """By address, in any spelling."""
    row = c.execute(sa.select(account).where(account.c.email == fold(email))).first()
    return account_of(row) if row else None


def named(c: Connection, email: str) -> Account:
    """By address. Raises Invalid for one there is not."""
    found = find(c, email)
    if found is None:
        raise Invalid(f"{email!r} has no account", field="email", fix="`ihub user list` shows them")
    return found


def listed(c: Connection) -> list[Account]:
    return [account_of(row) for row in c.execute(sa.select(account).order_by(account.c.email))]


def names(c: Connection, actors: Iterable[str]) -> dict[str, str]:
    """Who is meant by the actors in the ledger and in decisions: public id -> name, of those that are accounts."""
    query = sa.select(account.c.public_id, account.c.name).where(account.c.public_id.in_(sorted(set(actors))))
    return {public_id: name for public_id, name in c.execute(query)}


def has_any(c: Connection) -> bool:
    return c.execute(sa.select(account.c.id).limit(1)).first() is not None


def kept_password(c: Connection, account_id: int) -> str | None:
    found: str | None = c.execute(sa.select(account.c.password).where(account.c.id == account_id)).scalar()
    return found


def account_of(row: Any, prefix: str = "") -> Account:
    r = {name: getattr(row, prefix + name) for name in account.c.keys()}  # noqa: SIM118 - no dict
    held = r["roles"].split()
    return Account(
        r["id"], r["public_id"], r["email"], r["name"], tuple(role for role in roles.ROLES if role in held), bool(r["is_active"]),
        r["password"] is not None, instant(r["created_at"]), instant(r["changed_at"]), instant_or_none(r["signed_in_at"]),
    )  # fmt: skip


# --- inside -----------------------------------------------------------------------------------------------------------


def _name(name: str) -> str:
    clean = " ".join("".join(" " if unicodedata.category(ch)[0] == "C" else ch for ch in name).split())
    if not clean or len(clean) > 128:
        raise Invalid(
            "must have 1 to 128 characters", field="name", fix="write it as people read it, such as Ana Silva"
        )
    return clean


def _may_touch(by: Viewer, held: Iterable[str]) -> None:
    """Who manages accounts, and may do all that these roles may: a narrow token makes no admin."""
    by.must(roles.USERS_MANAGE)
    if over := sorted(roles.allowed(held) - by.permissions):
        more = roles.PERMISSIONS[over[0]]
        raise Forbidden(f"such an account may {more.what}, and you may not", permission=more.name, roles=more.roles)


def _must_not_be_last(c: Connection, found: Account) -> None:
    active = sa.select(account).where(account.c.is_active).order_by(account.c.id).with_for_update()  # of two, one waits
    admins = [a.id for a in map(account_of, c.execute(active)) if "admin" in a.roles]
    if admins == [found.id]:
        raise Invalid("is the last admin's", field="account", fix="make somebody else admin first")


def _change(c: Connection, account_id: int, now: datetime, **values: Any) -> None:
    c.execute(sa.update(account).where(account.c.id == account_id).values(**values, changed_at=micros(now)))


def _keep_password(c: Connection, found: Account, kept: str, now: datetime, but: str = "") -> None:
    _change(c, found.id, now, password=kept, password_at=micros(now))
    c.execute(sa.delete(account_code).where(account_code.c.account_id == found.id))
    ended = sessions.end_of_account(c, found.id, but=but)
    note(c, now, "account-password", found.public_id, found.id, sessions=ended)


def _new_code(c: Connection, account_id: int | None, now: datetime) -> str:
    if account_id is not None:
        c.execute(sa.delete(account_code).where(account_code.c.account_id == account_id))
    made = new_code()
    until = micros(now + CODE_LASTS)
    row = {"hash": hashed(made), "account_id": account_id, "created_at": micros(now), "expires_at": until}
    add(c, account_code, [row])
    return made


def _good(typed: str, now: datetime, is_first: bool) -> "sa.ColumnElement[bool]":
    whose = account_code.c.account_id.is_(None) if is_first else account_code.c.account_id.is_not(None)
    return sa.and_(account_code.c.hash == hashed(read_code(typed)), account_code.c.expires_at > micros(now), whose)


def _code_row(c: Connection, typed: str, now: datetime, is_first: bool = False) -> int:
    """The account a code is for (0: the first). Raises Invalid, the same for wrong, used and old ones."""
    row = c.execute(sa.select(account_code.c.account_id).where(_good(typed, now, is_first))).first()
    if row is None:
        raise _bad_code(is_first)
    return row.account_id or 0


def _take_code(c: Connection, typed: str, now: datetime, is_first: bool = False) -> None:
    """Use a code up: of two at once, one is refused."""
    if not c.execute(sa.delete(account_code).where(_good(typed, now, is_first))).rowcount:
        raise _bad_code(is_first)


def _bad_code(is_first: bool) -> Invalid:
    how = "`ihub user code` prints another" if is_first else "ask an admin for another (`ihub user code EMAIL`)"
    return Invalid("is wrong, was used, or is older than 24 hours", field="code", fix=how)
