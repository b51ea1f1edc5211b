"""Customers over HTTP."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BeforeValidator

from hub.rest.asking import AtDesk
from hub.rest.models import Body, Brief, Conversation, Explained, Hits, Item, Items, PartyPage, People, Timeline
from hub.service import customers, items

router = APIRouter(tags=["customers"])
ITEM = r"^itm_[1-9][0-9]{0,14}$"
MARK = r"^-?[0-9]{1,18}-[0-9]{1,18}$"


def _told(value: object) -> object:
    """Numbers are no instants here, whatever pydantic makes of them."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("an instant such as 2026-01-31T09:00:00Z is wanted")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_told)]
PublicId = Annotated[str, Path(max_length=64, description="a public id, as search and timelines give it")]


@router.get("/parties", response_model=PartyPage)
def search(
    at: AtDesk,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description="words of a name, an address, a number; the last may be the beginning of one",
        ),
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
    before: Annotated[str | None, Query(max_length=64, pattern=MARK, description="`next` of the page before")] = None,
    channel: Annotated[str | None, Query(max_length=32)] = None,
    direction: Literal["inbound", "outbound", "internal"] | None = None,
    kind: Annotated[str | None, Query(max_length=32)] = None,
    since: Annotated[Instant | None, Query(description="an instant with its offset")] = None,
    purpose: Annotated[str | None, Query(max_length=32)] = None,
    connection: Annotated[
        str | None, Query(max_length=64, description="entries this tool tells of, among others")
    ] = None,
    person: Annotated[str | None, Query(max_length=64, description="entries this party takes part in, too")] = None,
) -> Any:
    """Everything that happened with a customer, newest first, a page at a time."""
    return customers.timeline(
        at,
        public_id,
        limit=limit,
        before=before,
        channel=channel,
        direction=direction,
        kind=kind,
        since=since,
        purpose=purpose,
        connection=connection,
        person=person,
    )


@router.get("/parties/{public_id}/people", response_model=People)
def people(at: AtDesk, public_id: PublicId) -> Any:
    """People of an organization, who was in touch last first; at most 200."""
    return {"people": customers.members(at, public_id)}


@router.get("/search", response_model=Hits)
def search_text(
    at: AtDesk,
    q: Annotated[str, Query(min_length=1, max_length=200, description='words, all of them; "in this order"; -without')],
    limit: Annotated[int, Query(ge=1, le=customers.MOST)] = 20,
    before: Annotated[str | None, Query(max_length=64, pattern=MARK, description="`next` of the page before")] = None,
    party: Annotated[str | None, Query(max_length=64, description="on this one's timeline alone")] = None,
) -> Any:
    """Entries by their words, newest first."""
    return customers.search_text(at, q, limit=limit, before=before, party=party)


@router.get("/items", response_model=Items, name="items")
def all_items(
    at: AtDesk,
    kind: Literal["deal", "service", "task", "ticket"] | None = None,
    party: Annotated[
        str | None, Query(max_length=64, description="those about this one, an organization's people included")
    ] = None,
    is_closed: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=customers.MOST)] = 50,
    before: Annotated[str | None, Query(max_length=32, pattern=ITEM, description="`next` of the page before")] = None,
) -> Any:
    """Deals, services, tasks and tickets as their tools have them, newest first."""
    return items.items(at, kind=kind or "", party=party, is_closed=is_closed, limit=limit, before=before)


@router.get("/items/{item}", response_model=Item, name="item")
def one_item(at: AtDesk, item: Annotated[str, Path(max_length=32, description="its id, as webhooks name it")]) -> Any:
    """One of them."""
    return items.item(at, item)


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
