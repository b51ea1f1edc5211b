"""Mapped records in, one timeline out: copies fused, conversations joined, links and rollups kept.

In: landed interactions with the parties identity found. Out: timeline entries that do not depend on the order in
which sources arrive. `relink` and `follow` move entries when parties are joined or change organization.
"""

from hub.reconcile.apply import Outcome, apply, remove
from hub.reconcile.erased import blank, drop_threads, drop_untold, stale, thread_rest, unkey, unthread
from hub.reconcile.links import follow, relink
from hub.reconcile.shape import Mapped, direction

__all__ = [
    "Mapped", "Outcome", "apply", "blank", "direction", "drop_threads", "drop_untold", "follow", "relink", "remove",
    "stale", "thread_rest", "unkey", "unthread",
]  # fmt: skip
