"""A stand-in for a Zendesk Support account over real HTTP on loopback.

Written from Zendesk's documentation, its specification and recorded answers, traps included: cursors that are null when
nothing is new, next pages that never end, rows that come twice at page edges, a minute that is not exported, search
that lags, comments that are public unless told otherwise. It shares no code with the connector.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator
from hub_zendesk.emulator.answers import Refused, answer, no_end_point, not_found
from hub_zendesk.emulator.desk import ADMIN, Desk
from hub_zendesk.emulator.gate import Gate
from hub_zendesk.emulator.loading import load
from hub_zendesk.emulator.reads import Reads
from hub_zendesk.emulator.writes import Writes

__all__ = ["ADMIN", "ZendeskEmulator", "sign"]

PLANS_WITHOUT = {"essential": {"satisfaction_ratings"}}


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a webhook call: no separator between timestamp and body; the secret is used as text."""
    return base64.b64encode(hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()).decode()


class ZendeskEmulator(Emulator):
    """One account. now: the clock. plan: decides which end points exist."""

    name = "zendesk"

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        seed: int = 1,
        subdomain: str = "team",
        plan: str = "suite-team",
    ) -> None:
        super().__init__(seed)
        self.desk = Desk(now, subdomain)
        self.gate = Gate(self.desk, self.faults)
        self.reads = Reads(self.desk, self.faults)
        self.writes = Writes(self.desk)
        self.plan = plan
        self.webhook_secret = "dGhpcy1pcy1hLXNlY3JldA=="  # noqa: S105 - a stand-in's

    # What is served

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/oauth/tokens", self._token, methods=["POST"]),
            Route("/api/v2/{path:path}", self._handle, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def _token(self, request: Request) -> Response:
        raw = await request.body()
        if "json" in request.headers.get("content-type", ""):
            form = {k: str(v) for k, v in msgspec.json.decode(raw or b"{}").items()}
        else:
            form = {k: v[-1] for k, v in parse_qs(raw.decode()).items()}
        with self.lock:
            try:
                return answer(self.gate.grant(form))
            except Refused as refused:
                return answer(refused.body, refused.status, refused.headers)

    async def _handle(self, request: Request) -> Response:
        raw = await request.body()
        path = request.path_params["path"].removesuffix(".json")
        with self.lock:
            self.desk.settle()
            headers: dict[str, str] = {"x-zendesk-request-id": f"r{len(self.requests)}"}
            try:
                user, told = self.gate.admit(request, path)
                headers |= told
                status, body, more = self._answer(request, path, raw, user)
                return answer(body, status, {**headers, **more})
            except Refused as refused:
                return answer(refused.body, refused.status, {**headers, **refused.headers})

    def _answer(self, request: Request, path: str, raw: bytes, user: int | None) -> tuple[int, Any, dict[str, str]]:
        if path.split("/")[0] in PLANS_WITHOUT.get(self.plan, ()):
            raise no_end_point()
        if user is None:
            anonymous = {
                "id": None,
                "name": "Anonymous user",
                "email": "invalid@example.com",
                "role": "end-user",
                "active": True,
            }
            return 200, {"user": anonymous}, {}
        query = dict(request.query_params)
        if request.method == "GET":
            return 200, self._get(path, query, user), {}
        try:
            body = msgspec.json.decode(raw) if raw else {}
        except msgspec.DecodeError as exc:
            raise Refused(422, {"error": "Unprocessable Entity", "description": "The body is not JSON"}) from exc
        return self._write(request, path, body, user)

    def _get(self, path: str, query: dict[str, str], user: int) -> Any:
        reads = self.reads
        match path.split("/"):
            case ["users", "me"]:
                return {"user": self.desk.users[user]}
            case ["incremental", ("tickets" | "users") as what, "cursor"]:
                return reads.by_cursor(what, query)
            case ["incremental", ("organizations" | "ticket_events" | "ticket_metric_events") as what]:
                return reads.by_time(what, query)
            case ["tickets"]:
                return reads.tickets(query)
            case ["tickets", "count"]:
                return reads.counted(sum(1 for t in self.desk.tickets.values() if t["status"] != "deleted"))
            case [("tickets" | "users" | "organizations") as what, "show_many"]:
                return reads.show_many(what, query)
            case ["users", "search"]:
                return reads.search_users(query)
            case ["organizations", "search"]:
                return reads.search_organizations(query)
            case ["tickets", number, "comments"]:
                return reads.comments(_number(number), query)
            case ["tickets", number, "comments", "count"]:
                self.desk.live(_number(number))
                return reads.counted(len(self.desk.comments[_number(number)]))
            case ["users", number, "identities"]:
                return reads.identities(_number(number), query)
            case ["tickets", number, "tags"]:
                return {"tags": self.desk.live(_number(number))["tags"]}
            case [("users" | "organizations" | "satisfaction_ratings") as what]:
                return reads.listed(what, query)
            case [("users" | "organizations" | "satisfaction_ratings") as what, "count"]:
                rows = getattr(self.desk, what).values()
                return reads.counted(sum(1 for r in rows if r.get("active", True)))
            case [("tickets" | "users" | "organizations" | "satisfaction_ratings") as what, number]:
                row = reads.one(what, _number(number))
                return {what.removesuffix("s"): [row] if what == "satisfaction_ratings" else row}
            case ["search", "count"]:
                return {"count": len(reads.found(query))}
            case ["search", "export"]:
                return reads.search_export(query)
            case ["suspended_tickets"]:
                return reads.suspended(query)
            case ["deleted_tickets"]:
                return reads.deleted_tickets(query)
            case ["job_statuses", job] if job in self.desk.jobs:
                return {"job_status": self.desk.jobs[job]}
            case ["webhooks", _, "signing_secret"]:
                return {"signing_secret": {"secret": self.webhook_secret, "algorithm": "SHA256"}}
        raise no_end_point()

    def _write(self, request: Request, path: str, body: Any, user: int) -> tuple[int, Any, dict[str, str]]:
        writes = self.writes
        match (request.method, *path.split("/")):
            case ("POST", "tickets"):
                is_async = request.query_params.get("async") == "true"
                return writes.create_ticket(body, request.headers, user, is_async)
            case ("PUT", "tickets", number):
                return writes.update_ticket(_number(number), body, user)
            case ("DELETE", "tickets", number):
                return writes.delete_ticket(_number(number))
            case ("PUT" | "POST" | "DELETE", "tickets", number, "tags"):
                return writes.tag_ticket(_number(number), body, user, request.method)
            case ("POST", "tickets", number, "merge"):
                return writes.merge(_number(number), body, user)
            case ("PUT", "tickets", number, "comments", comment, "redact"):
                return writes.redact(_number(number), _number(comment), body)
            case ("PUT", "tickets", number, "comments", comment, "make_private"):
                return writes.make_private(_number(number), _number(comment))
            case ("POST", "users", "create_or_update"):
                return writes.save_user(body)
            case ("PUT", "users", number):
                return writes.save_user(body, _number(number))
            case ("PUT", "users", number, "merge"):
                return writes.merge_user(_number(number), body)
            case ("DELETE", "users", number):
                return writes.delete_user(_number(number))
            case ("POST", "organizations", "create_or_update"):
                return writes.save_organization(body)
            case ("PUT", "organizations", number):
                return writes.save_organization(body, _number(number))
            case ("DELETE", "organizations", number):
                return writes.delete_organization(_number(number))
        raise no_end_point()

    # What Zendesk calls out

    def pending_webhooks(self, secret: str = "") -> list[tuple[dict[str, str], bytes]]:
        """(headers, body) of a call for each event since the last asking."""
        with self.lock:
            events, self.desk.calls = self.desk.calls, []
        return [self.signed(msgspec.json.encode(event), secret) for event in events]

    def signed(self, body: bytes, secret: str = "") -> tuple[dict[str, str], bytes]:
        at = self.desk.text()
        return {
            "content-type": "application/json", "x-zendesk-webhook-id": "01GF0YQ3J9WZ5V8S6C2N7T4XKD",
            "x-zendesk-webhook-signature": sign(secret or self.webhook_secret, at, body),
            "x-zendesk-webhook-signature-timestamp": at,
        }, body  # fmt: skip

    # Steering

    def state(self) -> dict[str, Any]:
        return {
            "tickets": list(self.desk.tickets.values()), "users": list(self.desk.users.values()),
            "comments": {str(k): v for k, v in self.desk.comments.items()},
            "organizations": list(self.desk.organizations.values()), "ratings": list(self.desk.satisfaction_ratings.values()),
        }  # fmt: skip

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """load, comment, touch, delete, scrub, merge, merge_users, private, rate: what people do at Zendesk."""
        desk = self.desk
        steps: dict[str, Callable[[], Any]] = {
            "load": lambda: load(desk, args),
            "comment": lambda: desk.put_comment(args["ticket"], args["comment"], args.get("author", ADMIN)),
            "touch": lambda: desk.change_ticket(args["ticket"], args["values"], ADMIN),
            "delete": lambda: desk.delete_ticket(args["ticket"]),
            "scrub": lambda: desk.scrub_ticket(args["ticket"]),
            "merge": lambda: desk.merge_tickets(args["into"], args["tickets"], ADMIN),
            "merge_users": lambda: desk.merge_users(args["user"], args["into"]),
            "private": lambda: desk.rewrite_comment(args["ticket"], args["comment"], "comment_made_private", public=False),
            "rate": lambda: desk.put_rating(args),
            "webhooks": lambda: [{"headers": h, "body": b.decode()} for h, b in self.pending_webhooks()],
        }  # fmt: skip
        if command not in steps:
            raise KeyError(command)
        made = steps[command]()
        if command == "comment":
            desk.touch_ticket(args["ticket"])
        return made if made is not None else {}


def _number(text: str) -> int:
    if not text.isdecimal():
        raise not_found()
    return int(text)
