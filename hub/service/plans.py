"""Plans: what is to be written to the tools, shown, approved by a person, made, and taken back."""

from typing import Any

from sqlalchemy.engine import Connection

from hub import outbox
from hub.access import Forbidden
from hub.access.roles import PLANS_APPROVE, PLANS_PROPOSE, PLANS_READ
from hub.engine import push
from hub.outbox import nonces, shown
from hub.reports.seen import of_identifiers
from hub.service import planned
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]


def plans(desk: Desk, limit: int = 50, before: int | None = None) -> list[Row]:
    """All plans, newest first, without those that had nothing to do."""
    with desk.reading(PLANS_READ) as (c, _):
        rows = shown.listed(c, limit, before)
        names = ("plan", "destination", "kind", "status", "created_at", "approved_by", "applied_at")
        return [{name: row[name] for name in names} | {"approved_by": row["approved_by"] or None} for row in rows]


def plan(desk: Desk, number: int, limit: int = 100) -> Row:
    """A plan with its first changes: what they are, and what stood there before. Raises NotFound."""
    with desk.reading(PLANS_READ) as (c, seen):
        found = outbox.read(c, number)
        if found is None:
            raise NotFound(f"there is no plan {number}")
        rows = planned.readable(desk, c, seen, shown.changes(c, number, limit=limit, told=of_identifiers(seen)))
    preview = [planned.in_short(row) for row in rows]
    return {**found.to_dict(), "destination": push.destination_of(desk.engine, number), "preview": preview}


def overview(desk: Desk, limit: int = 50, before: int | None = None) -> Row:
    """{"plans": newest first, as `hub.outbox.shown.listed` has them, "destinations": every connection that is written to}."""
    with desk.reading(PLANS_READ) as (c, _):
        rows = planned.signed(c, shown.listed(c, limit, before))
    return {"plans": rows, "destinations": push.destinations(desk.engine)}


def review(
    desk: Desk, number: int, limit: int = 50, after: int = 0, *, effect: str = "", state: str = "", kind: str = ""
) -> Row:
    """All that a person needs to decide: `hub.outbox.shown.one` with "changes_shown" (`shown.changes`; those of an effect, a state, a
    kind), "next": the mark of the page after, 0 without one, "failures": [{"error", "titles"}], "cost": `planned.cost`, "can_undo".

    A change that tells of what private connections of others hold is shown without its contents ("is_private"). Raises NotFound.
    """
    with desk.reading(PLANS_READ) as (c, seen):
        found = shown.one(c, number)
        if found is None:
            raise NotFound(f"there is no plan {number}")
        asked = {"effect": effect, "state": state, "kind": kind}
        rows = shown.changes(c, number, limit=limit + 1, after=after, told=of_identifiers(seen), **asked)
        wrong = [of for of in ("failed", "stuck") if of in found["states"]]
        failed = [r for of in wrong for r in shown.changes(c, number, limit=50, state=of)]
        rows, failed = (planned.readable(desk, c, seen, some) for some in (rows, failed))
        past = shown.measured(c, found["connection_id"])
        [found] = planned.signed(c, [found])
    more = rows[limit - 1]["change"] if len(rows) > limit else 0
    return {
        **found, "changes_shown": rows[:limit], "next": more, "failures": shown.reasons(failed),
        "cost": planned.cost(desk, found, past), "can_undo": planned.can_undo(desk, found),
    }  # fmt: skip


def propose(desk: Desk, destination: str = "") -> Row:
    """Compare anew and write down what is due; nothing is written to a tool. destination: the system of record's if "".

    Raises NotFound for a connection that is not written to.
    """
    desk.viewer.must(PLANS_PROPOSE)
    known = push.destinations(desk.engine)
    if destination and destination not in known:
        raise NotFound(f"nothing is written to {destination!r}; to {', '.join(known) or 'no connection'}")
    return push.plan(desk.engine, destination).to_dict()


def approval(desk: Desk, number: int) -> Row:
    """What the approval of an assistant's proposal takes: {"nonce", "until"}; {} for a plan that takes none. Raises NotFound.

    For pages and programs that show the plan to whoever may approve it. Nothing that an assistant asks is answered with it.
    """
    with desk.reading(PLANS_APPROVE) as (c, _):
        found = _read(c, number)
        if not found.proposed or found.status != "draft" or _is_its_own(desk, found):
            return {}
        nonce, until = nonces.nonce(c, number, desk.viewer.actor, desk.now)
        return {"nonce": nonce, "until": until}


def approve(desk: Desk, number: int, nonce: str = "") -> Row:
    """Let it be applied. nonce: for what an assistant proposed, the one that `approval` gave this viewer.

    Raises NotFound, Forbidden for the token that proposed it, and ConfigError for one that waits no more, or another nonce.
    """
    with desk.reading(PLANS_APPROVE) as (c, _):
        if _is_its_own(desk, _read(c, number)):
            message = "what came in with this token is approved by somebody else, or in the browser"
            raise Forbidden(message, permission=PLANS_APPROVE)
    return {**push.approve(desk.engine, number, desk.viewer.actor, nonce).to_dict(), "status": "approved"}


def reject(desk: Desk, number: int) -> Row:
    """Nothing of it is written. Raises NotFound, and ConfigError for one that waits no more."""
    _exists(desk, number, PLANS_APPROVE)
    return {**push.reject(desk.engine, number).to_dict(), "status": "rejected"}


async def apply(desk: Desk, number: int) -> Row:
    """Make an approved plan's changes; safe to call again after anything. Raises NotFound."""
    _exists(desk, number, PLANS_APPROVE)
    return (await push.apply(desk.engine, number)).to_dict()


async def undo(desk: Desk, number: int) -> Row:
    """Take an applied plan back at the tool. Raises NotFound."""
    _exists(desk, number, PLANS_APPROVE)
    return (await push.undo(desk.engine, number)).to_dict()


def _exists(desk: Desk, number: int, permission: str) -> None:
    with desk.reading(permission) as (c, _):
        _read(c, number)


def _read(c: Connection, number: int) -> outbox.Plan:
    found = outbox.read(c, number)
    if found is None:
        raise NotFound(f"there is no plan {number}")
    return found


def _is_its_own(desk: Desk, found: outbox.Plan) -> bool:
    """Whether a token would approve what it proposed itself: whoever reads strangers' words is not to decide."""
    via = desk.viewer.via
    return bool(found.proposed) and via.startswith("token") and (found.proposed or {})["via"] == via
