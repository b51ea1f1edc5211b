"""How the hub is doing, over HTTP."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse

from hub.rest.app import AtDesk
from hub.rest.models import Quarantine, Rows
from hub.service import health

router = APIRouter(tags=["operations"])
probes = APIRouter(include_in_schema=False)
Name = Annotated[str, Path(max_length=64, description="a connection's name, as health lists them")]


@probes.get("/healthz")
def alive() -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok")


@probes.get("/readyz")
def ready(request: Request) -> PlainTextResponse:
    """The database answers, too."""
    with request.app.state.engine.store.read() as c:
        c.execute(sa.select(1))
    return PlainTextResponse("ok")


@router.get("/health")
def status(at: AtDesk) -> dict[str, Any]:
    """Every connection and stream, worst first, with open issues, holds and books."""
    return health.health(at)


@router.get("/quarantine", response_model=Quarantine)
def quarantine(at: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Any:
    """Records that could not be taken in, newest first."""
    return {"records": health.quarantine(at, limit)}


@router.post("/connections/{name}/replay", response_model=Rows)
async def replay(at: AtDesk, name: Name, everything: bool = False) -> Any:
    """Map stored records again, those in quarantine or all."""
    return {"streams": await health.replay(at, name, only_failed=not everything)}


@router.post("/connections/{name}/sync")
async def sync(at: AtDesk, name: Name) -> dict[str, Any]:
    """Pull everything new of a connection now."""
    return await health.sync(at, name)
