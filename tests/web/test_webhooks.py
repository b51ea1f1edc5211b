"""Endpoints of webhooks: made, looked at, paused, given a new secret, removed."""

import re
from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from pages import Site, text_of
from world import mail

from hub.store import marks


@pytest.fixture
def keyed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())  # before the hub is opened
    site: Site = request.getfixturevalue("own_site")
    yield site
    marks.arm(site.world.store, ())


def test_an_endpoint_from_beginning_to_end(keyed: Site) -> None:
    admin = keyed.client()
    assert "Nobody is told" in text_of(admin.get("/webhooks"))
    for url, told in (("http://10.0.0.1/in", "no webhook may go there"), ("https://in.example/x", "name the events")):
        refused = admin.post("/webhooks", {"url": url, "resource": ["contact"] if "10." in url else []})
        assert refused.status_code == 422
        assert told in text_of(refused)
        assert f'value="{url}"' in refused.text
    made = admin.post(
        "/webhooks", {"url": "https://in.example/x", "resource": ["contact", "deal"], "description": "CRM"}
    )
    secret = re.search(r"whsec_[\w+/=]+", made.text)
    assert secret
    page = re.search(r'href="(/webhooks/ep_\w+)"', made.text)
    assert page
    keyed.world.vendors["mailbox"].mail(mail("new", "lou@kestrel.example"))
    keyed.world.sync("mailbox")
    assert secret[0] not in admin.get(page[1]).text
    again = re.search(r"whsec_[\w+/=]+", admin.post(page[1], {"act": "rotate"}).text)
    assert again
    assert again[0] != secret[0]
    assert "waits in line" in text_of(admin.follow(admin.post(page[1], {"act": "pause"})))
    assert "paused" in text_of(admin.get("/webhooks"))
    admin.post(page[1], {"act": "resume"})
    assert admin.post(page[1], {"act": "replay", "after": "-1"}).status_code == 200
    assert "sent again" in text_of(admin.follow(admin.post(page[1], {"act": "replay", "after": "0"})))
    assert "is gone" in text_of(admin.follow(admin.post(page[1], {"act": "remove"})))
    assert admin.get(page[1]).status_code == 404


def test_admins_alone(site: Site) -> None:
    for role in ("viewer", "agent", "operator", "auditor"):
        assert site.client(role).get("/webhooks").status_code == 403
        assert site.client(role).post("/webhooks", {"url": "https://in.example"}).status_code == 403
