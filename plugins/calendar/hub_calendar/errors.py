"""What Google Calendar's refusals mean: the same 403 is "slow down", "a scope is missing" or "not your meeting".

Source: developers.google.com/workspace/calendar/api/guides/errors.
"""

from hub.api import (
    Clock,
    Conflict,
    CursorExpired,
    HubError,
    RateLimited,
    RecordRejected,
    Response,
    retry_after,
)
from hub.api.google import SLOW_DOWN, SPENT, needs_a_person, refusal

TOO_OLD = {"fullSyncRequired", "updatedMinTooLongAgo"}
PAUSE_S = 15.0  # Google seldom says how long; its minute slides, so four such pauses outlast any refusal
SPENT_S = 3600.0  # these last for hours and Google names no end: asked again once an hour


def explain(response: Response, clock: Clock) -> HubError | None:
    """The error behind a status >= 400, or None where the common meaning holds (404, 409, 5xx, ...).

    Google's own message is left out of what is said of a record: it may repeat the value it refuses.
    """
    refused = refusal(response)
    reasons = refused.reasons if refused else frozenset()
    if reasons & SPENT:
        return RateLimited("the calendar usage limit is reached", retry_after_s=SPENT_S)
    if reasons & SLOW_DOWN or response.status == 429:
        said = retry_after(response, clock)
        return RateLimited("too many requests", retry_after_s=PAUSE_S if said is None else said)
    if response.status == 410 and reasons & TOO_OLD:
        return CursorExpired("Google no longer knows the sync token")
    if response.status == 412:
        return Conflict("the event has been changed since it was read")
    if response.status != 403 or refused is None:
        return None
    if error := needs_a_person(refused, "Google Calendar API"):
        return error
    if "forbiddenForNonOrganizer" in reasons:
        return RecordRejected("only the organizer of this meeting can change it")
    if "requiredAccessLevel" in reasons:
        return RecordRejected(
            'this account may not change events there: share the calendar with "Make changes to events"'
        )
    return None
