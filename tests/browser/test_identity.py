"""Who is who in a browser: questions answered with their evidence, two merged and one split with a look first, all of it undone."""

from tests.browser.hubs import Hub
from tests.browser.tab import Tab


def _decided(tab: Tab) -> str:
    """On the page of an act that was just made; its path."""
    tab.until("location.pathname.match('^/identity/acts/[0-9]+$')", "the page of an act")
    return tab.path


def _undo(tab: Tab) -> None:
    tab.follow("link", tab.called("link", "Undo"))
    tab.sees("What would change", "Nothing has changed yet.")
    tab.follow("button", "Take it back")
    _decided(tab)


def test_a_question_is_answered_and_taken_back(own_hub: Hub, tab: Tab) -> None:
    own_hub.signed_in(tab, "agent", path="/identity")
    tab.sees("Anna Weber and Anna Weber: one or two?", "Not decided by itself")
    questions = len(tab.names("article"))
    tab.follow("button", "They are two")
    assert len(tab.names("article")) == questions - 1
    tab.follow("link", "Undo")
    tab.follow("button", "Take it back")
    tab.go("/identity")
    assert len(tab.names("article")) == questions


def test_two_are_merged_and_parted_again(own_hub: Hub, tab: Tab) -> None:
    one, two = (own_hub.party(address) for address in ("greta.holm@", "lukas.heim@"))
    both = own_hub.entries(one) + own_hub.entries(two)
    own_hub.signed_in(tab, "agent", path=f"/identity/parties/{one}")
    tab.fill("Find the other one", "Lukas Heim", role="searchbox")
    tab.follow("button", "Find")
    tab.follow("link", "They are one…")
    tab.sees("What would change", "Nothing has changed yet.")
    tab.fill("Why", "one person under two names")
    tab.follow("button", "Join them")
    made = _decided(tab)
    tab.sees("one person under two names")
    assert max(own_hub.entries(one), own_hub.entries(two)) > both / 2
    tab.go(made)
    _undo(tab)
    assert own_hub.entries(one) + own_hub.entries(two) == both


def test_an_address_is_taken_out_and_given_back(own_hub: Hub, tab: Tab) -> None:
    one = own_hub.party("jonas.adler@")
    before = own_hub.entries(one)
    own_hub.signed_in(tab, "agent", path=f"/identity/parties/{one}")
    tab.click("checkbox", "Take jonas.adler+orders@quillon.example out")
    tab.follow("button", "Take the chosen ones out…")
    tab.sees("What would change", "Nothing has changed yet.")
    tab.follow("button", "Take them out")
    made = _decided(tab)
    assert own_hub.party("jonas.adler+orders@") != one
    tab.go(made)
    _undo(tab)
    assert own_hub.party("jonas.adler+orders@") == one
    assert own_hub.entries(one) == before


def test_a_viewer_is_not_asked(own_hub: Hub, tab: Tab) -> None:
    own_hub.signed_in(tab, "auditor", path="/identity")
    tab.sees("Anna Weber and Anna Weber: one or two?")
    assert not tab.has("button", "They are one")
