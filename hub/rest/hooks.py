"""Webhooks out, managed over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from hub.rest.app import AtDesk
from hub.rest.models import HookEdited, HookGiven, HookPaused, HookReplayed
from hub.service import hooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
Id = Annotated[str, Path(max_length=32, description="an endpoint's id")]
Cursor = Annotated[int | None, Query(ge=1, le=2**53)]


@router.get("")
def endpoints(at: AtDesk) -> dict[str, Any]:
    """The endpoints, and how they do."""
    return {"endpoints": hooks.endpoints(at)}


@router.post("", status_code=201)
def add(at: AtDesk, given: HookGiven) -> dict[str, Any]:
    """Tell an address of these events. The answer has its secret, this once."""
    return hooks.add(at, given.url, given.events, given.description, given.is_own)


@router.get("/events")
def event_types(at: AtDesk) -> dict[str, Any]:
    """What there is to be told of."""
    return {"events": hooks.event_types(at)}


@router.get("/{endpoint}")
def endpoint(at: AtDesk, endpoint: Id) -> dict[str, Any]:
    """One endpoint, and its line."""
    return hooks.endpoint(at, endpoint)


@router.patch("/{endpoint}")
def edit(at: AtDesk, endpoint: Id, given: HookEdited) -> dict[str, Any]:
    """What is left out stays."""
    return hooks.edit(at, endpoint, given.url, given.events, given.description)


@router.delete("/{endpoint}", status_code=204)
def remove(at: AtDesk, endpoint: Id) -> Response:
    """The endpoint goes, with its line and its log."""
    hooks.remove(at, endpoint)
    return Response(status_code=204)


@router.post("/{endpoint}/pause")
def pause(at: AtDesk, endpoint: Id, given: HookPaused) -> dict[str, Any]:
    """Send nothing until it is resumed; events wait in line."""
    return hooks.pause(at, endpoint, given.why)


@router.post("/{endpoint}/resume")
def resume(at: AtDesk, endpoint: Id) -> dict[str, Any]:
    """Go on, also after the hub has disabled it."""
    return hooks.resume(at, endpoint)


@router.post("/{endpoint}/rotate")
def rotate(at: AtDesk, endpoint: Id) -> dict[str, Any]:
    """A new secret; the one before signs beside it for another day."""
    return hooks.rotate(at, endpoint)


@router.get("/{endpoint}/deliveries")
def deliveries(
    at: AtDesk,
    endpoint: Id,
    state: Literal["waiting", "due", "done", "failed"] | None = None,
    before: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    customer: Annotated[str, Query(max_length=64)] = "",
) -> dict[str, Any]:
    """What was sent and what came back, newest first."""
    return {"deliveries": hooks.deliveries(at, endpoint, [state] if state else [], before, limit, customer)}


@router.post("/{endpoint}/deliveries/{event}/resend", status_code=202)
def resend(at: AtDesk, endpoint: Id, event: Annotated[str, Path(max_length=64)]) -> Response:
    """One event again, at its old place in line."""
    hooks.resend(at, endpoint, event)
    return Response(status_code=202)


@router.post("/{endpoint}/replay")
def replay(at: AtDesk, endpoint: Id, given: HookReplayed) -> dict[str, Any]:
    """Every event behind a cursor again."""
    return hooks.replay(at, endpoint, given.after, given.until)


@router.post("/{endpoint}/test")
async def trial(at: AtDesk, endpoint: Id) -> dict[str, Any]:
    """One call now, with an event that tells of nothing."""
    return await hooks.test(at, endpoint)
