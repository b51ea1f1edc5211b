"""Gmail's doorbell: a Pub/Sub push message, signed by Google as an OpenID Connect token.

It says only that a mailbox changed; the history is read from our own cursor all the same, since notifications
are doubled, dropped (at most one a second) and late. Source: developers.google.com/workspace/gmail/api/guides/push
and cloud.google.com/pubsub/docs/authenticate-push-subscriptions.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hub.api import Clock, Notice, WebhookRejected, WebhookRequest
from hub_gmail.settings import GmailSettings

ISSUERS = {"https://accounts.google.com", "accounts.google.com"}
LEEWAY_S = 60


class _Head(msgspec.Struct):
    alg: str
    kid: str = ""


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    exp: float
    iat: float = 0
    email: str = ""
    email_verified: bool = False


class _Key(msgspec.Struct):
    kid: str = ""
    kty: str = ""
    n: str = ""
    e: str = ""


class _Keys(msgspec.Struct):
    keys: list[_Key]


class _Message(msgspec.Struct):
    data: str = ""
    messageId: str = ""


class _Push(msgspec.Struct):
    message: _Message


class _Changed(msgspec.Struct):
    emailAddress: str = ""


def verify(request: WebhookRequest, settings: GmailSettings, clock: Clock) -> None:
    """Raise WebhookRejected unless Google signed a token for our audience and our push account, still valid.

    Unset settings reject everything: a doorbell nobody configured is nobody's.
    """
    if not (settings.pubsub_audience and settings.pubsub_service_account and settings.pubsub_jwks):
        raise WebhookRejected("Pub/Sub push is not configured for this connection")
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    parts = token.strip().split(".")
    if kind.lower() != "bearer" or len(parts) != 3 or len(token) > 8192:
        raise WebhookRejected("no bearer token")
    try:
        head = msgspec.json.decode(_b64(parts[0]), type=_Head)
        claims = msgspec.json.decode(_b64(parts[1]), type=_Claims)
        signature = _b64(parts[2])
    except (msgspec.DecodeError, ValueError) as exc:
        raise WebhookRejected("the token is not a JWT") from exc
    if head.alg != "RS256":
        raise WebhookRejected("the token is not signed with RS256")
    _check_signature(f"{parts[0]}.{parts[1]}".encode("ascii"), signature, head.kid, settings.pubsub_jwks)
    now = clock.now().timestamp()
    if claims.exp < now - LEEWAY_S or claims.iat > now + LEEWAY_S:
        raise WebhookRejected("the token is out of date")
    if claims.iss not in ISSUERS or not _same(claims.aud, settings.pubsub_audience):
        raise WebhookRejected("the token is meant for somebody else")
    if not claims.email_verified or not _same(claims.email, settings.pubsub_service_account):
        raise WebhookRejected("the token is not from the configured push account")


def parse(request: WebhookRequest, settings: GmailSettings) -> Iterator[Notice]:
    """A notice for our mailbox; nothing for others' and for garbage, which is acknowledged all the same."""
    try:
        message = msgspec.json.decode(request.body, type=_Push).message
        changed = msgspec.json.decode(_b64(message.data), type=_Changed)
    except (msgspec.DecodeError, ValueError):
        return
    if changed.emailAddress.strip().lower() == settings.mailbox:
        yield Notice("messages", dedup_id=message.messageId)


def _check_signature(signed: bytes, signature: bytes, kid: str, jwks: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    for key in _keys(jwks):
        if key.kid != kid or key.kty != "RSA":
            continue
        try:
            n, e = (int.from_bytes(_b64(x), "big") for x in (key.n, key.e))
            rsa.RSAPublicNumbers(e, n).public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError) as exc:
            raise WebhookRejected("the signature does not match") from exc
        return
    raise WebhookRejected("signed with a key that is not in pubsub_jwks")


def _keys(jwks: str) -> list[_Key]:
    """The key set: JSON text, or a file renewed from outside (Google changes its keys every few days)."""
    try:
        text = jwks if jwks.lstrip().startswith("{") else Path(jwks).read_text("utf-8")
        return msgspec.json.decode(text, type=_Keys).keys
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise WebhookRejected("pubsub_jwks is neither a key set nor a readable file with one") from exc


def _b64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii").translate(_URLSAFE) + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise ValueError("not base64") from exc


_URLSAFE = bytes.maketrans(b"-_", b"+/")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
