"""How far each connection of the settings is: from "its settings cannot be read" to "connected", with what to do next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hub import status as st
from hub.api import AuthError, ConfigError
from hub.engine import connect, granted
from hub.engine.engine import Engine
from hub.health import ORDER, STALE_AFTER
from hub.reports import connections
from hub.store import instant_or_none
from hub.store import tables as t
from hub.store.tables import secret

Row = dict[str, Any]


@dataclass(frozen=True)
class State:
    """word: for programs. told: for people. todo: what to do about it, "" for nothing. order: worst first."""

    word: str
    told: str
    todo: str
    order: int


_STATES = {
    s.word: s
    for s in (
        State("unknown", "its connector cannot be used", "install the connector, or correct its name in hub.toml", 0),
        State("incomplete", "its settings cannot be read", "give what is missing", 1),
        State("sign-in", "needs a sign-in", "sign in", 2),
        State("again", "needs to be signed in again", "sign in again, or renew its key", 3),
        State("failing", "does not get through", "see what is wrong on the health page", 4),
        State("stale", "brought nothing for a day", "see what is wrong on the health page", 5),
        State("new", "ready, nothing read yet", "check what it may read, and sync it", 6),
        State("connected", "connected", "", 7),
        State("disconnected", "disconnected", "connect it again, or take its section out of hub.toml", 8),
        State("off", "switched off in hub.toml", "", 9),
    )
}


def standings(engine: Engine) -> list[Row]:
    """Every connection of the settings, worst first. Reads no record and asks no vendor."""
    query = sa.select(
        t.stream.c.connection_id, t.stream.c.name, t.stream.c.status, t.stream.c.detail, t.stream.c.last_good_at
    )
    tokens = sa.select(secret.c.connection).where(sa.not_(secret.c.field.startswith("hub:"))).distinct()
    streams: dict[int, list[Row]] = {}
    with engine.store.read() as c:  # and let go before the settings are looked at, which read secrets
        rows: dict[str, Row] = {r["name"]: dict(r) for r in c.execute(sa.select(t.connection)).mappings()}
        for s in c.execute(query).mappings():
            streams.setdefault(s["connection_id"], []).append(dict(s))
        signed_in = set(c.execute(tokens).scalars())
    found = []
    for name in engine.settings.connections:
        row = rows.get(name)
        found.append(_standing(engine, name, row, streams.get(row["id"], []) if row else [], name in signed_in))
    return sorted(found, key=lambda x: x["order"])


def unconfigured(engine: Engine) -> list[str]:
    """Connections that brought something once and are not in the settings (any more), by name."""
    with engine.store.read() as c:
        return [name for name in connections.names(c) if name not in engine.settings.connections]


def permissions(engine: Engine, name: str) -> Row:
    """What a connection's connector asks for, and what the last check found granted.

    {"checked_at", "permissions": [{"stream", "action", "is_granted", "detail", "scope", "is_required"}], "scopes"}
    """
    with engine.store.read() as c:
        row = c.execute(sa.select(t.connection.c.id).where(t.connection.c.name == name)).scalar()
        found = granted.read(c, row) if row is not None else None
    try:
        needless = connect.optional(engine, name)
        manifest = engine.registry.get(engine.settings.connections[name].connector).manifest
    except ConfigError:
        return {"checked_at": None, "permissions": [], "scopes": []}
    scopes = [{"scope": s.name, "why": s.why, "is_required": s.is_required} for s in manifest.scopes]
    rows = [p | {"is_required": p["scope"] not in needless} for p in found["permissions"]] if found else []
    return {"checked_at": found["checked_at"] if found else None, "permissions": rows, "scopes": scopes}


def _standing(engine: Engine, name: str, row: Row | None, streams: list[Row], is_signed_in: bool) -> Row:
    connection = engine.settings.connections[name]
    word, detail = _state(engine, name, row, streams, is_signed_in)
    state = _STATES[word]
    good = max((s["last_good_at"] for s in streams if s["last_good_at"]), default=None)
    cls = engine.registry.connectors.get(connection.connector)
    return {
        "connection": name, "connector": connection.connector, "title": cls.manifest.title if cls else connection.connector,
        "label": row["label"] if row else "", "state": state.word, "told": state.told, "todo": state.todo, "detail": detail,
        "order": state.order, "is_private": connection.private, "owner": connection.owner or "",
        "last_good_at": instant_or_none(good), "checked_at": instant_or_none(row["checked_at"]) if row else None,
        "streams": [{"stream": s["name"], "status": s["status"], "detail": s["detail"]} for s in streams],
    }  # fmt: skip


def _state(engine: Engine, name: str, row: Row | None, streams: list[Row], is_signed_in: bool) -> tuple[str, str]:
    connection = engine.settings.connections[name]
    if not connection.enabled:
        return "off", ""
    try:
        engine.registry.get(connection.connector)
    except ConfigError as exc:
        return "unknown", exc.message
    try:
        values = connect.values(engine, name)
    except ConfigError as exc:
        file = connection.source.file
        return "incomplete", exc.message.replace(f"{file}:", "hub.toml:") if file else exc.message
    except AuthError as exc:  # what was typed here cannot be decrypted with today's key
        return "again", exc.message
    if row is not None and row["is_paused"]:
        return "disconnected", ""
    given = getattr(values, "refresh_token", None)
    asks = values.consent() is not None if hasattr(values, "consent") else False
    if asks and not is_signed_in and not (given is not None and given.get_secret_value()):
        return "sign-in", ""
    return _of_streams(streams, engine.clock.now())


def _of_streams(streams: list[Row], now: datetime) -> tuple[str, str]:
    worst = min((s["status"] for s in streams), key=lambda s: ORDER.index(s) if s in ORDER else 0, default="")
    detail = next((s["detail"] for s in streams if s["status"] == worst and s["detail"]), "")
    if worst == st.RECONNECT:
        return "again", detail
    if worst in {st.BROKEN, st.DEGRADED}:
        return "failing", detail
    good = [g for s in streams if (g := instant_or_none(s["last_good_at"])) is not None]
    if not good:
        return "new", ""
    return ("stale", "") if now - min(good) > STALE_AFTER else ("connected", detail)
