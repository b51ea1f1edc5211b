"""history.list: which messages a stretch of the mailbox's history touched, and how."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub_gmail.wire import Event, Record

TYPES = ("messageAdded", "messageDeleted", "labelAdded", "labelRemoved")  # singular, unlike the answer's keys


@dataclass(frozen=True, slots=True)
class Touch:
    id: str
    record: int
    now: str  # "read", "gone" or "draft"


def touches(history: Sequence[Record]) -> list[Touch]:
    """Each message the records name, once, in the order in which it was last touched."""
    last: dict[str, Touch] = {}
    for record in sorted(history, key=lambda r: r.id):
        now = {m.id: "read" for m in record.messages}
        now |= {e.message.id: "draft" if _is_draft(e) else "read" for e in record.messagesAdded + record.labelsAdded}
        now |= {e.message.id: "read" for e in record.labelsRemoved}
        now |= {e.message.id: "gone" for e in record.messagesDeleted}
        for id_, what in now.items():
            before = last.pop(id_, None)
            last[id_] = Touch(id_, record.id, "gone" if before and before.now == "gone" else what)
    return list(last.values())


def _is_draft(event: Event) -> bool:
    return "DRAFT" in event.message.labelIds or "DRAFT" in event.labelIds
