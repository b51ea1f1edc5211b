"""How the hub is doing: streams, coverage, what could not be taken in, and taking it in again."""

from typing import Any

from hub import reports
from hub.access.roles import CONNECTIONS_MANAGE, HEALTH_READ, QUARANTINE_REPLAY
from hub.engine import replay as engine_replay
from hub.service.desk import Desk, NotFound

Row = dict[str, Any]


def health(desk: Desk) -> Row:
    """Every connection and stream, worst first, with open issues and holds (`hub.health`)."""
    with desk.reading(HEALTH_READ) as (c, _):
        return reports.health(c, list(desk.engine.settings.connections), desk.now)


def quarantine(desk: Desk, limit: int = 50) -> list[Row]:
    """Records that could not be taken in, newest first, with the reason."""
    with desk.reading(QUARANTINE_REPLAY) as (c, seen):
        return reports.quarantine(c, limit, seen)


async def replay(desk: Desk, connection: str, *, only_failed: bool = True) -> list[Row]:
    """Map the stored records of a connection again; one row a stream, with its books. Raises NotFound."""
    desk.viewer.must(QUARANTINE_REPLAY)
    _known(desk, connection)
    return await engine_replay.replay_connection(desk.engine, connection, only_failed=only_failed)


async def sync(desk: Desk, connection: str) -> Row:
    """Pull everything new of a connection now. Raises NotFound; a vendor's trouble is in the answer."""
    desk.viewer.must(CONNECTIONS_MANAGE)
    _known(desk, connection)
    return (await desk.engine.sync(connection)).to_dict()


def _known(desk: Desk, connection: str) -> None:
    if connection not in desk.engine.settings.connections:
        raise NotFound(f"there is no connection {connection!r}: health lists them")
