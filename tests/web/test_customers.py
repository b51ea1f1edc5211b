"""Customers: found, the four answers, the timeline and its filters, folding and gaps, an entry's reasons, its text."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from pages import HOSTILE, KAY, KIM, Site, text_of
from world import START, mail

from hub.api import Deal, FakeClock, Identifier, Organization, Task
from hub.store import tables as t
from hub.web.entries import days, outside, reason, who


@pytest.fixture
def site(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Two hours later: nothing of the estate is still ahead."""
    monkeypatch.setattr(site.engine, "clock", FakeClock(START + timedelta(hours=2)))
    return site


@pytest.fixture
def own_site(own_site: Site) -> Site:
    own_site.world.clock.advance(2 * 3600)
    return own_site


def kays(site: Site, query: str = "", role: str = "admin", **headers: str) -> httpx.Response:
    return site.client(role).get(f"/customers/{site.party('Kay Hill')}{query}", **headers)


# --- finding ----------------------------------------------------------------------------------------------------------


def test_who_was_in_touch_lately(site: Site) -> None:
    page = site.client("viewer").get("/")
    told = text_of(page)
    assert page.status_code == 200
    assert told.index("Your order") < told.index("Kim Reed")
    assert f'href="/customers/{site.party("Kay Hill")}"' in page.text
    assert "It is on its way." in told


def test_a_new_hub_says_what_to_do_next(empty_site: Site) -> None:
    told = empty_site.client("admin").get("/")
    assert "No tool is connected yet" in told.text
    assert 'href="/setup"' in told.text
    told = empty_site.client("viewer").get("/customers")
    assert "An operator or admin can connect" in told.text
    assert 'href="/setup"' not in told.text


def test_people_are_found_without_a_script(site: Site) -> None:
    page = site.client("viewer").get("/customers?q=kay")
    assert 'id="found-1"' in page.text
    assert f'<a class="hit-name" href="/customers/{site.party("Kay Hill")}" data-result>Kay Hill</a>' in page.text
    assert "Nothing fits" in text_of(site.client("viewer").get("/customers?q=xyzzy"))


def test_words_in_messages_are_for_who_may_read_them(site: Site) -> None:
    told = text_of(site.client("agent").get("/customers?q=crates"))
    assert "In messages" in told
    assert "Twelve crates" in told
    within = site.client("agent").get(f"/customers?q=crates&in={site.party('Kay Hill')}")
    assert "In messages with Kay Hill only" in text_of(within)
    assert "No message says that." in text_of(
        site.client("agent").get(f"/customers?q=crates&in={site.party('Kim Reed')}")
    )
    for role in ("operator", "auditor"):
        told = text_of(site.client(role).get("/customers?q=crates"))
        assert "Twelve crates" not in told
        assert "not the words" in told


# --- a customer -------------------------------------------------------------------------------------------------------


def test_the_four_answers_stand_on_top_with_their_sources(own_site: Site) -> None:
    site, world = own_site, own_site.world
    about, owner = (Identifier("email", KAY),), Identifier("email", "sam@ourco.example")
    desk = world.vendors["desk"]
    desk.put(
        "parties",
        "d1",
        Deal(external_id="d1", title="Crates", amount="1200.50", currency="EUR", about=about, owner=owner),
    )
    task = Task(
        external_id="t1", title="Call back", due_at=START, about=about, owner=owner, url="https://desk.example/t1"
    )
    desk.put("parties", "t1", task)
    world.vendors["mailbox"].mail(
        mail("late", KAY, minute=90, subject="One more thing", url="https://mail.example/late")
    )
    world.sync()
    page = kays(site)
    told = text_of(page)
    assert re.search(r"What was it about last\? One more thing .*From mailbox , read", told)
    assert '<a href="https://mail.example/late" rel="noopener noreferrer">mailbox</a>' in page.text
    assert "Who is responsible? sam@ourco.example" in told
    assert "owner of the deal 'Crates'" in told
    assert '<a href="https://desk.example/t1" rel="noopener noreferrer">Call back</a>' in page.text
    assert re.search(r"Call back overdue Task, 2 Nov 2026, 09:00 , sam@ourco.example From desk, read", told)
    assert "7 entries in 3 conversations, 2 Nov 2026 to 2 Nov 2026" in told
    assert "Open deal: Crates, 1200.50 EUR" in told
    assert "Fresh as of" in told
    assert len(page.content) < 150_000


def test_what_follows_one_another_in_a_conversation_is_folded(site: Site) -> None:
    page = kays(site)
    told = text_of(page)
    assert "4 earlier of the same conversation" in told
    assert page.text.count('<details class="fold">') == 1
    first = site.entry("Order")
    assert page.text.index("fold") < page.text.index(f"/entries/{first}")
    assert told.index("Your order") < told.index("Word 5.") < told.index("Twelve crates, please.")
    assert "from desk and mailbox" in told


def test_a_timeline_is_narrowed_and_each_filter_can_be_taken_away(site: Site) -> None:
    page = kays(site, "?direction=outbound&tool=mailbox")
    told = text_of(page)
    assert "Your order" in told.split("Timeline")[1]
    assert "Word 5." not in told
    kay = site.party("Kay Hill")
    assert f'href="/customers/{kay}?tool=mailbox"' in page.text
    assert f'href="/customers/{kay}?direction=outbound"' in page.text
    assert '<option value="outbound" selected>' in page.text
    assert "Nothing here fits" in text_of(kays(site, "?kind=call"))
    assert "Nothing here fits" in text_of(kays(site, f"?person={site.party('Kim Reed')}"))
    assert "with Kim Reed" in text_of(kays(site, f"?person={site.party('Kim Reed')}"))
    assert "Nothing here fits" in text_of(kays(site, "?since=2026-11-03"))
    assert "Word 5." in text_of(kays(site, "?since=2026-11-02"))


@pytest.mark.parametrize("query", ["?since=soon", "?before=soon", f"?before={'9' * 40}-1"])
def test_what_nobody_can_ask_is_refused_in_words(site: Site, query: str) -> None:
    page = kays(site, query)
    assert page.status_code == 422
    assert re.search("Since is no date|Before is no mark of a page", text_of(page))


def test_earlier_entries_come_by_a_link_or_as_a_part(own_site: Site) -> None:
    site = own_site
    for n in range(35):
        site.world.vendors["mailbox"].mail(mail(f"x{n}", KAY, minute=-60 * n - 60, subject=f"Old {n}"))
    site.world.sync()
    page = kays(site, "?direction=inbound")
    link = re.search(r'data-extend="#entries" href="([^"]+)"', page.text)
    assert link
    href = link[1].replace("&amp;", "&")
    assert "direction=inbound" in href
    whole, part = site.client().get(href), site.client().get(href, **{"hub-part": "entries"})
    assert "Old 34" in whole.text
    assert "Old 34" in part.text
    assert "<h1" in whole.text
    assert "<h1" not in part.text
    assert "Old 0" not in whole.text + part.text
    assert "data-extend" not in part.text


def test_gaps_are_drawn_where_they_are(own_site: Site) -> None:
    """Nothing came through for two days, and then a tool was disconnected."""
    site = own_site
    site.world.clock.advance(48 * 3600)
    site.world.vendors["mailbox"].mail(mail("new", KAY, minute=47 * 60, subject="After the gap"))
    site.world.sync("mailbox")
    with site.world.store.write() as c:
        early = int((START + timedelta(minutes=50)).timestamp() * 1e6)
        c.execute(sa.update(t.stream).values(window_since=early).where(t.stream.c.connection_id == 2))
    told = text_of(kays(site))
    order = (
        "After the gap",
        "Your order",
        "Gap: mailbox is read from",
        "Word 5",
        "Gap: nothing came through from desk",
        "Twelve",
    )
    assert re.search(".*".join(order), told.split("Timeline")[1])
    assert "Gap: nothing" not in text_of(kays(site, "?tool=mailbox"))
    with site.world.store.write() as c:
        c.execute(sa.update(t.connection).values(is_paused=True).where(t.connection.c.name == "desk"))
    assert "desk was disconnected; it was last read" in text_of(kays(site))


def test_a_company_lists_its_people(own_site: Site) -> None:
    site = own_site
    ids = (Identifier("acorn:companies", "c1"), Identifier("domain", "kestrel.example"))
    site.world.vendors["desk"].put("parties", "c1", Organization(external_id="c1", identifiers=ids, name="Kestrel Ltd"))
    site.world.sync("desk")
    page = site.client("viewer").get(f"/customers/{site.party('Kestrel Ltd')}")
    assert re.search(r"People 2 Kay Hill .*Kim Reed", text_of(page))
    assert f'<option value="{site.party("Kim Reed")}">Kim Reed</option>' in page.text
    assert "Person at Kestrel Ltd" in text_of(kays(site))


def test_who_may_not_read_messages_sees_the_timeline_without_them(site: Site) -> None:
    for role in ("operator", "auditor"):
        told = text_of(kays(site, role=role))
        assert "not the words" in told
        assert "Re: Order" in told
        assert "Twelve crates" not in told
        assert "Word 5" not in told
        assert "Whole text" not in told
        assert site.client(role).get(f"/entries/{site.entry('Order')}/text").status_code == 403
        told = text_of(site.client(role).get(f"/entries/{site.entry('Order')}"))
        assert "not the words" in told
        assert "Twelve" not in told


def test_what_is_not_there_is_said_so(site: Site) -> None:
    for path in ("/customers/nobody", "/entries/nothing", "/entries/nothing/text", "/entries/nothing/conversation"):
        assert site.client().get(path).status_code == 404
        assert site.stranger().get(path).headers["location"].startswith("/sign-in?next=")


# --- an entry ---------------------------------------------------------------------------------------------------------


def test_why_an_entry_is_here(site: Site) -> None:
    page = site.client("viewer").get(f"/entries/{site.entry('Order')}")
    told = text_of(page)
    assert re.search(r"Where it comes from desk / mail New, first seen .* mailbox / mail Duplicate", told)
    assert "Why these are one entry All that carry message-id:<m1> are one." in told
    assert re.search(r"Kay Hill from kay@kestrel\.example one person's own", told)
    assert "5 entries, 2 Nov 2026 to 2 Nov 2026" in told
    assert f'<iframe class="text" sandbox src="/entries/{site.entry("Order")}/text"' in page.text
    assert "Nothing was planned for the system of record." in told


def test_what_was_written_of_an_entry(own_site: Site) -> None:
    own_site.world.settle()
    page = own_site.client("agent").get(f"/entries/{own_site.entry('Order')}")
    assert '<a href="/plans/1">Plan 1</a>' in page.text
    assert re.search(r"create at sor created There it is o\d+ Attempt 1: sent .*answered created", text_of(page))
    assert '<a href="/plans/1">' not in own_site.client("viewer").get(f"/entries/{own_site.entry('Order')}").text


def test_a_conversation_is_read_from_the_beginning_page_by_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("hub.web.customers.CONVERSATION", 3)
    path = f"/entries/{site.entry('Order')}/conversation"
    page = site.client().get(path)
    assert text_of(page).index("Twelve crates") < text_of(page).index("Word 2.") < text_of(page).index("Word 3.")
    assert "Word 4." not in page.text
    link = re.search(r'data-extend="#entries" href="([^"]+)"', page.text)
    assert link
    rest = text_of(site.client().get(link[1]))
    assert rest.index("Word 4.") < rest.index("Word 5.")
    assert "Later" not in rest


# --- texts of strangers -----------------------------------------------------------------------------------------------


def test_the_text_has_a_policy_of_its_own_in_which_nothing_runs_or_loads(site: Site) -> None:
    page = site.client().get(f"/entries/{site.entry('Order')}/text")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "; sandbox;" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert "<p>Twelve crates, please.</p>" in page.text
    assert re.search(r"<details>.*Twelve crates, please\.\n\n&gt; older words</p></details>", page.text, re.S)


def test_hostile_text_is_text_wherever_it_shows(site: Site) -> None:
    hostile, kim = site.entry(HOSTILE), site.party("Kim Reed")
    paths = [
        "/",
        f"/customers/{kim}",
        f"/entries/{hostile}",
        f"/entries/{hostile}/text",
        f"/entries/{hostile}/conversation",
    ]
    paths += [
        "/customers?q=%3Cscript%3Ealert(%22x%22)",
        f"/customers?q=onerror&in={kim}",
        f"/customers/{kim}?tool=%22%3E%3Cscript%3E",
    ]
    for path in paths:
        page = site.client().get(path)
        assert page.status_code == 200, path
        assert "<script>" not in page.text, path
        assert "<img src=x" not in page.text, path
        assert " onerror=" not in re.sub(r"&lt;.*?&gt;", "", page.text), path
        assert "style=" not in page.text, path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://mail.example/1", "https://mail.example/1"), ("HTTP://mail.example/", "HTTP://mail.example/"), ("", ""),
        ("javascript:alert(1)", ""), ("data:text/html,x", ""), ("//mail.example/", ""), ("https:", ""), ("http://[", ""),
    ],
)  # fmt: skip
def test_only_web_addresses_become_links(url: str, shown: str) -> None:
    assert outside(url) == shown


# --- shaping ----------------------------------------------------------------------------------------------------------


def person(name: str, role: str) -> dict[str, Any]:
    return {"name": name, "role": role, "answer": "", "kind": "person"}


def entry(minute: int, conversation: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "public_id": str(minute), "at": START + timedelta(minutes=minute), "all_day": None, "all_day_last": None, "people": [],
        "kind": "message", "sources": [], "conversation": conversation, **more,
    }  # fmt: skip


def test_who_wrote_to_whom_is_short() -> None:
    many = [person("Ana", "from"), person("Ana", "cc"), *(person(n, "to") for n in ("Bo", "Cy", "Di", "Ed"))]
    assert who({"kind": "message", "people": many}) == "Ana to Bo, Cy +2"
    assert who({"kind": "meeting", "people": many[:3]}) == "Ana with Bo"
    assert who({"kind": "note", "people": [person("Ana", "about")]}) == "Ana"
    assert who({"kind": "note", "people": []}) == ""


def test_days_break_at_midnight_of_the_hub_at_now_and_at_gaps_but_not_within_a_conversation() -> None:
    gap = {"since": START + timedelta(minutes=25), "until": None, "why": "behind"}
    found = [
        entry(n, c)
        for n, c in ((60, 1), (50, 1), (40, 2), (30, None), (20, None), (10, 3), (-10 * 60, 3), (-11 * 60, 4))
    ]
    blocks = days(found, [gap], START + timedelta(minutes=55), UTC, "", has_more=False)
    shape = [
        "gap" if "gap" in b else [(e["public_id"], [m["public_id"] for m in e["more"]]) for e in b["entries"]]
        for b in blocks
    ]
    assert shape == [
        [("60", [])], [("50", []), ("40", []), ("30", [])], "gap", [("20", []), ("10", ["-600"])], [("-660", [])],
    ]  # fmt: skip
    assert [b["is_ahead"] for b in blocks if "day" in b] == [True, False, False, False]


def test_a_gap_is_drawn_once_over_all_pages() -> None:
    at = {n: START + timedelta(minutes=n) for n in (0, 30)}
    gaps = [
        {"since": None, "until": None, "why": "unread"}, {"since": at[30], "until": None, "why": "behind"},
        {"since": None, "until": at[0], "why": "before"},
    ]  # fmt: skip

    def drawn(minute: int, mark: str, has_more: bool) -> list[str]:
        return [b["gap"]["why"] for b in days([entry(minute)], gaps, at[30], UTC, mark, has_more) if "gap" in b]

    def mark(minute: int) -> str:
        return f"{int((START + timedelta(minutes=minute)).timestamp() * 1e6)}-1"

    assert drawn(40, "", has_more=True) == ["unread"]
    assert drawn(20, mark(40), has_more=True) == ["behind"]
    assert drawn(10, mark(20), has_more=False) == ["before"]
    assert drawn(-5, mark(10), has_more=False) == ["before"]


def test_whole_days_are_one_day_in_every_zone() -> None:
    late = entry(0, all_day="2026-11-03", all_day_last="2026-11-05", at=datetime(2026, 11, 2, 23, tzinfo=UTC))
    row = days([late], [], START, UTC, "", has_more=False)[0]["entries"][0]
    assert (str(row["day"]), row["clock"], str(row["last_day"])) == ("2026-11-03", "", "2026-11-05")


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ("same address", "same address"), ({"field": "name", "level": "equal", "value": "Kay"}, "equal (name, Kay)"),
        ({"field": "name", "level": "close", "weight": 3.21}, "name close +3.2"), ({"field": "without", "level": "x"}, ""),
    ],
)  # fmt: skip
def test_reasons_of_decisions_in_words(noted: Any, told: str) -> None:
    assert reason(noted) == told


def test_kim_is_only_herself(site: Site) -> None:
    told = text_of(site.client().get(f"/customers/{site.party('Kim Reed')}"))
    assert KIM in told
    assert KAY not in told
