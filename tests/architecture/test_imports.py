"""The rooms and their borders: what import-linter's contracts (`make lint`) cannot say."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(file: Path) -> set[str]:
    """Every module a file names in an import, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: rooms are named in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


FILES = sorted(p for p in (ROOT / "hub").rglob("*.py"))


def test_only_the_store_knows_one_database_from_the_other() -> None:
    strangers = {
        str(file.relative_to(ROOT))
        for file in FILES
        if file.relative_to(ROOT).parts[1] != "store"
        and any(m.startswith("sqlalchemy.dialects") for m in imported(file))
    }
    assert strangers == set()


def test_a_room_is_entered_by_its_door() -> None:
    """Other rooms import what a room's `__init__` offers, or one of its named modules, never a private name."""
    private = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in FILES
        for name in imported(file)
        if name.startswith("hub.")
        and name.split(".")[1] != file.relative_to(ROOT).parts[1].removesuffix(".py")
        and any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    }
    assert private == set()


def test_every_room_says_what_goes_in_and_what_comes_out() -> None:
    rooms = sorted(p for p in (ROOT / "hub").glob("*/__init__.py"))
    silent = [
        str(p.relative_to(ROOT)) for p in rooms if len(ast.get_docstring(ast.parse(p.read_text("utf-8"))) or "") < 60
    ]
    assert silent == []
