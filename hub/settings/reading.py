"""Reads hub.toml and the environment, and turns every mistake into one clear ConfigError."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from hub import SETTINGS_FILES
from hub.settings.fields import PASSWORD
from hub.settings.locate import KeyPath, locate
from hub.settings.model import Connection, Hub, Settings
from hub.settings.problems import Problem, Source, config_error, explain
from hub.settings.resolve import Resolver
from hub.settings.syntax import syntax_problem
from hub.settings.words import did_you_mean, dotted

PREFIX = "HUB_"
M = TypeVar("M", bound=BaseModel)


def load(path: str | Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings of `path`, else of $HUB_CONFIG, ./config/hub.toml or ./hub.toml, with HUB_* on top.

    Relative paths in it count from the file's folder, or from the one above if that folder is named "config".
    Raises ConfigError telling every problem found: file, line, column, field, what was found and the fix.
    """
    settings, problems = _load(path, env)
    if settings is None:
        raise config_error(problems)
    return settings


def find_problems(path: str | Path | None = None, env: Mapping[str, str] | None = None) -> list[Problem]:
    """What `load` would complain about; empty when the settings are fine."""
    return _load(path, env)[1]


def connector_settings(connection: Connection, model: type[M]) -> M:
    """`connection.settings` as the connector's own model, with references read.

    Raises ConfigError as `load` does. Secrets are read now, not before: a connection that is off needs none.
    """
    source, path = connection.source, (*connection.path, "settings")
    value, problems = _validated(model, connection.settings, path, source)
    if value is None:
        raise config_error(problems)
    return value


def _load(path: str | Path | None, env: Mapping[str, str] | None) -> tuple[Settings | None, list[Problem]]:
    env = dict(os.environ if env is None else env)
    variables, problems = _variables(env)
    file = _find(path, env)
    if isinstance(file, Problem):
        return None, [file]
    if file is None and not variables:
        message = f"there is no configuration; looked for {' and '.join(f'./{f}' for f in SETTINGS_FILES)}"
        fix = "run `ihub init` to write a commented one, or name a file with --config or HUB_CONFIG"
        return None, [Problem("settings", "", message, fix)]
    data, places, problem = _read(file) if file else ({}, {}, None)
    if problem:
        return None, [problem]
    source = Source(str(file or ""), _folder(file), places, variables, env)
    merged = _merge({"hub": {"data_dir": str(Hub().data_dir)}}, _merge(data, _Environment(env).tree()))
    settings, more = _validated(Settings, merged, (), source)
    problems += [*_passwords(merged, source), *more]
    if settings is None or problems:
        return None, problems
    return settings.attach(source), []


def _validated(
    model: type[M], data: Mapping[str, Any], path: KeyPath, source: Source
) -> tuple[M | None, list[Problem]]:
    resolver = Resolver(source)
    plain = resolver.table(model, data, path)
    value, problems = None, resolver.problems
    try:
        value = model(**plain) if model is Settings else model.model_validate(plain)
    except ValidationError as exc:
        refused = {problem.field for problem in problems}
        found = explain(exc, model, plain, path, source, resolver.hidden)
        problems += [problem for problem in found if problem.field not in refused]
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return (None if problems else value), problems


def _find(path: str | Path | None, env: Mapping[str, str]) -> Path | Problem | None:
    """The file to read; None when none was named and none is in the usual places."""
    named = path or env.get("HUB_CONFIG")
    if not named:
        return next((Path(name) for name in SETTINGS_FILES if Path(name).is_file()), None)
    file = Path(named).expanduser()
    if file.is_file():
        return file
    what = "is a folder, not a file" if file.is_dir() else "does not exist"
    near = ""
    if file.parent.is_dir():
        near = did_you_mean(file.name, sorted(f.name for f in file.parent.glob("*.toml")))
    hint = f". Did you mean {file.parent / near}?" if near else ""
    said = "--config" if path else "HUB_CONFIG"
    fix = f"correct {said}, or run `ihub init` to write a new one"
    return Problem(str(file), "", f"this file {what}{hint}", fix)


def _read(file: Path) -> tuple[dict[str, Any], Mapping[KeyPath, Any], Problem | None]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        line = bytes(exc.object[: exc.start]).count(b"\n") + 1
        fix = "save the file as UTF-8 in your editor"
        return {}, {}, Problem(f"{file}:{line}", "", "the file is not UTF-8 text", fix)
    except OSError as exc:
        message = f"the file cannot be read: {exc.strerror}"
        return {}, {}, Problem(str(file), "", message, "give this user the right to read it")
    try:
        return tomllib.loads(text), locate(text), None
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        return {}, {}, syntax_problem(str(file), text, exc)


def _folder(file: Path | None) -> Path:
    """What relative paths count from, so that the folder the hub is started in does not matter."""
    if file is None:
        return Path.cwd()
    folder = file.absolute().parent
    return folder.parent if folder.name == "config" else folder


class _Environment(EnvSettingsSource):
    """HUB_SECTION__KEY variables as a tree of texts; what a text means is decided by the field it meets."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in env.items() if _is_setting(name, value)}

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:
        return value

    def tree(self) -> dict[str, Any]:
        return self()


def _is_setting(name: str, value: str) -> bool:
    return name.upper().startswith(PREFIX) and "__" in name and value != ""


def _variables(env: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[Problem]]:
    """The path each HUB_ variable sets, and those that can only be mistakes. Empty ones count as not set."""
    variables: dict[KeyPath, str] = {}
    problems = []
    sections = list(Settings.model_fields)
    for name, value in sorted(env.items()):
        rest = name.upper().removeprefix(PREFIX).lower()
        if not name.upper().startswith(PREFIX) or not value:
            continue
        section = next((s for s in sections if rest == s or rest.startswith(f"{s}_")), "")
        where = f"environment variable {name}"
        if "__" in rest:
            path = tuple(rest.split("__"))
            variables[path] = name
            if path[0] not in sections:
                near = did_you_mean(path[0], sections)
                hint = f". Did you mean HUB_{'__'.join([near, *path[1:]]).upper()}?" if near else ""
                fix = f"rename or unset it. The sections are: {', '.join(sections)}"
                problems.append(Problem(where, dotted(path), f'there is no section "{path[0]}"{hint}', fix))
        elif section:
            key = rest.removeprefix(section).strip("_") or "key"
            better = f"HUB_{section}__{key}".upper()
            message = "looks like a setting but names none: sections and keys are joined by two underscores"
            problems.append(Problem(where, "", message, f"rename it to {better}, or unset it"))
    return variables, problems


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(under)
    for key, value in over.items():
        known = out.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        out[key] = _merge(known, value) if both else value  # type: ignore[arg-type]
    return out


def _passwords(data: Mapping[str, Any], source: Source) -> list[Problem]:
    """A database password in the file is as plain as any other secret."""
    path = ("hub", "database")
    hub = data.get("hub")
    url = hub.get("database") if isinstance(hub, Mapping) else None
    if not isinstance(url, str) or not source.is_from_file(path) or not PASSWORD.search(url):
        return []
    fix = 'write database = { env = "HUB_DATABASE_URL" } and set that variable to the whole URL'
    return [source.problem(path, "holds a password, which must not stand in this file", fix, at_value=True)]
