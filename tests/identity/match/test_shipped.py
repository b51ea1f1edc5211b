"""The model that ships: what a base knows before it learnt from its own records."""

import json
from importlib.resources import files

import pytest

from hub.identity.match.fields import PARTS
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.online import LINK, Memory, decide
from hub.identity.match.record import prepare
from tests.identity.match.people import people

NAME = {"full_name": "Irma Zeller"}


def shipped(others: int) -> Memory:
    """A base of so many strangers."""
    memory = Memory(Model.shipped(Settings(), Counts()))
    for record in people(others)[:others]:
        memory.add(record, record.id)
    return memory


def test_the_file_knows_each_level_and_its_shares_add_up() -> None:
    """Fails after a change of `PARTS`: run `python -m benchmarks.identity.ship` again."""
    state = json.loads((files("hub.identity.match") / "data" / "model.json").read_text("utf-8"))
    assert state["m"].keys() == state["u"].keys() == state["shared"].keys() == PARTS.keys()
    for part, known in PARTS.items():
        for kind in ("m", "u"):
            levels = state[kind][part]
            assert levels.keys() == known.levels.keys(), part
            assert sum(levels.values()) == pytest.approx(1, abs=0.01), (kind, part)
            assert min(levels.values()) > 0


@pytest.mark.parametrize("others", [2, 3, 10, 30, 49])
@pytest.mark.parametrize(
    "shared",
    [
        NAME,
        NAME | {"city": "Lund"},
        NAME | {"city": "Hollnich"},
        NAME | {"city": "Lund", "postcode": "22362", "address": "1 Park Lane"},
        NAME | {"company": "Nordlicht Labs"},
        NAME | {"company": "Nordlicht Labs", "city": "Lund"},
        NAME | {"city": "Lund", "occupation": "buyer"},
    ],
)
def test_in_a_small_base_a_name_and_a_place_or_an_employer_link_nobody(others: int, shared: dict[str, str]) -> None:
    memory = shipped(others)
    memory.add(prepare("known", shared), "known")
    assert decide(prepare("new", shared), memory.model, memory).verdict != LINK


@pytest.mark.parametrize("others", [2, 3, 10, 30, 49])
def test_in_a_small_base_a_mistyped_name_or_address_links_nobody(others: int) -> None:
    memory = shipped(others)
    memory.add(prepare("known", {"full_name": "Irma Zeller", "city": "Lund", "email": "irma@zeller.example"}), "known")
    for given in (
        {"full_name": "Irma Zeller", "city": "Lund"},
        {"full_name": "Irna Zeller", "city": "Lund"},
        {"email": "irna@zeller.example"},
        {"full_name": "Otto Maier", "email": "inna@zeller.example"},
    ):
        assert decide(prepare("new", given), memory.model, memory).verdict != LINK, given


@pytest.mark.parametrize("others", [2, 10, 49, 120])
def test_a_personal_address_links_from_the_first_day(others: int) -> None:
    memory = shipped(others)
    memory.add(prepare("known", {"full_name": "Irma Zeller", "email": "irma@zeller.example"}), "known")
    for given in ({"email": "Irma@Zeller.example"}, {"email": "irma@zeller.example", "full_name": "Zeller, Irma"}):
        decision = decide(prepare("new", given), memory.model, memory)
        assert (decision.verdict, decision.entity) == (LINK, "known"), (given, decision)
