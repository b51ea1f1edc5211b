"""Connectors that break one promise each, the way real ones do; everything else is the worked example as it is."""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from hub_bulletin import PER_PAGE, Bulletin, BulletinSettings, Cursor, Item
from msgspec.structs import replace as altered

from hub.api import (
    Budget,
    Census,
    Change,
    ContractBroken,
    Entity,
    Estimate,
    HttpProfile,
    HubError,
    Interaction,
    Notice,
    OAuthRefresh,
    Page,
    Permission,
    Pull,
    RateLimited,
    RawRecord,
    Receipt,
    RecordRejected,
    Redirect,
    Response,
    Services,
    Stream,
    WebhookRejected,
    WebhookRequest,
    Window,
)  # fmt: skip

log = logging.getLogger("hub_bulletin")


class TrustingCheck(Bulletin):
    """Grants whatever it was asked for, without asking."""

    async def _reads(self, stream: Stream) -> Permission:
        return Permission(stream.name, "read", True, scope=stream.needs[0])


class HurriedBackfill(Bulletin):
    """Fetches one page ahead from the second page on, and hands out the cursor of the page it has fetched."""

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        ready: list[Page] = []
        async for page in super().pull(pull):
            ready.append(page)
            if len(ready) == 2:
                is_first = pull.cursor is None and ready[0].is_full and not is_past_first(ready[0])
                yield ready[0] if is_first else replace(ready[0], cursor=page.cursor)
                del ready[0]
        for page in ready:
            yield page


def is_past_first(page: Page) -> bool:
    return page.total is not None and len(page.records) < PER_PAGE


class OldestFirst(Bulletin):
    """Begins at the wrong end of every page of history."""

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        if pull.cursor is not None:
            async for page in super().pull(pull):
                yield page
            return
        pages = [page async for page in super().pull(pull)]
        records = [page.records for page in reversed(pages)]
        for page, part in zip(pages, records, strict=True):
            yield replace(page, records=part)


class BlindEstimate(Bulletin):
    """Says a number because it must say one."""

    async def estimate(self, stream: str, window: Window) -> Estimate:
        return Estimate(0, 0, 0.0)


class StrictlyAfter(Bulletin):
    """Asks for changes after the last time, with > and without overlap."""

    async def _changes(self, pull: Pull, cursor: Cursor) -> tuple[Page, Cursor]:
        params = {"from": cursor.since + 1, "after": cursor.after}
        answer = await self.http.json("GET", f"{pull.stream}/changes", params=params)
        then = altered(cursor, after=answer["next"]) if answer["next"] else Cursor(since=cursor.began)
        records = [RawRecord(item["id"], msgspec.json.encode(item)) for item in answer["items"]]
        return Page(records, then.text()), then


class DeafToDeletions(Bulletin):
    """Takes the tombstones in the change feed for noise."""

    async def _changes(self, pull: Pull, cursor: Cursor) -> tuple[Page, Cursor]:
        page, then = await super()._changes(pull, cursor)
        return replace(page, records=[r for r in page.records if b'"deleted":true' not in r.body]), then


class EmptyHanded(Bulletin):
    """Takes an answer it cannot read for an empty one."""

    async def _changes(self, pull: Pull, cursor: Cursor) -> tuple[Page, Cursor]:
        try:
            return await super()._changes(pull, cursor)
        except ContractBroken:
            then = Cursor(since=cursor.began)
            return Page([], then.text()), then


class ForgetsMerges(Bulletin):
    """Does not say where a merged record went."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        for entity in super().to_canonical(stream, raw):
            if not isinstance(entity, Redirect):
                yield entity


class SendsAgain(Bulletin):
    """Calls creating a message safe to repeat, and it is not."""

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        request = self.http.request

        async def careless(method: str, path: str, **more: Any) -> Response:
            return await request(method, path, **{**more, "safe": True})

        self.http.request = careless  # type: ignore[method-assign]
        try:
            return await super().push(changes)
        finally:
            self.http.request = request  # type: ignore[method-assign]


class ForgetsItsKey(Bulletin):
    """Does not tell its own messages from those of others."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        for entity in super().to_canonical(stream, raw):
            yield altered(entity, dedup_keys=()) if isinstance(entity, Interaction) else entity


class AlwaysWrites(Bulletin):
    """Writes what is there already, every time."""

    async def _push(self, change: Change, remote_id: str) -> Receipt:
        receipt = await super()._push(change, remote_id)
        if receipt.outcome != "unchanged" or not isinstance(change.entity, Interaction):
            return receipt
        await self.http.json("PUT", f"messages/{remote_id}", json={"subject": change.entity.subject})
        return altered(receipt, outcome="updated")


class NoReplayWindow(Bulletin):
    """Checks the signature and not its time."""

    def verify_webhook(self, request: WebhookRequest) -> None:
        try:
            super().verify_webhook(request)
        except WebhookRejected as exc:
            if "too long ago" not in exc.message:
                raise


class UnsignedIsFine(Bulletin):
    """Checks a signature only where there is one."""

    def verify_webhook(self, request: WebhookRequest) -> None:
        if "bulletin-signature" in request.headers:
            super().verify_webhook(request)


class ForgetfulBell(Bulletin):
    """Gives the same call another name each time it comes."""

    calls = 0

    def parse_webhook(self, request: WebhookRequest) -> Iterator[Notice]:
        for notice in super().parse_webhook(request):
            self.calls += 1
            yield replace(notice, dedup_id=f"{notice.dedup_id}-{self.calls}")


class CensusFromTheFeed(Bulletin):
    """Counts with the very feed the count is to check."""

    async def census(self, stream: str, period: Window) -> Census:
        held: dict[str, RawRecord] = {}
        async for page in self.pull(Pull(stream, Cursor(since=1).text(), period)):
            held |= {r.external_id: r for r in page.records}
        return Census(stream, period, frozenset(held))


class DeafToRetryAfter(Bulletin):
    """Asks again at once."""

    def _explain(self, response: Response) -> HubError | None:
        error = super()._explain(response)
        return RateLimited("busy", retry_after_s=0.0) if response.status == 429 and error is None else error


class Spendthrift(Bulletin):
    """States a budget the vendor does not grant."""

    def budgets(self) -> tuple[Budget, ...]:
        return tuple(replace(budget, units_per_window=500) for budget in super().budgets())


class DropsTheOddOne(Bulletin):
    """Passes over what it cannot read, without a word."""

    async def pull(self, pull: Pull) -> AsyncIterator[Page]:
        async for page in super().pull(pull):
            yield replace(page, records=[r for r in page.records if _is_readable(r)])


class FallsOverTheOddOne(Bulletin):
    """Lets a stranger's exception out of the mapping."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        msgspec.json.decode(raw.body, type=Item)
        return super().to_canonical(stream, raw)


def _is_readable(record: RawRecord) -> bool:
    try:
        msgspec.json.decode(record.body, type=Item)
    except msgspec.DecodeError:
        return False
    return True


class LosesLabels(Bulletin):
    """Drops the mark by which a policy could tell what is private."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        for entity in super().to_canonical(stream, raw):
            yield altered(entity, labels=()) if isinstance(entity, Interaction) else entity


class Talkative(Bulletin):
    """Writes subjects into its log."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        for entity in super().to_canonical(stream, raw):
            log.debug("read %s", getattr(entity, "subject", ""))
            yield entity


class TellsInErrors(Bulletin):
    """Quotes what it could not read."""

    def to_canonical(self, stream: str, raw: RawRecord) -> Iterator[Entity]:
        try:
            yield from super().to_canonical(stream, raw)
        except RecordRejected as exc:
            raise RecordRejected(f"{exc.message}: {raw.body!r}") from exc


class OpenSettings(BulletinSettings):
    def __repr__(self) -> str:
        return f"{self.base_url} {self.refresh_token.get_secret_value()}"


class ShowsItsSecret(Bulletin):
    """Keeps a secret where everybody can read it."""

    settings_model = OpenSettings


class HastyToken(OAuthRefresh):
    """Refreshes without asking whether somebody else is at it."""

    async def _fresh(self, services: Services, client: Any, unlike: str | None) -> str:
        stored = services.tokens.get(self.name) or {}
        if good := self._usable(stored, services, unlike):
            return good
        answer = await self._trade(self._form(stored, services), client)
        expires = services.clock.now().timestamp() + 3600
        services.tokens.put(self.name, {"access_token": answer["access_token"], "expires_at": expires})
        return str(answer["access_token"])


class EveryoneRefreshes(Bulletin):
    """Fifty calls, fifty refreshes."""

    def http_profile(self) -> HttpProfile:
        s = self.settings
        token = HastyToken("oauth", f"{s.base_url}token", s.client_id, "", s.refresh_token.get_secret_value())
        return replace(super().http_profile(), token=token)


BROKEN: dict[type[Bulletin], str] = {
    TrustingCheck: "W1",
    HurriedBackfill: "W2",
    OldestFirst: "W2",
    BlindEstimate: "W2",
    StrictlyAfter: "W3",
    DeafToDeletions: "W4",
    EmptyHanded: "W4",
    ForgetsMerges: "W5",
    SendsAgain: "W6",
    ForgetsItsKey: "W7",
    AlwaysWrites: "W7",
    NoReplayWindow: "W8",
    UnsignedIsFine: "W8",
    ForgetfulBell: "W8",
    CensusFromTheFeed: "W9",
    DeafToRetryAfter: "W10",
    Spendthrift: "W10",
    DropsTheOddOne: "W11",
    FallsOverTheOddOne: "W11",
    LosesLabels: "W12",
    Talkative: "W12",
    TellsInErrors: "W12",
    ShowsItsSecret: "W12",
    EveryoneRefreshes: "W13",
}
