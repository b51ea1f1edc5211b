"""Writing meetings: one event per key, under an id made from the key, with our key in a private property.

Google takes an id from its client and refuses it a second time, even after the event was deleted. What exists is patched
under its etag, and only where it differs. Source: the events resource in the discovery document,
developers.google.com/workspace/calendar/api/guides/version-resources.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from hub.api import (
    Change,
    Conflict,
    ContractBroken,
    Found,
    Gone,
    Http,
    Interaction,
    JournalEntry,
    Receipt,
    RecordRejected,
    Transient,
)
from hub_calendar.mapping import names
from hub_calendar.outbound import Fields, before_of, differing, event_id, key_of, patch_of, wanted
from hub_calendar.settings import CalendarSettings
from hub_calendar.wire import EVENT, Event, events_path, external, list_page, split

TRIES = 4
BY_PERSON = "deleted by a person; it is not made a second time"
EDITED = "edited by a person since: mend it by hand if it is not wanted"


class Writer:
    """Writes to one calendar."""

    def __init__(self, http: Http, settings: CalendarSettings) -> None:
        self.http = http
        self.calendar = settings.push_id
        self.minutes = settings.default_minutes
        self.params = {"sendUpdates": settings.invitations}

    # -- asked by the hub ---------------------------------------------------------------------------

    async def find(self, keys: Sequence[str]) -> list[Found]:
        """Events that carry our keys, read one by one under their ids: no index is asked, so none can lag."""
        found = []
        for key in keys:
            there = await self._read(external(self.calendar, event_id(key)))
            if there and there[0].status != "cancelled" and key_of(there[0]) == key:
                name = external(self.calendar, there[0].id)
                found.append(Found(key=key, remote_id=name, version=there[0].etag))
        return found

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        receipts = []
        for change in changes:
            try:
                receipts.append(await self._push(change))
            except (RecordRejected, Gone, Conflict, ContractBroken) as exc:
                failed = Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=exc.message)
                receipts.append(failed)
        return receipts

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        """Take changes back where nobody has worked on the event since; what was found or left alone stays."""
        receipts = []
        for entry in entries:
            key, made = entry.change.key, entry.receipt
            try:
                if made.outcome == "created":
                    receipts.append(await self._uncreate(entry))
                elif made.outcome == "updated" and made.before:
                    receipts.append(await self._restore(entry, made.before))
                elif made.outcome == "deleted" and made.before:
                    receipts.append(await self._revive(key, made.remote_id, made.before))
                else:
                    receipts.append(Receipt(key=key, outcome="unchanged", remote_id=made.remote_id))
            except (RecordRejected, Gone, Conflict, ContractBroken) as exc:
                receipts.append(Receipt(key=key, outcome="failed", remote_id=made.remote_id, error=exc.message))
        return receipts

    # -- one change ---------------------------------------------------------------------------------

    async def _push(self, change: Change) -> Receipt:
        name = change.remote_id or external(self.calendar, event_id(change.key))
        if split(name)[0] != self.calendar:
            raise RecordRejected("it lies in another calendar; only push_calendar is written to")
        is_off = isinstance(change.entity, Interaction) and change.entity.status == "cancelled"
        if change.op == "delete" or is_off:
            return await self._delete(change, name)
        fields = self._fields(change, name)
        there = await self._read(name)
        if there is None and change.remote_id:
            raise Gone(BY_PERSON)
        if there is None:
            if copy := await self._copy(change):
                return Receipt(key=change.key, outcome="unchanged", remote_id=copy)
            return await self._create(change.key, name, fields)
        if there[0].status == "cancelled":
            if change.remote_id:
                raise Gone(BY_PERSON)
            return await self._revive(change.key, name, fields)
        if not change.remote_id and key_of(there[0]) != change.key:
            raise Conflict("an event of somebody else has this id", existing_id=name)
        if change.expected_version and there[0].etag != change.expected_version:
            raise Conflict("the event has been changed since it was read", existing_id=name)
        return await self._update(change.key, name, fields, there)

    async def _copy(self, change: Change) -> str:
        """The calendar's own copy of this very meeting, where somebody has invited it: then nothing is added."""
        keys = change.entity.dedup_keys if isinstance(change.entity, Interaction) else ()
        uids = {k.removeprefix("ical:").rpartition("/")[0] for k in keys if k.startswith("ical:") and "/" in k}
        for uid in sorted(uids - {""}):
            params = {"iCalUID": uid, "singleEvents": "true", "maxResults": 2500}
            for item in (await list_page(self.http, self.calendar, params)).items:
                event = EVENT.decode(item)
                if _same_occurrence(keys, event):
                    return external(self.calendar, event.id)
        return ""

    async def _create(self, key: str, name: str, fields: Fields) -> Receipt:
        calendar, id_ = split(name)
        try:
            answer = await self.http.request(
                "POST", events_path(calendar), params=self.params, json={"id": id_, **fields}, cost="events.insert"
            )
            made = _decoded(answer.body)
        except Transient as exc:
            # The answer was lost, not necessarily the event: look before anybody asks again.
            there = await self._read(name) if exc.is_unknown else None
            if there is None:
                raise
            made = there[0]
        except Conflict:
            there = await self._read(name)
            if there is None or key_of(there[0]) != key:
                raise
            return await self._update(key, name, fields, there)
        return Receipt(key=key, outcome="created", remote_id=name, version=made.etag)

    async def _update(self, key: str, name: str, fields: Fields, there: tuple[Event, dict[str, Any]]) -> Receipt:
        """Read, compare, patch under the etag; again from the start when somebody was faster or the answer got lost."""
        first: dict[str, Any] | None = None
        for _ in range(TRIES):
            event, current = there
            changed = differing(fields, event)
            if not changed:
                outcome: Literal["updated", "unchanged"] = "updated" if first is not None else "unchanged"
                return Receipt(key=key, outcome=outcome, remote_id=name, version=event.etag, before=first)
            before = before_of(changed, current)
            try:
                made = await self._patch(name, patch_of(changed, current), event.etag)
            except Conflict:
                pass
            except Transient as exc:
                if not exc.is_unknown:
                    raise
                first = first or before
            else:
                return Receipt(key=key, outcome="updated", remote_id=name, version=made.etag, before=first or before)
            again = await self._read(name)
            if again is None or again[0].status == "cancelled":
                raise Gone(BY_PERSON)
            there = again
        raise Conflict("the event changed again and again while it was written")

    async def _delete(self, change: Change, name: str) -> Receipt:
        there = await self._read(name)
        if there is None or there[0].status == "cancelled":
            return Receipt(key=change.key, outcome="unchanged", remote_id=name)
        event, current = there
        if key_of(event) != change.key:
            raise Conflict("the event is not one of ours: it is not deleted", existing_id=name)
        if change.expected_version and event.etag != change.expected_version:
            raise Conflict("the event has been changed since it was read", existing_id=name)
        await self._remove(name, event.etag)
        keep = ("start", "end", "summary", "description", "attendees", "extendedProperties", "location")
        before = {k: v for k, v in current.items() if k in keep}
        return Receipt(key=change.key, outcome="deleted", remote_id=name, before=before)

    # -- taking it back -----------------------------------------------------------------------------

    async def _uncreate(self, entry: JournalEntry) -> Receipt:
        key, name = entry.change.key, entry.receipt.remote_id
        there = await self._read(name)
        if there is None or there[0].status == "cancelled":
            return Receipt(key=key, outcome="unchanged", remote_id=name)
        self._must_be_ours(entry, there[0])
        await self._remove(name, there[0].etag)
        return Receipt(key=key, outcome="deleted", remote_id=name)

    async def _restore(self, entry: JournalEntry, before: dict[str, Any]) -> Receipt:
        key, name = entry.change.key, entry.receipt.remote_id
        there = await self._read(name)
        if there is None or there[0].status == "cancelled":
            raise Gone(BY_PERSON)
        if all(_holds(there[1].get(field), value) for field, value in before.items()):
            return Receipt(key=key, outcome="unchanged", remote_id=name, version=there[0].etag)
        self._must_be_ours(entry, there[0])
        made = await self._patch(name, before, there[0].etag)
        return Receipt(key=key, outcome="updated", remote_id=name, version=made.etag)

    async def _revive(self, key: str, name: str, fields: Fields) -> Receipt:
        """A deleted id cannot be inserted again; the event under it can be confirmed again."""
        there = await self._read(name)
        if there is None:
            raise Gone(BY_PERSON)
        if there[0].status != "cancelled":
            return Receipt(key=key, outcome="unchanged", remote_id=name, version=there[0].etag)
        made = await self._patch(name, {**fields, "status": "confirmed"}, there[0].etag)
        return Receipt(key=key, outcome="created", remote_id=name, version=made.etag)

    def _must_be_ours(self, entry: JournalEntry, event: Event) -> None:
        """Raises Conflict when the event no longer says what we wrote. Answers of guests are no edits."""
        if differing(self._fields(entry.change, entry.receipt.remote_id), event):
            raise Conflict(EDITED)

    def _fields(self, change: Change, name: str) -> Fields:
        """What the event should say. Only events we made carry our key: those alone are ours to delete."""
        fields = wanted(change.key, change.entity, self.calendar, self.minutes)
        if split(name)[1] != event_id(change.key):
            del fields["extendedProperties"]
        return fields

    # -- calls --------------------------------------------------------------------------------------

    async def _read(self, name: str) -> tuple[Event, dict[str, Any]] | None:
        """(what we compare, everything) of an event, deleted ones included; None when there never was one."""
        calendar, id_ = split(name)
        try:
            answer = await self.http.request("GET", events_path(calendar, id_), cost="events.get")
        except Gone:
            return None
        return _decoded(answer.body), msgspec.json.decode(answer.body)

    async def _patch(self, name: str, body: Fields, etag: str) -> Event:
        calendar, id_ = split(name)
        path, headers = events_path(calendar, id_), {"if-match": etag} if etag else {}
        answer = await self.http.request(
            "PATCH", path, params=self.params, json=body, headers=headers, cost="events.patch"
        )
        return _decoded(answer.body)

    async def _remove(self, name: str, etag: str) -> None:
        """Deleted, by us or by somebody else before: both will do. Raises Conflict when it has just been edited."""
        calendar, id_ = split(name)
        path, headers = events_path(calendar, id_), {"if-match": etag} if etag else {}
        try:
            await self.http.request("DELETE", path, params=self.params, headers=headers, cost="events.delete")
        except Gone:
            return


def _same_occurrence(keys: Sequence[str], event: Event) -> bool:
    start = event.originalStartTime or event.start
    return start is not None and not set(keys).isdisjoint(n for n in names(event, start) if n.startswith("ical:"))


def _holds(current: Any, wanted_: Any) -> bool:
    """Whether a resource's field says already what a PATCH body would make it say; None there means absent."""
    if isinstance(wanted_, dict):
        inside = current if isinstance(current, dict) else {}
        return all(_holds(inside.get(k), v) for k, v in wanted_.items())
    return bool(current == wanted_)


def _decoded(body: bytes) -> Event:
    try:
        return EVENT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ContractBroken("Google did not answer with an event") from exc
