"""The words for how a stream is doing, worst first, and what they mean for an exit code."""

from collections.abc import Iterable

HEALTHY, CATCHING_UP, WAITING, PAUSED, STALE, DEGRADED, BROKEN, RECONNECT = (
    "healthy", "catching-up", "waiting-until", "paused", "stale", "degraded", "broken", "needs-reconnect",
)  # fmt: skip
WORST_FIRST = (RECONNECT, BROKEN, DEGRADED, STALE, WAITING, CATCHING_UP, PAUSED, HEALTHY)

OK, FAILED, USAGE, PARTLY, REAUTH, DRIFT = 0, 1, 2, 3, 4, 5


def worst(statuses: Iterable[str]) -> str:
    """The overall status is the worst one; nothing at all is healthy only when there is nothing to do."""
    return min(statuses, key=lambda s: WORST_FIRST.index(s) if s in WORST_FIRST else 0, default=HEALTHY)


def exit_code(statuses: Iterable[str], has_drift: bool = False, has_failures: bool = False) -> int:
    """0 fine, 1 failed, 3 partly failed, 4 needs re-authentication, 5 drift found.

    has_failures: a record of this run went to quarantine; the stream is healthy, the run was not whole.
    """
    found = list(statuses)
    bad = [s for s in found if s in {BROKEN, DEGRADED, STALE, WAITING}]
    if RECONNECT in found:
        return REAUTH
    if BROKEN in found and len(bad) == len(found):
        return FAILED
    if has_drift:
        return DRIFT
    return PARTLY if bad or has_failures else OK
