"""Puts this folder's helpers where they can be imported; a small hub behind REST."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from callers import Site
from estates import kept

from hub.store import Store


@pytest.fixture
def site(kept_store: Store) -> Site:
    """Only looked at: built once a database."""
    return kept(kept_store, "rest", Site)
