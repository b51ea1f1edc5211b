"""`python -m benchmarks.identity.footprint`: what identity adds to an install, and what importing it takes. Row 21.

Two importers are told apart: `hub.identity.match` is the matcher alone, beside which the libraries stand; `hub.identity`
brings the store and the connectors' types, which every other part of the program needs too.
"""

import json
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import hub.identity.match

NEEDS = ("phonenumberslite", "tldextract", "rapidfuzz", "requests", "requests-file", "filelock")  # and what those need
MODULES = ("hub.identity.match.batch", "hub.identity", "hub.store")
TIMES = 4


def import_s(module: str) -> float:
    """CPU seconds over those of an empty program: the least of several runs, files compiled already."""
    return min(_cpu(f"import {module}") for _ in range(TIMES)) - min(_cpu("pass") for _ in range(TIMES))


def _cpu(code: str) -> float:
    timed = f"import time; t = time.process_time(); {code}; print(time.process_time() - t)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


def size_mb(package: str) -> float:
    """Its files, without compiled ones; 0.0 where it is not installed."""
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        return 0.0
    paths = [Path(str(f.locate())) for f in listed if not str(f).endswith(".pyc")]
    return sum(p.stat().st_size for p in paths if p.is_file()) / 1e6


def main() -> None:
    own = (
        sum(
            p.stat().st_size
            for p in Path(hub.identity.match.__file__).parents[1].rglob("*")
            if p.suffix not in {".pyc", ""}
        )
        / 1e6
    )
    began = time.monotonic()
    print(json.dumps({
        "own_mb": own, "needs_mb": {p: size_mb(p) for p in NEEDS}, "import_s": {m: import_s(m) for m in MODULES},
        "wall_s": time.monotonic() - began,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
