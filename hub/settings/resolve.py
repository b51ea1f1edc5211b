"""From what stands in the file and the environment to plain values a model can validate.

A text may be given by reference, `{ env = "NAME" }` or `{ file = "path" }`. What counts as a reference, a
secret, a path or a list is decided by the model's annotations, so a connector setting called "file" stays
what it is.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hub.settings.locate import KeyPath
from hub.settings.problems import Problem, Source, variable_for
from hub.settings.shape import Shape, field_names, unwrap
from hub.settings.words import did_you_mean, found

MAX_FILE_BYTES = 1024 * 1024


class Resolver:
    """Resolves one table. `problems` and `hidden` (what not to show, with words for it) fill on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.hidden: dict[KeyPath, str] = {}

    def table(self, model: type[BaseModel], data: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        """`data` with references read; keys the model does not know stay, for validation to refuse."""
        names = field_names(model)
        out: dict[str, Any] = {}
        from_files = {
            key.removesuffix("_file"): value
            for key, value in data.items()
            if key not in names and key.removesuffix("_file") in names and self.source.variable((*path, key))
        }
        for key, value in data.items():
            if key in names and key not in from_files:
                shape = unwrap(model.model_fields[names[key]].annotation)
                out[key] = self.value(shape, value, (*path, key))
            elif key.removesuffix("_file") not in from_files:
                out[key] = value
        for stem, name in from_files.items():
            here = (*path, stem)
            if self.source.variables.get(here):
                self._refuse(here, f"is set twice: {self.source.variable(here)} and the same with _FILE",
                             "keep one of the two variables")  # fmt: skip
            else:
                out[stem] = self._read_file(name, (*path, f"{stem}_file"), here)
        return out

    def value(self, shape: Shape, value: Any, path: KeyPath) -> Any:
        is_text_outside = isinstance(value, str) and not self.source.is_from_file(path)
        if shape.is_list:
            if isinstance(value, Mapping) and not shape.is_table:
                value = self._reference(value, path, shape)
                is_text_outside = isinstance(value, str)
            if is_text_outside and isinstance(value, str) and not shape.is_text:
                value = _listed(value)
            if isinstance(value, list | tuple):
                return [self.value(unwrap(shape.item), item, (*path, i)) for i, item in enumerate(value)]
        elif shape.is_table:
            if is_text_outside and isinstance(value, str):
                value = _json(value)
            if isinstance(value, Mapping) and shape.model:
                return self.table(shape.model, value, path)
            if isinstance(value, Mapping) and shape.item is not Any:
                item = unwrap(shape.item)
                return {key: self.value(item, each, (*path, key)) for key, each in value.items()}
        elif shape.is_leaf:
            return self._leaf(shape, value, path)
        return value

    def _leaf(self, shape: Shape, value: Any, path: KeyPath) -> Any:
        if shape.is_secret:
            self.hidden[path] = "found a value that is not shown"
            if isinstance(value, str) and value and self.source.is_from_file(path):
                name, key = variable_for(path), path[-1]
                ways = (f'{{ env = "{name}" }}', f'{{ file = "/path/to/{name.lower()}" }}')
                if isinstance(key, int):
                    fix = f"write {ways[0]} or {ways[1]} there"
                else:
                    fix = f"write {key} = {ways[0]} or {key} = {ways[1]}"
                self._refuse(path, "is a secret and must not stand in this file", fix)
                return None
        is_written = self.source.is_from_file(path) and not isinstance(value, Mapping)
        if isinstance(value, Mapping):
            value = self._reference(value, path, shape)
        elif shape.never_text and is_written and isinstance(value, str):
            words = "true or false" if bool in shape.options else "a number"
            message = f"must be {words}, without quotes; {found(value)}"
            meant = value if bool not in shape.options and value.isdecimal() else shape.example
            self._refuse(path, message, f"write {path[-1]} = {meant}")
            return None
        elif shape.never_text and isinstance(value, bool) and bool not in shape.options:
            self._refuse(path, f"must be a number; {found(value)}", f"write {path[-1]} = {shape.example}")
            return None
        if isinstance(value, str) and not is_written and value not in shape.choices:
            # outside the file everything is text; pydantic reads numbers from it, but not a choice of numbers
            value = next((choice for choice in shape.choices if str(choice) == value), value)
        if shape.is_path and isinstance(value, str) and value and self.source.folder:
            return self._path(value)
        return value

    def _reference(self, value: Mapping[str, Any], path: KeyPath, shape: Shape) -> Any:
        """What `{ env = ... }` or `{ file = ... }` points at."""
        if len(value) != 1 or not {"env", "file"}.issuperset(value):
            what = "a list" if shape.is_list else "one value"
            message = f'must be {what}, or a reference {{ env = "NAME" }} or {{ file = "path" }}; found a table'
            example = f'{{ env = "{variable_for(path)}" }}' if shape.is_secret else shape.example
            self._refuse(path, message, f"write {path[-1]} = {example}")
            return None
        [(kind, name)] = value.items()
        if not isinstance(name, str) or not name:
            message = f"has a reference without a name: {kind} must be a text in quotes; {found(name)}"
            self._refuse(path, message, f'write {path[-1]} = {{ {kind} = "..." }}', (*path, kind))
            return None
        if kind == "file":
            return self._read_file(name, path, path)
        text = self.source.env.get(name, "")
        if not text:
            near = did_you_mean(name, (each for each in self.source.env if each.isupper()))
            hint = f" (there is {near})" if near and near != name else ""
            is_set = "is empty" if name in self.source.env else "is not set"
            message = f"refers to the environment variable {name}, which {is_set}{hint}"
            self._refuse(path, message, f"set {name} before the hub starts, or correct the name here")
            return None
        self.hidden[path] = f"found the value of environment variable {name} (not shown)"
        return text

    def _read_file(self, name: str, said_at: KeyPath, path: KeyPath) -> str | None:
        file = self._path(name)
        reason = ""
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                reason = "is larger than 1 MiB"
            text = file.read_text(encoding="utf-8").rstrip("\r\n") if not reason else ""
            reason = reason or ("" if text else "is empty")
        except UnicodeDecodeError:
            reason = "is not UTF-8 text"
        except FileNotFoundError:
            reason = "does not exist"
        except OSError as exc:
            reason = f"cannot be read ({exc.strerror})"
        if reason:
            message = f"refers to the file {file}, which {reason}"
            self._refuse(path, message, "put the value into that file, or correct the path", said_at)
            return None
        self.hidden[path] = f"found the content of file {file} (not shown)"
        return text

    def _path(self, name: str) -> Path:
        path = Path(name).expanduser()
        return self.source.folder / path if self.source.folder else path

    def _refuse(self, path: KeyPath, message: str, fix: str, said_at: KeyPath = ()) -> None:
        self.problems.append(self.source.problem(path, message, fix, at_value=True, said_at=said_at))


def _listed(text: str) -> Any:
    """A list from an environment variable: JSON, or items between commas."""
    if text.lstrip().startswith("["):
        return _json(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
