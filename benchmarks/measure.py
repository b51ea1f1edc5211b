"""Running a case in a process of its own, what it used, and the median of paired runs."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PEER = "HUB_PEER_PYTHON"


@dataclass(frozen=True)
class Used:
    """cpu_s: user and system time of the process and those it waited for. said: the JSON object it printed last."""

    cpu_s: float
    wall_s: float
    said: dict[str, Any]

    @property
    def records(self) -> int:
        return int(self.said["records"])

    @property
    def us(self) -> float:
        """CPU per record in microseconds, start-up included."""
        return self.cpu_s / self.records * 1e6

    @property
    def net_us(self) -> float:
        """CPU per record in microseconds from the moment the case itself began."""
        return float(self.said["cpu_s"]) / self.records * 1e6


@dataclass(frozen=True)
class Row:
    """One line of the table. figure: as shown; is_met: None where there is no target or nothing was measured."""

    name: str
    what: str
    figure: str
    target: str = ""
    is_met: bool | None = None
    detail: Sequence[str] = field(default=())


def run(module: str, *args: object, python: str = sys.executable) -> Used:
    """Run `python -m module args`. Raises RuntimeError with what it said when it fails."""
    command = [python, "-m", module, *(str(a) for a in args)]
    return run_command(command)


def run_command(command: Sequence[str], *, wants_json: bool = True, allowed: Sequence[int] = (0,)) -> Used:
    """CPU is the kernel's own count for the child and the children it waited for."""
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_env()) as process:
        out, err = _drain(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{err[-3000:]}")
    said = json.loads(out.strip().splitlines()[-1]) if wants_json else {}
    return Used(usage.ru_utime + usage.ru_stime, time.monotonic() - begun, said)


def _drain(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Both streams to their end without waiting for the process, so that its resource usage stays readable."""
    out_pipe, err_pipe = process.stdout, process.stderr
    if out_pipe is None or err_pipe is None:
        raise RuntimeError("the process has no pipes")
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.append(err_pipe.read()))
    reader.start()
    out = out_pipe.read()
    reader.join()
    return out, errors[0]


def _env() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": root, "RUNTIME__DLTHUB_TELEMETRY": "false"}


@contextmanager
def served(kind: str, *args: object) -> Iterator[str]:
    """A vendor's stand-in in another process; gives its base URL, without a slash at the end."""
    command = [sys.executable, "-m", "benchmarks.servers", kind, *(str(a) for a in args)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_env()) as process:
        line = process.stdout.readline() if process.stdout else ""
        try:
            if not line:
                raise RuntimeError(f"the {kind} server did not start")
            yield str(json.loads(line)["url"])
        finally:
            if process.stdin:
                process.stdin.close()


@dataclass(frozen=True)
class Pairs:
    """Runs of two cases, each right after the other."""

    left: list[Used]
    right: list[Used]

    def ratio(self, value: Callable[[Used], float]) -> float:
        """Median of left / right."""
        return statistics.median(value(a) / value(b) for a, b in zip(self.left, self.right, strict=True))

    def spread(self, value: Callable[[Used], float]) -> str:
        """All ratios, smallest first."""
        return ", ".join(f"{value(a) / value(b):.2f}" for a, b in sorted_pairs(self, value))


def sorted_pairs(pairs: Pairs, value: Callable[[Used], float]) -> list[tuple[Used, Used]]:
    return sorted(zip(pairs.left, pairs.right, strict=True), key=lambda p: value(p[0]) / value(p[1]))


def paired(left: Callable[[], Used], right: Callable[[], Used], times: int) -> Pairs:
    """`left` and `right` in turn, `times` times; which of them begins changes from pair to pair."""
    pairs = Pairs([], [])
    for n in range(times):
        for side, case in ((pairs.left, left), (pairs.right, right))[:: 1 if n % 2 == 0 else -1]:
            side.append(case())
    return pairs


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB. Linux: the process's own mark, not its parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 * 1.024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def peer_python() -> str | None:
    """The interpreter with the peers installed; None when nobody named one, or it has no dlt."""
    python = os.environ.get(PEER, "")
    if not python:
        return None
    found = subprocess.run([python, "-c", "import dlt, duckdb, pyarrow"], capture_output=True, check=False)
    return python if found.returncode == 0 else None


def busyness() -> str:
    one, five, fifteen = os.getloadavg()
    return f"{os.cpu_count()} cores, load {one:.1f} now, {five:.1f} over 5 min, {fifteen:.1f} over 15 min"
