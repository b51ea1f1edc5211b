"""Taking applied changes back: created objects go to the recycle bin, changed ones get their old values again."""

from collections.abc import Sequence
from typing import Any

from hub.api import Conflict, Consent, Gone, JournalEntry, Receipt, RecordRejected
from hub_hubspot.client import BATCH_LIMIT, LINK_WRITE_LIMIT, Client, chunks
from hub_hubspot.consent import NEVER_BACK
from hub_hubspot.errors import row_error
from hub_hubspot.objects import LINKED
from hub_hubspot.outbound import object_type

NO_RESTORE = "HubSpot has no call to restore a deleted object: restore it from the recycle bin within 90 days"


class Undoer:
    """Undoes journal entries of one portal, given in the order they were applied. Running it twice does no harm."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def undo(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        receipts: dict[int, Receipt] = {}
        created: dict[str, dict[str, list[int]]] = {}
        updated: dict[str, list[int]] = {}
        for place, entry in enumerate(entries):
            receipt, entity = entry.receipt, entry.change.entity
            if isinstance(entity, Consent):
                receipts[place] = _answer(entry, "unchanged", NEVER_BACK if receipt.before else "")
            elif receipt.outcome == "deleted":
                receipts[place] = _answer(entry, "failed", NO_RESTORE)
            elif entity is None or not receipt.remote_id or receipt.outcome == "failed":
                receipts[place] = _answer(entry, "unchanged")
            elif receipt.outcome == "created":
                ids = created.setdefault(object_type(entity), {})
                ids.setdefault(receipt.remote_id, []).append(place)
            else:
                updated.setdefault(object_type(entity), []).append(place)
        for kind, places in updated.items():
            gone = created.get(kind, {})
            for place in places:
                if entries[place].receipt.remote_id in gone:
                    receipts[place] = _answer(entries[place], "unchanged")
            await self._restore(kind, entries, [p for p in places if p not in receipts], receipts)
        for kind, ids in created.items():
            await self._archive(kind, ids, entries, receipts)
        return [receipts[place] for place in range(len(entries))]

    async def _archive(
        self, kind: str, ids: dict[str, list[int]], entries: Sequence[JournalEntry], receipts: dict[int, Receipt]
    ) -> None:
        for part in chunks(list(ids), BATCH_LIMIT):
            await self.client.archive(kind, part)
            for remote in part:
                for place in ids[remote]:
                    receipts[place] = _answer(entries[place], "deleted")

    async def _restore(
        self, kind: str, entries: Sequence[JournalEntry], places: Sequence[int], receipts: dict[int, Receipt]
    ) -> None:
        """Old values back, and associations away that we had added. Several changes of one object: the oldest wins."""
        values: dict[str, dict[str, str]] = {}
        for place in reversed(places):
            receipt = entries[place].receipt
            before = {name: value or "" for name, value in (receipt.before or {}).items()}
            values[receipt.remote_id] = {**values.get(receipt.remote_id, {}), **before}
        failed: dict[str, str] = {}
        for part in chunks([(i, v) for i, v in values.items() if v], BATCH_LIMIT):
            failed |= await self._write(kind, part)
        links: dict[str, list[tuple[str, str]]] = {}
        parted: dict[str, list[tuple[str, str]]] = {}
        for place in places:
            receipt = entries[place].receipt
            for given, of in ((links, receipt.links), (parted, receipt.unlinked)):
                for link in of:
                    if link.remote_id and receipt.remote_id not in failed:
                        given.setdefault(LINKED[link.kind], []).append((receipt.remote_id, link.remote_id))
        for target, pairs in links.items():
            await self.client.unlink(kind, target, list(dict.fromkeys(pairs)))
        for target, pairs in parted.items():
            failed |= await self._link(kind, target, list(dict.fromkeys(pairs)))
        for place in places:
            receipt = entries[place].receipt
            if error := failed.get(receipt.remote_id):
                receipts[place] = _answer(entries[place], "failed", error)
            else:
                has_changed = bool(receipt.before or receipt.links or receipt.unlinked)
                receipts[place] = _answer(entries[place], "updated" if has_changed else "unchanged")

    async def _link(self, kind: str, target: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Associate again; {id: error} of those that could not be. A refused call is halved until one pair stands."""
        failed: dict[str, str] = {}
        for part in chunks(pairs, LINK_WRITE_LIMIT):
            try:
                answer = await self.client.link(kind, target, part)
            except (RecordRejected, Conflict, Gone) as exc:
                if len(part) == 1:
                    return {part[0][0]: exc.message}
                half = len(part) // 2
                failed |= await self._link(kind, target, part[:half]) | await self._link(kind, target, part[half:])
                continue
            if answer.errors:
                words = "; ".join(dict.fromkeys(p.words() for p in answer.errors))
                failed |= {own: words for own, to in part if (own, to) not in answer.pairs()}
        return failed

    async def _write(self, kind: str, rows: Sequence[tuple[str, dict[str, str]]]) -> dict[str, str]:
        """Write values; {id: error} of those refused. A refused batch is halved until one row stands."""
        inputs: list[dict[str, Any]] = [{"id": i, "properties": v, "objectWriteTraceId": i} for i, v in rows]
        try:
            answer = await self.client.write(kind, "update", inputs, safe=True)
        except (RecordRejected, Conflict, Gone) as exc:
            if len(rows) == 1:
                return {rows[0][0]: exc.message}
            half = len(rows) // 2
            return await self._write(kind, rows[:half]) | await self._write(kind, rows[half:])
        done = {r.id for r in answer.results}
        words = {
            name: row_error(p).message for p in answer.errors for name in p.named("objectWriteTraceId", "ids", "id")
        }
        return {i: words.get(i, "HubSpot's answer did not name this object") for i, _ in rows if i not in done}


def _answer(entry: JournalEntry, outcome: Any, error: str = "") -> Receipt:
    return Receipt(key=entry.change.key, outcome=outcome, remote_id=entry.receipt.remote_id, error=error)
