"""Every fault of the table ends in its word and exit code, and nothing is lost once it is over.

`python -m benchmarks.evidence.faults` plays the rare ones as well and prints the table.
"""

from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.scenarios import SCENARIOS, Scenario

pytestmark = pytest.mark.anyio
_targets: dict[str, str] = {}


ROWS = [s for s in SCENARIOS if not s.is_rare]


@pytest.mark.parametrize("scenario", ROWS, ids=[f"{s.connection}: {s.name}" for s in ROWS])
async def test_a_fault_is_named_and_costs_nothing(scenario: Scenario, tmp_path: Path) -> None:
    name = scenario.connection
    if name not in _targets:
        _targets[name] = await scenarios.undisturbed(tmp_path / "undisturbed", name)
    outcome = await scenarios.play(tmp_path / "hub", scenario, _targets[name])
    assert outcome.problems == []
