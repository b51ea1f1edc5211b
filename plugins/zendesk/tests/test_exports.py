"""The export limit is used to the full and never overrun; the whole measure is `measure_exports.py`."""

import importlib.util
from pathlib import Path
from types import ModuleType

from hub.api import FakeClock


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_exports", Path(__file__).with_name("measure_exports.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tickets_come_as_fast_as_zendesk_permits() -> None:
    measure = tool()
    clock = FakeClock(measure.START)
    emulator = measure.filled(2500, clock)
    with emulator.serve() as running:
        found = measure.measure(emulator, clock, f"{running.url}/", "tickets", 100)
    assert found["records"] == 2500
    assert found["records/permitted"] >= 0.98
    assert found["refusals"] == 0
