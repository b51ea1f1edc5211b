"""Mailchimp against the clauses every connector is held to: its members, and its sends."""

import json
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Person, WebhookRequest
from hub.testing import ConnectorSuite, Rig
from hub_mailchimp import Mailchimp
from hub_mailchimp.emulator import MailchimpEmulator
from hub_mailchimp.emulator.audience import hash_of

QUALITY = Path(__file__).parents[1] / "quality.toml"
SECRET, SIGNING = "guess-me-not", "whsec_of_account"
HOOK = f"https://hub.example/hooks/mailchimp?secret={SECRET}"
NEVER = "keys and OAuth tokens of Mailchimp neither expire nor are refreshed"


class MembersRig(Rig):
    """Two audiences and their members."""

    stream: ClassVar[str] = "members"
    push_kind: ClassVar[str] = "person"
    many: ClassVar[int] = 250
    burst: ClassVar[int] = 110
    cannot: ClassVar[dict[str, str]] = {
        "expire-cursor": "Mailchimp gives out no cursors; ours are times, which do not expire",
        "refresh": NEVER,
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.account = self.emulator = MailchimpEmulator(clock.now, webhook_url=HOOK, signing_secret=SIGNING)
        self.lists = [self.account.audiences.add("Newsletter"), self.account.audiences.add("Fairs")]
        self.count = 0
        self.bad: list[str] = []

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "api_key": self.account.api_key, "base_url": url, "page_size": 100, "webhook_secret": SECRET,
            "webhook_signing_secret": SIGNING,
        }  # fmt: skip

    # What is there

    def existing(self) -> set[str]:
        return set(self.account.audiences.members)

    def remote_state(self) -> Any:
        return json.dumps(self.account.state(), sort_keys=True)

    def written(self) -> dict[str, int]:
        members = self.account.audiences.members.values()
        return Counter(key for m in members if (key := m["merge_fields"].get("IHUBKEY")))

    # What people do

    def make(self, at: datetime, **more: Any) -> str:
        self.count += 1
        iso = self.account.audiences.iso(at)
        times = {"last_changed": iso, "timestamp_signup": iso, "timestamp_opt": iso}
        fields = {"email": f"person{self.count}@example.org", "merge_fields": {"FNAME": "Ada"}, **times, **more}
        return self.account.audiences.join(self.lists[self.count % 2], **fields)

    def populate(self, n: int) -> list[str]:
        ids = [self.make(self.clock.now() - timedelta(minutes=n - i)) for i in range(n)]
        self.account.audiences.members[ids[0]]["status"] = "archived"  # named by its own list only
        self.account.bells.events.clear()
        return ids

    def add(self) -> str:
        return self.make(self.clock.now())

    def add_late(self) -> str:
        return self.make(self.clock.now() - timedelta(minutes=5))

    def change(self, external_id: str) -> None:
        self.count += 1
        self.account.audiences.change(external_id, merge_fields={"FNAME": f"Changed {self.count}"})

    def delete(self, external_id: str) -> None:
        self.account.audiences.erase(external_id)

    def private(self, text: str, domain: str) -> list[str]:
        return [self.make(self.clock.now(), email=f"adviser@{domain}", merge_fields={"FNAME": text, "LNAME": text})]

    # What goes wrong

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.account.faults.add("hide", ids=ids)
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.account.faults.add("vanish", ids=sorted(external_ids))

    def poison(self, external_id: str) -> None:
        self.bad.append(external_id)
        self.account.faults.clear("poison")
        self.account.faults.add("poison", ids=self.bad)

    def deny_scope(self) -> str:
        (area,) = Mailchimp.manifest.stream(self.stream).needs
        self.account.faults.add("deny_scope", part=f"/3.0/{area}")
        return area

    def revoke(self) -> None:
        self.account.is_revoked = True

    def spend_day(self) -> None:
        """There is no daily quota; what comes nearest is the edge stopping the key, without a word of JSON."""
        self.account.faults.add("quota", status=403)

    def limit(self) -> None:
        """Ten open connections are enforced always."""

    def refusals(self) -> int:
        return self.account.refusals

    # Webhooks

    def webhooks(self) -> list[WebhookRequest]:
        return [WebhookRequest("POST", url, headers, body) for url, headers, body in self.account.bells.drain()]

    def forged(self) -> list[WebhookRequest]:
        body = b"type=profile&fired_at=2026-03-10+12%3A00%3A00&data%5Bemail%5D=person1%40example.org"
        good, bad = self.account.bells.signed(body), self.account.bells.signed(body, "another")
        bare = {k: v for k, v in good.items() if k == "content-type"}
        return [
            WebhookRequest("POST", HOOK, bad, body),
            WebhookRequest("POST", HOOK, bare, body),
            WebhookRequest("POST", HOOK.partition("?")[0], good, body),
            WebhookRequest("POST", f"{HOOK}x", good, body),
            WebhookRequest("PUT", HOOK, good, body),
            WebhookRequest("POST", HOOK, {**good, "x-mailchimp-signature": "t=1,v1=00"}, body),
        ]

    # What we write: nobody is added, so the people are members already

    def wanted(self, n: int) -> Change:
        email = f"wanted{n}@example.net"
        if not any(m["id"] == hash_of(email) for m in self.account.audiences.members.values()):
            self.make(self.clock.now() - timedelta(days=1), email=email, merge_fields={})
        fields = {"tags": "Customer; Met", "phone": f"+44 1632 {960000 + n}"}
        person = Person(external_id=f"p-{n}", identifiers=(Identifier("email", email),), name=f"Wanted Number {n}",
                        fields=fields)  # fmt: skip
        return Change(key=f"hub-p-{n}", kind="person", op="upsert", entity=person)


class SendsRig(MembersRig):
    """Campaigns and their recipients; sends neither change nor go."""

    stream: ClassVar[str] = "sends"
    many: ClassVar[int] = 120

    def existing(self) -> set[str]:
        campaigns = self.account.campaigns
        return {f"{c}/{r['email_id']}/sent" for c, rows in campaigns.recipients.items() for r in rows}

    def make(self, at: datetime, **more: Any) -> str:
        self.count += 1
        to = more.pop("to", [f"person{self.count}@example.org"])
        list_id = more.pop("list_id", self.lists[0])
        subject = more.pop("subject", f"News {self.count}")
        made = self.account.campaigns.send(list_id, subject, to, send_time=self.account.audiences.iso(at))
        return f"{made}/{hash_of(to[0])}/sent"

    def populate(self, n: int) -> list[str]:
        """Ten recipients to a campaign."""
        ids = []
        for first in range(0, n, 10):
            to = [f"reader{i}@example.org" for i in range(first, min(first + 10, n))]
            made = self.make(self.clock.now() - timedelta(minutes=n - first), to=to).partition("/")[0]
            ids += [f"{made}/{hash_of(email)}/sent" for email in to]
        return ids

    def add_hidden(self, n: int) -> list[str]:
        """Old campaigns, which the change feed does not look at any more."""
        return [self.make(self.clock.now() - timedelta(days=400)) for _ in range(n)]

    def private(self, text: str, domain: str) -> list[str]:
        """A campaign to an audience of that name, and one with somebody at `domain`."""
        secret, now = self.account.audiences.add("Private"), self.clock.now()
        return [self.make(now, list_id=secret, subject=text), self.make(now, to=[f"adviser@{domain}"], subject=text)]

    def poison(self, external_id: str) -> None:
        campaign, who, _ = external_id.split("/")
        for row in self.account.campaigns.recipients[campaign]:
            if row["email_id"] == who:
                self.bad.append(external_id)
                row["kept"], row["email_address"] = row["email_address"], {"odd": True}

    def restore(self) -> None:
        super().restore()
        for rows in self.account.campaigns.recipients.values():
            for row in rows:
                if "kept" in row:
                    row["email_address"] = row.pop("kept")


class OneAudienceRig(MembersRig):
    """A hundred cycles need fewer calls with one audience."""

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.lists[1] = self.lists[0]

    def settings(self, url: str) -> dict[str, Any]:
        return {**super().settings(url), "audiences": self.lists[:1]}


class TestMembers(ConnectorSuite):
    connector = Mailchimp
    rig = MembersRig
    quality = QUALITY
    clauses = tuple(f"W{n}" for n in range(1, 14) if n != 7)


class TestEcho(ConnectorSuite):
    connector = Mailchimp
    rig = OneAudienceRig
    quality = QUALITY
    clauses = ("W7",)


class TestSends(ConnectorSuite):
    connector = Mailchimp
    rig = SendsRig
    quality = QUALITY
    clauses = ("W1", "W9", "W11", "W12", "W13")
