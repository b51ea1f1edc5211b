"""The model as a Splink settings file says the same as ours: every level is in it, and Splink finds the same links."""

import json
import warnings

import pytest

from hub.identity.batch_splink import LEVELS, pairs, row, settings, unlike
from hub.identity.match.batch import batch
from hub.identity.match.fields import PARTS
from hub.identity.match.model import Counts, Model, Settings
from hub.identity.match.record import prepare
from tests.identity.match.people import people

NOT_COVERED = {"company"}  # of organizations
ELSEWHERE = {"order"}  # part of reading names swapped


def test_every_level_of_the_model_is_in_the_file() -> None:
    """A level that is added to the model and forgotten here would silently weigh as "other"."""
    assert LEVELS.keys() | NOT_COVERED | ELSEWHERE == PARTS.keys()
    for part, levels in LEVELS.items():
        assert {level.name for level in levels} | {"other"} == PARTS[part].levels.keys(), part


def test_the_file_is_plain_json_and_names_the_keys_as_blocks() -> None:
    model = Model.shipped(Settings(), Counts())
    found = json.loads(json.dumps(settings(model)))
    (block,) = found["blocking_rules_to_generate_predictions"]
    assert block["arrays_to_explode"] == ["keys"]
    for comparison in found["comparisons"]:
        first, *levels = comparison["comparison_levels"]
        assert first["is_null_level"]
        assert all(0 < level["m_probability"] <= 1 >= level["u_probability"] > 0 for level in levels)


def test_a_row_has_the_same_columns_whatever_is_known() -> None:
    model = Model(Settings(), Counts())
    full = prepare("a", {"full_name": "Anna Maria Berg", "email": "anna.berg@mail.example", "born": "1980-02-03"})
    found, empty = row(full, model), row(prepare("b", {}), model)
    assert found.keys() == empty.keys()
    assert (found["given"], found["middle"], found["family"]) == ("anna", "maria", "berg")
    assert found["handle_count"] == 2
    assert empty["keys"] == []


@pytest.mark.timeout(500)
def test_splink_on_duckdb_finds_the_same_links() -> None:
    """Some 2,000 invented records: at the automatic weight and at that of a review."""
    pytest.importorskip("splink", reason="the extra [batch] is not installed: parity with Splink is not checked")
    records = sorted(people(700), key=lambda r: r.id)
    _, model, scored = batch(records, Settings())
    ours = {(records[i].id, records[j].id): weight for weight, i, j in scored}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compared library's own dependencies
        theirs = {(a, b): weight for weight, a, b in pairs(records, model, 0.0)}
    by_id = {r.id: r for r in records}
    assert len(ours) > 1000
    for least in (model.settings.review, model.settings.auto):
        links, others = ({p for p, w in found.items() if w >= least} for found in (ours, theirs))
        covered, same = (
            {p for p in some if not unlike(by_id[p[0]], by_id[p[1]])} for some in (links | others, links & others)
        )
        assert len(covered) > 500
        assert len(same) >= 0.999 * len(covered)
        assert len(links & others) >= 0.99 * len(links | others)
