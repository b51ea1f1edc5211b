"""Coming in: the first account of all, one-time codes, signing in and out, and nobody else."""

import pytest

from hub.access import Viewer, accounts
from tests.browser.hubs import PASSWORD, Hub
from tests.browser.tab import Tab


def test_the_first_account_is_made_with_the_printed_code(first_day: Hub, tab: Tab) -> None:
    tab.go(f"{first_day.url}/")
    assert tab.title == "Sign in"
    tab.sees("ihub user code")
    with first_day.engine.store.write() as c:
        code = accounts.first_code(c, Viewer.local("tests"), first_day.engine.clock.now())
    tab.follow("link", "I have the code")
    for field, text in (("Code", code), ("E-mail address", "ana@brindlepost.example"), ("Your name", "Ana")):
        tab.fill(field, text)
    tab.fill("New password", PASSWORD)
    tab.fill("The same again", PASSWORD)
    tab.follow("button", "Set the password and sign in")
    assert tab.path == "/"
    tab.sees("Welcome. Your password is set.", "Ana")


@pytest.mark.parametrize("width", [1280, 390])
def test_in_with_a_password_and_out_again(own_hub: Hub, tab: Tab, width: int) -> None:
    own_hub.account("ana@brindlepost.example", "agent")
    tab.look(width, 800)
    tab.go(f"{own_hub.url}/health")
    assert tab.path == "/sign-in?next=%2Fhealth"
    tab.fill("E-mail address", "ana@brindlepost.example")
    tab.fill("Password", "not the password at all")
    tab.follow("button", "Sign in")
    assert tab.troubles(allowing=(401,)) == []
    assert tab.js("document.querySelector('[role=alert]').innerText") != ""
    assert tab.js("document.querySelector('[name=password]').value") == ""
    tab.fill("Password", PASSWORD)
    tab.leaving(lambda: tab.press("Enter"))
    assert tab.path == "/health"
    tab.click("DisclosureTriangle", "Account of ana")
    tab.follow("button", "Sign out")
    tab.sees("You are signed out.")
    tab.go("/health")
    assert tab.title == "Sign in"
