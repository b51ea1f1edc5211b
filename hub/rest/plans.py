"""Plans over HTTP: proposed, looked at, approved, made, taken back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from hub.rest.asking import AtDesk, unchanged
from hub.rest.models import Approval, Approved, Plan, PlanPage, PlanShown, Proposal, Pushed
from hub.service import plans

router = APIRouter(prefix="/plans", tags=["plans"])
AS_SEEN = [Depends(unchanged)]
Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("", response_model=PlanPage, name="list")
def all_plans(
    at: AtDesk,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Any:
    """All plans, newest first."""
    return {"plans": plans.plans(at, limit, before)}


@router.post("", response_model=Plan, status_code=201)
def propose(at: AtDesk, given: Proposal) -> Any:
    """Compare anew and write down what is due. Nothing is written to a tool."""
    return plans.propose(at, given.destination)


@router.get("/{number}", response_model=PlanShown)
def plan(at: AtDesk, number: Number, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Any:
    """A plan with its first changes."""
    return plans.plan(at, number, limit)


@router.get("/{number}/approval", response_model=Approval)
def approval(at: AtDesk, number: Number) -> Any:
    """What approving an assistant's proposal takes, for a person to whom the plan is shown; both null for other plans."""
    return {"nonce": None, "until": None, **plans.approval(at, number)}


@router.post("/{number}/approve", response_model=Plan, dependencies=AS_SEEN)
def approve(at: AtDesk, number: Number, given: Approved | None = None) -> Any:
    """Let it be applied."""
    return plans.approve(at, number, given.nonce if given else "")


@router.post("/{number}/reject", response_model=Plan, dependencies=AS_SEEN)
def reject(at: AtDesk, number: Number) -> Any:
    """Nothing of it is written."""
    return plans.reject(at, number)


@router.post("/{number}/apply", response_model=Pushed, dependencies=AS_SEEN)
async def apply(at: AtDesk, number: Number) -> Any:
    """Make an approved plan's changes. Safe to send again after anything."""
    return await plans.apply(at, number)


@router.post("/{number}/undo", response_model=Pushed, dependencies=AS_SEEN)
async def undo(at: AtDesk, number: Number) -> Any:
    """Take an applied plan back at the tool."""
    return await plans.undo(at, number)
