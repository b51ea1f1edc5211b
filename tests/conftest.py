"""Fixtures shared by the hub's own tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
