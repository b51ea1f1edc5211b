"""Who is who over HTTP."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from hub.rest.asking import AtDesk, IfMatch, matches
from hub.rest.customers import PublicId
from hub.rest.guard import tag_of
from hub.rest.models import Act, Acted
from hub.rest.models_who import ActDone, Acts, Between, Edges, Hub, MadeOf, Question, Questions
from hub.service import who

router = APIRouter(prefix="/identity", tags=["identity"])
Side = Annotated[
    str, Query(min_length=1, max_length=200, description="an address, an id, a record (crm/contacts/7) or a public id")
]
NumberOf = Annotated[int, Path(ge=1, lt=2**53)]
Number = Annotated[int | None, Query(ge=1, le=2**53)]


@router.get("/parties/{public_id}", response_model=MadeOf)
def party(at: AtDesk, public_id: PublicId) -> Any:
    """What a party is made of: records, addresses, employment, decisions, open questions."""
    return who.party(at, public_id)


@router.get("/why-same", response_model=Edges)
def why_same(at: AtDesk, a: Side, b: Side) -> Any:
    """The evidence between two that are one."""
    return who.why_same(at, a, b)


@router.get("/why-not", response_model=Between)
def why_not(at: AtDesk, a: Side, b: Side) -> Any:
    """What stands between two, and what would have to change."""
    return who.why_not(at, a, b)


@router.get("/reviews", response_model=Questions)
def queue(
    at: AtDesk,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    after: Number = None,
    rule: Annotated[str, Query(max_length=32)] = "",
    above: Annotated[float | None, Query(ge=-1000, le=1000, allow_inf_nan=False, description="bits")] = None,
) -> Any:
    """What a person is asked, what touches most first."""
    return who.queue(at, limit, after, rule, above)


@router.get("/reviews/{number}", response_model=Question)
def question(at: AtDesk, number: NumberOf) -> Any:
    """One question, while it waits."""
    return who.question(at, number)


@router.get("/hubs", response_model=list[Hub])
def hubs(at: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Any:
    """Keys that too many share to say anything."""
    return who.hubs(at, limit)


@router.get("/acts", response_model=Acts)
def history(
    at: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 20, before: Number = None, with_the_hubs: bool = False
) -> Any:
    """Who decided what, newest first."""
    return {"acts": who.history(at, limit, before, with_the_hubs)}


@router.get("/acts/{number}", response_model=ActDone)
def one_act(at: AtDesk, number: NumberOf) -> Any:
    """One act, the hub's own too."""
    return who.act(at, number)


@router.post("/acts", response_model=Acted)
def act(at: AtDesk, given: Act, response: Response, if_match: IfMatch = None) -> Any:
    """Merge, split, tell apart, answer or undo; with `is_preview` only what it would change.

    With the ETag of a preview as If-Match it is made only if it still changes the same.
    """
    if given.is_preview or if_match is not None:
        would = who.expected(at, given.act, *given.what, why=given.why)
        tag = tag_of(msgspec.json.encode(would, order="sorted"))
        if given.is_preview:
            response.headers["etag"] = tag
            return {"act": None, "what": given.act, "changed": would}
        if not matches(str(if_match), tag):
            raise HTTPException(412, "this would change something else by now: look at the preview again")
    return who.perform(at, given.act, *given.what, why=given.why)
