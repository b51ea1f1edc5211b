"""Reports over HTTP: as JSON rows, and as CSV files."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from hub import reports as rooms
from hub.access import Invalid
from hub.rest.asking import AtDesk
from hub.rest.models_operations import Report, ReportPage
from hub.service import reports

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("", response_model=ReportPage)
def listing(at: AtDesk) -> Any:
    """Every report, with its parameters as JSON Schema."""
    return {"reports": reports.listing(at)}


class _Csv(Response):
    media_type = "text/csv"


def _as_rows(name: str) -> Callable[..., Any]:
    def asked(at: AtDesk, request: Request) -> Any:
        return reports.report(at, name, _given(request))

    return asked


def _as_file(name: str) -> Callable[..., Any]:
    def asked(at: AtDesk, request: Request) -> Response:
        found = reports.spreadsheet(at, name, _given(request))
        told = {"content-disposition": f'attachment; filename="{name}.csv"'}
        return Response(found, headers=told, media_type="text/csv; charset=utf-8; header=present")

    return asked


def _given(request: Request) -> dict[str, str]:
    """Raises Invalid for one that is named twice or empty: what was meant can only be guessed."""
    given = request.query_params
    for name, value in given.multi_items():
        if not value or len(given.getlist(name)) > 1:
            raise Invalid(
                "is empty" if not value else "is given twice", field=name[:64], fix="leave it out, or give it one value"
            )
    return dict(given)


for _report in rooms.REPORTS.values():
    _parameters = [{"name": p.name, "in": "query", "required": False, "schema": p.schema()} for p in _report.parameters]
    _about: dict[str, Any] = {
        "summary": _report.title, "description": _report.sentence, "openapi_extra": {"parameters": _parameters},
    }  # fmt: skip
    router.add_api_route(
        f"/{_report.name}", _as_rows(_report.name), name=_report.name.replace("-", "_"), response_model=Report, **_about
    )
    router.add_api_route(
        f"/{_report.name}.csv", _as_file(_report.name), name=f"{_report.name.replace('-', '_')}_csv", response_class=_Csv,
        **_about,
    )  # fmt: skip
