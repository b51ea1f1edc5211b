"""Use cases: what somebody may ask the hub, and who may ask it. Every door calls these and nothing below them.

In: a `Desk` (the engine, and who asks) and plain values; things are named by their public ids. Out: plain dicts and lists,
ready for JSON; instants are aware UTC datetimes. Each use case first asks for its permission, and shows only rows that the
viewer sees. Raises Forbidden, NotFound, Invalid, and what the engine raises.
"""

from hub.service.desk import Desk, NotFound

__all__ = ["Desk", "NotFound"]
