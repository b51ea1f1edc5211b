"""HubSpot's webhooks: three generations of signatures, and events as notices.

Source: developers.hubspot.com "Validating requests from HubSpot", "Webhooks API". Engagements have no events; they are
polled.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from hub.api import Notice, WebhookRejected, WebhookRequest
from hub_hubspot.objects import BY_ID

WINDOW_MS = 300_000
_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_STREAMS = {"contact": "contacts", "company": "companies", "deal": "deals", "ticket": "tickets"}


class _Event(msgspec.Struct):
    subscriptionType: str = ""
    eventType: str = ""
    subscriptionId: int | str = ""
    objectTypeId: str = ""
    occurredAt: int | str = ""
    objectId: int | str | None = None
    fromObjectId: int | str | None = None
    primaryObjectId: int | str | None = None
    newObjectId: int | str | None = None
    mergedObjectIds: list[int | str] = []
    propertyName: str = ""
    propertyValue: Any = None


def verify(request: WebhookRequest, secret: str, now: datetime, versions: Sequence[str] = ("v3",)) -> None:
    """Raise WebhookRejected unless HubSpot signed exactly these bytes, at most five minutes from `now`.

    versions: the signatures taken. v1 and v2 sign no time, so a captured call could be sent again for ever; they
    count only where the settings name them.
    """
    if not secret:
        raise WebhookRejected("no client secret is configured: set webhook_secret")
    headers = request.headers
    if "v3" in versions and (given := headers.get("x-hubspot-signature-v3", "")):
        _verify_v3(request, secret, given, headers.get("x-hubspot-request-timestamp", ""), now)
        return
    given = headers.get("x-hubspot-signature", "")
    version = headers.get("x-hubspot-signature-version", "v1").lower()
    if version in {"v1", "v2"} and version not in versions:
        raise WebhookRejected(f"a {version} signature is not accepted; taken: {', '.join(versions)}")
    if version == "v2":
        signed = secret.encode() + request.method.encode() + request.url.encode() + request.body
    elif version == "v1":
        signed = secret.encode() + request.body
    else:
        raise WebhookRejected(f"unknown signature version {version[:10]!r}")
    if not given or not hmac.compare_digest(hashlib.sha256(signed).hexdigest().encode(), given.lower().encode()):
        raise WebhookRejected("the signature does not match the request")


def _verify_v3(request: WebhookRequest, secret: str, given: str, timestamp: str, now: datetime) -> None:
    if not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 15:
        raise WebhookRejected("the request carries no usable timestamp")
    if abs(now.timestamp() * 1000 - int(timestamp)) > WINDOW_MS:
        raise WebhookRejected("the request is more than five minutes away from now")
    uri = _DECODED.sub(lambda m: chr(int(m.group(1), 16)), request.url)
    signed = request.method.encode() + uri.encode() + request.body + timestamp.encode()
    expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, given.encode()):
        raise WebhookRejected("the signature does not match the request")


def notices(request: WebhookRequest) -> Iterator[Notice]:
    """One notice per object an event names; events of objects we do not follow are passed over.

    Events may repeat and come in any order; `dedup_id` is the same for each repetition of one event.
    Raises WebhookRejected for a body that is not HubSpot's.
    """
    try:
        events = msgspec.json.decode(request.body, type=list[_Event])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WebhookRejected(f"the body is not a list of HubSpot events: {exc}") from exc
    for event in events:
        family, _, what = (event.subscriptionType or event.eventType).partition(".")
        stream = _STREAMS.get(family) or (BY_ID.get(event.objectTypeId) if family == "object" else None)
        if stream is None:
            continue
        named: list[Any] = [event.objectId, event.fromObjectId]
        if what == "merge":
            # The survivor may be a third record: none of the three may be left out.
            named += [event.primaryObjectId, event.newObjectId, *event.mergedObjectIds]
        value = hashlib.sha256(str(event.propertyValue).encode()).hexdigest()[:12]
        for id_ in dict.fromkeys(str(i) for i in named if i not in {None, "", 0, "0"}):
            parts = (event.subscriptionId, stream, what, id_, event.occurredAt, event.propertyName, value)
            yield Notice(stream, id_, "/".join(str(p) for p in parts))
