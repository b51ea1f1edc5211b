"""Reports: the catalogue, and each report with its form, its chart, the chart's numbers, its rows and the file of them all."""

from starlette.responses import Response

from hub.access import Invalid
from hub.service import reports
from hub.web.page import Ask, show

_ROWS = 100  # of one page; the file has all
_PLACES = {"customer": "/customers/", "entry": "/entries/"}


def catalogue(ask: Ask) -> Response:
    return ask.page("reports.html", title="Reports", reports=reports.listing(ask.desk))


def report(ask: Ask) -> Response:
    name, given = str(ask.path["name"]), _given(ask)
    problem: Invalid | None = None
    try:
        found = reports.page(ask.desk, name, given, _ROWS)
    except Invalid as exc:  # the form once more, as it was filled in, over what the report says without it
        problem, found = exc, reports.page(ask.desk, name, {}, _ROWS)
        for field in found["fields"]:
            field["value"] = given.get(field["name"], field["value"])
    known = {cell["id"]: cell["text"] for row in found["rows"] for cell in row if cell["of"] == "customer"}
    beside = reports.page(ask.desk, found["beside"], {}, _ROWS) if found["beside"] and not problem else None
    return ask.page(
        "report.html", title=found["title"], status=422 if problem else 200, report=found, beside=beside, problem=problem,
        places=_PLACES, known=known if any(f["kind"] == "customer" for f in found["fields"]) else {},
    )  # fmt: skip


def file(ask: Ask) -> Response:
    name = str(ask.path["name"])
    body = reports.spreadsheet(ask.desk, name, _given(ask), bom=True)
    return ask.file(body, f"{name}.csv", "text/csv; charset=utf-8")


def _given(ask: Ask) -> dict[str, str]:
    return {name: ask.query(name) for name in ask.request.query_params if ask.query(name)}


routes = [
    show("/reports", catalogue),
    show("/reports/{name}.csv", file),
    show("/reports/{name}", report),
]
