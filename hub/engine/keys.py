"""Secrets of a connection's settings that were typed into the hub instead of being named in hub.toml.

Kept encrypted beside the tokens, and gone with them when the connection is let go. What hub.toml gives counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from hub import settings as config
from hub.access import Invalid
from hub.api import AuthError, ConfigError
from hub.settings.shape import field_names, unwrap
from hub.store import Secrets

if TYPE_CHECKING:
    from hub.engine.engine import Engine

KEPT = "hub:settings"  # beside the connector's own tokens, whose names have no "hub:"
NO_KEY = (
    "no key to keep the sign-in with: set HUB_SECRET_KEY, for every later run too\n"
    "  Fix: export HUB_SECRET_KEY=$(ihub init --key), and keep a copy apart from the data"
)


def completed(secrets: Secrets, connection: config.Connection) -> config.Connection:
    """The connection with what was typed, where hub.toml says nothing. Raises AuthError for what cannot be decrypted."""
    return _with(connection, secrets.get(connection.name, KEPT) or {})


def names(model: type[BaseModel]) -> list[str]:
    """The settings of a connector that are secrets, as hub.toml calls them."""
    shapes = {key: unwrap(model.model_fields[name].annotation) for key, name in field_names(model).items()}
    return [key for key, shape in shapes.items() if shape.is_secret]


def places(engine: "Engine", name: str) -> dict[str, str]:
    """Where each secret of a connection's settings comes from: "file" (hub.toml or HUB_*), "hub" (typed), or "" for nowhere."""
    connection = engine.settings.connections[name]
    kept = _kept(engine, name)
    model = engine.registry.get(connection.connector).settings_model
    return {n: "file" if n in connection.settings else "hub" if n in kept else "" for n in names(model)}


def keep(engine: "Engine", name: str, given: Mapping[str, str]) -> Mapping[str, Any]:
    """Keep what was typed; those left out stay as they are. What was kept before, to put it back.

    Raises ConfigError without a key to encrypt with, Invalid for what is no secret of it, for what hub.toml gives already, and
    for a value that the connector does not take.
    """
    if not engine.secrets.is_kept:
        raise ConfigError(NO_KEY)
    where = places(engine, name)
    for field in given:
        if field not in where:
            raise Invalid("is no secret of this connection", field=field, fix=f"one of {', '.join(where) or 'none'}")
        if where[field] == "file":
            raise Invalid("is given by hub.toml", field=field, fix="change it there, or take it out there first")
    if not given:
        raise Invalid("is missing", field=next((f for f in where if where[f] != "file"), "key"), fix="type or paste it")
    connection = engine.settings.connections[name]
    before = _kept(engine, name)
    try:
        model = engine.registry.get(connection.connector).settings_model
        config.connector_settings(_with(connection, {**before, **given}), model)
    except ConfigError as exc:
        text = " ".join(exc.message.split())
        for value in given.values():  # a validator may have repeated it
            text = text.replace(value, config.MASK) if len(value) > 3 else text
        raise Invalid("is not accepted", field=next(iter(given)), fix=text) from None
    put(engine, name, {**before, **given})
    return before


def put(engine: "Engine", name: str, values: Mapping[str, Any]) -> None:
    """These, and nothing else, are kept from now on."""
    engine.secrets.put(name, KEPT, dict(values), engine.clock.now())


def _kept(engine: "Engine", name: str) -> dict[str, Any]:
    """What was typed; nothing where it cannot be decrypted any more: it is typed again, then."""
    try:
        return engine.secrets.get(name, KEPT) or {}
    except AuthError:
        return {}


def _with(connection: config.Connection, typed: Mapping[str, Any]) -> config.Connection:
    missing = {k: v for k, v in typed.items() if k not in connection.settings}
    if not missing:
        return connection
    at = {(*connection.path, "settings", key): "(typed into the hub)" for key in missing}
    found = connection.model_copy(update={"settings": {**connection.settings, **missing}})
    found._source = replace(connection.source, variables={**connection.source.variables, **at})
    return found
