"""The results a connector is shipped with: `conformance.json` in its package, written by the suite and by nobody else."""

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hub.testing.suite_result import Result, level, merged

FILE = "conformance.json"


def to_json(results: Iterable[Result]) -> dict[str, Any]:
    """Connector -> {"level", "exempt", "clauses": {clause: result}}."""
    given = list(results)
    found = {}
    for name in sorted({r.connector for r in given}):
        rows = merged(name, given)
        exempt = sum(row.outcome == "exempt" for row in rows)
        found[name] = {"level": level(rows), "exempt": exempt, "clauses": {r.clause: r.to_dict() for r in rows}}
    return found


def package_file(connector: str) -> Path | None:
    """Where `hub_<connector>` keeps its results; None where there is no such package."""
    spec = importlib.util.find_spec(f"hub_{connector}")
    return Path(spec.origin).parent / FILE if spec and spec.origin else None


def write(results: Iterable[Result]) -> list[Path]:
    """Put each connector's results into its package; gives the files that changed."""
    changed = []
    for name, found in to_json(results).items():
        path = package_file(name)
        text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if path and (not path.exists() or path.read_text("utf-8") != text):
            path.write_text(text, "utf-8")
            changed.append(path)
    return changed


def stale(results: Iterable[Result]) -> list[str]:
    """Connectors whose shipped outcomes are not what these results say. Connectors that ship none are left alone."""
    differing = []
    for name, found in to_json(results).items():
        path = package_file(name)
        if path and path.exists() and _outcomes(json.loads(path.read_text("utf-8"))) != _outcomes(found):
            differing.append(name)
    return differing


def _outcomes(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return found["level"], {clause: row["outcome"] for clause, row in found["clauses"].items()}
