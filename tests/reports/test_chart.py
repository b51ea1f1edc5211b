"""Charts: well-formed, named for who cannot see them, readable without colour and in the dark, small, nothing active."""

import re
from xml.etree import ElementTree

import pytest

from hub.reports.chart import _HATCH, COLOURS, draw, drawn
from hub.reports.definition import Chart, Kind

SVG = "{http://www.w3.org/2000/svg}"
WEEKS = Chart("columns", "Interactions", "whole")
SPANS = Chart("bars", "Time", "seconds", is_stacked=False)
BARS = [(f"2026-W{w}", {"email": 10 * w, "phone": 3, "chat": w % 2}) for w in range(10, 22)]


def words(value: object, kind: Kind) -> str:
    return "–" if value is None else f"{value}"


def svg(chart: Chart, bars: list[tuple[str, dict[str, float | None]]], title: str = "Volume") -> ElementTree.Element:
    return ElementTree.fromstring(draw(chart, bars, title=title, name="volume", words=words))


def test_it_says_what_it_shows() -> None:
    root = svg(WEEKS, BARS)
    assert root.get("role") == "img"
    names = [root.find(f".//*[@id='{key}']") for key in (root.get("aria-labelledby") or "").split()]
    assert [n.tag for n in names if n is not None] == [f"{SVG}title", f"{SVG}desc"]
    assert names[1] is not None and names[1].text == (
        "Interactions: 12 columns. The largest is 2026-W21 with 214. The last is 2026-W21 with 214. "
        "Parts: email 1860, phone 36, chat 6."
    )


def test_nothing_in_it_is_active_or_fetched_or_needs_a_style_sheet() -> None:
    text = draw(WEEKS, BARS, title="Volume", name="volume", words=words)
    assert not re.search(r"<script|<style|style=|\son\w+=|href|<image|<foreignObject|url\((?!#)", text)
    assert text.count("http") == 1 and 'xmlns="http://www.w3.org/2000/svg"' in text
    assert len(text) < 6_000


def test_each_part_has_a_pattern_of_its_own_and_its_name() -> None:
    root = svg(WEEKS, BARS)
    patterns = root.findall(f".//{SVG}pattern")
    assert len({p.get("id") for p in patterns}) == 3
    assert len(set(_HATCH)) == len(_HATCH) == len(COLOURS)
    shown = [t.text for t in root.iter(f"{SVG}text")]
    assert {"email", "phone", "chat"} <= set(shown)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_colours_stand_out_by_day_and_by_night(colour: str, ground: str) -> None:
    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_columns_are_as_high_as_their_numbers() -> None:
    root = svg(WEEKS, [("a", {"x": 50, "y": 50}), ("b", {"x": 25})])
    paths = [p.get("d") or "" for p in root.findall(f"{SVG}path") if (p.get("fill") or "").startswith("url")]
    heights = [float(h) for path in paths for h in re.findall(r"v([\d.]+)", path)]
    assert heights == [110.0, 55.0, 110.0]  # x of a, x of b, y of a; the axis ends at 100, and is 220 high


def test_odd_names_are_text() -> None:
    hostile = '</text><script>alert(1)</script>"\x00\x1b\u202e'
    root = svg(Chart("bars", "Tasks", "whole"), [(hostile, {hostile: 3})], title=hostile)
    assert not [e for e in root.iter() if e.tag.endswith("script")]


def test_too_many_parts_and_bars_are_gathered_and_cut() -> None:
    table = drawn(WEEKS, [("w", {f"channel {n}": n for n in range(1, 13)})])
    assert table.parts[-1] == "other" and len(table.parts) == 8
    assert table.rows == [("w", [1, 2, 3, 4, 5, 6, 7, 8 + 9 + 10 + 11 + 12])]
    many = [(f"owner {n}", {"open": 1}) for n in range(40)]
    root = svg(Chart("bars", "Tasks", "whole"), many)
    assert len(root.findall(f"{SVG}rect")) == 15
    assert "The first 15 of 40" in (root.findtext(f"{SVG}desc") or "")


@pytest.mark.parametrize("bars", [[], [("a", {})], [("a", {"x": 0})], [("a", {"x": None})]])
def test_nothing_to_draw_is_no_chart(bars: list[tuple[str, dict[str, float | None]]]) -> None:
    assert draw(WEEKS, bars, title="t", name="n", words=words) == ""
    assert draw(SPANS, bars, title="t", name="n", words=words) == ""


@pytest.mark.parametrize("most", [0.001, 1, 59, 3_601, 86_400, 10**7, 10**12])
@pytest.mark.parametrize("chart", [WEEKS, SPANS, Chart("columns", "x", "seconds"), Chart("columns", "x", "share")])
def test_any_size_has_an_axis(chart: Chart, most: float) -> None:
    assert svg(chart, [("a", {"x": most}), ("b", {"x": most / 3, "y": None})]).get("viewBox")
