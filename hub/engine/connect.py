"""Connecting an account: the connector's own sign-in, in a terminal or on a page, and the proof of what it may do there."""

import asyncio
import secrets
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub import settings as config
from hub import status as st
from hub.access.keys import hashed
from hub.api import AuthError, ConfigError, ContractBroken, HubError
from hub.api.consent import Consent, Grant
from hub.engine import keys, push
from hub.engine.engine import Engine
from hub.store import micros
from hub.store.tables_access import oidc_state

LASTS = timedelta(minutes=10)
_HERE = "a:connection"  # in place of a sign-in provider's name, which has no colon
_ANEW = "this sign-in was not started here, or more than ten minutes ago: start it again"


def values(engine: Engine, name: str) -> Any:
    """A connection's settings as its connector's model. Raises ConfigError naming field and file."""
    connection = engine._configured(name)
    model = engine.registry.get(connection.connector).settings_model
    return config.connector_settings(keys.completed(engine.secrets, connection), model)


def in_terminal(engine: Engine, name: str, show: Callable[[str], object], timeout_s: float) -> Any:
    """Run the connector's own sign-in, which waits for the browser, and keep what it gives: an object with `refresh_token`.

    A connector offers `authorize(settings, *, show, timeout_s)`, else its package `connect`. Raises ConfigError where it has none.
    """
    connection = engine._configured(name)
    cls = engine.registry.get(connection.connector)
    sign_in = getattr(cls, "authorize", None) or getattr(sys.modules.get(cls.__module__), "connect", None)
    if sign_in is None:
        raise _no_sign_in(engine, name)
    if not engine.secrets.is_kept:
        raise ConfigError(keys.NO_KEY)
    grant = sign_in(values(engine, name), show=show, timeout_s=timeout_s)
    asyncio.run(_keep(engine, name, grant))
    return grant


# --- on a page ------------------------------------------------------------------------------------------------------


def offers(engine: Engine, name: str) -> bool:
    """Whether a person can sign this connection in on a page; not while its settings cannot be read."""
    try:
        return _consent(engine, name) is not None
    except (ConfigError, AuthError):
        return False


def consent(engine: Engine, name: str) -> Consent:
    """Where and what this connection's vendor asks. Raises ConfigError where nobody has to sign in, or settings are missing."""
    found = _consent(engine, name)
    if found is None:
        raise _no_sign_in(engine, name)
    return found


def _consent(engine: Engine, name: str) -> Consent | None:
    given = values(engine, name)
    found: Consent | None = given.consent() if hasattr(given, "consent") else None
    return found


def begin(engine: Engine, name: str, redirect_uri: str, browser: str) -> str:
    """The address to open. Ten minutes, one use, and only in this browser (the id of its session).

    Raises ConfigError: see `consent`, and without a key to keep the answer with.
    """
    question = consent(engine, name).question(redirect_uri)
    if not engine.secrets.is_kept:
        raise ConfigError(keys.NO_KEY)
    now = engine.clock.now()
    row = {
        "hash": hashed(question.state), "session_hash": hashed(browser), "provider": _HERE, "nonce": "",
        "verifier": question.verifier, "redirect_uri": redirect_uri, "return_to": name, "is_proof": False,
        "created_at": micros(now), "expires_at": micros(now + LASTS),
    }  # fmt: skip
    with engine.store.write() as c:
        c.execute(sa.insert(oidc_state).values(**row))
    return question.address


async def finish(engine: Engine, answer: Mapping[str, str], browser: str, arrived_at: str) -> str:
    """Take what the vendor sent the browser back with, and keep the sign-in; the connection's name.

    arrived_at: the address it came to, which has to be the one that the question named: another vendor's answer is none.
    Raises AuthError for a no and for a sign-in that is not this browser's, and what `Consent.grant` raises.
    """
    row = await asyncio.to_thread(_taken, engine, answer.get("state", ""), browser)
    if row.redirect_uri != arrived_at:
        raise AuthError(_ANEW)
    name = str(row.return_to)
    asked = consent(engine, name)
    code = asked.code(answer)
    await _keep(engine, name, await asyncio.to_thread(asked.grant, code, row.verifier, row.redirect_uri))
    return name


def _taken(engine: Engine, state: str, browser: str) -> Any:
    """The row of a state, which works once: whoever brings it, it is gone."""
    mine = sa.and_(oidc_state.c.hash == hashed(state), oidc_state.c.provider == _HERE)
    with engine.store.write() as c:
        row = c.execute(sa.select(oidc_state).where(mine)).first()
        taken = c.execute(sa.delete(oidc_state).where(mine)).rowcount
    is_theirs = row is not None and secrets.compare_digest(bytes(row.session_hash), hashed(browser))
    if row is None or not taken or not is_theirs or row.expires_at <= micros(engine.clock.now()):
        raise AuthError(_ANEW)
    return row


async def _keep(engine: Engine, name: str, grant: Grant) -> None:
    """Store the refresh token where the connector's own token source will look for it."""
    connector = engine.connector(name)
    try:
        key = getattr(connector.http_profile().token, "name", "")
        if not key or not getattr(grant, "refresh_token", ""):
            raise ContractBroken(f"the sign-in of {name} gave nothing that can be kept")
        value = {"refresh_token": str(grant.refresh_token), "scope": " ".join(getattr(grant, "scopes", ()))}
        connector.services.tokens.put(key, value)
    finally:
        await connector.aclose()


def _no_sign_in(engine: Engine, name: str) -> ConfigError:
    manifest = engine.registry.get(engine._configured(name).connector).manifest
    where = f": {manifest.docs}" if manifest.docs else ""
    return ConfigError(
        f"{manifest.title} has no sign-in through the browser: its credentials stand in the settings{where}"
    )


# --- what it may do -------------------------------------------------------------------------------------------------


async def check(engine: Engine, name: str) -> dict[str, Any]:
    """One connection's permission matrix as plain JSON; its trouble is a part of the answer."""
    shown = unasked(engine, name)
    try:
        matrix = await engine.check(name)
        push.prove(engine, name)
    except HubError as exc:
        code = st.USAGE if isinstance(exc, ConfigError) else st.REAUTH if isinstance(exc, AuthError) else st.FAILED
        return shown | {"exit_code": code, "error": str(exc)}
    needless = optional(engine, name)
    rows = [
        {"stream": p.stream, "action": p.action, "is_granted": p.is_granted, "detail": p.detail, "scope": p.scope,
         "is_required": p.scope not in needless}
        for p in matrix.permissions
    ]  # fmt: skip
    short = any(not r["is_granted"] and r["is_required"] for r in rows)
    return shown | {
        "exit_code": st.PARTLY if short else st.OK, "account": matrix.account_id, "label": matrix.label,
        "own_identities": list(matrix.own_identities), "permissions": rows,
    }  # fmt: skip


def unasked(engine: Engine, name: str) -> dict[str, Any]:
    """The answer of `check` before anything is known."""
    return {
        "connection": name, "connector": engine.settings.connections[name].connector, "exit_code": st.OK, "error": "",
        "account": "", "label": "", "own_identities": [], "permissions": [],
    }  # fmt: skip


def optional(engine: Engine, name: str) -> set[str]:
    """Scopes that a connection's connector can do without."""
    manifest = engine.registry.get(engine.settings.connections[name].connector).manifest
    return {s.name for s in manifest.scopes if not s.is_required}
