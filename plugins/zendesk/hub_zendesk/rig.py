"""How the conformance suite moves a Zendesk account: its comments, its tickets, its people."""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from hub.api import Change, FakeClock, Identifier, Organization, Person, WebhookRequest
from hub.testing import Rig
from hub_zendesk.emulator import ADMIN, ZendeskEmulator

HOOK = "https://hub.example/webhooks/zendesk"
PER_PAGE = 50


class CommentsRig(Rig):
    """Comments, each on a ticket of its own."""

    stream: ClassVar[str] = "comments"
    scope: ClassVar[str] = "tickets:read"
    many: ClassVar[int] = 130
    burst: ClassVar[int] = 60
    interval_s: ClassVar[float] = 70  # the most recent minute is not exported
    sweep_s: ClassVar[float] = 90
    cannot: ClassVar[dict[str, str]] = {
        "newest-first": "Zendesk's exports go by the time of the last change, oldest first",
        "expire-cursor": "the cursors of Zendesk's exports are times and places, which do not expire",
        "downgrade": "the webhook's id is not signed and means nothing",
    }

    def __init__(self, clock: FakeClock, folder: Path) -> None:
        super().__init__(clock, folder)
        self.zendesk = self.emulator = ZendeskEmulator(now=clock.now)
        self.desk = self.zendesk.desk
        self.zendesk.gate.per_minute = 200
        self.count = 0
        self.bad: list[str] = []
        self.customer = self.desk.put_user({"name": "Ada", "email": "ada@example.org"}, self.desk.back(10**7))["id"]

    def settings(self, url: str) -> dict[str, Any]:
        gate = self.zendesk.gate
        return {
            "subdomain": "team", "base_url": f"{url}/", "client_id": gate.client_id, "client_secret": gate.client_secret,
            "webhook_secret": self.zendesk.webhook_secret, "page_size": PER_PAGE, "plan": "support-team",
        }  # fmt: skip

    # What is there

    def existing(self) -> set[str]:
        live = {i for i, t in self.desk.tickets.items() if t["status"] != "deleted"}
        return {f"{i}-{c['id']}" for i in live for c in self.desk.comments[i]}

    def remote_state(self) -> Any:
        return json.dumps(self.zendesk.state(), sort_keys=True)

    def written(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for ticket_id, ticket in self.desk.tickets.items():
            if ticket["status"] != "deleted":
                for comment in self.desk.comments[ticket_id]:
                    head, _, tail = comment["body"].rpartition("[ihub:")
                    found.update([tail.removesuffix("]")] if head and tail.endswith("]") else [])
        return found

    # What people do

    def make(self, at: int, tags: Collection[str] = (), said: str = "", **comment: Any) -> str:
        self.count += 1
        ticket = {"subject": said or f"Question {self.count}", "requester_id": self.customer, "tags": sorted(tags)}
        text = f"About {said}." if said else f"Words of question {self.count}."
        made = self.desk.put_ticket(ticket, [{"body": text, **comment}], self.customer, at, "web")
        return f"{made['id']}-{self.desk.comments[made['id']][0]['id']}"

    def populate(self, n: int) -> list[str]:
        now = self.desk.now()
        return [self.make(now - 60 * (n - i)) for i in range(n)]

    def add(self) -> str:
        return self.make(self.desk.now())

    def change(self, external_id: str) -> None:
        """An agent makes the comment private; a private one gets a word redacted."""
        ticket, comment = map(int, external_id.split("-"))
        self.count += 1
        row = next(c for c in self.desk.comments[ticket] if c["id"] == comment)
        if row["public"]:
            self.desk.rewrite_comment(ticket, comment, "comment_made_private", public=False)
        else:
            body = f"{row['body']} \u2587\u2587 {self.count}"
            self.desk.rewrite_comment(ticket, comment, "comment_redacted", body=body)

    def delete(self, external_id: str) -> None:
        self.desk.delete_ticket(int(external_id.split("-")[0]))

    def private(self, text: str, domain: str) -> list[str]:
        now = self.desk.now() - 61
        via = {
            "channel": "email",
            "source": {"from": {"address": f"adviser@{domain}", "name": text}, "to": {}, "rel": None},
        }
        return [self.make(now, ["private"], text), self.make(now, (), text, via=via)]

    # What goes wrong

    def name(self, external_id: str) -> str:
        """As the emulator's faults name a record."""
        return external_id.partition("-")[2] or external_id

    def add_hidden(self, n: int) -> list[str]:
        ids = [self.add() for _ in range(n)]
        self.zendesk.faults.add("hide", type=self.stream, ids=[self.name(i) for i in ids])
        return ids

    def vanish(self, external_ids: Collection[str]) -> None:
        self.zendesk.faults.add("vanish", type=self.stream, ids=sorted(map(self.name, external_ids)))

    def poison(self, external_id: str) -> None:
        self.bad.append(self.name(external_id))
        self.zendesk.faults.clear("poison")
        self.zendesk.faults.add("poison", type=self.stream, ids=self.bad)

    def deny_scope(self) -> str:
        self.zendesk.faults.add("deny_scope", scope=self.scope)
        return self.scope

    def restore(self) -> None:
        """An admin who gives a scope back takes a minute over it; what is younger is not exported anyway."""
        if self.zendesk.faults.args("deny_scope") is not None:
            self.clock.advance(self.interval_s)
        super().restore()

    def revoke(self) -> None:
        self.zendesk.gate.is_revoked = True

    def expire_token(self) -> None:
        for token in self.zendesk.gate.tokens.values():
            token.expires = 0

    def refreshes(self) -> int:
        return self.zendesk.gate.refreshes

    def spend_day(self) -> None:
        self.zendesk.faults.add("quota", seconds=6 * 3600)

    def limit(self) -> None:
        self.zendesk.gate.enforce = True

    def refusals(self) -> int:
        return self.zendesk.gate.refusals

    # Webhooks

    def webhooks(self) -> list[WebhookRequest]:
        return [WebhookRequest("POST", HOOK, h, b) for h, b in self.zendesk.pending_webhooks()]

    def forged(self) -> list[WebhookRequest]:
        body = b'{"type": "zen:event-type:ticket.created", "id": "1", "detail": {"id": "1"}}'
        headers, _ = self.zendesk.signed(body, "another-secret")
        good, _ = self.zendesk.signed(body)
        return [
            WebhookRequest("POST", HOOK, headers, body), WebhookRequest("POST", HOOK, {}, body),
            WebhookRequest("POST", HOOK, {**good, "x-zendesk-webhook-signature-timestamp": "soon"}, body),
        ]  # fmt: skip


class TicketsRig(CommentsRig):
    """Tickets: changed, deleted, scrubbed, merged."""

    stream: ClassVar[str] = "tickets"

    def existing(self) -> set[str]:
        merged = {i for i, t in self.desk.tickets.items() if "closed_by_merge" in t["tags"]}
        return {str(i) for i, t in self.desk.tickets.items() if t["status"] != "deleted" and i not in merged}

    def make(self, at: int, tags: Collection[str] = (), said: str = "", **comment: Any) -> str:
        return super().make(at, tags, said, **comment).partition("-")[0]

    def change(self, external_id: str) -> None:
        self.count += 1
        self.desk.change_ticket(int(external_id), {"subject": f"Changed {self.count}"}, ADMIN)

    def merge(self, winner: str, loser: str) -> str:
        self.desk.merge_tickets(int(winner), [int(loser)], ADMIN)
        return winner


class UsersRig(CommentsRig):
    """Customers and agents."""

    stream: ClassVar[str] = "users"
    scope: ClassVar[str] = "users:read"
    push_kind: ClassVar[str] = "person"

    def existing(self) -> set[str]:
        return {str(i) for i, u in self.desk.users.items() if u["active"]}

    def make(self, at: int, tags: Collection[str] = (), said: str = "", **user: Any) -> str:
        self.count += 1
        given = {"name": said or f"Person {self.count}", "email": f"person{self.count}@example.org", **user}
        return str(self.desk.put_user(given, at)["id"])

    def populate(self, n: int) -> list[str]:
        """The account's own admin and customer count among them."""
        there = [str(ADMIN), str(self.customer)] if not self.count else []
        return [*there, *super().populate(n - len(there))]

    def change(self, external_id: str) -> None:
        self.count += 1
        self.desk.change_user(int(external_id), {"name": f"Renamed {self.count}"})

    def delete(self, external_id: str) -> None:
        self.desk.change_user(int(external_id), {"active": False})

    def private(self, text: str, domain: str) -> list[str]:
        return [self.make(self.desk.now() - 61, said=text, email=f"adviser@{domain}", details=text)]

    def written(self) -> dict[str, int]:
        keys = [u["external_id"] or "" for u in self.desk.users.values() if u["active"]]
        return Counter(key.removeprefix("ihub:") for key in keys if key.startswith("ihub:"))

    def wanted(self, n: int) -> Change:
        who = Identifier("email", f"wanted{n}@example.net")
        person = Person(external_id=f"p-{n}", identifiers=(who,), name=f"Wanted Number {n}")
        return Change(key=f"hub-p-{n}", kind="person", op="upsert", entity=person)


class OrganizationsRig(UsersRig):
    """Companies."""

    stream: ClassVar[str] = "organizations"
    scope: ClassVar[str] = "organizations:read"
    push_kind: ClassVar[str] = "organization"
    field: ClassVar[tuple[str, str]] = ("description", "Boards and beams")

    def existing(self) -> set[str]:
        return {str(i) for i, o in self.desk.organizations.items() if "deleted_at" not in o}

    def make(self, at: int, tags: Collection[str] = (), said: str = "", **more: Any) -> str:
        self.count += 1
        given = {"name": said or f"Company {self.count}", "domain_names": [f"company{self.count}.example"], **more}
        return str(self.desk.put_organization(given, at)["id"])

    def change(self, external_id: str) -> None:
        self.count += 1
        self.desk.change_organization(int(external_id), {"name": f"Renamed {self.count}"})

    def delete(self, external_id: str) -> None:
        self.desk.change_organization(int(external_id), {"deleted_at": self.desk.text()})

    def populate(self, n: int) -> list[str]:
        return CommentsRig.populate(self, n)

    def written(self) -> dict[str, int]:
        keys = [o["external_id"] or "" for o in self.desk.organizations.values() if "deleted_at" not in o]
        return Counter(key.removeprefix("ihub:") for key in keys if key.startswith("ihub:"))

    def wanted(self, n: int) -> Change:
        domain = Identifier("domain", f"wanted{n}.example")
        company = Organization(external_id=f"o-{n}", identifiers=(domain,), name=f"Wanted Company {n}")
        return Change(key=f"hub-o-{n}", kind="organization", op="upsert", entity=company)
