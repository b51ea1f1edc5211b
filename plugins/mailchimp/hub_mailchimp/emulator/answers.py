"""The forms of Mailchimp's answers: problem documents, pages, chosen fields."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

Row = dict[str, Any]
MOST, USUAL = 1000, 10


class Refused(Exception):
    """A problem document, as every refusal of the API is one."""

    def __init__(self, status: int, title: str, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(title)
        self.status = status
        self.body: Row = {
            "type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status,
            "detail": detail, "instance": "995c5cb0-3280-4a6e-808b-3b096d0bb219",
        }  # fmt: skip
        if errors:
            self.body["errors"] = [dict(e) for e in errors]

    def answer(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, media_type="application/problem+json")


def not_found() -> Refused:
    return Refused(404, "Resource Not Found", "The requested resource could not be found.")


def invalid(field: str, message: str) -> Refused:
    detail = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
    return Refused(400, "Invalid Resource", detail, [{"field": field, "message": message}])


def page(request: Request, key: str, rows: Sequence[Row], **more: Any) -> Row:
    """One page: `count` (10 unless told, at most 1,000) rows from `offset` on."""
    query = request.query_params
    count, offset = _number(query.get("count"), "count", USUAL), _number(query.get("offset"), "offset", 0)
    if count > MOST:
        raise invalid("count", "This value should be 1000 or less.")
    return {
        key: [linked(r) for r in rows[offset : offset + count]],
        **more,
        "total_items": len(rows),
        "_links": _links(),
    }


def linked(row: Row) -> Row:
    """The row with its links, which every object has."""
    return {**row, "_links": _links()}


def _links() -> list[Row]:
    return [{"rel": "self", "href": "https://us19.api.mailchimp.com/3.0/", "method": "GET"}]


def _number(given: str | None, name: str, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal():
        raise invalid(name, "This value should be of type integer.")
    return int(given)


def shaped(answer: Any, query: Mapping[str, str]) -> Any:
    """Only `fields`, or all but `exclude_fields`; both by dotted path, through arrays."""
    if wanted := query.get("fields"):
        return _keep(answer, [p.split(".") for p in wanted.split(",")])
    if unwanted := query.get("exclude_fields"):
        return _drop(answer, [p.split(".") for p in unwanted.split(",")])
    return answer


def _keep(value: Any, paths: Iterable[Sequence[str]]) -> Any:
    if isinstance(value, list):
        return [_keep(v, paths) for v in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inner in value.items():
        below = [p[1:] for p in paths if p[0] == key]
        if any(not p for p in below):
            found[key] = inner
        elif below:
            found[key] = _keep(inner, below)
    return found


def _drop(value: Any, paths: Iterable[Sequence[str]]) -> Any:
    if isinstance(value, list):
        return [_drop(v, paths) for v in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inner in value.items():
        below = [p[1:] for p in paths if p[0] == key]
        if any(not p for p in below):
            continue
        found[key] = _drop(inner, below) if below else inner
    return found
