"""Connecting an account: PKCE, a loopback redirect and a state nobody can guess; end to end against the emulator."""

import base64
import hashlib
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hub.api import AuthError, Transient
from hub_gmail import connect

pytestmark = pytest.mark.anyio
READ = "https://www.googleapis.com/auth/gmail.readonly"


class Browser:
    """A person's browser: opens the address in a thread, follows the redirect, keeps what was shown."""

    def __init__(self, *, tamper: Any = None) -> None:
        self.url = ""
        self.pages: list[tuple[int, str]] = []
        self.tamper = tamper
        self.thread: threading.Thread | None = None

    def __call__(self, url: str) -> None:
        self.url = url
        self.thread = threading.Thread(target=self._go)
        self.thread.start()

    def _go(self) -> None:
        with httpx.Client(verify=False) as client:
            target = client.get(self.url).headers["location"]
            for address in self.tamper(target) if self.tamper else [target]:
                page = client.get(address)
                self.pages.append((page.status_code, page.text))


def settings(rig: Any, **more: Any) -> Any:
    return rig.gmail(refresh_token="", client_secret="hush", **more).settings


async def test_from_consent_to_a_working_connection(rig: Any) -> None:
    rig.emulator.oauth.clients["client"] = "hush"
    try:
        browser = Browser()
        grant = connect(settings(rig), show=browser)
        browser.thread.join(10)
        assert browser.pages[0][0] == 200
        assert grant.scopes == (READ,)
        assert grant.refresh_token not in repr(grant)
        matrix = await rig.gmail(refresh_token=grant.refresh_token, client_secret="hush").check()
        assert matrix.account_id == rig.address
        asked = {k: v[0] for k, v in parse_qs(urlsplit(browser.url).query).items()}
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == len(base64.urlsafe_b64encode(hashlib.sha256().digest()).rstrip(b"="))
        assert len(asked["state"]) >= 32
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
        assert (asked["access_type"], asked["login_hint"]) == ("offline", rig.address)
    finally:
        rig.emulator.oauth.clients.clear()


async def test_every_sign_in_has_its_own_secrets(rig: Any) -> None:
    urls = []
    for _ in range(2):
        browser = Browser()
        connect(settings(rig), show=browser)
        browser.thread.join(10)
        urls.append({k: v[0] for k, v in parse_qs(urlsplit(browser.url).query).items()})
    assert urls[0]["state"] != urls[1]["state"]
    assert urls[0]["code_challenge"] != urls[1]["code_challenge"]


async def test_a_redirect_with_another_state_is_turned_away(rig: Any) -> None:
    """Somebody else's code, sent to our port, is not taken; ours, coming after it, is."""

    def attack(target: str) -> list[str]:
        port = urlsplit(target).port
        return [
            f"http://127.0.0.1:{port}/?code=stolen&state=guess", f"http://127.0.0.1:{port}/?code=stolen",
            f"http://127.0.0.1:{port}/favicon.ico", target,
        ]  # fmt: skip

    browser = Browser(tamper=attack)
    grant = connect(settings(rig), show=browser)
    browser.thread.join(10)
    assert [status for status, _ in browser.pages] == [400, 400, 400, 200]
    assert grant.refresh_token
    assert "stolen" not in "".join(text for _, text in browser.pages)


async def test_no_is_no(rig: Any) -> None:
    rig.do("consent", allow=False)
    browser = Browser()
    with pytest.raises(AuthError, match="access_denied"):
        connect(settings(rig), show=browser)
    browser.thread.join(10)


async def test_a_box_left_unticked_is_named(rig: Any) -> None:
    rig.do("consent", scopes=[READ], address=rig.address)
    browser = Browser()
    with pytest.raises(AuthError, match=r"gmail\.compose"):
        connect(settings(rig, push_drafts=True), show=browser)
    browser.thread.join(10)


async def test_nobody_comes(rig: Any) -> None:
    with pytest.raises(AuthError, match="nobody allowed access"):
        connect(settings(rig), show=lambda url: None, timeout_s=0.05)


async def test_a_code_cannot_be_used_without_its_verifier(rig: Any) -> None:
    codes = []

    def steal(target: str) -> list[str]:
        codes.append(parse_qs(urlsplit(target).query)["code"][0])
        return [target.replace("code=", "code=no-such-")]

    browser = Browser(tamper=steal)
    with pytest.raises(AuthError, match="invalid_grant"):
        connect(settings(rig), show=browser)
    browser.thread.join(10)
    redirect = parse_qs(urlsplit(browser.url).query)["redirect_uri"][0]
    form = {"grant_type": "authorization_code", "code": codes[0], "client_id": "client", "redirect_uri": redirect}
    async with httpx.AsyncClient(verify=False) as client:
        answer = await client.post(f"{rig.url}/token", data={**form, "code_verifier": "x" * 43})
    assert answer.status_code == 400


async def test_the_token_endpoint_must_be_reachable_and_safe(rig: Any) -> None:
    with pytest.raises(ValueError, match=r"token_url: must be at Google"):
        settings(rig, token_url="http://oauth.example/token")
    with pytest.raises(ValueError, match=r"token_url: must begin with https"):
        settings(rig, token_url="http://oauth2.googleapis.com/token")
    browser = Browser()
    with pytest.raises(Transient):
        connect(settings(rig, token_url="http://127.0.0.1:9/token"), show=browser)
    browser.thread.join(10)
