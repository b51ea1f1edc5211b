"""Finds, loads and isolates connectors: entry-point group `interaction_hub` in, a `Registry` out.

A plugin that cannot be imported, has no hook, was built for another contract version or takes a name that is taken
becomes a row that says so; it never stops the others. Nothing of a plugin runs but its import and its hooks.
Normalisers, the built-in ones too, have a group of their own, where a broken one stops all: without it others would be one.
"""

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import pluggy

from hub.api.connector import Connector, ConnectorSettings
from hub.api.errors import ConfigError
from hub.api.hooks import PROJECT, Hooks
from hub.api.manifest import API_VERSION, Manifest
from hub.api.normaliser import Normaliser
from hub.settings.words import did_you_mean

NORMALISERS = f"{PROJECT}.normalisers"
_BUILT_IN = EntryPoint("built_in", "hub.identity.normalisers", NORMALISERS)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Problem:
    """A plugin, or a part of it, that is not in use, and why. `connector` is "" when the whole plugin is out."""

    entry_point: str
    distribution: str
    reason: str
    connector: str = ""


@dataclass(frozen=True)
class Row:
    """One line of `ihub connectors`. `problem` is "" for a connector that can be used.

    level: bronze to platinum, by the conformance results the connector is shipped with; "" where it ships none.
    """

    name: str
    title: str
    distribution: str
    version: str
    channels: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    pushes: tuple[str, ...] = ()
    has_emulator: bool = False
    level: str = ""
    problem: str = ""


def _level(connector: type[Connector[Any]]) -> str:
    """What the suite wrote into the connector's package (hub.testing.badge)."""
    package = connector.__module__.partition(".")[0]
    try:
        found = json.loads((files(package) / "conformance.json").read_text("utf-8"))
        return (
            f"{found['level']} ({found['exempt']} exempt)"
            if found["level"] and found["exempt"]
            else str(found["level"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class Emulators(Mapping[str, type[Any]]):
    """Connector name -> emulator class, imported when it is looked up: they bring a web server with them."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def __getitem__(self, name: str) -> type[Any]:
        path = self.paths[name]
        module, _, attribute = path.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except Exception as exc:  # a plugin's own code: whatever it raises is told, not passed on
            raise ConfigError(f"the emulator of {name} ({path}) cannot be loaded: {_told(exc)}") from exc
        if not inspect.isclass(found):
            raise ConfigError(f"the emulator of {name} ({path}) is not a class")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)


@dataclass
class Registry:
    """What is installed. `origins`: connector name -> (distribution, version)."""

    connectors: dict[str, type[Connector[Any]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    emulators: Emulators = field(default_factory=Emulators)
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    normalisers: list[Normaliser] = field(default_factory=list)
    is_part: bool = False

    def get(self, name: str) -> type[Connector[Any]]:
        """The connector class. Raises ConfigError with what is known, what was probably meant, or what broke."""
        if found := self.connectors.get(name):
            return found
        if self.is_part:  # only some were loaded: is it one of the others?
            everything = load()
            self.connectors, self.problems, self.is_part = everything.connectors, everything.problems, False
            return self.get(name)
        for problem in self.problems:
            if name in {problem.connector, problem.entry_point}:
                raise ConfigError(f'the connector "{name}" is installed but not in use: {problem.reason}')
        broken = {problem.connector or problem.entry_point for problem in self.problems}
        raise ConfigError(_unknown("connector", name, self.connectors, broken))

    def emulator(self, name: str) -> type[Any]:
        """The emulator class of a connector (a `hub.testing.Emulator`). Raises ConfigError."""
        if name not in self.emulators:
            raise ConfigError(_unknown("emulator", name, self.emulators))
        return self.emulators[name]

    def rows(self) -> list[Row]:
        """Every connector and every problem, by name."""
        rows = []
        for name, connector in self.connectors.items():
            manifest = connector.manifest
            streams = tuple(stream.name for stream in manifest.streams)
            origin = self.origins.get(name, ("", ""))
            channels, pushes = tuple(manifest.channels), tuple(manifest.pushes)
            has_emulator = name in self.emulators
            given = (manifest.title, *origin, channels, streams, pushes, has_emulator, _level(connector))
            rows.append(Row(name, *given))
        for problem in self.problems:
            name = problem.connector or problem.entry_point
            rows.append(Row(name, "", problem.distribution, "", problem=problem.reason))
        return sorted(rows, key=lambda row: (row.name, row.problem))


def load(names: Collection[str] | None = None) -> Registry:
    """Load all installed plugins, or only those whose entry point is in `names` (the rest is not imported)."""
    registry = Registry(is_part=names is not None)
    _load(registry, (each for each in _points(PROJECT, tuple(sys.path)) if names is None or each.name in names))
    return registry


def load_normalisers() -> list[Normaliser]:
    """All normalisers, the built-in ones first, then by entry point. Raises ConfigError for a plugin that cannot be used."""
    registry = Registry()
    _load(registry, (_BUILT_IN, *_points(NORMALISERS, tuple(sys.path))))
    for out in registry.problems:
        told = f'the normalisers of "{out.entry_point}" ({out.distribution}) cannot be used: {out.reason}'
        raise ConfigError(f"{told}; without them other records would be taken for one: repair or uninstall it")
    return registry.normalisers


def _load(registry: Registry, points: Iterable[EntryPoint]) -> None:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    for point in points:
        _Loading(registry, manager, point).run()


@lru_cache(maxsize=8)
def _points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What is installed in a group along `path`, by name; looking into every distribution takes a tenth of a second."""
    return tuple(sorted(entry_points(group=group), key=lambda each: (each.name, _distribution(each)[0])))


class _Loading:
    """One plugin on its way into the registry."""

    def __init__(self, registry: Registry, manager: pluggy.PluginManager, point: EntryPoint) -> None:
        self.registry = registry
        self.manager = manager
        self.point = point
        self.distribution, self.version = _distribution(point)
        self.name = f"{self.distribution}:{point.name}"

    def run(self) -> None:
        try:
            plugin = self.point.load()
            if self.manager.is_registered(plugin):
                return self.refuse(f"its module {self.point.value} is already in use by another plugin")
            self.manager.register(plugin, name=self.name)
        except (Exception, SystemExit) as exc:  # a plugin's import may raise anything; told as its row
            return self.refuse(f"it cannot be imported: {_told(exc)}")
        if self.point.group == NORMALISERS:
            return self.add_normalisers()
        hooks = [h for h in ("hub_connectors", "hub_emulators") if self.implementation(h)]
        if not hooks:
            self.refuse(f"{self.point.value} has no hook: write a function hub_connectors with @hookimpl")
        for connector in self.call("hub_connectors", list | tuple, "a list of classes"):
            self.add(connector)
        for name, path in dict(self.call("hub_emulators", Mapping, 'a table of name: "module:Class"')).items():
            self.add_emulator(name, path)

    def refuse(self, reason: str, connector: str = "") -> None:
        self.registry.problems.append(Problem(self.point.name, self.distribution, reason, connector))

    def implementation(self, hook: str) -> Callable[[], Any] | None:
        """This plugin's own function for a hook.

        Called alone rather than through pluggy's fan-out, where the first error would lose all the others.
        """
        for found in getattr(self.manager.hook, hook).get_hookimpls():
            if found.plugin_name == self.name:
                function: Callable[[], Any] = found.function
                return function
        return None

    def call(self, hook: str, kind: Any, must: str) -> Any:
        function = self.implementation(hook)
        if function is None:
            return ()
        try:
            value = function()
        except Exception as exc:  # isolates: told as this plugin's row
            self.refuse(f"its {hook} failed: {_told(exc)}")
            return ()
        if not isinstance(value, kind):
            self.refuse(f"its {hook} must return {must}, not {type(value).__name__}")
            return ()
        return value

    def add(self, connector: Any) -> None:
        name, reason = _examined(connector)
        if not reason and name in self.registry.connectors:
            reason = f'the name "{name}" is already taken by {self.registry.origins[name][0]}'
        if reason:
            return self.refuse(reason, name)
        self.registry.connectors[name] = connector
        self.registry.origins[name] = (self.distribution, self.version)

    def add_normalisers(self) -> None:
        if not self.implementation("hub_normalisers"):
            self.refuse(f"{self.point.value} has no hook: write a function hub_normalisers with @hookimpl")
        for found in self.call("hub_normalisers", list | tuple, "a list of Normaliser objects"):
            if not isinstance(found, Normaliser):
                return self.refuse(f"its hub_normalisers returned {found!r}, which is not a Normaliser")
            self.registry.normalisers.append(found)

    def add_emulator(self, name: Any, path: Any) -> None:
        if not isinstance(path, str) or not re.fullmatch(r"[\w.]+:\w+", path):
            self.refuse(f'the emulator of "{name}" must be given as "module:Class", not {path!r}', str(name))
        elif self.registry.origins.get(name, ("", ""))[0] == self.distribution:  # only for a connector of its own
            self.registry.emulators.paths[name] = path


def _examined(connector: Any) -> tuple[str, str]:
    """The connector's name as far as known, and what is wrong with it ("" for nothing)."""
    if not inspect.isclass(connector) or not issubclass(connector, Connector):
        return "", f"its hub_connectors returned {connector!r}, which is not a Connector class"
    manifest = getattr(connector, "manifest", None)
    if not isinstance(manifest, Manifest):
        return "", f"{connector.__name__} has no manifest"
    if manifest.api_version != API_VERSION:
        older = "the plugin" if manifest.api_version < API_VERSION else "interaction-hub"
        return manifest.name, (
            f"it was built for contract version {manifest.api_version}, and this hub speaks version {API_VERSION}: "
            f"upgrade {older}"
        )
    if not _NAME.fullmatch(manifest.name):
        return manifest.name, f'its name "{manifest.name}" must be lower-case letters, digits and underscores'
    model = connector.settings_model
    if not inspect.isclass(model) or not issubclass(model, ConnectorSettings):
        return manifest.name, f"{connector.__name__}.settings_model is not a ConnectorSettings class"
    return manifest.name, ""


def _unknown(what: str, name: str, known: Collection[str], broken: Collection[str] = ()) -> str:
    near = did_you_mean(name, [*known, *broken])
    hint = f' Did you mean "{near}"?' if near else ""
    names = f"Installed: {', '.join(sorted(known))}." if known else "None is installed."
    return f'there is no {what} called "{name}".{hint} {names}'


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name, dist.version) if dist else ("unknown", "")


def _told(exc: BaseException) -> str:
    """An error in one line, with the innermost place it came from."""
    text = " ".join(str(exc).split())
    place, frame = "", exc.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    if frame and Path(frame.tb_frame.f_code.co_filename).is_file():
        file = Path(frame.tb_frame.f_code.co_filename)
        place = f" ({file.parent.name}/{file.name}, line {frame.tb_lineno})"
    return f"{type(exc).__name__}: {text[:300]}{place}" if text else f"{type(exc).__name__}{place}"
