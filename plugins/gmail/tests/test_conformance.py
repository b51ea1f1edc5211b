"""Gmail against the clauses every connector is held to."""

import base64
import json
import math
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hub.api import FakeClock, WebhookRequest
from hub.api.mail import OWN_DOMAIN as DOMAIN
from hub.testing import ConnectorSuite, Rig
from hub_gmail import Gmail
from hub_gmail.emulator import GmailEmulator
from hub_gmail.settings import READ_SCOPE

BOX = "box@example.com"
HOOK = "https://hub.example.com/hooks/gmail"
PUSHER = "push@project.example"
HIDDEN = {"TRASH", "SPAM", "DRAFT", "CHAT"}


class GmailRig(Rig):
    """One mailbox."""

    stream: ClassVar[str] = "messages"
    cannot: ClassVar[dict[str, str]] = {
        "tampered-body": "Pub/Sub signs who calls, not what; the body only says which mailbox to look at again",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.gmail = self.emulator = GmailEmulator(now=clock.now)
        self.gmail.add_mailbox(BOX)
        self.count = 0
        self.rung = 0

    @property
    def box(self) -> Any:
        return self.gmail.mailboxes[BOX]

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "mailbox": BOX, "client_id": "client", "client_secret": "client-secret-of-box",
            "refresh_token": f"1//refresh-{BOX}", "base_url": url, "token_url": f"{url}/token", "push_drafts": True,
            "pubsub_audience": HOOK, "pubsub_service_account": PUSHER, "pubsub_jwks": google().jwks,
        }  # fmt: skip

    def do(self, command: str, **args: Any) -> Any:
        with self.gmail.lock:
            return self.gmail.control(command, {"address": BOX, **args})

    # What is there

    def existing(self) -> set[str]:
        return {m.id for m in self.box.messages.values() if not HIDDEN & set(m.labels)}

    def remote_state(self) -> Any:
        return sorted((m.id, m.labels) for m in self.box.messages.values()), sorted(self.box.drafts.items())

    def written(self) -> dict[str, int]:
        ids = [self.box.messages[m].rfc822_id.strip("<>") for m in self.box.drafts.values()]
        keys = [i.removesuffix(f"@{DOMAIN}") for i in ids if i.endswith(f"@{DOMAIN}")]
        return {key: keys.count(key) for key in keys}

    # What people do

    def mail(self, at: datetime, labels: Iterable[str] = ("INBOX",), sender: str = "", said: str = "") -> str:
        self.count += 1
        n = self.count
        raw = (
            f"From: {sender or f'person{n % 7}@example.org'}\r\nTo: {BOX}\r\nSubject: {said or f'Matter {n}'}\r\n"
            f"Message-ID: <m{n}@example.org>\r\nDate: {at:%a, %d %b %Y %H:%M:%S} +0000\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\nWords of message {n}. {said}\r\n"
        ).encode()
        return self.gmail.add_message(BOX, raw, labels, at)

    def populate(self, n: int) -> list[str]:
        return [self.mail(self.clock.now() - timedelta(minutes=n - i)) for i in range(n)]

    def add(self) -> str:
        return self.mail(self.clock.now())

    def add_late(self) -> str:
        return self.mail(self.clock.now() - timedelta(days=3))

    def change(self, external_id: str) -> None:
        is_on = "STARRED" in self.box.messages[external_id].labels
        labels = {"remove" if is_on else "add": ["STARRED"]}
        self.do("label", ids=[external_id], **labels)

    def delete(self, external_id: str) -> None:
        self.do("delete", ids=[external_id])

    def private(self, text: str, domain: str) -> list[str]:
        now = self.clock.now()
        marked = self.mail(now, ("INBOX", "Private"), said=text)
        return [marked, self.mail(now, sender=f"adviser@{domain}", said=text)]

    # What goes wrong

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.gmail.faults.add("hide", ids=ids, args={"ids": ids, "from": "history"})
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.gmail.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.gmail.faults.add("poison", ids=[external_id], how="base64")

    def expire_cursor(self) -> None:
        self.gmail.faults.add("expire_cursor")

    def deny_scope(self) -> str:
        self.gmail.faults.add("deny_scope")
        return READ_SCOPE

    def revoke(self) -> None:
        self.gmail.oauth.revoke(BOX)

    def expire_token(self) -> None:
        self.gmail.oauth.tokens.clear()

    def refreshes(self) -> int:
        return self.gmail.oauth._issued

    def spend_day(self) -> None:
        self.gmail.faults.add("quota", scope="daily")

    def limit(self) -> None:
        self.gmail.quota.per_minute = 6_000

    def refusals(self) -> int:
        return self.gmail.quota._refusals

    # Webhooks

    def webhooks(self) -> list[WebhookRequest]:
        """Pub/Sub tells of the newest state of the mailbox, if it has moved."""
        if self.rung == self.box.history.current:
            return []
        self.rung = self.box.history.current
        return [self.call(google().token(self.claims()))]

    def claims(self, **other: Any) -> dict[str, Any]:
        now = math.floor(self.clock.now().timestamp())
        return {
            "iss": "https://accounts.google.com", "aud": HOOK, "email": PUSHER, "email_verified": True, "iat": now,
            "exp": now + 3600, **other,
        }  # fmt: skip

    def call(self, token: str) -> WebhookRequest:
        body = json.dumps(self.gmail.push_body(BOX)).encode()
        return WebhookRequest(
            "POST", HOOK, {"content-type": "application/json", "authorization": f"Bearer {token}"}, body
        )

    def forged(self) -> list[WebhookRequest]:
        stranger = Google()
        return [
            self.call(stranger.token(self.claims())),
            self.call(google().token(self.claims(), kid="another")),
            self.call(google().token(self.claims(), alg="none")),
            self.call(google().token(self.claims(aud="https://elsewhere.example"))),
            self.call(google().token(self.claims(email="somebody@project.example"))),
            self.call("not.a.token"),
        ]


class Google:
    """Who signs Pub/Sub's calls."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_numbers()
        key = {"kid": "k1", "kty": "RSA", "alg": "RS256", "n": _number(public.n), "e": _number(public.e)}
        self.jwks = json.dumps({"keys": [key]})

    def token(self, claims: dict[str, Any], **head: Any) -> str:
        parts = [{"alg": "RS256", "kid": "k1", "typ": "JWT", **head}, claims]
        signed = ".".join(_b64(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_b64(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@cache
def google() -> Google:
    return Google()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class TestGmail(ConnectorSuite):
    connector = Gmail
    rig = GmailRig
    quality = Path(__file__).parents[1] / "quality.toml"
