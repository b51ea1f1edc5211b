"""One record at a time: linked, asked about or new, with the reasons."""

import json

import pytest

from hub.identity.match.batch import batch
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.online import LINK, NEW, REVIEW, Memory, decide
from hub.identity.match.record import Record, prepare
from tests.identity.match.people import people

SETTINGS = Settings(sample=1_000, rounds=2, draws=500)
ANNA = {"full_name": "Anna Berg", "email": "anna.berg@nordlicht.example", "phone": "+442079460001", "city": "Lund"}


def fresh(learnt: Model) -> Model:
    """The same weights, by way of JSON, over counters that start anew."""
    return Model.of(json.loads(json.dumps(learnt.state())), SETTINGS, Counts())


@pytest.fixture(scope="module")
def learnt() -> Model:
    return batch(people(40), SETTINGS)[1]


@pytest.fixture
def memory(learnt: Model) -> Memory:
    known = Memory(fresh(learnt))
    for record in people(40):
        known.take(record)
    known.add(prepare("anna", ANNA), "anna")
    return known


def verdict(memory: Memory, **given: str) -> tuple[str, str]:
    decision = decide(prepare("new", given), memory.model, memory)
    return decision.verdict, decision.entity


def test_a_personal_address_links(memory: Memory) -> None:
    assert verdict(memory, email="Anna.Berg+crm@Nordlicht.example") == (LINK, "anna")


def test_the_waterfall_adds_up_and_the_counterfactual_names_what_carried_it(memory: Memory) -> None:
    decision = decide(prepare("new", {"full_name": "Berg, Anna", "phone": "+44 20 7946 0001"}), memory.model, memory)
    assert (decision.verdict, decision.entity) == (LINK, "anna")
    assert {line.field for line in decision.lines} >= {"prior", "name", "phone"}
    assert decision.lines[0].weight == memory.model.prior
    counted = [line.weight for line in decision.lines if line.field != "handle"]  # the name's own evidence
    assert sum(counted) == pytest.approx(decision.weight)
    assert decision.without["phone"] in {REVIEW, NEW}


def test_a_telephone_alone_never_links(memory: Memory) -> None:
    assert verdict(memory, phone="+442079460001")[0] != LINK


def test_another_first_name_on_the_telephone_is_another_person(memory: Memory) -> None:
    decision = decide(prepare("new", {"full_name": "Otto Berg", "phone": "+442079460001"}), memory.model, memory)
    assert decision.entity != "anna"
    assert decision.vetoed["anna"] == "other first names on one telephone"


def test_a_role_mailbox_joins_nobody(memory: Memory) -> None:
    for i, name in enumerate(("Anna Berg", "Otto Maier", "Jan Novak")):
        memory.take(prepare(f"role{i}", {"full_name": name, "email": "info@nordlicht.example"}))
    assert len({memory.entity_of[f"role{i}"] for i in range(3)}) == 3


def test_namesakes_are_not_joined(memory: Memory) -> None:
    assert verdict(memory, full_name="Anna Berg")[0] != LINK


def test_two_who_are_as_likely_go_to_review(memory: Memory) -> None:
    for i in ("x", "y"):
        memory.add(prepare(i, {"full_name": "Ida Falk", "phone": "+442079460055"}, holder="crm contacts"), i)
    ida = {"full_name": "Ida Falk", "phone": "+442079460055"}
    decision = decide(prepare("new", ida), memory.model, memory)
    assert (decision.verdict, decision.why) == (REVIEW, "another entity is as likely")


def test_a_persons_no_is_heard(memory: Memory) -> None:
    decision = decide(prepare("new", ANNA), memory.model, memory, {frozenset(("new", "anna"))})
    assert decision.entity != "anna"
    assert decision.vetoed["anna"] == "a person said they are different"


def test_two_ids_of_one_tool(memory: Memory) -> None:
    memory.add(
        prepare("crm1", {"full_name": "Tessa Quist", "email": "tessa@quist.example"}, holder="crm contacts"), "tessa"
    )
    decision = decide(
        prepare("crm2", {"full_name": "Tessa Quist", "email": "tessa@quist.example"}, holder="crm contacts"),
        memory.model,
        memory,
    )
    assert (decision.verdict, decision.entity, decision.why) == (REVIEW, "tessa", "two ids of one tool")
    assert decision.vetoed["tessa"] == "two ids of one tool"
    assert {line.field for line in decision.lines} >= {"prior", "name", "email"}


def test_a_tools_own_duplicate_hides_no_better_candidate(memory: Memory) -> None:
    """One with the record's address and of its tool is barred; the one with the other address is linked all the same."""
    memory.add(prepare("crm1", {"full_name": "Tessa Quist", "email": "tessa@quist.example"}, holder="crm"), "barred")
    memory.add(prepare("mail", {"full_name": "Tessa Quist", "email": "t.quist@home.example"}), "lawful")
    both = {"full_name": "Tessa Quist", "email": ["tessa@quist.example", "t.quist@home.example"]}
    decision = decide(prepare("crm2", both, holder="crm"), memory.model, memory)
    assert (decision.verdict, decision.entity) == (LINK, "lawful")
    assert decision.also == ()


def test_a_weak_duplicate_of_one_tool_is_not_shown(memory: Memory) -> None:
    memory.add(prepare("crm1", {"full_name": "Tessa Quist"}, holder="crm"), "crm1")
    decision = decide(prepare("crm2", {"full_name": "Tessa Holm", "city": "Lund"}, holder="crm"), memory.model, memory)
    assert decision.entity != "crm1"


def test_what_belongs_to_an_entity_speaks_with_all_that_is_known_of_it(memory: Memory) -> None:
    """An address without a name says little; the entity it belongs to brings the name and the telephone."""
    bare = prepare("bare", {"email": "annab77@gmail.com", "city": "Lund"})
    memory.add(bare, "mine")
    memory.add(prepare("named", {"full_name": "Anna Berg", "phone": ANNA["phone"]}), "mine")
    alone = decide(bare, memory.model, memory, own="mine")
    assert (alone.verdict, alone.entity) == (NEW, "")
    whole = decide(
        prepare("named", {"full_name": "Anna Berg", "phone": ANNA["phone"]}),
        memory.model,
        memory,
        mine=memory.profile("mine"),
        own="mine",
    )
    assert (whole.verdict, whole.entity) == (LINK, "anna")
    assert "city" in {line.field for line in whole.lines}
    no = {frozenset(("bare", "anna"))}
    barred = decide(bare, memory.model, memory, no, mine=memory.profile("mine"), own="mine")
    assert barred.entity != "anna"


def test_an_entity_is_no_candidate_for_itself(memory: Memory) -> None:
    record = prepare("anna", ANNA)
    assert decide(record, memory.model, memory, own="anna").entity != "anna"
    assert decide(record, memory.model, memory).entity == "anna"


def test_two_large_entities_are_asked_about(memory: Memory) -> None:
    for i in range(15):
        memory.add(prepare(f"big{i}", ANNA), "big")
        memory.add(prepare(f"also{i}", ANNA), "also")
    memory.merge("also", "anna")
    decision = decide(prepare("big0", ANNA), memory.model, memory, mine=memory.profile("big"), own="big")
    assert (decision.verdict, decision.why) == (REVIEW, "more than 20 records")


def test_a_key_that_many_share_is_shown_and_not_followed(memory: Memory) -> None:
    for i in range(40):
        memory.add(prepare(f"m{i}", {"email": "everybody@list.example"}), f"m{i}")
    decision = decide(prepare("new", {"email": "everybody@list.example"}), memory.model, memory)
    assert decision.verdict == NEW
    assert "e:everybody@list.example" in decision.hubs


def test_a_record_that_holds_two_entities_together_joins_them(memory: Memory) -> None:
    memory.add(prepare("work", {"full_name": "Ida Falk", "email": "ida@falk.example"}), "work")
    memory.add(prepare("home", {"full_name": "Ida Falk", "email": "idafalk9@home.example"}), "home")
    both = prepare("both", {"full_name": "Ida Falk", "email": ["ida@falk.example", "idafalk9@home.example"]})
    memory.take(both)
    assert len({memory.entity_of[i] for i in ("work", "home", "both")}) == 1


@pytest.mark.parametrize("field", ["email", "phone", "full_name", "company", "born"])
def test_hostile_values_cost_nothing(memory: Memory, field: str) -> None:
    for value in ("\x00", "'; --", "A" * 5_000, "@" * 500, "😀" * 300, "x y " * 500):
        assert verdict(memory, **{field: value})[0] in {LINK, REVIEW, NEW}


def test_one_person_with_very_many_addresses_is_bounded(memory: Memory) -> None:
    many = {"full_name": "Ida Falk", "email": [f"ida{i}@falk.example" for i in range(5_000)]}
    decision = memory.take(prepare("many", many))
    assert len(memory.profile("many").values["email"]) == 20
    assert decision.verdict != LINK


def test_the_prior_falls_as_the_base_grows(learnt: Model) -> None:
    few, many = Memory(fresh(learnt)), Memory(fresh(learnt))
    anna: list[Record] = [prepare("a", ANNA), prepare("b", ANNA)]
    for memory, n in ((few, 10), (many, 3000)):
        memory.model.counts.records = n
        memory.add(anna[0], "anna")
    assert decide(anna[1], few.model, few).lines[0].weight > decide(anna[1], many.model, many).lines[0].weight + 7


def test_a_model_of_other_settings_is_refused(learnt: Model) -> None:
    with pytest.raises(ValueError, match="learn again"):
        Model.of(learnt.state(), Settings(auto=9.0), Counts())


def test_the_weights_come_back_as_they_were(learnt: Model) -> None:
    again = Model.of(json.loads(json.dumps(learnt.state())), SETTINGS, learnt.counts)
    for field, a, b in (
        ("name", "anna||berg", "ana||berg"),
        ("born", "19710624", "19710524"),
        ("city", "lund", "graz"),
    ):
        assert again.pair(field, a, b) == learnt.pair(field, a, b)
