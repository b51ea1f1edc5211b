"""The mass-change brake: more than a share and a number at once is held for a person's yes."""

import json
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import fetch
from hub.store.tables import hold


@dataclass(frozen=True)
class Brake:
    """Held when more than `count` records and `percent` of what stands would go, or 30 % of 10 records and more."""

    percent: float = 5.0
    count: int = 50

    def holds(self, going: int, standing: int) -> bool:
        share = 100.0 * going / standing if standing else 0.0
        if going > self.count:
            return share > self.percent
        return standing >= 10 and share >= 30.0


_OPEN = sa.select(hold).where(hold.c.resolved_at.is_(None))
_OPEN_OF = _OPEN.where(hold.c.stream_id == sa.bindparam("stream_id"))


def open_hold(c: Connection, kind: str, stream_id: int | None, ids: list[str], detail: str, now: int) -> int:
    """Record what is held; one open hold per kind and stream, renewed with the newest ids."""
    same = sa.and_(hold.c.kind == kind, hold.c.stream_id == stream_id, hold.c.resolved_at.is_(None))
    known = c.execute(sa.select(hold.c.id).where(same)).scalar()
    if known:
        c.execute(sa.update(hold).where(hold.c.id == known).values(detail=detail, ids=json.dumps(ids)))
        return int(known)
    row = {"kind": kind, "stream_id": stream_id, "opened_at": now, "detail": detail, "ids": json.dumps(ids)}
    return int(c.execute(sa.insert(hold).values(**row).returning(hold.c.id)).scalar_one())


def open_holds(c: Connection, stream_id: int | None = None) -> list[dict[str, object]]:
    rows = fetch(c, _OPEN) if stream_id is None else fetch(c, _OPEN_OF, stream_id=stream_id)
    return [row._asdict() | {"ids": json.loads(row.ids)} for row in rows]


def resolve_hold(c: Connection, hold_id: int, resolution: str, now: int) -> None:
    c.execute(sa.update(hold).where(hold.c.id == hold_id).values(resolved_at=now, resolution=resolution))
