"""Worlds that many tests only look at: built once a database, and again when another test has emptied it."""

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from emptying import empty

from hub.store import Store
from hub.store import tables as t

World = TypeVar("World")
_built: dict[tuple[int, str], Any] = {}


def kept(store: Store, name: str, build: Callable[[Store], World]) -> World:
    """What `build` made of the emptied store. name: another one for each world."""
    with store.read() as c:
        is_there = c.execute(sa.select(t.meta.c.value).where(t.meta.c.key == "estate")).scalar() == name
    if not is_there:
        empty(store)
        _built[id(store), name] = build(store)
        with store.write() as c:
            c.execute(sa.insert(t.meta).values(key="estate", value=name))
    found: World = _built[id(store), name]
    return found
