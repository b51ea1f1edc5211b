"""A suite that cannot fail proves nothing: each broken connector fails exactly the clause it breaks."""

import pytest
from broken import BROKEN
from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig, PeopleRig

from hub.testing import ConnectorSuite, Result
from hub.testing.suite_bench import Effort
from hub.testing.suite_result import CLAUSES, level, merged

EFFORT = Effort(writes=6, cycles=2, calls=8)  # two dozen connectors have to go through


class Messages(ConnectorSuite):
    connector = Bulletin
    rig = MessagesRig
    clauses = tuple(c.id for c in CLAUSES if c.id != "W5")
    effort = EFFORT


class People(ConnectorSuite):
    connector = Bulletin
    rig = PeopleRig
    clauses = ("W5",)


def results_of(broken: type[Bulletin]) -> list[Result]:
    found = []
    for suite in (Messages, People):
        suite.connector = broken
        found += suite.run_all()
    return merged("bulletin", found)


@pytest.mark.parametrize("connector", BROKEN, ids=lambda connector: f"{BROKEN[connector]}-{connector.__name__}")
def test_exactly_the_broken_clause_fails(connector: type[Bulletin]) -> None:
    found = {r.clause: r.detail for r in results_of(connector) if r.outcome != "passed"}
    assert set(found) == {BROKEN[connector]}, found


def test_every_clause_has_a_connector_that_breaks_it() -> None:
    assert set(BROKEN.values()) == {clause.id for clause in CLAUSES}


def test_the_worked_example_keeps_them_all() -> None:
    found = results_of(Bulletin)
    assert [r.outcome for r in found] == ["passed"] * 13
    assert level(found) == "platinum"
