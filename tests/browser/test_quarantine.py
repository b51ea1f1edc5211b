"""A record that could not be taken in, taken in again from a page once its connector reads it."""

import sqlalchemy as sa

from hub.store import tables as t
from tests.browser.hubs import UNREADABLE, Hub
from tests.browser.tab import Tab


def _tickets(hub: Hub) -> int:
    return int(hub.one(sa.select(sa.func.count()).select_from(t.item).where(t.item.c.kind == "ticket")))


def test_a_quarantined_record_is_replayed(own_hub: Hub, tab: Tab) -> None:
    before = _tickets(own_hub)
    own_hub.signed_in(tab, "operator", path="/health")
    tab.follow("link", "Quarantine")
    tab.sees(UNREADABLE, "1 record")
    [record] = tab.js("[...document.querySelectorAll('table a')].map((a) => a.innerText)")
    tab.follow("link", record)
    tab.sees("What would help")
    assert "created_at" not in tab.text, "an operator reads no message"
    tab.follow("button", "Take zendesk's quarantine in again")
    tab.sees("1 record tried again: 1 ", "Nothing is in quarantine")
    assert _tickets(own_hub) == before + 1
