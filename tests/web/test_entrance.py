"""Coming in: who gets a session, what a form must bring along, and what every answer carries."""

import re
from urllib.parse import parse_qs, urlsplit

from pages import BASE, HOSTILE, PASSWORD, Site, text_of
from world import US

from hub.access import Viewer, accounts

ANA = f"ana@{US}"


def account(site: Site, email: str = ANA, role: str = "agent") -> str:
    """An account without a password yet; its code."""
    with site.world.store.write() as c:
        return accounts.create(c, Viewer.local("tests"), email, "Ana", (role,), site.world.clock.now())[1]


def test_the_first_day(empty_site: Site) -> None:
    browser = empty_site.stranger()
    assert "Nobody has an account yet" in text_of(browser.get("/sign-in"))
    with empty_site.world.store.write() as c:
        code = accounts.first_code(c, Viewer.local("tests"), empty_site.world.clock.now())
    assert "Set up the first account" in text_of(browser.get("/sign-in/code"))
    form = {"code": code, "email": ANA, "name": "Ana", "password": PASSWORD, "again": PASSWORD}
    for wrong, told in (
        ({"again": "x"}, "differ"),
        ({"password": "short", "again": "short"}, "12"),
        ({"code": "no"}, "ode"),
    ):
        answer = browser.post("/sign-in/code", form | wrong)
        assert answer.status_code == 422
        assert told in text_of(answer)
    planted = browser.cookies["__Host-hub"]
    answer = browser.post("/sign-in/code", form)
    assert browser.cookies["__Host-hub"] != planted  # an id planted before is worth nothing after
    assert "Welcome" in text_of(browser.follow(answer))
    assert "Welcome" not in text_of(browser.get("/"))  # said once
    browser.post("/sign-out")
    assert browser.get("/").headers["location"] == "/sign-in"


def test_a_password_signs_in_and_leads_where_one_wanted_to_go(own_site: Site) -> None:
    code, browser = account(own_site), own_site.stranger()
    browser.get("/sign-in/code")
    browser.post("/sign-in/code", {"code": code, "password": PASSWORD, "again": PASSWORD})
    browser.post("/sign-out")
    asked = browser.get("/reports?x=1")
    assert parse_qs(urlsplit(asked.headers["location"]).query) == {"next": ["/reports?x=1"]}
    browser.get(asked.headers["location"])
    refused = browser.post("/sign-in", {"email": ANA, "password": "no-such-word", "next": "/reports?x=1"})
    assert refused.status_code == 401
    assert ANA in refused.text
    assert "no-such-word" not in refused.text
    let_in = browser.post("/sign-in", {"email": ANA, "password": PASSWORD, "next": "/reports?x=1"})
    assert let_in.headers["location"] == "/reports?x=1"


def test_nobody_is_led_elsewhere(own_site: Site) -> None:
    browser = own_site.client()
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert browser.get(f"/sign-in?next={wanted}").headers["location"] == "/"


def test_a_form_from_elsewhere_does_nothing(site: Site) -> None:
    browser = site.client()
    for form, headers in (({"csrf": "x"}, {}), ({}, {"origin": "https://evil.example"}), ({}, {"origin": "null"})):
        assert browser.post("/sign-out", form, **headers).status_code == 403
    assert browser.post("/sign-out", {}, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.post("/sign-out", {"x": "y" * (1 << 20)}).status_code == 422
    assert browser.get("/sign-in").status_code == 303  # still signed in


def test_every_answer_is_guarded(site: Site) -> None:
    browser = site.client()
    for path in ("/sign-in", "/nowhere", "/static/hub.css", "/static/nothing.css"):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = browser.get("/nowhere")
    assert page.status_code == 404
    assert "there is no such page" in text_of(page)
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", page.text)
    assert all(x in page.headers.get("strict-transport-security", "") for x in ("max-age",)) or BASE.startswith("http:")
    style = re.search(r'href="(/static/hub\.css\?v=\w+)"', page.text)
    assert style
    assert "immutable" in browser.get(style[1]).headers["cache-control"]


def test_a_cookie_is_the_browsers_alone(site: Site) -> None:
    kept = site.stranger().get("/sign-in").headers["set-cookie"].lower()
    for word in ("__host-hub=", "secure", "httponly", "samesite=lax", "path=/"):
        assert word in kept
    assert "domain" not in kept


def test_what_somebody_typed_stays_text(site: Site) -> None:
    answer = site.stranger().get(
        "/sign-in/code",
    )
    assert HOSTILE not in answer.text
    shown = site.stranger().get(f"/sign-in/code?code={HOSTILE}")
    assert HOSTILE not in shown.text
    assert "&lt;script&gt;" in shown.text


def test_proof_is_asked_for_once_it_was_long_ago(own_site: Site) -> None:
    """A form that needs proof comes back with what was typed, and goes through with the password."""
    from starlette.routing import Route

    from hub.web.page import Ask, act

    done: list[str] = []

    def secret(ask: Ask):  # type: ignore[no-untyped-def]
        done.append(ask.form("word"))
        return ask.back("/", "Done.")

    route: Route = act("/test/secret", secret, proof=True)
    own_site.app.app.router.routes.append(route)  # type: ignore[attr-defined]
    code, browser = account(own_site), own_site.stranger()
    browser.get("/sign-in/code")
    browser.post("/sign-in/code", {"code": code, "password": PASSWORD, "again": PASSWORD})
    browser.post("/test/secret", {"word": "one"})
    assert done == ["one"]
    own_site.world.clock.advance(11 * 60)
    asked = browser.post("/test/secret", {"word": "<two>"})
    assert asked.status_code == 403
    assert '<input type="hidden" name="word" value="&lt;two&gt;">' in asked.text
    assert browser.post("/test/secret", {"word": "two", "proof": "wrong"}).status_code == 403
    before = browser.cookies["__Host-hub"]
    assert browser.post("/test/secret", {"word": "two", "proof": PASSWORD}).status_code == 303
    assert done == ["one", "two"]
    assert browser.cookies["__Host-hub"] != before
