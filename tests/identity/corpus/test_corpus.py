"""Nobody is joined with a stranger, nothing is tied to the wrong one, and what is tied to nobody waits in the queue."""

from collections.abc import Iterable

import pytest
from emptying import empty

from hub.store import Store
from tests.identity.corpus.cases import Case, Entry, load
from tests.identity.corpus.play import ORDERS, audited, judge, look, play

# Templates of which a case goes wrong today, in any order, with the reason. One that goes right has to leave the list.
KNOWN: dict[str, dict[str, str]] = {"traps": {}, "links": {}}


def wrong(store: Store, cases: Iterable[Case], order: str) -> set[str]:
    """The templates of which a case went wrong, all that is amiss printed."""
    cases = list(cases)
    empty(store)
    world = play(store, cases, order)
    verdicts = {order: judge(look(store), cases)}
    if order == "shuffled":
        audited(world)
        verdicts["after the nightly audit"] = judge(look(store), cases)
    for when, verdict in verdicts.items():
        print(f"{when}: {len(cases)} cases: {verdict}")
        for kind, found in sorted(verdict.found.items()):
            for case, what in found:
                print(f"  {kind}: {case}: {what}")
    return {case.partition("/")[0] for verdict in verdicts.values() for case in verdict.cases()}


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_the_corpora_are_whole(name: str) -> None:
    cases = load(name)
    assert len({c.id for c in cases}) == len(cases)
    assert KNOWN[name].keys() <= {c.template for c in cases}
    if name == "traps":
        assert sum(bool(c.pairs()[1]) for c in cases) >= 200
    else:
        assert sum(len(c.ties) for c in cases) >= 300
    for case in cases:
        assert case.people or case.ties, f"{case.id} asks nothing"
        assert {tie.label for tie in case.ties} <= {s.label for s in case.steps if isinstance(s, Entry)}, case.id


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_every_case_in_every_order(request: pytest.FixtureRequest, name: str) -> None:
    store = request.getfixturevalue("_sqlite_store")
    found = {template for order in ORDERS for template in wrong(store, load(name), order)}
    assert found == KNOWN[name].keys()


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_sample_on_postgresql(request: pytest.FixtureRequest, name: str) -> None:
    store = request.getfixturevalue("_postgresql_store")
    first = {case.template: case for case in load(name)}
    assert wrong(store, list(first.values())[::3], "at once") <= KNOWN[name].keys()
