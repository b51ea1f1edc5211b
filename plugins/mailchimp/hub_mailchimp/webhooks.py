"""Mailchimp's webhooks: form-encoded, known by a secret in their address, signed besides where made so.

Webhooks of before 2026 are not signed; then the address is the whole secret. With a signing secret set, both must hold.
Source: Mailchimp, "Sync audience data with webhooks".
"""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import parse_qs, unquote, urlsplit

from hub.api import Notice, WebhookRejected, WebhookRequest

REPLAY_S = 300
_WAKES = {
    "subscribe": ("members",), "unsubscribe": ("members", "unsubscribes"), "profile": ("members",),
    "cleaned": ("members", "activity"), "upemail": ("members",), "campaign": ("campaigns", "sends"),
}  # fmt: skip


def verify(request: WebhookRequest, secret: str, signing_secret: str, now: datetime) -> None:
    """Raise WebhookRejected unless the call knows the secret address and, where we expect one, is signed.

    A GET is Mailchimp trying the address out when the webhook is made; it says nothing and needs nothing.
    """
    if request.method == "GET":
        return
    if request.method != "POST":
        raise WebhookRejected("Mailchimp calls by POST")
    if not secret:
        raise WebhookRejected("no webhook_secret is configured")
    url = urlsplit(request.url)
    # After `?secret=`, or as the last part of the path for programs in between that cut queries off.
    places = (parse_qs(url.query).get("secret", [""])[0], unquote(url.path.rpartition("/")[2]))
    if not any(hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace")) for given in places):
        raise WebhookRejected("the address does not carry the secret")
    if signing_secret:
        _verify_signature(request, signing_secret, now)


def _verify_signature(request: WebhookRequest, secret: str, now: datetime) -> None:
    """`t=<unix seconds>,v1=<hex>`, over time and raw body; while a secret is exchanged there are several `v1`."""
    pairs = [part.strip().partition("=") for part in request.headers.get("x-mailchimp-signature", "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    at = times[0] if len(times) == 1 else ""
    if not at.isascii() or not at.isdecimal() or len(at) > 12:
        raise WebhookRejected("the call is not signed")
    expected = hmac.new(secret.encode(), at.encode() + b"." + request.body, hashlib.sha256).hexdigest().encode()
    given = [value.encode("utf-8", "replace") for name, _, value in pairs if name == "v1"]
    if not any(hmac.compare_digest(expected, value) for value in given):
        raise WebhookRejected("the signature does not match")
    if abs(now.timestamp() - int(at)) > REPLAY_S:
        raise WebhookRejected("signed too long ago")


def notices(request: WebhookRequest) -> Iterator[Notice]:
    """Which streams to look at again. Calls have no id: the same type, contact and second are the same call.

    `data[id]` is neither contact id nor hash, so no record is named: the streams are woken. A permanent deletion shows
    only in a complete enumeration.
    """
    if request.method != "POST":
        return
    form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
    kind = form.get("type", "")
    who = form.get("data[id]") or form.get("data[email]") or form.get("data[new_email]") or ""
    named = "/".join((kind, form.get("data[list_id]", ""), who, form.get("data[action]", ""), form.get("fired_at", "")))
    dedup = hashlib.sha256(named.encode()).hexdigest()[:24]  # the name of the call, without the address in it
    for stream in _WAKES.get(kind, ()):
        yield Notice(stream, dedup_id=f"{stream}/{dedup}")
