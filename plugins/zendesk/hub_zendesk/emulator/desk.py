"""What one Zendesk account holds, and the order in which its exports tell of it."""

import base64
import hashlib
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hub_zendesk.emulator.answers import invalid, not_found

Row = dict[str, Any]

EXPORT_DELAY_S = 60  # the most recent minute is not exported
ADMIN = 1
OPENED = 1_577_836_800  # the account was opened in 2020
BLOCK = "\u2587"


class Log:
    """Rows in the order of their last change: (epoch s, id), the old places of changed rows skipped."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []
        self.now_at: dict[int, int] = {}

    def put(self, at: int, row_id: int) -> None:
        self.now_at[row_id] = at
        place = (at, row_id)
        if not self.places or place >= self.places[-1]:
            self.places.append(place)
        else:
            insort(self.places, place)

    def after(self, place: tuple[int, int], until: int) -> Iterator[tuple[int, int]]:
        for n in range(bisect_right(self.places, place), bisect_left(self.places, (until + 1, 0))):
            at, row_id = self.places[n]
            if self.now_at[row_id] == at and (n == 0 or self.places[n - 1] != (at, row_id)):
                yield at, row_id


class Desk:
    """Tickets, comments, people. Every change goes through here, so that exports, events and webhooks agree."""

    def __init__(self, now: Callable[[], datetime], subdomain: str) -> None:
        self._now = now
        self.url = f"https://{subdomain}.zendesk.com/api/v2"
        self.tickets: dict[int, Row] = {}
        self.comments: dict[int, list[Row]] = defaultdict(list)
        self.users: dict[int, Row] = {}
        self.further: dict[int, list[str]] = defaultdict(list)  # addresses beside the primary one, in small letters
        self.organizations: dict[int, Row] = {}
        self.satisfaction_ratings: dict[int, Row] = {}
        self.suspended: list[Row] = []
        self.jobs: dict[str, Row] = {}
        self.logs = {name: Log() for name in ("tickets", "users", "organizations")}
        self.events: list[tuple[int, int, Row]] = []  # (timestamp, id, ticket event)
        self.metric_events: list[tuple[int, int, Row]] = []
        self.externals: dict[str, list[int]] = defaultdict(list)
        self.custom: dict[str, list[str]] = {"users": [], "organizations": []}  # keys of the account's own fields
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.calls: list[Row] = []  # events webhooks would carry
        self.merge_delay_s = 0
        self.keeps_metrics = True
        self._last = 1000
        self.put_user({"id": ADMIN, "name": "Hub", "email": "hub@team.example.com", "role": "admin"}, OPENED)

    # Time and numbers

    def now(self) -> int:
        """Epoch seconds: Zendesk's times have no finer part."""
        return int(self._now().timestamp())

    def text(self, at: int | None = None) -> str:
        return datetime.fromtimestamp(self.now() if at is None else at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def number(self) -> int:
        self._last += 1
        return self._last

    def settle(self) -> None:
        """Carry out what Zendesk does in the background, as far as it is due."""
        due = [work for at, work in self.later if at <= self.now()]
        self.later = [(at, work) for at, work in self.later if at > self.now()]
        for work in due:
            work()

    # Tickets

    def live(self, ticket_id: int) -> Row:
        ticket = self.tickets.get(ticket_id)
        if ticket is None or ticket["status"] == "deleted":
            raise not_found()
        return ticket

    def put_ticket(
        self, given: Row, comments: Iterable[Row], author: int, at: int | None = None, via: str = "api"
    ) -> Row:
        """A new ticket with its first comments. `at`: when it was made (epoch s)."""
        made = self.now() if at is None else at
        ticket_id = int(given.get("id") or self.number())
        first = list(comments)
        text = self.text(made)
        ticket = {
            "url": f"{self.url}/tickets/{ticket_id}.json", "id": ticket_id, "external_id": None,
            "via": {"channel": via, "source": {"from": {}, "to": {}, "rel": None}}, "created_at": text,
            "updated_at": text, "type": None, "subject": "", "raw_subject": given.get("subject", ""),
            "description": first[0].get("body", "") if first else "", "priority": None, "status": "open",
            "recipient": None, "requester_id": author, "submitter_id": author, "assignee_id": None,
            "organization_id": None, "group_id": None, "collaborator_ids": [], "follower_ids": [], "email_cc_ids": [],
            "forum_topic_id": None, "problem_id": None, "has_incidents": False,
            "is_public": any(c.get("public", True) for c in first), "due_at": None, "tags": [], "custom_fields": [],
            "satisfaction_rating": {"score": "unoffered"}, "sharing_agreement_ids": [], "custom_status_id": 1,
            "encoded_id": f"Z{ticket_id}-X", "fields": [], "followup_ids": [], "brand_id": 1, "allow_channelback": False,
            "allow_attachments": True, "from_messaging_channel": False, **given,
        }  # fmt: skip
        ticket["id"] = ticket_id
        self.tickets[ticket_id] = ticket
        if ticket["external_id"]:
            self.externals[ticket["external_id"]].append(ticket_id)
        created = {"event_type": "Create", "status": ticket["status"], "subject": ticket["subject"]}
        if self.keeps_metrics:
            self.metric(ticket_id, "reply_time", "activate", made)
        last = made
        for n, comment in enumerate(first):
            at = comment.get("at", made)
            last = max(last, at)
            # One event tells of the ticket and of its first comment, as one update made both.
            self.put_comment(ticket_id, {"via": {"channel": via}, **comment}, author, at, [] if n else [created])
        if not first:
            self.event(ticket_id, [created], author, made)
        ticket["updated_at"] = self.text(last)
        self.logs["tickets"].put(last, ticket_id)
        self.call("ticket.created", ticket_id)
        return ticket

    def put_comment(
        self, ticket_id: int, given: Row, author: int, at: int | None = None, beside: Iterable[Row] = ()
    ) -> Row:
        """A comment, and the event that tells of it (and of `beside`). `message_id`: of the mail it came in by."""
        made = self.now() if at is None else at
        number = int(given.get("id") or self.number())
        via = {"channel": "api", "source": {"from": {}, "to": {}, "rel": None}, **given.get("via", {})}
        via.setdefault("source", {"from": {}, "to": {}, "rel": None})
        system: Row = {"client": "hub emulator", "ip_address": "192.0.2.1"}
        if given.get("message_id"):
            system["message_id"] = given["message_id"]
        body = given.get("body") or ""
        comment: Row = {
            "id": number, "type": given.get("type", "Comment"), "author_id": given.get("author_id") or author,
            "body": body, "html_body": f'<div class="zd-comment"><p dir="auto">{body}</p></div>', "plain_body": body,
            "public": bool(given.get("public", True)), "attachments": given.get("attachments", []),
            "audit_id": self.number(), "via": via, "created_at": self.text(made),
            "metadata": {"system": system, "custom": given.get("metadata") or {}},
        }  # fmt: skip
        if comment["type"] == "VoiceComment":
            comment["data"] = given.get("data", {})
        self.comments[ticket_id].append(comment)
        # The export gives fewer fields of a comment than the list does.
        child = {k: v for k, v in comment.items() if k not in {"metadata", "plain_body"}}
        self.event(ticket_id, [*beside, {**child, "event_type": "Comment"}], comment["author_id"], made)
        if (
            self.keeps_metrics
            and comment["public"]
            and self.users.get(comment["author_id"], {}).get("role") != "end-user"
        ):
            self.metric(ticket_id, "reply_time", "fulfill", made)
        self.call("ticket.comment_added", ticket_id, {"comment": {"id": str(number), "is_public": comment["public"]}})
        return comment

    def change_ticket(self, ticket_id: int, values: Row, author: int) -> None:
        """Change fields; every change moves the ticket to the end of its export."""
        ticket = self.tickets[ticket_id]
        parts: list[Row] = []
        for name, value in values.items():
            if ticket.get(name) != value:
                parts.append({"event_type": "Change", name: value, "previous_value": ticket.get(name)})
        if ticket.get("external_id") != values.get("external_id", ticket.get("external_id")):
            self.externals[values["external_id"]].append(ticket_id)
        ticket.update(values)
        if parts:
            self.event(ticket_id, parts, author)
        self.touch_ticket(ticket_id)
        for part in parts:
            name = next(iter(part.keys() - {"event_type", "previous_value", "id", "via"}))
            self.call(f"ticket.{name.removesuffix('_id')}_changed", ticket_id)

    def touch_ticket(self, ticket_id: int, is_system: bool = False) -> None:
        """is_system: changes only generated_timestamp, so that updated_at stays older than it."""
        now = self.now()
        if not is_system:
            self.tickets[ticket_id]["updated_at"] = self.text(now)
        self.logs["tickets"].put(now, ticket_id)

    def rewrite_comment(self, ticket_id: int, number: int, what: str, **values: Any) -> Row:
        """Redaction or a change of privacy."""
        for comment in self.comments[ticket_id]:
            if comment["id"] == number:
                comment.update(values)
                kind = "CommentPrivacyChange" if what == "comment_made_private" else "CommentRedactionEvent"
                self.event(ticket_id, [{"event_type": kind, "comment_id": number, "public": comment["public"]}], ADMIN)
                self.touch_ticket(ticket_id)
                self.call(f"ticket.{what}", ticket_id, {"comment": {"id": str(number)}})
                return comment
        raise not_found()

    def delete_ticket(self, ticket_id: int) -> None:
        self.live(ticket_id)
        self.change_ticket(ticket_id, {"status": "deleted"}, ADMIN)
        self.call("ticket.soft_deleted", ticket_id)

    def scrub_ticket(self, ticket_id: int) -> None:
        """Deleted for good: the row stays, its content does not."""
        ticket = self.tickets[ticket_id]
        ticket.update(
            status="deleted", subject="SCRUBBED", raw_subject="SCRUBBED", description="SCRUBBED", requester_id=ADMIN,
            tags=[], external_id=None, custom_fields=[],
        )  # fmt: skip
        self.comments[ticket_id] = []
        self.touch_ticket(ticket_id, is_system=True)

    def merge_tickets(self, target: int, sources: list[int], author: int) -> str:
        """A job, as at Zendesk: it is carried out later."""
        for ticket_id in (target, *sources):
            if self.live(ticket_id)["status"] == "closed":
                raise invalid("status", "closed prevents ticket update")
        job = hashlib.sha256(f"{target}/{sources}/{self.number()}".encode()).hexdigest()[:32]
        self.jobs[job] = {"id": job, "url": f"{self.url}/job_statuses/{job}.json", "status": "queued", "total": 1}

        def carry_out() -> None:
            subject = self.tickets[target]["subject"]
            for source in sources:
                to = {"ticket_id": target, "subject": subject}
                closing = {
                    "body": f'This request was closed and merged into request #{target} "{subject}".',
                    "public": False,
                }
                via = {"channel": "web", "source": {"from": {}, "to": to, "rel": "merge"}}
                self.put_comment(source, {**closing, "via": via}, author)
                tags = [*self.tickets[source]["tags"], "closed_by_merge"]
                self.change_ticket(source, {"status": "closed", "tags": tags}, author)
                note = {"body": f"Request #{source} was closed and merged into this request.", "public": False}
                via = {"channel": "web", "source": {"from": {"ticket_ids": [source]}, "to": {}, "rel": "merge"}}
                self.put_comment(target, {**note, "via": via}, author)
                self.touch_ticket(target)
                self.call("ticket.merged", source)
            self.jobs[job].update(status="completed", progress=1, results=[{"id": target, "success": True}])

        self.later.append((self.now() + self.merge_delay_s, carry_out))
        self.settle()
        return job

    # People and organizations

    def put_user(self, given: Row, at: int | None = None) -> Row:
        made = self.now() if at is None else at
        user_id = int(given.get("id") or self.number())
        user = {
            "id": user_id, "url": f"{self.url}/users/{user_id}.json", "name": "", "email": None,
            "created_at": self.text(made), "updated_at": self.text(made), "time_zone": "UTC", "iana_time_zone": "Etc/UTC",
            "phone": None, "shared_phone_number": None, "photo": None, "locale_id": 1, "locale": "en-US",
            "organization_id": None, "role": "end-user", "verified": True, "external_id": None, "tags": [], "alias": "",
            "active": True, "shared": False, "shared_agent": False, "last_login_at": None,
            "two_factor_auth_enabled": None, "signature": None, "details": "", "notes": "", "role_type": None,
            "custom_role_id": None, "moderator": False, "ticket_restriction": None, "only_private_comments": False,
            "restricted_agent": False, "suspended": False, "default_group_id": None, "report_csv": False,
            **given, "user_fields": self._custom("users", given.get("user_fields")),
        }  # fmt: skip
        user["id"] = user_id
        self.users[user_id] = user
        self.logs["users"].put(made, user_id)
        self.call("user.created", user_id)
        return user

    def change_user(self, user_id: int, values: Row) -> Row:
        user = self.users[user_id]
        fields = values.pop("user_fields", None)
        if fields:
            user["user_fields"] = {**user["user_fields"], **fields}
        user.update(values, updated_at=self.text())
        self.logs["users"].put(self.now(), user_id)
        self.call("user.deleted" if values.get("active") is False else "user.updated", user_id)
        return user

    def _custom(self, what: str, given: Row | None) -> Row:
        """All of the account's own fields, null where nothing is given."""
        return {**dict.fromkeys(self.custom[what]), **(given or {})}

    def user_by(self, email: str = "", external_id: str = "") -> Row | None:
        for user in self.users.values():
            if user["active"]:
                if external_id and (user["external_id"] or "").lower() == external_id.lower():
                    return user
                if email and email.lower() in self.addresses(user["id"]):
                    return user
        return None

    def addresses(self, user_id: int) -> list[str]:
        """All of a user's addresses in small letters, the primary one first."""
        own = (self.users[user_id]["email"] or "").lower()
        return [own, *self.further[user_id]] if own else list(self.further[user_id])

    def merge_users(self, loser: int, target: int) -> None:
        """The loser is gone at once; its tickets and addresses come over a moment later, and nothing else of it does."""
        self.change_user(loser, {"active": False})

        def carry_out() -> None:
            self.further[target] += [a for a in self.addresses(loser) if a not in self.addresses(target)]
            self.further.pop(loser, None)
            for ticket in list(self.tickets.values()):
                if ticket["requester_id"] == loser and ticket["status"] != "deleted":
                    self.change_ticket(ticket["id"], {"requester_id": target}, ADMIN)
            self.change_user(target, {})

        self.later.append((self.now() + self.merge_delay_s, carry_out))
        self.settle()

    def put_organization(self, given: Row, at: int | None = None) -> Row:
        made = self.now() if at is None else at
        number = int(given.get("id") or self.number())
        organization = {
            "url": f"{self.url}/organizations/{number}.json", "id": number, "name": "", "shared_tickets": False,
            "shared_comments": False, "external_id": None, "created_at": self.text(made),
            "updated_at": self.text(made), "domain_names": [], "details": "", "notes": "", "group_id": None,
            "tags": [], **given,
            "organization_fields": self._custom("organizations", given.get("organization_fields")),
        }  # fmt: skip
        organization["id"] = number
        self.organizations[number] = organization
        self.logs["organizations"].put(made, number)
        self.call("organization.created", number)
        return organization

    def change_organization(self, number: int, values: Row) -> Row:
        organization = self.organizations[number]
        fields = values.pop("organization_fields", None)
        if fields:
            organization["organization_fields"] = {**organization["organization_fields"], **fields}
        organization.update(values, updated_at=self.text())
        self.logs["organizations"].put(self.now(), number)
        self.call("organization.updated", number)
        return organization

    def put_rating(self, given: Row, at: int | None = None) -> Row:
        made = self.now() if at is None else at
        number = int(given.get("id") or self.number())
        ticket = self.tickets[given["ticket_id"]]
        rating = {
            "url": f"{self.url}/satisfaction_ratings/{number}.json", "id": number,
            "assignee_id": ticket["assignee_id"] or ADMIN, "group_id": ticket["group_id"] or 1,
            "requester_id": ticket["requester_id"], "score": "good", "created_at": self.text(made),
            "updated_at": self.text(made), "comment": "", **given,
        }  # fmt: skip
        rating["id"] = number
        self.satisfaction_ratings[number] = rating
        return rating

    # What is told to the outside

    def event(self, ticket_id: int, parts: list[Row], author: int, at: int | None = None) -> None:
        made = self.now() if at is None else at
        number = self.number()
        for part in parts:
            part.setdefault("id", self.number())
            part.setdefault("via", "API")
        event = {
            "id": number, "ticket_id": ticket_id, "timestamp": made, "created_at": self.text(made), "updater_id": author,
            "via": "API", "event_type": "Audit", "child_events": parts,
        }  # fmt: skip
        _sorted_in(self.events, (made, number, event))

    def metric(self, ticket_id: int, metric: str, kind: str, at: int) -> int:
        number = self.number()
        row = {
            "id": number, "ticket_id": ticket_id, "metric": metric, "instance_id": 1, "type": kind, "time": self.text(at)
        }  # fmt: skip
        _sorted_in(self.metric_events, (at, number, row))
        return number

    def call(self, what: str, number: int, event: Row | None = None) -> None:
        kind = what.partition(".")[0]
        seed = base64.b32encode(hashlib.sha256(f"{what}/{number}/{self.number()}".encode()).digest())[:26].decode()
        self.calls.append({
            "account_id": 1, "detail": {"id": str(number), "updated_at": self.text()}, "event": event or {}, "id": seed,
            "subject": f"zen:{kind}:{number}", "time": self.text(), "type": f"zen:event-type:{what}",
            "zendesk_event_version": "2022-11-06",
        })  # fmt: skip
        if len(self.calls) > 5000:
            del self.calls[:2500]

    def moment(self, text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp())

    def back(self, seconds: float) -> int:
        return int((self._now() - timedelta(seconds=seconds)).timestamp())


def _sorted_in(rows: list[tuple[int, int, Row]], row: tuple[int, int, Row]) -> None:
    if not rows or row[:2] >= rows[-1][:2]:
        rows.append(row)
    else:
        insort(rows, row, key=lambda r: r[:2])
