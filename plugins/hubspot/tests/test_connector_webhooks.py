"""HubSpot's webhooks: signatures of three generations, the replay window, events as notices. And the settings."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from hub.api import Clock, FakeClock, Services, WebhookRejected, WebhookRequest
from hub.testing import shared_path
from hub_hubspot import HubSpot, HubSpotSettings
from hub_hubspot.emulator import HubSpotEmulator
from hub_hubspot.errors import until_midnight
from hub_hubspot.webhooks import notices, verify

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
URL = "https://hub.example/webhooks/hubspot?a=b"


def requests(version: Any = "v3", url: str = URL) -> list[WebhookRequest]:
    emulator = HubSpotEmulator(now=lambda: NOW)
    made = emulator.portal.create(emulator.portal.shelves["contacts"], {"email": "ada@example.com"})
    emulator.portal.update(emulator.portal.shelves["contacts"], made, {"firstname": "Ada"})
    other = emulator.portal.create(emulator.portal.shelves["contacts"], {"email": "b@example.com"})
    emulator.control("merge", {"type": "contacts", "primary": made.id, "other": other.id, "mints_new_id": True})
    return [WebhookRequest(d.method, d.url, d.headers, d.body) for d in emulator.pending_webhooks(url, version)]


ALL = ("v1", "v2", "v3")


@pytest.mark.parametrize("version", ALL)
def test_each_generation_is_accepted_and_a_changed_byte_is_not(version: str) -> None:
    for request in requests(version):
        verify(request, "test-secret", NOW, ALL)
        forged = WebhookRequest(request.method, request.url, request.headers, request.body + b" ")
        with pytest.raises(WebhookRejected, match="does not match"):
            verify(forged, "test-secret", NOW, ALL)
        with pytest.raises(WebhookRejected):
            verify(request, "other-secret", NOW, ALL)
        with pytest.raises(WebhookRejected, match="no client secret"):
            verify(request, "", NOW, ALL)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_old_and_future_requests_are_refused(minutes: int) -> None:
    (request,) = requests()
    with pytest.raises(WebhookRejected, match="five minutes"):
        verify(request, "test-secret", NOW + timedelta(minutes=minutes))


def test_a_v3_signature_is_never_passed_over_for_an_older_one() -> None:
    (request,) = requests()
    headers = {**request.headers, "x-hubspot-signature-v3": "bm9wZQ=="}
    assert headers["x-hubspot-signature-version"] == "v1"
    with pytest.raises(WebhookRejected):
        verify(WebhookRequest(request.method, request.url, headers, request.body), "test-secret", NOW, ALL)


@pytest.mark.parametrize("timestamp", ["", "soon", "1" * 30, "\u0661\u0662"])
def test_a_request_without_a_usable_time_is_refused(timestamp: str) -> None:
    (request,) = requests()
    headers = {**request.headers, "x-hubspot-request-timestamp": timestamp}
    with pytest.raises(WebhookRejected):
        verify(WebhookRequest(request.method, request.url, headers, request.body), "test-secret", NOW, ALL)


def test_escapes_the_vendor_decodes_are_decoded() -> None:
    (request,) = requests(url="https://hub.example/hook?next=%2Fa%3Fb&keep=%20")
    verify(request, "test-secret", NOW)


def test_events_become_notices_that_repeat_with_the_same_id() -> None:
    (request,) = requests()
    found = list(notices(request))
    assert {n.stream for n in found} == {"contacts"}
    assert {n.external_id for n in found} == {"1001", "1002", "1003"}  # a merge names all three
    later = [{**e, "attemptNumber": 3, "eventId": 9} for e in json.loads(request.body)]
    again = WebhookRequest("POST", URL, {}, json.dumps(later).encode())
    assert [n.dedup_id for n in notices(again)] == [n.dedup_id for n in found]
    assert len({n.dedup_id for n in found}) == len(found)


def test_events_of_other_objects_are_passed_over() -> None:
    events = [
        {"subscriptionType": "product.creation", "objectId": 1},
        {"eventType": "company.deletion", "objectId": 2},
        {"subscriptionType": "object.creation", "objectTypeId": "0-48", "objectId": 3},
        {"subscriptionType": "contact.privacyDeletion", "objectId": 4},
    ]
    found = list(notices(WebhookRequest("POST", URL, {}, json.dumps(events).encode())))
    assert [(n.stream, n.external_id) for n in found] == [("companies", "2"), ("calls", "3"), ("contacts", "4")]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b"[" * 10_000])
def test_another_body_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRejected):
        list(notices(WebhookRequest("POST", URL, {}, body)))


def test_the_connector_uses_the_client_secret() -> None:
    settings = HubSpotSettings.model_validate({"token": "t", "webhook_secret": "test-secret"})
    hubspot = HubSpot(settings, Services(clock=FakeClock(NOW)))
    (request,) = requests()
    hubspot.verify_webhook(request)
    assert list(hubspot.parse_webhook(request))


@pytest.mark.real_data
def test_the_published_signature_vectors() -> None:
    path = shared_path("vendors/hubspot/object-types.json")
    if path is None:
        pytest.skip("the vendor's test vectors are not beside the checkout")
    given = json.loads(path.read_bytes())["signature_test_vectors"]
    secret, body = given["client_secret"], given["body_v1"].encode()
    v1 = {"x-hubspot-signature-version": "v1", "x-hubspot-signature": given["v1_sha256_hex"]}
    verify(WebhookRequest("POST", URL, v1, body), secret, NOW, ALL)
    v2 = {"x-hubspot-signature-version": "v2", "x-hubspot-signature": given["v2_sha256_hex"]}
    verify(WebhookRequest("GET", given["v2_get_uri"], v2, b""), secret, NOW, ALL)
    v3 = given["v3_computed_here"]
    headers = {
        "x-hubspot-signature-v3": v3["base64_hmac_sha256"],
        "x-hubspot-request-timestamp": v3["timestamp"],
    }
    at = datetime.fromtimestamp(int(v3["timestamp"]) / 1000, UTC)
    verify(WebhookRequest(v3["method"], v3["uri"], headers, body), secret, at)
    signed = v3["method"] + v3["uri"] + given["body_v1"] + v3["timestamp"]
    own = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
    assert own == v3["base64_hmac_sha256"]


# Settings


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either token or client_id"),
        ({"token": "t", "client_id": "c", "client_secret": "s"}, "either token or client_id"),
        ({"client_id": "c"}, "client_secret"),
        ({"token": "t", "base_url": "http://hubspot.example"}, "https"),
        ({"token": "t", "time_zone": "Mars/Olympus"}, "time zone"),
        ({"token": "t", "tier": 120}, "tier"),
        ({"token": "t", "tokn": "x"}, "tokn"),
    ],
)
def test_a_setting_that_cannot_be_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HubSpotSettings.model_validate(given)


def test_no_secret_is_shown() -> None:
    settings = HubSpotSettings.model_validate({"token": "canary-1", "webhook_secret": "canary-2"})
    assert "canary" not in repr(settings) + str(settings)
    with pytest.raises(ValidationError) as caught:
        HubSpotSettings.model_validate({"token": "canary-1", "tier": 120})
    assert "canary" not in str(caught.value)


def test_budgets_follow_the_subscription() -> None:
    settings = HubSpotSettings.model_validate({"token": "t", "tier": 190, "daily": 650_000})
    hubspot = HubSpot(settings, Services(clock=Clock()))
    assert {b.name: b.units_per_window for b in settings.budgets()} == {"burst": 17, "search": 4, "daily": 650_000}
    assert settings.budgets()[0].cost("search") == 0
    assert settings.budgets()[1].cost("list") == 0
    assert hubspot.http.budget.account == "default"


def test_midnight_in_the_portals_zone() -> None:
    assert until_midnight(NOW, "Europe/Berlin") == 14 * 3600
    assert until_midnight(NOW, "") == 3600
    before_summer_time = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # 00:30 of a day of 23 hours in Berlin
    assert until_midnight(before_summer_time, "Europe/Berlin") == 22.5 * 3600


def test_signatures_without_a_time_are_refused_unless_the_settings_take_them() -> None:
    body = b"[]"
    signed = hashlib.sha256(b"test-secret" + body).hexdigest()
    headers = {"x-hubspot-signature-version": "v1", "x-hubspot-signature": signed}
    request = WebhookRequest("POST", URL, headers, body)
    with pytest.raises(WebhookRejected, match="v1 signature is not accepted"):
        verify(request, "test-secret", NOW)
    verify(request, "test-secret", NOW, ALL)
