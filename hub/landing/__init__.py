"""Pages exactly as the vendor sent them, after the capture policy had its say.

In: a page's records with their verdicts. Out: record rows with one disposition each, raw forms compressed,
quarantine, the ids a full enumeration did not name. The engine commits all of it with the cursor.
"""

from hub.landing.books import DISPOSITIONS, Books, Disposition
from hub.landing.brake import Brake, open_hold, open_holds, resolve_hold
from hub.landing.policy import CAPTURE, CapturePolicy, Verdict, judge, judge_names, without_content
from hub.landing.records import (
    Held,
    Landing,
    blocked,
    bodies,
    held,
    land,
    live_count,
    mark_gone,
    part_after,
    touch,
    unseen,
)

__all__ = [
    "CAPTURE", "DISPOSITIONS", "Books", "Brake", "CapturePolicy", "Disposition", "Held", "Landing", "Verdict", "blocked",
    "bodies",
    "held", "judge", "judge_names", "land", "live_count", "mark_gone", "open_hold", "open_holds", "part_after",
    "resolve_hold", "touch", "unseen", "without_content",
]  # fmt: skip
