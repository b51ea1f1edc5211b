"""A suite that cannot fail proves nothing: each broken connector fails exactly the clause it breaks."""

import pytest
from broken import BROKEN
from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig, PeopleRig

from hub.testing import ConnectorSuite, Result
from hub.testing.suite_bench import Effort
from hub.testing.suite_result import CLAUSES, level, merged

ALL = tuple(clause.id for clause in CLAUSES)
READING = ("W1", "W2", "W3", "W4", "W5", "W7", "W8", "W9", "W11", "W12", "W13")
# Which clauses come past a method. The others run nothing but the worked example's code, which keeps them all.
PAST: dict[str, tuple[str, ...]] = {
    "_reads": ("W1", "W6", "W7", "W12", "W13"), "estimate": ("W2",), "pull": READING, "_changes": READING,
    "to_canonical": READING, "push": ("W6", "W7", "W10"), "_push": ("W6", "W7"), "verify_webhook": ("W8",),
    "parse_webhook": ("W8",), "census": ("W9",), "settings_model": ("W12",),
}  # fmt: skip


class Messages(ConnectorSuite):
    connector = Bulletin
    rig = MessagesRig
    effort = Effort(writes=6, cycles=2, calls=8)


class People(ConnectorSuite):
    connector = Bulletin
    rig = PeopleRig


def results_of(connector: type[Bulletin], clauses: tuple[str, ...]) -> list[Result]:
    Messages.connector = People.connector = connector
    found = [(People if clause == "W5" else Messages).run(clause) for clause in clauses]
    return [r for r in merged("bulletin", found) if r.clause in clauses]


@pytest.mark.parametrize("connector", BROKEN, ids=lambda connector: f"{BROKEN[connector]}-{connector.__name__}")
def test_exactly_the_broken_clause_fails(connector: type[Bulletin]) -> None:
    changed = [name for name in vars(connector) if name in dir(Bulletin) and not name.startswith("__")]
    reached = {clause for name in changed for clause in PAST.get(name, ALL)}
    found = {r.clause: r.detail for r in results_of(connector, tuple(reached)) if r.outcome != "passed"}
    assert set(found) == {BROKEN[connector]}, found


def test_every_clause_has_a_connector_that_breaks_it() -> None:
    assert set(BROKEN.values()) == set(ALL)


def test_the_worked_example_keeps_them_all() -> None:
    found = results_of(Bulletin, ALL)
    assert [(r.clause, r.outcome, r.detail) for r in found] == [(clause, "passed", "") for clause in ALL]
    assert level(found) == "platinum"
