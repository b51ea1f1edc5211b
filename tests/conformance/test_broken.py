"""A suite that cannot fail proves nothing: each broken connector fails exactly the clause it breaks."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from broken import BROKEN

from hub.testing import ConnectorSuite, Result
from hub.testing.suite_result import CLAUSES, level, merged
from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig, PeopleRig


class SmallMessages(MessagesRig):
    burst = 52


class Messages(ConnectorSuite):
    connector = Bulletin
    rig = SmallMessages
    clauses = tuple(c.id for c in CLAUSES if c.id != "W5")
    cycles = 3


class People(ConnectorSuite):
    connector = Bulletin
    rig = PeopleRig
    clauses = ("W5",)


@pytest.fixture(scope="module", autouse=True)
def servers() -> Iterator[None]:
    with ExitStack() as stack:
        stack.callback(Messages.stop)
        stack.callback(People.stop)
        yield


def results_of(connector: type[Bulletin]) -> list[Result]:
    found = []
    for suite in (Messages, People):
        # A subclass of its own, so that the server is shared and the connector is not.
        found += [type(suite.__name__, (suite,), {"connector": connector}).run(clause) for clause in suite.clauses]
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
