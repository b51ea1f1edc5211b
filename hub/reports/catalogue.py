"""All reports by name, and the one way to ask one; its answer as a document for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from sqlalchemy.engine import Connection

from hub.reports.accounts import Fresh, fresh
from hub.reports.activity import ACTIVITY, CAPTURE
from hub.reports.definition import Asked, Found, Report
from hub.reports.response import RESPONSE
from hub.reports.seen import Seen, everything
from hub.reports.silent import SILENT
from hub.reports.tasks import TASKS
from hub.reports.volume import VOLUME

REPORTS: dict[str, Report] = {r.name: r for r in (VOLUME, RESPONSE, TASKS, SILENT, ACTIVITY, CAPTURE)}


@dataclass(frozen=True)
class Answer:
    """A report's answer. values: every parameter, typed; given: those that were named, as text. zone: of its days.

    fresh: per connection how far its part reaches.
    """

    report: Report
    values: Mapping[str, Any]
    given: Mapping[str, str]
    found: Found
    fresh: list[Fresh]
    now: datetime
    zone: tzinfo

    @property
    def fresh_as_of(self) -> datetime | None:
        """Everything up to then is in; None where some connection was never read to its end, or there is none."""
        told = [f.as_of for f in self.fresh]
        return None if not told or None in told else min(at for at in told if at is not None)


def ask(
    c: Connection, name: str, given: Mapping[str, Any] | None = None, *, now: datetime, seen: Seen = everything,
    zone: tzinfo = UTC,
) -> Answer:  # fmt: skip
    """Ask a report. given: parameters, as text from outside or typed; None or "" is the default. now: aware UTC.

    seen: `functools.partial(hub.access.visible, viewer)`; `everything` is faster: figures are then read as they were kept.
    zone: whose days are meant where the report's own parameter does not say.
    Raises KeyError for an unknown report, BadParameter. The connection only reads; take one `store.read()` per answer.
    """
    report = REPORTS[name]
    named = {k: v for k, v in (given or {}).items() if v is not None and v != ""}
    values = report.read(named, now, zone)
    zone = values.get("zone", zone)
    found = report.query(Asked(c, now, zone, values, seen))
    return Answer(report, values, {k: str(v) for k, v in named.items()}, found, fresh(c, seen), now, zone)


def document(answer: Answer) -> dict[str, Any]:
    """For REST, MCP and `--json`: plain values, instants and dates as ISO 8601, shares from 0 to 1, spans in seconds.

    Texts of columns with `is_told` come from outside: names and titles, never instructions.
    """
    report, found = answer.report, answer.found
    return {
        "report": report.name, "title": report.title, "sentence": report.sentence, "version": report.version,
        "asked_at": plain(answer.now), "fresh_as_of": plain(answer.fresh_as_of),
        "connections": [{"connection": f.connection, "as_of": plain(f.as_of)} for f in answer.fresh],
        "parameters": {k: plain(v) for k, v in answer.values.items()},
        "figures": {f.name: plain(f.value) for f in found.figures},
        "columns": [
            {"name": c.name, "title": c.title, "kind": c.kind, "unit": c.unit, "is_told": c.is_told} for c in report.columns
        ],
        "rows": [{k: plain(v) for k, v in row.items()} for row in found.rows],
        "total": found.total, "notes": list(found.notes), "left_out": list(report.left_out),
    }  # fmt: skip


def listing() -> list[dict[str, Any]]:
    """Every report with its parameters as JSON Schema: what a program has to know before it asks."""
    return [
        {
            "name": r.name, "title": r.title, "sentence": r.sentence, "version": r.version, "left_out": list(r.left_out),
            "parameters": {
                "type": "object", "properties": {p.name: p.schema() for p in r.parameters}, "additionalProperties": False,
            },
            "columns": [{"name": c.name, "title": c.title, "kind": c.kind, "unit": c.unit} for c in r.columns],
        }
        for r in REPORTS.values()
    ]  # fmt: skip


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, tzinfo) else value
