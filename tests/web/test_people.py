"""One's own account, everybody's, and the ledger."""

import re

from pages import HOSTILE, Site, text_of


def test_an_admin_makes_an_account_and_takes_it_back(own_site: Site) -> None:
    admin = own_site.client()
    made = admin.post("/people", {"email": "ben@ourco.example", "name": HOSTILE, "role": ["agent"]})
    assert HOSTILE not in made.text
    code = re.search(r'mono">([A-Z0-9-]{8,})<', made.text)
    assert code
    ben = own_site.stranger()
    ben.get("/sign-in/code")
    words = "six calm herons wait"
    assert ben.post("/sign-in/code", {"code": code[1], "password": words, "again": words}).status_code == 303
    assert ben.get("/people").status_code == 403
    link = re.search(r'href="(/people/u\w+)">&lt;script', admin.get("/people").text)
    assert link
    admin.post(link[1], {"act": "roles", "role": ["viewer", "auditor"]})
    assert "viewer, auditor" in text_of(ben.get("/account"))
    admin.post(link[1], {"act": "disable"})
    assert ben.get("/account").status_code == 303  # out at once
    assert "disabled" in text_of(admin.get(link[1]))
    assert "an account was disabled" in text_of(admin.get("/ledger"))


def test_the_last_admin_stays(own_site: Site) -> None:
    admin = own_site.client()
    link = re.search(r'href="(/people/u\w+)"', admin.get("/people").text)
    assert link
    for form in ({"act": "disable"}, {"act": "roles", "role": ["viewer"]}):
        answer = admin.post(link[1], form)
        assert answer.status_code == 422
        assert "last admin" in text_of(answer)


def test_a_token_is_shown_once_and_revoked(own_site: Site) -> None:
    agent = own_site.client("agent")
    refused = agent.post("/account/tokens", {"name": "Sheet", "scope": ["users.manage"], "days": "30"})
    assert refused.status_code == 422
    assert 'value="Sheet"' in refused.text  # what was typed is still there
    made = agent.post("/account/tokens", {"name": "Sheet", "scope": ["reports.read"], "days": "30"})
    token = re.search(r"ihub_\w+", made.text)
    assert token
    viewer = own_site.door.bearer(token[0])
    assert viewer is not None
    assert viewer.permissions == {"reports.read"}
    assert token[0] not in agent.get("/account").text
    agent.post("/account/tokens/revoke", {"token": token[0].split("_")[1]})
    assert own_site.door.bearer(token[0]) is None


def test_other_sessions_are_ended(own_site: Site) -> None:
    here, there = own_site.client("viewer"), own_site.client("viewer")
    assert "Sign out everywhere else" in text_of(here.get("/account"))
    here.post("/account/sessions")
    assert there.get("/account").status_code == 303
    assert here.get("/account").status_code == 200


def test_who_may_look(site: Site) -> None:
    for role, people, ledger in (
        ("viewer", 403, 403),
        ("operator", 403, 403),
        ("auditor", 403, 200),
        ("admin", 200, 200),
    ):
        browser = site.client(role)
        assert browser.get("/people").status_code == people
        assert browser.get("/ledger").status_code == ledger
        assert browser.get("/account").status_code == 200
        assert browser.post("/people", {"email": "no address", "role": ["viewer"]}).status_code == (
            422 if people == 200 else 403
        )
