"""The memory that a process and those it started hold at most, together: what they share is counted once.

As a program: follows a process until its input ends, and prints the most that was seen, in MB.
"""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

_EVERY = 0.5  # seconds


class Peak:
    """Measured from another process, so that nothing here slows down or has a thread more. Where the system does not tell what
    is shared (not Linux): the most of this process, and of one it started, added for each core.
    """

    def __init__(self) -> None:
        self.mb = 0.0

    def __enter__(self) -> "Peak":
        self._follower = None
        if Path("/proc/self/smaps_rollup").exists():
            command = [sys.executable, "-m", "benchmarks.identity.peak", str(os.getpid())]
            self._follower = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._follower:
            self.mb = float(self._follower.communicate()[0])
        else:
            mine, theirs = (resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            self.mb = (mine + theirs * (os.cpu_count() or 1)) / 1024


def _held_kb(pid: int) -> int:
    """Of a process and all below it, this one not counted; 0 for what has ended."""
    if pid == os.getpid():
        return 0
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return 0
    own = sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return own + sum(_held_kb(int(child)) for child in children)


def main() -> None:
    most, ended = 0, threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.wait(_EVERY):
        most = max(most, _held_kb(int(sys.argv[1])))
    print(most / 1024)


if __name__ == "__main__":
    main()
