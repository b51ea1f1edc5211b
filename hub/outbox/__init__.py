"""What we owe the system of record, and other tools that take fields and opt-outs: plan, approval, brake, journal, receipts, undo.
Merges of a tool's own duplicates go the same way, but for the undo, which no tool has.

In: the timeline and what was written before. Out: stored plans whose counts are promises, applied under a lease with
every write journalled before it leaves and looked up before it is repeated.
"""

from hub.outbox.apply import APPROVED, Applied, Run, apply, undo
from hub.outbox.fields import Conflict, conflicts
from hub.outbox.merges import MERGE, merge, pairs, snapshots
from hub.outbox.merges import key_of as merge_key
from hub.outbox.merges import make as make_merges
from hub.outbox.plans import Plan, approve, make, newest, preview, read
from hub.outbox.strip import drop_plans, strip, supersede, unname
from hub.outbox.wanted import Scope

__all__ = [
    "APPROVED", "MERGE", "Applied", "Conflict", "Plan", "Run", "Scope", "apply", "approve", "conflicts", "drop_plans", "make",
    "make_merges", "merge", "merge_key", "newest", "pairs", "preview", "read", "snapshots", "strip", "supersede", "undo", "unname",
]  # fmt: skip
