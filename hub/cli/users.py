"""`ihub user` and `ihub token`: who may sign in, what they may do, and tokens for programs."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub.cli import OK, USAGE, UsageError
from hub.cli.opening import load_settings, user
from hub.cli.output import Screen
from hub.cli.running import fail
from hub.cli.text import clean, moment, plural

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from hub.access import Account, Token, Viewer
    from hub.store import Store

Row = dict[str, Any]
USER_FORMS = {  # verb: what follows it, and what it does
    "add": ("EMAIL --role R", "make an account; prints its owner's one-time code"),
    "list": ("", "the accounts"),
    "show": ("EMAIL", "one account, its sessions, tokens and history"),
    "role": ("EMAIL ROLE...", "give other roles; these and no others"),
    "disable": ("EMAIL", "let nobody in with it; sessions and tokens end"),
    "enable": ("EMAIL", "take that back"),
    "code": ("[EMAIL]", "another one-time code; alone, the first account's"),
    "end-sessions": ("EMAIL", "sign somebody out everywhere"),
    "roles": ("", "what each role may do"),
}
TOKEN_FORMS = {
    "create": ("EMAIL --name N --scope S", "make a token; it is shown once"),
    "list": ("[EMAIL]", "the tokens"),
    "revoke": ("ID", "make a token worthless"),
}


def args_user(p: argparse.ArgumentParser) -> None:
    _forms(p, USER_FORMS)
    p.add_argument("--role", metavar="R", action="append", default=[], help="add: a role; repeatable")
    p.add_argument("--name", metavar="N", default="", help="add: how people read it")


def args_token(p: argparse.ArgumentParser) -> None:
    _forms(p, TOKEN_FORMS)
    p.add_argument("--name", metavar="N", default="", help="create: what will use it")
    p.add_argument("--scope", metavar="S", action="append", default=[], help="create: a permission; repeatable")
    p.add_argument("--days", metavar="N", type=_days, default=90, help="create: how long it lasts (90, at most 365)")


def _forms(p: argparse.ArgumentParser, forms: dict[str, tuple[str, str]]) -> None:
    shown = "\n".join(f"  {f'{verb} {words}'.rstrip():<28} {what}" for verb, (words, what) in forms.items())
    p.epilog = f"verbs:\n{shown}"
    p.add_argument("verb", metavar="VERB", choices=tuple(forms), help="what to do; below")
    p.add_argument("words", metavar="...", nargs="*", help="whom or what it is about")


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 365:
        raise argparse.ArgumentTypeError("must be a whole number of days, 1 to 365")
    return int(text)


def run_user(args: argparse.Namespace, screen: Screen) -> int:
    return _run(args, screen, "user", USER_FORMS, _USER)


def run_token(args: argparse.Namespace, screen: Screen) -> int:
    return _run(args, screen, "token", TOKEN_FORMS, _TOKEN)


@dataclass
class _Desk:
    """What every verb works with: a transaction, whoever sits here, and the time."""

    c: "Connection"
    by: "Viewer"
    now: datetime
    screen: Screen
    args: argparse.Namespace

    def account(self) -> "Account":
        from hub.access import accounts

        return accounts.named(self.c, self.args.words[0])


def _run(args: argparse.Namespace, screen: Screen, command: str, forms: dict[str, tuple[str, str]], verbs: Row) -> int:
    words, _ = forms[args.verb]
    wanted = [word for word in words.partition(" --")[0].split() if word]
    least = sum(not word.startswith("[") for word in wanted)
    most = None if words.endswith("...") else len(wanted)
    if len(args.words) < least or (most is not None and len(args.words) > most):
        raise UsageError(f"it is `{f'ihub {command} {args.verb} {words}'.rstrip()}`")
    from hub.access import Invalid, Viewer
    from hub.api import Clock

    if args.verb == "roles":
        return _roles(screen)
    with _store(args, screen) as store:
        try:
            with store.read() if args.verb in {"list", "show"} else store.write() as c:
                code: int = verbs[args.verb](_Desk(c, Viewer.local(user()), Clock().now(), screen, args))
        except Invalid as exc:
            return fail(screen, USAGE, str(exc))
    return code


@contextmanager
def _store(args: argparse.Namespace, screen: Screen) -> "Iterator[Store]":
    from hub.store import Store

    settings = load_settings(args)
    screen.zone = settings.hub.zone
    store = Store.open(settings.hub.database_url)
    try:
        yield store
    finally:
        store.close()


# --- accounts -----------------------------------------------------------------------------------------------------------


def _add(d: _Desk) -> int:
    from hub.access import accounts

    found, code = accounts.create(d.c, d.by, d.args.words[0], d.args.name, d.args.role, d.now)
    d.screen.line(f"{found.email} has an account: {', '.join(found.roles)}.", "green")
    return _show_code(d, code, found)


def _code(d: _Desk) -> int:
    from hub.access import accounts

    if not d.args.words:
        return _show_code(d, accounts.first_code(d.c, d.by, d.now), None)
    found = d.account()
    return _show_code(d, accounts.code(d.c, d.by, found.id, d.now), found)


def _show_code(d: _Desk, code: str, found: "Account | None") -> int:
    from hub.access.accounts import CODE_LASTS

    until = d.now + CODE_LASTS
    d.screen.emit({"account": _plain(found) if found else None, "code": code, "expires_at": until})
    d.screen.line(f"Code: {code}", "bold")
    who = (
        "Whoever types it makes the first account, an admin's"
        if found is None
        else "Its owner types it and sets a password"
    )
    d.screen.hint(
        f"{who}, at /sign-in/code of the pages that `ihub serve` serves. It works once, until {moment(until, d.screen.zone)}. "
        "Programs need no password: `ihub token create`."
    )
    return OK


def _list(d: _Desk) -> int:
    from hub.access import accounts

    found = accounts.listed(d.c)
    d.screen.emit({"accounts": [_plain(a) for a in found]})
    rows = [(a.email, a.name, ", ".join(a.roles), _state(a), _when(d, a.signed_in_at)) for a in found]
    d.screen.table(("account", "name", "roles", "", "last signed in"), rows)
    if not found:
        d.screen.line("There is no account yet.")
        d.screen.hint("`ihub user code` prints a code that makes the first one, an admin's.")
    return OK


def _show(d: _Desk) -> int:
    from hub.access import accounts, ledger, sessions, tokens

    found = d.account()
    open_now = sessions.of_account(d.c, found.id, d.now)
    made = tokens.listed(d.c, found.id)
    events = ledger.events(d.c, 20, account_id=found.id)
    names = accounts.names(d.c, [e.actor for e in events])
    d.screen.emit({
        "account": _plain(found),
        "sessions": [
            {"id": s.id, "method": s.method, "since": s.created_at, "seen_at": s.seen_at, "address": s.address, "agent": s.agent}
            for s in open_now
        ],
        "tokens": [_plain_token(t, found.email, d.now) for t in made],
        "events": [{"at": e.at, "act": e.act, "actor": e.actor, "address": e.address, "detail": e.detail} for e in events],
    })  # fmt: skip
    d.screen.ends(found.email, _state(found), "bold")
    d.screen.fields([
        ("name", found.name), ("roles", ", ".join(found.roles)), ("made", _when(d, found.created_at)),
        ("signed in", _when(d, found.signed_in_at)), ("id", found.public_id),
    ])  # fmt: skip
    if open_now:
        d.screen.heading("Sessions")
        rows = [(s.method, clean(s.address) or "-", _when(d, s.seen_at), clean(s.agent)) for s in open_now]
        d.screen.table(("signed in by", "from", "last seen", "browser"), rows, flexible=3)
    _show_tokens(d, made, {})
    d.screen.heading("Lately")
    who = [
        (_when(d, e.at), e.act, names.get(e.actor, e.actor.removeprefix("local:")) or "a stranger", clean(e.address))
        for e in events
    ]
    d.screen.table(("when", "what", "who", "from"), who, flexible=2)
    return OK


def _role(d: _Desk) -> int:
    from hub.access import accounts

    found = accounts.set_roles(d.c, d.by, d.account().id, d.args.words[1:], d.now)
    d.screen.emit({"account": _plain(found)})
    d.screen.line(f"{found.email} is {', '.join(found.roles)} from now on.", "green")
    return OK


def _disable(d: _Desk) -> int:
    from hub.access import accounts

    found = accounts.disable(d.c, d.by, d.account().id, d.now)
    d.screen.emit({"account": _plain(found)})
    d.screen.line(f"{found.email} is disabled; its sessions and tokens ended.", "green")
    d.screen.hint(f"`ihub user enable {found.email}` lets its owner sign in again; tokens are made anew.")
    return OK


def _enable(d: _Desk) -> int:
    from hub.access import accounts

    found = accounts.enable(d.c, d.by, d.account().id, d.now)
    d.screen.emit({"account": _plain(found)})
    d.screen.line(f"{found.email} may sign in again.", "green")
    return OK


def _end_sessions(d: _Desk) -> int:
    from hub.access import accounts

    found = d.account()
    ended = accounts.end_sessions(d.c, d.by, found.id, d.now)
    d.screen.emit({"account": _plain(found), "ended": ended})
    d.screen.line(f"{plural(ended, 'session')} of {found.email} ended.", "green")
    return OK


def _roles(screen: Screen) -> int:
    from hub.access import roles

    rows = roles.PERMISSIONS.values()
    screen.emit(
        {"roles": roles.ROLES, "permissions": [{"name": p.name, "what": p.what, "roles": p.roles} for p in rows]}
    )
    screen.fields(list(roles.ROLES.items()), indent=0)
    screen.line()
    table = [(p.name, *("yes" if role in p.roles else "" for role in roles.ROLES)) for p in rows]
    screen.table(("permission", *roles.ROLES), table, indent=0)
    screen.line()
    screen.fields([(p.name, f"may {p.what}") for p in rows], indent=0)
    return OK


# --- tokens -------------------------------------------------------------------------------------------------------------


def _create_token(d: _Desk) -> int:
    from hub.access import tokens

    owner = d.account()
    lasts = timedelta(days=d.args.days)
    text, made = tokens.create(d.c, d.by, owner.id, d.args.name, d.args.scope, d.now, lasts)
    d.screen.emit({"token": text, **_plain_token(made, owner.email, d.now)})
    d.screen.line(text, "bold")
    until = moment(made.expires_at, d.screen.zone)
    d.screen.hint(
        f"It is not shown again. It lasts until {until}, and is worth at most what {owner.email} may do then."
    )
    return OK


def _list_tokens(d: _Desk) -> int:
    from hub.access import accounts, tokens

    emails = {a.id: a.email for a in accounts.listed(d.c)}
    found = tokens.listed(d.c, d.account().id if d.args.words else None)
    d.screen.emit({"tokens": [_plain_token(t, emails[t.account_id], d.now) for t in found]})
    _show_tokens(d, found, emails)
    if not found:
        d.screen.line("There is no token.")
        d.screen.hint("`ihub token create EMAIL --name N --scope S` makes one; `ihub user roles` lists the scopes.")
    return OK


def _revoke_token(d: _Desk) -> int:
    from hub.access import tokens

    token_id = d.args.words[0].removeprefix("ihub_").partition("_")[0]  # whoever has the whole token may give it
    found = tokens.revoke(d.c, d.by, token_id, d.now)
    d.screen.emit({"revoked": found.id})
    d.screen.line(f"{found.id} ({clean(found.name)}) is worth nothing from now on.", "green")
    return OK


def _show_tokens(d: _Desk, found: "Sequence[Token]", emails: dict[int, str]) -> None:
    """emails: of their owners, where they are not all one's."""
    if not found:
        return
    if not emails:
        d.screen.heading("Tokens")
    for t in found:
        d.screen.ends(f"{t.id}  {clean(t.name)}", t.state(d.now), "cyan", 0 if emails else 2)
        owner = [("owner", emails[t.account_id])] if emails else []
        used = [("until", _when(d, t.expires_at)), ("last used", _when(d, t.used_at))]
        d.screen.fields([*owner, ("may", ", ".join(sorted(t.scopes))), *used], 2 if emails else 4)


def _plain(a: "Account") -> Row:
    return {
        "id": a.public_id, "email": a.email, "name": a.name, "roles": a.roles, "is_active": a.is_active,
        "has_password": a.has_password, "created_at": a.created_at, "signed_in_at": a.signed_in_at,
    }  # fmt: skip


def _plain_token(t: "Token", email: str, now: datetime) -> Row:
    return {
        "id": t.id, "owner": email, "name": t.name, "scopes": sorted(t.scopes), "state": t.state(now), "created_at": t.created_at,
        "expires_at": t.expires_at, "used_at": t.used_at,
    }  # fmt: skip


def _state(a: "Account") -> str:
    return "disabled" if not a.is_active else "" if a.has_password or a.signed_in_at else "waiting for its owner"


def _when(d: _Desk, at: datetime | None) -> str:
    return moment(at, d.screen.zone)


_USER = {
    "add": _add, "list": _list, "show": _show, "role": _role, "disable": _disable, "enable": _enable, "code": _code,
    "end-sessions": _end_sessions,
}  # fmt: skip
_TOKEN = {"create": _create_token, "list": _list_tokens, "revoke": _revoke_token}
