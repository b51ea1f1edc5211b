"""Who asks, and of which hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.access import Viewer, sees_all, visible
from hub.api import HubError
from hub.engine import Engine
from hub.reports import Seen, everything


class NotFound(HubError):
    """There is no such thing, or none that the viewer sees: the two are never told apart."""


@dataclass(frozen=True)
class Desk:
    """The first argument of every use case."""

    engine: Engine
    viewer: Viewer

    @property
    def now(self) -> datetime:
        return self.engine.clock.now()

    @contextmanager
    def reading(self, permission: str) -> Iterator[tuple[Connection, Seen]]:
        """A consistent view, and the condition that its queries take. Raises Forbidden."""
        self.viewer.must(permission)
        with self.engine.store.read() as c:
            yield c, self.seen(c)

    def seen(self, c: Connection) -> Seen:
        """Which rows the viewer sees; `everything` where nothing is hidden, so that kept figures hold."""
        if sees_all(c, self.viewer):
            return everything

        def condition(of: sa.FromClause) -> "sa.ColumnElement[bool]":
            return visible(self.viewer, of)

        return condition
