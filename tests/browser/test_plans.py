"""A plan's way through a browser: looked at, approved by somebody who proves to be it, written to the tool, taken back there."""

from datetime import timedelta
from typing import Any

from tests.browser.hubs import PASSWORD, CompanyHub, Hub
from tests.browser.tab import Tab

PLAN = "/plans/2"  # what the help desk lacks: telephone numbers


def _phones(company: CompanyHub) -> dict[int, Any]:
    """What the help desk itself has."""
    emulator: Any = company.running["zendesk"].emulator
    with emulator.lock:
        return {number: user["phone"] for number, user in emulator.desk.users.items()}


def test_a_plan_is_approved_written_and_taken_back(company: CompanyHub, own_hub: Hub, tab: Tab) -> None:
    before = _phones(company)
    own_hub.signed_in(tab, "operator", path="/plans")
    tab.follow("link", "Plan 2")
    tab.sees("waits for approval", "What it does", "Owen Pritchard")
    tab.follow("button", "Approve all 5 changes")
    tab.sees("Approved. Nothing is written until")
    assert _phones(company) == before
    tab.follow("button", "Write it now")
    tab.sees("Written: 5 updated.", "All of it stands at the tool.")
    written = _phones(company)
    assert len([number for number in before if written[number] != before[number]]) == 5
    tab.follow("button", "Take it back")
    tab.sees("Taken back: ")
    assert _phones(company) == before


def test_a_viewer_sees_no_plans_and_an_agent_cannot_approve(own_hub: Hub, tab: Tab) -> None:
    own_hub.signed_in(tab, "agent", path=PLAN)
    tab.sees("Owen Pritchard")
    assert not [name for name in tab.names("button") if name.startswith("Approve")]
    own_hub.signed_in(tab, "viewer", path=PLAN)
    assert "Owen Pritchard" not in tab.text
    assert tab.troubles(allowing=(403,)) == []


def test_who_signed_in_a_while_ago_proves_to_be_it_first(own_hub: Hub, tab: Tab) -> None:
    own_hub.account("olga@brindlepost.example", "operator")
    own_hub.signed_in(tab, "operator", email="olga@brindlepost.example", ago=timedelta(minutes=11), path=PLAN)
    tab.follow("button", "Approve all 5 changes")
    assert tab.title == "Is it still you?"
    assert tab.troubles(allowing=(403,)) == []
    tab.fill("Your password", PASSWORD)
    tab.leaving(lambda: tab.press("Enter"))
    tab.sees("Approved. Nothing is written until")
