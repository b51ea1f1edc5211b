"""Sign-in through a provider, from the button to the page one wanted, over real HTTP to the provider."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from emptying import empty
from pages import BASE, Site, text_of
from world import START, World

from hub.api import FakeClock
from hub.store import Store
from hub.testing import Running

pytest.importorskip(
    "authlib", reason="SIGN-IN THROUGH A PROVIDER NOT TESTED: the extra `web` is not installed (authlib)"
)

from oidc_provider import CLIENT, SECRET, OidcProvider

BACK = f"{BASE}/sign-in/with/acme/back"


@pytest.fixture
def provider() -> Iterator[Running]:
    with OidcProvider(FakeClock(START), BACK).serve() as running:
        yield running


@pytest.fixture
def provided(_sqlite_store: Store, provider: Running) -> Site:
    empty(_sqlite_store)
    clock = FakeClock(START)
    served = OidcProvider(clock, BACK)
    served.issuer = provider.url
    provider.put(served)
    given = {
        "title": "Acme ID", "issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET,
        "default_roles": ["viewer"],
    }  # fmt: skip
    return Site(World(_sqlite_store, {}, clock=clock, sign_in={"providers": {"acme": given}}))


def test_the_button_leads_in(provided: Site) -> None:
    provided.client("admin")  # else the first account is asked for
    browser = provided.stranger()
    page = browser.get("/sign-in?next=/reports")
    assert "Sign in with Acme ID" in text_of(page)
    away = browser.get("/sign-in/with/acme?next=/reports")
    assert away.status_code == 303
    at_provider = httpx.get(away.headers["location"], trust_env=False)
    back = urlsplit(at_provider.headers["location"])
    landed = browser.get(f"{back.path}?{back.query}")
    assert landed.headers["location"] == "/reports"
    assert "Ana Silva" in text_of(browser.get("/account"))
    again = provided.stranger()
    again.get("/sign-in")
    refused = again.get(f"{back.path}?{back.query}")  # an answer works once, and in one browser
    assert refused.status_code == 401
    assert "try again" in text_of(refused)
    assert again.get("/account").status_code == 303


def test_a_way_there_is_not(provided: Site) -> None:
    assert provided.stranger().get("/sign-in/with/nobody").status_code == 404
