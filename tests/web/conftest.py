"""Pages without a browser (support/site.py)."""

import pytest
from emptying import empty
from estates import kept
from pages import Site, estate
from world import World

from hub.store import Store


@pytest.fixture
def site(_sqlite_store: Store) -> Site:
    """A hub that is only looked at: built once a worker. No page has a query of its own, so one database is enough."""
    return Site(kept(_sqlite_store, "web", estate))


@pytest.fixture
def own_site(_sqlite_store: Store) -> Site:
    """The same, for a test that changes it."""
    empty(_sqlite_store)
    return Site(estate(_sqlite_store))


@pytest.fixture
def empty_site(_sqlite_store: Store) -> Site:
    """A hub on its first day: nothing connected, nobody has an account."""
    empty(_sqlite_store)
    return Site(World(_sqlite_store, {}))
