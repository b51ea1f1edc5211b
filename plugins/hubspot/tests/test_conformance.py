"""HubSpot against the clauses every connector is held to: its contacts, and its e-mails."""

import json
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Person, WebhookRequest
from hub.testing import ConnectorSuite, Rig
from hub.testing.suite_bench import Effort
from hub_hubspot import HubSpot
from hub_hubspot.emulator import HubSpotEmulator, sign_v1, sign_v3

QUALITY = Path(__file__).parents[1] / "quality.toml"
HOOK = "https://hub.example/webhooks/hubspot"
SECRET = "client-secret-of-portal"
REFRESH = "refresh-token-of-portal"


class ContactsRig(Rig):
    """People: merged, called out by webhooks."""

    stream: ClassVar[str] = "contacts"
    scope: ClassVar[str] = "crm.objects.contacts.read"
    push_kind: ClassVar[str] = "person"
    many: ClassVar[int] = 330
    sweep_s: ClassVar[float] = 3700  # archived and merged records are looked for once an hour
    cannot: ClassVar[dict[str, str]] = {
        "newest-first": "HubSpot's list goes by id, oldest first, and its search ends at 10,000 rows",
        "expire-cursor": "HubSpot's cursors are times and ids, which do not expire",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.portal = self.emulator = HubSpotEmulator(
            now=clock.now, client_secret=SECRET, refresh_token=REFRESH, webhook_url=HOOK
        )
        seeded = self.portal.seed({"companies": [{"properties": {"name": "Pine", "domain": "pine.example"}}]})
        self.link = {"to": "companies", "id": seeded["companies"][0]}
        self.count = 0
        self.bad: list[str] = []

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "client_id": "test-client", "client_secret": SECRET, "refresh_token": REFRESH, "base_url": url, "tier": 110,
            "time_zone": "Europe/Berlin",
        }  # fmt: skip

    # What is there

    def existing(self) -> set[str]:
        return {str(i) for i in self.portal.portal.shelves[self.stream].live}

    def remote_state(self) -> Any:
        return [self.portal.control("dump", {"type": kind}) for kind in ("contacts", "companies", "emails")]

    def written(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for shelf in self.portal.portal.shelves.values():
            found.update(key for i in shelf.live if (key := shelf.records[i].properties.get("ihub_key")))
        return found

    # What people do

    def fields(self, n: int, at: datetime) -> dict[str, str]:
        return {"email": f"contact{n}@example.org", "firstname": "Ada", "lastname": f"Number {n}"}

    def make(self, at: datetime, **more: str) -> str:
        self.count += 1
        row = {
            "properties": {**self.fields(self.count, at), **more}, "created_at": at.isoformat(),
            "updated_at": at.isoformat(), "associations": [self.link],
        }  # fmt: skip
        return self.portal.seed({self.stream: [row]})[self.stream][0]

    def populate(self, n: int) -> list[str]:
        return [self.make(self.clock.now() - timedelta(minutes=n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.clock.now())

    def add_late(self) -> str:
        return self.make(self.clock.now() - timedelta(minutes=5))

    def edit(self, external_id: str, **properties: str) -> None:
        self.portal.control("touch", {"type": self.stream, "ids": [external_id], "properties": properties})

    def change(self, external_id: str) -> None:
        self.count += 1
        self.edit(external_id, firstname=f"Changed {self.count}")

    def delete(self, external_id: str) -> None:
        self.portal.control("delete", {"type": self.stream, "ids": [external_id]})

    def merge(self, winner: str, loser: str) -> str:
        """The way that is harder to follow: the one that is left is a third record."""
        args = {"type": self.stream, "primary": winner, "other": loser, "mints_new_id": True}
        return str(self.portal.control("merge", args)["id"])

    def private(self, text: str, domain: str) -> list[str]:
        return [self.make(self.clock.now(), email=f"adviser@{domain}", firstname=text, jobtitle=text)]

    # What goes wrong

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.portal.faults.add("hide", type=self.stream, ids=ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.portal.faults.add("vanish", type=self.stream, ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.bad.append(external_id)
        self.portal.faults.clear("poison")
        self.portal.faults.add("poison", type=self.stream, ids=self.bad)

    def deny_scope(self) -> str:
        self.portal.faults.add("deny_scope", scope=self.scope)
        return self.scope

    def revoke(self) -> None:
        for token in self.portal.gate.tokens.values():
            token.is_revoked = True
        self.portal.control("token", {"refresh_token": "another"})

    def expire_token(self) -> None:
        for token in self.portal.gate.tokens.values():
            token.expires_ms = 0

    def refreshes(self) -> int:
        return self.portal.gate.refreshes

    def spend_day(self) -> None:
        self.portal.faults.add("quota", policy="DAILY")

    def limit(self) -> None:
        self.portal.control("flags", {"rate_per_10s": 110, "search_per_s": 5})

    def refusals(self) -> int:
        return sum(1 for _, _, status in self.portal.requests if status == 429)

    # Webhooks

    def webhooks(self) -> list[WebhookRequest]:
        return [WebhookRequest(d.method, d.url, d.headers, d.body) for d in self.portal.pending_webhooks()]

    def forged(self) -> list[WebhookRequest]:
        at = str(int(self.clock.now().timestamp() * 1000))
        body = b'[{"subscriptionType": "contact.creation", "objectId": 1001}]'
        wrong = {"x-hubspot-request-timestamp": at, "x-hubspot-signature-v3": sign_v3("other", "POST", HOOK, body, at)}
        good = sign_v3(SECRET, "POST", HOOK, body, at)
        return [
            WebhookRequest("POST", HOOK, wrong, body),
            WebhookRequest("POST", HOOK, {**wrong, "x-hubspot-signature": sign_v1(SECRET, body)}, body),
            WebhookRequest("POST", HOOK, {"x-hubspot-signature-v3": good}, body),
            WebhookRequest("POST", HOOK + "2", {**wrong, "x-hubspot-signature-v3": good}, body),
            WebhookRequest("PUT", HOOK, {**wrong, "x-hubspot-signature-v3": good}, body),
            WebhookRequest("POST", HOOK, {"x-hubspot-signature": sign_v1("other", body)}, body),
        ]

    # What we write

    def wanted(self, n: int) -> Change:
        who = Identifier("email", f"wanted{n}@example.net")
        person = Person(external_id=f"p-{n}", identifiers=(who,), name=f"Wanted Number {n}")
        return Change(key=f"hub-p-{n}", kind="person", op="upsert", entity=person)


class EmailsRig(ContactsRig):
    """Engagements: no webhooks, no merges, and no trace of deleted ones."""

    stream: ClassVar[str] = "emails"
    scope: ClassVar[str] = "sales-email-read"
    push_kind: ClassVar[str] = "interaction"

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        seeded = self.portal.seed({"contacts": [{"properties": {"email": "ada@example.org"}}]})
        self.link = {"to": "contacts", "id": seeded["contacts"][0]}

    def fields(self, n: int, at: datetime) -> dict[str, str]:
        return self.email(f"person{n % 7}@example.org", f"Question {n}", "Hello.", at)

    def email(self, sender: str, subject: str, text: str, at: datetime) -> dict[str, str]:
        headers = {"from": {"email": sender}, "to": [{"email": "team@example.com"}]}
        return {
            "hs_timestamp": at.isoformat(), "hs_email_direction": "INCOMING_EMAIL", "hs_email_subject": subject,
            "hs_email_text": text, "hs_email_headers": json.dumps(headers),
        }  # fmt: skip

    def change(self, external_id: str) -> None:
        self.count += 1
        self.edit(external_id, hs_email_subject=f"Changed {self.count}")

    def private(self, text: str, domain: str) -> list[str]:
        now = self.clock.now()
        return [self.make(now, **self.email(f"adviser@{domain}", text, f"About {text}.", now))]

    def wanted(self, n: int) -> Change:
        return Rig.wanted(self, n)


class TestContacts(ConnectorSuite):
    connector = HubSpot
    rig = ContactsRig
    quality = QUALITY


class TestEmails(ConnectorSuite):
    connector = HubSpot
    rig = EmailsRig
    quality = QUALITY
    effort = Effort(cycles=10)
    clauses = ("W1", "W2", "W3", "W4", "W6", "W7", "W9", "W11", "W12")
