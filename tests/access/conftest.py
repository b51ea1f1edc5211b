"""A door over an empty store on each database."""

import pytest
from door import People

from hub.store import Store


@pytest.fixture
def people(store: Store) -> People:
    return People(store)
