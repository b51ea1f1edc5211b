"""The app: its routes, and what holds around them."""

from fastapi import FastAPI
from fastapi.routing import APIRoute

from hub.access import Door
from hub.engine import Engine
from hub.rest import connections, customers, hooks, operations, plans, problems, reports, who
from hub.rest.asking import new_turns
from hub.rest.described import described, routes_at
from hub.rest.guard import PATIENCE_S, Guard
from hub.rest.models import Problem

PREFIX = "/api/v1"
DESCRIPTION = """Customers and their timelines, who is who, plans for the tools, and how the hub is doing.

Send `Authorization: Bearer <token>`; `ihub token create` makes one. Errors are problem documents (RFC 9457). Answers to GET
carry an ETag: with If-None-Match an answer that is still the same is 304, without a body; with If-Match a change is made only
to what is still the same. A POST with an Idempotency-Key is done once, however often it is sent."""


def create_app(engine: Engine, door: Door, *, patience_s: float = PATIENCE_S) -> FastAPI:
    """An ASGI app that answers under /api/v1; its description is at /api/v1/openapi.json. patience_s: for a request to arrive."""
    app = FastAPI(
        title="interaction-hub", version="1", description=DESCRIPTION, openapi_url=f"{PREFIX}/openapi.json", docs_url=None,
        redoc_url=None, redirect_slashes=False, swagger_ui_oauth2_redirect_url=None, generate_unique_id_function=_named,
        telemetry={"tracing": False, "logs": False},  # FastAPI's own would tell what somebody searched for
    )  # fmt: skip
    app.state.engine, app.state.door, app.state.turns = engine, door, new_turns()
    problems.install(app)
    app.add_middleware(Guard, door=door, routes=lambda path: routes_at(app, path), patience_s=patience_s)
    refusal = {401: {"model": Problem}}  # so that its schema is there; `described` says who answers what
    for module in (customers, who, plans, reports, connections, operations, hooks):
        app.include_router(module.router, prefix=PREFIX, responses=refusal)  # type: ignore[arg-type]
    app.include_router(operations.probes)
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    return app


def _named(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name
