"""Set-up as pages: where one stands, the catalogue, signing in at a tool and back, keys, the policy tried, fields."""

import html
import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import sqlalchemy as sa
from acorn import Acorn, Vendor
from cryptography.fernet import Fernet
from emptying import empty
from pages import BASE, HOSTILE, KAY, KIM, Site, text_of
from world import World

from hub import settings as config
from hub.access import roles
from hub.api import AuthError, ConnectorSettings, Identifier, Manifest, Person, SecretStr, Stream
from hub.api.consent import Consent, Grant
from hub.engine import Engine
from hub.plugins import Registry
from hub.store import Store
from hub.store import tables as t

SHOWN = (
    "/setup", "/setup/catalogue", "/setup/catalogue/acorn", "/setup/connections/desk", "/setup/permissions", "/setup/policy",
    "/setup/mapping", "/setup/mapping?customer=kay&conflicts=1",
)  # fmt: skip


@pytest.mark.parametrize("path", SHOWN)
@pytest.mark.parametrize("role", roles.ROLES)
def test_each_page_is_for_those_who_may_see_connections(site: Site, path: str, role: str) -> None:
    answer = site.client(role).get(path)
    if "connections.read" not in roles.allowed([role]):
        assert answer.status_code == 403
        return
    assert answer.status_code == 200, text_of(answer)
    assert len(answer.content) < 150_000
    assert len(re.findall(r"<h1\b", answer.text)) == 1
    assert not re.search(r"\sstyle=|<style|\son\w+=", answer.text)
    levels = [int(n) for n in re.findall(r"<h([1-6])\b", answer.text)]
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels
    assert answer.text.count("<table") == answer.text.count("<caption")


def test_the_first_day_leads_on(empty_site: Site) -> None:
    page = text_of(empty_site.client().get("/setup"))
    assert "Next: Choose your tools" in page
    assert "No tool is connected yet" in page
    assert "No tool is connected yet" in text_of(empty_site.client().get("/setup/permissions"))


def test_where_one_stands(site: Site) -> None:
    page = text_of(site.client("auditor").get("/setup"))
    assert "All of it is set up" in page
    assert "mailbox connected Acorn" in page
    assert "sor, written to when a person approved" in page


def test_the_catalogue_has_the_lines_to_paste(site: Site) -> None:
    page = site.client().get("/setup/catalogue/acorn")
    assert 'account = "..."' in text_of(page)
    assert "[connections.acorn]" in text_of(page)
    assert "not measured" in text_of(site.client().get("/setup/catalogue"))
    assert "No connector has this channel" in text_of(site.client().get("/setup/catalogue?channel=pigeon"))
    assert site.client().get("/setup/catalogue/nothing").status_code == 404


def test_a_connection_shows_what_it_may_do_and_asks_again(site: Site) -> None:
    page = text_of(site.client("auditor").get("/setup/connections/desk"))
    assert "mail read yes" in page
    assert "Disconnect" not in page
    assert "Asked just now: it works, as desk." in text_of(
        site.client("operator").post("/setup/connections/desk/check")
    )
    assert site.client("auditor").post("/setup/connections/desk/check").status_code == 403
    assert site.client().get("/setup/connections/nothing").status_code == 404


def test_the_roles_stand_beside_the_tools(site: Site) -> None:
    page = site.client("auditor").get("/setup/permissions")
    assert "never asked" not in text_of(page)
    for permission in roles.PERMISSIONS.values():
        row = re.search(rf"{re.escape(permission.what)}<br>.*?</tr>", html.unescape(page.text))
        assert row, permission.name
        assert row[0].count(">yes<") == len(permission.roles)


# --- the policy -------------------------------------------------------------------------------------------------------


def test_a_policy_is_tried_and_what_was_typed_stays(site: Site) -> None:
    browser = site.client()
    typed = f'[capture]\nblock_addresses = ["{KIM}"]\n'
    answer = browser.post("/setup/policy", {"policy": typed})
    page = text_of(answer)
    assert answer.status_code == 200, page
    assert "2 would be left out" in page
    assert "only by their number at a tool" in page
    assert "mailbox names an address of which nothing is kept left out 1" in page
    assert HOSTILE not in answer.text
    assert HOSTILE in page  # as text
    assert " ".join(typed.split()) in page
    wrong = browser.post("/setup/policy", {"policy": '[capture]\nbulk = "<b>drop</b>"', "each": "1000"})
    assert wrong.status_code == 422
    assert "Capture.bulk in line 2 must be" in text_of(wrong)
    assert '<option value="1000" selected>' in wrong.text
    assert "<b>drop" not in wrong.text
    assert browser.post("/setup/policy", {"policy": "", "each": "many"}).status_code == 422
    assert browser.post("/setup/policy", {"policy": "#" * 70_000}).status_code == 422


def test_only_who_may_change_the_policy_tries_one(site: Site) -> None:
    browser = site.client("operator")
    assert "Try another policy" not in text_of(browser.get("/setup/policy"))
    assert browser.post("/setup/policy", {"policy": "[capture]"}).status_code == 403


# --- fields -----------------------------------------------------------------------------------------------------------


def test_one_customers_values_or_who_is_meant(own_site: Site) -> None:
    world = own_site.world
    said = {"phone": HOSTILE, "city": "Oslo"}
    world.vendors["desk"].put(
        "parties", "p7", Person(external_id="7", identifiers=(Identifier("email", KAY),), name="Kay Hill", fields=said)
    )
    world.sync()
    page = own_site.client().get(f"/setup/mapping?customer={KAY}&conflicts=1")
    assert "city desk Oslo" in text_of(page)
    assert HOSTILE not in page.text
    assert "No field waits for a choice" in text_of(page)
    several = own_site.client().get("/setup/mapping?customer=k")
    assert f"/setup/mapping?customer={own_site.party('Kay Hill')}" in several.text
    assert "Nobody was found" in text_of(own_site.client().get("/setup/mapping?customer=zzz"))


# --- signing in at a tool, and keys -----------------------------------------------------------------------------------


class VaultSettings(ConnectorSettings):
    account: str
    key: SecretStr = SecretStr("right")

    def consent(self) -> Consent:
        return Asking("Vault", "https://vault.example/ask", "https://vault.example/token", "client", scopes=("mail",))


class Asking(Consent):
    """The vendor's own end of it is tried in tests/service; here the code is worth what it says."""

    def grant(self, code: str, verifier: str, redirect_uri: str) -> Grant:
        assert redirect_uri == f"{BASE}/setup/connected/vault"
        return Grant(f"refresh-{code}", self.scopes)


class _Tokens:
    name = "vault:tokens"


class Vault(Acorn):
    """Acorn behind a sign-in in the browser and a key."""

    manifest = Manifest("vault", "Vault", ("email",), (Stream("mail"),), auth=("oauth",))
    settings_model = VaultSettings  # type: ignore[assignment]

    def http_profile(self) -> Any:
        profile = super().http_profile()
        return type(profile)(base_url="", token=_Tokens())  # type: ignore[arg-type]

    async def check(self) -> Any:
        if self.settings.key.get_secret_value() != "right":  # type: ignore[attr-defined]
            raise AuthError("the key is not known there")
        return await super().check()


@pytest.fixture
def vault(_sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A hub with a connection that nobody has signed in to yet."""
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    empty(_sqlite_store)
    world = World(_sqlite_store, {"safe": Vendor()})
    given = {"connections": {"safe": {"connector": "vault", "settings": {"account": "safe"}}}}
    world.engine = Engine(
        config.Settings.model_validate(given), _sqlite_store, Registry(connectors={"vault": Vault}), clock=world.clock
    )
    return Site(world)


def test_to_the_vendor_and_back(vault: Site) -> None:
    browser = vault.client("operator")
    assert "needs a sign-in" in text_of(browser.get("/setup"))
    page = browser.post("/setup/connections/safe/connect")
    link = re.search(r'href="(https://vault\.example/ask\?[^"]+)"', page.text)
    assert link, text_of(page)
    asked = parse_qs(urlsplit(link[1].replace("&amp;", "&")).query)
    assert asked["redirect_uri"] == [f"{BASE}/setup/connected/vault"]
    answer = urlencode({"code": "c1", "state": asked["state"][0]})
    assert vault.client("admin").get(f"/setup/connected/vault?{answer}").status_code == 409  # another browser's
    page = browser.post("/setup/connections/safe/connect")
    state = re.search(r"state=([\w-]+)", page.text)
    assert state
    answer = urlencode({"code": "c1", "state": state[1]})
    done = text_of(browser.follow(browser.get(f"/setup/connected/vault?{answer}")))
    assert "Signed in. It works, as safe" in done
    assert vault.engine.secrets.get("safe", "vault:tokens") == {"refresh_token": "refresh-c1", "scope": "mail"}
    again = browser.get(f"/setup/connected/vault?{answer}")
    assert again.status_code == 409
    assert "start it again" in text_of(again)


def test_a_refusal_of_the_vendor_is_told_as_text(vault: Site) -> None:
    browser = vault.client()
    state = re.search(r"state=([\w-]+)", browser.post("/setup/connections/safe/connect").text)
    assert state
    answer = browser.get(f"/setup/connected/vault?{urlencode({'error': HOSTILE, 'state': state[1]})}")
    assert answer.status_code == 409
    assert "<script>alert" not in answer.text
    assert "Nothing was changed" in text_of(answer)


def test_a_key_typed_is_tried_kept_and_never_shown(vault: Site) -> None:
    browser = vault.client()
    assert "Kept, encrypted. Now sign in." in text_of(
        browser.follow(browser.post("/setup/connections/safe/keys", {"key.key": "right"}))
    )
    vault.engine.secrets.put("safe", "vault:tokens", {"refresh_token": "r"}, vault.world.clock.now())
    opened = browser.follow(browser.post("/setup/connections/safe/prove"))
    assert 'name="key.key" type="password"' in opened.text
    refused = browser.post("/setup/connections/safe/keys", {"key.key": "wrong-one"})
    assert refused.status_code == 422
    assert "not known there" in text_of(refused)
    kept = browser.post("/setup/connections/safe/keys", {"key.key": "right"})
    page = browser.follow(kept)
    assert "Kept, encrypted. It works" in text_of(page)
    assert "key : typed here, kept encrypted" in text_of(page)
    for answer in (refused, page, browser.get("/setup/connections/safe")):
        assert "wrong-one" not in answer.text
        assert 'value="right"' not in answer.text
    assert browser.post("/setup/connections/safe/keys", {"key.account": "x"}).status_code == 422
    gone = browser.follow(browser.post("/setup/connections/safe/disconnect"))
    assert "Disconnected. Its secrets are gone from here." in text_of(gone)
    assert "key : not set" in text_of(gone)


def test_secrets_ask_for_the_password_again_after_a_while(vault: Site) -> None:
    browser = vault.client("operator")
    vault.world.clock.advance(11 * 60)
    for act in ("connect", "prove", "disconnect"):
        assert "Is it still you?" in text_of(browser.post(f"/setup/connections/safe/{act}"))
    assert "asks for your password first" in text_of(browser.get("/setup/connections/safe"))
    late = browser.post("/setup/connections/safe/keys", {"key.key": "typed-too-late"})
    assert late.status_code == 403
    assert "typed-too-late" not in late.text
    with vault.world.store.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(t.secret)).scalar() == 0


def test_who_may_not_manage_may_not_sign_in_anything(vault: Site) -> None:
    browser = vault.client("auditor")
    assert "/setup/connections/safe/" not in browser.get("/setup/connections/safe").text  # no form of it
    for act in ("connect", "keys", "check", "disconnect"):
        assert browser.post(f"/setup/connections/safe/{act}", {"key.key": "right"}).status_code == 403
    assert browser.get("/setup/connected/vault?state=x&code=y").status_code == 403
