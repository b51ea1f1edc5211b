"""A mailbox's change log: records with ids that grow with gaps, kept for some days, then forgotten."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

DAY_MS = 86_400_000
# What the request's historyTypes calls a change, and what the answer's field is called.
TYPES = {
    "messageAdded": "messagesAdded", "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded", "labelRemoved": "labelsRemoved",
}  # fmt: skip


@dataclass(slots=True, frozen=True)
class Entry:
    """One message in a record. labels: the set around that change, not now. changed: label ids of label changes."""

    message_id: str
    thread_id: str
    labels: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Record:
    """id: history id. at_ms: when. changes: (field of the answer, entry) pairs.

    Field "" is a bump, shown without a typed array. No changes at all: the id moved, nothing is shown.
    """

    id: int
    at_ms: int
    changes: tuple[tuple[str, Entry], ...]


class History:
    """bumps: after every third change, write a record that carries only `messages`, as recorded mailboxes have."""

    def __init__(self, first: int, keep_ms: int, bumps: bool = True) -> None:
        self.floor = first
        self.current = first
        self._records: list[Record] = []
        self._keep_ms = keep_ms
        self._bumps = bumps
        self._writes = 0

    def write(self, at_ms: int, changes: tuple[tuple[str, Entry], ...]) -> int:
        """Append one record; returns its id."""
        self._writes += 1
        # Gaps are 3 to 19, as uneven as Gmail's and the same in every run.
        own = self.current = self.current + 3 + (self._writes * 7) % 17
        self._records.append(Record(own, at_ms, changes))
        if self._bumps and self._writes % 3 == 0:
            self.current += 2 + self._writes % 5
            bump = (("", changes[0][1]),)
            self._records.append(Record(self.current, at_ms, bump))
        return own

    def forget(self, now_ms: int) -> None:
        """Drop records older than the retention; ids up to the last of them answer 404 from then on.

        Called at every request. In a quiet mailbox the current id moves once a day all the same, so that who
        asks regularly keeps a valid cursor, while the id of an old message grows too old (lieer issues 203, 301).
        """
        if not self._records or self._records[-1].at_ms <= now_ms - DAY_MS:
            self.current += 2
            self._records.append(Record(self.current, now_ms, ()))
        old = 0
        for record in self._records:
            if record.at_ms >= now_ms - self._keep_ms:
                break
            old += 1
        if old:
            self.floor = self._records[old - 1].id + 1
            del self._records[:old]

    def knows(self, start: int) -> bool:
        return self.floor <= start <= self.current

    def since(self, start: int) -> Iterator[Record]:
        at = bisect_right(self._records, start, key=lambda r: r.id)
        for n in range(at, len(self._records)):
            yield self._records[n]


def show(
    record: Record, fields: frozenset[str], label: str | None, is_hidden: Callable[[str], bool]
) -> dict[str, Any] | None:
    """The record as the answer gives it, or None when the filters leave nothing of it.

    fields: wanted fields ("messagesAdded", ...); empty means all, bumps included.
    """
    shown: dict[str, Any] = {}
    messages: dict[str, dict[str, str]] = {}
    for field, entry in record.changes:
        if (fields and field not in fields) or is_hidden(entry.message_id):
            continue
        if label is not None and label not in entry.labels and label not in entry.changed:
            continue
        messages[entry.message_id] = {"id": entry.message_id, "threadId": entry.thread_id}
        if field:
            message: dict[str, Any] = {"id": entry.message_id, "threadId": entry.thread_id}
            if entry.labels:
                message["labelIds"] = list(entry.labels)
            item: dict[str, Any] = {"message": message}
            if entry.changed:
                item["labelIds"] = list(entry.changed)
            shown.setdefault(field, []).append(item)
    if not messages:
        return None
    return {"id": str(record.id), "messages": list(messages.values()), **shown}
