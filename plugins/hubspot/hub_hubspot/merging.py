"""Merging two contacts or two companies there. HubSpot takes no merge back, and knows no key that makes one safe to repeat.

The record that stays may be a new one with an id of its own, so neither of the two ids is taken for it: HubSpot's answer, or
the record that an old id leads to, says which it is.
Source: HubSpot's page "Merge records" and its changelog "Updated merge functionality for contacts and companies", which also
says whose values win (before it, the newer ones did).
"""

from collections.abc import Sequence

from hub.api import Change, Conflict, Gone, HubError, Merge, Receipt, RecordRejected
from hub_hubspot.client import Client, Record
from hub_hubspot.objects import MERGED, OBJECTS, PUSHED

CALLS = 4  # the two records, their associations, one look, the merge itself
NOTES = (
    "The values of the record that stays win; what it lacks comes from the other. The further lifecycle stage stays.",
    "Both addresses stay: the other's becomes a further one. Activities and associations of both come together.",
    "What stays may have a new id; both old ids lead to it. Both leave their workflows and static lists are joined.",
)
MERGING = Merge(CALLS, fills=True, own=frozenset({"lifecycle_stage"}), notes=NOTES)


class Merger:
    """Merges records of one portal."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def push(self, changes: Sequence[Change]) -> list[Receipt]:
        """One receipt per change. Raises what makes the outcome unknown: quota, sign-in, outage."""
        receipts = []
        for change in changes:
            try:
                receipts.append(await self._merge(change))
            except (RecordRejected, Conflict, Gone) as exc:
                receipts.append(_failed(change, exc))
        return receipts

    async def _merge(self, change: Change) -> Receipt:
        [kind] = PUSHED[change.kind]
        if not OBJECTS[kind].is_mergeable:
            raise RecordRejected(f"{kind} cannot be merged")
        found = await self.client.one(kind, change.absorbs, [MERGED])
        if found is not None and found.id == change.absorbs:
            found = await self.client.merge(kind, change.remote_id, change.absorbs)
        else:
            found = await self._merged(kind, change, found)
        return Receipt(key=change.key, outcome="merged", remote_id=found.id, version=found.updatedAt)

    async def _merged(self, kind: str, change: Change, led_to: Record | None) -> Record:
        """The record that stands for both by now. led_to: what the absorbed id leads to; asked at the other end, too, since
        it is not verified that a read follows such an id. Raises Gone and Conflict where the two are not in one."""
        found = led_to or await self.client.one(kind, change.remote_id, [MERGED])
        held = {found.id, *(found.properties.get(MERGED) or "").split(";")} if found else set()
        if found is None or change.absorbs not in held:
            raise Gone(
                f"{kind} {change.absorbs} is not at HubSpot any more, and was not merged into {change.remote_id}"
            )
        if change.remote_id not in held:
            raise Conflict(f"{kind} {change.absorbs} was merged into {found.id} meanwhile, not with {change.remote_id}")
        return found


def _failed(change: Change, exc: HubError) -> Receipt:
    return Receipt(key=change.key, outcome="failed", remote_id=change.remote_id, error=exc.message)
