"""Webhooks out, managed over HTTP."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from hub.rest.asking import AtDesk, unchanged
from hub.rest.guard import tag_of
from hub.rest.models_hooks import (
    Deliveries,
    Endpoint,
    EndpointMade,
    EndpointPage,
    EndpointShown,
    EventTypes,
    HookEdited,
    HookGiven,
    HookPaused,
    HookReplayed,
    Replayed,
    Rotated,
    Trial,
)  # fmt: skip
from hub.service import hooks

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
Id = Annotated[str, Path(max_length=32, description="an endpoint's id")]
AS_SEEN = [Depends(unchanged)]
_SET = ("url", "description", "events", "owner", "state", "reason")  # by people; the rest changes with each delivery
Cursor = Annotated[int | None, Query(ge=1, le=2**53)]


@router.get("", response_model=EndpointPage)
def endpoints(at: AtDesk) -> Any:
    """The endpoints, and how they do."""
    return {"endpoints": hooks.endpoints(at)}


@router.post("", response_model=EndpointMade, status_code=201)
def add(at: AtDesk, given: HookGiven) -> Any:
    """Tell an address of these events. The answer has its secret, this once."""
    return hooks.add(at, given.url, given.events, given.description, given.is_own)


@router.get("/events", response_model=EventTypes)
def event_types(at: AtDesk) -> Any:
    """What there is to be told of."""
    return {"events": hooks.event_types(at)}


@router.get("/{endpoint}", response_model=EndpointShown)
def endpoint(at: AtDesk, endpoint: Id, response: Response) -> Any:
    """One endpoint, and its line."""
    found = hooks.endpoint(at, endpoint)
    response.headers["etag"] = tag_of(msgspec.json.encode([found[name] for name in _SET])).strip('"')
    return found


@router.patch("/{endpoint}", response_model=Endpoint, dependencies=AS_SEEN)
def edit(at: AtDesk, endpoint: Id, given: HookEdited) -> Any:
    """What is left out stays."""
    return hooks.edit(at, endpoint, given.url, given.events, given.description)


@router.delete("/{endpoint}", status_code=204, dependencies=AS_SEEN)
def remove(at: AtDesk, endpoint: Id) -> Response:
    """The endpoint goes, with its line and its log."""
    hooks.remove(at, endpoint)
    return Response(status_code=204)


@router.post("/{endpoint}/pause", response_model=Endpoint, dependencies=AS_SEEN)
def pause(at: AtDesk, endpoint: Id, given: HookPaused) -> Any:
    """Send nothing until it is resumed; events wait in line."""
    return hooks.pause(at, endpoint, given.why)


@router.post("/{endpoint}/resume", response_model=Endpoint, dependencies=AS_SEEN)
def resume(at: AtDesk, endpoint: Id) -> Any:
    """Go on, also after the hub has disabled it."""
    return hooks.resume(at, endpoint)


@router.post("/{endpoint}/rotate", response_model=Rotated, dependencies=AS_SEEN)
def rotate(at: AtDesk, endpoint: Id) -> Any:
    """A new secret; the one before signs beside it for another day."""
    return hooks.rotate(at, endpoint)


@router.get("/{endpoint}/deliveries", response_model=Deliveries)
def deliveries(
    at: AtDesk,
    endpoint: Id,
    state: Literal["waiting", "due", "done", "failed"] | None = None,
    before: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    customer: Annotated[str, Query(max_length=64)] = "",
) -> Any:
    """What was sent and what came back, newest first."""
    return {"deliveries": hooks.deliveries(at, endpoint, [state] if state else [], before, limit, customer)}


@router.post("/{endpoint}/deliveries/{event}/resend", status_code=202)
def resend(at: AtDesk, endpoint: Id, event: Annotated[str, Path(max_length=64)]) -> Response:
    """One event again, at its old place in line."""
    hooks.resend(at, endpoint, event)
    return Response(status_code=202)


@router.post("/{endpoint}/replay", response_model=Replayed)
def replay(at: AtDesk, endpoint: Id, given: HookReplayed) -> Any:
    """Every event behind a cursor again."""
    return hooks.replay(at, endpoint, given.after, given.until)


@router.post("/{endpoint}/test", response_model=Trial)
async def trial(at: AtDesk, endpoint: Id) -> Any:
    """One call now, with an event that tells of nothing."""
    return await hooks.test(at, endpoint)
