"""What is too thin, or contradicts itself, whatever it weighs."""

from itertools import combinations

import pytest

from hub.identity.match.fields import email_level
from hub.identity.match.joining import Clustering
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, joined, score, weights
from hub.identity.match.record import prepare
from hub.identity.match.vetoes import grounds, veto
from tests.identity.match.people import people

PHONE = "+442079460001"
IDA = {"full_name": "Ida Falkenrath", "company": "Nordlicht Labs"}


@pytest.fixture(scope="module")
def model() -> Model:
    """A base that knows which names are rare."""
    counts = Counts()
    for record in people(200):
        counts.add(record)
    return Model.shipped(Settings(), counts)


def thin(model: Model, left: dict[str, str], right: dict[str, str]) -> str:
    a, b = Profile.of(prepare("a", left)), Profile.of(prepare("b", right))
    return grounds(model, weights(model, a, b), a, b)


def test_a_name_at_one_company_is_ground_enough_where_it_is_rare_or_one_field_more_agrees(model: Model) -> None:
    assert thin(model, IDA, IDA) == ""
    common = {"full_name": "Anna Berg", "company": "Nordlicht Labs"}
    assert thin(model, common, common) == "one ground alone: name"
    assert thin(model, common | {"city": "Lund"}, common | {"city": "Lund"}) == ""
    assert thin(model, {"full_name": "Ida Falkenrath"}, IDA) == "one ground alone: name"
    assert thin(model, {"company": "Nordlicht Labs"}, IDA) == "one ground alone: employer"


def test_a_company_gives_namesakes_two_mailboxes(model: Model) -> None:
    ida = IDA | {"city": "Lund"}
    left = ida | {"email": "ida@nordlicht.example"}
    assert thin(model, left, ida | {"email": "ida.falkenrath@nordlicht.example"}) == "two mailboxes in one company"
    assert thin(model, left, ida | {"email": "ida@nordlicht.example"}) == ""
    assert thin(model, left, ida | {"email": "idafalkenrath@gmail.com"}) == ""
    home = {"full_name": "Ida Falkenrath", "born": "1970-01-02"}
    assert thin(model, home | {"email": "ida1@gmail.com"}, home | {"email": "i.falkenrath@gmail.com"}) == ""


@pytest.mark.parametrize(
    "where", [{"city": "Lund"}, {"company": "Nordlicht Labs"}, {"city": "Lund", "postcode": "22362"}]
)
def test_a_telephone_and_where_it_stands_are_one_ground(model: Model, where: dict[str, str]) -> None:
    line = where | {"phone": PHONE}
    assert thin(model, line, line) == "one ground alone: phone"
    assert thin(model, line | {"full_name": "Ida Falkenrath"}, line | {"full_name": "Ida Falkenrath"}) == ""


def test_two_organizations_of_one_name_in_one_house_are_one(model: Model) -> None:
    """Of an organization the name is a ground of its own, and so is its house."""
    house = {"company": "Quist and Farrow", "phone": PHONE, "city": "Lund"}
    counts = Counts(model.counts.records, dict(model.counts.values), model.counts.totals.copy())
    for i in range(50):
        counts.add(prepare(f"o{i}", {"company": f"Firm {i}"}, kind="organization"))
    among = Model.shipped(Settings(), counts)
    a, b = (Profile.of(prepare(i, house, kind="organization")) for i in "ab")
    assert grounds(among, weights(among, a, b), a, b) == ""


@pytest.mark.parametrize("written", [PHONE, "020 7946 0001"])
def test_other_first_names_on_one_line_however_it_is_written(written: str) -> None:
    a = Profile.of(prepare("a", {"full_name": "Ida Falkenrath", "phone": PHONE}))
    b = Profile.of(prepare("b", {"full_name": "Otto Falkenrath", "phone": written}))
    assert veto(a, b) == "other first names on one telephone"


@pytest.mark.parametrize(
    ("a", "b", "level"),
    [
        ("ida.falk@gmail.com", "ida.falk@gmial.com", "slip"),
        ("ida.falk@gmail.com", "ida.falk@aol.com", "other"),
        ("ida.falk7@gmail.com", "ida.falk7@aol.com", "local part"),
        ("ida.falk7@gmail.com", "ida.falke7@gmail.com", "slip"),
        ("mariamoller1@gmail.com", "martamoller55@gmail.com", "other"),
        ("mariamoller1@gmail.com", "mariamoller2@gmail.com", "other"),
        ("mariamoller@gmail.com", "mariamoler1@gmail.com", "other"),
        ("ida@nordlicht.example", "ida@nordlich.example", "slip"),
    ],
)
def test_what_is_a_slip_in_an_address(a: str, b: str, level: str) -> None:
    assert email_level(a, b) == level == email_level(b, a)


def known(*given_names: str, records: int = 0) -> Model:
    """A base that has each of these first names a hundred times, and others once."""
    counts = Counts()
    for record in people(200):
        counts.add(record)
    for first in given_names:
        counts.add(prepare("x", {"first_name": first}), 100)
    return Model.shipped(Settings(), counts)


HOME = {"full_name": "Ida Falkenrath", "city": "Lund"}


def test_a_town_is_a_ground_beside_a_name_where_nothing_else_says_two(model: Model) -> None:
    assert thin(model, HOME, HOME) == ""
    mail = {"email": "ida@nordlicht.example"}
    assert thin(model, HOME | mail, HOME | {"email": "idafalkenrath@gmail.com"}) == ""
    two = [HOME | {"email": f"ida{at}"} for at in ("7@gmail.com", ".f@gmx.de")]
    assert thin(model, *two) == "two private mailboxes"
    work = IDA | {"occupation": "Buyer"}
    assert thin(model, work, IDA | {"occupation": "Nurse"}) == "another occupation"
    assert thin(model, IDA | {"city": "Lund"}, IDA | {"city": "Graz"}) == "another city"


def test_in_a_small_base_a_town_is_no_ground() -> None:
    few = Counts()
    for record in people(10):
        few.add(record)
    assert thin(Model.shipped(Settings(), few), HOME, HOME) == "one ground alone: name"


@pytest.mark.parametrize(
    "more", [{"company": "Nordlicht Labs", "city": "Lund"}, {"postcode": "22362", "address": "Gasse 1"}]
)
def test_other_first_names_are_no_ground_however_rare_the_last_one(model: Model, more: dict[str, str]) -> None:
    ida, otto = more | {"full_name": "Ida Falkenrath"}, more | {"full_name": "Otto Falkenrath"}
    assert thin(model, ida, otto) == "other first names"
    assert thin(model, ida | {"number": "4711"}, otto | {"number": "4711"}) == "other names on one address"


def test_an_initial_says_no_more_than_the_name_beside_it(model: Model) -> None:
    where = {"company": "Nordlicht Labs", "city": "Lund"}
    initial, ida, igor = (
        Profile.of(prepare(first, where | {"full_name": f"{first} Falkenrath"})) for first in ("I.", "Ida", "Igor")
    )
    both = joined(initial, ida)
    assert grounds(model, weights(model, both, igor), both, igor) == "other first names"
    assert thin(model, where | {"full_name": "I. Falkenrath"}, where | {"full_name": "Ida Falkenrath"}) == ""


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("Christopher Berg", "Topher Berg", True), ("William Berg", "B. Berg", True), ("Berg Timothy", "Tim Berg", True),
        ("Christopher Berg", "Tina Berg", False), ("William Berg", "K. Berg", False), ("Berg Timothy", "Ida Berg", False),
    ],
)  # fmt: skip
def test_who_may_be_one_on_one_address(model: Model, one: str, other: str, is_one: bool) -> None:
    at = {"email": "berg@kestrel.example"}
    why = thin(model, at | {"full_name": one}, at | {"full_name": other})
    assert why == ("" if is_one else "other names on one address")


def test_a_first_name_is_mistyped_where_hardly_anybody_has_it() -> None:
    line = {"phone": PHONE}
    daniel, danial, daniela = (line | {"full_name": f"{first} Falkenrath"} for first in ("Daniel", "Danial", "Daniela"))
    assert thin(known("Daniel"), daniel, danial) == ""
    assert thin(known("Daniel", "Daniela"), daniel, daniela) == "one ground alone: name"
    assert thin(known(), daniel, danial) == "one ground alone: name"


def test_a_number_without_its_country_is_a_ground_too(model: Model) -> None:
    ida = {"full_name": "Ida Falkenrath"}
    assert thin(model, ida | {"phone": PHONE}, ida | {"phone": "020 7946 0001"}) == ""


def test_who_names_the_employer_of_the_other_has_no_other_one(model: Model) -> None:
    line = {"full_name": "Ida Falkenrath", "phone": PHONE}
    new, old = line | {"email": "ida@nordlicht.example"}, line | {"email": "ida@altona.example"}
    assert thin(model, new, old) == "other employers on one telephone"
    assert thin(model, new, old | {"company": "Nordlicht"}) == ""


def test_a_mailbox_called_after_the_whole_name_stands_for_it(model: Model) -> None:
    ida = IDA | {"city": "Lund"}
    nameless = {"company": "Nordlicht Labs", "city": "Lund", "email": "idafalkenrath@gmail.com"}
    assert thin(model, ida, nameless) == ""
    assert thin(model, ida, nameless | {"email": "labs.lund@gmail.com"}) == "one ground alone: place"


def test_a_slip_in_an_address_is_a_ground_beside_one_name_alone(model: Model) -> None:
    ida = {"full_name": "Ida Falkenrath", "email": "ida.falkenrath@gmail.com"}
    assert thin(model, ida, ida | {"email": "ida.falkenrat@gmail.com"}) == ""
    twice = {"full_name": "Ida Falkenrat", "email": "ida.falkenrat@gmail.com"}
    assert thin(model, ida, twice) == "one ground alone: name"


@pytest.mark.parametrize(
    ("name", "company", "is_name"),
    [
        ("Nordlicht Travel", "Nordlicht Travel", False), ("Nordlicht Travel Help", "Nordlicht Travel", False),
        ("Team Nordlicht", "Nordlicht GmbH", False), ("Nordlicht Noreply", "Nordlicht", False), ("Ida Falkenrath", "Nordlicht", True),
    ],
)  # fmt: skip
def test_a_role_mailbox_called_after_its_company_has_no_name(name: str, company: str, is_name: bool) -> None:
    record = prepare("a", {"full_name": name, "company": company, "email": "hello@nordlicht.example"})
    assert ("name" in record.fields, "handle" in record.fields) == (is_name, is_name)


def test_who_is_as_like_to_two_that_are_not_one_is_joined_with_neither(model: Model) -> None:
    """Two of one name at one company, and a third record that may be either's; an initial that fits two."""
    ida = IDA | {"city": "Lund"}
    at_work = [ida | {"email": f"{box}@nordlicht.example"} for box in ("ida", "ida.falkenrath")]
    assert _clusters(model, *at_work, ida | {"phone": PHONE}) == [["0"], ["1"], ["2"]]
    assert _clusters(model, at_work[0], ida | {"phone": PHONE}) == [["0", "1"]]
    home = [HOME | {"company": "Nordlicht Labs", "full_name": f"{first} Falkenrath"} for first in ("Ida", "Igor", "I.")]
    assert _clusters(model, *home) == [["0"], ["1"], ["2"]]
    assert _clusters(model, home[0], home[2]) == [["0", "1"]]


def _clusters(model: Model, *given: dict[str, str]) -> list[list[str]]:
    start = [Profile.of(prepare(str(i), g)) for i, g in enumerate(given)]
    work = Clustering(model, start, model.settings.auto)
    for i, j in combinations(range(len(start)), 2):
        work.edge(i, j, score(model, start[i], start[j]))
    return work.run()
