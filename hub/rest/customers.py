"""Customers over HTTP."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime

from hub.rest.app import AtDesk
from hub.rest.models import Body, Brief, Conversation, Explained, PartyPage, Timeline
from hub.service import customers

router = APIRouter(tags=["customers"])
PublicId = Annotated[str, Path(max_length=64, description="a public id, as search and timelines give it")]


@router.get("/parties", response_model=PartyPage)
def search(
    at: AtDesk,
    q: Annotated[
        str, Query(min_length=1, max_length=200, description="a name, an address, a number, or a part of one")
    ],
    limit: Annotated[int, Query(ge=1, le=customers.MOST)] = 10,
) -> Any:
    """Find people and organizations; exact matches alone where there are any."""
    return {"parties": customers.search(at, q, limit)}


@router.get("/parties/{public_id}", response_model=Brief)
def brief(at: AtDesk, public_id: PublicId) -> Any:
    """The four answers: last topic, who is responsible, next step, the relationship; with sources and coverage."""
    return customers.brief(at, public_id)


@router.get("/parties/{public_id}/timeline", response_model=Timeline)
def timeline(
    at: AtDesk,
    public_id: PublicId,
    limit: Annotated[int, Query(ge=1, le=customers.MOST)] = 50,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
    channel: Annotated[str | None, Query(max_length=32)] = None,
    direction: Literal["inbound", "outbound", "internal"] | None = None,
    kind: Annotated[str | None, Query(max_length=32)] = None,
    since: Annotated[AwareDatetime | None, Query(description="an instant with its offset")] = None,
) -> Any:
    """Everything that happened with a customer, newest first, a page at a time."""
    return customers.timeline(
        at, public_id, limit=limit, before=before, channel=channel, direction=direction, kind=kind, since=since
    )


@router.get("/interactions/{public_id}", response_model=Explained)
def entry(at: AtDesk, public_id: PublicId) -> Any:
    """Why an entry is here: sources, people, decisions, pushes."""
    return customers.entry(at, public_id)


@router.get("/interactions/{public_id}/body", response_model=Body)
def body(at: AtDesk, public_id: PublicId) -> Any:
    """The text as plain text."""
    return customers.body(at, public_id)


@router.get("/interactions/{public_id}/conversation", response_model=Conversation)
def conversation(at: AtDesk, public_id: PublicId) -> Any:
    """The entries of its conversation, oldest first."""
    return {"entries": customers.conversation(at, public_id)}
