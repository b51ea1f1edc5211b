"""What is too thin, or contradicts itself, whatever it weighs."""

import pytest

from hub.identity.match.fields import email_level
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.profile import Profile, weights
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
        ("ida@nordlicht.example", "ida@nordlich.example", "slip"),
    ],
)
def test_what_is_a_slip_in_an_address(a: str, b: str, level: str) -> None:
    assert email_level(a, b) == level == email_level(b, a)
