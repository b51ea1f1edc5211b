"""Zendesk against the clauses every connector is held to: its comments, its tickets, its people and companies."""

from pathlib import Path

from hub.testing import ConnectorSuite
from hub.testing.suite_bench import Effort
from hub_zendesk import Zendesk
from hub_zendesk.rig import CommentsRig, OrganizationsRig, TicketsRig, UsersRig

QUALITY = Path(__file__).parents[1] / "quality.toml"


class TestComments(ConnectorSuite):
    connector = Zendesk
    rig = CommentsRig
    quality = QUALITY
    effort = Effort(writes=9, cycles=25)
    clauses = tuple(f"W{n}" for n in range(1, 14) if n != 5)


class TestTickets(ConnectorSuite):
    connector = Zendesk
    rig = TicketsRig
    quality = QUALITY
    clauses = ("W1", "W2", "W3", "W4", "W5", "W8", "W9", "W11")


class TestUsers(ConnectorSuite):
    connector = Zendesk
    rig = UsersRig
    quality = QUALITY
    effort = Effort(writes=3, cycles=8)
    clauses = ("W1", "W2", "W3", "W4", "W6", "W7", "W9", "W11", "W12")


class TestOrganizations(ConnectorSuite):
    connector = Zendesk
    rig = OrganizationsRig
    quality = QUALITY
    effort = Effort(writes=3, cycles=4)
    clauses = ("W2", "W3", "W4", "W6", "W7", "W9", "W11")
