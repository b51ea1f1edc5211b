"""A stand-in for Gmail: the API v1, its batch end point and Google's sign-in, over real HTTP on loopback.

In: mailboxes (files, messages, changes). Out: what Gmail would answer, with its quirks and, on demand, its faults.
Written from Google's documentation and the discovery document; where neither knows, the docstrings say what was chosen.

Base URL of everything: the served URL. API `/gmail/v1/...`, upload `/upload/gmail/v1/...`, batch `/batch` and
`/batch/gmail/v1`, token end point `/token`, consent page `/o/oauth2/v2/auth`.

Semantic faults (`faults.add(kind, ...)`); hide, vanish and poison are states, their `times` and `every` count nothing:
  hide          args {"from": "list"|"history"|"both", "ids": [...]} or {"fraction": 0.03}: still readable by get
  vanish        args {"ids": [...]} or {"fraction": 0.3}: gone from everything, get answers 404, no history of it
  poison        args {"ids": [...]} or {"fraction": x}, "how": "missing"|"base64"|"type": a broken answer of get
  expire_cursor history.list answers 404
  page_loop     the same nextPageToken for ever (path="/history" or "/messages" chooses the list)
  deny_scope    403 insufficientPermissions; args {"scope": "gmail.modify"} takes away only that one
  expire_token  the token used is dead from now on (401); a refresh helps
  revoke_token  401, and the token end point answers invalid_grant while in force; args {"address": ...} for one mailbox
  quota         args {"scope": "daily"|"user"|"concurrent"|"sending"}; a batch is hit part by part
"""

import base64
import email.utils
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zlib import crc32

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from hub.testing import Emulator
from hub_gmail.emulator import api, batch, sources
from hub_gmail.emulator.control import COMMANDS
from hub_gmail.emulator.errors import Answer
from hub_gmail.emulator.history import DAY_MS, History
from hub_gmail.emulator.mailbox import Mailbox, Message, read_head
from hub_gmail.emulator.mime import Limits, b64, render
from hub_gmail.emulator.oauth import OAuth, TokenRefused, long
from hub_gmail.emulator.quota import Quota
from hub_gmail.emulator.spool import Spool

__all__ = ["DEFAULT_SCOPES", "GmailEmulator"]

DEFAULT_SCOPES = (long("modify"),)
_MAILDIR = {"F": "STARRED", "T": "TRASH", "D": "DRAFT"}
_KEY = b"gmail-emulator"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class GmailEmulator(Emulator):
    """Holds any number of mailboxes; each is created with a grant whose refresh token is `1//refresh-<address>`.

    now: the time, as `Clock.now`. quota_per_minute: units per user per minute (6,000 for new projects; None: no limit).
    history_days: how long a history id stays valid. token_seconds: life of access tokens.
    attachment_bytes: named parts above this size, body_bytes: any part above this size, get an attachmentId.
    encoded_words: leave RFC 2047 words in headers undecoded. keeps_message_id: whether a sent message keeps the
    Message-ID it came with (neither is verified for Gmail). bumps: history records that carry only `messages`.
    """

    name = "gmail"

    def __init__(
        self,
        seed: int = 1,
        *,
        now: Callable[[], datetime] = _utc_now,
        quota_per_minute: int | None = None,
        history_days: float = 7,
        token_seconds: float = 3599,
        attachment_bytes: int = 1024,
        body_bytes: int = 512 * 1024,
        encoded_words: bool = False,
        keeps_message_id: bool = True,
        bumps: bool = True,
    ) -> None:
        super().__init__(seed)
        self.mailboxes: dict[str, Mailbox] = {}
        self.sent: list[dict[str, Any]] = []
        self.quota = Quota(quota_per_minute)
        self.oauth = OAuth(lambda: self.now().timestamp(), token_seconds)
        self.keeps_message_id = keeps_message_id
        self.empty_pages = {"history": 0, "messages": 0}
        self._seed = seed
        self._now = now
        self._offset = timedelta(0)
        self._history_ms = int(history_days * DAY_MS)
        self._limits = Limits(attachment_bytes, body_bytes, encoded_words)
        self._bumps = bumps
        self._spool = Spool()
        self._handed_out = 0

    # -- filling it

    def now(self) -> datetime:
        return self._now() + self._offset

    def set_now(self, at: datetime) -> None:
        """Shift the clock so that it stands at `at` now, and goes on from there."""
        self._offset = at - self._now()

    def now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)

    def add_mailbox(self, address: str, aliases: Iterable[str] = (), scopes: Sequence[str] = DEFAULT_SCOPES) -> str:
        """An empty mailbox with a standing grant; returns its refresh token. Raises ValueError when it exists."""
        address = address.lower()
        if address in self.mailboxes:
            raise ValueError(f"there is a mailbox {address} already")
        first = 10_000 + crc32(address.encode()) % 90_000
        history = History(first, self._history_ms, self._bumps)
        self.mailboxes[address] = Mailbox(address, tuple(a.lower() for a in aliases), self._spool, history)
        return self.oauth.grant(address, tuple(scopes), f"1//refresh-{address}")

    def add_message(
        self,
        address: str,
        raw: bytes,
        labels: Iterable[str] = ("INBOX",),
        internal_date: datetime | None = None,
    ) -> str:
        """Put one message in; returns its id. labels: ids or names, new names become user labels.

        internal_date: None takes the Date header where sane, else a second after the newest arrival.
        """
        internal_ms = None if internal_date is None else int(internal_date.timestamp() * 1000)
        with self.lock:
            return self.mailboxes[address.lower()].add(raw, tuple(labels), self.now_ms(), internal_ms).id

    def load(self, address: str, path: str | Path, labels: Iterable[str] | None = None) -> list[str]:
        """Read a mailbox file or folder (see `sources`) into a mailbox, made if missing; returns the ids in order.

        labels: None gives SENT to mail from the address or its aliases and INBOX to the rest; Maildir flags add
        UNREAD, STARRED, TRASH and DRAFT. Raises ValueError when nothing was found, OSError, tarfile.TarError.
        """
        address = address.lower()
        if address not in self.mailboxes:
            self.add_mailbox(address)
        box = self.mailboxes[address]
        own = (box.address, *box.aliases)
        ids = []
        with self.lock:
            for loaded in sources.read(Path(path)):
                head = read_head(loaded.raw)
                if labels is not None:
                    given = tuple(labels)
                else:
                    is_own = email.utils.parseaddr(head.from_)[1].lower() in own
                    given = ("SENT",) if is_own else ("INBOX",)
                if loaded.is_maildir:
                    given += tuple(_MAILDIR[f] for f in "FTD" if f in loaded.flags)
                    given += () if "S" in loaded.flags else ("UNREAD",)
                ids.append(box.add(loaded.raw, given, self.now_ms(), head=head).id)
        if not ids:
            raise ValueError(f"no messages found in {path}")
        return ids

    def prepare(self, address: str) -> int:
        """Parse every message now rather than when first read, for benchmarks; returns how many. Kept on disk."""
        box = self.mailboxes[address.lower()]
        for message in box.messages.values():
            self.rendered(box, message)
        return len(box.messages)

    def grant(self, address: str, scopes: Sequence[str] = DEFAULT_SCOPES, refresh_token: str | None = None) -> str:
        """A further refresh token; short scope names ("readonly", "full") will do. Lifts an earlier revocation."""
        return self.oauth.grant(address.lower(), tuple(scopes), refresh_token)

    def access_token(self, address: str, scopes: Sequence[str] = DEFAULT_SCOPES, seconds: float | None = None) -> str:
        """An access token without any sign-in."""
        return self.oauth.issue(address.lower(), tuple(scopes), seconds)

    def push_body(self, address: str) -> dict[str, Any]:
        """What Pub/Sub would post to a push end point now: a doorbell with the current history id."""
        box = self.mailboxes[address.lower()]
        data = json.dumps({"emailAddress": box.address, "historyId": box.history.current})
        message_id = str(crc32(data.encode()))
        topic = (box.watch or {}).get("topicName", "projects/example/topics/gmail")
        return {
            "message": {
                "data": base64.b64encode(data.encode()).decode(), "messageId": message_id,
                "message_id": message_id, "publishTime": self.now().isoformat(),
            },
            "subscription": topic.replace("/topics/", "/subscriptions/"),
        }  # fmt: skip

    # -- asked by the handlers

    def rendered(self, box: Mailbox, message: Message) -> tuple[str, bytes]:
        """(snippet, payload as JSON) of a message; parsed once, then kept in the spool."""
        if message.rendered is not None:
            snippet, _, payload = self._spool.get(message.rendered).partition(b"\n")
            return msgspec.json.decode(snippet, type=str), payload
        text, tree = render(self._spool.get(message.at), self._limits)
        payload = msgspec.json.encode(tree)
        message.rendered = self._spool.put(msgspec.json.encode(text) + b"\n" + payload)
        return text, payload

    def attachment_id(self, message_id: str, part_id: str) -> str:
        """A long id, another one at each call; all of them stay good."""
        self._handed_out += 1
        inner = f"{message_id}:{part_id}:{self._handed_out}".encode()
        sign = hashlib.blake2b(inner, digest_size=12, key=_KEY).digest()
        return "ANGjdJ" + b64(sign + bytes([len(inner)]) + inner + hashlib.shake_128(inner).digest(220))

    def attachment_part(self, message_id: str, attachment_id: str) -> str | None:
        """The part an attachment id stands for; None when it is none of this message's."""
        text = attachment_id.removeprefix("ANGjdJ")
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
        inner = data[13 : 13 + data[12]] if len(data) > 13 else b""
        if hashlib.blake2b(inner, digest_size=12, key=_KEY).digest() != data[:12]:
            return None
        owner, part_id, _ = inner.decode().split(":")
        return part_id if owner == message_id else None

    def selects(self, kind: str, path: str, side: str = "") -> Callable[[str], bool]:
        """Which message ids the state-like faults of `kind` strike. side: "list" or "history", for hide."""
        rules = [rule["args"] for rule in self._rules(kind, path)]
        chosen = [args for args in rules if not side or args.get("from", "both") in {side, "both"}]
        if not chosen:
            return _nothing
        ids = {i for args in chosen for i in args.get("ids", ())}
        fraction = max((float(args.get("fraction", 0)) for args in chosen), default=0.0)
        return lambda i: i in ids or (fraction > 0 and self._share(kind, i) < fraction)

    def poison(self, message_id: str, path: str, shown: dict[str, Any]) -> None:
        """Break the answer of messages.get when a fault says so."""
        for rule in self._rules("poison", path):
            args = rule["args"]
            if message_id not in args.get("ids", ()) and self._share("poison", message_id) >= args.get("fraction", 0):
                continue
            key = "raw" if "raw" in shown else "payload"
            how = args.get("how", "missing")
            if how == "missing":
                shown.pop(key, None)
            elif how == "type":
                shown[key] = 17
            elif key == "raw":
                shown[key] = "%%% not base64 %%%"
            else:
                tree = msgspec.json.decode(msgspec.json.encode(shown[key]))
                tree["body"] = {"size": 12, "data": "%%% not base64 %%%"}
                tree.pop("parts", None)
                shown[key] = tree

    def takes_empty_page(self, which: str) -> bool:
        """Whether this page is to come without items but with a nextPageToken (`control("empty_page")`)."""
        if self.empty_pages[which] <= 0:
            return False
        self.empty_pages[which] -= 1
        return True

    def _rules(self, kind: str, path: str) -> list[dict[str, Any]]:
        if self.faults.args(kind) is None:
            return []
        return [r for r in self.faults.state() if r["kind"] == kind and r["path"] in path]

    def _share(self, kind: str, message_id: str) -> float:
        """A number in [0, 1) of each message, the same in every run with this seed."""
        digest = hashlib.blake2b(f"{self._seed}:{kind}:{message_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64

    # -- steering it

    def state(self) -> dict[str, Any]:
        return {
            "now": self.now().isoformat(),
            "mailboxes": {address: _state(box) for address, box in self.mailboxes.items()},
            "sent": self.sent,
            "quota_spent": self.quota.spent,
        }

    def control(self, command: str, args: dict[str, Any]) -> Any:
        """The commands of `control.COMMANDS`. Raises KeyError for others."""
        return COMMANDS[command](self, args)

    # -- serving it

    def routes(self) -> Sequence[BaseRoute]:
        every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
        return [
            Route("/token", self._token, methods=["POST"]),
            Route("/o/oauth2/v2/auth", self._consent),
            Route("/batch", self._batch, methods=["POST"]),
            Route("/batch/gmail/v1", self._batch, methods=["POST"]),
            Route("/{path:path}", self._api, methods=every),
        ]

    async def _api(self, request: Request) -> Response:
        body = await request.body()
        raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        query: bytes = request.scope["query_string"]
        target = raw_path.decode("ascii", "replace") + ("?" + query.decode("latin-1") if query else "")
        with self.lock:
            return _response(api.answer(self, request.method, target, request.headers, body))

    async def _batch(self, request: Request) -> Response:
        body = await request.body()
        with self.lock:
            return _response(batch.carry_out(self, request.url.path, request.headers, body))

    async def _token(self, request: Request) -> Response:
        fields = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        with self.lock:
            try:
                answer = self.oauth.trade(fields, self.mailboxes)
                token = self.oauth.tokens[answer["access_token"]]
                fault = self.faults.args("revoke_token")
                if fault is not None and fault.get("address", token.address) == token.address:
                    self.oauth.expire(answer["access_token"])
                    raise TokenRefused("invalid_grant", "Token has been expired or revoked.")
            except TokenRefused as refused:
                return _refusal(refused)
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    async def _consent(self, request: Request) -> Response:
        with self.lock:
            try:
                target = self.oauth.authorize(dict(request.query_params), self.mailboxes)
            except TokenRefused as refused:
                return _refusal(refused)
        return RedirectResponse(target, 302)


def _nothing(message_id: str) -> bool:
    return False


def _response(answer: Answer) -> Response:
    kind = answer.content_type if answer.body else None
    return Response(answer.body, answer.status, answer.headers, kind)


def _refusal(refused: TokenRefused) -> Response:
    return JSONResponse({"error": refused.error, "error_description": str(refused)}, refused.status)


def _state(box: Mailbox) -> dict[str, Any]:
    labels: dict[str, int] = {}
    for message in box.messages.values():
        for label in message.labels:
            labels[label] = labels.get(label, 0) + 1
    return {
        "messages": len(box.messages),
        "threads": len(box.threads),
        "historyId": str(box.history.current),
        "ids": list(box.messages),
        "labels": labels,
        "drafts": dict(box.drafts),
        "watch": box.watch,
    }
