"""What holds for every page: no barrier axe-core finds, no sideways scrolling, not too heavy, nothing wrong unseen."""

from datetime import timedelta

import pytest

from tests.browser import places
from tests.browser.chromium import Chromium
from tests.browser.hubs import PASSWORD, Hub
from tests.browser.tab import Tab

MOST_BYTES = 150_000
LOOKS = ((1280, 800, False), (390, 844, True))  # a scheme's colours are the same at any width: two of the four tell all


def test_every_page_is_looked_at() -> None:
    assert {p.route for p in places.PLACES if p.route} == places.routes() - places.NO_PLACE


@pytest.mark.timeout(600)
def test_no_page_is_a_barrier(hub: Hub, chromium: Chromium, axe_source: str) -> None:
    found: dict[str, list[str]] = {}
    with chromium.person() as tab:
        for place in places.opened(hub, tab):
            wrong = tab.troubles(allowing=(place.status,))
            if (weight := tab.weight()) > MOST_BYTES:
                wrong.append(f"weighs {weight} bytes")
            for number, (width, height, is_dark) in enumerate(LOOKS):
                tab.look(width, height, is_dark=is_dark)
                look = f"{width} px, {'dark' if is_dark else 'light'}"
                wrong += [
                    f"{look}: {text}" for text in [*tab.overflows(), *tab.barriers(axe_source, only_looks=number > 0)]
                ]
            tab.look(*LOOKS[0][:2])
            if wrong:
                found[f"{place.name} {tab.path}"] = wrong
    assert found == {}


def test_no_empty_page_is_a_barrier(first_day: Hub, tab: Tab, axe_source: str) -> None:
    first_day.signed_in(tab)
    found = {}
    for path in ("/", "/health", "/plans", "/identity", "/reports", "/setup", "/webhooks"):
        tab.go(path)
        assert tab.has("link", "Customers"), path
        if wrong := [*tab.overflows(), *tab.barriers(axe_source)]:
            found[path] = wrong
    assert found == {}


def test_no_page_that_comes_in_between_is_a_barrier(own_hub: Hub, tab: Tab, axe_source: str) -> None:
    """Is it still you; what has been open for too long; the way to a tool's own sign-in."""
    own_hub.account("olga@brindlepost.example", "admin")
    own_hub.signed_in(
        tab, "admin", email="olga@brindlepost.example", ago=timedelta(minutes=11), path="/setup/connections/mail_ines"
    )
    button = tab.called("button", "Sign in")
    tab.follow("button", button)
    assert tab.title == "Is it still you?"
    assert [*tab.overflows(), *tab.barriers(axe_source), *tab.troubles(allowing=(403,))] == []
    tab.fill("Your password", PASSWORD)
    tab.leaving(lambda: tab.press("Enter"))
    tab.sees("Sign in at ")
    assert [*tab.overflows(), *tab.barriers(axe_source)] == []
    tab.go("/account")
    tab.js("document.querySelector('.menu').open = true")
    tab.js("document.querySelectorAll('[name=csrf]').forEach((field) => { field.value = 'of another session' })")
    tab.follow("button", "Sign out")
    assert tab.title == "Load the page again"
    assert [*tab.overflows(), *tab.barriers(axe_source), *tab.troubles(allowing=(403,))] == []
