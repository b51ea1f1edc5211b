"""Members of the audiences: read by the time of their last change, found again by it, counted another way.

An audience is walked oldest change first. A member changed meanwhile moves to the end of that order and is met again
there, so nothing is lost; but everything behind its old place moves up by one, so places are never counted by offset
unless more members than a page holds share one second. Whether Mailchimp's bounds are inclusive is not documented, and
neither is whether a list without a `status` names archived members: we ask a second earlier, and for the archived apart.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from hub.api import Census, CursorExpired, Estimate, Gone, Page, Pull, RawRecord, Transient, Window
from hub_mailchimp.client import Client, Row, fields, named_by, text

OVERLAP = timedelta(minutes=10)
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
_SECOND = timedelta(seconds=1)
_TRIES = 5
# Links dominate the answers; rates and notes change without the member having changed.
_LEFT_OUT = ("_links", "stats", "last_note", "member_rating")
_LISTED = fields("_links", *(f"members.{name}" for name in _LEFT_OUT))


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """since: changes up to here are read, "" during the backfill. known: audiences read from their beginning.

    began: when this round began. todo: walks left of it, as "audience/status". at, offset, after: where the first of
    them stands: from this last change on, so many rows later, behind this contact.
    """

    since: str = ""
    known: list[str] = []
    began: str = ""
    todo: list[str] = []
    at: str = ""
    offset: int = 0
    after: str = ""

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Members:
    """Reads one account's members."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.page_size = client.settings.page_size

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        """One round through all audiences. People are always wanted, whatever the window."""
        cursor, known = _cursor(pull.cursor), await self.client.audience_ids()
        if not cursor.began:
            todo = [f"{audience}/{status}" for audience in known for status in ("", "archived")]
            cursor = replace(cursor, began=_iso(self.client.clock.now()), todo=todo)
        if not cursor.todo:
            yield Page((), _done(cursor, known).text(), is_full=not cursor.since, is_last=not cursor.since)
            return
        while cursor.todo:
            is_full = not cursor.since
            records, cursor = await self._step(cursor)
            is_last = not cursor.todo
            if is_last:
                cursor = _done(cursor, known)
            yield Page(records, cursor.text(), is_full=is_full, is_last=is_full and is_last)

    async def _step(self, cursor: Cursor) -> tuple[list[RawRecord], Cursor]:
        """One page of the walk in hand."""
        audience, _, status = cursor.todo[0].partition("/")
        start = cursor.at
        if not start and cursor.since and audience in cursor.known:
            start = _iso(_instant(cursor.since) - OVERLAP)
        try:
            rows, offset, total = await self._page(audience, status, start, cursor)
        except Gone:  # the audience was deleted while we read
            rows, offset, total = [], 0, 0
        records = [record(audience, await self._whole(audience, row)) for row in rows]
        end = offset + len(rows)
        if not rows or end >= total:
            return records, replace(cursor, todo=cursor.todo[1:], at="", offset=0, after="")
        last = max((at for row in rows if (at := _changed(row))), default=None)
        edge = _iso(last - _SECOND) if last else ""
        if edge and (not start or edge > start):
            return records, replace(cursor, at=edge, offset=0, after="")
        return records, replace(cursor, at=start, offset=end, after=_id(rows[-1]))

    async def _page(self, audience: str, status: str, start: str, cursor: Cursor) -> tuple[list[Row], int, int]:
        """(rows, the offset they begin at, how many there are).

        Behind a given contact the page begins with that contact: when it does not, rows have moved up, and the members
        of this second are read from their beginning again.
        """
        params = {"sort_field": "last_changed", "sort_dir": "ASC", "exclude_fields": _LISTED, "count": self.page_size}
        params |= {k: v for k, v in (("status", status), ("since_last_changed", start)) if v}
        offset, after = cursor.offset, cursor.after
        for _ in range(_TRIES):
            shift = 1 if after else 0
            path = f"lists/{audience}/members"
            rows, total = await self.client.rows(path, "members", offset=offset - shift, **params)
            if not after:
                return rows, offset, total
            if rows and _id(rows[0]) == after:
                return rows[1:], offset, total
            offset, after = 0, ""
        raise Transient("the audience changes faster than it can be read")

    async def fetch(self, external_ids: Sequence[str]) -> list[RawRecord]:
        try:
            async with asyncio.TaskGroup() as together:  # `gather` would leave the others running when one fails
                found = [together.create_task(self._one(i)) for i in external_ids]
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return [r for task in found if (r := task.result()) is not None]

    async def _one(self, external_id: str) -> RawRecord | None:
        audience, _, contact = external_id.partition("/")
        try:
            row = await self.client.get(f"lists/{audience}/members/{contact}", exclude_fields=fields(*_LEFT_OUT))
        except Gone:
            return None
        row = await self._whole(audience, row)
        return RawRecord(external_id, msgspec.json.encode(row), text(row, "last_changed"))

    async def _whole(self, audience: str, row: Any) -> Any:
        """The row with all its tags: a member shows fifty at most."""
        if not isinstance(row, dict):
            return row
        count, shown = row.get("tags_count"), row.get("tags")
        if not isinstance(count, int) or not isinstance(shown, list) or count <= len(shown):
            return row
        tags: list[Row] = []
        path = f"lists/{audience}/members/{row.get('id')}/tags"
        async for part in self.client.all_rows(path, "tags", exclude_fields="_links"):
            tags += [{"id": t.get("id"), "name": t.get("name")} for t in part]
        return {**row, "tags": tags}

    async def estimate(self) -> Estimate:
        """By the audiences' own statistics, which Mailchimp keeps for some minutes."""
        audiences = await self.client.audiences()
        total = sum(int((row.get("stats") or {}).get("total_contacts") or 0) for row in audiences)
        calls = 1 + 2 * len(audiences) + total // self.page_size
        return Estimate(total, calls, calls * 1.0)

    async def census(self, period: Window) -> Census:
        """Every contact by its status and time of joining: neither the change feed's filter nor its order.

        The period is that of joining; who has no such time belongs to the beginning.
        """
        named = fields("total_items", "members.contact_id", "members.id", "members.timestamp_signup",
                       "members.timestamp_opt")  # fmt: skip
        found: set[str] = set()
        for audience in await self.client.audience_ids():
            for status in STATUSES:
                parts = self.client.all_rows(
                    f"lists/{audience}/members", "members", status=status, fields=named, sort_field="timestamp_signup"
                )
                async for part in parts:
                    found |= {f"{audience}/{_id(row)}" for row in part if _is_in(row, period)}
        return Census("members", period, frozenset(found))


def record(audience: str, row: Any) -> RawRecord:
    return RawRecord(
        f"{audience}/{_id(row)}", msgspec.json.encode(row), text(row, "last_changed") if isinstance(row, dict) else ""
    )


def _id(row: Any) -> str:
    """The contact's id, which outlives a change of address; older answers have only the hash of the address."""
    found = text(row, "contact_id") or text(row, "id") if isinstance(row, dict) else ""
    return found or named_by(row)


def _changed(row: Any) -> datetime | None:
    """When the member was last changed; None where that cannot be read, which mapping will say."""
    try:
        return datetime.fromisoformat(text(row, "last_changed")) if isinstance(row, dict) else None
    except ValueError:
        return None


def _is_in(row: Row, period: Window) -> bool:
    try:
        at = datetime.fromisoformat(text(row, "timestamp_signup") or text(row, "timestamp_opt"))
    except ValueError:  # "" as a rule: nobody knows when they joined
        return period.since is None
    return not ((period.since and at < period.since) or (period.until and at >= period.until))


def _cursor(given: str | None) -> Cursor:
    try:
        return msgspec.json.decode(given, type=Cursor) if given else Cursor()
    except msgspec.DecodeError as exc:
        raise CursorExpired("the stored place cannot be read") from exc


def _done(cursor: Cursor, known: list[str]) -> Cursor:
    return Cursor(since=cursor.began, known=known)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat()


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value)
