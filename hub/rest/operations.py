"""How the hub is doing, over HTTP: health, issues, coverage, quarantine, and figures for a monitor."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import Field

from hub.rest.asking import AtDesk
from hub.rest.exposition import MEDIA_TYPE, exposition
from hub.rest.models import Given
from hub.rest.models_operations import Coverage, Health, Issues, Quarantine, Released
from hub.service import health, metrics, operations

router = APIRouter(tags=["operations"])
probes = APIRouter(tags=["probes"])


class _Exposition(PlainTextResponse):
    media_type = MEDIA_TYPE


@probes.get("/healthz", response_class=PlainTextResponse)
def alive() -> PlainTextResponse:
    """The process answers. Asks for no token."""
    return PlainTextResponse("ok")


@probes.get("/readyz", response_class=PlainTextResponse)
def ready(request: Request) -> PlainTextResponse:
    """The database answers, too. Asks for no token."""
    with request.app.state.engine.store.read() as c:
        c.execute(sa.select(1))
    return PlainTextResponse("ok")


@probes.get("/metrics", response_class=_Exposition, name="metrics")
def figures(at: AtDesk) -> _Exposition:
    """Figures for Prometheus. No names of people, few values a label."""
    return _Exposition(exposition(metrics.families(at)))


@router.get("/health", response_model=Health, name="health")
def status(at: AtDesk) -> Any:
    """Every connection and stream, worst first, with open issues, holds and books."""
    return health.health(at)


@router.get("/issues", response_model=Issues)
def issues(at: AtDesk) -> Any:
    """What went wrong and is not over, what stops something first: with what it means and what to do."""
    return {"issues": operations.open_issues(at)}


@router.get("/coverage", response_model=Coverage)
def coverage(
    at: AtDesk,
    until: Annotated[
        str, Query(max_length=8, pattern=r"^(2[0-9]{3}-W(0[1-9]|[1-4][0-9]|5[0-2]))?$", description="such as 2026-W20")
    ] = "",
) -> Any:
    """Week by week, how much of what each tool counted was held."""
    return operations.coverage(at, until)


@router.get("/quarantine", response_model=Quarantine)
def quarantine(
    at: AtDesk,
    limit: Annotated[int, Query(ge=1, le=operations.MOST)] = 50,
    before: Annotated[
        str, Query(max_length=64, pattern=r"^([0-9]{1,18}-[0-9]{1,18})?$", description="`next` of the page before")
    ] = "",
    connection: Annotated[str, Query(max_length=64)] = "",
) -> Any:
    """Records that could not be taken in, newest first, with the reason and what would take them in."""
    return operations.quarantined(at, connection=connection, before=before, limit=limit)


class Decided(Given):
    remove: bool = Field(description="true: ask the tool about each, and remove what is gone there; false: keep all")


@router.post("/holds/{number}/decide", response_model=Released)
async def decide(at: AtDesk, number: Annotated[int, Path(ge=1, lt=2**53)], given: Decided) -> Any:
    """A person's word on records that vanished at the tool all at once; health lists the holds."""
    return await operations.decide_hold(at, number, remove=given.remove)
