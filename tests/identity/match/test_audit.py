"""The audit of what is joined already: what it would join, what it asks about, and that order plays no part."""

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from random import Random

import pytest

from hub.identity.match.batch import Clustering, Outcome, audit, batch
from hub.identity.match.model import Model, Settings
from hub.identity.match.profile import Profile, joined
from hub.identity.match.record import Record, prepare
from tests.identity.match.people import people, truth

SETTINGS = Settings(sample=1_000, rounds=2, draws=500)
RECORDS = {r.id: r for r in people(60)}
for _record in [r for r in RECORDS.values() if r.id.endswith("-0") and "name" in r.fields]:  # others who say little
    _fields = {f: v for f, v in _record.fields.items() if f in ("name", "handle", "city")}
    RECORDS[f"{truth(_record.id)}-9"] = replace(_record, id=f"{truth(_record.id)}-9", fields=_fields)


@pytest.fixture(scope="module")
def model() -> Model:
    return batch(list(RECORDS.values()), SETTINGS)[1]


def known(records: Iterable[Record]) -> Profile:
    return reduce(joined, (Profile.of(r) for r in records))


def clusters(groups: Iterable[Iterable[str]], outcome: Outcome) -> list[list[str]]:
    """The groups with the joins made, as the store makes them: record with record."""
    of = {ident: set(group) for group in map(set, groups) for ident in group}
    for ident in list(of):
        of[ident] = next(g for g in of.values() if ident in g)
    for join in outcome.joins:
        both = of[join.left] | of[join.right]
        assert of[join.left] is not of[join.right], "joined already"
        for ident in both:
            of[ident] = both
    return sorted(map(sorted, {frozenset(g) for g in of.values()}))


def test_from_single_records_it_joins_what_bulk_joins(model: Model) -> None:
    outcome = audit([Profile.of(r) for r in RECORDS.values()], RECORDS, model)
    made = clusters([[i] for i in RECORDS], outcome)
    assert len(made) < len(RECORDS) * 0.6
    assert all(len({truth(i) for i in group}) == 1 for group in made)
    ordered = sorted(RECORDS.values(), key=lambda r: r.id)
    work = Clustering(model, [Profile.of(r) for r in ordered], SETTINGS.auto)
    for weight, i, j in batch(ordered, SETTINGS, model)[2]:
        work.edge(i, j, weight)
    assert made == work.run()


def test_what_it_asks_about_is_one_question_for_two_components(model: Model) -> None:
    outcome = audit([Profile.of(r) for r in RECORDS.values()], RECORDS, model)
    made = clusters([[i] for i in RECORDS], outcome)
    of = {ident: n for n, group in enumerate(made) for ident in group}
    asked = [frozenset((of[r.left], of[r.right])) for r in outcome.reviews]
    assert asked
    assert len(asked) == len(set(asked))
    assert all(len(pair) == 2 for pair in asked)
    assert all(r.why and r.weight >= SETTINGS.review for r in outcome.reviews)
    assert any(truth(r.left) == truth(r.right) for r in outcome.reviews)
    weights = [r.weight for r in outcome.reviews]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_components_plays_no_part(model: Model, seed: int) -> None:
    draw = Random(seed)
    groups: dict[str, list[Record]] = {}
    for record in RECORDS.values():
        groups.setdefault(truth(record.id) if len(record.fields) % 2 else record.id, []).append(record)
    before = audit([known(g) for g in groups.values()], RECORDS, model)
    mixed = [draw.sample(g, len(g)) for g in draw.sample(list(groups.values()), len(groups))]
    assert audit([known(g) for g in mixed], RECORDS, model) == before


def test_a_second_audit_of_what_was_joined_finds_nothing_new(model: Model) -> None:
    once = audit([Profile.of(r) for r in RECORDS.values()], RECORDS, model)
    made = clusters([[i] for i in RECORDS], once)
    again = audit([known(RECORDS[i] for i in group) for group in made], RECORDS, model)
    assert again.joins == []
    assert {(r.left, r.right) for r in again.reviews} == {(r.left, r.right) for r in once.reviews}


def test_a_join_names_the_records_that_agree_and_says_why(model: Model) -> None:
    """The address is in the second record of the one and the only one of the other."""
    given = {
        "a1": prepare("a1", {"full_name": "Tessa Quist", "city": "Lund"}),
        "a2": prepare("a2", {"full_name": "Tessa Quist", "email": "tessa@quist.example"}),
        "b1": prepare("b1", {"email": "tessa@quist.example"}),
    }
    outcome = audit([known([given["a1"], given["a2"]]), known([given["b1"]])], given, model)
    assert [(j.left, j.right, j.why) for j in outcome.joins] == [("a2", "b1", "")]
    lines = outcome.joins[0].lines
    assert {line.field for line in lines} == {"prior", "email", "handle"} | ({"employer"} & {x.field for x in lines})
    assert outcome.reviews == []


def test_a_tools_own_two_are_asked_about_and_a_persons_no_is_not_asked_again(model: Model) -> None:
    same = {"full_name": "Tessa Quist", "email": "tessa@quist.example"}
    given = {i: prepare(i, same, holder="crm contacts") for i in ("a", "b")}
    outcome = audit([Profile.of(r) for r in given.values()], given, model)
    assert outcome.joins == []
    assert [(r.left, r.right, r.why) for r in outcome.reviews] == [("a", "b", "two ids of one tool")]
    free = {i: replace(r, holder="") for i, r in given.items()}
    assert len(audit([Profile.of(r) for r in free.values()], free, model).joins) == 1
    no = frozenset({frozenset(("a", "b"))})
    for records in (given, free):
        assert audit([Profile.of(r) for r in records.values()], records, model, no) == Outcome([], [])


def test_weakly_alike_in_one_tool_is_no_question(model: Model) -> None:
    given = {i: prepare(i, {"full_name": "Tessa Quist", "city": "Lund"}, holder="crm contacts") for i in ("a", "b")}
    free = {i: replace(r, holder="") for i, r in given.items()}
    found = audit([Profile.of(r) for r in free.values()], free, model)
    weight = [p.weight for p in found.joins + found.reviews]
    settings = replace(SETTINGS, auto=weight[0] + 1)
    higher = Model.of(model.state() | {"settings": settings.hash}, settings, model.counts)
    assert len(audit([Profile.of(r) for r in free.values()], free, higher).reviews) == 1
    assert audit([Profile.of(r) for r in given.values()], given, higher) == Outcome([], [])


def test_each_is_weighed_with_a_bounded_number_of_others(model: Model) -> None:
    """Thirty holders of one tool on one address: one component is asked about with no more than its likeliest few."""
    settings = replace(SETTINGS, neighbours=4)
    few = Model.of(model.state() | {"settings": settings.hash}, settings, model.counts)
    given = {f"{i:02}": prepare(f"{i:02}", {"email": "tessa@quist.example"}, holder="crm") for i in range(30)}
    outcome = audit([Profile.of(r) for r in given.values()], given, few)
    assert len(outcome.reviews) == sum(min(4, 29 - i) for i in range(30))
    assert len(audit([Profile.of(r) for r in given.values()], given, model).reviews) == 30 * 29 // 2
