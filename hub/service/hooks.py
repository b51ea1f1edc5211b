"""Webhooks out: who is told of what, and how that goes.

An endpoint with an owner hears of that person's private mailbox, too: nobody else sees it, changes it or makes one.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hub import hooks
from hub.access.errors import Forbidden
from hub.access.roles import HOOKS_MANAGE
from hub.engine import Engine
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]


def endpoints(desk: Desk) -> list[Row]:
    """All that the viewer may manage, oldest first, with how many deliveries are in each state."""
    with desk.reading(HOOKS_MANAGE) as (c, _):
        return [
            {**e.to_dict(), "deliveries": hooks.counts(c, e)} for e in hooks.endpoints(c) if _is_theirs(desk, e.owner)
        ]


def endpoint(desk: Desk, public_id: str) -> Row:
    """One of them. Raises NotFound."""
    found = _one(desk, public_id)
    with desk.reading(HOOKS_MANAGE) as (c, _):
        return {**found.to_dict(), "deliveries": hooks.counts(c, found)}


def event_types(desk: Desk) -> Row:
    """Type -> what it says has become of its resource."""
    desk.viewer.must(HOOKS_MANAGE)
    return {name: hooks.MEANING[name.split(".")[2]] for name in hooks.TYPES}


def add(desk: Desk, url: str, events: Sequence[str], description: str = "", is_own: bool = False) -> Row:
    """A new endpoint with its "secret", which is not shown again. is_own: of the viewer's own private mailbox, too.

    Raises ConfigError for an address no webhook may go to, or a pattern that chooses nothing.
    """
    desk.viewer.must(HOOKS_MANAGE)
    if is_own and not desk.viewer.sees.mailbox:
        raise Forbidden("only somebody with a mailbox can have its entries told", permission=HOOKS_MANAGE)
    owner = desk.viewer.sees.mailbox if is_own else ""
    made, secret = manager(desk.engine).add(url, list(events), description=description, owner=owner)
    return {**made.to_dict(), "secret": secret}


def edit(
    desk: Desk,
    public_id: str,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
) -> Row:
    """What is None stays. Raises NotFound, and ConfigError as `add`."""
    _one(desk, public_id)
    found = manager(desk.engine).edit(
        public_id, url=url, events=list(events) if events is not None else None, description=description
    )
    return found.to_dict()


def pause(desk: Desk, public_id: str, why: str = "") -> Row:
    """Send nothing until it is resumed; events wait in line. Raises NotFound."""
    _one(desk, public_id)
    return manager(desk.engine).pause(public_id, why).to_dict()


def resume(desk: Desk, public_id: str) -> Row:
    """Go on, also after the hub has disabled it. Raises NotFound."""
    _one(desk, public_id)
    return manager(desk.engine).resume(public_id).to_dict()


def rotate(desk: Desk, public_id: str) -> Row:
    """A new secret; the one before signs beside it for another day. Raises NotFound."""
    _one(desk, public_id)
    return {"endpoint": public_id, "secret": manager(desk.engine).rotate(public_id)}


def remove(desk: Desk, public_id: str) -> None:
    """The endpoint goes, with its line and its log. Raises NotFound."""
    _one(desk, public_id)
    manager(desk.engine).remove(public_id)


def deliveries(
    desk: Desk,
    public_id: str,
    states: Sequence[str] = (),
    before: int | None = None,
    limit: int = 20,
    customer: str = "",
) -> list[Row]:
    """What was sent and what came back, newest first. Raises NotFound."""
    found = _one(desk, public_id)
    with desk.reading(HOOKS_MANAGE) as (c, _):
        return hooks.deliveries(c, found, states=states, before=before, limit=limit, customer=customer)


def resend(desk: Desk, public_id: str, event: str) -> None:
    """Tell it of one event again, at its old place in line. Raises NotFound."""
    _one(desk, public_id)
    try:
        hooks.resend(desk.engine.store, public_id, event, desk.now)
    except hooks.NoSuchEndpoint as exc:
        raise NotFound(exc.message) from None


def replay(desk: Desk, public_id: str, after: int, until: int | None = None) -> Row:
    """Tell it again of everything behind a cursor: {"events": how many}. Raises NotFound."""
    _one(desk, public_id)
    return {"events": hooks.replay(desk.engine.store, public_id, after, desk.now, until=until)}


async def test(desk: Desk, public_id: str) -> Row:
    """One call now, with an event that tells of nothing. Raises NotFound."""
    _one(desk, public_id)
    async with courier(desk.engine) as sending:
        answer = await sending.test(public_id)
    return {
        "endpoint": public_id,
        "status": answer.status,
        "ms": answer.ms,
        "error": answer.error,
        "is_ok": answer.is_ok,
    }


def manager(engine: Engine) -> hooks.Endpoints:
    """What may be done to endpoints of a hub, for whoever was asked for permission."""
    given = engine.settings.hooks
    return hooks.Endpoints(engine.store, engine.secrets, engine.clock, allow_loopback=given.allow_loopback)


def courier(engine: Engine) -> hooks.Courier:
    """Who sends what is due at a hub; to be entered."""
    given = engine.settings.hooks
    return hooks.Courier(
        engine.store, manager(engine), engine.clock, hooks.Sender(engine.clock, allow_loopback=given.allow_loopback),
        base_url=engine.settings.web.public_url, keep=timedelta(days=given.keep_days),
    )  # fmt: skip


def _is_theirs(desk: Desk, owner: str) -> bool:
    return not owner or owner == desk.viewer.sees.mailbox or desk.viewer.sees.everything


def _one(desk: Desk, public_id: str) -> hooks.Endpoint:
    with desk.reading(HOOKS_MANAGE) as (c, _):
        found = next((e for e in hooks.endpoints(c) if e.public_id == public_id), None)
    if found is None or not _is_theirs(desk, found.owner):
        raise NotFound(f"there is no endpoint {public_id!r}: the list of them has their ids")
    return found
