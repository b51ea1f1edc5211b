"""CSV files: RFC 4180, nothing a spreadsheet would carry out, and back again as it was."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.reports import Answer, csv_file
from hub.reports.definition import Chart, Column, Found, Report
from hub.reports.spreadsheet import cell

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


def answer(*rows: dict[str, Any]) -> Answer:
    columns = (Column("name", "Name", "text", is_told=True), Column("n", "N", "number"), Column("at", "At", "instant"))
    found = Found(list(rows), [], len(rows))
    report = Report("x", "X", "", 1, (), columns, lambda _: found, Chart("bars", "", "whole"), (), "")
    return Answer(report, {}, {}, found, [], NOW, UTC)


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("=HYPERLINK(\"http://evil.example\";\"x\")", "'=HYPERLINK(\"http://evil.example\";\"x\")"),
        ("+1", "'+1"), ("-2+3", "'-2+3"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", " '=1"), ("\r=1", " '=1"), ("  =1", "  '=1"), ("\n\n=1", " '=1"), ("\ufeff=1", "\ufeff'=1"),
        ("＝1", "'＝1"), ("\u200b=1", "\u200b'=1"), ("a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"), ("a;b", "a;b"),
        ("two\r\nlines", "two lines"), ("nul\x00", "nul "), ("a-b", "a-b"), ("1e308", "1e308"), ("00123", "00123"), ("", ""),
    ],
)  # fmt: skip
def test_texts_are_made_harmless_and_otherwise_left_alone(told: str, written: str) -> None:
    assert cell(told) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(-5, -5), (-0.5, -0.5), (None, ""), (float("nan"), ""), (float("inf"), ""), (True, "true"), (NOW, "2026-11-02T09:00:00Z")],
)  # fmt: skip
def test_our_own_values_stay_what_they_are(value: Any, written: Any) -> None:
    assert cell(value) == written


def test_the_file_as_bytes() -> None:
    rows = ({"name": 'Quote " and, comma', "n": -1.5, "at": NOW}, {"name": "Zoë", "n": None, "at": None})
    plain = csv_file(answer(*rows))
    assert plain == 'name,n,at\r\n"Quote "" and, comma",-1.5,2026-11-02T09:00:00Z\r\nZoë,,\r\n'.encode()
    assert csv_file(answer(*rows), bom=True) == b"\xef\xbb\xbf" + plain


@given(st.lists(st.text(), max_size=5))
def test_any_text_is_one_cell_that_begins_no_formula(names: list[str]) -> None:
    data = csv_file(answer(*({"name": name, "n": 1, "at": None} for name in names))).decode()
    read = list(csv.reader(io.StringIO(data, newline="")))
    assert len(read) == len(names) + 1
    for (name, n, at), given_name in zip(read[1:], names, strict=True):
        assert (n, at) == ("1", "")
        assert not name.strip().lstrip("\ufeff\u200b\u200c\u200d\u200e\u200f").startswith(("=", "+", "-", "@", "＝"))
        assert "\n" not in name and "\t" not in name
        assert len(name) <= len(given_name) + 1 + given_name.count(";")
