"""What a tool lets a connection do, as the last check found it; checks run by themselves once a day."""

import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import PermissionMatrix
from hub.store import instant, micros, put
from hub.store import tables as t

Row = dict[str, Any]
_PREFIX = "granted:"


def keep(c: Connection, connection_id: int, matrix: PermissionMatrix, now: datetime) -> None:
    """In place of what the check before found."""
    rows = [[p.stream, p.action, p.is_granted, p.detail, p.scope] for p in matrix.permissions]
    value = json.dumps({"at": micros(now), "rows": rows}, ensure_ascii=False)
    put(c, t.meta, [{"key": f"{_PREFIX}{connection_id}", "value": value}])


def forget(c: Connection, connection_id: int) -> None:
    c.execute(sa.delete(t.meta).where(t.meta.c.key == f"{_PREFIX}{connection_id}"))


def read(c: Connection, connection_id: int) -> Row | None:
    """{"checked_at", "permissions": [{"stream", "action", "is_granted", "detail", "scope"}]}; None before the first check."""
    kept = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == f"{_PREFIX}{connection_id}")).scalar()
    if kept is None:
        return None
    found = json.loads(kept)
    names = ("stream", "action", "is_granted", "detail", "scope")
    rows = [dict(zip(names, row, strict=True)) for row in found["rows"]]
    return {"checked_at": instant(found["at"]), "permissions": rows}
