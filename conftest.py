"""For all tests, the hub's and the connectors': what each would otherwise pay for again and again."""

import gc
import os
import shutil
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a private folder in it


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(20_000, 20, 50)
    # With several workers (`make tests`) their folders in memory, where there is plenty: no test waits for a disk.
    is_parallel = bool(config.getoption("numprocesses", None))
    if is_parallel and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2**31:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: the garbage collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
