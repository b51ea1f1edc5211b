"""Charts as SVG that stands on its own in a page: no script, no style sheet, nothing fetched (docs/adr/0019).

Readable without colour (each part has a pattern of its own, and is named), in light and dark (text is `currentColor`,
parts are `--chart-1` to `--chart-8` where the page sets them), and aloud: title and description say what it shows.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from hub.reports.definition import Chart, Kind

WIDTH, PLOT, LEFT, RIGHT, TOP = 720, 220, 64, 32, 12
MOST_PARTS, MOST_BARS = 8, 15
OTHER = "other"
# Each at least 3:1 against white and against #121212, so that they hold in both without being set.
COLOURS = ("#3a7bd5", "#c2571a", "#2e8b57", "#a855c7", "#b8860b", "#d1477a", "#2a8c99", "#7c7f86")
_HATCH = (
    "", "M0 8L8 0", "M0 0L8 8", "M0 4H8", "M4 0V8", "M0 4H8M4 0V8", "M2 2h1v1h-1zM6 6h1v1h-1z", "M0 2H8M0 6H8",
)  # fmt: skip
_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800)
Words = Callable[[Any, Kind], str]


class Drawn(NamedTuple):
    """The numbers of a chart: the names of its parts, and a row for each label."""

    parts: list[str]
    rows: list[tuple[str, list[Any]]]


def drawn(chart: Chart, bars: Sequence[tuple[str, dict[str, Any]]]) -> Drawn:
    """What the chart shows, which is its table too: of many parts the last are one, "other"; of many bars the first."""
    parts = list(dict.fromkeys(part for _, values in bars for part in values))
    shown = parts if len(parts) <= MOST_PARTS or not chart.is_stacked else [*parts[: MOST_PARTS - 1], OTHER]
    rows = []
    for label, values in bars if chart.shape == "columns" else bars[:MOST_BARS]:
        told = [values.get(part) for part in shown]
        if shown[-1:] == [OTHER] and shown != parts:
            told[-1] = sum(values.get(part) or 0 for part in parts[MOST_PARTS - 1 :])
        rows.append((label, told))
    return Drawn(shown, rows)


def draw(
    chart: Chart, bars: Sequence[tuple[str, dict[str, Any]]], *, title: str, name: str, words: Words
) -> str:  # fmt: skip
    """One `<svg>`; "" where there is nothing to draw. name: unique in the page, it begins every id."""
    table = drawn(chart, bars)
    if not table.rows or not any(value for _, values in table.rows for value in values):
        return ""
    key = re.sub(r"[^a-z0-9-]", "-", name)
    if chart.shape == "columns":
        body, height = _columns(chart, table, key, words)
    else:
        body, height = _bars(chart, table, key, words)
    legend, more = _legend(table.parts, key, height)
    told = _description(chart, table, len(bars), words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + more}" width="100%" role="img" '
        f'aria-labelledby="{key}-title {key}-desc" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f'<title id="{key}-title">{_text(title)}</title><desc id="{key}-desc">{_text(told)}</desc>'
        f"<defs>{''.join(_pattern(i, key) for i in range(len(table.parts)))}</defs>{body}{legend}</svg>"
    )


def _description(chart: Chart, table: Drawn, count: int, words: Words) -> str:
    """What a reader who does not see the chart should know of it; the table beside it has every number."""
    size = [
        (sum(v or 0 for v in values) if chart.is_stacked else max(v or 0 for v in values)) for _, values in table.rows
    ]
    most = max(range(len(size)), key=lambda i: size[i])
    told = [f"{chart.title}: {len(table.rows)} {'columns' if chart.shape == 'columns' else 'bars'}."]
    if count > len(table.rows):
        told.append(f"The first {len(table.rows)} of {count}; the table has all.")
    told.append(f"The largest is {table.rows[most][0]} with {words(size[most], chart.kind)}.")
    if chart.shape == "columns":
        told.append(f"The last is {table.rows[-1][0]} with {words(size[-1], chart.kind)}.")
    if len(table.parts) > 1 and chart.is_stacked:
        sums = [sum(values[i] or 0 for _, values in table.rows) for i in range(len(table.parts))]
        told.append(
            "Parts: " + ", ".join(f"{p} {words(n, chart.kind)}" for p, n in zip(table.parts, sums, strict=True)) + "."
        )
    return " ".join(told)


def _columns(chart: Chart, table: Drawn, key: str, words: Words) -> tuple[str, int]:
    """Columns beside each other, parts upon each other: one path a part, so that many weeks stay a small page."""
    top, ticks = _scale(max(sum(v or 0 for v in values) for _, values in table.rows), chart.kind)
    step = (WIDTH - LEFT - RIGHT) / len(table.rows)
    wide, base = max(step * 0.72, 1.0), TOP + PLOT
    paths = [""] * len(table.parts)
    for at, (_, values) in enumerate(table.rows):
        x, y = LEFT + at * step + (step - wide) / 2, float(base)
        for part, value in enumerate(values):
            if value:
                high = value / top * PLOT
                y -= high
                paths[part] += f"M{x:.1f} {y:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z"
    body = [
        f'<path d="M{LEFT} {base - tick / top * PLOT:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.2"/>'
        f'<text x="{LEFT - 6}" y="{base - tick / top * PLOT + 4:.1f}" text-anchor="end">{_text(words(tick, chart.kind))}</text>'
        for tick in ticks
    ]
    body += [
        f'<path d="{path}" fill="url(#{key}-p{part})" stroke="currentColor" stroke-width="0.5">'
        f"<title>{_text(table.parts[part])}</title></path>"
        for part, path in enumerate(paths)
        if path
    ]
    every = math.ceil(
        len(table.rows) / max(1, (WIDTH - LEFT - RIGHT) // (8 * max(len(label) for label, _ in table.rows)))
    )
    body += [
        f'<text x="{LEFT + (at + 0.5) * step:.1f}" y="{base + 18}" text-anchor="middle">{_text(label)}</text>'
        for at, (label, _) in enumerate(table.rows)
        if (len(table.rows) - 1 - at) % every == 0
    ]
    return "".join(body), base + 30


def _bars(chart: Chart, table: Drawn, key: str, words: Words) -> tuple[str, int]:
    """Bars below each other, each with its label before it and its number after it."""
    left, room, thick = 170, WIDTH - 170 - 110, 16
    sizes = [
        sum(v or 0 for v in values) if chart.is_stacked else max(v or 0 for v in values) for _, values in table.rows
    ]
    top = 1.0 if chart.kind == "share" else max(sizes)
    body, y = [], TOP
    for (label, values), size in zip(table.rows, sizes, strict=True):
        body.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{_text(_cut(label))}</text>')
        x = float(left)
        for part, value in enumerate(values):
            wide = (value or 0) / top * room
            if wide:
                told = f"{label}: {table.parts[part]} {words(value, chart.kind)}"
                body.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{max(wide, 1):.1f}" height="{thick}" fill="url(#{key}-p{part})" '
                    f'stroke="currentColor" stroke-width="0.5"><title>{_text(told)}</title></rect>'
                )
            if chart.is_stacked:
                x += wide
            else:
                body.append(f'<text x="{left + wide + 6:.1f}" y="{y + 13}">{_text(words(value, chart.kind))}</text>')
                y += thick + 2
        if chart.is_stacked:
            body.append(f'<text x="{x + 6:.1f}" y="{y + 13}">{_text(words(size, chart.kind))}</text>')
            y += thick
        y += 8
    return "".join(body), y + 4


def _legend(parts: list[str], key: str, y: int) -> tuple[str, int]:
    if len(parts) < 2:
        return "", 0
    found, x, row = [], LEFT, 0
    for part, name in enumerate(parts):
        wide = 34 + 7 * len(name)
        if x + wide > WIDTH and x > LEFT:
            x, row = LEFT, row + 1
        found.append(
            f'<rect x="{x}" y="{y + row * 20 + 2}" width="14" height="14" fill="url(#{key}-p{part})" stroke="currentColor" '
            f'stroke-width="0.5"/><text x="{x + 20}" y="{y + row * 20 + 13}">{_text(name)}</text>'
        )
        x += wide
    return "".join(found), (row + 1) * 20 + 6


def _pattern(part: int, key: str) -> str:
    part %= MOST_PARTS
    fill = quoteattr(f"var(--chart-{part + 1}, {COLOURS[part]})")
    lines = f'<path d="{_HATCH[part]}" stroke="#fff" stroke-opacity="0.75" stroke-width="1.5"/>' if _HATCH[part] else ""
    return (
        f'<pattern id="{key}-p{part}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill={fill}/>{lines}</pattern>'
    )


def _scale(most: float, kind: Kind) -> tuple[float, list[float]]:
    """The top of the axis and its ticks, at round values that people read."""
    if kind == "share":
        return 1.0, [0, 0.25, 0.5, 0.75, 1.0]
    if kind == "seconds" and most <= 5 * _STEPS_S[-1]:
        step: float = next(s for s in _STEPS_S if most / s <= 5)
    else:
        raw = most / 5
        size = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw * 0.999)
        step = max(step, 1.0) if kind in {"whole", "days"} else step
    count = max(1, math.ceil(most / step - 1e-9))
    ticks = [at * step for at in range(count + 1)]
    return ticks[-1], [int(x) if x == int(x) else x for x in ticks]


def _cut(text: str) -> str:
    return text if len(text) <= 22 else text[:21] + "…"


def _text(text: str) -> str:
    return escape(_ODD.sub(" ", text))
