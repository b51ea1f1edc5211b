"""The doorbell: only what Google signed for us, recently, rings it; and it says nothing but "look again"."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hub.api import Notice, WebhookRejected, WebhookRequest

pytestmark = pytest.mark.anyio
AUDIENCE = "https://hub.example.com/hooks/gmail"
PUSHER = "push@project.example"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Google:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_numbers()
        self.jwks = json.dumps(
            {"keys": [{"kid": "k1", "kty": "RSA", "alg": "RS256", "n": number(public.n), "e": number(public.e)}]}
        )

    def token(self, claims: dict[str, Any], **head: Any) -> str:
        parts = [{"alg": "RS256", "kid": "k1", "typ": "JWT", **head}, claims]
        signed = ".".join(b64(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{b64(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.fixture(scope="module")
def google() -> Google:
    return Google()


@pytest.fixture
def gmail(rig: Any, google: Google) -> Any:
    return rig.gmail(pubsub_audience=AUDIENCE, pubsub_service_account=PUSHER, pubsub_jwks=google.jwks)


def claims(rig: Any, **change: Any) -> dict[str, Any]:
    now = rig.clock.now().timestamp()
    return {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": PUSHER, "email_verified": True,
            "iat": now, "exp": now + 3600, **change}  # fmt: skip


def request(rig: Any, token: str | None) -> WebhookRequest:
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    body = json.dumps(rig.emulator.push_body(rig.address)).encode()
    return WebhookRequest("POST", AUDIENCE, headers, body)


async def test_a_signed_notification_rings(rig: Any, gmail: Any, google: Google) -> None:
    ring = request(rig, google.token(claims(rig)))
    gmail.verify_webhook(ring)
    (notice,) = gmail.parse_webhook(ring)
    assert (notice.stream, notice.external_id) == ("messages", "")
    assert notice.dedup_id == rig.emulator.push_body(rig.address)["message"]["messageId"]


FORGED = [
    ("other audience", {"aud": "https://elsewhere.example"}, {}),
    ("other sender", {"email": "somebody@project.example"}, {}),
    ("unverified sender", {"email_verified": False}, {}),
    ("other issuer", {"iss": "https://accounts.example"}, {}),
    ("yesterday's", {"iat": 0, "exp": 1000}, {}),
    ("tomorrow's", {"iat": 4_000_000_000, "exp": 4_000_003_600}, {}),
    ("no expiry", {"exp": None}, {}),
    ("other key", {}, {"kid": "k2"}),
    ("unsigned", {}, {"alg": "none"}),
    ("symmetric", {}, {"alg": "HS256"}),
]


@pytest.mark.parametrize(("change", "head"), [f[1:] for f in FORGED], ids=[f[0] for f in FORGED])
async def test_anything_else_is_rejected(rig: Any, gmail: Any, google: Google, change: Any, head: Any) -> None:
    with pytest.raises(WebhookRejected):
        gmail.verify_webhook(request(rig, google.token(claims(rig, **change), **head)))


async def test_a_signature_by_others_or_over_other_claims_is_rejected(rig: Any, gmail: Any, google: Google) -> None:
    with pytest.raises(WebhookRejected, match="signature"):
        gmail.verify_webhook(request(rig, Google().token(claims(rig))))
    head, _, signature = google.token(claims(rig)).split(".")
    other = b64(json.dumps(claims(rig, extra=1)).encode())
    with pytest.raises(WebhookRejected, match="signature"):
        gmail.verify_webhook(request(rig, f"{head}.{other}.{signature}"))


@pytest.mark.parametrize("token", [None, "", "a.b", "a.b.c", "....", "é.é.é", "x" * 9000 + ".a.b"])
async def test_garbage_tokens_are_rejected(rig: Any, gmail: Any, token: str | None) -> None:
    with pytest.raises(WebhookRejected):
        gmail.verify_webhook(request(rig, token))


@pytest.mark.parametrize("left_out", ["pubsub_audience", "pubsub_service_account", "pubsub_jwks"])
async def test_an_unconfigured_doorbell_rejects_everything(rig: Any, google: Google, left_out: str) -> None:
    given = {"pubsub_audience": AUDIENCE, "pubsub_service_account": PUSHER, "pubsub_jwks": google.jwks, left_out: ""}
    with pytest.raises(WebhookRejected, match="not configured"):
        rig.gmail(**given).verify_webhook(request(rig, google.token(claims(rig))))


async def test_the_key_set_may_be_a_file_that_changes(rig: Any, google: Google, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    gmail = rig.gmail(pubsub_audience=AUDIENCE, pubsub_service_account=PUSHER, pubsub_jwks=str(path))
    ring = request(rig, google.token(claims(rig)))
    for text in (None, "{", '{"keys": []}'):
        if text is not None:
            path.write_text(text)
        with pytest.raises(WebhookRejected):
            gmail.verify_webhook(ring)
    path.write_text(google.jwks)
    gmail.verify_webhook(ring)


async def test_a_little_clock_skew_is_forgiven(rig: Any, gmail: Any, google: Google) -> None:
    now = (rig.clock.now() + timedelta(seconds=30)).timestamp()
    gmail.verify_webhook(request(rig, google.token(claims(rig, iat=now, exp=now + 1))))


def push(data: Any) -> bytes:
    return json.dumps({"message": {"data": data, "messageId": "7"}}).encode()


QUIET = [
    b"", b"{", b"[]", b'{"message": {}}', push("%%%"), push(base64.b64encode(b"[]").decode()), push(17),
    push(base64.b64encode(b'{"emailAddress": "other@example.com", "historyId": 1}').decode()),
]  # fmt: skip


@pytest.mark.parametrize("body", QUIET)
async def test_garbage_and_other_mailboxes_ring_nothing(rig: Any, gmail: Any, body: bytes) -> None:
    assert list(gmail.parse_webhook(WebhookRequest("POST", AUDIENCE, {}, body))) == []


@pytest.mark.parametrize("history_id", [17, "17"])
async def test_the_history_id_may_be_a_number_or_a_text(rig: Any, gmail: Any, history_id: Any) -> None:
    data = json.dumps({"emailAddress": rig.address.upper(), "historyId": history_id}).encode()
    body = push(base64.b64encode(data).decode())
    ring = WebhookRequest("POST", AUDIENCE, {}, body)
    assert list(gmail.parse_webhook(ring)) == [Notice("messages", dedup_id="7")]
