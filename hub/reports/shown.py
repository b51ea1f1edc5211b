"""Values of a report in words and figures, for people; and the page of a report, ready for a template or a terminal."""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.reports.catalogue import Answer
from hub.reports.chart import draw, drawn
from hub.reports.definition import Column, Kind

NUMERIC = frozenset({"whole", "number", "money", "share", "seconds", "days"})
NONE = "–"


def words(value: Any, kind: Kind, zone: tzinfo) -> str:
    """How people read it; "–" for what is not known. Instants stand in `zone`, whose name is with them."""
    if value is None or value == "":
        return NONE
    if kind == "share":
        return percent(value)
    if kind == "seconds":
        return span(value)
    if kind == "flag":
        return "yes" if value else "no"
    if kind == "money":
        return money(value)
    if kind == "days":
        return f"{value:,} d"
    if kind in NUMERIC:
        return f"{value:,}"
    if isinstance(value, datetime):
        local = value.astimezone(zone)
        return f"{local:%Y-%m-%d %H:%M} {local.tzname()}"
    return value.isoformat() if isinstance(value, date) else str(value)


def percent(share: float) -> str:
    """Never "100 %" for what is not all, nor "0 %" for what is not nothing."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1:
        return "over 99.9 %"
    return f"{share * 100:.1f}".removesuffix(".0") + " %"


def span(seconds: float) -> str:
    """In its two largest units: "45 s", "12 min", "3 h 20 min", "2 d 4 h"."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"


def money(text: str) -> str:
    """1,200.50; what is no number as it came."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return text
    return f"{amount:,f}" if amount.is_finite() and -30 < amount.adjusted() < 30 else text


def page(answer: Answer, rows: int = 100) -> dict[str, Any]:
    """Everything a page of the report shows, all of it text but for numbers of rows; nothing in it is escaped but `svg`.

    Keys: name, title, sentence, asked_at, zone, fresh_as_of, connections [{name, as_of}], fields (of the form), query
    (the parameters as given, for links), figures [{name, title, text}], svg ("" without a chart), chart {title, head, rows}
    (the chart's own table), head [{name, title, is_numeric}], rows [[{text, is_told, of, id, url}]], shown, total, notes,
    left_out, empty ("" where there is something to show), beside. rows: no more than so many; the CSV file has all.
    """
    report, found, zone = answer.report, answer.found, answer.zone
    columns = [column for column in report.columns if column.kind != "id"]
    table = drawn(report.chart, found.bars)
    return {
        "name": report.name, "title": report.title, "sentence": report.sentence,
        "asked_at": words(answer.now, "instant", zone), "zone": str(zone),
        "fresh_as_of": words(answer.fresh_as_of, "instant", zone),
        "connections": [{"name": f.connection, "as_of": words(f.as_of, "instant", zone)} for f in answer.fresh],
        "fields": [_field(p, answer.values) for p in report.parameters], "query": dict(answer.given),
        "figures": [{"name": f.name, "title": f.title, "text": words(f.value, f.kind, zone)} for f in found.figures],
        "svg": draw(report.chart, found.bars, title=report.title, name=report.name, words=lambda v, k: words(v, k, zone)),
        "chart": {
            "title": report.chart.title, "head": table.parts,
            "rows": [[label, *(words(v, report.chart.kind, zone) for v in values)] for label, values in table.rows],
        },
        "head": [{"name": c.name, "title": c.title, "is_numeric": c.kind in NUMERIC} for c in columns],
        "rows": [[_cell(c, row, answer) for c in columns] for row in found.rows[:rows]],
        "shown": min(rows, len(found.rows)), "total": found.total, "notes": list(found.notes),
        "left_out": list(report.left_out), "empty": "" if found.rows else report.empty, "beside": report.beside,
    }  # fmt: skip


def _field(parameter: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    value = values[parameter.name]
    return {
        "name": parameter.name, "title": parameter.title, "sentence": parameter.sentence, "kind": parameter.kind,
        "value": value.isoformat() if isinstance(value, date) else str(value), "choices": list(parameter.choices),
        "least": parameter.least, "most": parameter.most,
    }  # fmt: skip


def _cell(column: Column, row: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    value = row[column.name]
    cell: dict[str, Any] = {
        "text": words(value, column.kind, answer.zone), "is_told": column.is_told, "of": "", "id": "", "url": "",
    }  # fmt: skip
    if column.about and row[column.about]:
        cell["of"] = next(c.of for c in answer.report.columns if c.name == column.about)
        cell["id"] = row[column.about]
    if column.kind == "url" and isinstance(value, str) and value.lower().startswith(("https://", "http://")):
        cell["text"], cell["url"] = "open", value
    return cell
