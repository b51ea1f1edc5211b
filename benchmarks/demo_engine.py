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
from hub.cli import stage
from hub.demo import Company
from hub.engine import Engine

_TOOLS: list[subprocess.Popen[str]] = []


def _company() -> Company:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    return Company.build(end=end)


def tools() -> None:
    """Serve the company's tools until standard input closes."""
    with stage.tools(_company()) as running:
        print(json.dumps({name: tool.url for name, tool in running.items()}), flush=True)
        sys.stdin.read()


def engine(connections: int, period_s: float, data_dir: Path) -> Any:
    """An engine with the company's ten connections, due every `period_s` seconds, delivering on its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.demo_engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ,
    )  # fmt: skip
    _TOOLS.append(child)
    urls = json.loads((child.stdout and child.stdout.readline()) or "{}")
    data_dir.mkdir(parents=True, exist_ok=True)
    path = stage.configure(data_dir, _company(), urls)
    text = path.read_text("utf-8").replace("[system_of_record]\n", '[system_of_record]\napprove = "auto"\n')
    path.write_text(f'{text}\n[schedule]\nevery = "{int(period_s)} seconds"\n', "utf-8")
    return Engine.open(settings.load(path))


if __name__ == "__main__":
    tools()
