"""The worked example keeps every clause."""

from pathlib import Path

from hub_bulletin import Bulletin
from hub_bulletin.rig import MessagesRig, PeopleRig

from hub.testing import ConnectorSuite
from hub.testing.suite_bench import Effort

QUALITY = Path(__file__).parent / "hub_bulletin" / "quality.toml"


class TestMessages(ConnectorSuite):
    connector = Bulletin
    rig = MessagesRig
    quality = QUALITY
    effort = Effort(cycles=20)
    clauses = tuple(f"W{n}" for n in range(1, 14) if n != 5)


class TestPeople(ConnectorSuite):
    connector = Bulletin
    rig = PeopleRig
    quality = QUALITY
    clauses = ("W1", "W2", "W3", "W4", "W5", "W9", "W11")
