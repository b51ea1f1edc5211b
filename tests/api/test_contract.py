"""The public contract: every exported name with its signature is the one in contract.txt. A change is a decision."""

import dataclasses
import inspect
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pluggy
import pytest

import hub.api

LIST = Path(__file__).with_name("contract.txt")
REWRITE = "write it anew with: python tests/api/test_contract.py"


def contract() -> str:
    """One line for each exported name, one for each of its public methods and fields."""
    lines = []
    for name in sorted(hub.api.__all__):
        lines += described(name, getattr(hub.api, name))
    return "\n".join(lines) + "\n"


def described(name: str, thing: Any) -> list[str]:
    if isinstance(thing, (int, str)):
        return [f"{name} = {thing!r}"]
    if isinstance(thing, (pluggy.HookspecMarker, pluggy.HookimplMarker)):
        return [f"{name}: {type(thing).__name__}({thing.project_name!r})"]
    if typing.get_origin(thing) is typing.Literal:
        return [f"{name} = Literal{list(typing.get_args(thing))}"]
    if typing.get_args(thing):
        return [f"{name} = {' | '.join(t.__name__ for t in typing.get_args(thing))}"]
    if not inspect.isclass(thing):
        return [f"{name}{shown(inspect.signature(thing))}"]
    if not thing.__module__.startswith("hub."):
        return [f"{name}: {thing.__module__}.{thing.__name__}"]
    bases = ", ".join(b.__name__ for b in thing.__bases__ if b is not object)
    lines = [f"class {name}({bases})"]
    if dataclasses.is_dataclass(thing) or issubclass(thing, msgspec.Struct):
        lines.append(f"  {name}{shown(inspect.signature(thing))}")
    for member, value in sorted(vars(thing).items()):
        if member.startswith("_"):
            continue
        plain = value.fget if isinstance(value, property) else inspect.unwrap(value) if callable(value) else None
        if inspect.isfunction(plain):
            kind = (
                "async " if inspect.iscoroutinefunction(plain) else "property " if isinstance(value, property) else ""
            )
            lines.append(f"  {kind}{name}.{member}{shown(inspect.signature(plain))}")
    return lines


def shown(signature: inspect.Signature) -> str:
    """Parameters with their types' bare names; a default that is no plain value is "..."."""
    parameters = [
        p.replace(default=PLAIN) if p.default is not p.empty and not isinstance(p.default, SIMPLE) else p
        for p in signature.parameters.values()
    ]
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", str(signature.replace(parameters=parameters)))


class _Plain:
    def __repr__(self) -> str:
        return "..."


PLAIN, SIMPLE = _Plain(), (str, int, float, bool, tuple, type(None))


def test_the_contract_is_the_one_written_down() -> None:
    assert contract() == LIST.read_text("utf-8"), REWRITE


def test_every_exported_name_is_there_and_nothing_twice() -> None:
    assert len(set(hub.api.__all__)) == len(hub.api.__all__)
    missing = [name for name in hub.api.__all__ if not hasattr(hub.api, name)]
    assert missing == []


@pytest.mark.parametrize("name", [n for n in hub.api.__all__ if inspect.isclass(getattr(hub.api, n))])
def test_every_public_class_says_what_it_is(name: str) -> None:
    cls = getattr(hub.api, name)
    if cls.__module__.startswith("hub.") and not name.endswith(("Protocol", "Store", "Source")):
        assert (cls.__doc__ or "").strip(), name
        assert "Initialize self" not in (cls.__doc__ or "")


if __name__ == "__main__":
    LIST.write_text(contract(), "utf-8")
