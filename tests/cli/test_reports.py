"""`ihub report`: listed, shown within 80 columns, as JSON, as a file; and what it does not take."""

import csv
from pathlib import Path

import pytest

from hub import reports
from hub.cli import main


def test_without_a_name_they_are_listed(synced) -> None:
    shown = synced("report").out
    for name, report in reports.REPORTS.items():
        assert f"ihub report {name}\n" in shown
        assert report.sentence.split()[0] in shown
    assert [r["name"] for r in synced("report", "--json").json["reports"]] == list(reports.REPORTS)


@pytest.mark.parametrize("name", list(reports.REPORTS))
def test_each_is_shown_and_given_as_json(synced, name: str) -> None:
    shown = synced("report", name)
    assert shown.out.startswith(f"{reports.REPORTS[name].title}\n")
    assert max(len(line) for line in shown.out.splitlines()) <= 80
    document = synced("report", name, "--json").json
    assert document["report"] == name
    assert len(document["rows"]) == document["total"] > 0
    assert document["fresh_as_of"] is not None


def test_a_file_for_a_spreadsheet(synced, capsys, tmp_path: Path) -> None:
    file = tmp_path / "volume.csv"
    asked = ("report", "volume", "--top", 3, "--zone", "Asia/Tokyo")
    assert f"rows written to {str(file)[:20]}" in synced(*asked, "--csv", file, "--bom").out
    told = synced(*asked, "--json").json
    with file.open(newline="", encoding="utf-8-sig") as f:
        read = list(csv.DictReader(f))
    assert [r["week"] for r in read] == [r["week"] for r in told["rows"]]
    assert sum(int(r["interactions"]) for r in read) == told["figures"]["interactions"] > 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbfaccount,")
    assert told["parameters"]["zone"] == "Asia/Tokyo"
    capsys.readouterr()
    assert main([str(a) for a in (*asked, "--csv", "-")]) == 0  # a file may be wider than a terminal
    assert list(csv.DictReader(capsys.readouterr().out.splitlines())) == read
    nowhere = synced("report", "tasks", "--csv", tmp_path / "no" / "such.csv", code=2)
    assert "cannot be written" in nowhere.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("volum",), "did you mean volume?"), (("volume", "--days", 3), "--days"), (("tasks", "--soon-days", "x"), "--soon-days"),
        (("response", "--since", "yesterday"), "such as 2026-01-31"), (("--days", 3), "belongs to a report"),
        (("summary", "--csv", "x.csv"), "belongs to a report"), (("tasks", "--person", "a@b.example"), "summary"),
        (("tasks", "--csv", "-", "--json"), "cannot both"),
    ],
)  # fmt: skip
def test_what_it_does_not_take(synced, words: tuple[object, ...], said: str) -> None:
    refused = synced("report", *words, code=2)
    assert said in refused.err
