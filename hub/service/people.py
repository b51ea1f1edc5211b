"""People of the hub: accounts, their sessions and tokens, and the ledger of who did what. Accounts are named by public id."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from hub.access import Account, Forbidden, Invalid, Session, Token, accounts, ledger, roles, sessions, tokens
from hub.access.roles import LEDGER_READ, TOKENS_OWN, USERS_MANAGE
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]


def listing(desk: Desk) -> list[Row]:
    """All accounts, by address."""
    with desk.reading(USERS_MANAGE) as (c, _):
        return [_account_row(a) for a in accounts.listed(c)]


def person(desk: Desk, public_id: str) -> Row:
    """{"account", "sessions", "tokens", "events"} of one account, events the latest 20. Raises NotFound."""
    with desk.reading(USERS_MANAGE) as (c, _):
        return _whole(desk, c, _named(c, public_id))


def myself(desk: Desk) -> Row:
    """The same of whoever asks, with "scopes": permission -> sentence, of those a token of theirs may have."""
    with desk.reading(TOKENS_OWN) as (c, _):
        mine = {name: row.what for name, row in roles.PERMISSIONS.items() if desk.viewer.may(name)}
        return {**_whole(desk, c, _own(desk, c)), "scopes": mine}


def add(desk: Desk, email: str, name: str, given: Iterable[str]) -> Row:
    """A new account: {"account", "code"}, the code being for its owner, once. Raises Forbidden, Invalid."""
    desk.viewer.must(USERS_MANAGE)
    with desk.engine.store.write() as c:
        made, code = accounts.create(c, desk.viewer, email, name, given, desk.now)
        return {"account": _account_row(made), "code": code}


def code(desk: Desk, public_id: str) -> Row:
    """Another one-time code: {"account", "code"}. Raises NotFound, Forbidden, Invalid."""
    with desk.engine.store.write() as c:
        of = _named(c, public_id, desk)
        return {"account": _account_row(of), "code": accounts.code(c, desk.viewer, of.id, desk.now)}


def set_roles(desk: Desk, public_id: str, given: Iterable[str]) -> Row:
    """These roles and no others. Raises NotFound, Forbidden, Invalid."""
    with desk.engine.store.write() as c:
        return _account_row(accounts.set_roles(c, desk.viewer, _named(c, public_id, desk).id, given, desk.now))


def enable(desk: Desk, public_id: str, is_active: bool) -> Row:
    """Let somebody in again, or nobody. Raises NotFound, Forbidden, Invalid."""
    act = accounts.enable if is_active else accounts.disable
    with desk.engine.store.write() as c:
        return _account_row(act(c, desk.viewer, _named(c, public_id, desk).id, desk.now))


def end_sessions(desk: Desk, public_id: str = "", *, only: str = "", but: str = "") -> int:
    """Sign somebody out; whoever asks, without a public id. only: of one session's id; but: the cookie that stays."""
    with desk.engine.store.write() as c:
        of = _named(c, public_id, desk) if public_id else _own(desk, c)
        return accounts.end_sessions(c, desk.viewer, of.id, desk.now, only=only, but=but)


def make_token(desk: Desk, name: str, scopes: Sequence[str], days: int) -> Row:
    """A token of one's own: {"token": the text, never shown again, ...}. Raises Invalid."""
    desk.viewer.must(TOKENS_OWN)
    with desk.engine.store.write() as c:
        mine = _own(desk, c)
        text, made = tokens.create(c, desk.viewer, mine.id, name, scopes, desk.now, timedelta(days=days))
        return {"token": text, **_token_row(made, desk.now)}


def revoke_token(desk: Desk, token_id: str) -> None:
    """By its owner, or who manages accounts. Raises Invalid."""
    with desk.engine.store.write() as c:
        tokens.revoke(c, desk.viewer, token_id, desk.now)


def events(desk: Desk, limit: int = 50, before: int | None = None) -> list[Row]:
    """The ledger, newest first: {"id", "at", "act", "what", "actor", "who", "about", "address", "detail"}."""
    with desk.reading(LEDGER_READ) as (c, _):
        return _told(c, ledger.events(c, limit, before))


def _account_row(a: Account) -> Row:
    return {
        "id": a.public_id, "email": a.email, "name": a.name, "roles": list(a.roles), "is_active": a.is_active,
        "has_password": a.has_password, "created_at": a.created_at, "signed_in_at": a.signed_in_at,
        "state": "disabled" if not a.is_active else "" if a.has_password or a.signed_in_at else "waiting for its owner",
    }  # fmt: skip


def _token_row(t: Token, now: datetime) -> Row:
    return {
        "id": t.id, "name": t.name, "scopes": sorted(t.scopes), "state": t.state(now), "created_at": t.created_at,
        "expires_at": t.expires_at, "used_at": t.used_at,
    }  # fmt: skip


def _session_row(s: Session) -> Row:
    return {
        "id": s.id, "method": s.method, "since": s.created_at, "seen_at": s.seen_at, "address": s.address, "agent": s.agent,
    }  # fmt: skip


def _whole(desk: Desk, c: Connection, of: Account) -> Row:
    return {
        "account": _account_row(of),
        "sessions": [_session_row(s) for s in sessions.of_account(c, of.id, desk.now)],
        "tokens": [_token_row(t, desk.now) for t in tokens.listed(c, of.id)],
        "events": _told(c, ledger.events(c, 20, account_id=of.id)),
    }


def _told(c: Connection, found: Sequence[ledger.Event]) -> list[Row]:
    emails = {a.id: a.email for a in accounts.listed(c)} if found else {}
    names = accounts.names(c, [e.actor for e in found])
    return [
        {
            "id": e.id, "at": e.at, "act": e.act, "what": ledger.ACTS[e.act], "actor": e.actor,
            "who": names.get(e.actor) or e.actor.removeprefix("local:") or "a stranger",
            "about": emails.get(e.account_id or 0, ""), "address": e.address, "detail": e.detail,
        }
        for e in found
    ]  # fmt: skip


def _named(c: Connection, public_id: str, desk: Desk | None = None) -> Account:
    """desk: of whoever wants to change it, asked for the permission before they learn whether it is there."""
    if desk is not None:
        desk.viewer.must(USERS_MANAGE)
    found = next((a for a in accounts.listed(c) if a.public_id == public_id), None)
    if found is None:
        raise NotFound(f"there is no account {public_id!r}: the list of people has their ids")
    return found


def _own(desk: Desk, c: Connection) -> Account:
    if desk.viewer.account_id is None:
        raise Forbidden("whoever sits at the machine has no account: `ihub user` manages them", permission=TOKENS_OWN)
    try:
        return accounts.get(c, desk.viewer.account_id)
    except Invalid:
        raise NotFound("the account is gone") from None
