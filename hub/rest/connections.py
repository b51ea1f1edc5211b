"""Connections and their runs over HTTP. Secrets are in no answer."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from hub.rest.asking import AtDesk
from hub.rest.models_operations import ConnectionShown, Replayed, Runs, RunShown, Standings, Synced
from hub.service import health, operations, setup

router = APIRouter(tags=["connections"])
Name = Annotated[str, Path(max_length=64, description="a connection's name, as the list has them")]
Number = Annotated[int, Path(ge=1, lt=2**53)]


@router.get("/connections", response_model=Standings)
def standings(at: AtDesk) -> Any:
    """Every connection of the settings, what asks for a person first."""
    return setup.overview(at)


@router.get("/connections/{name}", response_model=ConnectionShown)
def connection(at: AtDesk, name: Name) -> Any:
    """One of them: how far it is, its settings, and what it may do at its tool."""
    return setup.connection(at, name)


@router.get("/connections/{name}/runs", response_model=Runs)
def runs(
    at: AtDesk,
    name: Name,
    limit: Annotated[int, Query(ge=1, le=operations.MOST)] = 25,
    before: Annotated[int | None, Query(ge=1, lt=2**53, description="`next` of the page before")] = None,
    show: Annotated[
        Literal["", "news", "trouble"], Query(description="without runs that met nothing, or only what ended badly")
    ] = "",
) -> Any:
    """Its runs, newest first, with their books."""
    return operations.runs(at, name, limit=limit, before=before, show=show)


@router.get("/runs/{number}", response_model=RunShown)
def run(at: AtDesk, number: Number) -> Any:
    """One run, and what was noted while it was under way."""
    return operations.run(at, number)


@router.post("/connections/{name}/sync", response_model=Synced)
async def sync(at: AtDesk, name: Name) -> Any:
    """Pull everything new now."""
    return await health.sync(at, name)


@router.post("/connections/{name}/replay", response_model=Replayed)
async def replay(at: AtDesk, name: Name, everything: bool = False) -> Any:
    """Map stored records again, those in quarantine or all."""
    return {"streams": await health.replay(at, name, only_failed=not everything)}
