"""Every fault of the table ends in its word and exit code, and nothing is lost once it is over."""

from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.scenarios import SCENARIOS, Scenario

pytestmark = pytest.mark.anyio
_target: list[str] = []


@pytest.fixture
async def target(tmp_path: Path) -> str:
    """The state of a world without faults; the same for all rows, so computed once."""
    if not _target:
        _target.append(await scenarios.undisturbed(tmp_path / "undisturbed"))
    return _target[0]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[f"{s.connection}: {s.name}" for s in SCENARIOS])
async def test_a_fault_is_named_and_costs_nothing(scenario: Scenario, target: str, tmp_path: Path) -> None:
    outcome = await scenarios.play(tmp_path / "hub", scenario, target)
    assert outcome.problems == []
