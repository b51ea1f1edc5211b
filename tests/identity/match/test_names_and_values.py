"""What is done to names and values before they are compared."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.identity.match import names, values
from hub.identity.match.record import prepare
from hub.identity.match.strings import distance, fold, near, sound


@pytest.mark.parametrize(
    ("full", "expected"),
    [
        ("Anna Berg", ("anna", (), "berg", "")),
        ("Berg, Anna", ("anna", (), "berg", "")),
        ("Anna Berg (Nordlicht Labs)", ("anna", (), "berg", "Nordlicht Labs")),
        ("Anna via Nordlicht", ("anna", (), "", "Nordlicht")),
        ("Dr. Jan van der Berg", ("jan", (), "vanderberg", "")),
        ("Prof. Sir Ernst Otto Maier PhD", ("ernst", ("otto",), "maier", "")),
        ("Anna Berg, MBA", ("anna", (), "berg", "")),
        ("O’Brien, Siân", ("sian", (), "obrien", "")),
        ("Łukasz Żółty", ("lukasz", (), "zolty", "")),
        ("", ("", (), "", "")),
        ("(((", ("", (), "", "")),
    ],
)
def test_a_name_is_taken_apart(full: str, expected: tuple[str, tuple[str, ...], str, str]) -> None:
    name = names.split(full)
    assert (name.given, name.middle, name.family, name.company) == expected


def test_short_forms_go_both_ways_but_not_through_a_third() -> None:
    assert names.is_nickname("chris", "christopher") and names.is_nickname("christopher", "chris")
    assert names.is_nickname("chris", "christina")
    assert not names.is_nickname("christopher", "christina")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("anna", "anna", 0),
        ("anna", "ann", 1),
        ("anna", "nana", 1),
        ("anna", "anja", 1),
        ("berg", "burger", 3),
        ("ab", "", 2),
    ],
)
def test_distance(a: str, b: str, expected: int) -> None:
    assert distance(a, b, 2) == expected == distance(b, a, 2)


def _slow(a: str, b: str) -> int:
    """Optimal string alignment, the whole table."""
    rows = [[i + j if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


@settings(max_examples=200, deadline=None)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(0, 3))
def test_distance_is_the_whole_tables(a: str, b: str, limit: int) -> None:
    assert distance(a, b, limit) == min(_slow(a, b), limit + 1)


def test_short_words_bear_no_slips() -> None:
    assert near("jo", "jp") == 3
    assert near("anna", "anja") == 1
    assert near("thompson", "tomson") == 2


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("1971-06-24", "24.06.1971", "same"),
        ("1971-06-24", "19710624", "same"),
        ("1971-06-24", "1971-05-24", "slip"),
        ("1971-06-12", "1971-12-06", "day and month swapped"),
        ("1971-06-24", "1971-10-09", "year"),
        ("1971-06-24", "1972-11-03", "close"),
        ("1971-06-24", "1950-11-03", "other"),
    ],
)
def test_dates(a: str, b: str, level: str) -> None:
    assert values.date_level(values.date(a), values.date(b)) == level


def test_what_is_no_date_has_no_value() -> None:
    assert [values.date(v) for v in ("", "n/a", "06-24", "1971")] == ["", "", "", ""]


def test_companies_lose_their_legal_form_and_keep_their_name() -> None:
    assert values.company("The Nordlicht Labs GmbH & Co. KG") == "nordlicht labs"
    assert values.company("I.B.M. Corp.") == "ibm"
    assert values.company("Limited") == "limited"


def test_telephones_agree_in_their_national_part_only_where_one_lacks_the_country() -> None:
    assert values.phone_level("0402981223", "+33402981223") == "national"
    assert values.phone_level("+49402981223", "+33402981223") == "other"
    assert values.phone("0033402981223") == "+33402981223"


def test_a_record_keeps_role_addresses_apart_and_takes_the_employer_from_the_domain() -> None:
    record = prepare(
        "1", {"full_name": "Berg, Anna", "email": ["Anna.Berg+news@nordlicht.example", "info@nordlicht.example"]}
    )
    assert record.fields["email"] == ("anna.berg@nordlicht.example",)
    assert record.fields["employer"] == ("nordlicht",)
    assert record.mailboxes == ("info@nordlicht.example",)
    assert "employer" not in prepare("2", {"email": "anna@gmail.com"}).fields
    assert "employer" not in prepare("3", {"email": "anna@us.example"}, own=frozenset({"us.example"})).fields


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["full_name", "first_name", "last_name", "email", "phone", "company", "born", "city",
                                        "postcode", "address"]), st.text(max_size=40)))  # fmt: skip
def test_junk_is_no_error_and_no_empty_value(junk: dict[str, str]) -> None:
    record = prepare("1", junk)
    assert all(v for found in record.fields.values() for v in found)


def test_folding_and_sound() -> None:
    assert fold("O'Brien-Müller") == "obrien muller"
    assert fold("Иванов") == "ivanov"
    assert sound("meyer") == sound("maier")
