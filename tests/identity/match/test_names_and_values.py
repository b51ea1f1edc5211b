"""What is done to names and values before they are compared."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.identity.match import names, values
from hub.identity.match.fields import company_level
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


@pytest.mark.parametrize(
    ("full", "expected"),
    [
        ("王小明", ("xiaoming", "wang")),
        ("欧阳修", ("xiu", "ouyang")),
        ("김정은", ("jeongeun", "kim")),
        ("バラク・オバマ", ("baraku", "obama")),
        ("ბარაკ ობამა", ("barak", "obama")),
        ("Κυριάκος Μητσοτάκης", ("kyriakos", "mitsotakis")),
        ("नरेन्द्र मोदी", ("narendra", "modii")),
        ("Юлия Берг", ("yuliya", "berg")),
        ("龘龘", ("龘龘", "")),
    ],
)
def test_a_name_in_another_script_is_read_in_latin_letters(full: str, expected: tuple[str, str]) -> None:
    name = names.split(full)
    assert (name.given, name.family) == expected
    assert names.parts("", full) == name or " " in full or not name.family


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


@pytest.mark.parametrize(
    ("given", "core"),
    [
        ("Kestrel Gesellschaft mit beschränkter Haftung", "kestrel"),
        ("OAO Kestrel", "kestrel"),
        ("ООО «Кестрел»", "kestrel"),
        ("Open Joint Stock Company Kestrel", "kestrel"),
        ("Kestrel S. de R.L. de C.V.", "kestrel"),
        ("Kestrel Sp. z o.o.", "kestrel"),
        ("Kestrel A/S", "kestrel"),
        ("株式会社ケストレル", "kesutoreru"),
        ("SAS Institute", "sas institute"),
        ("Public Storage", "public storage"),
        ("Kestrel Fund III L.P.", "kestrel fund 3"),
        ("Kestrel Fund V L.P.", "kestrel fund 5"),
        ("V Kestrel", "v kestrel"),
        ("Triple P N.V.", "triple p"),
        ("A B Kestrel", "kestrel"),
        ("Kestrel Sales U.S.A.", "kestrel sales usa"),
        ("Kestrel S.p.A.", "kestrel"),
        ("Z.S.A.", "zsa"),
        ("Brigade Forty 4", "brigade 44"),
        ("Three Rivers Intl Grp", "3 rivers international group"),
        ("I the B", "ib"),
        ("", ""),
        ("GmbH & Co. KG", "gmbh"),
        ("&&&", ""),
    ],
)
def test_the_name_of_a_company_without_its_legal_form(given: str, core: str) -> None:
    assert values.company(given) == core
    assert values.company(core) == core


def test_the_next_fund_is_another_one_in_matching_however_alike_they_are_written() -> None:
    third, fourth = "Kestrel Fund III L.P.", "Kestrel Fund IV L.P."
    assert company_level(values.company(third), values.company(fourth)) == "other"
    assert company_level(values.company(third), values.company("Kestrel Fund Three")) == "same"
    assert values.company_similarity(third, fourth) > 0.5


def rather(score: float) -> bool:
    return score > 0.5


@pytest.mark.parametrize(
    ("a", "b", "is_one"),
    [
        ("Anna Berg", "Berg, Anna", True),
        ("Dr. Anna Berg", "Anna Maria Berg", True),
        ("Mahmoud Hussein", "Mahmud Husayn", True),
        ("AnnaBerg", "Anna Berg", True),
        ("J.C. Berg", "Jean-Claude Berg", True),
        ("A. Berg", "Anna Berg", True),
        ("Bill Berg", "William Berg", True),
        ("Abd al-Rahman Berg", "Abdulrahman Berg", True),
        ("Барак Обама", "ბარაკ ობამა", True),
        ("王小明", "Wang Xiaoming", True),
        ("4nna Ber9", "Anna Berg", True),
        ("Anna Berg", "Nora Berg", False),
        ("B. Berg", "Anna Berg", False),
        ("王伟", "王维", False),
        ("Ali bin Omar Berg", "Omar bin Ali Berg", False),
        ("Anna Maria Berg", "Anna Lena Berg", False),
        ("Anna", "Anna Maria Berg", False),
        ("Anna Berg", "Otto Maier", False),
        ("", "", False),
        ("Anna", "", False),
    ],
)
def test_two_ways_to_write_a_name_and_two_names(a: str, b: str, is_one: bool) -> None:
    assert rather(names.similarity(a, b)) is is_one
    assert names.similarity(b, a) == pytest.approx(names.similarity(a, b))


@pytest.mark.parametrize(
    ("a", "b", "is_one"),
    [
        ("Kestrel GmbH", "Kestrel Gesellschaft mit beschränkter Haftung", True),
        ("Kestrel GmbH", "KestrelGmbH", True),
        ("Kestrel Labs Inc", "Kestrel Labs", True),
        ("Kestrl Labs", "Kestrel Labs", True),
        ("Kes Trel Labs", "Kestrel Labs", True),
        ("International Kestrel Labs", "I.K.L. Corp", True),
        ("7 Rivers", "Seven Rivers", True),
        ("Kestrel Labs International", "Kestrel Labs Intl", True),
        ("Kestrel AG", "Kestrel GmbH", False),
        ("Kestrel Systems", "Kestrel Industries", False),
        ("Kestrel Fund", "Kestrel Fund II", False),
        ("Kestrel Labs", "Merlin Works", False),
        ("", "Kestrel", False),
    ],
)
def test_two_ways_to_write_a_company_and_two_companies(a: str, b: str, is_one: bool) -> None:
    assert rather(values.company_similarity(a, b)) is is_one
    assert values.company_similarity(b, a) == pytest.approx(values.company_similarity(a, b))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_between_nothing_and_one_and_the_same_both_ways(a: str, b: str) -> None:
    for alike in (names.similarity, values.company_similarity):
        assert 0.0 <= alike(a, b) <= 1.0
        assert alike(a, a) in (0.0, 1.0)
        assert alike(a, b) == pytest.approx(alike(b, a))


def test_names_without_end_cost_no_more_than_long_ones() -> None:
    for hostile in (
        "a " * 50_000,
        "a" * 100_000,
        "ab" * 3 + " (" * 50_000,
        ", " * 50_000,
        "王" * 100_000,
        "i v x " * 20_000,
    ):
        assert names.similarity(hostile, "Anna Berg") < 0.5
        assert values.company_similarity(hostile, "Kestrel GmbH") < 0.5


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


def test_a_role_mailbox_called_after_its_company_is_nobody() -> None:
    for name in ("Nordlicht Labs", "Nordlicht Labs Support", "NORDLICHT LABS GmbH"):
        role = {"full_name": name, "email": "support@nordlicht.example", "company": "Nordlicht Labs"}
        assert "name" not in prepare("1", role).fields
        assert "name" in prepare("2", role | {"email": "labs@nordlicht.example"}).fields
    anna = {"full_name": "Anna Berg", "email": "info@nordlicht.example", "company": "Nordlicht Labs"}
    assert prepare("3", anna).fields["name"] == ("anna||berg",)
