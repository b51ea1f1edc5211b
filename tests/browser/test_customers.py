"""A customer's main path with a keyboard and a mouse: find them, read on, narrow it down, ask why an entry is there."""

import os
from collections.abc import Iterator

import pytest

from tests.browser import hubs
from tests.browser.chromium import Chromium
from tests.browser.hubs import Hub
from tests.browser.tab import Tab
from tests.e2e import real

MESSAGES = int(os.environ.get("HUB_MAILBOX_MESSAGES", "400"))  # of the real mailbox; 0 for all of them
ENTRIES = "document.querySelectorAll('#entries .entry').length"
NO_MAILBOX = "the real data sets are not beside this checkout"


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory, chromium: Chromium) -> Iterator[Hub]:
    if real.paths() is None:
        pytest.skip(NO_MAILBOX)
    with hubs.mailbox_hub(tmp_path_factory.mktemp("mailbox"), MESSAGES or None) as found:
        yield found


def _main_path(hub: Hub, tab: Tab) -> None:
    """Find the busiest person by name, read to the end of what they said, narrow it down, ask why."""
    public_id, name = hub.busiest()
    hub.signed_in(tab, "agent")
    tab.press("/")
    tab.type(name)
    tab.leaving(lambda: tab.press("Enter"))
    assert tab.path.startswith("/customers?q=")
    tab.leaving(lambda: tab.js(f"document.querySelector('main a[href=\"/customers/{public_id}\"]').click()"))
    assert tab.title == name
    tab.sees(
        "What was it about last?",
        "Who is responsible?",
        "What is the next step?",
        "What happened so far?",
        "Fresh as of",
    )

    whole = hub.entries(public_id)
    assert whole > 30, "too few to have another page"
    while tab.js(ENTRIES) < whole:
        before = tab.js(ENTRIES)
        tab.js("document.querySelector('a[data-extend]').scrollIntoView()")
        tab.until(f"{ENTRIES} > {before}", "further entries")
    assert tab.js(ENTRIES) == whole
    assert not tab.has("link", "Earlier")

    tab.js("window.scrollTo(0, 0)")
    tab.click("DisclosureTriangle", "Narrow it down")
    tab.choose("Direction", "from the customer")
    tab.follow("button", "Show")
    shown = tab.js("[...document.querySelectorAll('#entries .arrow')].map((a) => a.title)")
    assert set(shown) == {"from the customer"}
    assert len(shown) == tab.js(ENTRIES)
    [chip] = [n for n in tab.names("link") if n.endswith("take this away")]
    tab.follow("link", chip)
    assert "direction" not in tab.path

    tab.follow("link", tab.called("link", "Why is this here?"))
    assert tab.path.startswith("/entries/")
    tab.sees("Where it comes from", "first seen", "Who takes part, and why we think so")
    assert tab.has("link", name)


def test_of_the_made_up_company(hub: Hub, tab: Tab) -> None:
    _main_path(hub, tab)


@pytest.mark.real_data
def test_of_the_real_mailbox_s_busiest_person(mailbox: Hub, tab: Tab) -> None:
    _main_path(mailbox, tab)


def test_the_whole_text_is_in_a_frame_where_nothing_runs(hub: Hub, tab: Tab) -> None:
    public_id, _ = hub.busiest()
    hub.signed_in(tab, "agent", path=f"/customers/{public_id}")
    tab.leaving(lambda: tab.js("document.querySelector('.entry-subject a').click()"))
    assert tab.js("document.querySelector('iframe').getAttribute('sandbox')") == ""
    [told] = tab.until_found(tab.frames)
    assert len(told.split()) > 3


def test_who_may_not_read_messages_sees_who_and_when(hub: Hub, tab: Tab) -> None:
    public_id, name = hub.busiest()
    hub.signed_in(tab, "auditor", path=f"/customers/{public_id}")
    assert tab.title == name
    assert tab.js(ENTRIES) > 0
    assert not tab.js("document.querySelector('.snippet')")
    tab.sees("reading messages is for other roles")


def test_a_timeline_is_read_without_scripts(hub: Hub, tab: Tab) -> None:
    public_id, name = hub.busiest()
    hub.signed_in(tab, "agent")
    tab.without_scripts()
    tab.go(f"/customers/{public_id}")
    assert tab.title == name
    newest = tab.js("document.querySelector('.entry-subject a').getAttribute('href')")
    tab.follow("link", "Earlier")
    assert tab.js("document.querySelector('.entry-subject a').getAttribute('href')") != newest
    tab.follow("link", "Back to the newest")
    assert tab.js("document.querySelector('.entry-subject a').getAttribute('href')") == newest
