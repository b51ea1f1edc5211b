"""Standard Webhooks: secrets and signatures (github.com/standard-webhooks, specification 1.0.0).

`webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`, one for each live secret, a space between them.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(live: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """What goes with a body. live: secrets, newest first. timestamp: seconds since 1970, of this try.

    Raises ValueError for an id with a dot in it (the boundary to the timestamp could be moved), or no secret.
    """
    if "." in message_id or not live:
        raise ValueError("an id without dots and at least one secret are needed")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id, "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in live),
    }  # fmt: skip


def _sign(secret: str, signed: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as exc:
        raise ValueError("a secret is whsec_ and base64") from exc
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
