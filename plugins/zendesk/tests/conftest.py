"""A Zendesk account for each test, served by one server."""

from collections.abc import Iterator

import pytest

from hub.api import FakeClock
from hub.testing import Running
from hub_zendesk.emulator import ZendeskEmulator
from hub_zendesk.stand import START, Stand


@pytest.fixture(scope="session")
def served() -> Iterator[Running]:
    with ZendeskEmulator().serve() as running:
        yield running


@pytest.fixture
def desk(served: Running) -> Stand:
    clock = FakeClock(START)
    emulator = ZendeskEmulator(now=clock.now)
    served.put(emulator)
    return Stand(served, clock, emulator)
