"""Zendesk's refusals in the hub's words, and the headers in which it tells how much may still be called.

Error bodies come in at least four forms; `words` reads them all. Source: Zendesk "Rate limits", "Errors".
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hub.api import (
    AuthError,
    Budgeter,
    Conflict,
    CursorExpired,
    Gone,
    HubError,
    RateLimited,
    RecordRejected,
    Response,
    ScopeError,
    Transient,
)  # fmt: skip

log = logging.getLogger("hub.zendesk")

TOO_RECENT = "Too recent start_time"
_OWN_LIMITS = {  # the end point's name in the header -> our budget
    "incremental-exports": "exports", "incremental-exports-cursor": "exports", "search-export": "search-exports",
    "tickets-update": "ticket-updates",
}  # fmt: skip
_USER_TOTALS = {20, 60}  # the users' export says the same name with its own, higher limit
_PAIR = re.compile(r"(total|remaining|resets)=(\d+)")


def words(body: bytes) -> tuple[str, str]:
    """(code, description) out of any of the error envelopes; ("", "") where there is none."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    error = answer.get("error")
    if isinstance(error, dict):
        return str(error.get("title", "")), str(error.get("message", ""))
    if isinstance(error, str):
        text = str(answer.get("description") or answer.get("error_description") or "")
        return error, f"{text} {_details(answer.get('details'))}".strip()
    errors = answer.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("code", "")), str(errors[0].get("detail") or errors[0].get("title") or "")
    return "", ""


def _details(details: Any) -> str:
    """Which field was refused and why; never its value."""
    if not isinstance(details, dict):
        return ""
    found = []
    for name, rows in details.items():
        rows = rows if isinstance(rows, list) else [rows]
        found += [f"{name}: {row.get('error') or row.get('description')}" for row in rows if isinstance(row, dict)]
    return "; ".join(found)


def explain(response: Response) -> HubError | None:
    """Zendesk's own refusals; None leaves a status to its common meaning."""
    status = response.status
    code, text = words(response.body)
    said = f"{code}: {text}".strip(": ")[:300]
    if status == 401:
        return AuthError(
            f"Zendesk does not accept the sign-in ({code or 'no reason given'}): connect the account again"
        )
    if status == 403:
        return ScopeError(f"Zendesk refuses access ({said or 'no reason given'}): a scope, a role or the plan lacks it")
    if status == 404 and code == "InvalidEndpoint":
        return ScopeError("Zendesk has no such end point for this account: the plan lacks it")
    if status == 404:
        return Gone(f"not found at Zendesk ({said})" if said else "not found at Zendesk")
    if status == 409:
        if code == "UpdateConflict":
            return Conflict("somebody changed the ticket since it was read")
        return Transient("Zendesk was busy with the same object", is_unknown=True)
    if status in {400, 422}:
        if _is_about_our_cursor(code, text):
            return CursorExpired("Zendesk does not know the export cursor any more")
        if code == "TooManyJobs":
            return RateLimited("too many jobs are queued at Zendesk", retry_after_s=30.0)
        return RecordRejected(said or "Zendesk refused the request")
    return None


def _is_about_our_cursor(code: str, text: str) -> bool:
    """Whether a cursor is refused for its value. The word alone says nothing: other refusals advise to page by cursor,
    and what is taken for a lost cursor is read anew from the beginning."""
    if code == "InvalidValue":
        return "cursor" in text.lower() and "start_time" not in text
    return "cursor" in code.lower()


def observe(response: Response, budgeter: Budgeter) -> None:
    """Wait where a limit is used up, before Zendesk has to refuse; surface fields Zendesk dropped without an error."""
    headers = response.headers
    if warning := headers.get("x-zendesk-api-warn"):
        log.warning("Zendesk dropped a part of what was written: %s", warning[:300])
    for name, value in headers.items():
        name = name.lower()
        for prefix in ("zendesk-ratelimit-", "zendesk-rate-limit-"):
            if budget := _OWN_LIMITS.get(name.removeprefix(prefix)) if name.startswith(prefix) else None:
                pairs = {k: int(v) for k, v in _PAIR.findall(value)}
                if budget == "exports" and pairs.get("total") in _USER_TOTALS:
                    budget = "user-exports"
                if pairs.get("remaining") == 0:
                    budgeter.block(pairs.get("resets", 60), budget)
    if (reset := _whole(headers, "ratelimit-reset", "rate-limit-reset")) is not None:
        if _whole(headers, "ratelimit-remaining", "rate-limit-remaining", "x-rate-limit-remaining") == 0:
            budgeter.block(reset, "minute")


def _whole(headers: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        value = headers.get(name, "")
        if value.isascii() and value.isdecimal() and len(value) < 8:
            return int(value)
    return None
