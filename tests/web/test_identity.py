"""Who is who as pages: asked, looked at from both sides, decided, undone; and everything shown before it is done."""

import html
import re

import httpx
import pytest
from acorn import Vendor
from emptying import empty
from estates import kept
from pages import HOSTILE, Site, text_of
from world import World, mail

from hub.api import Identifier, Person
from hub.service import customers, who
from hub.store import Store
from hub.web import identity


def person(tool: str, number: str, name: str, *addresses: str) -> Person:
    ids = (Identifier(tool, number), *(Identifier("email", a) for a in addresses))
    return Person(external_id=number, identifiers=ids, name=name)


def asked(store: Store) -> World:
    """Two Eva Steins and two Holms nobody can be sure of, Bo with two addresses, Carl with a hostile name."""
    crm, desk = Vendor(), Vendor()
    crm.put("parties", "2", person("acorn:crm", "2", "Bo Lee", "bo@kestrel.example", "bo.lee@home.example"))
    crm.put("parties", "3", person("acorn:crm", "3", HOSTILE, "carl@finch.example"))
    crm.put("parties", "4", person("acorn:crm", "4", "Eva Stein", "eva@oak.example"))
    crm.put("parties", "5", person("acorn:crm", "5", "Jane Holm", "j.holm@oak.example"))
    desk.put("parties", "u4", person("acorn:desk", "u4", "Eva Stein", "eva.stein@oak.example"))
    desk.put("parties", "u5", person("acorn:desk", "u5", "John Holm", "j.holm@oak.example"))
    crm.mail(mail("m1", "bo@kestrel.example"))
    world = World(store, {"crm": crm, "desk": desk})
    world.sync()
    return world


@pytest.fixture
def hall(_sqlite_store: Store) -> Site:
    """Only looked at."""
    return Site(kept(_sqlite_store, "web-identity", asked))


@pytest.fixture
def own_hall(_sqlite_store: Store) -> Site:
    empty(_sqlite_store)
    return Site(asked(_sqlite_store))


def review(site: Site, name: str) -> int:
    found = [q for q in who.queue(site.desk())["questions"] if q["left"]["name"] == name]
    return int(found[0]["review"])


def names(site: Site) -> set[str]:
    return {p["public_id"] for p in customers.search(site.desk(), "Eva Stein")}


def button(page: httpx.Response, text: str) -> dict[str, str | list[str]]:
    """The fields that the form with this button sends."""
    form = next(f for f in re.findall(r"(?s)<form.*?</form>", page.text) if f">{text}</button>" in f)
    found: dict[str, str | list[str]] = {}
    for tag in re.findall(r'<input type="hidden"[^>]*>|<button[^>]*>' + text, form):
        field = dict(re.findall(r'(name|value)="([^"]*)"', tag))
        if "name" in field and field["name"] != "csrf":
            found[field["name"]] = [*found.get(field["name"], []), html.unescape(field["value"])]
    return found


def test_a_question_shows_both_sides_and_the_evidence_in_words(hall: Site) -> None:
    page = hall.client("auditor").get("/identity")
    text = text_of(page)
    assert "2 questions for a person" in text
    assert "Name Eva Stein Eva Stein the same" in text
    assert "Addresses eva.stein@oak.example eva@oak.example differs" in text
    assert re.search(r"Employer oak oak same \+\d\.\d for", text)
    assert "-1.9 against" in text
    assert "Without the name they would be two" in text
    assert "They are one" not in text  # an auditor looks
    assert not re.search(r"<style|<[^>]*\s(style|on[a-z]+)=", page.text)
    only = text_of(hall.client().get("/identity?rule=one-record"))
    assert "John Holm and Jane Holm: one or two?" in only
    assert "Eva Stein and Eva Stein" not in only


def test_the_bars_of_the_evidence_add_up() -> None:
    found = identity.waterfall(
        [{"field": n, "counts": c} for n, c in (("prior", -10.0), ("name", 25.0), ("born", -5.0))]
    )
    assert [(s["at"], s["wide"], s["word"]) for s in found["steps"]] == [
        (0.0, 40.0, "against"), (0.0, 100.0, "for"), (80.0, 20.0, "against"),
    ]  # fmt: skip
    assert (found["zero"], found["total"]) == (40.0, 10.0)
    assert identity.waterfall([]) == {"steps": [], "zero": 0.0, "total": 0.0}


def test_what_would_follow_is_seen_before_anything_does(hall: Site) -> None:
    browser, number = hall.client(), review(hall, "Eva Stein")
    part = browser.get(f"/identity/questions/{number}", **{"hub-part": "follows"})
    assert part.text.lstrip().startswith("<div")
    assert "eva.stein@oak.example from Eva Stein" in text_of(part)
    assert "Nobody gains or loses an address" in text_of(part)
    assert "What would follow" not in text_of(hall.client("auditor").get("/identity"))
    assert len(names(hall)) == 2


def test_an_answer_from_the_queue_and_taking_it_back(own_hall: Site) -> None:
    browser, number = own_hall.client("agent"), review(own_hall, "Eva Stein")
    answer = browser.post(
        "/identity/decide", {"act": "accept", "what": str(number), "then": "queue", "rule": "weighed"}
    )
    assert len(names(own_hall)) == 1
    page = browser.follow(answer)
    assert "Agent joined Eva Stein" in text_of(page)
    undo = re.search(r'class="button" href="(/identity/preview\?act=undo&amp;what=\d+)"', page.text)
    assert undo
    shown = browser.get(html.unescape(undo[1]))
    assert "What would change" in text_of(shown)
    assert len(names(own_hall)) == 1  # looked at
    done = browser.follow(browser.post("/identity/decide", button(shown, "Take it back")))
    assert "took back act" in text_of(done)
    assert "It cannot be undone: it took another one back" in text_of(done)
    assert len(names(own_hall)) == 2
    assert number in {q["review"] for q in who.queue(own_hall.desk())["questions"]}  # asked again


def test_taking_apart_and_joining_again(own_hall: Site) -> None:
    browser, bo = own_hall.client(), own_hall.party("Bo Lee")
    page = browser.get(f"/identity/parties/{bo}")
    assert 'name="what" value="crm/parties/2"' in page.text
    shown = browser.get("/identity/preview?act=split&what=bo.lee@home.example")
    assert "(of their own from then on) gets bo.lee@home.example from Bo Lee" in text_of(shown)
    form = button(shown, "Take them out") | {"why": "his brother's"}
    act = browser.post("/identity/decide", form).headers["location"]
    assert "his brother" in text_of(browser.get(act))
    other = customers.search(own_hall.desk(), "bo.lee@home.example")[0]["public_id"]
    assert other != bo
    found = browser.get(f"/identity/parties/{bo}?find=bo.lee@home.example")
    assert f"/identity/preview?act=merge&amp;what={bo}&amp;what={other}" in found.text
    shown = browser.get(f"/identity/preview?act=merge&what={bo}&what={other}")
    browser.post("/identity/decide", button(shown, "Join them"))
    assert customers.search(own_hall.desk(), "bo.lee@home.example")[0]["public_id"] == bo
    history = text_of(browser.get("/identity/acts"))
    assert history.index("Admin joined") < history.index("Admin held apart")
    assert "his brother" in text_of(browser.get(f"/identity/parties/{bo}"))
    jane = own_hall.party("Jane Holm")
    shown = browser.get(f"/identity/preview?act=different&what={bo}&what={jane}")
    browser.post("/identity/decide", button(shown, "Hold them apart"))
    apart = text_of(browser.get("/identity/why?a=bo@kestrel.example&b=j.holm@oak.example"))
    assert "are two: a person said so" in apart
    assert "Admin said that" in apart


def test_what_cannot_be_is_said_on_the_page(hall: Site) -> None:
    browser, bo = hall.client(), hall.party("Bo Lee")
    for query, status, told in (
        (f"act=merge&what={bo}&what={bo}", 409, "they are one already"),
        ("act=split", 422, "split takes addresses or ids of one party"),
        ("act=split&what=bo@kestrel.example&what=bo.lee@home.example&what=crm/parties/2", 409, "nobody would be left"),
        ("act=accept&what=4711", 409, "4711"), ("act=undo&what=x", 422, "undo takes one number"), ("act=burn", 404, "no such act"),
        ("act=merge&what=nobody&what=nobody", 404, "no person or organization"),
    ):  # fmt: skip
        answer = browser.get(f"/identity/preview?{query}")
        assert answer.status_code == status, (query, text_of(answer))
        assert told in text_of(answer)
        assert "Nothing has changed yet" not in text_of(answer)
    answer = browser.post("/identity/decide", {"act": "merge", "what": [bo, bo], "why": "a <b>"})
    assert answer.status_code == 409
    assert browser.get("/identity?after=4711").status_code == 422
    assert browser.get("/identity/questions/4711").status_code == 404
    assert browser.get("/identity/acts/4711").status_code == 404


def test_why_one_and_why_two(hall: Site) -> None:
    browser = hall.client("auditor")
    one = text_of(browser.get("/identity/why?a=bo@kestrel.example&b=bo.lee@home.example"))
    assert "are one" in one
    assert "lists both" in one
    assert "Without this they would be two" in one
    two = text_of(browser.get("/identity/why?a=eva@oak.example&b=eva.stein@oak.example"))
    assert "are two; a person is asked" in two
    assert "from 4.0 they are joined without asking" in two
    nobody = browser.get("/identity/why?a=no@where.example&b=bo@kestrel.example")
    assert nobody.status_code == 404
    assert "nothing is known of 'no@where.example'" in text_of(nobody)
    assert 'value="no@where.example"' in nobody.text
    assert "Which two?" in text_of(browser.get("/identity/why"))


def test_what_strangers_wrote_is_text(hall: Site) -> None:
    browser, carl = hall.client(), hall.party(HOSTILE)
    for path in (
        f"/identity/parties/{carl}", f"/identity/parties/{hall.party('Bo Lee')}?find=carl", f"/identity/why?a={carl}&b={carl}",
        f"/identity/preview?act=merge&what={carl}&what={hall.party('Bo Lee')}", "/identity/why?a=%3Cscript%3E&b=x",
    ):  # fmt: skip
        page = browser.get(path)
        assert HOSTILE not in page.text, path
        assert "<script>" not in page.text, path


def test_who_may_look_and_decide(hall: Site) -> None:
    bo = hall.party("Bo Lee")
    for role, look, decide in (("viewer", 403, 403), ("auditor", 200, 403), ("agent", 200, 409)):
        browser = hall.client(role)
        for path in ("", "/acts", f"/parties/{bo}", f"/why?a={bo}&b={bo}", f"/questions/{review(hall, 'Eva Stein')}"):
            assert browser.get(f"/identity{path}").status_code == look, (role, path)
        form = {"act": "merge", "what": [bo, bo]}
        assert browser.post("/identity/decide", form).status_code == decide, role
        assert browser.get(f"/identity/preview?act=merge&what={bo}&what={bo}").status_code == decide, role


def test_the_first_day(empty_site: Site) -> None:
    browser = empty_site.client()
    assert "Nothing waits for a person" in text_of(browser.get("/identity"))
    assert "Nobody has decided anything yet" in text_of(browser.get("/identity/acts"))
