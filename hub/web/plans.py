"""Plans: what is to be written to the tools, looked at change by change, decided by a person, made, and taken back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from hub.access import Invalid
from hub.access.roles import PLANS_APPROVE
from hub.api import ConfigError, HubError
from hub.service import plans
from hub.web.page import Ask, act, show

log = logging.getLogger("hub.web")
Row = dict[str, Any]
_LISTED, _CHANGES = 30, 25  # of one page
_PATIENCE_S = 8.0  # as long as somebody waits for a page; what takes longer goes on without them
_AT_WORK: set["asyncio.Task[Row]"] = set()  # else nobody holds them, and they may be dropped
STATES = {  # status: how it is told, its tone, what it means
    "draft": ("waits for approval", "warn", "Nothing of it has been written. It goes on once somebody approves it."),
    "held": ("held by the brake", "bad", "It changes more than the brake lets pass by itself. Nothing of it has been written: look twice."),
    "approved": ("approved, not written yet", "info", "Somebody said yes. Nothing of it has been written yet."),
    "applying": ("being written", "info", "It is being written now, or was interrupted: going on never writes anything twice."),
    "applied": ("written", "good", "All of it stands at the tool."),
    "partly": ("written in part", "warn", "Some of it was refused; the reasons are below. What is still due comes with the next plan."),
    "superseded": ("replaced", "plain", "A newer look at what is due took its place before anybody approved it. Nothing of it was written."),
    "rejected": ("rejected", "plain", "Somebody said no. Nothing of it was written."),
    "undone": ("taken back", "plain", "It was written, and taken back at the tool."),
}  # fmt: skip
STEPS = {  # state of a change: how it is told, its tone
    "due": ("not sent yet", "plain"), "sent": ("sent, no answer yet", "warn"), "done": ("written", "good"), "failed": ("refused", "bad"),
    "stuck": ("could not be taken back", "bad"), "undone": ("taken back", "plain"), "skipped": ("left out", "plain"),
}  # fmt: skip
EFFECTS = {  # one, several, what it does
    "create": ("create", "creates", "makes something new"), "update": ("update", "updates", "changes what is there"),
    "delete": ("delete", "deletes", "removes what the hub wrote"), "merge": ("merge", "merges", "makes two records one, for good"),
}  # fmt: skip
KINDS = {
    "interaction": "interaction", "person": "person", "organization": "company", "task": "task", "consent": "opt-out",
    "fields": "fields",
}  # fmt: skip


def mark(ask: Ask, name: str) -> int | None:
    """A number in the query; None without one. Raises Invalid."""
    text = ask.query(name)
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise Invalid("is no number of ours", field=name, fix="go back and follow the link")
    return int(text) if text else None


def overview(ask: Ask, problem: Exception | None = None) -> Response:
    found = plans.overview(ask.desk, _LISTED, mark(ask, "before"))
    rows: list[Row] = found["plans"]
    more = f"/plans?before={rows[-1]['plan']}" if len(rows) == _LISTED else ""
    return ask.page(
        "plans.html", title="Plans", status=409 if problem else 200, plans=rows, destinations=found["destinations"], more=more,
        problem=problem, states=STATES, effects=EFFECTS,
    )  # fmt: skip


def propose(ask: Ask) -> Response:
    name = ask.form("destination")
    try:
        found = plans.propose(ask.desk, name)
    except ConfigError as exc:
        return overview(ask, exc)
    if not found["plan"]:
        return ask.back("/plans", f"Nothing is due: {name or 'the system of record'} holds everything it should.")
    if found["status"] in {"approved", "applying"}:
        return ask.back(f"/plans/{found['plan']}", "This plan is approved and not finished: it comes before a new one.")
    return ask.back(
        f"/plans/{found['plan']}", "This is what is due now. Nothing is written until somebody approves it."
    )


def plan(ask: Ask) -> Response:
    return _shown(ask)


def _shown(ask: Ask, problem: Exception | None = None) -> Response:
    number = ask.number("number")
    chosen = {name: ask.query(name) for name in ("effect", "state", "kind")}
    found = plans.review(ask.desk, number, _CHANGES, mark(ask, "after") or 0, **chosen)
    return ask.page(
        "plan.html", title=f"Plan {number} for {found['destination']}", status=409 if problem else 200, plan=found, chosen=chosen,
        problem=problem, states=STATES, steps=STEPS, effects=EFFECTS, kinds=KINDS, may_decide=ask.may(PLANS_APPROVE),
        nonce=plans.approval(ask.desk, number).get("nonce", "") if ask.may(PLANS_APPROVE) else "",
    )  # fmt: skip


def approve(ask: Ask) -> Response:
    def decide(number: int) -> str:
        plans.approve(ask.desk, number, ask.form("nonce"))
        return "Approved. Nothing is written until somebody presses “Write it now”."

    return _decided(ask, decide)


def reject(ask: Ask) -> Response:
    def decide(number: int) -> str:
        plans.reject(ask.desk, number)
        return "Rejected: nothing of it was written. The next look at what is due compares anew."

    return _decided(ask, decide)


def _decided(ask: Ask, decide: Callable[[int], str]) -> Response:
    number = ask.number("number")
    try:
        return ask.back(f"/plans/{number}", decide(number))
    except ConfigError as exc:
        return _shown(ask, exc)


async def apply(ask: Ask) -> Response:
    return await _worked(ask, plans.apply, "Written", "It is being written.")


async def undo(ask: Ask) -> Response:
    return await _worked(ask, plans.undo, "Taken back", "It is being taken back.")


async def _worked(ask: Ask, step: Callable[..., Awaitable[Row]], done: str, going_on: str) -> Response:
    """Begin, and wait for its end as long as somebody waits for a page; whatever happens to them it goes on."""
    number = ask.number("number")

    async def work() -> Row:
        return await step(ask.desk, number)

    task = asyncio.create_task(work())
    _AT_WORK.add(task)
    task.add_done_callback(_ended)
    await asyncio.wait({task}, timeout=_PATIENCE_S)
    if not task.done():
        return ask.back(f"/plans/{number}", f"{going_on} This page says how far it is: load it again.")
    try:
        found = task.result()
    except ConfigError as exc:
        return await asyncio.to_thread(_shown, ask, exc)
    return ask.back(f"/plans/{number}", _told(found, done))


def _ended(task: "asyncio.Task[Row]") -> None:
    _AT_WORK.discard(task)
    if not task.cancelled() and (exc := task.exception()) is not None and not isinstance(exc, HubError):
        log.error("a plan was interrupted", exc_info=exc)


def _told(found: Row, done: str) -> str:
    counts = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(found["done"].items())) or "nothing"
    text = f"{done}: {counts}."
    if found["failed"]:
        text += f" {found['failed']:,} refused; the reasons are below."
    return text + (f" It stopped: {found['detail']}" if found["detail"] else "")


routes = [
    show("/plans", overview),
    act("/plans", propose),
    show("/plans/{number:int}", plan),
    act("/plans/{number:int}/approve", approve, proof=True),
    act("/plans/{number:int}/reject", reject),
    act("/plans/{number:int}/apply", apply),
    act("/plans/{number:int}/undo", undo, proof=True),
]
