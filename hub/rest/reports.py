"""Reports over HTTP: as JSON rows, and as CSV files."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from hub import reports as rooms
from hub.rest.app import AtDesk
from hub.service import reports

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("")
def listing(at: AtDesk) -> dict[str, Any]:
    """Every report, with its parameters as JSON Schema."""
    return {"reports": reports.listing(at)}


def _as_rows(name: str) -> Callable[..., Any]:
    def asked(at: AtDesk, request: Request) -> dict[str, Any]:
        return reports.report(at, name, dict(request.query_params))

    return asked


def _as_file(name: str) -> Callable[..., Any]:
    def asked(at: AtDesk, request: Request) -> Response:
        found = reports.spreadsheet(at, name, dict(request.query_params))
        told = {"content-disposition": f'attachment; filename="{name}.csv"'}
        return Response(found, headers=told, media_type="text/csv; charset=utf-8; header=present")

    return asked


for _report in rooms.REPORTS.values():
    _parameters = [{"name": p.name, "in": "query", "required": False, "schema": p.schema()} for p in _report.parameters]
    _about = {"summary": _report.title, "description": _report.sentence, "openapi_extra": {"parameters": _parameters}}
    router.add_api_route(f"/{_report.name}", _as_rows(_report.name), name=_report.name, **_about)  # type: ignore[arg-type]
    router.add_api_route(
        f"/{_report.name}.csv", _as_file(_report.name), name=f"{_report.name}_csv", response_class=Response, **_about,  # type: ignore[arg-type]
    )  # fmt: skip
