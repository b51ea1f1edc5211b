"""Letting a connection go: what lives on at the vendor is ended, its secrets go, and what only it told, if asked to."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hub import status as st
from hub.api import HubError, Transient
from hub.engine import granted
from hub.engine.engine import Engine
from hub.engine.erase import Eraser, counts
from hub.store import micros
from hub.store import tables as t

log = logging.getLogger("hub.engine")


@dataclass
class Disconnected:
    """How it ended. problem: why the vendor was not told, "" if it was. erased: what went; None when nothing was to.

    section: whether the settings still name it.
    """

    connection: str
    problem: str = ""
    section: bool = True
    erased: dict[str, int] | None = None
    left: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return st.PARTLY if self.problem else st.OK

    def to_dict(self) -> dict[str, Any]:
        return {
            "connection": self.connection, "exit_code": self.exit_code, "problem": self.problem, "section": self.section,
            "erased": self.erased, "left": self.left,
        }  # fmt: skip


def would_go(engine: Engine, name: str) -> dict[str, int]:
    """What an erasure would take, counted. Raises ConfigError for a connection nobody knows."""
    row = _known(engine, name)
    with engine.store.read() as c:
        return counts(c, row["id"])


def _known(engine: Engine, name: str) -> dict[str, Any]:
    """The row of a connection of the settings, or of one whose section is gone already."""
    with engine.store.read() as c:
        row = c.execute(sa.select(t.connection).where(t.connection.c.name == name)).mappings().first()
    if row is not None:
        return dict(row)
    engine._configured(name)
    return engine._row(name)


async def disconnect(
    engine: Engine, name: str, *, erase: bool = False, progress: Callable[[int], None] = lambda left: None
) -> Disconnected:
    """Safe to call again after anything, a kill included. Raises Transient while another worker is on it."""
    row = _known(engine, name)
    result = Disconnected(name, section=name in engine.settings.connections)
    async with AsyncExitStack() as stack:
        fence = await _lease(engine, stack, f"connection:{name}")
        for destination in _written_to(engine, row["id"], erase):
            await _lease(engine, stack, f"outbox:{destination}")
        result.problem = await _forget(engine, name)
        engine.secrets.forget(name)
        _let_go(engine, row["id"])
        if erase:
            eraser = Eraser(engine, _known(engine, name), fence, progress)
            result.erased = await asyncio.to_thread(eraser.run)
    return result


async def _lease(engine: Engine, stack: AsyncExitStack, name: str) -> int:
    fence = await stack.enter_async_context(engine.lease(name))
    if fence is None:
        raise Transient(f"{name.partition(':')[2]} is being worked on right now: try again in a moment")
    return fence


def _written_to(engine: Engine, connection_id: int, erase: bool) -> list[str]:
    """Destinations nothing may be written to meanwhile: an erasure goes through the plans of all of them."""
    query = sa.select(t.connection.c.name).where(t.connection.c.id.in_(sa.select(t.plan.c.connection_id)))
    with engine.store.read() as c:
        return list(c.execute(query if erase else query.where(t.connection.c.id == connection_id)).scalars())


async def _forget(engine: Engine, name: str) -> str:
    """End what lives on at the vendor; why that could not be done, "" if it was."""
    if name not in engine.settings.connections:
        return "its section is not in the settings, so the vendor could not be told"
    try:
        connector = engine.connector(name)
    except HubError as exc:
        return str(exc)
    try:
        await connector.forget()
    except HubError as exc:
        return str(exc)
    except Exception as exc:  # a connector's bug must not keep its secrets here
        log.exception("%s: forgetting failed", name)
        return f"an error of the connector: {type(exc).__name__}"
    finally:
        await connector.aclose()
    return ""


def _let_go(engine: Engine, connection_id: int) -> None:
    """No longer due, nothing open; its next check, asked for by name, takes it up again."""
    now = micros(engine.clock.now())
    with engine.store.write() as c:
        values = {"is_paused": True, "next_at": None, "checked_at": None}
        c.execute(sa.update(t.connection).where(t.connection.c.id == connection_id).values(**values))
        is_open = (t.issue.c.connection_id == connection_id, t.issue.c.closed_at.is_(None))
        c.execute(sa.update(t.issue).where(*is_open).values(closed_at=now))
        granted.forget(c, connection_id)
