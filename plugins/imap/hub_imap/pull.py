"""Reading a mailbox: everything once, newest first over all folders; from then on what has changed in each.

Sources: RFC 3501, RFC 7162 (CONDSTORE, QRESYNC), RFC 6154. The places of all folders are noted before the first message
is read, so whatever changes while the backfill runs is read afterwards. What has gone from one folder is said last, when
what has come to the others has been given: mail that was moved never leaves the timeline.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from hub.api import (
    CursorExpired,
    Gap,
    Gone,
    Page,
    Pull,
    RawRecord,
    RecordRejected,
    ScopeError,
    Transient,
)
from hub.api.mail import message_id, parse_mime
from hub_imap import folders as choice
from hub_imap.mapping import is_within, occurred, relabelled, unwrap, without_message, wrap
from hub_imap.places import (
    MAX_UIDS,
    Cursor,
    Epoch,
    Place,
    external_id,
    folder_key,
    from_set,
    parse_cursor,
    slices,
    to_set,
)
from hub_imap.settings import ImapSettings
from hub_imap.wire import AT_ONCE, Head, Listed, Session, Status

PAGE_RECORDS = 100
PAGE_BYTES = 16 * 1024 * 1024
GONE_AT_ONCE = 1_000
HEAD_BYTES = 64 * 1024
READ_RIGHTS = "acl:lr"
# More than this gone at once from a folder whose server cannot name what has gone is left to the hub's own brake.
MANY, MANY_SHARE = 10, 0.3

Ref = tuple[str, int, int]  # folder name, UIDVALIDITY, UID


@dataclass
class Read:
    """What became of some messages: the parts of a Page."""

    records: list[RawRecord] = field(default_factory=list)
    also_seen: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def page(self, cursor: Cursor, **more: Any) -> Page:
        return Page(self.records, cursor.text(), also_seen=self.also_seen, gaps=self.gaps, **more)


@dataclass
class Change:
    """One folder since its place. now: the place once everything below is stored."""

    folder: Listed
    now: Place
    fresh: list[int]
    gone: list[int]


@dataclass(frozen=True, slots=True)
class Item:
    """A message of the plan: when it occurred, where it is, how much it weighs."""

    at: int
    folder: str
    uid: int
    size: int

    @property
    def rank(self) -> tuple[int, str, int]:
        return self.at, self.folder, self.uid


class Reader:
    """One pull over one line."""

    def __init__(self, session: Session, settings: ImapSettings, pull: Pull) -> None:
        self.session = session
        self.line = session.line
        self.settings = settings
        self.pull = pull
        self.listed: dict[str, Listed] = {}

    async def folders(self) -> list[Listed]:
        every = await self.session.do(self.line.folders)
        found = choice.wanted(every, self.settings)
        self.listed = {folder.name: folder for folder in found}
        return found

    async def select(self, folder: str) -> Status:
        """Open a folder for reading. Raises ScopeError naming the folder where we may not read it."""
        try:
            return await self.session.do(self.line.select, folder)
        except ScopeError as exc:
            name = self.listed[folder].path if folder in self.listed else folder
            exc.message = f"folder {name!r}: {exc.message}; grant {READ_RIGHTS}, or put it into `exclude`"
            raise
        except Gone as exc:
            raise Transient("a folder went away while it was being read", connector="imap", stream="mail") from exc

    async def pages(self) -> AsyncIterator[Page]:
        cursor = parse_cursor(self.pull.cursor) if self.pull.cursor else None
        steps = self.changes(cursor) if cursor and cursor.is_done else self.backfill(cursor)
        async for page in steps:
            yield page

    # -- everything ---------------------------------------------------------------------------------

    async def backfill(self, cursor: Cursor | None) -> AsyncIterator[Page]:
        """Newest first. Planned anew when it is gone on with: the plan is by time, and times do not change."""
        await self.folders()
        if cursor is None:
            cursor = Cursor({name: await self._pinned(name) for name in self.listed})
        plan = [item async for item in self._plan(cursor)]
        plan.sort(key=lambda item: item.rank, reverse=True)
        if cursor.at is not None:
            plan = [item for item in plan if item.rank < cursor.at]
        total = sum(place.count for place in cursor.folders.values())
        ahead = cursor
        for part, is_last in _pages_of(plan):
            refs = [(item.folder, cursor.folders[item.folder].validity, item.uid) for item in part]
            done = await self.read(refs, {i.rank[1:]: i.size for i in part})
            ahead = replace(cursor, at=part[-1].rank) if not is_last else replace(cursor, at=None, is_done=True)
            yield done.page(ahead, is_full=True, is_last=is_last, total=total)
        if not ahead.is_done:
            yield Read().page(replace(cursor, at=None, is_done=True), is_full=True, is_last=True, total=total)

    async def _pinned(self, folder: str) -> Place:
        now = await self.select(folder)
        uids = "" if self._names_gone(now) else to_set(await self._all_uids(now))
        return _place(now, uids)

    async def _all_uids(self, now: Status) -> list[int]:
        """All UIDs of the open folder, checked against its own count of them."""
        uids = await self.session.search(["ALL"], now)
        if len(uids) < now.count:
            raise Transient(f"the server counts {now.count} messages and names {len(uids)}", connector="imap")
        return uids

    def _names_gone(self, now: Status) -> bool:
        return self.line.has_qresync and now.modseq > 0

    async def _plan(self, cursor: Cursor) -> AsyncIterator[Item]:
        """What is in the window and was there when the places were noted."""
        for name, place in cursor.folders.items():
            if name not in self.listed:
                raise CursorExpired(f"folder {name!r} went away during the backfill", connector="imap", stream="mail")
            now = await self.select(name)
            if now.validity != place.validity:
                raise CursorExpired(f"folder {name!r} was numbered anew", connector="imap", stream="mail")
            async for head in self.heads(now):
                at = occurred(head.date, head.received)
                if head.uid < place.next and is_within(at, self.pull.window):
                    yield Item(_micros(at), name, head.uid, head.size)

    async def heads(self, now: Status) -> AsyncIterator[Head]:
        """Of every message of the open folder."""
        uids = await self.session.search(["ALL"], now)
        for part in slices(sorted(uids), AT_ONCE):
            for head in await self.session.do(self.line.heads, part):
                yield head

    # -- changes ------------------------------------------------------------------------------------

    async def changes(self, cursor: Cursor) -> AsyncIterator[Page]:
        """First what came or changed in any folder, then what is gone, then what was numbered anew."""
        await self.folders()
        cursor = self._without_lost_folders(cursor)
        found = [change async for change in self._changed(cursor)]
        if any(change.gone for change in found):
            found = await self._looked_again(cursor, found)
        for change in found:
            cursor = self._ended(cursor, change)
        said = ""
        for change in found:
            async for done in self._fresh(change):
                yield done.page(cursor)
            if not change.gone:
                cursor = _moved(cursor, change)
                said = cursor.text()
                yield Page((), said)
        for change in found:
            for part in slices(change.gone, GONE_AT_ONCE):
                names = [external_id(change.folder.name, change.now.validity, uid) for uid in part]
                if part[-1] == change.gone[-1]:
                    cursor = _moved(cursor, change)
                said = cursor.text()
                yield Page((), said, gone=names)
        if cursor.lost:
            async for page in self._retire(cursor):
                yield page
            cursor = replace(cursor, lost=())
        if said != cursor.text():
            yield Page((), cursor.text())

    async def _looked_again(self, cursor: Cursor, found: list[Change]) -> list[Change]:
        """What has gone from one folder may have come to another after we looked there: look once more.

        What else is gone by now is left for the next pull, so no place moves on for this second look.
        """
        later = {change.folder.name: change async for change in self._changed(cursor)}
        for change in found:
            if change.folder.name in later:
                change.fresh = sorted({*change.fresh, *later.pop(change.folder.name).fresh} - set(change.gone))
        for name, change in later.items():
            stay = cursor.folders.get(name)
            found.append(change if stay is None else Change(change.folder, stay, change.fresh, []))
        return found

    def _ended(self, cursor: Cursor, change: Change) -> Cursor:
        """Notes the end of an epoch where the folder was numbered anew."""
        name, before = change.folder.name, cursor.folders.get(change.folder.name)
        if before is None or before.validity == change.now.validity:
            return cursor
        epoch = Epoch(name, before.validity, before.next)
        return replace(cursor, lost=(*cursor.lost, epoch), folders=_but(cursor.folders, name))

    def _without_lost_folders(self, cursor: Cursor) -> Cursor:
        """A folder that is not listed any more was deleted, renamed or is hidden from us: its epoch has ended."""
        missing = [name for name in cursor.folders if name not in self.listed]
        lost = [Epoch(name, cursor.folders[name].validity, cursor.folders[name].next) for name in missing]
        return replace(cursor, folders=_but(cursor.folders, *missing), lost=(*cursor.lost, *lost))

    async def _changed(self, cursor: Cursor) -> AsyncIterator[Change]:
        for name, folder in self.listed.items():
            before = cursor.folders.get(name)
            try:
                now = await self.session.do(self.line.status, name)
            except Gone:
                continue  # deleted this very moment: missing in the next list
            except ScopeError:
                now = await self.select(name)
            if before is None or before.validity != now.validity:
                yield await self._whole(folder)
            elif now.modseq < before.modseq:
                raise CursorExpired(f"folder {name!r} has forgotten its changes", connector="imap", stream="mail")
            elif _place(now, before.uids) != before:
                yield await self._since(folder, before)

    async def _whole(self, folder: Listed) -> Change:
        """A folder that is new to us, or was numbered anew."""
        now = await self.select(folder.name)
        uids = await self._all_uids(now)
        place = _place(now, "" if self._names_gone(now) else to_set(uids))
        return Change(folder, place, sorted(uids), [])

    async def _since(self, folder: Listed, before: Place) -> Change:
        now = await self.select(folder.name)
        fresh: set[int] = set()
        gone: frozenset[int] = frozenset()
        if now.modseq and before.modseq:
            feed = await self.session.do(self.line.changed_since, before.modseq, max(now.next, before.next))
            fresh, gone = set(feed.changed), feed.vanished
        uids = ""
        if not (self._names_gone(now) and before.modseq):
            fresh, gone, uids = await self._difference(folder, before, now, fresh)
        return Change(folder, _place(now, "" if self._names_gone(now) else uids), sorted(fresh), sorted(gone))

    async def _difference(
        self, folder: Listed, before: Place, now: Status, fresh: set[int]
    ) -> tuple[set[int], frozenset[int], str]:
        """By comparing UIDs, where the server does not say what has gone. Whatever seems gone is asked for by name."""
        known, there = from_set(before.uids), set(await self._all_uids(now))
        missing = known - there
        if missing:
            there |= {u for p in slices(sorted(missing), AT_ONCE) for u in await self.session.do(self.line.flags, p)}
            missing = known - there
        if len(missing) > MANY and len(missing) > MANY_SHARE * len(known):
            reason = f"{len(missing)} of {len(known)} messages of folder {folder.path!r} are gone at once"
            raise CursorExpired(reason, connector="imap", stream="mail")
        return fresh | (there - known), frozenset(missing), to_set(there)

    async def _fresh(self, change: Change) -> AsyncIterator[Read]:
        """New messages, and those whose marks have changed, of the window."""
        name, validity = change.folder.name, change.now.validity
        if change.fresh:
            await self.select(name)
        for part in slices(change.fresh, AT_ONCE):
            heads = await self.session.do(self.line.heads, part)
            kept = [h for h in heads if is_within(occurred(h.date, h.received), self.pull.window)]
            for some, _ in _pages_of([Item(0, name, h.uid, h.size) for h in sorted(kept, key=lambda h: -h.uid)]):
                sizes = {(i.folder, i.uid): i.size for i in some}
                yield await self.read([(name, validity, i.uid) for i in some], sizes)

    # -- what was numbered anew ---------------------------------------------------------------------

    async def _retire(self, cursor: Cursor) -> AsyncIterator[Page]:
        """Take records under dead names off the timeline, once their messages are given under the new ones.

        Their messages are known again by Message-ID and size. Some that are not found were deleted before; when it is
        many, nothing is said of them: the hub's census asks for each, under its brake on mass deletions.
        """
        present: set[tuple[str, int]] = set()
        for name in self.listed:
            now = await self.select(name)
            uids = await self.session.search(["ALL"], now)
            for part in slices(sorted(uids), AT_ONCE):
                names = await self.session.do(self.line.names, part)
                present.update((message_id(header), size) for header, size in names.values())
        for epoch in cursor.lost:
            if epoch.next > MAX_UIDS:
                continue  # a server that counts in strides: too many names to ask the hub for
            found: list[str] = []
            missing: list[str] = []
            for part in slices(range(1, epoch.next), PAGE_RECORDS):
                ids = [external_id(epoch.folder, epoch.validity, uid) for uid in part]
                for id_, body in self.pull.held(ids).items():
                    (found if _name_of(body) in present else missing).append(id_)
            if len(missing) <= max(MANY, MANY_SHARE * len(found)):
                found += missing
            for start in range(0, len(found), GONE_AT_ONCE):
                yield Page((), cursor.text(), gone=found[start : start + GONE_AT_ONCE])

    # -- messages -----------------------------------------------------------------------------------

    async def read(self, refs: Sequence[Ref], sizes: Mapping[tuple[str, int], int]) -> Read:
        """These messages: whole, or only the marks of those the hub already holds."""
        done = Read()
        held = self.pull.held([external_id(*ref) for ref in refs])
        for folder, group in _by_folder(refs).items():
            now = await self.select(folder)
            path = self.listed[folder].path if folder in self.listed else folder
            if any(validity != now.validity for _, validity, _ in group):
                raise CursorExpired(f"folder {path!r} was numbered anew", connector="imap", stream="mail")
            known = {u: body for f, v, u in group if (body := held.get(external_id(f, v, u))) is not None}
            rest = [uid for _, _, uid in group if uid not in known]
            rest += await self._relabel(folder, path, now.validity, known, done)
            await self._whole_messages(folder, path, now.validity, rest, sizes, done)
        return done

    async def _relabel(
        self, folder: str, path: str, validity: int, known: Mapping[int, bytes], done: Read
    ) -> list[int]:
        """UIDs whose stored body is of no use, and which are to be read whole."""
        again = []
        flags = await self.session.do(self.line.flags, sorted(known)) if known else {}
        for uid, body in known.items():
            name = external_id(folder, validity, uid)
            if uid not in flags:
                done.gaps.append(Gap(name, "gone"))
                continue
            try:
                now = relabelled(body, path, flags[uid])
            except ValueError:
                again.append(uid)
                continue
            if now is None:
                done.also_seen.append(name)
            else:
                done.records.append(RawRecord(name, now))
        return again

    async def _whole_messages(
        self, folder: str, path: str, validity: int, uids: Sequence[int], sizes: Mapping[tuple[str, int], int], done: Read
    ) -> None:  # fmt: skip
        limit = self.settings.max_message_bytes
        wanted = []
        for uid in uids:
            if sizes.get((folder, uid), 0) > limit:
                done.gaps.append(Gap(external_id(folder, validity, uid), f"larger than {limit >> 20} MiB"))
            else:
                wanted.append(uid)
        if not wanted:
            return
        await self.session.pay(sum(sizes.get((folder, uid), 0) for uid in wanted))
        given = {whole.uid: whole for whole in await self.session.do(self.line.bodies, wanted)}
        for uid in wanted:
            name, whole = external_id(folder, validity, uid), given.get(uid)
            if whole is None:
                done.gaps.append(Gap(name, "gone"))
            elif whole.data is None:
                done.gaps.append(Gap(name, "the server names it and gives no body"))
            elif len(whole.data) > limit:
                done.gaps.append(Gap(name, f"larger than {limit >> 20} MiB"))
            else:
                done.records.append(RawRecord(name, wrap(path, whole.received, whole.flags, whole.data)))

    async def fetch(self, refs: Iterable[Ref]) -> list[RawRecord]:
        """Messages by folder key, UIDVALIDITY and UID; those no longer there, or in a folder not read, left out.

        One that is there and cannot be had is a record without its message: to leave it out would say it is gone.
        """
        by_key = {folder_key(folder.name): folder.name for folder in await self.folders()}
        records: list[RawRecord] = []
        for key, group in _by_folder(list(refs)).items():
            if key not in by_key:
                continue
            now = await self.select(by_key[key])
            uids = [uid for _, validity, uid in group if validity == now.validity]
            heads = [h for part in slices(uids, AT_ONCE) for h in await self.session.do(self.line.heads, part)]
            sizes = {(by_key[key], h.uid): h.size for h in heads}
            for some, _ in _pages_of([Item(0, by_key[key], h.uid, h.size) for h in heads]):
                done, path, chosen = Read(), self.listed[by_key[key]].path, [i.uid for i in some]
                await self._whole_messages(by_key[key], path, now.validity, chosen, sizes, done)
                records += done.records
                broken = [gap for gap in done.gaps if gap.reason != "gone"]
                records += [RawRecord(gap.external_id, without_message(path, gap.reason)) for gap in broken]
        return records


def _pages_of(items: Sequence[Item]) -> Iterator[tuple[list[Item], bool]]:
    """(a page's worth, whether it is the last): not too many messages, not too many bytes."""
    page: list[Item] = []
    weight = 0
    for item in items:
        if page and (len(page) == PAGE_RECORDS or weight + item.size > PAGE_BYTES):
            yield page, False
            page, weight = [], 0
        page.append(item)
        weight += item.size
    if page:
        yield page, True


def _by_folder(refs: Sequence[Ref]) -> dict[str, list[Ref]]:
    groups: dict[str, list[Ref]] = {}
    for ref in refs:
        groups.setdefault(ref[0], []).append(ref)
    return groups


def _place(now: Status, uids: str) -> Place:
    return Place(now.validity, now.next, now.modseq, now.count, uids)


def _but(places: Mapping[str, Place], *names: str) -> dict[str, Place]:
    return {name: place for name, place in places.items() if name not in names}


def _moved(cursor: Cursor, change: Change) -> Cursor:
    return replace(cursor, folders={**cursor.folders, change.folder.name: change.now})


def _micros(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def _name_of(body: bytes) -> tuple[str, int]:
    """Message-ID and size of a stored body, as the server gives them of a message."""
    try:
        data = unwrap(body)[1]
    except ValueError:
        return "", -1
    try:
        return message_id(parse_mime(data[:HEAD_BYTES]).get("message-id")), len(data)
    except RecordRejected:
        return "", len(data)
