"""Which value of a field counts, and what becomes of a tool that holds another one: every state, by the written rules."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.parties import Base, Rule, Said, decide, survive
from hub.parties.survive import CHOICE, alike

OWNER, NEWEST = Rule(owner="crm"), Rule()
T0, T1, T2, T3 = 0, 10**9, 2 * 10**9, 3 * 10**9


def crm(value: str, at: int = T1) -> Said:
    return Said(value, "crm", at, 1)


def desk(value: str, at: int = T1) -> Said:
    return Said(value, "desk", at, 2)


def news(value: str, at: int = T1, *, echo_of: str | None = None) -> Said:
    return Said(value, "news", at, 3, echo_of)


def test_the_owners_value_counts_however_old() -> None:
    counts = survive([crm("A", T0), desk("B", T2)], OWNER)
    assert (counts.value, counts.why) == ("A", "owner")


def test_an_owner_who_emptied_the_field_empties_it() -> None:
    counts = survive([crm("", T0), desk("B", T2)], OWNER)
    assert (counts.value, counts.why) == ("", "emptied by its owner")


def test_of_two_records_of_the_owner_the_one_with_a_value_counts() -> None:
    assert survive([crm("A", T0), Said("", "crm", T2, 9)], OWNER).value == "A"


def test_while_the_owner_says_nothing_the_newest_counts() -> None:
    counts = survive([desk("B", T0), news("C", T2)], OWNER)
    assert (counts.value, counts.why) == ("C", "newest")


def test_precedence_takes_the_first_with_a_value() -> None:
    rule = Rule(precedence=("crm", "desk"))
    assert survive([crm("", T3), desk("B", T0), news("C", T2)], rule).value == "B"
    assert survive([crm("A", T0), desk("B", T2)], rule).value == "A"
    assert survive([news("C", T0)], rule).why == "newest"


def test_a_blank_never_wins_by_being_newest() -> None:
    assert survive([crm("A", T0), desk("", T2)], NEWEST).value == "A"


def test_an_echo_is_no_statement_unless_nothing_else_is_left() -> None:
    assert survive([crm("B", T0), news("a", T2, echo_of="A")], NEWEST).value == "B"
    assert survive([news("a", T2, echo_of="A")], NEWEST).value == "A"


def test_a_choice_counts_until_something_newer_is_said() -> None:
    choice = Said("X", CHOICE, T2)
    assert survive([crm("A", T1), desk("B", T1), choice], OWNER).value == "X"
    assert survive([crm("A", T1), desk("B", T3), choice], NEWEST).value == "B"


def test_nobody_says() -> None:
    assert survive([], NEWEST).why == "nobody says"


# What each side holds: what the others say (never, v the agreed value, w a new one, "" emptied), what the tool says,
# whether they ever agreed on v, and who is the owner. The table is written from docs/fields.md, cell by cell.
NEVER = None
TABLE_OWNER = {  # the others' value is the owner's
    # (others, here, agreed): what happens
    (NEVER, NEVER): "nothing", (NEVER, "v"): "ahead", (NEVER, "w"): "ahead", (NEVER, ""): "nothing",
    ("v", NEVER): "write v", ("v", "v"): "same", ("v", "w"): "write v", ("v", ""): "write v",
    ("w", NEVER): "write w", ("w", "v"): "write w", ("w", "w"): "same", ("w", ""): "write w",
    ("", NEVER): "same", ("", "v"): "write ", ("", "w"): "write ", ("", ""): "same",
}  # fmt: skip
TABLE_NEWEST = {
    (NEVER, NEVER): ("nothing", "nothing"), (NEVER, "v"): ("ahead", "ahead"), (NEVER, "w"): ("ahead", "ahead"),
    (NEVER, ""): ("nothing", "nothing"),
    # (never agreed, agreed on v)
    ("v", NEVER): ("write v", "write v"), ("v", "v"): ("same", "same"), ("v", "w"): ("conflict", "ahead"),
    ("v", ""): ("write v", "write v"),
    ("w", NEVER): ("write w", "write w"), ("w", "v"): ("conflict", "write w"), ("w", "w"): ("same", "same"),
    ("w", ""): ("write w", "write w"), ("x", "w"): ("conflict", "conflict"),
    ("", NEVER): ("nothing", "nothing"), ("", "v"): ("ahead", "ahead"), ("", "w"): ("ahead", "ahead"),
    ("", ""): ("nothing", "nothing"),
}  # fmt: skip


def outcome(others: str | None, here: str | None, agreed: bool, rule: Rule, at: tuple[int, int]) -> str:
    said = [] if others is None else [crm(others, at[0])]
    mine = None if here is None else news(here, at[1])
    verdict = decide([*said, *([mine] if mine else [])], rule, mine, Base("v", "v") if agreed else None)
    return f"write {verdict.value}" if verdict.what == "write" else verdict.what


@pytest.mark.parametrize(("others", "here"), TABLE_OWNER)
@pytest.mark.parametrize("agreed", [False, True])
@pytest.mark.parametrize("at", [(T1, T2), (T2, T1)])
def test_every_state_with_an_owner(others: str | None, here: str | None, agreed: bool, at: tuple[int, int]) -> None:
    assert outcome(others, here, agreed, OWNER, at) == TABLE_OWNER[others, here]


@pytest.mark.parametrize(("others", "here"), TABLE_NEWEST)
@pytest.mark.parametrize("agreed", [False, True])
@pytest.mark.parametrize("at", [(T1, T2), (T2, T1)])
def test_every_state_without_one(others: str | None, here: str | None, agreed: bool, at: tuple[int, int]) -> None:
    """By what changed since both agreed, never by the clocks of two vendors."""
    assert outcome(others, here, agreed, NEWEST, at) == TABLE_NEWEST[others, here][agreed]


def test_precedence_needs_no_history() -> None:
    rule = Rule(precedence=("crm", "news"))
    mine = news("B", T2)
    assert decide([crm("A"), mine], rule, mine, None).what == "write"
    assert decide([mine, desk("A", T3)], rule, mine, None).what == "ahead"


def test_our_write_is_pending_until_it_is_read_back() -> None:
    mine = news("old", T0)
    base = Base("new", None, "old", T1)
    assert decide([crm("new"), mine], NEWEST, mine, base).what == "pending"
    assert decide([crm("newer", T2), mine], NEWEST, mine, base).what == "write"


def test_read_back_in_the_tools_own_spelling_is_the_same_and_stays_an_echo() -> None:
    mine = news("+4930231251", T1 + 1)
    verdict = decide([crm("+49 30 231-251"), mine], NEWEST, mine, Base("+49 30 231-251", None, "", T1))
    assert verdict.what == "same"
    assert verdict.base == Base("+49 30 231-251", "+4930231251", "", T1)
    again = decide([crm("+49 30 231-251"), mine], NEWEST, mine, verdict.base)
    assert again.what == "same"


def test_an_edit_there_long_after_our_write_is_an_edit() -> None:
    mine = news("theirs", T3)
    assert decide([crm("ours"), mine], NEWEST, mine, Base("ours", None, "", T1)).what == "ahead"


def test_a_change_of_case_by_the_owner_goes_out() -> None:
    mine = news("ana silva")
    assert decide([crm("Ana Silva", T2), mine], OWNER, mine, Base("ana silva", "ana silva")).what == "write"
    assert decide([crm("Ana Silva", T2), mine], OWNER, mine, None).what == "same"


def test_the_owners_own_record_is_never_told() -> None:
    mine = crm("A")
    assert decide([mine, desk("B", T3)], OWNER, mine, None).what == "ahead"


def test_what_counts_as_spelling() -> None:
    assert alike("+49 (30) 231-251", "4930231251")
    assert alike(" Porto  Alegre", "porto alegre")
    assert not alike("1.5", "15")
    assert not alike("C++", "C")
    assert not alike("", "x")


values = st.sampled_from(["", "v", "w", "x"])
everyone = st.lists(st.builds(Said, values, st.sampled_from(["crm", "desk", "news", CHOICE]), st.integers(0, 9),
                              st.integers(1, 5)), max_size=6)  # fmt: skip
rules = st.sampled_from([NEWEST, OWNER, Rule(precedence=("desk", "crm"))])


@given(everyone, rules)
def test_the_order_in_which_it_was_read_plays_no_part(said: list[Said], rule: Rule) -> None:
    for shuffled in itertools.islice(itertools.permutations(said), 24):
        assert survive(shuffled, rule).value == survive(said, rule).value


@given(everyone, rules)
def test_a_blank_counts_only_by_owner_or_where_nobody_has_a_value(said: list[Said], rule: Rule) -> None:
    counts = survive(said, rule)
    if not counts.value and counts.why not in {"emptied by its owner", "choice"}:
        chosen = max((s.at for s in said if s.source == CHOICE), default=-1)
        assert not any(s.value for s in said if s.at > chosen and s.source != CHOICE)


@given(everyone, rules, st.sampled_from([None, Base("v", "v"), Base("w", None, "v", 3), Base("v", "w", "x", 3)]))
def test_what_is_written_is_never_what_stands_there(said: list[Said], rule: Rule, base: Base | None) -> None:
    mine = next((s for s in said if s.source == "news"), None)
    verdict = decide(said, rule, mine, base)
    if verdict.what == "write":
        assert verdict.value != (mine.value if mine else "")
        assert verdict.value or rule.owner or any(s.source == CHOICE for s in said)
