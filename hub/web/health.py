"""Health: the verdict, connections and their runs, coverage by week, issues, quarantine, and a person's word on the brake."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from hub.access import Invalid
from hub.service import health, operations
from hub.web.page import Ask, act, show
from hub.web.words import count, plural

log = logging.getLogger("hub.web")
Row = dict[str, Any]
WAIT_S = 8.0  # how long a page waits for what goes on by itself
ISSUES = 5  # of the first page; the rest has its own
_under_way: set[asyncio.Task[Any]] = set()
TONES = {
    "needs-reconnect": "bad", "broken": "bad", "degraded": "warn", "stale": "warn", "waiting-until": "warn",
    "catching-up": "info", "new": "info", "running": "info", "interrupted": "warn", "healthy": "good", "paused": "plain",
    "held": "warn", "partly": "warn", "draft": "info", "approved": "info", "applying": "info", "applied": "good",
    "stopped": "bad", "attention": "warn", "watch": "info",
}  # fmt: skip
WEIGHTS = {"stopped": "has stopped", "attention": "look at it", "watch": "goes on by itself"}
PLANS = {
    "draft": "waits for approval", "held": "held by the brake: somebody has to approve it", "applying": "being written",
    "approved": "approved, not written yet", "partly": "some of it could not be written",
}  # fmt: skip
KINDS = {"pull": "reading", "push": "writing", "replay": "mapping again", "census": "counting"}
DISPOSITIONS = {
    "new": "gave something to the timeline for the first time",
    "updated": "changed, and with them what is held here",
    "unchanged": "nothing to do: as they were, or never held",
    "duplicate": "other copies of what is held already, or what the hub wrote itself",
    "excluded": "left out by the capture policy, or nothing for a timeline",
    "private": "marked private: nothing of them is kept but their id",
    "held": "wait for a person",
    "failed": "could not be read: in quarantine with the reason",
    "deleted": "gone at the source, confirmed",
}
CELLS = {  # sign beside the share, so that no state is told by its colour alone
    "whole": ("", "everything counted at the source was here"),
    "fetched": ("f", "some had not come through; all of it was fetched at once"),
    "missing": ("!", "some were still missing after the week's last count"),
    "uncounted": ("–", "read, but not counted"),
    "before": ("", "not read yet"),
}


def overview(ask: Ask) -> Response:
    return _page(ask, "health.html", "Health", told=operations.overview(ask.desk), most=ISSUES, plans=PLANS)


def coverage(ask: Ask) -> Response:
    try:
        problem, told = None, operations.coverage(ask.desk, ask.query("until"))
    except Invalid as exc:
        problem, told = exc, operations.coverage(ask.desk)
    return _page(
        ask,
        "coverage.html",
        "Coverage by week",
        status=422 if problem else 200,
        told=told,
        cells=CELLS,
        problem=problem,
    )


def issues(ask: Ask) -> Response:
    return _page(ask, "issues.html", "Open issues", issues=operations.open_issues(ask.desk))


def connection(ask: Ask) -> Response:
    name, show_ = _name(ask), ask.query("show")
    before = ask.query("before")
    if before and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise Invalid("is no mark of a page", field="before", fix="take it from the page before")
    found = operations.runs(ask.desk, name, before=int(before) if before else None, show=show_)
    return _page(
        ask, "connection.html", name, told=operations.connection(ask.desk, name), runs=found["runs"], next=found["next"],
        show=show_, is_first=not before,
    )  # fmt: skip


def run(ask: Ask) -> Response:
    number = ask.number("number")
    return _page(ask, "run.html", f"Run {number}", run=operations.run(ask.desk, number))


def quarantine(ask: Ask) -> Response:
    name = ask.query("connection")
    told = operations.quarantined(ask.desk, connection=name, stream=ask.query("stream"), before=ask.query("before"))
    return _page(ask, "quarantine.html", "Quarantine", told=told, name=name, stream=ask.query("stream"))


def quarantined(ask: Ask) -> Response:
    given = ask.request.query_params  # an id is taken to the letter: blanks around it are part of it
    found = operations.quarantined_record(
        ask.desk, given.get("connection", ""), given.get("stream", ""), given.get("id", "")
    )
    return _page(ask, "quarantine_record.html", "A record in quarantine", record=found)


# --- acts -------------------------------------------------------------------------------------------------------------


async def sync(ask: Ask) -> Response:
    name = _name(ask)
    done = await _done_soon(health.sync(ask.desk, name))
    return ask.back(
        _place(name), "It is being read: this page shows what has come in so far." if done is None else _synced(done)
    )


async def replay(ask: Ask) -> Response:
    name = _name(ask)
    rows = await _done_soon(health.replay(ask.desk, name))
    if rows is None:
        said = "The records are being taken in again: this page shows what is left."
    elif busy := next((r["detail"] for r in rows if r["detail"]), ""):
        said = f"Not now: {busy}. Try again in a moment."
    else:
        tried, left = sum(r["seen"] for r in rows), sum(r["failed"] for r in rows)
        said = (
            f"{plural(tried, 'record')} tried again: {count(tried - left)} could be read, {count(left)} still cannot."
        )
        said = said if tried else "There was nothing to take in again."
    return ask.back("/health/quarantine" if ask.form("from") == "quarantine" else _place(name), said)


async def release(ask: Ask) -> Response:
    done = await _done_soon(operations.decide_hold(ask.desk, ask.number("number"), remove=True))
    said = "The source is being asked about each record."
    if done is not None:
        said = f"Released: {plural(done['removed'], 'record')} removed. What still answers at the source has stayed."
    return ask.back("/health", said)


async def keep(ask: Ask) -> Response:
    await operations.decide_hold(ask.desk, ask.number("number"), remove=False)
    return ask.back("/health", "All these records stay.")


# --- inside -----------------------------------------------------------------------------------------------------------


async def _done_soon(work: Coroutine[Any, Any, Any]) -> Any:
    """What the work gives, or None when it takes longer than a page may: it then goes on without us."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    done, _ = await asyncio.wait({task}, timeout=WAIT_S)
    if done:
        return task.result()
    task.add_done_callback(_late)
    return None


def _late(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.warning("what somebody began from a page ended badly: %s", exc)


def _synced(done: Row) -> str:
    books = {word: sum(s[word] for s in done["streams"]) for word in DISPOSITIONS}
    seen = sum(s["seen"] for s in done["streams"])
    parts = ", ".join(f"{count(n)} {word}" for word, n in books.items() if n)
    told = f"{plural(seen, 'record')} seen ({parts})" if seen else "nothing new"
    return f"{done['connection']} is {done['status']}: {done['detail'] or told}."


def _name(ask: Ask) -> str:
    return str(ask.path["name"])


def _place(name: str) -> str:
    return f"/health/connections/{quote(name, safe='')}"


def _page(ask: Ask, template: str, title: str, status: int = 200, **values: Any) -> Response:
    words: Mapping[str, Any] = {
        "tones": TONES,
        "weights": WEIGHTS,
        "kinds": KINDS,
        "dispositions": DISPOSITIONS,
        "place": _place,
    }
    return ask.page(template, title=title, status=status, **words, **values)


routes = [
    show("/health", overview),
    show("/health/coverage", coverage),
    show("/health/issues", issues),
    show("/health/quarantine", quarantine),
    show("/health/quarantine/record", quarantined),
    show("/health/runs/{number:int}", run),
    show("/health/connections/{name}", connection),
    act("/health/connections/{name}/sync", sync),
    act("/health/connections/{name}/replay", replay),
    act("/health/holds/{number:int}/release", release, proof=True),
    act("/health/holds/{number:int}/keep", keep),
]
