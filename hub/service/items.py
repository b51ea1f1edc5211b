"""Deals, services, tasks and tickets as their tools have them. Ids are those that webhooks name: itm_4711."""

from typing import Any

from hub import hooks
from hub.access.roles import CUSTOMERS_READ
from hub.reports import items as room
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]
KINDS = room.KINDS


def items(
    desk: Desk, *, kind: str = "", party: str | None = None, is_closed: bool | None = None, limit: int = 50,
    before: str | None = None,
) -> Row:  # fmt: skip
    """{"items": newest of the hub's first (`hub.reports.items`), "next": the `before` of the next page or None}.

    party: those about this person or company, its people included. Raises NotFound (party, before).
    """
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        last = _number(before) if before is not None else None
        try:
            found = room.items(c, kind=kind, party=party, is_closed=is_closed, limit=limit + 1, before=last, seen=seen)
        except KeyError:
            raise NotFound(f"there is no person or organization {party!r}: search gives their ids") from None
    rows = [_shown(row) for row in found]
    return {"items": rows[:limit], "next": rows[limit - 1]["id"] if len(rows) > limit else None}


def item(desk: Desk, public_id: str) -> Row:
    """One of them. Raises NotFound."""
    with desk.reading(CUSTOMERS_READ) as (c, seen):
        try:
            return _shown(room.item(c, _number(public_id), seen))
        except KeyError:
            raise NotFound(f"there is no deal, service, task or ticket {public_id!r}") from None


def _number(public_id: str) -> int:
    digits = public_id.removeprefix("itm_")
    is_one = digits.isascii() and digits.isdecimal() and len(digits) < 16
    if not is_one or hooks.item_id(int(digits)) != public_id:
        raise NotFound(f"there is no deal, service, task or ticket {public_id!r}")
    return int(digits)


def _shown(row: Row) -> Row:
    return {"id": hooks.item_id(row["item"]), **{k: v for k, v in row.items() if k != "item"}}
