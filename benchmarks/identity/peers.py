"""The compared libraries, each in a virtual environment of its own (.venv/peers/<name>), made when first asked for.

A library that cannot be installed here is reported as "not installed" with the last line pip said; its row then shows the
figure that was measured elsewhere, marked as such.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.identity.sets import SETS, Labelled
from benchmarks.measure import run

ROOT = Path(__file__).resolve().parents[2] / ".venv" / "peers"
PINS: dict[str, tuple[str, ...]] = {
    "splink": ("splink==5.0.0", "duckdb==2.0.0"),
    "goldenmatch": ("goldenmatch==3.22.0",),
}
INSTALL_S = 600


class NotInstalled(Exception):
    """Why a library is not there, in pip's words."""


def python(name: str, install: bool = True) -> str:
    """The interpreter that has this library. Raises NotInstalled."""
    home = ROOT / name
    found = home / "bin" / "python"
    if not found.exists():
        if not install:
            raise NotInstalled("not installed")
        print(f"installing {name} into {home} (once)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
    if not _has(found, name):
        command = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS[name]]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"not installed: pip took more than {INSTALL_S} s") from None
        if done.returncode or not _has(found, name):
            raise NotInstalled(f"not installed: {(done.stderr.strip() or 'it does not import').splitlines()[-1]}")
    return str(found)


def _has(interpreter: Path, name: str) -> bool:
    check = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    return interpreter.exists() and subprocess.run([str(interpreter), "-c", check], check=False).returncode == 0


def installed_mb(name: str) -> float:
    """What its packages take on disk, compiled files included."""
    packages = next((ROOT / name).glob("lib/python*/site-packages"))
    mine = [p for p in packages.rglob("*") if p.is_file() and p.relative_to(packages).parts[0] not in _PIP]
    return sum(p.stat().st_size for p in mine) / 1e6


_PIP = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def measured(name: str, set_name: str, install: bool = True) -> dict[str, Any]:
    """What `benchmarks.identity.peer_<name>` says of a set. Raises NotInstalled, RuntimeError."""
    interpreter = python(name, install)
    with _table(SETS[set_name]()) as path:
        return run(f"benchmarks.identity.peer_{name}", path, set_name, python=interpreter).said


@contextmanager
def _table(labelled: Labelled) -> Iterator[Path]:
    """The set as CSV, values normalised by us (to its advantage), with `id`, `truth` and `table`."""
    fields = sorted({f for r in labelled.records for f in r.fields} - {"name", "handle"})
    columns = ["id", "truth", "table", "first_name", "last_name", *fields]
    with tempfile.TemporaryDirectory(prefix="hub-peer-") as folder:
        path = Path(folder) / "set.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, columns)
            out.writeheader()
            for r in labelled.records:
                given, middle, family = next(iter(r.fields.get("name", ("||",)))).split("|")
                row = {f: v[0] for f, v in r.fields.items() if f in fields}
                row |= {"id": r.id, "truth": labelled.truth[r.id], "table": r.holder}
                out.writerow(row | {"first_name": " ".join(filter(None, (given, middle))), "last_name": family})
        yield path
