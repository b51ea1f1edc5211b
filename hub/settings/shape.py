"""What a settings model wants at a place: the part of its annotations that reading and error texts need."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from hub.settings.locate import KeyPath
from hub.settings.words import literal

_EXAMPLES = (
    (bool, "true"), (int, "1"), (float, "1.0"), (datetime, "2025-01-31T09:00:00Z"), (date, "2025-01-31"),
)  # fmt: skip
_LISTS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Shape:
    """One annotation, unwrapped.

    options: its members without None. model: the table's model; item: of a list or of a table's values.
    """

    options: tuple[Any, ...] = ()
    model: type[BaseModel] | None = None
    item: Any = None
    is_list: bool = False
    is_table: bool = False

    @property
    def is_text(self) -> bool:
        return str in self.options

    @property
    def is_secret(self) -> bool:
        return any(_is_kind(option, (SecretStr, SecretBytes, Secret)) for option in self.options)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of Literal types."""
        return tuple(c for option in self.options if get_origin(option) is Literal for c in get_args(option))

    @property
    def is_path(self) -> bool:
        return any(_is_kind(option, (Path,)) for option in self.options)

    @property
    def is_leaf(self) -> bool:
        """Holds one value, which may be given by reference."""
        return bool(self.options) and not self.is_list and not self.is_table and Any not in self.options

    @property
    def never_text(self) -> bool:
        return bool(self.options) and all(option in {bool, int, float} for option in self.options)

    @property
    def example(self) -> str:
        """A value of this shape, as TOML."""
        if self.is_list:
            return '["..."]'
        if self.is_table:
            return "{ ... }"
        for kind, text in _EXAMPLES:
            if kind in self.options:
                return text
        return literal(self.choices[0]) if self.choices else '"..."'


def unwrap(annotation: Any) -> Shape:
    """The Shape of an annotation."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [unwrap(arg) for arg in get_args(annotation) if arg is not type(None)]
        if len(members) == 1:
            return members[0]
        options = tuple(option for member in members for option in member.options)
        shaped: Shape = next((m for m in members if m.is_list or m.is_table), Shape())
        return Shape(options, shaped.model, shaped.item, shaped.is_list, shaped.is_table)
    origin, args = get_origin(annotation) or annotation, get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return Shape((origin,), model=origin, is_table=True)
    if origin in _LISTS:
        return Shape((origin,), item=args[0] if args else Any, is_list=True)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Shape((origin,), item=args[1] if args else Any, is_table=True)
    return Shape((Any if annotation is Any else annotation,))


def field_names(model: type[BaseModel]) -> dict[str, str]:
    """Key in the file -> field name; they differ where a field has an alias."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


def shape_of(model: type[BaseModel], path: KeyPath) -> Shape:
    """What `model` wants at `path`; an empty Shape where it wants nothing."""
    shape = Shape((model,), model=model, is_table=True)
    for part in path:
        if shape.model and isinstance(part, str):
            name = field_names(shape.model).get(part)
            if name is None:
                return Shape()
            shape = unwrap(shape.model.model_fields[name].annotation)
        elif shape.item is not None:
            shape = unwrap(shape.item)
        else:
            return Shape()
    return shape


def description(model: type[BaseModel], path: KeyPath) -> str:
    """What the model's author says of the field at `path`, or ""."""
    *around, key = path
    inner = shape_of(model, tuple(around)).model
    name = field_names(inner).get(str(key)) if inner else None
    return (inner.model_fields[name].description or "") if inner and name else ""


def takes(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the table at `path` accepts, sorted."""
    inner = shape_of(model, path).model
    return sorted(field_names(inner)) if inner else []


def _is_kind(option: Any, kinds: tuple[type, ...]) -> bool:
    origin = get_origin(option) or option
    return isinstance(origin, type) and issubclass(origin, kinds)
