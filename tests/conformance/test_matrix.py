"""Results add up to a matrix and a level, and only results do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig

from hub.testing import ConnectorSuite, Result
from hub.testing.badge import stale, to_json, write
from hub.testing.matrix import render
from hub.testing.suite_result import CLAUSES, Outcome, level, merged, read_quality

HERE = Path(__file__).parent


def result(clause: str, outcome: Outcome = "passed", stream: str = "messages", detail: str = "") -> Result:
    return Result("acorn", stream, clause, outcome, detail)


def all_but(*without: str) -> list[Result]:
    return [result(c.id) for c in CLAUSES if c.id not in without]


def test_a_level_needs_every_clause_of_those_below() -> None:
    assert level(all_but()) == "platinum"
    assert level(all_but("W8")) == "gold"
    assert level(all_but("W7")) == "silver"
    assert level(all_but("W10")) == "bronze"
    assert level(all_but("W1")) == ""
    assert level([*all_but("W5"), result("W5", "exempt", detail="never merged")]) == "platinum"
    assert level([*all_but("W5"), result("W5", "open", detail="later")]) == "silver"


def test_the_worst_stream_speaks_for_the_connector_and_silence_is_failure() -> None:
    given = [result("W1"), result("W1", "failed", "people", "says yes to all"), result("W2")]
    given += [result("W2", "exempt", "people", "no history")]
    found = {r.clause: r for r in merged("acorn", given)}
    assert (found["W1"].outcome, found["W1"].detail) == ("failed", "people: says yes to all")
    assert found["W2"].outcome == "passed"
    assert (found["W3"].outcome, found["W3"].detail) == ("failed", "no stream ran this clause")


def test_the_matrix_says_everything_that_is_not_plainly_kept() -> None:
    noted = Result("acorn", "messages", "W4", "passed", notes=("expire-cursor: they do not",))
    given = [*all_but("W4", "W5", "W9"), noted, result("W5", "exempt", detail="never merged")]
    given.append(result("W9", "failed", detail="3 lost"))
    text = render(given)
    assert "acorn       yes  yes  yes  yes    -  yes  yes  yes   NO  yes  yes  yes  yes  silver (1 exempt)" in text
    assert "acorn W4 deletes: expire-cursor: they do not" in text
    assert "acorn W5 merges: exempt: never merged" in text
    assert "acorn W9 census: failed: messages: 3 lost" in text
    assert to_json(given)["acorn"]["level"] == "silver"
    assert Result.of(noted.to_dict()) == noted


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ('W14_more = { status = "done" }', "not one of the clauses"),
        ('W1_check = { status = "fine" }', "not done, exempt or open"),
        ('W1_check = { status = "open" }', "needs a reason"),
    ],
)
def test_a_quality_file_that_says_nothing_useful_is_refused(tmp_path: Path, claim: str, words: str) -> None:
    path = tmp_path / "quality.toml"
    path.write_text(f"[contract]\n{claim}\n")
    with pytest.raises(ValueError, match=words):
        read_quality(path)


def test_a_connector_ships_the_results_and_what_no_longer_holds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hub_acorn"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert stale(all_but("W8")) == []  # ships none
    assert write(all_but("W8")) == [package / "conformance.json"]
    assert write(all_but("W8")) == []
    assert json.loads((package / "conformance.json").read_text())["level"] == "gold"
    assert stale(all_but("W8")) == []
    assert stale([*all_but("W8"), result("W8")]) == ["acorn"]
    assert stale(all_but("W8", "W9")) == ["acorn"]
    assert write([result("W1", stream="nowhere")]) == [package / "conformance.json"]


CLAIMS = [
    ("W9", 'status = "done"', "passed", ""),
    ("W9", 'status = "exempt", reason = "no time"', "failed", "it applies and is kept"),
    ("W9", 'status = "open", reason = "later"', "failed", "it applies and is kept"),
    ("W5", 'status = "exempt", reason = "never merged"', "exempt", "never merged"),
    ("W5", 'status = "done"', "failed", "the rig has no `merge`"),
    ("W5", 'status = "open", reason = "later"', "open", "later"),
]


@pytest.mark.parametrize(("clause", "claim", "outcome", "words"), CLAIMS)
def test_claims_and_findings_must_agree(tmp_path: Path, clause: str, claim: str, outcome: str, words: str) -> None:
    path = tmp_path / "quality.toml"
    path.write_text(f"[contract]\n{clause}_x = {{ {claim} }}\n")

    class Suite(ConnectorSuite):
        connector = Bulletin
        rig = MessagesRig
        quality = path

    found = Suite.run(clause)
    assert found.outcome == outcome
    assert words in found.detail


def test_what_the_manifest_promises_cannot_be_exempt_and_what_it_denies_cannot_be_done(tmp_path: Path) -> None:
    path = tmp_path / "quality.toml"
    path.write_text('[contract]\nW8_x = { status = "exempt", reason = "no time" }\nW6_x = { status = "done" }\n')

    class ReadOnly(Bulletin):
        manifest = Bulletin.manifest.__class__(**{**vars(Bulletin.manifest), "pushes": ()})

    class Suite(ConnectorSuite):
        connector = ReadOnly
        rig = MessagesRig
        quality = path

    assert Suite.run("W8").outcome == "failed"
    found = Suite.run("W6")
    assert (found.outcome, found.detail) == (
        "failed", "the quality file says done, and the manifest declares no pushes",
    )  # fmt: skip


def test_as_a_command(tmp_path: Path) -> None:
    path = tmp_path / "test_conformance.py"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(HERE)!r})\n"
        "from hub.testing import ConnectorSuite\nfrom hub_bulletin import Bulletin\n"
        "from hub_bulletin.rig import MessagesRig\n"
        "class TestIt(ConnectorSuite):\n"
        "    connector, rig, clauses = Bulletin, MessagesRig, ('W8', 'W9')\n"
    )
    command = [sys.executable, "-m", "hub.testing.matrix", "--json", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=100)
    found = json.loads(ran.stdout)["bulletin"]
    assert found["level"] == ""
    assert [c for c, r in found["clauses"].items() if r["outcome"] == "passed"] == ["W8", "W9"]
    assert ran.returncode == 0, "the clauses that ran are kept; those that did not are the level's business"
