"""What is wrong with the settings, said once for all: where, which field, what was found, how to mend it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from hub.settings.locate import KeyPath, Place
from hub.settings.shape import Shape, description, shape_of, takes
from hub.settings.words import Refused, did_you_mean, dotted, found, literal, one_of, quoted

if TYPE_CHECKING:
    from hub.api.errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """One thing to mend. `where` is "file:line:column" or the environment variable; `field` is dotted.

    line and column count from 1; 0 where there is none.
    """

    where: str
    field: str
    message: str
    fix: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.where}: {self.message}\n  Fix: {self.fix}"


def config_error(problems: Sequence[Problem]) -> "ConfigError":
    """One ConfigError that tells all of them."""
    from hub.api.errors import ConfigError  # here, because it brings the HTTP client with it

    text = "\n".join(str(problem) for problem in problems)
    if len(problems) > 1:
        text = f"the settings have {len(problems)} problems\n{text}"
    return ConfigError(text)


@dataclass(frozen=True)
class Source:
    """Where the values of one Settings came from.

    file: as people call it, "" for none. folder: what relative paths count from. places: of each key in the
    file. variables: name of the environment variable that set a path. env: the environment itself.
    """

    file: str = ""
    folder: Path | None = None
    places: Mapping[KeyPath, Place] = field(default_factory=dict, repr=False)
    variables: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def variable(self, path: KeyPath) -> str:
        """The environment variable that set this value or a table around it, or ""."""
        for end in range(len(path), 0, -1):
            if name := self.variables.get(path[:end]):
                return name
        return ""

    def is_from_file(self, path: KeyPath) -> bool:
        return bool(self.file) and not self.variable(path)

    def problem(self, path: KeyPath, message: str, fix: str, at_value: bool = False, said_at: KeyPath = ()) -> Problem:
        """A problem whose message opens with the dotted field: "capture.bulk must be ...".

        at_value: point at the value, not the key. said_at: point at this path instead.
        """
        name = dotted(path)
        where, line, column = self._where(said_at or path, at_value)
        return Problem(where, name, f"{name} {message}" if name else message, fix, line, column)

    def _where(self, path: KeyPath, at_value: bool) -> tuple[str, int, int]:
        if name := self.variable(path):
            return f"environment variable {name}", 0, 0
        for end in range(len(path), 0, -1):
            if place := self.places.get(path[:end]):
                is_value = at_value and end == len(path)
                line = place.value_line if is_value else place.line
                column = place.value_column if is_value else place.column
                return f"{self.file}:{line}:{column}", line, column
        return self.file or "settings", 0, 0


def explain(
    error: ValidationError,
    model: type[BaseModel],
    data: Mapping[str, Any],
    path: KeyPath,
    source: Source,
    hidden: Mapping[KeyPath, str],
) -> list[Problem]:
    """The problems behind a ValidationError of `data`, which stands at `path`, in the order of the file.

    hidden: values that must not be shown, each with the words that stand for it.
    """
    grouped: dict[KeyPath, list[Any]] = {}
    for item in error.errors(include_url=False):
        grouped.setdefault(_real(item, model, data), []).append(item)
    return [_problem(items, model, at, path, source, hidden) for at, items in grouped.items()]


def _real(item: Any, model: type[BaseModel], data: Any) -> KeyPath:
    """pydantic's location without the names of union branches and validators.

    A check of a whole table may name the key it means: Refused(at=...), or ValueError("key: what is wrong").
    """
    path: KeyPath = ()
    for i, part in enumerate(item["loc"]):
        is_key = isinstance(data, Mapping) and part in data
        if is_key or (isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)):
            path, data = (*path, part), data[part]
        elif item["type"] == "missing" and i == len(item["loc"]) - 1:
            path = (*path, part)
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, Refused):
        return (*path, *cause.at)
    key, colon, _ = str(cause or "").partition(": ")
    return (*path, key) if colon and key in takes(model, path) else path


def _problem(
    items: list[Any],
    model: type[BaseModel],
    at: KeyPath,
    path: KeyPath,
    source: Source,
    hidden: Mapping[KeyPath, str],
) -> Problem:
    item, whole = items[0], (*path, *at)
    key = next((part for part in reversed(whole) if isinstance(part, str)), "")
    kind = item["type"]
    if kind == "extra_forbidden":
        return _unknown(model, at, path, source)
    if kind == "missing":
        return source.problem(whole, "is missing", _fill_in(model, at, whole))
    stands_for = next((hidden[whole[:end]] for end in range(len(whole), 0, -1) if whole[:end] in hidden), "")
    cause = item.get("ctx", {}).get("error")
    saw = stands_for or found(item["input"])
    suggestion = _suggestion(item, cause, shape_of(model, at)) if not stands_for else ""
    if isinstance(cause, ValueError) and not isinstance(cause, Refused):
        message = _without(str(cause).removeprefix(f"{key}: "), item["input"] if stands_for else None)
        if not message.startswith("must "):
            message = f"is not accepted: {message}"
        elif not isinstance(item["input"], Mapping):
            message += f"; {saw}"
    else:
        needs = one_of(dict.fromkeys(_needs(each, shape_of(model, at)) for each in items))
        message = f"{needs}; {saw}" if not (isinstance(cause, Refused) and cause.at) else needs
    if suggestion:
        message += f". Did you mean {quoted(suggestion)}?"
    is_item = bool(whole) and isinstance(whole[-1], int)
    fix = cause.fix if isinstance(cause, Refused) and not stands_for else ""
    if not fix and (name := source.variable(whole)):
        fix = f"set {name} to {suggestion}" if suggestion and not is_item else f"correct the value of {name}"
    elif not fix and stands_for:
        fix = f"change {stands_for.removeprefix('found ').removesuffix(' (not shown)')}"
    elif not fix and isinstance(cause, ValueError) and not isinstance(cause, Refused):
        fix = "change what stands in this section" if isinstance(item["input"], Mapping) and not at else f"change {key}"
    elif not fix and shape_of(model, at).is_table:
        fix = f"write it as a section [{dotted(whole)}]"
    elif not fix:
        meant = suggestion or (cause.example if isinstance(cause, Refused) else "")
        value = quoted(meant) if meant else _example(item, shape_of(model, at))
        pair = f"write {key} = {value}" if value and key else "write such a value"
        fix = f"write {value} there" if is_item and value else pair
    return source.problem(whole, message, fix, at_value=True)


def _unknown(model: type[BaseModel], at: KeyPath, path: KeyPath, source: Source) -> Problem:
    *around, name = at
    whole = (*path, *at)
    known = takes(model, tuple(around))
    near = did_you_mean(str(name), known)
    table = dotted(whole[:-1])
    message = "is not a setting" if table else "is not a section"
    if near:
        message += f". Did you mean {near}?" if table else f". Did you mean [{near}]?"
    what = f"[{table}] takes" if table else "The sections are"
    do = "rename it" if near else "remove it"
    if near and (variable := source.variables.get(whole)):
        do += f" to {variable[: len(variable) - len(str(name))]}{near.upper()}"
    return source.problem(whole, message, f"{do}. {what}: {', '.join(known) or 'nothing'}")


def _suggestion(item: Any, cause: object, shape: Shape) -> str:
    if isinstance(cause, Refused):
        return cause.suggestion
    if item["type"] == "literal_error" and isinstance(item["input"], str):
        return did_you_mean(item["input"], [option for option in shape.choices if isinstance(option, str)])
    return ""


_NEEDS = {
    "string": "must be a text in quotes",
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "tuple": "must be a list",
    "list": "must be a list",
    "set": "must be a list",
    "frozen_set": "must be a list",
    "dict": "must be a table",
    "model": "must be a table",
    "path": "must be a path in quotes",
    "date": "must be a date such as 2025-01-31",
    "datetime": "must be a date and time such as 2025-01-31T09:00:00Z",
}
_LIMITS = {
    "greater_than_equal": ("ge", "must be {} or more"),
    "greater_than": ("gt", "must be more than {}"),
    "less_than_equal": ("le", "must be {} or less"),
    "less_than": ("lt", "must be less than {}"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "too_short": ("min_length", "must have at least {} items"),
    "too_long": ("max_length", "must have at most {} items"),
    "string_pattern_mismatch": ("pattern", "must match {}"),
}


def _needs(item: Any, shape: Shape) -> str:
    kind, ctx = item["type"], item.get("ctx", {})
    if isinstance(ctx.get("error"), Refused):
        return str(ctx["error"])
    if kind == "literal_error":
        return f"must be {one_of([literal(option) for option in shape.choices])}"
    if kind in _LIMITS:
        name, text = _LIMITS[kind]
        limit = ctx[name]
        return text.format(f"{limit:g}" if isinstance(limit, float) else limit)
    if shape.is_list and kind.endswith("_type") and not isinstance(item["input"], list | tuple):
        return "must be a list"
    for start, text in _NEEDS.items():
        if kind.startswith(f"{start}_"):
            return text
    return f"is not accepted: {item['msg']}"


def _example(item: Any, shape: Shape) -> str:
    """A value that would be right there, as TOML."""
    value, ctx = item["input"], item.get("ctx", {})
    if item["type"] == "literal_error":
        return literal(shape.choices[0])
    if item["type"] in {"greater_than_equal", "less_than_equal"}:
        return f"{ctx.get('ge', ctx.get('le')):g}"
    if shape.is_list and isinstance(value, str):
        return f"[{quoted(value)}]"
    if shape.is_text and isinstance(value, bool | int | float):
        return quoted(str(value).lower() if isinstance(value, bool) else str(value))
    return "" if isinstance(item.get("ctx", {}).get("error"), ValueError) else shape.example


def _fill_in(model: type[BaseModel], at: KeyPath, whole: KeyPath) -> str:
    *around, key = whole
    shape, what = shape_of(model, at), description(model, at)
    example = f'{{ env = "{variable_for(whole)}" }}' if shape.is_secret else shape.example
    where = f" under [{dotted(tuple(around))}]" if around else ""
    return f"add {key} = {example}{where}" + (f" ({what})" if what else "")


def variable_for(path: KeyPath) -> str:
    """A good name for the variable that holds the secret at `path`: HUBSPOT_TOKEN."""
    return "_".join(str(part) for part in path if part not in {"connections", "settings"}).upper()


def _without(text: str, value: object) -> str:
    """The message with the secret value itself taken out, should a validator have repeated it."""
    secret = value if isinstance(value, str) else ""
    return text.replace(secret, "***") if secret else text
