"""A span for each request, where OpenTelemetry is set up: method, route and status, and nothing of what was asked.

FastAPI's own spans have the address and the query: they would tell who was searched for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from starlette.datastructures import Headers
from starlette.types import Scope

_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS")


class Asked:
    """status: of the answer; 500 until there is one."""

    status = 500


@contextmanager
def span(scope: Scope, routes: Callable[[str], list[str]]) -> Iterator[Asked]:
    """Around one request. routes: the templates that its address fits. Costs next to nothing where nobody listens."""
    asked, tracer = Asked(), trace.get_tracer("hub.rest")
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    parent = propagate.extract(Headers(scope=scope))
    with tracer.start_as_current_span(
        method, parent, trace.SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield asked
        finally:
            if current.is_recording():
                route = next(iter(routes(scope["path"])), "")
                current.update_name(f"{method} {route}".strip())
                told = {"http.request.method": method, "http.route": route, "http.response.status_code": asked.status}
                current.set_attributes({name: value for name, value in told.items() if value})
                if asked.status >= 500:
                    current.set_status(trace.StatusCode.ERROR)
