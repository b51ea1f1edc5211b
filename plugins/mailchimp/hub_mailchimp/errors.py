"""Mailchimp's refusals as errors of the hub.

Source: Mailchimp's list of problem types and its page on rate limits. Two things mislead: too many open connections
answer 429 without a Retry-After, and a very busy key is stopped before the API, with a 403 or 429 that is no JSON.
Details are never quoted, because they name addresses.
"""

from typing import Any

import msgspec

from hub.api import Clock, Gone, HubError, RateLimited, RecordRejected, Response, ScopeError, retry_after

BUSY_S = 2.0  # a connection of ours, or of another program with this key, is free again soon
EDGE_S = 300.0  # stopped in front of the API: asking at once again prolongs it


class FieldError(msgspec.Struct):
    field: str = ""


class Problem(msgspec.Struct):
    """An RFC 7807 problem document; every field may be missing."""

    title: str = ""
    errors: list[FieldError] | None = None

    def words(self) -> str:
        """The title and the names of the fields at fault."""
        fields = ", ".join(e.field for e in self.errors or () if e.field)
        return f"{self.title} ({fields})" if fields else self.title


def problem_of(response: Response) -> Problem | None:
    """The problem document, or None where the answer is not JSON."""
    try:
        found: Any = msgspec.json.decode(response.body)
        return msgspec.convert(found, Problem) if isinstance(found, dict) else Problem()
    except (msgspec.ValidationError, RecursionError):
        return Problem()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def explain(response: Response, clock: Clock) -> HubError | None:
    """The error for a status >= 400; None leaves it to the common meaning."""
    status, problem = response.status, problem_of(response)
    if problem is None and status in {403, 429}:
        wait = retry_after(response, clock)
        return RateLimited("Mailchimp has stopped this key for a while: too many calls", retry_after_s=wait or EDGE_S)
    words = (problem.words() if problem else "") or "no reason given"
    if status == 429:
        wait = retry_after(response, clock)
        return RateLimited("too many open connections", retry_after_s=BUSY_S if wait is None else wait)
    if status == 403:
        return ScopeError(f"Mailchimp refuses access ({words}): the user's role or the plan does not allow it")
    if status == 404:
        return Gone("not found at Mailchimp")
    if 400 <= status < 500 and status not in {401, 408, 423, 425}:
        return RecordRejected(f"Mailchimp refused: {words}")
    return None
