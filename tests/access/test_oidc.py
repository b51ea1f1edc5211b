"""Sign-in through a provider, over real HTTP on loopback: what works, and everything that must not."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from databases import on_sqlite
from door import ADDRESS, PASSWORD, ROOT, START, People

from hub.access import SignInRefused, accounts, ledger
from hub.access.signing import SignedIn
from hub.api import FakeClock
from hub.store.tables_access import access_event, oidc_state, session
from hub.testing import Running

pytest.importorskip(
    "authlib", reason="SIGN-IN THROUGH A PROVIDER NOT TESTED: the extra `web` is not installed (authlib)"
)

from oidc_provider import CLIENT, SECRET, OidcProvider

from hub.access.oidc import Oidc, Provider

BACK = "https://hub.ourco.example/sign-in/acme"
SHARED = FakeClock(START)


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    with OidcProvider(SHARED, BACK).serve() as running:
        yield running


class Scene:
    """One browser, one provider, one hub."""

    def __init__(self, people: People, running: Running) -> None:
        self.people = people
        self.provider = OidcProvider(people.clock, BACK)
        self.provider.issuer = running.url
        running.put(self.provider)
        self.cookie = people.door.stranger(ADDRESS)
        self.oidc = self.configured()

    def configured(self, **more: Any) -> Oidc:
        given: dict[str, Any] = {"roles": {"sales": ("agent",), "it": ("admin",)}, "client_secret": SECRET, **more}
        self.oidc = Oidc(self.people.door, Provider("acme", "Acme ID", self.provider.issuer, CLIENT, **given))
        return self.oidc

    def leave(self, return_to: str = "/customers?q=kestrel", **more: Any) -> str:
        """Go to the provider; the address it sends the browser to."""
        url = asyncio.run(self.oidc.start(self.cookie, BACK, return_to, **more))
        answer = httpx.get(url, trust_env=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def back(self, location: str, cookie: str = "") -> tuple[SignedIn, str]:
        answer = dict(parse_qsl(urlsplit(location).query))
        return asyncio.run(self.oidc.finish(cookie or self.cookie, answer, address=ADDRESS, agent="Firefox"))

    def sign_in(self) -> SignedIn:
        return self.back(self.leave())[0]

    def refused(self) -> str:
        """The reason in the ledger for the last refusal; the message has to be one for people."""
        with pytest.raises(SignInRefused) as caught:
            self.sign_in()
        assert (
            "Acme ID" in caught.value.message
            or "ask an admin" in caught.value.message
            or "password" in caught.value.message
        )
        with self.people.store.read() as c:
            last = ledger.events(c, limit=1)[0]
            assert c.execute(sa.select(session.c.account_id).where(session.c.account_id.is_not(None))).first() is None
        assert (last.act, last.address, last.detail["provider"]) == ("sign-in-refused", ADDRESS, "acme")
        return str(last.detail["reason"])


@pytest.fixture
def scene(people: People, served: Running) -> Scene:
    return Scene(people, served)


def test_somebody_new_gets_an_account_with_the_roles_of_their_groups(scene: Scene) -> None:
    signed, go_on = scene.back(scene.leave())
    assert go_on == "/customers?q=kestrel"
    assert (signed.account.email, signed.account.name, signed.account.roles) == (
        "ana@ourco.example",
        "Ana Silva",
        ("agent",),
    )
    assert not signed.account.has_password
    visit = scene.people.door.visit(signed.cookie)
    assert visit is not None
    assert (visit.session.method, visit.session.agent) == ("oidc:acme", "Firefox")
    assert scene.people.door.visit(scene.cookie) is None  # the id from before is worth nothing
    assert scene.people.acts() == ["account-made", "account-linked", "sign-in"]
    asked = scene.provider.last
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    assert SECRET not in repr(scene.oidc.provider)


def test_the_same_person_is_the_same_account_whatever_the_address_becomes(scene: Scene) -> None:
    first = scene.sign_in().account
    scene.provider.user |= {"email": "boss@ourco.example", "name": "Ana Silva-Costa"}
    scene.cookie = scene.people.door.stranger()
    again = scene.sign_in().account
    assert (again.id, again.email) == (
        first.id,
        "ana@ourco.example",
    )  # a private mailbox is not had by renaming oneself


def test_the_provider_has_the_last_word_on_roles(scene: Scene) -> None:
    ana = scene.sign_in().account
    scene.provider.user["groups"] = ["it", "sales"]
    scene.cookie = scene.people.door.stranger()
    assert scene.sign_in().account.roles == ("agent", "admin")
    scene.provider.user["groups"] = "sales"  # some write one as a text
    scene.cookie = scene.people.door.stranger()
    assert scene.sign_in().account.roles == ("agent",)
    with scene.people.store.read() as c:
        changed = [e for e in ledger.events(c, account_id=ana.id) if e.act == "account-roles"]
    assert [e.detail["after"] for e in changed] == [["agent"], ["agent", "admin"]]
    scene.people.write(accounts.end_sessions, ROOT, ana.id)
    scene.provider.user["groups"] = ["everyone"]
    scene.cookie = scene.people.door.stranger()
    assert scene.refused() == "no-role"


def test_without_groups_roles_are_given_here(scene: Scene) -> None:
    scene.configured(roles={}, default_roles=("viewer",))
    ana = scene.sign_in().account
    assert ana.roles == ("viewer",)
    scene.people.write(accounts.set_roles, ROOT, ana.id, ["operator"])
    scene.cookie = scene.people.door.stranger()
    assert scene.sign_in().account.roles == ("operator",)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("", {"nonce": "another"}, "id-token-nonce"), ("", {"iss": "https://evil.example"}, "id-token-iss"),
    ("", {"aud": "another-client"}, "id-token-aud"), ("", {"aud": [CLIENT, "another"], "azp": "another"}, "id-token-azp"),
    ("", {"aud": [CLIENT, "another"]}, "id-token-azp"), ("", {"exp": int(START.timestamp()) - 61}, "id-token-"),
    ("", {"iat": int(START.timestamp()) + 3600}, "id-token-"), ("", {"nbf": int(START.timestamp()) + 3600}, "id-token-"),
    ("", {"exp": "soon"}, "id-token-"), ("", {"sub": ""}, "id-token-"), ("", {"sub": 7}, "id-token-"),
    ("at-hash", {}, "id-token-at_hash"), ("alg-none", {}, "alg"), ("hs256", {}, "alg"), ("forged", {}, "id-token-"),
    ("unknown-key", {}, "id-token-"), ("garbage", {}, "id-token-"), ("no-id-token", {}, "no-id-token"),
    ("mix-up", {}, "iss"), ("no-iss", {}, "iss"), ("denied", {}, "provider-refused"),
    ("discovery-issuer", {}, ""), ("", {"email_verified": False}, "email-unverified"),
    ("", {"email_verified": "yes"}, "email-unverified"), ("", {"email": "ana"}, "email"), ("", {"groups": ["others"]}, "no-role"),
    ("", {"groups": [{"it": 1}]}, "no-role"),
]  # fmt: skip


@on_sqlite
@pytest.mark.parametrize(("nasty", "more", "reason"), WRONG, ids=[f"{n}{m}" for n, m, _ in WRONG])
def test_what_a_provider_or_somebody_between_does_wrong(
    scene: Scene, nasty: str, more: dict[str, Any], reason: str
) -> None:
    scene.provider.nasty = {nasty}
    scene.provider.more = more
    if nasty == "discovery-issuer":
        with pytest.raises(SignInRefused, match="Acme ID did not work"):
            scene.leave()
        return
    assert scene.refused().startswith(reason)
    with scene.people.store.read() as c:
        assert not accounts.has_any(c)


@on_sqlite
@pytest.mark.parametrize("claim", ["nonce", "iss", "aud", "exp", "iat", "sub"])
def test_a_claim_that_is_missing(scene: Scene, claim: str) -> None:
    scene.provider.none = {claim}
    assert scene.refused() == f"id-token-{claim}"


def test_an_answer_is_taken_once_by_the_browser_that_left_and_in_time(scene: Scene) -> None:
    location = scene.leave()
    other = scene.people.door.stranger()
    with pytest.raises(SignInRefused):
        scene.back(location, other)  # somebody is lured into an account of another
    with pytest.raises(SignInRefused):
        scene.back(location)  # and the state is used up by that
    location = scene.leave()
    scene.people.clock.advance(600)
    with pytest.raises(SignInRefused, match="longer than ten minutes"):
        scene.back(location)
    location = scene.leave()
    signed, _ = scene.back(location)
    for cookie in (scene.cookie, signed.cookie):
        with pytest.raises(SignInRefused):
            scene.back(location, cookie)
    with pytest.raises(SignInRefused):
        scene.back(f"{BACK}?code=x&state=made-up", signed.cookie)
    with scene.people.store.read() as c:
        reasons = [e.detail["reason"] for e in ledger.events(c) if e.act == "sign-in-refused"]
        assert reasons == ["late", "another-browser"]  # who makes states up does not fill the ledger
        assert c.execute(sa.select(oidc_state)).first() is None


def test_a_code_that_was_used_is_not_taken_again(scene: Scene) -> None:
    first = scene.leave()
    code = parse_qs(urlsplit(first).query)["code"][0]
    scene.back(first)
    scene.cookie = scene.people.door.stranger()
    second = scene.leave()
    swapped = second.replace(parse_qs(urlsplit(second).query)["code"][0], code)
    with pytest.raises(SignInRefused):
        scene.back(swapped)


def test_a_stolen_code_is_worth_nothing_in_another_sign_in(scene: Scene) -> None:
    """Its verifier is another one's: that is what PKCE is for."""
    theirs = parse_qs(urlsplit(scene.leave()).query)["code"][0]
    mine = scene.leave()
    swapped = mine.replace(parse_qs(urlsplit(mine).query)["code"][0], theirs)
    with pytest.raises(SignInRefused):
        scene.back(swapped)
    with scene.people.store.read() as c:
        assert not accounts.has_any(c)


def test_an_address_alone_takes_no_account(scene: Scene) -> None:
    ana = scene.people.make("ana@ourco.example", "admin")
    assert scene.refused() == "not-linked"
    scene.configured(link_by_email=True)
    scene.provider.more = {"email_verified": False}
    assert scene.refused() == "email-unverified"
    scene.provider.more = {"email": "ANA@OurCo.example"}
    signed = scene.sign_in()
    assert (signed.account.id, signed.account.roles) == (ana.id, ("agent",))
    assert scene.people.sign_in(password=PASSWORD)  # the password works as before


def test_nobody_is_made_where_accounts_are_made_here(scene: Scene) -> None:
    scene.configured(creates=False)
    assert scene.refused() == "no-account"


def test_a_disabled_account_stays_outside(scene: Scene) -> None:
    scene.people.make("root@ourco.example", "admin")
    ana = scene.sign_in().account
    scene.people.write(accounts.disable, ROOT, ana.id)
    scene.cookie = scene.people.door.stranger()
    with pytest.raises(SignInRefused):
        scene.sign_in()
    assert scene.people.acts()[-1] == "sign-in-refused"


def test_a_provider_that_says_nothing_of_addresses_may_be_trusted_and_not_against_its_word(scene: Scene) -> None:
    scene.provider.user.pop("email_verified")
    assert scene.refused() == "email-unverified"
    scene.configured(trusts_email=True)
    scene.provider.more = {"email_verified": False}
    assert scene.refused() == "email-unverified"
    scene.provider.more = {}
    assert scene.sign_in().account.email == "ana@ourco.example"


def test_keys_are_rotated_and_fetched_again_but_not_for_every_forgery(scene: Scene) -> None:
    scene.sign_in()
    scene.provider.rotate("two")
    scene.people.clock.advance(31)
    scene.cookie = scene.people.door.stranger()
    assert scene.sign_in().account.email == "ana@ourco.example"
    assert scene.provider.counted == {"jwks": 2, "discovery": 1}
    scene.provider.nasty = {"unknown-key"}
    for _ in range(3):
        scene.cookie = scene.people.door.stranger()
        with pytest.raises(SignInRefused):
            scene.sign_in()
    assert scene.provider.counted["jwks"] == 2
    scene.people.clock.advance(3600)
    scene.provider.nasty = set()
    scene.cookie = scene.people.door.stranger()
    scene.sign_in()
    assert scene.provider.counted == {"jwks": 3, "discovery": 2}


def test_what_the_id_token_leaves_out_is_asked_for(scene: Scene) -> None:
    scene.provider.none = {"email", "email_verified", "groups"}
    scene.provider.nasty = {"userinfo-sub"}
    assert scene.refused() == "userinfo"
    scene.provider.nasty = set()
    scene.provider.none = {"email", "groups"}
    scene.provider.user["email_verified"] = False  # the word on an address that it does not give counts for nothing
    scene.provider.more = {"email_verified": True}
    assert scene.refused() == "email-unverified"
    scene.provider.user |= {"email_verified": True, "groups": ["it"]}
    scene.provider.none = {"email", "email_verified"}
    scene.provider.more = {"groups": ["sales"]}  # what is signed counts
    assert scene.sign_in().account.roles == ("agent",)


def test_a_secret_goes_the_way_the_provider_takes_it(scene: Scene) -> None:
    scene.provider.auth_method = "client_secret_post"
    assert scene.sign_in()
    scene.configured(client_secret="another")
    scene.cookie = scene.people.door.stranger()
    with pytest.raises(SignInRefused, match="Acme ID did not work"):
        scene.sign_in()


def test_a_provider_without_the_iss_parameter_is_taken(scene: Scene) -> None:
    scene.provider.nasty = {"no-iss-said", "no-iss"}
    assert scene.sign_in()


def test_where_to_go_on_is_a_page_of_ours(scene: Scene) -> None:
    for odd in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "",
        "javascript:alert(1)",
        "/a\nb",
        "/a\\b",
    ):
        scene.cookie = scene.people.door.stranger()
        assert scene.back(scene.leave(odd))[1] == "/", odd


def test_a_provider_that_is_away_or_unsafe_is_said_so(scene: Scene) -> None:
    scene.provider.nasty = {"plain-http"}
    with pytest.raises(SignInRefused, match="Acme ID did not work"):
        scene.leave()
    oidc = Oidc(scene.people.door, Provider("acme", "Acme ID", "http://127.0.0.1:9", CLIENT))
    with pytest.raises(SignInRefused, match="Acme ID cannot be reached right now"):
        asyncio.run(oidc.start(scene.cookie, BACK))
    with pytest.raises(SignInRefused, match="open for too long"):
        asyncio.run(oidc.start("no such cookie", BACK))


def test_somebody_signed_in_proves_to_be_it_at_the_provider(scene: Scene) -> None:
    ben = {"sub": "ben", "email": "ben@ourco.example"}
    scene.provider.more = ben
    scene.sign_in()
    scene.provider.more, scene.cookie = {}, scene.people.door.stranger()
    signed = scene.sign_in()
    scene.cookie = signed.cookie
    scene.people.clock.advance(3600)
    before = scene.people.door.visit(signed.cookie)
    assert before is not None
    assert not before.session.is_fresh(scene.people.clock.now())
    scene.provider.more = {"auth_time": int(START.timestamp())}  # it did not ask
    with pytest.raises(SignInRefused, match="did not ask you to sign in again"):
        scene.back(scene.leave(is_proof=True))
    assert (scene.provider.last["prompt"], scene.provider.last["max_age"]) == ("login", "0")
    for other in ({"sub": "somebody else"}, ben):
        scene.provider.more = other
        with pytest.raises(SignInRefused, match="another account"):
            scene.back(scene.leave(is_proof=True))
    scene.provider.more = {}
    again, _ = scene.back(scene.leave(is_proof=True))
    assert scene.people.door.visit(signed.cookie) is None
    after = scene.people.door.visit(again.cookie)
    assert after is not None
    assert after.session.is_fresh(scene.people.clock.now())
    assert scene.people.acts()[-1] == "proof"
    with pytest.raises(SignInRefused, match="open for too long"):
        asyncio.run(scene.oidc.start(scene.people.door.stranger(), BACK, is_proof=True))


def test_no_secret_of_a_sign_in_is_in_the_ledger(scene: Scene) -> None:
    scene.sign_in()
    scene.provider.nasty = {"forged"}
    scene.cookie = scene.people.door.stranger()
    with pytest.raises(SignInRefused):
        scene.sign_in()
    with scene.people.store.read() as c:
        told = repr(c.execute(sa.select(access_event)).all())
    for secret in (SECRET, scene.provider.last["state"], scene.provider.last["nonce"], "eyJ", "ana@ourco"):
        assert secret not in told
