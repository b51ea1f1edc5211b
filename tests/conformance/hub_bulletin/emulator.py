"""A stand-in for Bulletin: what its (made-up) documentation says, over real HTTP on loopback."""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator

Item = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    def __init__(self, status: int, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        self.answer = JSONResponse(body or {}, status, headers)


class BulletinEmulator(Emulator):
    """One office. now: the clock. per_minute: calls let in per minute; None is no limit."""

    name = "bulletin"

    def __init__(self, now: Callable[[], datetime], seed: int = 1) -> None:
        super().__init__(seed)
        self._now = now
        self.items: dict[str, dict[str, Item]] = {"messages": {}, "people": {}}
        self.graves: dict[str, dict[str, Item]] = {"messages": {}, "people": {}}
        self.hidden: set[str] = set()
        self.tokens: dict[str, int] = {}
        self.refresh_token = "refresh-1-of-bulletin"
        self.secret = "shared-secret-of-bulletin"
        self.refreshes = 0
        self.is_revoked = False
        self.per_minute: int | None = None
        self.refusals = 0
        self.events: list[Item] = []
        self._minute = (0, 0)
        self._made = 0

    def now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)

    # What people do

    def put(self, shelf: str, item_id: str = "", **fields: Any) -> str:
        """Make or change an item; returns its id."""
        if not item_id:
            self._made += 1
            item_id = f"{shelf[0]}{self._made:05}"
        now = self.now_ms()
        known = self.items[shelf].get(item_id) or {"id": item_id, "at": now, "changed": now}
        self.items[shelf][item_id] = {**known, "changed": now, **fields}
        self._event(shelf, item_id)
        return item_id

    def drop(self, shelf: str, item_id: str) -> None:
        """Delete: the change feed says so for ever."""
        del self.items[shelf][item_id]
        self.graves[shelf][item_id] = {"id": item_id, "changed": self.now_ms(), "deleted": True}
        self._event(shelf, item_id)

    def absorb(self, shelf: str, winner: str, loser: str, **fields: Any) -> None:
        """Merge: one is gone without a trace of its own, the other says whom it absorbed."""
        gone = self.items[shelf].pop(loser)
        absorbed = [*self.items[shelf][winner].get("absorbed", ()), loser, *gone.get("absorbed", ())]
        self.put(shelf, winner, absorbed=absorbed, **fields)

    def _event(self, shelf: str, item_id: str) -> None:
        self.events.append({"event": f"e{len(self.events)}-{self.now_ms()}", "stream": shelf, "item": item_id})

    def sign(self, body: bytes, secret: str = "") -> dict[str, str]:
        at = str(self.now_ms() // 1000)
        signed = hmac.new((secret or self.secret).encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"content-type": "application/json", "bulletin-time": at, "bulletin-signature": signed}

    # What is served

    def routes(self) -> Sequence[BaseRoute]:
        def route(path: str, method: str, scope: str, answer: Callable[[Request, Any], Any]) -> Route:
            return Route(path, self._guarded(scope, answer), methods=[method])

        return [
            Route("/token", self._token, methods=["POST"]),
            route("/me", "GET", "", lambda request, body: {"name": "office"}),
            route("/messages/keys", "POST", "messages.read", self._keys),
            route("/messages", "POST", "messages.write", self._create),
            route("/messages/{id}", "PUT", "messages.write", self._update),
            route("/messages/{id}", "DELETE", "messages.write", self._delete),
            route("/{shelf}/changes", "GET", "{shelf}.read", self._changes),
            route("/{shelf}/ids", "GET", "{shelf}.read", self._ids),
            route("/{shelf}/get", "POST", "{shelf}.read", self._get),
            route("/{shelf}/{id}", "GET", "{shelf}.read", self._one),
            route("/{shelf}", "GET", "{shelf}.read", self._list),
        ]

    def _guarded(self, scope: str, answer: Callable[[Request, Any], Any]) -> Handler:
        async def handle(request: Request) -> Response:
            raw = await request.body()
            with self.lock:
                try:
                    self._let_in(request, scope)
                    return JSONResponse(answer(request, json.loads(raw or b"{}")))
                except Refused as refused:
                    return refused.answer

        return handle

    def _let_in(self, request: Request, scope: str) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.is_revoked or self.tokens.get(token, 0) <= self.now_ms():
            raise Refused(401)
        needed = scope.format(**request.path_params)
        denied = self.faults.args("deny_scope")
        if denied and denied.get("scope") == needed:
            raise Refused(403, {"missing": needed})
        if quota := self.faults.args("quota"):
            raise Refused(429, {"resets_at": quota["resets_at"]})
        minute = self.now_ms() // 60_000
        used = self._minute[1] + 1 if self._minute[0] == minute else 1
        if self.per_minute is not None and used > self.per_minute:
            self.refusals += 1
            raise Refused(429, headers={"retry-after": str(60 - self.now_ms() // 1000 % 60)})
        self._minute = (minute, used)

    async def _token(self, request: Request) -> Response:
        form = {k: v[-1] for k, v in parse_qs((await request.body()).decode()).items()}
        with self.lock:
            if self.is_revoked or form.get("refresh_token") != self.refresh_token:
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.refreshes += 1
            token = f"access-{self.refreshes}-of-bulletin"
            self.tokens[token] = self.now_ms() + 3_600_000
            return JSONResponse({"access_token": token, "expires_in": 3600})

    # Reading

    def _shown(self, shelf: str) -> list[Item]:
        vanished = set((self.faults.args("vanish") or {}).get("ids", ()))
        return [item for item in self.items[shelf].values() if item["id"] not in vanished]

    def _poisoned(self, items: Iterable[Item]) -> list[Item]:
        bad = set((self.faults.args("poison") or {}).get("ids", ()))
        return [{**item, "changed": {"odd": True}} if item["id"] in bad else item for item in items]

    def _list(self, request: Request, body: Any) -> Any:
        """Newest first by (at, id); `before` is the last place of the page before."""
        query = request.query_params
        found = [i for i in self._shown(request.path_params["shelf"]) if _is_between(i, query)]
        found.sort(key=lambda i: (i["at"], i["id"]), reverse=True)
        total = len(found)
        if before := query.get("before"):
            found = [i for i in found if (i["at"], i["id"]) < _place(before)]
        limit = int(query.get("limit", 50))
        place = f"{found[limit - 1]['at']}/{found[limit - 1]['id']}" if len(found) > limit else ""
        return {"items": self._poisoned(found[:limit]), "next": place, "total": total}

    def _changes(self, request: Request, body: Any) -> Any:
        """Oldest first by (changed, id), deletions among them; 410 when the feed has forgotten."""
        if self.faults.args("expire_cursor") is not None:
            raise Refused(410)
        query, shelf = request.query_params, request.path_params["shelf"]
        found = [i for i in self._shown(shelf) if i["id"] not in self.hidden] + list(self.graves[shelf].values())
        found = [i for i in found if i["changed"] >= int(query["from"])]
        found.sort(key=lambda i: (i["changed"], i["id"]))
        if after := query.get("after"):
            found = [i for i in found if (i["changed"], i["id"]) > _place(after)]
        limit = int(query.get("limit", 50))
        place = f"{found[limit - 1]['changed']}/{found[limit - 1]['id']}" if len(found) > limit else ""
        return {"items": self._poisoned(found[:limit]), "next": place}

    def _ids(self, request: Request, body: Any) -> Any:
        shown = self._shown(request.path_params["shelf"])
        return {"ids": [i["id"] for i in shown if _is_between(i, request.query_params)]}

    def _get(self, request: Request, body: Any) -> Any:
        wanted = set(body["ids"])
        return {"items": self._poisoned(i for i in self._shown(request.path_params["shelf"]) if i["id"] in wanted)}

    def _one(self, request: Request, body: Any) -> Any:
        return self._found(request.path_params["shelf"], request)

    def _found(self, shelf: str, request: Request) -> Item:
        item = self.items[shelf].get(request.path_params["id"])
        if item is None:
            raise Refused(404)
        return item

    # Writing

    def _keys(self, request: Request, body: Any) -> Any:
        wanted = set(body["keys"])
        rows = [{"key": i["key"], "id": i["id"]} for i in self.items["messages"].values() if i.get("key") in wanted]
        return {"items": rows}

    def _create(self, request: Request, body: Any) -> Any:
        """Not idempotent: the same body twice is two messages."""
        return {"id": self.put("messages", sender="team@example.com", **body)}

    def _update(self, request: Request, body: Any) -> Any:
        return {"id": self.put("messages", self._found("messages", request)["id"], **body)}

    def _delete(self, request: Request, body: Any) -> Any:
        self.drop("messages", self._found("messages", request)["id"])
        return {}


def _place(text: str) -> tuple[int, str]:
    at, _, item_id = text.partition("/")
    return int(at), item_id


def _is_between(item: Item, query: Any) -> bool:
    since, until = query.get("since"), query.get("until")
    return not ((since and item["at"] < int(since)) or (until and item["at"] >= int(until)))
