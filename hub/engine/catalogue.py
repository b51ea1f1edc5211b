"""The installed connectors, as somebody chooses among them: what each reads and writes, asks for, and takes as settings."""

import inspect
import re
from collections.abc import Collection
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hub.api import ConnectorSettings
from hub.engine.engine import Engine
from hub.plugins import Registry, Row, load
from hub.settings.problems import variable_for
from hub.settings.shape import Shape, field_names, unwrap
from hub.settings.words import literal, one_of

Plain = dict[str, Any]
AUTH = {
    "oauth": "OAuth", "client_credentials": "an OAuth client's id and secret", "token": "an access token",
    "service_account": "a service account's key", "basic": "user name and password", "password": "a password",
    "api_key": "an API key",
}  # fmt: skip
_SIGN_IN = frozenset({"client_id", "email", "token_url", "user", "username"})  # what goes with secrets to sign in
_COMMON = {  # what is called the same everywhere
    "client_id": "the OAuth client's id, as the tool's console shows it", "client_secret": "the OAuth client's secret",
    "refresh_token": "left out where the account is connected on a page or with `ihub connect`",
    "base_url": "where the tool answers; for tests and for servers of your own",
    "auth_url": "where people are asked for access", "token_url": "where tokens are traded",
    "password": "of the account, or one made for the hub alone", "access_token": "an OAuth token that you renew yourself",
    "service_account_key": "the whole JSON key file of a service account",
    "batch_size": "how many records one call asks for",
}  # fmt: skip
_KINDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}


def installed(engine: Engine) -> Registry:
    """All connectors, also those that no connection uses."""
    return load() if engine.registry.is_part else engine.registry


def rows(engine: Engine) -> list[Plain]:
    """Every connector, and every plugin that cannot be used with the reason, by name."""
    registry = installed(engine)
    return [_row(registry, row) for row in registry.rows()]


def entry(engine: Engine, name: str) -> Plain | None:
    """One connector in full: its row, streams, scopes, settings, and the TOML of a connection. None for one there is not."""
    registry = installed(engine)
    row = next((r for r in registry.rows() if r.name == name and not r.problem), None)
    if row is None:
        return None
    cls = registry.connectors[name]
    manifest, model = cls.manifest, cls.settings_model
    taken = engine.settings.connections
    call = next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)
    about, settings = described(model)
    return {
        **_row(registry, row), "about": about, "settings": settings, "toml": sample(name, model, call), "section": call,
        "reads": [
            {"stream": s.name, "carries": s.carries, "deletes": s.deletes, "census": s.census, "needs": list(s.needs)}
            for s in manifest.streams
        ],
        "scopes": [{"scope": s.name, "why": s.why, "is_required": s.is_required} for s in manifest.scopes],
        "budgets": [
            {"name": b.name, "units": b.units_per_window, "seconds": b.window.total_seconds()} for b in manifest.budgets
        ],
    }  # fmt: skip


def _row(registry: Registry, row: Row) -> Plain:
    shown: Plain = {
        "name": row.name, "title": row.title or row.name, "distribution": row.distribution, "version": row.version,
        "channels": list(row.channels), "streams": list(row.streams), "writes": list(row.pushes), "level": row.level,
        "problem": row.problem, "has_emulator": row.has_emulator,
    }  # fmt: skip
    if row.problem:
        return shown
    cls = registry.connectors[row.name]
    manifest = cls.manifest
    return shown | {
        "auth": [AUTH.get(a, a) for a in manifest.auth], "webhooks": manifest.webhooks, "can_undo": manifest.can_undo,
        "can_be_system_of_record": manifest.can_be_system_of_record, "vendor_api": manifest.vendor_api,
        "docs": manifest.docs, "signs_in_here": hasattr(cls.settings_model, "consent"),
    }  # fmt: skip


def described(model: type[BaseModel]) -> tuple[str, list[Plain]]:
    """What the model says of itself, and each setting: name, type, default as TOML, help, is_required, is_secret."""
    keys = field_names(model)
    docs = [inspect.cleandoc(vars(c)["__doc__"] or "") for c in model.__mro__ if "__doc__" in vars(c) and _is_ours(c)]
    about, help_ = "", dict[str, str]()
    for text in reversed(docs):  # a subclass has the last word
        about, told = _told(text, keys)
        help_ |= told
    found = []
    for key, name in keys.items():
        info = model.model_fields[name]
        shape = unwrap(info.annotation)
        words = _sentence(info.description or help_.get(key) or _COMMON.get(key, ""))
        found.append({
            "name": key, "type": _type(shape, info), "default": "" if shape.is_secret else _default(info), "help": words,
            "is_required": info.is_required(), "is_secret": shape.is_secret,
        })  # fmt: skip
    return about, sorted(found, key=lambda s: not s["is_required"])


def sample(connector: str, model: type[BaseModel], name: str) -> str:
    """The section of a new connection: what it needs, and, to be uncommented, what it may sign in with."""
    lines = [f"[connections.{name}]", f'connector = "{connector}"', "", f"[connections.{name}.settings]"]
    keys = field_names(model)
    needed = [k for k, n in keys.items() if model.model_fields[n].is_required()]
    lines += [_line(k, model, name) for k in needed]
    ways = [
        k for k, n in keys.items()
        if k not in needed
        and (unwrap(model.model_fields[n].annotation).is_secret or (k in _SIGN_IN and not _default(model.model_fields[n])))
    ]  # fmt: skip
    if ways:
        lines += ["# Take the # away from what belongs to your way to sign in."]
        lines += [f"# {_line(k, model, name)}" for k in ways]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _line(key: str, model: type[BaseModel], connection: str) -> str:
    shape = unwrap(model.model_fields[field_names(model)[key]].annotation)
    if shape.is_secret:
        return f'{key} = {{ env = "{variable_for((connection, key))}" }}'
    return f"{key} = {shape.example}"


def _is_ours(cls: type) -> bool:
    """A settings model of a connector, not what it is made of."""
    return issubclass(cls, ConnectorSettings) and cls is not ConnectorSettings


def _told(text: str, keys: Collection[str]) -> tuple[str, dict[str, str]]:
    """A docstring such as "About it. key, other: what they are. third: ..." in its parts; a line may begin "key decides ..." too."""
    known = "|".join(sorted(map(re.escape, keys), key=len, reverse=True)) or "(?!)"
    names = rf"((?:{known})(?:(?:, | and )(?:{known}))*)"
    marks = list(re.finditer(rf"(?:^|(?<=\n)|(?<=[.;:]\s)){names}:\s|(?<=\n){names} (?=may |[a-z]+s )", text))
    about = text[: marks[0].start()] if marks else text
    found = {}
    for mark, following in zip_longest(marks, marks[1:]):
        words = " ".join(text[mark.end() : following.start() if following else len(text)].split()).rstrip(";")
        for key in re.split(", | and ", mark[1] or mark[2]):
            found[key] = words
    return " ".join(about.split()), found


def _type(shape: Shape, info: FieldInfo) -> str:
    if shape.is_secret:
        return "secret"
    if shape.choices:
        return one_of([literal(c) for c in shape.choices])
    if shape.is_list:
        item = unwrap(shape.item)
        return f"list of {one_of([literal(c) for c in item.choices]) if item.choices else 'texts' if item.is_text else 'values'}"
    if shape.is_table:
        return "table"
    if shape.is_path:
        return "path"
    words = one_of([_KINDS.get(o, getattr(o, "__name__", "value")) for o in shape.options])
    limits = [f"{w} {getattr(m, n):g}" for m in info.metadata for n, w in _LIMITS.items() if hasattr(m, n)]
    return " ".join([words, *limits])


_LIMITS = {"ge": "from", "gt": "more than", "le": "to", "lt": "less than"}


def _default(info: FieldInfo) -> str:
    """As it would stand in hub.toml; "" where there is none or it is empty."""
    value = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", (), [], {}):
        return ""
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"[{', '.join(literal(v) for v in value)}]"
    return literal(value) if isinstance(value, (str, bool, int, float)) else str(value)
