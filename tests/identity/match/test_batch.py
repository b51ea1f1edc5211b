"""Many records: found again, in any order the same, and never across a veto or above a limit."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.identity.match.batch import Clustering, batch
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, joined
from hub.identity.match.record import Record, prepare
from tests.identity.match.people import people, truth

QUICK = Settings(sample=1_000, rounds=2, draws=500)


@pytest.fixture(scope="module")
def known() -> tuple[list[Record], list[list[str]]]:
    records = people(60)
    return records, batch(records, QUICK)[0]


def test_the_people_are_found_and_nobody_is_lost(known: tuple[list[Record], list[list[str]]]) -> None:
    records, clusters = known
    assert sorted(i for group in clusters for i in group) == sorted(r.id for r in records)
    assert all(len({truth(i) for i in group}) == 1 for group in clusters)
    whole = Counter(truth(r.id) for r in records)
    assert sum(len(group) == whole[truth(group[0])] for group in clusters) >= 54


@pytest.mark.parametrize("seed", range(3))
def test_order_plays_no_part(known: tuple[list[Record], list[list[str]]], seed: int) -> None:
    records, clusters = known
    shuffled = records[:]
    Random(seed).shuffle(shuffled)
    assert batch(shuffled, QUICK)[0] == clusters


def test_two_ids_of_one_tool_are_two_entities() -> None:
    records = [replace(r, holder="crm contacts") for r in people(40)]
    assert all(len(group) == 1 for group in batch(records, QUICK)[0])


class _Sure(Model):
    """Any two values agree beyond doubt: only vetoes and limits stand between all records and one entity."""

    def pair(self, field_name: str, a: str, b: str) -> float:
        return 30.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.integers(0, 29), max_size=20), st.integers(2, 5))
def test_no_weight_breaks_a_veto_or_a_limit(seed: int, held: set[int], most: int) -> None:
    """Edges of any weight between any two: holders, a person's word and the limit hold in every cluster."""
    draw = Random(seed)
    records = [
        prepare(f"{i:02}", {"email": f"a{i}@mail.example"}, holder="crm" if i in held else "") for i in range(30)
    ]
    different = {frozenset(draw.sample([r.id for r in records], 2)) for _ in range(10)}
    work = Clustering(_Sure(Settings(most_records=most), Counts()), [Profile.of(r) for r in records], 0.0, different)
    for _ in range(120):
        i, j = sorted(draw.sample(range(30), 2))
        work.edge(i, j, draw.uniform(1, 60))
    holder_of = {r.id: r.holder for r in records}
    found = work.run()
    assert sorted(i for group in found for i in group) == sorted(holder_of)
    assert max(map(len, found)) > 1
    for group in found:
        assert len(group) <= most
        assert sum(holder_of[i] == "crm" for i in group) <= 1
        assert not any(pair <= set(group) for pair in different)


def test_what_a_person_called_different_stays_apart_along_every_path() -> None:
    records = [prepare(str(i), {"email": "anna@mail.example", "full_name": "Anna Berg"}) for i in range(6)]
    work = Clustering(_Sure(Settings(), Counts()), [Profile.of(r) for r in records], 0.0, {frozenset(("0", "5"))})
    for i in range(6):
        for j in range(i + 1, 6):
            work.edge(i, j, 9.0)
    found = work.run()
    assert not any({"0", "5"} <= set(group) for group in found)
    assert len(found) == 2


def test_what_would_be_large_needs_more_than_what_is_small() -> None:
    """Above the size at which a person is asked each further record costs a bit."""
    records = [prepare(f"{i:03}", {"city": "Lund"}) for i in range(60)]
    model = _Sure(Settings(agreeing_again=0.0), Counts(records=60))
    work = Clustering(model, [Profile.of(r) for r in records], 0.0)
    for i in range(1, 60):
        work.edge(0, i, 24.0)
    assert max(map(len, work.run())) == 20 + int(30 + model.prior)


def test_an_entity_speaks_with_its_commonest_values() -> None:
    both = Profile.of(prepare("1", {"city": "Lund"}))
    for i in range(12):
        both = joined(both, Profile.of(prepare(f"x{i}", {"city": "Lund" if i % 2 else f"Town {i}"})))
    assert "lund" in both.values["city"]
    assert len(both.values["city"]) <= 8


def test_organizations_are_joined_by_name_and_never_by_address_alone() -> None:
    """Two tenants of one house share telephone and street; one company is written two ways."""
    place = {"phone": "+442079460001", "address": "1 Hafen Street", "city": "Lund"}
    records = [
        prepare("a1", {"company": "Nordlicht Labs GmbH", **place}, kind="organization"),
        prepare("a2", {"company": "Nordlicht Labs", **place}, kind="organization"),
        prepare("b1", {"company": "Quist & Farrow", **place}, kind="organization"),
    ]
    others = [
        prepare(f"x{i}", {"company": f"Firm {i} {w}", "city": w, "phone": f"+4420794611{i:02}"}, kind="organization")
        for i, w in enumerate(["Graz", "Porto", "Leeds", "Ghent", "Split", "Turin"] * 5)
    ]
    clusters = batch([*records, *others], QUICK)[0]
    assert ["a1", "a2"] in clusters
    assert ["b1"] in clusters


def test_a_person_and_an_organization_are_never_one() -> None:
    both = {"email": "anna@mail.example", "phone": "+442079460001", "company": "Berg"}
    records = [prepare("p", both), prepare("o", both, kind="organization"), *people(20)]
    assert not any({"p", "o"} <= set(group) for group in batch(records, QUICK)[0])
