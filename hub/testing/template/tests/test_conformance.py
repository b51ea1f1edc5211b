"""Acme against the clauses every connector is held to. The rig is the suite's hands at Acme: a line or two per verb."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import FakeClock
from hub.testing import ConnectorSuite, Rig
from hub.testing.template.hub_acme.connector import Acme
from hub.testing.template.hub_acme.emulator import AcmeEmulator
from hub.testing.template.hub_acme.settings import PER_MINUTE, SCOPE


class MessagesRig(Rig):
    stream: ClassVar[str] = "messages"
    many: ClassVar[int] = 50
    burst: ClassVar[int] = 25
    cannot: ClassVar[dict[str, str]] = {
        "expire-cursor": "changes are asked for by time, which does not expire",
        "refresh": "the token stands in the settings and is never renewed",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.tool = self.emulator = AcmeEmulator(clock.now)
        self.count = 0
        self.bad: list[str] = []

    def settings(self, url: str) -> dict[str, Any]:
        return {"base_url": f"{url}/", "token": self.tool.token}

    def existing(self) -> set[str]:
        return set(self.tool.messages)

    # What people do there

    def make(self, at: datetime, **more: Any) -> str:
        self.count += 1
        sender = {"name": "", "email": f"person{self.count % 7}@customer.example"}
        said = {"from": sender, "subject": f"Matter {self.count}", "text": "Words.", "labels": []}
        return self.tool.put(sent_at=at.isoformat(), updated_at=at.isoformat(), **{**said, **more})

    def populate(self, n: int) -> list[str]:
        return [self.make(self.clock.now() - timedelta(minutes=n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.clock.now())

    def add_late(self) -> str:
        return self.make(self.clock.now() - timedelta(minutes=5))

    def change(self, external_id: str) -> None:
        self.count += 1
        self.tool.put(external_id, subject=f"Changed {self.count}")

    def delete(self, external_id: str) -> None:
        del self.tool.messages[external_id]

    def private(self, text: str, domain: str) -> list[str]:
        now, said = self.clock.now(), {"subject": text, "text": f"About {text}."}
        adviser = {"name": text, "email": f"adviser@{domain}"}
        return [self.make(now, labels=["Private"], **said), self.make(now, **{**said, "from": adviser})]

    # What goes wrong there

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.tool.hidden.update(ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.tool.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.bad.append(external_id)
        self.tool.faults.add("poison", ids=self.bad)

    def deny_scope(self) -> str:
        self.tool.faults.add("deny_scope", scope=SCOPE)
        return SCOPE

    def revoke(self) -> None:
        self.tool.is_revoked = True

    def spend_day(self) -> None:
        self.tool.faults.add("quota")

    def limit(self) -> None:
        self.tool.per_minute = PER_MINUTE

    def refusals(self) -> int:
        return self.tool.refusals


class TestMessages(ConnectorSuite):
    connector = Acme
    rig = MessagesRig
    quality = Path(__file__).parents[1] / "quality.toml"
