"""Where axe-core is: found, never copied, since its licence (MPL) is not this repository's."""

import os
from importlib.util import find_spec
from pathlib import Path

FIX = "`npm install --prefix .venv axe-core`, `pip install axe-core-python`, or name axe.min.js in $HUB_AXE"
_ROOT = Path(__file__).parents[2]
_PACKAGES = ("axe_playwright_python", "axe_core_python")


def source() -> str:
    """The text of axe.min.js: $HUB_AXE, what npm or pip put into .venv; "" where there is none."""
    found = next((p for p in _places() if p.is_file()), None)
    return found.read_text("utf-8") if found else ""


def _places() -> list[Path]:
    if named := os.environ.get("HUB_AXE"):
        return [Path(named)]
    packages = [Path(spec.origin).parent for name in _PACKAGES if (spec := find_spec(name)) and spec.origin]
    return [_ROOT / ".venv/node_modules/axe-core/axe.min.js", *(folder / "axe.min.js" for folder in packages)]
