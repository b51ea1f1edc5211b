"""Zendesk's webhooks: the signature over timestamp and body, and events as notices.

Source: Zendesk "Verifying webhook authenticity", "Webhook event types". Calls may come twice and in any order, and stop
when many fail: they only ring the bell, the exports are the truth.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from hub.api import Notice, WebhookRejected, WebhookRequest
from hub_zendesk.records import comment_id
from hub_zendesk.texts import instant

WINDOW_S = 300
_STREAMS = {"ticket": "tickets", "user": "users", "organization": "organizations"}


class _Part(msgspec.Struct):
    id: str | int | None = None


class _What(msgspec.Struct):
    comment: _Part | None = None


class _Event(msgspec.Struct):
    type: str
    id: str
    detail: _Part
    event: Any = None


def verify(request: WebhookRequest, secret: str, now: datetime) -> None:
    """Raise WebhookRejected unless Zendesk signed exactly these bytes, at most five minutes from `now`."""
    if not secret:
        raise WebhookRejected("no webhook_secret is configured: copy the webhook's signing secret")
    at = request.headers.get("x-zendesk-webhook-signature-timestamp", "")
    given = request.headers.get("x-zendesk-webhook-signature", "")
    signed = hmac.new(secret.encode(), at.encode() + request.body, hashlib.sha256).digest()
    if not given or not hmac.compare_digest(base64.b64encode(signed), given.encode()):
        raise WebhookRejected("the signature does not match the request")
    try:
        moment = instant(at)
    except ValueError as exc:
        raise WebhookRejected("the request carries no usable timestamp") from exc
    if moment is None or abs((now - moment).total_seconds()) > WINDOW_S:
        raise WebhookRejected("the request is more than five minutes away from now")


def notices(request: WebhookRequest) -> Iterator[Notice]:
    """A notice for the object an event is about, and one for the comment it names.

    Raises WebhookRejected for a body that is not an event of Zendesk's.
    """
    try:
        event = msgspec.json.decode(request.body, type=_Event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WebhookRejected("the body is not a Zendesk event") from exc
    subject, _, what = event.type.removeprefix("zen:event-type:").partition(".")
    stream, number = _STREAMS.get(subject), str(event.detail.id or "")
    if stream is None or not number.isdecimal():
        return
    yield Notice(stream, number, f"{event.id}/{stream}")
    if stream == "tickets":
        try:
            comment = msgspec.convert(event.event, _What).comment
        except msgspec.ValidationError:
            comment = None
        if comment is not None and str(comment.id or "").isdecimal():
            yield Notice("comments", comment_id(int(number), int(str(comment.id))), f"{event.id}/comments")
        elif "comment" in what:
            yield Notice("comments", "", f"{event.id}/comments")
