"""The real engine on the demo company for `serve_soak --engine benchmarks.demo_engine:engine`.

The made-up company's tools run in a process of their own, so that their CPU is not counted as syncing.
Run as a module it is that process: prints the two base URLs as JSON and serves until it is ended.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub import settings
from hub.cli.demo import TOKEN, _configure, _fill
from hub.demo import Company
from hub.engine import Engine
from hub.plugins import load

_TOOLS: list[subprocess.Popen[str]] = []


def _company() -> Company:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    return Company.build(end=end)


def tools() -> None:
    """Serve the company's mailboxes and CRM until standard input closes."""
    registry = load()
    with registry.emulator("gmail")().serve() as gmail, registry.emulator("hubspot")(token=TOKEN).serve() as hubspot:
        _fill(_company(), gmail, hubspot)
        print(json.dumps({"gmail": gmail.url, "hubspot": hubspot.url}), flush=True)
        sys.stdin.read()


def engine(connections: int, period_s: float, data_dir: Path) -> Any:
    """An engine with the company's five connections, due every `period_s` seconds, delivering on its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.demo_engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ,
    )  # fmt: skip
    _TOOLS.append(child)
    urls = json.loads((child.stdout and child.stdout.readline()) or "{}")
    data_dir.mkdir(parents=True, exist_ok=True)
    path = _configure(data_dir, _company(), urls["gmail"], urls["hubspot"])
    text = path.read_text("utf-8").replace("[system_of_record]\n", '[system_of_record]\napprove = "auto"\n')
    path.write_text(f'{text}\n[schedule]\nevery = "{int(period_s)} seconds"\n', "utf-8")
    return Engine.open(settings.load(path))


if __name__ == "__main__":
    tools()
