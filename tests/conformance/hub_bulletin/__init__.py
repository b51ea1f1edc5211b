"""Bulletin: a made-up tool with messages and people, in; messages out.

The worked example of docs/connector-authors.md: small on purpose, and complete.
"""

import hashlib
import hmac
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from hub.api import (
    Budget,
    Census,
    Change,
    Connector,
    ConnectorSettings,
    CursorExpired,
    Entity,
    Estimate,
    Found,
    Gone,
    HttpProfile,
    HubError,
    Identifier,
    Interaction,
    JournalEntry,
    Manifest,
    Notice,
    OAuthRefresh,
    Page,
    Participation,
    Permission,
    PermissionMatrix,
    Person,
    Pull,
    RateLimited,
    RawRecord,
    Receipt,
    RecordRejected,
    Redirect,
    Response,
    Scope,
    ScopeError,
    SecretStr,
    Stream,
    Tombstone,
    WebhookRejected,
    WebhookRequest,
    Window,
    hookimpl,
)  # fmt: skip

PER_PAGE = 20
PER_MINUTE = 40
OVERLAP = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)
REPLAY_S = 300


class BulletinSettings(ConnectorSettings):
    """One office. Secrets are `SecretStr`, so that they never show in a log or an error."""

    base_url: str = "https://bulletin.example/"
    client_id: str
    refresh_token: SecretStr
    webhook_secret: SecretStr = SecretStr("")


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Times in epoch ms. before: the backfill stands here. since: changes up to here are read; after: amid them."""

    began: int = 0
    before: str = ""
    since: int = 0
    after: str = ""

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Item(msgspec.Struct):
    """A message or a person, as much of it as we map."""

    id: str
    changed: int
    at: int = 0
    sender: str = ""
    to: list[str] = []
    subject: str = ""
    text: str = ""
    labels: list[str] = []
    key: str = ""
    name: str = ""
    emails: list[str] = []
    deleted: bool = False
    absorbed: list[str] = []


class Bulletin(Connector[BulletinSettings]):
    """One office's bulletin."""

    manifest = Manifest(
        name="bulletin",
        title="Bulletin",
        channels=("in_app",),
        streams=(
            Stream("messages", deletes="confirmed", overlap=OVERLAP, census="ids", needs=("messages.read",)),
            Stream(
                "people", deletes="confirmed", overlap=OVERLAP, census="ids", needs=("people.read",), carries="parties"
            ),
        ),
        auth=("oauth",),
        scopes=(
            Scope("messages.read", "reads the messages"),
            Scope("people.read", "knows who wrote them"),
            Scope("messages.write", "posts into the customer's thread", is_required=False),
        ),
        budgets=(Budget("minute", PER_MINUTE, MINUTE),),
        hosts=("bulletin.example",),
        pushes=("interaction",),
        can_undo=True,
        webhooks=True,
        docs="docs/connector-authors.md",
    )
    settings_model = BulletinSettings

    def http_profile(self) -> HttpProfile:
        s = self.settings
        token = OAuthRefresh("oauth", f"{s.base_url}token", s.client_id, "", s.refresh_token.get_secret_value())
        return HttpProfile(base_url=s.base_url, token=token, explain=self._explain)

    def _explain(self, response: Response) -> HubError | None:
        """Bulletin's own refusals; None leaves a status to its common meaning."""
        if response.status == 410:
            return CursorExpired("Bulletin no longer knows changes that old")
        if response.status == 429 and b"resets_at" in response.body:
            ends = msgspec.json.decode(response.body)["resets_at"] / 1000
            return RateLimited(
                "the day's calls are used up", retry_after_s=ends - self.services.clock.now().timestamp()
            )
        return None

    # -- may we, and how much is it

    async def check(self) -> PermissionMatrix:
        account = await self.http.json("GET", "me")
        rows = [await self._reads(stream) for stream in self.manifest.streams]
        rows.append(await self._writes())
        return PermissionMatrix(account["name"], account["name"], tuple(rows))

    async def _reads(self, stream: Stream) -> Permission:
        try:
            await self.http.json("GET", stream.name, params={"limit": 1})
        except ScopeError as exc:
            return Permission(stream.name, "read", False, exc.message, stream.needs[0])
        return Permission(stream.name, "read", True, scope=stream.needs[0])

    async def _writes(self) -> Permission:
        try:
            await self.http.request("DELETE", "messages/none")
        except ScopeError as exc:
            return Permission("messages", "write", False, exc.message, "messages.write")
        except Gone:
            pass  # it is asked whether we may before it is asked what
        return Permission("messages", "write", True, scope="messages.write")

    async def estimate(self, stream: str, window: Window) -> Estimate:
        total = (await self.http.json("GET", stream, params={"limit": 1, **_bounds(window)}))["total"]
        calls = math.ceil(total / PER_PAGE) + 1
        return Estimate(total, calls, calls / PER_MINUTE * 60, is_exact=True)

    # -- in

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        cursor = self._read_cursor(pull.cursor)
        while cursor.began and not cursor.since:
            page, cursor = await self._backfill(pull, cursor)
            yield page
            if not cursor.began:
                return
        cursor = replace(cursor, began=cursor.began or self._now_ms())
        while cursor.began:
            page, cursor = await self._changes(pull, cursor)
            yield page

    def _read_cursor(self, text: str | None) -> Cursor:
        if text is None:
            return Cursor(began=self._now_ms())
        try:
            return msgspec.json.decode(text, type=Cursor)
        except msgspec.DecodeError as exc:
            raise CursorExpired("not a cursor of this connector") from exc

    async def _backfill(self, pull: Pull, cursor: Cursor) -> tuple[Page, Cursor]:
        """Newest first. What changes meanwhile is read afterwards: changes are asked for from `began` on."""
        params = {"limit": PER_PAGE, "before": cursor.before, **_bounds(pull.window)}
        answer = await self.http.json("GET", pull.stream, params=params)
        then = replace(cursor, before=answer["next"]) if answer["next"] else Cursor(since=cursor.began)
        records = [_record(item) for item in answer["items"]]
        return Page(records, then.text(), is_full=True, is_last=not answer["next"], total=answer["total"]), then

    async def _changes(self, pull: Pull, cursor: Cursor) -> tuple[Page, Cursor]:
        """From some minutes before the last time on, because Bulletin shows some changes late; >=, never >."""
        start = cursor.since - int(OVERLAP.total_seconds() * 1000)
        params = {"limit": PER_PAGE, "from": start, "after": cursor.after}
        answer = await self.http.json("GET", f"{pull.stream}/changes", params=params)
        then = replace(cursor, after=answer["next"]) if answer["next"] else Cursor(since=cursor.began)
        records = [_record(item) for item in answer["items"] if _is_in(item, pull.window)]
        return Page(records, then.text()), then

    async def fetch(self, stream: str, external_ids: Sequence[str]) -> list[RawRecord]:
        answer = await self.http.json("POST", f"{stream}/get", json={"ids": list(external_ids)}, safe=True)
        return [_record(item) for item in answer["items"]]

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        try:
            item = msgspec.json.decode(raw.body, type=Item)
        except msgspec.DecodeError as exc:
            raise RecordRejected(f"not an item: {exc}", "bulletin", stream, raw.external_id) from exc
        if item.deleted:
            yield Tombstone(external_id=item.id, changed_at=_instant(item.changed))
            return
        yield _person(item) if stream == "people" else _interaction(item)
        for absorbed in item.absorbed:
            yield Redirect(external_id=absorbed, into=item.id)

    async def census(self, stream: str, period: Window) -> Census:
        answer = await self.http.json("GET", f"{stream}/ids", params=_bounds(period))
        return Census(stream, period, frozenset(answer["ids"]))

    # -- out

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One message per change. Looked up by our key first: sending the same twice has the effect of once."""
        known = {f.key: f.remote_id for f in await self.find("interaction", [c.key for c in changes])}
        return [await self._push(c, known.get(c.key, "")) for c in changes]

    async def _push(self, change: Change, remote_id: str) -> Receipt:
        try:
            if change.op == "delete":
                return await self._remove(change.key, remote_id)
            wanted = _outgoing(change)
            if not remote_id:
                made = await self.http.json("POST", "messages", json={**wanted, "key": change.key})
                return Receipt(key=change.key, outcome="created", remote_id=made["id"])
            current = await self.http.json("GET", f"messages/{remote_id}")
            before = {name: current[name] for name in wanted}
            if before == wanted:
                return Receipt(key=change.key, outcome="unchanged", remote_id=remote_id)
            await self.http.json("PUT", f"messages/{remote_id}", json=wanted)
        except RecordRejected as exc:
            return Receipt(key=change.key, outcome="failed", remote_id=remote_id, error=exc.message)
        return Receipt(key=change.key, outcome="updated", remote_id=remote_id, before=before)

    async def _remove(self, key: str, remote_id: str) -> Receipt:
        try:
            await self.http.request("DELETE", f"messages/{remote_id or 'none'}")
        except Gone:
            return Receipt(key=key, outcome="unchanged", remote_id=remote_id)
        return Receipt(key=key, outcome="deleted", remote_id=remote_id)

    async def find(self, kind: str, keys: Sequence[str]) -> list[Found]:
        answer = await self.http.json("POST", "messages/keys", json={"keys": list(keys)}, safe=True)
        return [Found(key=row["key"], remote_id=row["id"]) for row in answer["items"]]

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        receipts = []
        for entry in entries:
            made = entry.receipt
            if made.outcome == "created":
                receipts.append(await self._remove(made.key, made.remote_id))
            elif made.before is not None:
                await self.http.json("PUT", f"messages/{made.remote_id}", json=made.before)
                receipts.append(Receipt(key=made.key, outcome="updated", remote_id=made.remote_id))
            else:
                receipts.append(Receipt(key=made.key, outcome="unchanged", remote_id=made.remote_id))
        return receipts

    # -- the doorbell

    def verify_webhook(self, request: WebhookRequest) -> None:
        secret = self.settings.webhook_secret.get_secret_value()
        at = request.headers.get("bulletin-time", "")
        if not secret or not at.isascii() or not at.isdecimal() or len(at) > 12:
            raise WebhookRejected("unsigned, or no webhook_secret is set")
        signed = hmac.new(secret.encode(), at.encode() + b"." + request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signed.encode(), request.headers.get("bulletin-signature", "").encode()):
            raise WebhookRejected("the signature does not match")
        if abs(self.services.clock.now().timestamp() - int(at)) > REPLAY_S:
            raise WebhookRejected("signed too long ago")

    def parse_webhook(self, request: WebhookRequest) -> Iterator[Notice]:
        event = msgspec.json.decode(request.body)
        yield Notice(event["stream"], event["item"], dedup_id=event["event"])

    def _now_ms(self) -> int:
        return int(self.services.clock.now().timestamp() * 1000)


def _record(item: dict[str, Any]) -> RawRecord:
    return RawRecord(item["id"], msgspec.json.encode(item), str(item.get("changed", "")))


def _bounds(window: Window) -> dict[str, int]:
    named = {"since": window.since, "until": window.until}
    return {name: math.ceil(at.timestamp() * 1000) for name, at in named.items() if at is not None}


def _is_in(item: dict[str, Any], window: Window) -> bool:
    """Deletions are always wanted, messages when they were sent in the window, people always."""
    at = item.get("at")
    if not at:
        return True
    moment = _instant(at)
    return not ((window.since and moment < window.since) or (window.until and moment >= window.until))


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _interaction(item: Item) -> Interaction:
    people = [Participation(identifier=Identifier("email", item.sender), role="from")]
    people += [Participation(identifier=Identifier("email", address), role="to") for address in item.to]
    return Interaction(
        external_id=item.id,
        kind="message",
        channel="in_app",
        occurred_at=_instant(item.at),
        participants=tuple(people),
        subject=item.subject,
        text=item.text,
        labels=tuple(item.labels),
        # What we wrote names itself: the hub sees an echo where a stranger would see a new message.
        dedup_keys=(f"hub-key:{item.key}",) if item.key else (),
    )


def _person(item: Item) -> Person:
    own = Identifier("bulletin:people", item.id)
    identifiers = (own, *(Identifier("email", address) for address in item.emails))
    return Person(external_id=item.id, identifiers=identifiers, name=item.name, changed_at=_instant(item.changed))


def _outgoing(change: Change) -> dict[str, Any]:
    if not isinstance(change.entity, Interaction):
        raise RecordRejected("only interactions can be posted")
    to = [p.identifier.value for p in change.entity.participants if p.role == "to"]
    return {"subject": change.entity.subject, "text": change.entity.text, "to": to}


@hookimpl
def hub_connectors() -> list[type[Connector[Any]]]:
    return [Bulletin]


@hookimpl
def hub_emulators() -> dict[str, str]:
    return {"bulletin": "hub_bulletin.emulator:BulletinEmulator"}
