"""Pages of health: what they show to whom, and what their forms do."""

import re
from datetime import timedelta
from typing import Any

import pytest
from acorn import Vendor
from emptying import empty
from estates import kept
from pages import HOSTILE, Site, text_of
from world import World, mail

from hub.access import roles
from hub.api import AuthError
from hub.store import Store, StoreLedger
from hub.web import health as pages

PAGES = ("/health", "/health/coverage", "/health/issues", "/health/connections/team", "/health/runs/1")
BROKEN = '{"reject": "no <b>date</b>"}'
NAME = "<i>odd</i> & record/7"


def estate(store: Store) -> World:
    """A team's tool with a gap, records that cannot be read, a refused sign-in and a brake; and one that is fine."""
    vendors = {"team": Vendor(), "fine": Vendor()}
    world = World(store, vendors, fine={"streams": ["mail"]}, team={"streams": ["mail", "parties"]})
    for n in range(14):
        vendors["team"].mail(mail(f"m{n:02}", minute=n))
    vendors["fine"].mail(mail("f1"))
    world.sync("fine", "team")
    world.clock.advance(7 * 86400)
    feed = vendors["team"].feeds["mail"]
    feed.hidden.add("late")
    vendors["team"].mail(mail("late"))
    vendors["team"].put_raw("mail", NAME, reject="no <b>date</b>")
    vendors["team"].put_raw("mail", "hostile", reject=HOSTILE)
    world.sync("team")
    for n in range(9):
        feed.records.pop(f"m{n:02}")
    vendors["team"].mail(mail("newest"))
    vendors["team"].expire()
    world.clock.advance(3600)
    world.sync("team", census=False)
    vendors["team"].trouble = [AuthError(f"revoked {HOSTILE}")]
    world.clock.advance(3600)
    world.sync("fine", "team", streams=["mail"], census=False)
    return world


@pytest.fixture
def troubled(_sqlite_store: Store) -> Site:
    return Site(kept(_sqlite_store, "health pages", estate))


@pytest.fixture
def own_troubled(_sqlite_store: Store) -> Site:
    empty(_sqlite_store)
    return Site(estate(_sqlite_store))


@pytest.mark.parametrize("role", roles.ROLES)
def test_health_is_for_everybody_and_quarantine_for_who_runs_the_hub(troubled: Site, role: str) -> None:
    browser = troubled.client(role)
    for path in PAGES:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert HOSTILE not in answer.text
        assert len(answer.content) < 150_000
        assert not re.search(r"\sstyle=|\son\w+=", answer.text.replace("&lt;img src=x onerror", ""))
    is_theirs = roles.QUARANTINE_REPLAY in roles.allowed([role])
    assert ("/health/quarantine" in browser.get("/health").text) == is_theirs
    wanted = 200 if is_theirs else 403
    assert browser.get("/health/quarantine").status_code == wanted
    for path in ("/health/connections/fine/replay", "/health/connections/fine/sync", "/health/holds/9999/keep"):
        assert browser.post(path).status_code in ({303, 404} if is_theirs else {403}), path
    raw = browser.get(record("team", "mail", NAME))
    assert ("&#34;reject&#34;" in raw.text) == (role == "admin")
    assert raw.status_code == wanted


def record(connection: str, stream: str, external_id: str) -> str:
    from hub.web.words import url_of

    return url_of("/health/quarantine/record", connection=connection, stream=stream, id=external_id)


def test_the_first_page_says_how_it_stands_and_what_to_do(troubled: Site) -> None:
    page = troubled.client("viewer").get("/health")
    text = text_of(page)
    assert "needs-reconnect Sign in to team again" in text
    assert "Connect the account again" in text
    assert "10 records held by the brake" in text
    assert "an operator or an admin" in text
    assert "<button" not in page.text.split("</header>")[1]
    assert text.index("team → mail needs-reconnect") < text.index("fine → mail healthy")
    assert HOSTILE in text  # as text
    operators = troubled.client("operator").get("/health")
    assert "Remove what is gone" in text_of(operators)
    assert ('href="/setup/connections/team"' in operators.text, 'href="/setup/connections/team"' in page.text) == (
        True,
        False,
    )


def test_a_hub_on_its_first_day(empty_site: Site) -> None:
    browser = empty_site.client()
    assert "Nothing is connected yet" in text_of(browser.get("/health"))
    assert "Nothing was read yet" in text_of(browser.get("/health/coverage"))
    assert "No open issues" in text_of(browser.get("/health/issues"))
    assert "Nothing is in quarantine" in text_of(browser.get("/health/quarantine"))
    for path in ("/health/connections/nowhere", "/health/runs/1", f"/health/runs/{2**70}", record("a", "b", "c")):
        assert browser.get(path).status_code == 404, path


def test_coverage_is_a_table_with_a_sign_for_each_state(troubled: Site) -> None:
    page = troubled.client("viewer").get("/health/coverage")
    table = page.text[page.text.index('<table class="table heat">') :]
    assert re.findall(r'<th scope="col"><abbr title="week of ([^"]+)">(\w+)<', table)[:2] == [
        ("9 Nov 2026", "W46"), ("2 Nov 2026", "W45"),
    ]  # fmt: skip
    row = re.search(r'<th scope="row"><a href="/health/connections/team">team</a> / mail</th>(.*?)</tr>', table, re.S)
    assert row
    assert re.findall(r'<td class="(\w+)">([^<]*)</td>', row[1])[:3] == [
        ("fetched", "94f"), ("whole", "100"), ("before", ""),
    ]  # fmt: skip
    assert "2026-W46 team / mail 1 0" in text_of(page)
    assert "Earlier weeks" not in page.text
    past = troubled.client("viewer").get("/health/coverage?until=2026-W40")
    assert "Later weeks" in past.text
    wrong = troubled.client("viewer").get("/health/coverage?until=x")
    assert wrong.status_code == 422
    assert "2026-W20" in text_of(wrong)


def test_what_cannot_be_counted_is_named_and_what_is_written_waits_aloud(own_site: Site) -> None:
    browser = own_site.client("operator")
    assert "desk / parties, mailbox / parties." in text_of(browser.get("/health/coverage"))
    own_site.world.plan()
    text = text_of(browser.get("/health"))
    assert "1 plan to look at" in text
    assert re.search(r"sor ← written to , plan \d+ draft waits for approval: \d+ due never", text)


def test_a_connection_and_its_runs(troubled: Site) -> None:
    browser = troubled.client("operator")
    page = browser.get("/health/connections/team")
    text = text_of(page)
    assert "Everything there is was read by" in text
    assert "The tool forgot on" in text
    assert "2 failed" in text
    assert "Sync now" in text
    assert "2 seen = 2 failed" in text or "seen = " in text
    run = re.search(r'href="(/health/runs/\d+)"', page.text)
    assert run
    shown = text_of(browser.get(run[1]))
    assert "Issue opened: sign-in" in shown
    assert "It met no records" in shown
    trouble = text_of(browser.get("/health/connections/team?show=trouble"))
    assert "needs-reconnect" in trouble
    assert browser.get("/health/connections/team?show=x").status_code == 422
    assert browser.get("/health/connections/team?before=1x").status_code == 422
    older = browser.get("/health/connections/team?before=2")
    assert older.status_code == 200
    assert "Streams</h2>" not in older.text


def test_a_run_has_its_books(troubled: Site) -> None:
    text = text_of(troubled.client("viewer").get("/health/runs/2"))
    assert "14 seen = 14 new. They balance." in text
    assert "gave something to the timeline for the first time" in text


def test_what_may_be_spent_is_told_as_a_bar(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from acorn import Acorn

    from hub.api import Budget

    now = own_site.world.clock.now()
    monkeypatch.setattr(Acorn, "budgets", lambda _: (Budget("hourly", 100, timedelta(hours=1)),))
    ledger = StoreLedger(own_site.world.store)
    ledger.take("acorn:desk", "hourly", now.replace(minute=0, second=0, microsecond=0), 38, 95)
    ledger.block("acorn:desk", "hourly", now + timedelta(minutes=5))
    page = own_site.client("viewer").get("/health/connections/desk")
    assert 'aria-label="hourly: 38 of 95 used"' in page.text
    assert "38 of 95 every 1 h" in text_of(page)
    assert "asked for a pause until" in text_of(page)


# --- acts -------------------------------------------------------------------------------------------------------------


def test_what_is_mended_is_taken_in_again(own_troubled: Site) -> None:
    browser = own_troubled.client("operator")
    page = browser.get("/health/quarantine")
    assert "team 2 records" in text_of(page)
    assert HOSTILE in text_of(page)
    assert "&lt;i&gt;odd" in page.text
    assert own_troubled.client("operator").get(record("team", "mail", NAME)).status_code == 200
    said = text_of(browser.follow(browser.post("/health/connections/team/replay", {"from": "quarantine"})))
    assert "2 records tried again: 0 could be read, 2 still cannot." in said
    assert "3 tries" in said or "2 tries" in said
    said = text_of(browser.follow(browser.post("/health/connections/fine/replay")))
    assert "There was nothing to take in again." in said
    assert browser.post("/health/connections/nowhere/replay").status_code == 404


def test_a_sync_from_the_page_says_what_came(own_troubled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = own_troubled.client("operator")
    own_troubled.world.vendors["fine"].mail(mail("f2"))
    said = text_of(browser.follow(browser.post("/health/connections/fine/sync")))
    assert "fine is healthy: " in said
    assert "1 new" in said
    own_troubled.world.vendors["team"].trouble = [AuthError("still revoked")]
    said = text_of(browser.follow(browser.post("/health/connections/team/sync")))
    assert "team is needs-reconnect" in said
    monkeypatch.setattr(pages, "WAIT_S", 0.0)
    said = text_of(browser.follow(browser.post("/health/connections/fine/sync")))
    assert "this page shows what has come in so far" in said
    assert browser.post("/health/connections/nowhere/sync").status_code == 404


@pytest.mark.parametrize(("word", "said"), [("release", "9 records removed"), ("keep", "All these records stay")])
def test_a_person_decides_what_the_brake_holds(own_troubled: Site, word: str, said: str) -> None:
    browser = own_troubled.client("operator")
    found: Any = re.search(rf'action="(/health/holds/\d+/{word})"', browser.get("/health").text)
    shown = text_of(browser.follow(browser.post(found[1])))
    assert said in shown
    assert "held by the brake" not in shown.lower().replace("held by the brake:", "")
    assert browser.post(found[1]).status_code == 404
