"""Sync health over a connection of the store: `hub.health` on either database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.health import health as told


def health(c: Connection, connections: Sequence[str], now: datetime) -> dict[str, Any]:
    def ask(query: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in c.execute(sa.text(query), given).mappings()]

    return told(ask, connections, now)
