"""How the suite moves a Bulletin office."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from hub.api import FakeClock, WebhookRequest
from hub.testing import Rig
from hub_bulletin.emulator import BulletinEmulator

DAY_MS = 86_400_000


class MessagesRig(Rig):
    """Messages: everything but merges."""

    stream: ClassVar[str] = "messages"
    many: ClassVar[int] = 50
    burst: ClassVar[int] = 25

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.office = self.emulator = BulletinEmulator(clock.now)
        self.count = 0
        self.bad: list[str] = []

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        return self.office.items[self.stream]

    def settings(self, url: str) -> dict[str, Any]:
        office = self.office
        return {
            "base_url": f"{url}/", "client_id": "hub", "refresh_token": office.refresh_token,
            "webhook_secret": office.secret,
        }  # fmt: skip

    def existing(self) -> set[str]:
        return set(self.items)

    def remote_state(self) -> Any:
        return json.dumps(self.office.items, sort_keys=True)

    def written(self) -> dict[str, int]:
        keys = [i["key"] for i in self.office.items["messages"].values() if i.get("key")]
        return {key: keys.count(key) for key in keys}

    def fields(self, n: int) -> dict[str, Any]:
        return {
            "sender": f"person{n % 7}@example.org",
            "to": ["team@example.com"],
            "subject": f"Matter {n}",
            "text": "Words.",
        }

    def make(self, at_ms: int, **more: Any) -> str:
        self.count += 1
        return self.office.put(self.stream, at=at_ms, changed=at_ms, **{**self.fields(self.count), **more})

    def populate(self, n: int) -> list[str]:
        now = self.office.now_ms()
        return [self.make(now - 60_000 * (n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.office.now_ms())

    def add_late(self) -> str:
        return self.make(self.office.now_ms() - 5 * 60_000)

    def change(self, external_id: str) -> None:
        self.count += 1
        self.office.put(self.stream, external_id, subject=f"Changed {self.count}")

    def delete(self, external_id: str) -> None:
        self.office.drop(self.stream, external_id)

    def private(self, text: str, domain: str) -> list[str]:
        now, said = self.office.now_ms(), {"subject": text, "text": f"About {text}."}
        return [self.make(now, labels=["Private"], **said), self.make(now, **said, sender=f"adviser@{domain}")]

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.office.hidden.update(ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.office.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.bad.append(external_id)
        self.office.faults.clear("poison")
        self.office.faults.add("poison", ids=self.bad)

    def expire_cursor(self) -> None:
        self.office.faults.add("expire_cursor")

    def deny_scope(self) -> str:
        scope = f"{self.stream}.read"
        self.office.faults.add("deny_scope", scope=scope)
        return scope

    def revoke(self) -> None:
        self.office.is_revoked = True

    def expire_token(self) -> None:
        self.office.tokens.clear()

    def refreshes(self) -> int:
        return self.office.refreshes

    def spend_day(self) -> None:
        self.office.faults.add("quota", resets_at=(self.office.now_ms() // DAY_MS + 1) * DAY_MS)

    def limit(self) -> None:
        self.office.per_minute = 40

    def refusals(self) -> int:
        return self.office.refusals

    def webhooks(self) -> list[WebhookRequest]:
        events, self.office.events = self.office.events, []
        return [self.call(json.dumps(event).encode()) for event in events]

    def call(self, body: bytes, secret: str = "") -> WebhookRequest:
        return WebhookRequest("POST", "https://hub.example/hooks/bulletin", self.office.sign(body, secret), body)

    def forged(self) -> list[WebhookRequest]:
        body = b'{"event": "e1", "stream": "messages", "item": "m00001"}'
        return [self.call(body, "another-secret"), WebhookRequest("POST", "https://hub.example/", {}, body)]


class PeopleRig(MessagesRig):
    """People, who can be merged."""

    stream: ClassVar[str] = "people"

    def fields(self, n: int) -> dict[str, Any]:
        return {"name": f"Person {n}", "emails": [f"person{n}@example.org"]}

    def change(self, external_id: str) -> None:
        self.count += 1
        self.office.put("people", external_id, name=f"Renamed {self.count}")

    def private(self, text: str, domain: str) -> list[str]:
        return [self.make(self.office.now_ms(), name=text, emails=[f"adviser@{domain}"])]

    def merge(self, winner: str, loser: str) -> str:
        emails = [*self.items[winner]["emails"], *self.items[loser]["emails"]]
        self.office.absorb("people", winner, loser, emails=emails)
        return winner
