"""A stand-in for Mailchimp: what its documentation and recorded answers say, over real HTTP on loopback.

It keeps to the nasty parts: ten open connections and then 429 without a Retry-After, a bare 403 from the edge, lists that
leave out archived members, empty texts instead of null, statistics of minutes ago, permanent deletion that forbids coming
back, notes that double, metadata that answers 200 to a dead token.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator
from hub_mailchimp.emulator.answers import Refused, Row, shaped
from hub_mailchimp.emulator.audience import Audiences, hash_of
from hub_mailchimp.emulator.bells import Bells
from hub_mailchimp.emulator.campaigns import Campaigns
from hub_mailchimp.emulator.tables import load_tables

CONNECTIONS = 10
Answer = Callable[[Request, Any], Any]


class MailchimpEmulator(Emulator):
    """One account.

    now: the clock. api_key, oauth_token: what signs in. delay_s: how long each call takes, for trying out how many are
    open at once. signing_secret: webhooks are signed with it; "" leaves them unsigned.
    Faults: vanish, hide and poison with `ids` of members ("audience/contact"); deny_scope with `part`, a part of the
    address that answers 403; quota, which is the edge's bare refusal, with `status` 403 or 429.
    """

    name = "mailchimp"

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        api_key: str = "0123456789abcdef0123456789abcdef-us19",
        oauth_token: str = "oauth-token-of-account",  # noqa: S107
        webhook_url: str = "https://hub.example/hooks/mailchimp?secret=guess-me-not",
        signing_secret: str = "whsec_test",  # noqa: S107
        seed: int = 1,
    ) -> None:
        super().__init__(seed)
        self.now = now
        self.api_key = api_key
        self.oauth_token = oauth_token
        self.endpoint = ""  # what the metadata name, where not this server
        self.is_revoked = False
        self.delay_s = 0.0
        self.open = self.most_open = self.refusals = 0
        self.bells = Bells(now, webhook_url, signing_secret)
        self.audiences = Audiences(now, self.faults, self.bells)
        self.campaigns = Campaigns(now, self.audiences)

    # Filling and steering

    def load(self, tables: dict[str, list[dict[str, str]]]) -> dict[str, int]:
        """Fill the account from a loader's tables, as rows of texts; how many rows of each were taken."""
        with self.lock:
            return load_tables(self.audiences, self.campaigns, tables)

    def seed(self, audiences: Sequence[Row] = (), campaigns: Sequence[Row] = ()) -> dict[str, list[str]]:
        """Audiences with members, and campaigns with what was done with them, as if they had always been there.

        audiences: [{"name", "members": [{"email", ...}], ...}], other keys as `Audiences.add` and `join` take them;
        campaigns: [{"audience": name, "subject", "to": [addresses], "send_time", "events": [{"email", "action",
        "timestamp", "url", "ip", "type", "reason"}]}]. Returns the ids made.
        """
        made: dict[str, list[str]] = {"audiences": [], "members": [], "campaigns": []}
        names: dict[str, str] = {}
        with self.lock:
            for given in audiences:
                members, rest = given.get("members", ()), {k: v for k, v in given.items() if k != "members"}
                names[given["name"]] = self.audiences.add(**rest)
                made["members"] += [self.audiences.join(names[given["name"]], **m) for m in members]
            for given in campaigns:
                rest = {k: v for k, v in given.items() if k not in {"audience", "events"}}
                made["campaigns"].append(self.campaigns.send(names[given["audience"]], **rest))
                for event in given.get("events", ()):
                    told = {k: v for k, v in event.items() if k != "email"}
                    self.campaigns.event(made["campaigns"][-1], hash_of(event["email"]), **told)
            self.bells.events.clear()
        return {**made, "audiences": list(names.values())}

    def state(self) -> dict[str, Any]:
        return {"audiences": self.audiences.state(), "campaigns": self.campaigns.state()}

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """audience, member, change, erase, campaign, event, seed: as the methods of the same name; load: tables."""
        commands: dict[str, Callable[..., Any]] = {
            "audience": self.audiences.add, "member": self.audiences.join, "change": self.audiences.change,
            "erase": self.audiences.erase, "campaign": self.campaigns.send, "event": self.campaigns.event,
            "load": self.load, "seed": self.seed,
        }  # fmt: skip
        if command not in commands:
            raise KeyError(f"{command}; known: {', '.join(sorted(commands))}")
        return commands[command](**args)

    # Serving

    def routes(self) -> Sequence[BaseRoute]:
        def route(path: str, method: str, answer: Answer) -> Route:
            return Route(path, self._guarded(answer), methods=[method])

        return [
            Route("/oauth2/metadata", self._metadata),
            route("/3.0/", "GET", self._root),
            route("/3.0/ping", "GET", lambda request, body: {"health_status": "Everything's Chimpy!"}),
            *(route(f"/3.0/{path}", method, answer) for path, method, answer in self.audiences.endpoints()),
            *(route(f"/3.0/{path}", method, answer) for path, method, answer in self.campaigns.endpoints()),
            Route("/3.0/{rest:path}", self._guarded(_nothing), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def _guarded(self, answer: Answer) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            if fault := self.faults.args("quota"):
                return Response("<h1>Access Denied</h1>", int(fault.get("status", 403)), media_type="text/html")
            with self.lock:
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                is_too_many = self.open > CONNECTIONS
                self.refusals += is_too_many
            try:
                if is_too_many:
                    words = "You have exceeded the limit of 10 simultaneous connections."
                    return Refused(429, "Too Many Requests", words).answer()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                raw = await request.body()
                with self.lock:
                    return self._answer(request, raw, answer)
            finally:
                with self.lock:
                    self.open -= 1

        return handle

    def _answer(self, request: Request, raw: bytes, answer: Answer) -> Response:
        try:
            self._let_in(request)
            try:
                body = json.loads(raw or b"{}")
            except ValueError as exc:
                raise Refused(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.") from exc
            found = answer(request, body)
        except Refused as refused:
            return refused.answer()
        return Response(status_code=204) if found is None else JSONResponse(shaped(found, request.query_params))

    def _let_in(self, request: Request) -> None:
        if self.is_revoked or not self._is_known(request.headers.get("authorization", "")):
            words = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
            raise Refused(401, "API Key Invalid", words)
        denied = self.faults.args("deny_scope")
        if denied and str(denied.get("part", "")) in request.url.path:
            raise Refused(403, "User action not permitted", "The user's role does not permit this.")

    def _is_known(self, authorization: str) -> bool:
        kind, _, given = authorization.partition(" ")
        if kind == "Basic":
            try:
                return base64.b64decode(given, validate=True).decode().partition(":")[2] == self.api_key
            except (binascii.Error, UnicodeDecodeError):
                return False
        return kind in {"Bearer", "OAuth"} and given in {self.oauth_token, self.api_key}

    async def _metadata(self, request: Request) -> Response:
        """Answers 200 whatever the token; only a living one is told the address."""
        given = request.headers.get("authorization", "")
        if self.is_revoked or given != f"OAuth {self.oauth_token}":
            return JSONResponse({"error": "invalid_token"})
        url = self.endpoint or f"http://{request.headers['host']}"
        return JSONResponse({"dc": "us19", "accountname": "Pine & Wharf", "api_endpoint": url, "login_url": url})

    def _root(self, request: Request, body: Any) -> Any:
        return {
            "account_id": "8d3a3db4d97663a9074efcc16", "login_id": "1001", "account_name": "Pine & Wharf",
            "email": "news@pinewharf.example", "role": "owner", "account_timezone": "Europe/London",
            "total_subscribers": self.audiences.subscribers(), "_links": [],
        }  # fmt: skip


def _nothing(request: Request, body: Any) -> Any:
    raise Refused(404, "Resource Not Found", "The requested resource could not be found.")


__all__ = ["CONNECTIONS", "MailchimpEmulator"]
