"""Plans as pages: looked at, decided, made and taken back, by who may, with what a person has to know before."""

import asyncio
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from pages import HOSTILE, KAY, Site, text_of
from world import START, World, mail, who

from hub import outbox
from hub.access import Sees, Viewer, roles
from hub.api import Consent, Identifier, Merge, Person, Receipt, Task
from hub.engine import push
from hub.service import Desk, customers, plans, proposals
from hub.store import tables as t
from hub.web import plans as pages


def proposed(site: Site, role: str = "admin") -> str:
    """The path of a plan made through the page."""
    answer = site.client(role).post("/plans", {"destination": "sor"})
    assert answer.status_code == 303, text_of(answer)
    return str(answer.headers["location"])


def test_a_plan_from_the_first_look_to_taking_it_back(own_site: Site) -> None:
    browser, sor = own_site.client("operator"), own_site.world.vendors["sor"]
    assert "No plan yet" in text_of(browser.get("/plans"))
    path = proposed(own_site)
    page = text_of(browser.get(path))
    assert "waits for approval" in page
    assert "Create interaction: Order" in page
    assert "Create person: Kay Hill" in page
    assert "at least 3 calls" in page or "at least 3" in page
    assert "Filed under Kay Hill" in page
    assert "Approve all" in page
    assert not sor.objects
    assert "Approved" in text_of(browser.follow(browser.post(f"{path}/approve")))
    done = browser.post(f"{path}/apply")
    written = len(sor.objects)
    assert f"Written: {written} created" in text_of(browser.follow(done))
    page = browser.get(path)
    shown = re.search(r'Created\s+<span class="mono">([^<]+)</span>', page.text)
    assert shown
    assert shown[1] in sor.objects  # the receipt
    assert "Approve all" not in text_of(page)
    assert f"Taken back: {written} deleted" in text_of(browser.follow(browser.post(f"{path}/undo")))
    assert not sor.objects
    assert "taken back" in text_of(browser.get("/plans"))


def test_what_changes_is_shown_beside_what_stood_there(own_site: Site) -> None:
    browser, world = own_site.client(), own_site.world
    path = proposed(own_site)
    browser.post(f"{path}/approve")
    browser.post(f"{path}/apply")
    for name in ("mailbox", "desk"):
        world.vendors[name].mail(mail("m1", KAY, subject="Order, again", text="Fourteen crates, please."))
    world.sync()
    page = browser.get(proposed(own_site))
    row = re.search(
        r'<th scope="row">Text</th><td class="long before">(.*?)</td><td class="long">(.*?)</td>', page.text
    )
    assert row
    assert row.groups() == ("Twelve crates, please.", "Fourteen crates, please.")
    assert '<th scope="row">People</th>' not in page.text  # they stay
    assert "other fields stay" in text_of(page)
    hidden = text_of(own_site.client("operator").get(page.url.path))
    assert "crates" not in hidden
    assert "(24 characters)" in hidden


def test_a_brake_and_a_refusal_are_explained(own_site: Site) -> None:
    browser, world = own_site.client(), own_site.world
    world.vendors["sor"].refuse[own_site.entry("Order")] = "too long for this field"
    path = proposed(own_site)
    browser.post(f"{path}/approve")
    assert "1 refused" in text_of(browser.follow(browser.post(f"{path}/apply")))
    page = text_of(browser.get(path))
    assert "written in part" in page
    assert "too long for this field Order" in page
    assert "look what is due" in page
    only = text_of(browser.get(f"{path}?state=failed"))
    assert "Create interaction: Order" in only
    assert "Create person" not in only
    assert "No such change" in text_of(browser.get(f"{path}?state=sent"))


def test_what_cannot_be_done_is_said_on_the_plan_s_own_page(own_site: Site) -> None:
    browser, path = own_site.client(), proposed(own_site)
    assert "Rejected" in text_of(browser.follow(browser.post(f"{path}/reject")))
    for verb in ("approve", "reject", "apply", "undo"):
        answer = browser.post(f"{path}/{verb}")
        assert answer.status_code == 409, verb
        page = text_of(answer)
        assert "is rejected" in page
        assert "Create person: Kay Hill" in page
    assert browser.get("/plans/4711").status_code == 404
    assert browser.post("/plans/4711/approve").status_code == 404
    assert browser.get(f"{path}?after=x").status_code == 422
    assert browser.post("/plans", {"destination": "desk"}).status_code == 404


def test_yes_and_undo_ask_whether_it_is_still_you(own_site: Site) -> None:
    browser, path = own_site.client(), proposed(own_site)
    own_site.world.clock.advance(601)
    for verb in ("approve", "undo"):
        answer = browser.post(f"{path}/{verb}")
        assert answer.status_code == 403
        assert "Is it still you?" in text_of(answer)
    assert "waits for approval" in text_of(browser.get(path))


def test_pages_of_changes_follow_each_other(own_site: Site) -> None:
    for n in range(30):
        own_site.world.vendors["mailbox"].mail(mail(f"x{n}", KAY, minute=100 + n, subject=f"Note {n:02}"))
    own_site.world.sync("mailbox")
    browser, path = own_site.client(), proposed(own_site)
    seen: list[str] = []
    at = f"{path}?effect=create"
    while at:
        page = browser.get(at)
        assert len(page.content) < 150_000
        seen += re.findall(r'<article class="card change" aria-labelledby="(c\d+)"', page.text)
        more = re.search(r'<a class="button" href="([^"]+)#changes" rel="next"', page.text)
        at = more[1].replace("&amp;", "&") if more else ""
    with own_site.world.store.read() as c:
        assert len(seen) == len(set(seen)) == c.execute(sa.select(sa.func.count()).select_from(t.change)).scalar()


def test_who_may_look_propose_and_decide(own_site: Site) -> None:
    proposed(own_site, "agent")
    for role, look, propose, decide in (
        ("viewer", 403, 403, 403), ("auditor", 200, 403, 403), ("agent", 200, 303, 403), ("operator", 200, 303, 303),
    ):  # fmt: skip
        browser, path = own_site.client(role), proposed(own_site)
        assert browser.get("/plans").status_code == browser.get(path).status_code == look, role
        assert ("Look what is due" in text_of(browser.get("/plans"))) == (propose == 303), role
        assert ("Approve all" in text_of(browser.get(path))) == (decide == 303), role
        assert browser.post(f"{path}/reject").status_code == decide, role
        for verb in ("approve", "apply", "undo"):
            assert (browser.post(f"{path}/{verb}").status_code == 403) == (decide == 403), (role, verb)
        assert browser.post("/plans", {"destination": "sor"}).status_code == propose, role


def test_what_strangers_wrote_is_text(own_site: Site) -> None:
    page = own_site.client().get(proposed(own_site))
    assert HOSTILE not in page.text
    assert "&lt;script&gt;alert(" in page.text
    assert not re.search(r"<style|<[^>]*\s(style|on[a-z]+)=", page.text)


def test_the_first_day(empty_site: Site) -> None:
    browser = empty_site.client()
    assert "Nothing is written anywhere yet" in text_of(browser.get("/plans"))
    answer = browser.post("/plans", {"destination": ""})
    assert answer.status_code == 409
    assert "no system of record is chosen" in text_of(answer)


def test_a_private_mailbox_is_planned_and_its_words_are_its_owner_s(own_site: Site) -> None:
    """Somebody else approves that it is written, and is shown no word of it."""
    store = own_site.world.store
    with store.write() as c:
        c.execute(
            sa.update(t.connection)
            .where(t.connection.c.name == "mailbox")
            .values(is_private=True, owner="ana@ourco.example")
        )
    own_site.world.vendors["mailbox"].mail(
        mail(
            "secret",
            "doctor@clinic.example",
            subject="canary",
            participants=(who("doctor@clinic.example", "from"), who(KAY, "to")),
        )
    )
    own_site.world.sync("mailbox")
    number = int(proposed(own_site).rpartition("/")[2])

    def told(email: str) -> str:
        desk = Desk(own_site.engine, Viewer(1, email, roles.ALL, Sees(email), "u1"))
        return str((plans.review(desk, number, 200), plans.plan(desk, number)))

    assert "canary" in told("ana@ourco.example")
    assert "doctor@clinic.example" in told("ana@ourco.example")
    others = told("ben@ourco.example")
    assert "canary" not in others
    assert "clinic" not in others
    assert "Not shown to you" in others
    assert "Order" in others  # the team has it, too


@pytest.mark.parametrize("requests", [0, 150])
def test_the_cost_is_what_was_measured_and_never_made_up(own_site: Site, requests: int) -> None:
    path = proposed(own_site)
    number = int(path.rpartition("/")[2])
    with own_site.world.store.write() as c:
        of = c.execute(sa.select(t.connection.c.id).where(t.connection.c.name == "sor")).scalar()
        run = {
            "connection_id": of,
            "kind": "push",
            "started_at": 0,
            "ended_at": 60_000_000,
            "seen": 100,
            "requests": requests,
        }
        c.execute(sa.insert(t.run).values(**run))
    found = plans.review(own_site.desk(), number)
    page = text_of(own_site.client().get(path))
    if requests:
        assert found["cost"]["calls"] == round(1.5 * found["changes"])
        assert found["cost"]["seconds"] == pytest.approx(0.6 * found["changes"])
        assert "Measured at the last 100 changes" in page
    else:
        assert (found["cost"]["calls"], found["cost"]["seconds"]) == (None, None)
        assert "not known yet" in page


def test_every_kind_of_change_is_told_in_words(empty_site: Site) -> None:
    """Tasks, opt-outs, fields, what an assistant proposed, and a tool's own duplicates."""
    vendors = {"desk": Vendor(), "sor": Vendor()}
    world = World(
        empty_site.world.store, vendors, sor="sor", system_of_record={"push": ["person", "organization", "interaction", "task"]},
        consent={"write_to": ["sor"]}, fields={"person": {"city": {"owner": "desk", "write_to": ["sor"]}}},
    )  # fmt: skip
    ids = (Identifier("email", KAY),)
    no = Consent(
        external_id="c1", identifier=ids[0], channel="email", state="opted_out", at=START, evidence="told us so"
    )
    task = Task(external_id="t1", title="Send the offer", about=ids, due_at=START + timedelta(days=2))
    vendors["desk"].put(
        "parties", "k", Person(external_id="k", identifiers=ids, name="Kay Hill", fields={"city": "Ulm"}), no
    )
    vendors["desk"].put("parties", "t1", task)
    for key, city in (("s1", "Bonn"), ("s2", "Ulm")):
        own = Identifier("acorn:sor", key)
        person = Person(external_id=key, identifiers=(own, *ids), name="Kay Hill", fields={"city": city})
        vendors["sor"].put("parties", key, person)
    world.sync()
    site = Site(world)
    page = text_of(site.client().get(proposed(site)))
    for told in (
        "Create task: Send the offer",
        "Title Send the offer Due 4 Nov 2026",
        f"Update opt-out: {KAY}",
        "City Bonn Ulm",
    ):
        assert told in page
    world.settle()
    desk, kay = site.desk(), site.party("Kay Hill")
    step = proposals.propose_step(
        desk, kay, "Call Kay", START + timedelta(days=3), expected_version=proposals.version(customers.brief(desk, kay)), key="k1"
    )  # fmt: skip
    path, browser = f"/plans/{step['plan']}", site.client()
    page = browser.get(path)
    assert "An assistant that works for" in text_of(page)
    nonce = re.search(r'name="nonce" value="(\w+)"', page.text)
    assert nonce
    assert browser.post(f"{path}/approve").status_code == 409
    assert "Approved" in text_of(browser.follow(browser.post(f"{path}/approve", {"nonce": nonce[1]})))
    assert 'name="nonce"' not in site.client("agent").get(path).text

    rows = world.all(
        sa.select(t.record.c.id, t.record.c.external_id, t.record.c.hash, t.stream.c.connection_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(t.record.c.external_id.in_(("s1", "s2")), t.connection.c.name == "sor")
        .order_by(t.record.c.external_id)
    )
    stays, absorbs = ({"id": n, "external_id": ext, "hash": mark} for n, ext, mark, _ in rows)
    pair = {
        "stream": "parties",
        "kind": "person",
        "name": "Kay Hill",
        "stays": stays,
        "absorbs": absorbs,
        "why": "a person said so",
        "because": ["same address"],
    }
    with world.store.write() as c:
        merges = outbox.make_merges(
            c, rows[0][3], [pair], {"parties": Merge(calls=3, fills=True)}, world.clock.now(), 100.0, 100
        )
    page = text_of(site.client().get(f"/plans/{merges.id}"))
    assert "s2 becomes part of s1 (parties). a person said so" in page
    assert "cannot be taken back" not in page  # nothing was merged yet
    push.approve(world.engine, merges.id, "tests")
    assert "What was merged there cannot be taken back." in text_of(site.client().get(f"/plans/{merges.id}"))


def test_what_takes_long_goes_on_without_whoever_asked(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, path, sor = own_site.client(), proposed(own_site), own_site.world.vendors["sor"]
    browser.post(f"{path}/approve")

    async def stalls(*_: object) -> list[Receipt]:
        await asyncio.Event().wait()
        return []

    with monkeypatch.context() as patched:
        patched.setattr(Acorn, "push", stalls)
        patched.setattr(pages, "_PATIENCE_S", 0.0)
        answer = browser.post(f"{path}/apply")  # the test's loop ends with its request, as a process would
    assert "It is being written. This page says how far it is" in text_of(browser.follow(answer))
    assert not sor.objects
    assert "Written:" in text_of(browser.follow(browser.post(f"{path}/apply")))
    assert len(sor.held()) == len(sor.objects) > 0  # each once
