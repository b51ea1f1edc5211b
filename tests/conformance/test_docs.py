"""The author's guide says what the worked example does; the example is what a third party could write."""

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import hub_bulletin
import pytest
from hub_bulletin.rig import MessagesRig

from hub.api import Connector
from hub.testing import Emulator, Rig
from hub.testing.suite_result import CLAUSES, read_quality

HERE = Path(__file__).parent
GUIDE = (HERE.parents[1] / "docs" / "connector-authors.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


def functions_of(cls: type) -> list[str]:
    return [name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.strip().splitlines()[1].strip()[:50])
def test_each_piece_of_code_is_in_the_file_it_names(block: str) -> None:
    where, _, code = block.partition("\n")
    source = (HERE / where.removeprefix("# ")).read_text("utf-8")
    assert code in source


def test_the_guide_names_every_method_verb_and_clause() -> None:
    unsaid = [
        n for n in (*functions_of(Connector), *functions_of(Rig)) if f"{n}(" not in GUIDE and f"`{n}`" not in GUIDE
    ]
    assert set(unsaid) <= {"aclose", "close"}
    for clause in CLAUSES:
        assert f"| {clause.id} {clause.name} | {clause.promise} | {clause.level} |" in GUIDE


def test_the_package_file_gives_the_plugin() -> None:
    project = tomllib.loads(blocks("toml")[0])["project"]
    ((name, module),) = project["entry-points"]["interaction_hub"].items()
    plugin = importlib.import_module(module)
    assert plugin.hub_connectors()[0].manifest.name == name
    path, _, attribute = plugin.hub_emulators()[name].partition(":")
    assert issubclass(getattr(importlib.import_module(path), attribute), Emulator)
    assert project["name"] == f"interaction-hub-{name}"


def test_the_quality_file_of_the_guide_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "quality.toml"
    path.write_text(blocks("toml")[1])
    claims = read_quality(path)
    assert {clause: claim.status for clause, claim in claims.items()} == {"W1": "done", "W5": "exempt", "W8": "open"}


@pytest.mark.parametrize("name", ["__init__", "emulator", "rig"])
def test_the_example_imports_what_a_third_party_may(name: str) -> None:
    source = (Path(hub_bulletin.__file__).parent / f"{name}.py").read_text("utf-8")
    imported = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module}
    assert {m for m in imported if m.split(".")[0] == "hub"} <= {"hub.api", "hub.testing"}


def test_the_example_overrides_every_verb_but_two() -> None:
    left = [name for name in functions_of(Rig) if getattr(MessagesRig, name) is getattr(Rig, name)]
    assert set(left) == {"close", "merge", "restore", "wanted"}
