"""Writing: tickets with idempotency keys and safe updates, comments, people, organizations."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from hub_zendesk.emulator.answers import Refused, conflict, invalid, not_found
from hub_zendesk.emulator.desk import BLOCK, Desk, Row

KEPT_S = 2 * 3600
TICKET_KEYS = {
    "assignee_email", "assignee_id", "brand_id", "collaborator_ids", "comment", "custom_fields", "custom_status_id",
    "due_at", "email_cc_ids", "external_id", "follower_ids", "group_id", "metadata", "organization_id", "priority",
    "problem_id", "recipient", "requester", "requester_id", "safe_update", "status", "subject", "submitter_id", "tags",
    "ticket_form_id", "type", "updated_stamp", "via_followup_source_id",
}  # fmt: skip
USER_KEYS = {
    "alias", "details", "email", "external_id", "identities", "locale", "name", "notes", "organization_id", "phone",
    "role", "skip_verify_email", "tags", "time_zone", "user_fields", "verified",
}  # fmt: skip
ORGANIZATION_KEYS = {"details", "domain_names", "external_id", "id", "name", "notes", "organization_fields", "tags"}
STATUSES = {"new", "open", "pending", "hold", "solved", "closed"}


class Writes:
    """The answers of one account's writing calls: (status, body, headers)."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._idempotent: dict[str, tuple[int, str, Row]] = {}

    # Tickets

    def create_ticket(
        self, body: Row, headers: Mapping[str, str], user: int, is_async: bool
    ) -> tuple[int, Row, dict[str, str]]:
        given = _wrapped(body, "ticket")
        told: dict[str, str] = {}
        key = headers.get("idempotency-key", "")[:255]
        digest = hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
        if key:
            until, known, answer = self._idempotent.get(key, (0, "", {}))
            if until > self.desk.now():
                if known != digest:
                    raise Refused(
                        400, {"error": "IdempotentRequestError", "description": "The key was used with another body"}
                    )
                return 201, answer, {"x-idempotency-lookup": "hit"}
            told["x-idempotency-lookup"] = "miss"
        fields, warning = _permitted(given, TICKET_KEYS)
        told |= warning
        comment = fields.pop("comment", None)
        if not isinstance(comment, dict) or not comment.get("body"):
            raise invalid("base", "Description: cannot be blank", "BlankValue")
        for name in ("safe_update", "updated_stamp", "metadata"):
            fields.pop(name, None)
        fields["requester_id"] = self._requester(fields, user)
        fields["submitter_id"] = user
        self._check(fields)
        if source := fields.pop("via_followup_source_id", None):
            if self.desk.tickets.get(source, {}).get("status") != "closed":
                raise invalid("via_followup_source_id", "is not a closed ticket")
            self.desk.tickets[source]["followup_ids"] = [*self.desk.tickets[source]["followup_ids"], 0]
        fields.setdefault("status", "open")
        fields["tags"] = sorted(set(fields.get("tags") or []))
        ticket = self.desk.put_ticket(fields, [{**comment, "metadata": given.get("metadata")}], user)
        if source:
            self.desk.tickets[source]["followup_ids"][-1] = ticket["id"]
            self.desk.touch_ticket(source)
        answer = {"ticket": dict(ticket), "audit": self._audit(ticket["id"], user)}
        if key:
            self._idempotent[key] = (self.desk.now() + KEPT_S, digest, answer)
        if is_async:
            job = hashlib.sha256(str(ticket["id"]).encode()).hexdigest()[:32]
            self.desk.jobs[job] = {"id": job, "url": f"{self.desk.url}/job_statuses/{job}.json", "status": "completed"}
            return 202, {"job_status": {**self.desk.jobs[job], "status": "queued"}}, told
        told["location"] = ticket["url"]
        return 201, answer, told

    def _requester(self, fields: Row, user: int) -> int:
        requester = fields.pop("requester", None)
        if isinstance(requester, dict):
            email = str(requester.get("email", ""))
            if "@" not in email:
                raise invalid("requester", "Email: is not properly formatted")
            known = self.desk.user_by(email=email) or self.desk.put_user(
                {"name": requester.get("name") or email, "email": email}
            )
            return int(known["id"])
        asked = fields.get("requester_id") or user
        if self.desk.users.get(asked, {}).get("active") is not True:
            raise invalid("requester", "is not a user", "InvalidValue")
        return int(asked)

    def _check(self, fields: Row) -> None:
        if fields.get("status", "open") not in STATUSES:
            raise invalid("status", "is not a status")
        if fields.get("priority") not in {None, "low", "normal", "high", "urgent"}:
            raise invalid("priority", "is not a priority")
        if fields.get("type") not in {None, "problem", "incident", "question", "task"}:
            raise invalid("type", "is not a type")

    def update_ticket(self, ticket_id: int, body: Row, user: int) -> tuple[int, Row, dict[str, str]]:
        ticket = self.desk.live(ticket_id)
        fields, told = _permitted(_wrapped(body, "ticket"), TICKET_KEYS)
        if ticket["status"] == "closed":
            raise invalid("status", "closed prevents ticket update")
        stamp = fields.pop("updated_stamp", None)
        if "safe_update" in fields:  # false acts like true
            fields.pop("safe_update")
            if stamp != ticket["updated_at"]:
                raise conflict()
        comment, metadata = fields.pop("comment", None), fields.pop("metadata", None)
        self._check(fields)
        if "requester" in fields or "requester_id" in fields:
            fields["requester_id"] = self._requester(fields, user)
        if "tags" in fields:
            fields["tags"] = sorted(set(fields["tags"]))
        self.desk.change_ticket(ticket_id, fields, user)
        if isinstance(comment, dict) and comment.get("body"):
            # Public unless the call says otherwise.
            self.desk.put_comment(ticket_id, {**comment, "metadata": metadata}, user)
        return 200, {"ticket": dict(ticket), "audit": self._audit(ticket_id, user)}, told

    def _audit(self, ticket_id: int, user: int) -> Row:
        """What the last write did, as the answer to it tells."""
        comments = self.desk.comments[ticket_id]
        events: list[Row] = []
        if comments and comments[-1]["author_id"] == user and comments[-1]["created_at"] == self.desk.text():
            last = comments[-1]
            events.append({**last, "type": "Comment"})
        return {
            "id": self.desk.number(), "ticket_id": ticket_id, "created_at": self.desk.text(), "author_id": user,
            "metadata": {"system": {}, "custom": {}}, "events": events, "via": {"channel": "api", "source": {}},
        }  # fmt: skip

    def tag_ticket(self, ticket_id: int, body: Row, user: int, how: str) -> tuple[int, Row, dict[str, str]]:
        ticket = self.desk.live(ticket_id)
        if "safe_update" in body and body.get("updated_stamp") != ticket["updated_at"]:
            raise conflict()
        given = set(body.get("tags") or [])
        tags = {"PUT": set(ticket["tags"]) | given, "POST": given, "DELETE": set(ticket["tags"]) - given}[how]
        self.desk.change_ticket(ticket_id, {"tags": sorted(tags)}, user)
        return (201 if how == "POST" else 200), {"tags": sorted(tags)}, {}

    def redact(self, ticket_id: int, number: int, body: Row) -> tuple[int, Row, dict[str, str]]:
        if self.desk.live(ticket_id)["status"] == "closed":
            raise invalid("status", "closed prevents ticket update")
        text = str(body.get("text") or "")
        for comment in self.desk.comments[ticket_id]:
            if comment["id"] == number:
                if not text or text not in comment["body"]:
                    raise invalid("text", "was not found in the comment")
                left = comment["body"].replace(text, BLOCK * len(text))
                html = f'<div class="zd-comment"><p dir="auto">{left}</p></div>'
                values = {"body": left, "plain_body": left, "html_body": html}
                return 200, {"comment": self.desk.rewrite_comment(ticket_id, number, "comment_redacted", **values)}, {}
        raise not_found()

    def make_private(self, ticket_id: int, number: int) -> tuple[int, Row, dict[str, str]]:
        self.desk.live(ticket_id)
        self.desk.rewrite_comment(ticket_id, number, "comment_made_private", public=False)
        return 200, {}, {}

    def delete_ticket(self, ticket_id: int) -> tuple[int, None, dict[str, str]]:
        self.desk.delete_ticket(ticket_id)
        return 204, None, {}

    def merge(self, target: int, body: Row, user: int) -> tuple[int, Row, dict[str, str]]:
        job = self.desk.merge_tickets(target, [int(i) for i in body.get("ids", ())], user)
        return 200, {"job_status": self.desk.jobs[job]}, {}

    # People and organizations

    def save_user(self, body: Row, number: int | None = None) -> tuple[int, Row, dict[str, str]]:
        """number: the user to update; None is create_or_update, which goes by external id, else by address."""
        fields, told = _permitted(_wrapped(body, "user"), USER_KEYS)
        self._keep_known("users", "user_fields", fields)
        for name in ("skip_verify_email", "identities"):
            fields.pop(name, None)
        if number is not None:
            user = self.desk.users.get(number)
            if user is None or not user["active"]:
                raise not_found()
            fields.pop("email", None)  # an address given here becomes a second identity; the first one stays
            self._unique(self.desk.users, fields, number)
            return 200, {"user": self.desk.change_user(number, fields)}, told
        known = None
        if fields.get("external_id"):
            known = self.desk.user_by(external_id=fields["external_id"])
        if known is None and fields.get("email"):
            known = self.desk.user_by(email=fields["email"])
        if known is not None:
            return 200, {"user": self.desk.change_user(known["id"], fields)}, {**told, "location": known["url"]}
        if not fields.get("name"):
            raise invalid("name", "is too short (minimum is 1 character)", "ValueTooShort")
        user = self.desk.put_user(fields)
        return 201, {"user": user}, {**told, "location": user["url"]}

    def merge_user(self, number: int, body: Row) -> tuple[int, Row, dict[str, str]]:
        """The user in the path goes into the one in the body; end users only, and none from a sharing agreement."""
        target = int(_wrapped(body, "user").get("id") or 0)
        users = [self.desk.users.get(n) for n in (number, target)]
        if any(u is None or not u["active"] for u in users):
            raise not_found()
        if number == target:
            raise invalid("base", "A user cannot be merged with itself")
        if any(u["role"] != "end-user" or u["shared"] for u in users if u):
            raise invalid("base", "Only end users can be merged")
        self.desk.merge_users(number, target)
        return 200, {"user": self.desk.users[target]}, {}

    def delete_user(self, number: int) -> tuple[int, Row, dict[str, str]]:
        user = self.desk.users.get(number)
        if user is None or not user["active"]:
            raise not_found()
        return 200, {"user": self.desk.change_user(number, {"active": False})}, {}

    def save_organization(self, body: Row, number: int | None = None) -> tuple[int, Row, dict[str, str]]:
        fields, told = _permitted(_wrapped(body, "organization"), ORGANIZATION_KEYS)
        self._keep_known("organizations", "organization_fields", fields)
        table = self.desk.organizations
        wanted = str(fields.pop("id", None) or number or "")
        external = str(fields.get("external_id") or "").lower()
        known = next(
            (
                o
                for o in table.values()
                if str(o["id"]) == wanted or (external and (o["external_id"] or "").lower() == external)
            ),
            None,
        )
        if number is not None and known is None:
            raise not_found()
        own = known["id"] if known else None
        name = str(fields.get("name") or "")
        if any(o["id"] != own and o["name"].lower() == name.lower() for o in table.values() if name):
            raise invalid("name", f"Name: {name} has already been taken", "DuplicateValue")
        if known is not None:
            return 200, {"organization": self.desk.change_organization(known["id"], fields)}, told
        if not name:
            raise invalid("name", "cannot be blank", "BlankValue")
        return 201, {"organization": self.desk.put_organization(fields)}, told

    def delete_organization(self, number: int) -> tuple[int, None, dict[str, str]]:
        if number not in self.desk.organizations or "deleted_at" in self.desk.organizations[number]:
            raise not_found()
        self.desk.change_organization(number, {"deleted_at": self.desk.text()})
        return 204, None, {}

    def _keep_known(self, what: str, name: str, fields: Row) -> None:
        """A custom field the account does not have is dropped; that nothing tells so is not verified."""
        if isinstance(given := fields.pop(name, None), dict):
            fields[name] = {key: value for key, value in given.items() if key in self.desk.custom[what]}

    def _unique(self, table: dict[int, Row], fields: Row, number: int) -> None:
        external = str(fields.get("external_id") or "").lower()
        if external and any(r["id"] != number and (r["external_id"] or "").lower() == external for r in table.values()):
            raise invalid("external_id", "has already been taken", "DuplicateValue")


def _wrapped(body: Any, name: str) -> Row:
    if not isinstance(body, dict) or not isinstance(body.get(name), dict):
        raise Refused(400, {"error": f"Parameter {name} is required"})
    return dict(body[name])


def _permitted(given: Row, known: set[str]) -> tuple[Row, dict[str, str]]:
    """Unknown keys are dropped; a header is all that tells."""
    odd = sorted(set(given) - known)
    headers = (
        {"x-zendesk-api-warn": f"Removed restricted keys {odd} from parameters; unpermitted_keys={odd}"} if odd else {}
    )
    return {k: v for k, v in given.items() if k in known}, headers
