"""Webhooks: the address is the secret, the signature proves the rest, nothing names a person."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import pytest

from hub.api import WebhookRejected, WebhookRequest

pytestmark = pytest.mark.anyio
URL = "https://hub.example/hooks/mailchimp"
GOOD = f"{URL}?secret=guess-me-not"
BODY = b"type=unsubscribe&data%5Bemail%5D=ada%40example.com"


def post(url: str = GOOD, body: bytes = BODY, **headers: str) -> WebhookRequest:
    return WebhookRequest("POST", url, {k.replace("_", "-"): v for k, v in headers.items()}, body)


async def test_unsigned_webhooks_by_their_address(account: Any) -> None:
    connector = account.connect(webhook_secret="guess-me-not")
    connector.verify_webhook(post())
    connector.verify_webhook(post(f"{URL}?a=1&secret=guess-me-not"))
    connector.verify_webhook(post(f"{URL}/guess-me-not"))
    for url in (
        URL,
        f"{URL}?secret=",
        f"{URL}?secret=guess-me-no",
        f"{GOOD}2",
        f"{URL}/guess-me-not/x",
        f"{URL}?Secret=guess-me-not",
    ):
        with pytest.raises(WebhookRejected):
            connector.verify_webhook(post(url))
    with pytest.raises(WebhookRejected, match="configured"):
        account.connect().verify_webhook(post(f"{URL}?secret="))


async def test_mailchimp_tries_the_address_by_get(account: Any) -> None:
    connector = account.connect(webhook_secret="guess-me-not")
    request = WebhookRequest("GET", URL, {}, b"")
    connector.verify_webhook(request)
    assert list(connector.parse_webhook(request)) == []
    with pytest.raises(WebhookRejected):
        connector.verify_webhook(WebhookRequest("PUT", GOOD, {}, BODY))


def sign(secret: str, at: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()


async def test_the_signature_as_documented(account: Any) -> None:
    """The vector of the vendor's facts, and a secret being exchanged: several v1, one of which is right."""
    vector = "d7c49f3b2b77c404a8e708379f19a1893b5e96675912f7c164da10adb9e9f842"
    assert sign("whsec_test", "1718000000") == vector
    connector = account.connect(webhook_secret="guess-me-not", webhook_signing_secret="whsec_test")
    account.clock.advance(1718000000 - account.clock.now().timestamp())
    connector.verify_webhook(post(x_mailchimp_signature=f"t=1718000000,v1={vector}"))
    connector.verify_webhook(post(x_mailchimp_signature=f"t=1718000000,v1={sign('old', '1718000000')},v1={vector}"))
    for bad in (
        "", f"v1={vector}", f"t=1718000001,v1={vector}", f"t=1718000000,t=1718000000,v1={vector}", f"t=x,v1={vector}",
        f"t=1718000000,v0={vector}", "t=1718000000,v1=", f"t=1718000000,v1={vector}\u00e9",
    ):  # fmt: skip
        with pytest.raises(WebhookRejected):
            connector.verify_webhook(post(x_mailchimp_signature=bad))
    with pytest.raises(WebhookRejected):
        connector.verify_webhook(post(URL, x_mailchimp_signature=f"t=1718000000,v1={vector}"))
    account.clock.advance(301)
    with pytest.raises(WebhookRejected, match="too long ago"):
        connector.verify_webhook(post(x_mailchimp_signature=f"t=1718000000,v1={vector}"))


@pytest.mark.parametrize(
    ("kind", "streams"),
    [("subscribe", {"members"}), ("unsubscribe", {"members", "unsubscribes"}), ("profile", {"members"}),
     ("cleaned", {"members", "activity"}), ("upemail", {"members"}), ("campaign", {"campaigns", "sends"}),
     ("something new", set())],
)  # fmt: skip
async def test_what_each_event_wakes(account: Any, kind: str, streams: set[str]) -> None:
    data = {"type": kind, "fired_at": "2026-03-10 12:00:00", "data[email]": "ada@example.com", "data[list_id]": "a1"}
    request = post(body=urlencode(data).encode())
    connector = account.connect()
    notices = list(connector.parse_webhook(request))
    assert {n.stream for n in notices} == streams
    assert notices == list(connector.parse_webhook(request))
    assert not any("ada" in n.dedup_id or n.external_id for n in notices)
    later = post(body=urlencode({**data, "fired_at": "2026-03-10 12:00:01"}).encode())
    assert not {n.dedup_id for n in notices} & {n.dedup_id for n in connector.parse_webhook(later)}
