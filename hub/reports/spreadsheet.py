"""A report as a CSV file (RFC 4180) that spreadsheets open without carrying anything out.

A text that a spreadsheet would take for a formula gets an apostrophe before it: at its beginning, and after a semicolon,
which is where some countries' spreadsheets begin a new cell. Our own numbers, negative ones too, stay numbers.
"""

import csv
import io
import math
import re
from typing import Any

from hub.reports.catalogue import Answer, plain

BOM = "\ufeff"  # without it Excel reads UTF-8 as something else
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FORMULA = re.compile(r"(^|;)([\s\ufeff\u200b-\u200f]*)(?=[=+\-@＝＋－＠])")


def csv_file(answer: Answer, *, bom: bool = False) -> bytes:
    """UTF-8; the first line names the columns. Instants and dates as ISO 8601, spans in seconds, shares from 0 to 1."""
    out = io.StringIO(newline="")
    write = csv.writer(out, lineterminator="\r\n").writerow
    names = [column.name for column in answer.report.columns]
    write(names)
    for row in answer.found.rows:
        write([cell(row[name]) for name in names])
    return ((BOM if bom else "") + out.getvalue()).encode("utf-8", "replace")


def cell(value: Any) -> Any:
    """One value as it stands in the file: text on one line and harmless; "" for what is not known."""
    value = plain(value)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    return _FORMULA.sub(r"\1\2'", _CONTROL.sub(" ", value))
