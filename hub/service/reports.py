"""Reports: one definition each (`hub.reports.catalogue`), asked the same way by every door."""

from collections.abc import Mapping
from typing import Any

from hub import reports
from hub.access.errors import Invalid
from hub.access.roles import REPORTS_READ
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]


def listing(desk: Desk) -> list[Row]:
    """Every report, with its parameters as JSON Schema."""
    desk.viewer.must(REPORTS_READ)
    return reports.listing()


def report(desk: Desk, name: str, given: Mapping[str, Any] | None = None) -> Row:
    """A report's answer as a document for programs. given: parameters as text. Raises NotFound, Invalid."""
    return reports.document(_asked(desk, name, given))


def page(desk: Desk, name: str, given: Mapping[str, Any] | None = None, rows: int = 100) -> Row:
    """The same as people read it, with its chart (`hub.reports.page`): no more than so many rows. Raises NotFound, Invalid."""
    return reports.page(_asked(desk, name, given), rows)


def spreadsheet(desk: Desk, name: str, given: Mapping[str, Any] | None = None, *, bom: bool = False) -> bytes:
    """The same as a CSV file, harmless to open. bom: as Excel wants it. Raises NotFound, Invalid."""
    return reports.csv_file(_asked(desk, name, given), bom=bom)


def _asked(desk: Desk, name: str, given: Mapping[str, Any] | None) -> reports.Answer:
    with desk.reading(REPORTS_READ) as (c, seen):
        try:
            return reports.ask(c, name, given, now=desk.now, seen=seen, zone=desk.engine.settings.hub.zone)
        except KeyError:
            raise NotFound(f"there is no report {name!r}; there are: {', '.join(reports.REPORTS)}") from None
        except reports.BadParameter as exc:
            raise Invalid("does not fit", field=exc.name, fix=exc.message) from exc
