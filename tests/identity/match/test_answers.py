"""What people answered, in the weights: each answer a little, all of them no more than the shipped shares, in any order."""

import math
from random import Random

import pytest

from hub.identity.match import batch, keys
from hub.identity.match.learn import Answer, learn, teach
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.online import LINK, Memory, decide
from hub.identity.match.profile import Profile, joined
from hub.identity.match.record import Record, prepare
from tests.identity.match.people import people, truth

SETTINGS = Settings(sample=1_000, rounds=2, draws=300)
RECORDS = sorted(people(40), key=lambda r: r.id)
PROFILES = [Profile.of(r) for r in RECORDS]
PAIRS = batch.candidates(map(keys.of, RECORDS), SETTINGS.block)
COUNTS = Counts()
for _record in RECORDS:
    COUNTS.add(_record)


def answer(a: Record, b: Record, is_same: bool, weight: float = 1.0) -> Answer:
    return Answer(Profile.of(a), Profile.of(b), is_same, weight)


def another_mailbox(n: int) -> Answer:
    """One person, once by the work address and once by a private one."""
    given = {"full_name": f"Tessa Quist{'abcdefgh'[n % 8]}", "phone": f"+442071{n:06}"}
    return answer(
        prepare(f"w{n}", {**given, "email": f"t.quist{n}@mail.example"}),
        prepare(f"x{n}", {**given, "email": f"tessaq{n}@home{n}.example"}), True,
    )  # fmt: skip


def father_and_son(n: int) -> Answer:
    """One name, one telephone, one street, one mailbox even; two people all the same."""
    given = {"full_name": "Otto Farrow", "phone": f"+442072{n:06}", "email": f"farrow{n}@home.example", "city": "Lund"}
    return answer(prepare(f"f{n}", given), prepare(f"s{n}", given), False)


def true_ones(n: int) -> list[Answer]:
    """The first so many pairs as somebody who knows the truth answers them."""
    pairs = [divmod(code, len(RECORDS)) for code in PAIRS]
    return [
        answer(RECORDS[i], RECORDS[j], truth(RECORDS[i].id) == truth(RECORDS[j].id))
        for i, j in pairs[:: len(pairs) // n]
    ]


def taught(answers: list[Answer]) -> Model:
    model = Model.shipped(SETTINGS, COUNTS)
    teach(model, answers)
    return model


def learnt(answers: list[Answer]) -> Model:
    return learn(SETTINGS, RECORDS, PROFILES, PAIRS, answers)


def furthest(a: Model, b: Model) -> float:
    """The largest difference between shares among the same."""
    return max(abs(a.m[part][level] - share) for part, levels in b.m.items() for level, share in levels.items())


@pytest.mark.parametrize("make", [taught, learnt])
def test_the_order_of_answers_plays_no_part_and_no_answer_is_no_change(make) -> None:  # type: ignore[no-untyped-def]
    answers = [*true_ones(12), *map(another_mailbox, range(5)), *map(father_and_son, range(3))]
    mixed = Random(3).sample(answers, len(answers))
    assert make(mixed).state() == make(answers).state() != make([]).state()


def test_without_answers_a_small_base_has_what_shipped() -> None:
    assert furthest(taught([]), Model.shipped(SETTINGS, COUNTS)) < 1e-12


def test_answers_show_how_the_same_agree_here() -> None:
    before, few, many = (
        taught([]),
        taught([*map(another_mailbox, range(30))]),
        taught([*map(another_mailbox, range(90))]),
    )
    assert before.m["email"]["other"] < few.m["email"]["other"] < many.m["email"]["other"]
    assert all(math.isclose(sum(levels.values()), 1, abs_tol=0.01) for levels in many.m.values())
    one = another_mailbox(99)
    assert decide_pair(few, one) > decide_pair(before, one)


def decide_pair(model: Model, one: Answer) -> float:
    a, b = one.a.values, one.b.values
    return model.total({f: model.pair(f, next(iter(a[f])), next(iter(b[f]))) for f in a if f in b})


@pytest.mark.parametrize("make", [taught, learnt])
def test_a_handful_swings_nothing(make) -> None:  # type: ignore[no-untyped-def]
    """One answer moves a share by no more than one pair in all that the shipped shares weigh, and three times so many thrice."""
    before = make([])
    for n in (1, 3):
        assert furthest(make([*map(another_mailbox, range(n))]), before) <= n / (SETTINGS.prior_strength + n) * 1.5


def test_however_many_they_weigh_no_more_than_what_shipped() -> None:
    before, most = taught([]), taught([*map(another_mailbox, range(600))])
    for level, share in before.m["email"].items():
        assert share / 2 - 1e-9 <= most.m["email"][level] <= share / 2 + 0.5 + 1e-9
    assert most.state() == taught([answer_of(another_mailbox(n), 1.0) for n in range(600)]).state()


def answer_of(one: Answer, weight: float) -> Answer:
    return Answer(one.a, one.b, one.is_same, weight)


def test_a_part_of_an_answer_counts_as_a_part() -> None:
    whole, halves = taught([another_mailbox(1)]), taught([answer_of(another_mailbox(1), 0.5)] * 2)
    assert furthest(whole, halves) < 1e-12


def test_two_who_differ_for_reasons_beyond_the_fields_teach_a_small_base_nothing() -> None:
    assert taught([*map(father_and_son, range(40))]).state() == taught([]).state()


def test_nor_do_they_spoil_what_a_base_learns() -> None:
    before, after = learnt([]), learnt([*map(father_and_son, range(10))])
    assert after.u == before.u
    assert furthest(after, before) < 0.05
    memory = Memory(after)
    for record in RECORDS:
        memory.add(record, truth(record.id))
    memory.add(prepare("known", {"full_name": "Irma Zeller", "email": "irma@zeller.example"}), "known")
    same = {"full_name": "Irma Zeller", "email": "irma@zeller.example"}
    assert decide(prepare("new", same), after, memory).verdict == LINK
    assert decide(prepare("new", {"full_name": "Irma Zeller"}), after, memory).verdict != LINK


def test_an_answered_pair_is_what_the_answer_says_and_not_what_it_weighs() -> None:
    """All true pairs called different: nothing is left that tells how the same agree but what shipped."""
    said = [answer(RECORDS[i], RECORDS[j], False) for i, j in (divmod(code, len(RECORDS)) for code in PAIRS)]
    before, after = learnt([]), learnt(said)
    assert before.partners > 1 > after.partners
    assert after.m["email"] == pytest.approx(Model(SETTINGS, COUNTS).m["email"])


def test_a_side_may_be_several_records() -> None:
    one, two, three = RECORDS[:3]
    both = Answer(joined(Profile.of(one), Profile.of(two)), Profile.of(three), True)
    assert furthest(taught([both]), taught([])) > 0
    assert math.isclose(sum(learnt([both]).m["email"].values()), 1, abs_tol=1e-9)
