"""Who is who over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from hub.rest.app import AtDesk
from hub.rest.customers import PublicId
from hub.rest.models import Act, Acted, Acts, Edges, Questions
from hub.service import who

router = APIRouter(prefix="/identity", tags=["identity"])
Side = Annotated[
    str, Query(min_length=1, max_length=200, description="an address, an id, a record (crm/contacts/7) or a public id")
]
Number = Annotated[int | None, Query(ge=1, le=2**53)]


@router.get("/parties/{public_id}")
def party(at: AtDesk, public_id: PublicId) -> dict[str, Any]:
    """What a party is made of: records, addresses, employment, decisions, open questions."""
    return who.party(at, public_id)


@router.get("/why-same", response_model=Edges)
def why_same(at: AtDesk, a: Side, b: Side) -> Any:
    """The evidence between two that are one."""
    return who.why_same(at, a, b)


@router.get("/why-not")
def why_not(at: AtDesk, a: Side, b: Side) -> dict[str, Any]:
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


@router.get("/hubs")
def hubs(at: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[dict[str, Any]]:
    """Keys that too many share to say anything."""
    return who.hubs(at, limit)


@router.get("/acts", response_model=Acts)
def history(
    at: AtDesk, limit: Annotated[int, Query(ge=1, le=200)] = 20, before: Number = None, with_the_hubs: bool = False
) -> Any:
    """Who decided what, newest first."""
    return {"acts": who.history(at, limit, before, with_the_hubs)}


@router.post("/acts", response_model=Acted)
def act(at: AtDesk, given: Act) -> Any:
    """Merge, split, tell apart, answer or undo; with `is_preview` only what it would change."""
    if given.is_preview:
        return {"act": None, "what": given.act, "changed": who.expected(at, given.act, *given.what, why=given.why)}
    return who.perform(at, given.act, *given.what, why=given.why)
