"""Reading a portal: everything once by the list, then what changed by search, then what search never shows.

A stream's cursor walks through phases, one request (or little more) a page:

    list -> bin -> at rest                                   the first time: all objects, then the recycle bin
    changes -> at rest                                       every time after: one search when nothing is new
    changes -> bin -> merged -> links -> at rest             now and then (`sweep_minutes`)

- changes: last modified in [since - lookback, start of the run], by id ascending and `id > last`. Never an offset,
  so the 10,000-row cap of search is never met, and rows changed meanwhile move into the next run's window. After
  a large change a search for one row tells first whether anything came since (`_is_quiet`).
- bin: archived objects, which search never returns. merged: survivors of merges, read a second time over a
  longer window. links: associations of recent objects, since linking does not make a record "changed".
"""

import logging
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

import msgspec

from hub.api import Clock, ContractBroken, CursorExpired, Page, Pull, RawRecord, ScopeError, Window
from hub_hubspot.client import LINK_READ_LIMIT, SEARCH_LIMIT, Client, Paging, Row, Rows, by_number
from hub_hubspot.fields import properties_of
from hub_hubspot.objects import MERGED, ObjectType
from hub_hubspot.settings import HubSpotSettings
from hub_hubspot.texts import instant

log = logging.getLogger("hub.hubspot")

MERGE_OVERLAP_MS = 24 * 3_600_000
BIN_PAGE_S = 30.0  # a large recycle bin is walked less often: at most one of its pages per half minute
DAY_MS = 86_400_000


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a stream stands. Times are epoch ms.

    phase: "" at rest. began: start of this run. since: changes up to here are read (0: backfill not finished).
    after: list mark. last: highest id of this phase. swept: start of the last sweep; bin_pages: its size.
    tail, newest: how many of the rows read were changed within the lookback before `since`, and when the newest was.
    """

    phase: str = ""
    began: int = 0
    since: int = 0
    after: str = ""
    last: int = 0
    swept: int = 0
    bin_pages: int = 0
    tail: int = 0
    newest: int = 0

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


class _Body(msgspec.Struct):
    object: msgspec.Raw
    associations: msgspec.Raw = msgspec.Raw(b"{}")


class _Times(msgspec.Struct):
    lastmodifieddate: str | None = None
    hs_lastmodifieddate: str | None = None
    hs_timestamp: str | None = None


class _Inline(msgspec.Struct):
    results: list[dict[str, msgspec.Raw]] = []
    paging: Paging | None = None


Links = dict[str, list[str]]
Step = tuple[Page, Cursor]
_decode_id = msgspec.json.Decoder(str | int)
_decode_times = msgspec.json.Decoder(_Times)
_decode_text = msgspec.json.Decoder(str | None)


class Reader:
    """One stream of one portal."""

    def __init__(self, client: Client, settings: HubSpotSettings, clock: Clock, kind: ObjectType) -> None:
        self.client = client
        self.settings = settings
        self.clock = clock
        self.kind = kind
        # Always all of them by name: a property left out of an answer would look as if somebody had emptied it.
        named = (*kind.properties, *properties_of(kind.name, settings), settings.key_property)
        self.properties = tuple(dict.fromkeys(named))
        self._targets = list(kind.links)
        self._lists_links = bool(kind.links)
        self._lookback_ms = settings.lookback_minutes * 60_000

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        """Pages until the stream is at rest; every page's cursor resumes exactly behind it."""
        cursor = start(pull.cursor, now_ms(self.clock), backfill="list", again="changes")
        steps = {
            "list": self._list,
            "bin": self._bin,
            "changes": self._changes,
            "merged": self._merged,
            "links": self._links,
        }
        if cursor.phase == "changes" and not cursor.last and await self._is_quiet(cursor):
            yield Page([], msgspec.structs.replace(cursor, phase="", began=0).encode(), total=0)
            return
        while cursor.phase:
            step = steps.get(cursor.phase)
            if step is None:
                raise CursorExpired(f"the stored cursor names an unknown phase {cursor.phase!r}")
            page, cursor = await step(cursor, pull)
            yield page

    # Phases

    async def _list(self, cursor: Cursor, pull: Pull) -> Step:
        rows, linked = await self._list_page(cursor)
        ids = [row_id(r) for r in rows.results]
        if wrapped(cursor, rows.after, ids):
            await self._confirm_end(cursor)
            then = msgspec.structs.replace(cursor, phase="bin", after="", last=0)
            return Page([], then.encode(), is_full=True), then
        kept = [(i, row) for i, row in zip(ids, rows.results, strict=True) if self._in_window(row, pull.window)]
        links = linked if linked is not None else await self.links_of([i for i, _ in kept])
        records = [record(i, row, links.get(i, {})) for i, row in kept]
        cursor = self._count_tail(cursor, rows)
        if rows.after:
            then = msgspec.structs.replace(cursor, after=rows.after, last=highest(ids, cursor.last))
        else:
            then = msgspec.structs.replace(cursor, phase="bin", after="", last=0)
        return Page(records, then.encode(), is_full=True), then

    async def _bin(self, cursor: Cursor, pull: Pull) -> Step:
        is_backfill = not cursor.since
        rows = await self.client.page(
            self.kind.name, after=cursor.after, archived=True, properties=[self.settings.key_property]
        )
        ids = [row_id(r) for r in rows.results]
        is_over = wrapped(cursor, rows.after, ids)
        if is_over and highest(ids, 0) == cursor.last:
            raise ContractBroken(f"the list of archived {self.kind.name} repeats its page after {cursor.after}")
        floor = 0 if is_backfill else cursor.swept - self._lookback_ms
        records = [
            record(i, row, {})
            for i, row in zip(ids, rows.results, strict=True)
            if not is_over and archived_ms(row) >= floor
        ]
        pages = cursor.bin_pages + 1 if cursor.after else 1
        if rows.after and not is_over:
            then = msgspec.structs.replace(cursor, after=rows.after, last=highest(ids, cursor.last), bin_pages=pages)
            return Page(records, then.encode(), is_full=is_backfill), then
        if is_backfill:
            then = rest(msgspec.structs.replace(cursor, since=cursor.began, bin_pages=pages))
        else:
            phase = "merged" if self.kind.is_mergeable else self._after_merged()
            then = msgspec.structs.replace(cursor, phase=phase, after="", last=0, bin_pages=pages)
            then = then if phase else rest(then)
        return Page(records, then.encode(), is_full=is_backfill, is_last=is_backfill), then

    async def _changes(self, cursor: Cursor, pull: Pull) -> Step:
        low = cursor.since - self._lookback_ms
        rows, records, last = await self._search(cursor, pull, [
            (self.kind.modified, "GTE", str(max(low, 0))), (self.kind.modified, "LTE", str(cursor.began)),
        ])  # fmt: skip
        counted = self._count_tail(cursor if cursor.last else msgspec.structs.replace(cursor, tail=0, newest=0), rows)
        if last:
            then = msgspec.structs.replace(counted, last=last)
        elif self._is_sweep_due(cursor):
            then = msgspec.structs.replace(counted, phase="bin", since=cursor.began, last=0)
        else:
            then = msgspec.structs.replace(counted, phase="", since=cursor.began, began=0, last=0)
        return Page(records, then.encode(), total=rows.total), then

    async def _merged(self, cursor: Cursor, pull: Pull) -> Step:
        low = max(cursor.swept - MERGE_OVERLAP_MS, 0)
        _, records, last = await self._search(cursor, pull, [
            (MERGED, "HAS_PROPERTY", ""), (self.kind.modified, "GTE", str(low)),
        ])  # fmt: skip
        then = msgspec.structs.replace(cursor, last=last, phase="merged" if last else self._after_merged())
        then = then if then.phase else rest(then)
        return Page(records, then.encode()), then

    async def _links(self, cursor: Cursor, pull: Pull) -> Step:
        """Up to 1,000 recent objects: their associations now, set beside those stored."""
        low = cursor.began - self.settings.link_days * DAY_MS
        ids: list[str] = []
        last = cursor.last
        while len(ids) < LINK_READ_LIMIT:
            rows = await self._rows(last, [(self.kind.modified, "GTE", str(low))], ["hs_object_id"])
            found = [row_id(r) for r in rows.results]
            last = highest(found, last)
            ids += found
            if not rows.after:
                last = 0
                break
        held = pull.held(ids)
        links = await self.links_of(ids)
        records = [r for i in ids if i in held and (r := relinked(i, held[i], links[i])) is not None]
        if unknown := [i for i in ids if i not in held]:
            given = await self.client.read_rows(self.kind.name, unknown, self.properties)
            records += [
                record(i, row, links[i]) for row in given
                if self._in_window(row, pull.window) and (i := row_id(row)) in links
            ]  # fmt: skip
        then = msgspec.structs.replace(cursor, last=last) if last else rest(cursor)
        return Page(records, then.encode()), then

    # Parts

    async def _list_page(self, cursor: Cursor) -> tuple[Rows, dict[str, Links] | None]:
        """A page of the list with its associations, or None for those where they must be read apart."""
        if self._lists_links:
            try:
                rows = await self.client.page(
                    self.kind.name, after=cursor.after, properties=self.properties, links=self._targets
                )
            except ScopeError:
                # One of the linked types may be out of bounds; without them the page may come.
                self._lists_links = False
            else:
                return rows, await self._take_links(rows)
        rows = await self.client.page(self.kind.name, after=cursor.after, properties=self.properties)
        return rows, None

    async def _take_links(self, rows: Rows) -> dict[str, Links]:
        """The inline associations, taken out of the rows; those with more than one page are read in full."""
        found: dict[str, Links] = {}
        long: dict[str, list[str]] = {}
        for row in rows.results:
            own = row_id(row)
            given = row.pop("associations", None)
            inline = msgspec.json.decode(given, type=dict[str, _Inline]) if given else {}
            links: Links = {target: [] for target in self._targets}
            for target, part in inline.items():
                if target in links:
                    ids = {str(_decode_id.decode(r["id"])) for r in part.results}
                    links[target] = sorted(ids, key=by_number)
                    if part.paging is not None:
                        long.setdefault(target, []).append(own)
            found[own] = links
        for target, ids_ in long.items():
            for own, targets in (await self.client.links(self.kind.name, target, ids_)).items():
                found[own][target] = targets
        return found

    async def links_of(self, ids: Sequence[str]) -> dict[str, Links]:
        """Associations of each id. A linked type we may not read is left out, which the body shows."""
        found: dict[str, Links] = {i: {} for i in ids}
        if not ids:
            return found
        for target in list(self._targets):
            try:
                linked = await self.client.links(self.kind.name, target, ids)
            except ScopeError as exc:
                log.warning("associations of %s to %s are left out: %s", self.kind.name, target, exc.message)
                self._targets.remove(target)
                continue
            for own in found:
                found[own][target] = linked.get(own, [])
        return found

    async def _rows(self, last: int, filters: Iterable[tuple[str, str, str]], properties: Sequence[str]) -> Rows:
        """One page of a search with ids above `last`. Raises ContractBroken when it goes backwards."""
        above = ("hs_object_id", "GT", str(last))
        rows = await self.client.search(self.kind.name, [*filters, above], properties=properties)
        numbers = [int(row_id(r)) for r in rows.results]
        if numbers != sorted(set(numbers)) or (numbers and numbers[0] <= last):
            raise ContractBroken(f"a search of {self.kind.name} above id {last} is not in order of id")
        if rows.after and not numbers:
            raise ContractBroken(f"a search of {self.kind.name} names a next page and gives no rows")
        return rows

    async def _search(
        self, cursor: Cursor, pull: Pull, filters: Sequence[tuple[str, str, str]]
    ) -> tuple[Rows, list[RawRecord], int]:
        """(the page, those of its records that are not stored exactly so, its last id or 0 on the last page)."""
        rows = await self._rows(cursor.last, filters, self.properties)
        ids = [row_id(r) for r in rows.results]
        held = pull.held(ids) if ids else {}
        fresh = [
            (i, row) for i, row in zip(ids, rows.results, strict=True)
            if self._in_window(row, pull.window) and not is_held(row, held.get(i))
        ]  # fmt: skip
        links = await self.links_of([i for i, _ in fresh])
        return rows, [record(i, row, links[i]) for i, row in fresh], highest(ids, 0) if rows.after else 0

    def _count_tail(self, cursor: Cursor, rows: Rows) -> Cursor:
        """The cursor with these rows counted that the next run would have to read again."""
        times = [modified_ms(row, self.kind.modified) for row in rows.results]
        tail = sum(at >= cursor.began - self._lookback_ms for at in times)
        return msgspec.structs.replace(cursor, tail=cursor.tail + tail, newest=max([cursor.newest, *times]))

    async def _is_quiet(self, cursor: Cursor) -> bool:
        """After a large change: one search tells that nothing came since, and saves reading all of it again.

        The same number of rows and the same newest one. What that cannot tell (a row indexed late in place of one
        deleted) waits at most for the end of the lookback: then everything is read again.
        """
        is_worth_it = cursor.tail > SEARCH_LIMIT and cursor.began - cursor.since < self._lookback_ms
        if not is_worth_it or self._is_sweep_due(cursor):
            return False
        since = (self.kind.modified, "GTE", str(cursor.since - self._lookback_ms))
        rows = await self.client.search(
            self.kind.name, [since], properties=[self.kind.modified], limit=1, newest_by=self.kind.modified
        )
        newest = [modified_ms(row, self.kind.modified) for row in rows.results]
        return rows.total == cursor.tail and newest == [cursor.newest]

    async def _confirm_end(self, cursor: Cursor) -> None:
        """A list that begins again: at its end the vendor does that. Anywhere else it is a loop."""
        above = ("hs_object_id", "GT", str(cursor.last))
        more = await self.client.search(self.kind.name, [above], properties=["hs_object_id"], limit=1)
        if more.results:
            raise ContractBroken(f"the list of {self.kind.name} does not go on after {cursor.after}: a page loop")

    def _in_window(self, row: Row, window: Window) -> bool:
        """Only interactions have a time of their own; everything else is wanted whatever its age."""
        if not self.kind.is_engagement or (window.since is None and window.until is None):
            return True
        at = moment(row, "hs_timestamp")
        return at is None or not ((window.since and at < window.since) or (window.until and at >= window.until))

    def _is_sweep_due(self, cursor: Cursor) -> bool:
        every = max(self.settings.sweep_minutes * 60.0, cursor.bin_pages * BIN_PAGE_S)
        return cursor.began - cursor.swept >= every * 1000

    def _after_merged(self) -> str:
        return "links" if self._targets and self.settings.link_days else ""


def start(text: str | None, now: int, *, backfill: str, again: str) -> Cursor:
    """The cursor to go on from. Raises CursorExpired for one we cannot read."""
    if text is None:
        return Cursor(phase=backfill, began=now)
    try:
        cursor = msgspec.json.decode(text, type=Cursor)
    except msgspec.MsgspecError as exc:
        raise CursorExpired("the stored cursor cannot be read") from exc
    if cursor.phase:
        return cursor
    return msgspec.structs.replace(cursor, phase=again, began=max(now, cursor.since), last=0)


def rest(cursor: Cursor) -> Cursor:
    """At rest after a sweep."""
    return msgspec.structs.replace(cursor, phase="", began=0, after="", last=0, swept=cursor.began)


def wrapped(cursor: Cursor, after: str, ids: Sequence[str]) -> bool:
    """Whether a list page did not move on: ids come again, or the mark of the next page does not increase."""
    if not cursor.after:
        return False
    if any(int(i) <= cursor.last for i in ids if i.isdecimal()):
        return True
    return bool(after) and by_number(after) <= by_number(cursor.after)


def highest(ids: Sequence[str], floor: int) -> int:
    return max((int(i) for i in ids if i.isdecimal()), default=floor)


def row_id(row: Row) -> str:
    """The id of a row, always as text. Raises ContractBroken for a row without a numeric one."""
    found = str(_decode_id.decode(row["id"])) if "id" in row else ""
    if not found.isdecimal():
        raise ContractBroken(f"an object with the id {found!r}: ids are numbers")
    return found


def text_of(row: Row, name: str) -> str:
    """A top-level text of a row, "" when absent or of another shape."""
    try:
        return _decode_text.decode(row[name]) or "" if name in row else ""
    except msgspec.MsgspecError:
        return ""


def moment(row: Row, name: str) -> datetime | None:
    """One of the time properties as an instant; None when it is missing or broken (mapping will say so)."""
    try:
        return instant(getattr(_decode_times.decode(row["properties"]), name)) if "properties" in row else None
    except (msgspec.MsgspecError, ValueError):
        return None


def modified_ms(row: Row, name: str) -> int:
    """When the row was last modified, in epoch ms; 0 when it does not say."""
    at = moment(row, name)
    return round(at.timestamp() * 1000) if at else 0


def archived_ms(row: Row) -> float:
    """When the object went into the bin; infinity when the vendor does not say, so that it is never passed over."""
    try:
        at = instant(text_of(row, "archivedAt"))
    except ValueError:
        at = None
    return at.timestamp() * 1000 if at else math.inf


def _head(row: Row) -> bytes:
    return b'{"object":' + msgspec.json.encode(row) + b',"associations":'


def record(external_id: str, row: Row, links: Links) -> RawRecord:
    """The vendor's object byte for byte, and beside it the associations, which come from other calls."""
    return RawRecord(external_id, _head(row) + msgspec.json.encode(links) + b"}", text_of(row, "updatedAt"))


def is_held(row: Row, held: bytes | None) -> bool:
    return held is not None and held.startswith(_head(row))


def relinked(external_id: str, held: bytes, links: Links) -> RawRecord | None:
    """The stored record with its associations of today; None when they are the same, or it is not readable."""
    try:
        body = msgspec.json.decode(held, type=_Body)
    except msgspec.MsgspecError:
        return None
    now = msgspec.json.encode(links)
    if bytes(body.associations) == now:
        return None
    whole = b'{"object":' + bytes(body.object) + b',"associations":' + now + b"}"
    return RawRecord(external_id, whole, text_of(msgspec.json.decode(body.object, type=Row), "updatedAt"))


class OwnersReader:
    """The owners: a short list without a change feed, read whole each time; deactivated ones now and then."""

    def __init__(self, client: Client, settings: HubSpotSettings, clock: Clock) -> None:
        self.client = client
        self.settings = settings
        self.clock = clock

    async def pages(self, pull: Pull) -> AsyncIterator[Page]:
        cursor = start(pull.cursor, now_ms(self.clock), backfill="owners", again="owners")
        while cursor.phase:
            is_retired = cursor.phase == "retired"
            rows = await self.client.owners(after=cursor.after, archived=is_retired)
            if rows.after and rows.after == cursor.after:
                raise ContractBroken(f"the list of owners repeats its page {rows.after!r}")
            is_full = not cursor.since or cursor.began - cursor.swept >= self.settings.sweep_minutes * 60_000
            if rows.after:
                then = msgspec.structs.replace(cursor, after=rows.after)
            elif is_full and not is_retired:
                then = msgspec.structs.replace(cursor, phase="retired", after="")
            else:
                then = Cursor(since=cursor.began, swept=cursor.began if is_full else cursor.swept)
            records = [RawRecord(row_id(r), msgspec.json.encode(r), text_of(r, "updatedAt")) for r in rows.results]
            yield Page(records, then.encode(), is_full=is_full, is_last=is_full and not then.phase)
            cursor = then


def now_ms(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1000)
