"""A stand-in for Acme over real HTTP on loopback. Write it from the tool's documentation, not from the connector."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator

Message = dict[str, Any]
BEGINNING, END = "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"
Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    def __init__(self, status: int, retry_after_s: int = 0) -> None:
        self.answer = JSONResponse({}, status, {"retry-after": str(retry_after_s)} if retry_after_s else None)


class AcmeEmulator(Emulator):
    """One account. now: the clock, which tests move. per_minute: calls let in per minute; None is no limit."""

    name = "acme"

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), seed: int = 1) -> None:
        super().__init__(seed)
        self.now = now
        self.messages: dict[str, Message] = {}
        self.hidden: set[str] = set()  # exist, and the change feed never names them
        self.token = f"token-of-{self.name}"
        self.is_revoked = False
        self.per_minute: int | None = None
        self.refusals = 0
        self._minute = (0, 0)

    # What people do

    def put(self, message_id: str = "", **fields: Any) -> str:
        """Make or change a message; returns its id."""
        message_id = message_id or f"m{len(self.messages) + 1:05}"
        now = self.now().isoformat()
        known = self.messages.get(message_id) or {"id": message_id, "sent_at": now}
        self.messages[message_id] = {**known, "updated_at": now, **fields}
        return message_id

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """`seed`, as `ihub emulate --load` sends it: {"messages": [message]}."""
        if command != "seed":
            raise KeyError(command)
        return {"messages": [self.put(m["id"], **m) for m in args["messages"]]}

    def state(self) -> dict[str, Any]:
        return {"messages": self.messages}

    # What is served

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/me", self._guarded(self._me)),
            Route("/messages", self._guarded(self._list, "messages.read")),
            Route("/messages/changes", self._guarded(self._changes, "messages.read")),
            Route("/messages/{id}", self._guarded(self._one, "messages.read")),
        ]

    def _guarded(self, answer: Callable[[Request], Any], scope: str = "") -> Handler:
        async def handle(request: Request) -> Response:
            with self.lock:
                try:
                    self._let_in(request, scope)
                    return JSONResponse(answer(request))
                except Refused as refused:
                    return refused.answer

        return handle

    def _let_in(self, request: Request, scope: str) -> None:
        if self.is_revoked or request.headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401)
        denied = self.faults.args("deny_scope")
        if denied and denied["scope"] == scope:
            raise Refused(403)
        now = int(self.now().timestamp())
        if self.faults.args("quota") is not None:
            raise Refused(429, 86_400 - now % 86_400)
        minute, used = self._minute
        self._minute = (now // 60, used + 1 if minute == now // 60 else 1)
        if self.per_minute is not None and self._minute[1] > self.per_minute:
            self.refusals += 1
            raise Refused(429, 60 - now % 60)

    def _me(self, request: Request) -> Any:
        return {"id": "account-1", "name": "Team", "email": "team@team.example"}

    def _list(self, request: Request) -> Any:
        """Newest first by (sent_at, id), of those sent in [since, until); `before` is where the page before ended."""
        query = request.query_params
        since, until = _at(query.get("since", BEGINNING)), _at(query.get("until", END))
        found = sorted(self._shown(), key=lambda m: _place(m, "sent_at"), reverse=True)
        found = [m for m in found if since <= _at(m["sent_at"]) < until]
        before = _parsed(query.get("before") or f"{END}/")
        rest = [m for m in found if _place(m, "sent_at") < before]
        return {**self._page(request, rest, "sent_at"), "total": len(found)}

    def _changes(self, request: Request) -> Any:
        """Oldest first by (updated_at, id), from `since` on; `after` is where the page before ended."""
        after = _parsed(request.query_params.get("after") or f"{request.query_params['since']}/")
        found = sorted(self._shown(), key=lambda m: _place(m, "updated_at"))
        rest = [m for m in found if m["id"] not in self.hidden and _place(m, "updated_at") > after]
        return self._page(request, rest, "updated_at")

    def _one(self, request: Request) -> Any:
        for message in self._shown():
            if message["id"] == request.path_params["id"]:
                return self._spoilt([message])[0]
        raise Refused(404)

    def _page(self, request: Request, rest: list[Message], by: str) -> dict[str, Any]:
        limit = int(request.query_params.get("limit", 50))
        end = f"{rest[limit - 1][by]}/{rest[limit - 1]['id']}" if len(rest) > limit else ""
        return {"items": self._spoilt(rest[:limit]), "next": end}

    def _shown(self) -> list[Message]:
        vanished = (self.faults.args("vanish") or {}).get("ids", ())
        return [m for m in self.messages.values() if m["id"] not in vanished]

    def _spoilt(self, messages: list[Message]) -> list[Message]:
        bad = (self.faults.args("poison") or {}).get("ids", ())
        return [{**m, "sent_at": {"odd": True}} if m["id"] in bad else m for m in messages]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _place(message: Message, by: str) -> tuple[datetime, str]:
    return _at(message[by]), message["id"]


def _parsed(text: str) -> tuple[datetime, str]:
    at, _, message_id = text.partition("/")
    return _at(at), message_id
