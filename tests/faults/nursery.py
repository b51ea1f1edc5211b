"""Hub processes to be killed, each begun by a fork: what every start would load again is loaded once.

`python -m tests.faults.nursery MODULE` reads the folder of a world from each line of its standard input and gives a
child the work, `MODULE.work(folder)`. It answers with the child's pid, and with a word when that has ended. One more
line, and the child is buried (until then its pid is nobody else's: a late strike hits nobody) and the code it ended
with is told, as in subprocess.
The child's own words are in the folder: `nursery.out`, `nursery.err`. Nothing but imports is done before the fork: no
thread, no connection and no open file is shared with whoever is killed.
"""

import asyncio
import importlib
import os
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUT, ERR = "nursery.out", "nursery.err"


class Child:
    """A hub at work. returncode: None until it is over."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self.folder, self.is_over = pid, folder, False
        self.returncode: int | None = None


class Nursery:
    """`with Nursery(module) as nursery:`; one child at a time."""

    def __init__(self, module: str = "tests.faults.driver") -> None:
        self._module = module

    def __enter__(self) -> "Nursery":
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, self._module], cwd=ROOT, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=30)  # closes its input, which ends it

    def start(self, folder: Path) -> Child:
        self._say(str(folder))
        return Child(int(self._answer(60.0)), folder)

    def communicate(self, child: Child, most_s: float) -> tuple[str, str]:
        """What it said on either stream, once it has ended. Raises subprocess.TimeoutExpired, the child killed."""
        try:
            self._answer(most_s)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            self._answer(60.0)
            raise
        finally:
            child.is_over = True
            self._say("")
            child.returncode = int(self._answer(60.0))
        return (child.folder / OUT).read_text(), (child.folder / ERR).read_text()

    def _say(self, words: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{words}\n".encode())

    def _answer(self, most_s: float) -> bytes:
        """Its next line. Unbuffered: what select does not see, nobody holds."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], most_s)[0]:
            raise subprocess.TimeoutExpired(self._module, most_s)
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the nursery of {self._module} ended by itself")
        return line


def _raise(module: Any, folder: Path) -> None:
    """In the child: do the work and end, without a word to whoever reads the nursery."""
    code = 1
    try:
        for name, number in ((os.devnull, 0), (OUT, 1), (ERR, 2)):
            file = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, number)
            os.close(file)
        code = asyncio.run(module.work(folder))
    except BaseException:  # carried to the one who waits, as an interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    while folder := sys.stdin.readline().rstrip("\n"):
        ends, held = os.pipe()  # the child alone holds one end, and lets go of it when it ends in whatever way
        if (pid := os.fork()) == 0:
            os.close(ends)
            _raise(module, Path(folder))
        os.close(held)
        print(pid, flush=True)
        os.read(ends, 1)
        os.close(ends)
        print("over", flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
