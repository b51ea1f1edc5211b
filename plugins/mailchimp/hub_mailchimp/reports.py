"""What recipients did with campaigns: sends, opens, clicks, bounces, unsubscribes, complaints.

All of it lives in the reports of campaigns, not with the members. Nothing has an id: an event is named by campaign,
recipient, action, second and address clicked, so several opens within one second are one.

A report keeps changing after the campaign was sent. Campaigns of the last `activity_days` are looked at in each round by
one list of totals, and only those whose totals have moved are read again, until nothing has moved for a while.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from hub.api import Census, CursorExpired, Estimate, Gone, Page, Pull, RawRecord, Window
from hub_mailchimp.client import Client, Row, fields, named_by, text

AUTOMATIONS = {"automation", "auto"}
SETTLING = timedelta(minutes=30)  # so long after its totals moved, a campaign is read in each round
_KEPT = ("id", "campaign_title", "subject_line", "list_id", "list_name", "send_time", "type")
_TOTALS = ("emails_sent", "abuse_reports", "unsubscribed", "bounces", "opens", "clicks")
_LISTED = fields("total_items", *(f"reports.{name}" for name in (*_KEPT, *_TOTALS)))


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """since: events up to here are read, "" during the backfill. began: when this round began.

    at, part, offset: the campaign in hand ("send time/id"), which of its lists, how many rows of that are read; behind
    its last list the campaign is done.
    seen: campaign -> (its totals, when they were first met), of recent campaigns.
    """

    since: str = ""
    began: str = ""
    at: str = ""
    part: int = 0
    offset: int = 0
    seen: dict[str, tuple[str, str]] = {}

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


Events = Callable[[Row], Iterator[tuple[str, Row, str]]]


@dataclass(frozen=True)
class Part:
    """One list of a report. events: row -> (the rest of the event's id, what is kept of it, its time)."""

    path: str
    key: str
    events: Events
    exclude: tuple[str, ...] = ()
    takes_since: bool = False


def _sends(row: Row) -> Iterator[tuple[str, Row, str]]:
    yield f"{_who(row)}/sent", row, ""


def _activity(row: Row) -> Iterator[tuple[str, Row, str]]:
    """A recipient's events; most recipients have none. One that cannot be read gets a name all the same."""
    rest = {k: v for k, v in row.items() if k != "activity"}
    events = row.get("activity") or []
    for event in events if isinstance(events, list) else [events]:
        known = event if isinstance(event, dict) else {}
        at, action = text(known, "timestamp"), text(known, "action") or named_by(event)
        link = hashlib.sha256(text(known, "url").encode()).hexdigest()[:10] if known.get("url") else ""
        yield f"{_who(row)}/{action}/{at}/{link}".rstrip("/"), {**rest, "event": event}, at


def _unsubscribes(row: Row) -> Iterator[tuple[str, Row, str]]:
    yield f"{_who(row)}/unsubscribe", row, text(row, "timestamp")


def _complaints(row: Row) -> Iterator[tuple[str, Row, str]]:
    yield f"{_who(row)}/abuse/{row.get('id')}", row, text(row, "date")


def _who(row: Row) -> str:
    return text(row, "email_id") or named_by(row)


# What changes after the fact is left out: counts of opens, and the delivery status, which comes as a bounce.
_NOISE = ("_links", "merge_fields", "open_count", "last_open", "status", "vip", "gmt_offset", "list_is_active")
PARTS: dict[str, tuple[Part, ...]] = {
    "sends": (Part("sent-to", "sent_to", _sends, _NOISE),),
    "activity": (Part("email-activity", "emails", _activity, ("_links", "list_is_active"), takes_since=True),),
    "unsubscribes": (
        Part("unsubscribed", "unsubscribes", _unsubscribes, ("_links", "merge_fields", "vip", "list_is_active")),
        Part("abuse-reports", "abuse_reports", _complaints, ("_links", "merge_fields", "vip", "list_is_active")),
    ),
}


class Reports:
    """Reads one of the three report streams."""

    def __init__(self, client: Client, stream: str) -> None:
        self.client = client
        self.stream = stream
        self.parts = PARTS[stream]
        self.page_size = client.settings.page_size
        self.recent = timedelta(days=client.settings.activity_days)

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        """One round, the newest campaign first. Events outside the window are left out."""
        cursor = _cursor(pull.cursor)
        if not cursor.began:
            cursor = replace(cursor, began=_iso(self.client.clock.now()))
        is_full = not cursor.since
        first = pull.window.since if is_full else _instant(cursor.began)
        work = [c for c in await self.campaigns(first and first - self.recent) if self._is_left(c, cursor)]
        if not work:
            yield Page((), self._done(cursor).text(), is_full=is_full, is_last=is_full)
        for n, campaign in enumerate(work):
            if _place(campaign) != cursor.at:
                cursor = replace(cursor, at=_place(campaign), part=0, offset=0)
            while cursor.part < len(self.parts):
                records, cursor = await self._step(campaign, cursor, pull.window)
                is_last = n == len(work) - 1 and cursor.part == len(self.parts)
                stored = self._done(cursor) if is_last else cursor
                yield Page(records, stored.text(), is_full=is_full, is_last=is_full and is_last)

    def _is_left(self, campaign: Row, cursor: Cursor) -> bool:
        """Whether a campaign is still to be read in this round."""
        if cursor.at:
            if _place(campaign) == cursor.at:
                return cursor.part < len(self.parts)
            if _place(campaign) > cursor.at:
                return False
        if not cursor.since:
            return True
        totals, since = cursor.seen.get(str(campaign["id"]), ("", ""))
        if totals != self._totals(campaign):
            return True
        return since != cursor.began and _instant(cursor.began) - _instant(since) <= SETTLING

    async def _step(self, campaign: Row, cursor: Cursor, window: Window) -> tuple[list[RawRecord], Cursor]:
        """One page of one list of one campaign."""
        part, params = self.parts[cursor.part], dict[str, Any]()
        before = cursor.seen.get(str(campaign["id"]))
        if part.takes_since and cursor.since and before:
            params["since"] = _iso(_instant(before[1]) - SETTLING)
        path = f"reports/{campaign['id']}/{part.path}"
        excluded = fields("_links", *(f"{part.key}.{name}" for name in part.exclude))
        try:
            rows, total = await self.client.rows(
                path, part.key, count=self.page_size, offset=cursor.offset, exclude_fields=excluded, **params
            )
        except Gone:  # the campaign was deleted while we read
            rows, total = [], 0
        records = [r for row in rows for r in self._records(campaign, part, row, window)]
        end = cursor.offset + len(rows)
        if rows and end < total:
            return records, replace(cursor, offset=end)
        seen = self._seen(campaign, cursor) if cursor.part + 1 == len(self.parts) else cursor.seen
        return records, replace(cursor, part=cursor.part + 1, offset=0, seen=seen)

    def _records(self, campaign: Row, part: Part, row: Any, window: Window) -> Iterator[RawRecord]:
        told = {name: campaign.get(name) for name in _KEPT}
        for name, event, at in part.events(row if isinstance(row, dict) else {"odd": row}):
            if _is_in(at or text(campaign, "send_time"), window):
                body = msgspec.json.encode({"campaign": told, "row": event})
                yield RawRecord(f"{campaign['id']}/{name}", body, at)

    # Which campaigns

    async def campaigns(self, first: datetime | None) -> list[Row]:
        """Reports of campaigns sent since `first`, the newest first.

        All are listed, few fields of each: a mail of an automation keeps its time while it goes on being sent.
        """
        found: list[Row] = []
        async for part in self.client.all_rows("reports", "reports", fields=_LISTED):
            found += part
        wanted = self.client.settings.audiences
        chosen = [c for c in found if not wanted or c.get("list_id") in wanted]
        return sorted((c for c in chosen if _is_since(c, first)), key=_place, reverse=True)

    def _totals(self, campaign: Row) -> str:
        """What of a report's totals tells that this stream has news."""
        names = {"sends": ("emails_sent",), "unsubscribes": ("unsubscribed", "abuse_reports")}
        told = [campaign.get(name) for name in names.get(self.stream, ("opens", "clicks", "bounces"))]
        return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:12]

    def _seen(self, campaign: Row, cursor: Cursor) -> dict[str, tuple[str, str]]:
        """`seen` with this campaign read, and without those that have become too old to be looked at."""
        if not _is_since(campaign, _instant(cursor.began) - self.recent):
            return cursor.seen
        totals = self._totals(campaign)
        before = cursor.seen.get(str(campaign["id"]))
        since = before[1] if before and before[0] == totals else cursor.began
        return {**cursor.seen, str(campaign["id"]): (totals, since)}

    def _done(self, cursor: Cursor) -> Cursor:
        oldest = _instant(cursor.began) - self.recent - SETTLING
        seen = {k: v for k, v in cursor.seen.items() if _instant(v[1]) >= oldest}
        return Cursor(since=cursor.began, seen=seen)

    # One by one, and counted

    async def fetch(self, external_ids: Sequence[str]) -> list[RawRecord]:
        """Each event asked for by its campaign and recipient."""
        found: dict[str, RawRecord] = {}
        campaigns: dict[str, Row | None] = {}
        for external_id in external_ids:
            campaign_id, who, what = (*external_id.split("/", 2), "", "")[:3]
            if campaign_id not in campaigns:
                campaigns[campaign_id] = await self._campaign(campaign_id)
            campaign = campaigns[campaign_id]
            part = self.parts[1] if what.startswith("abuse/") else self.parts[0]
            name = what.removeprefix("abuse/") if what.startswith("abuse/") else who
            path = f"reports/{campaign_id}/{part.path}/{name}"
            try:
                row = await self.client.get(path, exclude_fields=fields(*part.exclude)) if campaign else None
            except Gone:
                continue
            for r in self._records(campaign, part, row, Window()) if campaign and row else ():
                if r.external_id == external_id:
                    found[external_id] = r
        return [found[i] for i in dict.fromkeys(external_ids) if i in found]

    async def _campaign(self, campaign_id: str) -> Row | None:
        try:
            return await self.client.get(f"reports/{campaign_id}", fields=fields(*_KEPT))
        except Gone:
            return None

    async def estimate(self, window: Window) -> Estimate:
        """By the totals of the reports; several opens in one second are one record, so it is an upper bound."""
        campaigns = await self.campaigns(window.since)
        records = sum(self._count(c) for c in campaigns)
        rows = records if self.stream == "unsubscribes" else sum(_int(c.get("emails_sent")) for c in campaigns)
        calls = 1 + len(campaigns) * len(self.parts) + rows // self.page_size
        return Estimate(records, calls, calls * 1.0)

    def _count(self, c: Row) -> int:
        if self.stream == "sends":
            return _int(c.get("emails_sent"))
        if self.stream == "unsubscribes":
            return _int(c.get("unsubscribed")) + _int(c.get("abuse_reports"))
        opens, clicks, bounces = (c.get(n) or {} for n in ("opens", "clicks", "bounces"))
        return sum(map(_int, (opens.get("opens_total"), clicks.get("clicks_total"), bounces.get("hard_bounces"),
                              bounces.get("soft_bounces"))))  # fmt: skip

    async def census(self, period: Window) -> Census | None:
        """Sends counted by the activity list, which has a row for every recipient; the rest has no second list."""
        if self.stream != "sends":
            return None
        found: set[str] = set()
        for campaign in await self.campaigns(None):
            if not _is_in(text(campaign, "send_time"), period):
                continue
            path, named = f"reports/{campaign['id']}/email-activity", fields("total_items", "emails.email_id")
            async for part in self.client.all_rows(path, "emails", fields=named):
                found |= {f"{campaign['id']}/{_who(row)}/sent" for row in part}
        return Census("sends", period, frozenset(found))


def _place(campaign: Row) -> str:
    at = text(campaign, "send_time")
    return f"{_iso(_instant(at)) if at else ''}/{campaign['id']}"


def _is_since(campaign: Row, first: datetime | None) -> bool:
    return text(campaign, "type") in AUTOMATIONS or _is_in(text(campaign, "send_time"), Window(since=first))


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _is_in(at: str, window: Window) -> bool:
    """Whether a time lies in the window. One that cannot be read stays in: mapping will say so."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return True
    return not ((window.since and moment < window.since) or (window.until and moment >= window.until))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat()


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _cursor(given: str | None) -> Cursor:
    try:
        return msgspec.json.decode(given, type=Cursor) if given else Cursor()
    except msgspec.DecodeError as exc:
        raise CursorExpired("the stored place cannot be read") from exc
